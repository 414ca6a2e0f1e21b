"""Handles of variables and named resources stand outside of all loops and branches.

Each becomes one captured object of the new model, which functions take as an argument.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from migrate.functional.draft import ARGUMENT, RESOURCE, Draft
from migrate.graph.dtypes import dtype_value
from migrate.graph.graph import Graph, as_input, attribute, canonical, split
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
    by_variable: dict[tuple[bytes, bytes], list[str]] = {}
    for name in graph.named({"VarHandleOp"}):
        node = graph.nodes[name]
        shared = attribute(node, "shared_name").s or name.encode()
        by_variable.setdefault((attribute(node, "container").s, shared), []).append(name)
    found: list[str] = []
    for names in by_variable.values():
        pending = [f"{name}:0" for name in names]
        seen = set(names)
        is_read = True
        for tensor in pending:  # grows while it is read
            for consumer, _ in graph.consumers.get(tensor, ()):
                op = graph.wires[consumer].op
                is_read = is_read and (op in _READS or op in _HANDS_ON)
                if op in _HANDS_ON and consumer not in seen:
                    seen.add(consumer)
                    pending += [f"{consumer}:0", f"{consumer}:1"]
        found += names if is_read else []
    return frozenset(found)


def read_inside(draft: Draft, tensor: str) -> NodeDef | None:
    """The read of an unwritten variable that a tensor is, of which a function may have one of its own.

    A loop carries what it takes from outside from one iteration to the next, but for handles (lower_while_op.cc). A
    loop in a loop does not read it itself; see `read_in_outer_loops`.
    """
    name = split(tensor)[0]
    known = draft.wires[name]
    is_read = known.op == "ReadVariableOp" and not known.controls and known.sources[0] in draft.unwritten
    return draft.nodes[name] if is_read else None


def read_in_outer_loops(draft: Draft) -> None:
    """Reads unwritten variables in the outermost loop, whose inner loops and branches then take values, not handles.

    TensorFlow forgets what the arguments of a loop's function are handles of once it has loaded a model, even one that
    it made itself. Then a While in a While gives zeros for a variable's gradient (while_v2.py, `_preprocess_grad`), and
    the gradient of an If fails where one branch reads a variable and the other does not (cond_v2.py,
    `_create_zeros_for_none_grads`).
    """
    values: dict[str, str] = {}
    for name in [name for name, known in draft.wires.items() if known.op == "ReadVariableOp"]:
        known = draft.wires[name]
        entered, inside = _way_in(draft, known.data[0])
        if entered is None or not inside:
            continue
        dtype = attribute(draft.nodes[name], "dtype").type
        if entered not in values:
            read = new_node(
                "ReadVariableOp", draft.unique(f"{split(entered)[0]}/value"), [as_input(entered)], dtype=dtype
            )
            values[entered] = f"{draft.put(read).name}:0"
        for tensor in reversed(inside):
            node = draft.nodes[split(tensor)[0]]
            if tensor not in values:
                new = NodeDef.FromString(node.SerializeToString())
                new.name = draft.unique(f"{node.name}/value")
                new.input[0] = as_input(values[canonical(node.input[0])])
                new.attr["T"].type = dtype
                draft.put(new)
                values.update((f"{node.name}:{output}", f"{new.name}:{output}") for output in (0, 1))
        waits = [f"^{wait}" for wait in known.controls]
        draft.put(new_node("Identity", name, [as_input(values[known.data[0]]), *waits], T=dtype))
    # A Switch in a loop that leads to none of its ends would keep the loop from being a While.
    idle = {split(tensor)[0] for tensor in values if draft.wires[split(tensor)[0]].op in ("Enter", "Switch")}
    while gone := idle - {source for known in draft.wires.values() for source in known.behind}:
        draft.remove(gone)
        idle -= gone


def _way_in(draft: Draft, tensor: str) -> tuple[str | None, list[str]]:
    """How an unwritten variable's handle comes to where a tensor is.

    Returns:
      Its tensor in the outermost loop, None where it is in no loop or the tensor is something else; and its tensors
      from there inward, the last one first.
    """
    way: list[str] = []
    while (known := draft.wires[split(tensor)[0]]).op in ("Enter", "Switch") and len(way) < _DEEPEST:
        way.append(tensor)
        tensor = known.data[0]
    if split(tensor)[0] not in draft.unwritten:
        return None, []
    entered = [at for at, each in enumerate(way) if draft.wires[split(each)[0]].op == "Enter"]
    return (way[entered[-1]], way[: entered[-1]]) if entered else (None, [])


def read(draft: Draft, names: Iterable[str]) -> frozenset[str]:
    """Names of the handles, or of the arguments that are handles, of variables that some nodes read."""
    found = (draft.handle(t) for name in names if draft.wires[name].op in _DEPEND for t in draft.wires[name].data)
    return frozenset(handle.name for handle in found if handle is not None)


def with_gradients(draft: Draft, results: Sequence[str], handles: Sequence[str]) -> list[str]:
    """The results of a branch in a loop, one of which gives some variables a gradient, if only zeros.

    The gradient of an If needs the shape of a variable for which one branch has a gradient and the other has none, and
    fails in a loop; see `read_in_outer_loops`. An IdentityN gives each of its inputs a gradient, used or not.

    Args:
      draft: the branch; nodes are added to it.
      results: full names of tensors.
      handles: names of the arguments that are handles of those variables.
    """
    dtypes = [draft.dtype(tensor) for tensor in results]
    first = next((position for position, dtype in enumerate(dtypes) if dtype in _DIFFERENTIABLE), None)
    held = [name for name in handles if draft.nodes[name].attr["dtype"].type in _DIFFERENTIABLE]
    if first is None or not held:
        return [*results]
    own = draft.unique(f"{split(results[first])[0]}/result")
    taken, types = [as_input(results[first])], [dtypes[first]]
    for handle in held:
        dtype = draft.nodes[handle].attr["dtype"].type
        value = draft.put(new_node("ReadVariableOp", draft.unique(f"{handle}/value"), [handle], dtype=dtype))
        draft.unawaited.add(value.name)
        taken.append(value.name)
        types.append(dtype)
    node = NodeDef(name=own, op="IdentityN", input=taken)
    node.attr["T"].list.type.extend(types)
    draft.put(node)
    return [*results[:first], f"{own}:0", *results[first + 1 :]]


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


_READS = frozenset({"ReadVariableOp", "ResourceGather", "ResourceGatherNd", "VariableShape"})
_DEEPEST = 1000
_DEPEND = frozenset(
    {"If", "PartitionedCall", "ReadVariableOp", "ResourceGather", "ResourceGatherNd", "StatefulPartitionedCall"}
)
"""Ops with a gradient for a variable whose handle they take, in a loop too; see `read_in_outer_loops` on While."""
_DIFFERENTIABLE = frozenset(map(dtype_value, ("bfloat16", "complex64", "complex128", "float16", "float32", "float64")))
"""DataTypes of variables, and of results, that have gradients (default_gradient.py, `get_zeros_dtype`)."""
_HANDS_ON = frozenset({"Enter", "Exit", "Identity", "Merge", "NextIteration", "Switch"})
