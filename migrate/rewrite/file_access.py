"""What a run does outside the process: which files it reads under which names, and what else it touches.

Loading a model runs its restore op and its init op, so nothing may be there but ops that stay inside the process,
and reads of the model's own files. TensorFlow evaluates what it takes for a constant while it imports a graph, so no
op that reads a file may be where all its inputs are constants, in any run.
"""

from __future__ import annotations

import functools
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence

from migrate.checks.effects import (
    HARMLESS,
    NAMED_FILES,
    NAMING_ATTRIBUTES,
    effect,
    effect_of,
    file_in_attribute,
    is_evaluated_on_import,
    words,
)
from migrate.frozen import frozen
from migrate.graph.graph import PLACEHOLDERS, Graph, Run
from migrate.graph.nodes import called_functions
from migrate.graph.op_table import load_op_table
from migrate.graph.protos import AttrValue, FunctionDef, FunctionDefLibrary, NodeDef
from migrate.records import Finding, refusal

ASSET, CONSTANT, OTHER = "asset", "constant", "other"
"""What a tensor is: the path that the loader feeds for an asset, what TensorFlow may know on import, anything else."""

PASSES = frozenset({"Identity", "PlaceholderWithDefault", "StopGradient"})
"""Ops that hand a file's name on as it is."""

_OF_SHAPES = frozenset({"Rank", "Shape", "ShapeN", "Size"})
"""Ops whose value depends on the shape of what they take, which may be known where the value is not."""

_CALLS = frozenset({"PartitionedCall", "StatefulPartitionedCall"})
"""Ops whose inputs are the arguments of the function that they call."""

_MOST_CALLS = 16
"""For how many kinds of arguments a function's body is looked at; after that, for the worst."""

_HINT_FILE = "export the file as an asset of the SavedModel (tf.compat.v1.GraphKeys.ASSET_FILEPATHS)"


@frozen
class _Fault:
    """What is wrong with a node.

    Attributes:
      code: of the finding.
      op: the node's.
      reason: the rest of a sentence that starts with the op's name.
      hint: what to do.
    """

    code: str
    op: str
    reason: str
    hint: str


@frozen
class _Body:
    """Nodes that run together: those of a graph, or of a function.

    Attributes:
      where: what the labels of its nodes start with.
      nodes: by name.
      given: what arguments and placeholders give, see `ASSET`.
    """

    where: str
    nodes: Mapping[str, NodeDef]
    given: Mapping[str, str]

    @functools.cached_property
    def origins(self) -> Mapping[str, str]:
        """What each node and argument gives; few bodies have a node for which it matters."""
        return _origins(self.nodes, self.given)


def find_file_access(run: Run, library: FunctionDefLibrary, is_load: bool) -> tuple[Finding, ...]:
    """Finds what a run must not do.

    Args:
      run: of the source; nothing of it has been rewritten.
      library: the graph's functions.
      is_load: whether loading the model does it, so that what is fed is the path of an asset; else it is a call.

    Returns:
      Refusals: `file-outside-model` and `effect-on-import`, and `init-op-effect` for what loading does.
    """
    graph = run.graph
    functions = {function.signature.name: function for function in library.function}
    suspects = _suspects(graph.by_op, functions)
    if not suspects and not _calls_suspects(graph, functions):
        return ()
    fed = set(run.feeds.values()) if is_load else ()
    given = {name: ASSET if name in fed else OTHER for name in graph.named(PLACEHOLDERS)}
    bodies = [(_Body("", graph.nodes, given), [name for op in suspects for name in graph.by_op[op]])]
    seen: dict[str, set[tuple[str, ...]]] = {}
    faults: dict[_Fault, list[str]] = {}
    for body, names in bodies:  # grows while it is read
        for name in names:
            fault = _judge(body, body.nodes[name], is_load)
            if fault is not None:
                faults.setdefault(fault, []).append(body.where + name)
        for function, origins in _all_called(body, functions) if functions else ():
            known = seen.setdefault(function.signature.name, set())
            if len(known) >= _MOST_CALLS:
                origins = ((OTHER if is_load else CONSTANT),) * len(origins)
            if origins not in known:
                known.add(origins)
                bodies.append(_body(function, origins, functions))
    return tuple(_finding(run.key, fault, labels) for fault, labels in faults.items())


def _suspects(ops: Iterable[str], functions: Container[str]) -> list[str]:
    """Those of some ops that may have effects outside the process."""
    return [op for op in ops if op not in functions and (op in NAMING_ATTRIBUTES or effect(op) not in HARMLESS)]


def _calls_suspects(graph: Graph, functions: Mapping[str, FunctionDef]) -> bool:
    bodies = {name: function.node_def for name, function in functions.items()}
    suspects = {name for name, body in bodies.items() if _suspects({node.op for node in body}, functions)}
    # To find out who calls what takes longer than to look at every body.
    return bool(suspects) and not suspects.isdisjoint(called_functions(graph.nodes.values(), bodies))


