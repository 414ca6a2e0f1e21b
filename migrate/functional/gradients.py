"""What lets TensorFlow differentiate loops of a model that it has loaded.

It forgets what the arguments of a loop's function are handles of, even in a model that it made itself: the FunctionDef
that it makes anew has no handle data (control_flow_util_v2.py, `get_func_graph`).
"""

from __future__ import annotations

import collections
from collections.abc import Iterable, Sequence, Set

from migrate.functional.draft import Draft
from migrate.graph.dtypes import dtype_value
from migrate.graph.graph import as_input, attribute, canonical, split
from migrate.graph.protos import NodeDef
from migrate.rewrite.new_nodes import new_node

_DEEPEST = 1000
_DEPEND = frozenset(
    {"If", "PartitionedCall", "ReadVariableOp", "ResourceGather", "ResourceGatherNd", "StatefulPartitionedCall"}
)
"""Ops with a gradient for a variable whose handle they take, in a loop too; see `read_in_outer_loops` for While."""
_DIFFERENTIABLE = frozenset(map(dtype_value, ("bfloat16", "complex64", "complex128", "float16", "float32", "float64")))
"""DataTypes of variables, and of results, that have gradients (default_gradient.py, `get_zeros_dtype`)."""


def look_up_in_values(draft: Draft) -> None:
    """Has a ResourceGatherNd in a loop or branch look into the variable's value, which is read there.

    For the gradient TensorFlow imports the function anew, and then takes the shape of the handle for the variable's
    (common_shape_fns.cc, GatherNdShape).
    """
    for name in [name for name, known in draft.wires.items() if known.op == "ResourceGatherNd"]:
        node, known = draft.nodes[name], draft.wires[name]
        if draft.wires[known.sources[0]].op == "VarHandleOp":
            continue
        waits = [f"^{wait}" for wait in known.controls]
        dtype = attribute(node, "dtype").type
        inputs = [as_input(known.data[0]), *waits]
        read = draft.put(new_node("ReadVariableOp", draft.unique(f"{name}/value"), inputs, dtype=dtype))
        types = {"Tparams": dtype, "Tindices": attribute(node, "Tindices").type}
        draft.put(new_node("GatherNd", name, [read.name, as_input(known.data[1]), *waits], **types))


def read_in_outer_loops(draft: Draft) -> bool:
    """Reads unwritten variables in the outermost loop, whose inner loops and branches then take values, not handles.

    With handles a While in a While gives zeros for a variable's gradient (while_v2.py, `_preprocess_grad`), and the
    gradient of an If fails where one branch reads a variable and the other does not (cond_v2.py,
    `_create_zeros_for_none_grads`).

    Returns:
      Whether it has changed something.
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
    if values:
        _remove_idle(draft, {split(tensor)[0] for tensor in values})
    return bool(values)


def _remove_idle(draft: Draft, led: Set[str]) -> None:
    """Takes out what leads a handle on to nobody: a Switch that leads to no end of a loop keeps it from being a While.

    Args:
      draft: nodes are taken out of it.
      led: names of nodes that lead a handle on.
    """
    users = collections.Counter(source for known in draft.wires.values() for source in known.behind)
    idle = [name for name in led if not users[name]]
    for name in idle:  # grows while it is read
        for source in draft.wires[name].behind:
            users[source] -= 1
            if not users[source] and source in led:
                idle.append(source)
    draft.remove(idle)


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


def read_variables(draft: Draft, names: Iterable[str]) -> frozenset[str]:
    """Names of the handles, or of the arguments that are handles, of variables that some nodes read."""
    found = (draft.handle(t) for name in names if draft.wires[name].op in _DEPEND for t in draft.wires[name].data)
    return frozenset(handle.name for handle in found if handle is not None)


def with_gradients(draft: Draft, results: Sequence[str], handles: Sequence[str]) -> list[str]:
    """The results of a branch in a loop, one of which gives some variables a gradient, if only zeros.

    The gradient of an If fails where one branch has a gradient for a variable and the other has none; see
    `read_in_outer_loops`. An IdentityN gives each of its inputs a gradient, used or not.

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
