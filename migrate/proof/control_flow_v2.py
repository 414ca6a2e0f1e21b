"""Functional control flow: an If, Case or While is itself, of functions that have equal terms."""

from __future__ import annotations

from migrate.graph.attr_defaults import has_functions
from migrate.proof import attributes
from migrate.proof.equations import (
    BRANCHES,
    STATELESS,
)
from migrate.proof.liveness import Atom
from migrate.proof.program import Flat
from migrate.proof.side import Side
from migrate.proof.states import may_share, read, substituted


def functional(side: Side, place: int, node: Flat, op: str, live: frozenset[Atom]) -> None:
    """An If, Case, While or map gives what its functions make of what it takes.

    What its functions check and print it checks and prints itself.
    """
    name = STATELESS.get(op, op)
    functions = []
    for key in BRANCHES[op]:  # A map has another order in each process.
        if key not in node.attr:
            functions.append(side.unknown(f"{op} {node.label!r} has no attribute {key!r}"))
            continue
        value = node.attr[key]
        called = list(value.list.func) if value.HasField("list") else [value.func]
        functions += [side.functions(f.name, f.attr) for f in called]
    if "parallel_iterations" in node.attr and node.attr["parallel_iterations"].i <= 0:
        functions.append(side.unknown(f"{op} {node.label!r} has parallel_iterations that no executor takes"))
    if any(function in side.terms.reasons for function in functions):
        side.say(place, "unknown", place)  # It may change a state.
    kept = {k: v for k, v in node.attr.items() if k not in BRANCHES[op]}
    if any(has_functions(value) for value in kept.values()):
        functions.append(side.unknown(f"{op} {node.label!r} names another function"))
        kept = {k: v for k, v in kept.items() if not has_functions(v)}
    taken = []
    # A function may give what it takes (functional_ops.cc), which is the buffer of a variable then.
    values = [side.value(tensor) for tensor in node.data]
    may_share(side, place, node.data, values)
    for tensor, given in zip(node.data, values, strict=True):
        cells = side.terms.cells(given)
        if cells and all(side.cells[c].kind != "ref" for c in cells):
            if not cells.isdisjoint(side.written):
                taken.append(side.unknown(f"{op} {node.label!r} uses a variable that the call writes"))
            else:
                taken.append(substituted(side, place, given))
        else:
            taken.append(read(side, place, tensor))
    dropped = frozenset({"output_shapes"})
    attrs = attributes.canonical(name, name, kept, {}, dropped)
    if any(function in side.shared.random_functions for function in functions):
        side.is_random = True
        if op in STATELESS:
            side.values[place, 0] = side.unknown(f"{op} {node.label!r} draws, and TensorFlow may make one of two")
            return
        side.values[place, 0] = side.own(place, name, attrs, (*functions, *taken), node)
    else:
        side.values[place, 0] = side.terms.make(name, attrs, (*functions, *taken))
    saying = [side.shared.saying_functions[f] for f in functions if f in side.shared.saying_functions]
    if saying:
        side.say(place, "message", side.values[place, 0], live, any(saying))