def _finding(key: str, fault: _Fault, labels: Sequence[str]) -> Finding:
    names = tuple(dict.fromkeys(labels))
    more = f" and {len(names) - 1} more" if len(names) > 1 else ""
    return refusal(fault.code, f"{key}: {fault.op} {names[0]!r}{more} {fault.reason}", names, fault.hint)


def _judge(body: _Body, node: NodeDef, is_load: bool) -> _Fault | None:
    """What is wrong with one node, or None."""
    file = file_in_attribute(node)
    if file:
        reason = f"names the file {file!r} in an attribute, which is not an asset of the model"
        return _Fault("file-outside-model", node.op, reason, _HINT_FILE)
    what = effect_of(node)
    if what in HARMLESS:
        return None
    taken = [name.partition(":")[0] for name in node.input if not name.startswith("^")]
    named = [taken[position] for position in NAMED_FILES.get(node.op, ()) if position < len(taken)]
    if is_load:
        if what == "reads-files" and named and all(_passed_on(body, name) == ASSET for name in named):
            return None
        if named:
            reason = "takes a file's name that is not the path of an asset, or not as the loader gives it"
            return _Fault("file-outside-model", node.op, reason, _HINT_FILE)
        reason = f"{words(what)}; loading a model must not do that"
        return _Fault(
            "init-op-effect", node.op, reason, "export the model with an init op that fills variables and tables"
        )
    if named and any(body.origins.get(name, OTHER) == CONSTANT for name in named):
        reason = "takes a file's name from a constant, which a call does not replace by the path of an asset"
        return _Fault("file-outside-model", node.op, reason, _HINT_FILE)
    if is_evaluated_on_import(node) and all(body.origins.get(name, OTHER) == CONSTANT for name in taken):
        reason = f"{words(what)}, and TensorFlow may run it while it imports the graph: all that it takes is constant"
        return _Fault("effect-on-import", node.op, reason, "export the model without it, or feed what it takes")
    return None


def _body(function: FunctionDef, origins: Sequence[str], functions: Container[str]) -> tuple[_Body, list[str]]:
    """A function's body, and the names of its nodes that may have effects outside the process."""
    nodes = {node.name: node for node in function.node_def}
    given = dict(zip((arg.name for arg in function.signature.input_arg), origins, strict=True))
    suspects = set(_suspects({node.op for node in nodes.values()}, functions))
    body = _Body(f"{function.signature.name}/", nodes, given)
    return body, [name for name, node in nodes.items() if node.op in suspects]


def _origins(nodes: Mapping[str, NodeDef], given: Mapping[str, str]) -> dict[str, str]:
    """What each node and argument gives. What nothing proves to be no constant counts as one, loops included."""
    consumers: dict[str, list[str]] = {}
    for node in nodes.values():
        for name in node.input:
            if not name.startswith("^"):
                consumers.setdefault(name.partition(":")[0], []).append(node.name)
    table = load_op_table()
    origins = {**dict.fromkeys(nodes, CONSTANT), **given}
    changing = [name for name, origin in given.items() if origin != CONSTANT]
    for node in nodes.values():
        info = table.get(node.op)
        if node.name not in given and (node.op in PLACEHOLDERS or (info is not None and info.is_stateful)):
            origins[node.name] = OTHER
            changing.append(node.name)
    while changing:
        for name in consumers.get(changing.pop(), ()):
            if origins[name] == CONSTANT and nodes[name].op not in _OF_SHAPES:
                origins[name] = OTHER
                changing.append(name)
    return origins


def _passed_on(body: _Body, name: str) -> str:
    """What a node or argument gives, or what is handed on to it as it is."""
    seen: set[str] = set()
    while name in body.nodes and name not in seen and body.nodes[name].op in PASSES and body.nodes[name].input:
        seen.add(name)
        name = body.nodes[name].input[0].partition(":")[0]
    return body.origins.get(name, OTHER)


def _all_called(body: _Body, functions: Mapping[str, FunctionDef]) -> Iterator[tuple[FunctionDef, tuple[str, ...]]]:
    for node in body.nodes.values():
        yield from _called(body, node, functions)


def _called(
    body: _Body, node: NodeDef, functions: Mapping[str, FunctionDef]
) -> Iterator[tuple[FunctionDef, tuple[str, ...]]]:
    """The functions that a node calls, each with what its arguments are."""
    names = [node.op, *(name for key in sorted(node.attr) for name in _functions(node.attr[key]))]
    names = [name for name in names if name in functions]
    if not names:
        return
    taken = [_passed_on(body, name.partition(":")[0]) for name in node.input if not name.startswith("^")]
    is_plain = node.op in functions or node.op in _CALLS
    constant = all(origin == CONSTANT for origin in taken)
    for name in names:
        count = len(functions[name].signature.input_arg)
        if is_plain and len(taken) == count:
            yield functions[name], tuple(taken)
        else:
            yield functions[name], (CONSTANT if constant else OTHER,) * count


def _functions(attr: AttrValue) -> Iterator[str]:
    """Names of the functions in an attribute, and in the attributes of those."""
    for function in (*([attr.func] if attr.HasField("func") else ()), *attr.list.func):
        yield function.name
        for key in sorted(function.attr):
            yield from _functions(function.attr[key])
