"""Handles whose dtype and shape are known while TensorFlow loads a function.

The loader gives the arguments of a function their handle data after it has imported the body
(function_def_to_graph.py, `_set_handle_data`), and some shape functions fail on a handle without
(state_ops.cc: "Handle has no shape/type information"). No op takes a handle and says what it holds; but a list of
handles has the handle data of its first, so the handle is taken out of a list that begins with one of the same type.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator

from migrate.graph.graph import data_inputs, unique_name
from migrate.graph.protos import NodeDef
from migrate.rewrite.new_nodes import DT_RESOURCE, constant, new_node

_SCALARS = frozenset({"ResourceCountUpTo"})
"""Ops whose shape function fails on a handle of which nothing is known; what is behind it must be a scalar."""

_ND = frozenset({"ResourceGatherNd", *(f"ResourceScatterNd{name}" for name in ("Add", "Max", "Min", "Sub", "Update"))})
"""Ops whose shape function takes the handle's own shape for the variable's where nothing is known of the variable.

An argument of a function has no shape while the body is imported; what Identity, Enter or Merge gives is a scalar
(common_shape_fns.cc, GatherNdShape; array_ops.cc, ScatterNdUpdateShape).
"""

STRICT = _SCALARS | _ND


def needs_type(user: NodeDef, taken: Collection[str]) -> bool:
    """Whether a node's handle must be given a type.

    Args:
      user: any node.
      taken: names of nodes; captured handles are not among them.
    """
    if user.op in _ND:
        return data_inputs(user)[0].partition(":")[0] in taken
    return user.op in _SCALARS


def typed_handle(user: NodeDef, taken: Collection[str]) -> Iterator[NodeDef]:
    """The nodes that give a node's handle with its type; the last one is the handle. No variable is made.

    Args:
      user: a node of a `STRICT` op.
      taken: names of nodes.
    """
    handle = data_inputs(user)[0]
    like = NodeDef(name=unique_name(f"{user.name}/like", taken), op="VarHandleOp")
    source = handle.partition(":")[0]
    if source in taken:  # In the loop or branch of the handle; a captured one is in none.
        like.input.append(f"^{source}")
    like.attr["dtype"].type = user.attr["dtype" if "dtype" in user.attr else "T"].type
    like.attr["shape"].shape.unknown_rank = user.op in _ND
    like.attr["shared_name"].s = like.name.encode()
    pack = new_node("Pack", unique_name(f"{user.name}/handles", taken), [like.name, handle], T=DT_RESOURCE)
    pack.attr["N"].i = 2
    pack.attr["axis"].i = 0
    names = [unique_name(f"{user.name}/handles/{part}", taken) for part in ("begin", "end", "strides")]
    bounds = [constant(name, [value], [pack.name]) for name, value in zip(names, (1, 2, 1), strict=True)]
    slice_ = new_node("StridedSlice", unique_name(f"{user.name}/handle", taken), [pack.name, *names], T=DT_RESOURCE)
    slice_.attr["Index"].type = bounds[0].attr["dtype"].type
    slice_.attr["shrink_axis_mask"].i = 1
    yield from (like, pack, *bounds, slice_)
