"""Handles of variables and named resources stand outside of all loops and branches.

Each becomes one captured object of the new model, which functions take as an argument.
"""

from __future__ import annotations

import collections
from collections.abc import Callable, Mapping

from migrate.functional.draft import ARGUMENT, RESOURCE, Draft
from migrate.functional.handle_uses import READS
from migrate.graph.function_calls import LOOPS
from migrate.graph.graph import Graph, as_input, attribute, split
from migrate.graph.protos import NodeDef
from migrate.rewrite import ops, typed_handles
from migrate.rewrite.new_nodes import new_node

HANDLES = ops.NAMED_RESOURCES | {"VarHandleOp"}


def lift(draft: Draft) -> None:
    """Takes the control inputs of handles away: an Identity of the handle has them, which its users take."""
    moved: dict[str, str] = {}
    held: dict[str, tuple[str, ...]] = {}
    for name, node in list(draft.nodes.items()):
        waits = draft.wires[name].controls
        if node.op in HANDLES and waits:
            free = NodeDef.FromString(node.SerializeToString())
            free.input[:] = [as_input(tensor) for tensor in draft.wires[name].data]
            draft.put(free)
            moved[name], held[name] = draft.unique(f"{name}/here"), waits
    if not moved:
        return
    for name, known in list(draft.wires.items()):
        if not moved.keys().isdisjoint(known.behind):
            new = NodeDef.FromString(draft.nodes[name].SerializeToString())
            data = [moved.get(source, as_input(t)) for t, source in zip(known.data, known.sources, strict=True)]
            new.input[:] = [*data, *(f"^{moved.get(wait, wait)}" for wait in known.controls)]
            draft.put(new)
    for name, here in moved.items():
        later = [f"^{moved.get(wait, wait)}" for wait in held[name]]
        draft.put(new_node("Identity", here, [name, *later], T=RESOURCE))


def unwritten(graph: Graph) -> frozenset[str]:
    """Names of the handles of variables that all of a graph only reads."""
    return frozenset(carriers(graph).values())


def _reads(node: NodeDef, number: int) -> bool:
    """Whether a node reads the variable whose handle it takes."""
    return node.op in READS


def carriers(graph: Graph, is_read: Callable[[NodeDef, int], bool] = _reads) -> Mapping[str, str]:
    """The tensors that lead on a handle of a variable that all of a graph only reads.

    Args:
      graph: the graph.
      is_read: whether a node only reads the variable whose handle a data input of it is, by the input's number.

    Returns:
      The name of a VarHandleOp by the full name of each tensor that is that handle and no other.
    """
    by_variable: dict[tuple[bytes, bytes], list[str]] = {}
    for name in graph.named({"VarHandleOp"}):
        node = graph.nodes[name]
        shared = attribute(node, "shared_name").s or name.encode()
        by_variable.setdefault((attribute(node, "container").s, shared), []).append(name)
    found: dict[str, str] = {}
    ways: collections.Counter[str] = collections.Counter()
    written: set[str] = set()
    for names in by_variable.values():
        only_read = True
        for name in names:
            led = {f"{name}:0": name}
            pending = [*led]
            for tensor in pending:  # grows while it is read
                for consumer, number in graph.consumers.get(tensor, ()):
                    op = graph.wires[consumer].op
                    only_read = only_read and (op in _HANDS_ON or is_read(graph.nodes[consumer], number))
                    given = (0, 1) if op == "Switch" else (0,) if op in _HANDS_ON else (number,) if op in LOOPS else ()
                    new = [t for t in (f"{consumer}:{output}" for output in given) if t not in led]
                    pending += new
                    led.update(dict.fromkeys(new, name))
            ways.update(pending)
            found.update(led)
        written.update(() if only_read else names)
    return {tensor: name for tensor, name in found.items() if ways[tensor] == 1 and name not in written}


def read_inside(draft: Draft, tensor: str) -> NodeDef | None:
    """The read of an unwritten variable that a tensor is, of which a function may have one of its own.

    A loop carries what it takes from outside from one iteration to the next, but for handles (lower_while_op.cc). A
    loop in a loop does not read it itself; see `gradients.read_in_outer_loops`.
    """
    name = split(tensor)[0]
    known = draft.wires[name]
    is_read = known.op == "ReadVariableOp" and not known.controls and known.sources[0] in draft.unwritten
    return draft.nodes[name] if is_read else None


def take_directly(draft: Draft) -> None:
    """Has each node take a handle, or an argument that is one, where it takes an Identity of it.

    An Identity says of its output that it is a scalar, and some shape functions take that for the variable's shape
    while a function is loaded; the gradient of an If or a While asks its inputs what they are handles of. What a Switch
    or an Enter leads on stays: there the node runs in a branch, or in a loop.
    """
    for name, known in list(draft.wires.items()):
        found = [behind_identities(draft, tensor) for tensor in known.data]
        waits = [s for s, handle in zip(known.sources, found, strict=True) if handle is not None]
        node = draft.nodes[name]
        if waits and not (known.op in _HANDS_ON and node.attr["T"].type == RESOURCE):
            data = [t if h is None else f"{h.name}:0" for t, h in zip(known.data, found, strict=True)]
            node = NodeDef.FromString(node.SerializeToString())
            node.input[:] = [*map(as_input, data), *(f"^{wait}" for wait in dict.fromkeys((*waits, *known.controls)))]
            draft.put(node)


def say_types(draft: Draft) -> None:
    """Has ops that want to know a variable's dtype and shape while a function is loaded take typed handles."""
    arguments = {name for name, known in draft.wires.items() if known.op == ARGUMENT}
    taken = {*draft.nodes}
    for node in list(draft.nodes.values()):
        if node.op in typed_handles.STRICT and typed_handles.needs_type(node, taken - arguments):
            made = list(typed_handles.typed_handle(node, taken - arguments))
            taken.update(new.name for new in made)
            node = NodeDef.FromString(node.SerializeToString())
            node.input[0] = made[-1].name
            for new in (*made, node):
                draft.put(new)


def behind_identities(draft: Draft, tensor: str) -> NodeDef | None:
    """The variable's handle that an Identity hands on; None for any other tensor."""
    handle = draft.handle(tensor)
    if handle is None or draft.nodes[split(tensor)[0]].op != "Identity":
        return None
    while (known := draft.wires[split(tensor)[0]]).op == "Identity":
        tensor = known.data[0]
    return handle if split(tensor)[0] == handle.name else None


_HANDS_ON = frozenset({"Enter", "Exit", "Identity", "Merge", "NextIteration", "Switch"})
