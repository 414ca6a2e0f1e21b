"""TensorArrays that are written or read as a whole: XLA and TFLite have ops for that, and none for single rows."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from migrate.functional.draft import Draft
from migrate.graph.graph import split

_DEEPEST = 8
_HANDS_ON = frozenset({"Enter", "Identity", "Switch"})
_SIZES = frozenset({"TensorArraySizeV3", "TensorListLength"})
_RESERVES = frozenset({"TensorArrayV3", "TensorListReserve"})
_SAME = frozenset({"Const", "Identity", "Pack", "Shape", "StridedSlice"})
"""Ops that give the same for the same inputs, as far as the size of a tensor is computed with them."""
_COMPUTE = _SAME | _SIZES | _RESERVES | {"Range"}
"""Ops that are needed no more once an op takes a whole array."""


def is_every(draft: Draft, indices: str, flow: str, size: str | None) -> bool:
    """Whether indices are those of all elements of an array.

    Args:
      draft: the graph.
      indices: the tensor.
      flow: of the array where the elements are read.
      size: the tensor of how many elements it has from beginning to end; None where it may grow. TF1 takes that tensor
        itself for the array's size (tensor_array_ops.py, `size`).
    """
    limit = _limit(draft, indices)
    if limit is None:
        return False
    known = draft.wires[split(limit)[0]]
    if known.op in _SIZES:
        return _list_of(draft, known.data[-1]) == _list_of(draft, flow)
    if size is None:
        return False
    return _is_same(draft, draft.before(limit, _HANDS_ON), draft.before(size, _HANDS_ON), _DEEPEST)


def are_distinct(draft: Draft, indices: str) -> bool:
    """Whether indices are known to be different from each other: a range, or a constant.

    The gradient of TensorListGather has one value for each element, and not the sum where one is taken twice.

    Args:
      draft: the graph.
      indices: a tensor of int32.
    """
    name = split(draft.before(indices, _HANDS_ON))[0]
    node = draft.nodes[name]
    if node.op == "Range":
        return True
    if node.op != "Const":
        return False
    shape = [dim.size for dim in node.attr["value"].tensor.tensor_shape.dim]
    stored = draft.int32s(f"{name}:0", shape)
    # The last one that is stored stands for all that follow it.
    return stored is not None and len(shape) == 1 and (shape[0] < 2 or len(set(stored)) == shape[0])


def waits(draft: Draft, tensors: Iterable[str]) -> tuple[str, ...]:
    """What indices and sizes wait for, in the place of which an op for a whole array is.

    Args:
      draft: the graph.
      tensors: full names of tensors that the op does not take.

    Returns:
      Names of nodes.
    """
    pending = [split(tensor)[0] for tensor in tensors]
    seen: set[str] = set()
    found: dict[str, None] = {}
    for name in pending:  # grows while it is read
        known = draft.wires[name]
        if name in seen or known.op not in _COMPUTE:
            continue
        seen.add(name)
        found.update(dict.fromkeys(known.controls))
        if known.op not in _SIZES:  # The op takes the flow as well.
            pending += known.sources
    return tuple(found)


def fills(draft: Draft, indices: str, value: str, flow: str) -> bool:
    """Whether a tensor gives all elements of an array, of which none is written before.

    Args:
      draft: the graph.
      indices: under which the tensor's rows are written.
      value: the tensor.
      flow: of the array where they are written.
    """
    array = draft.wires[split(flow)[0]]
    limit = _limit(draft, indices)
    if array.op not in _RESERVES or limit is None:
        return False
    size = array.data[1] if array.op == "TensorListReserve" else array.data[0]
    return _is_same(draft, limit, size, _DEEPEST) and _is_length(draft, limit, value)


def _list_of(draft: Draft, flow: str) -> str:
    """A flow; the one that an array begins with is its first output once the array is a list."""
    name = split(flow)[0]
    return name if draft.wires[name].op in _RESERVES else flow


def _limit(draft: Draft, indices: str) -> str | None:
    """The end of a range that begins with 0 and goes up by 1."""
    known = draft.wires[split(indices)[0]]
    if known.op != "Range" or _number(draft, known.data[0]) != 0 or _number(draft, known.data[2]) != 1:
        return None
    return known.data[1]


def _number(draft: Draft, tensor: str) -> int | None:
    """The value of an int32 scalar that is a constant."""
    return _only_one(draft.int32s(tensor, ()))


def _is_length(draft: Draft, tensor: str, value: str) -> bool:
    """Whether a tensor is the size of the first dimension of another one."""
    known = draft.wires[split(tensor)[0]]
    if known.op != "StridedSlice":
        return False
    node, shape = draft.nodes[split(tensor)[0]], draft.wires[known.sources[0]]
    masks = (
        node.attr[key].i for key in ("begin_mask", "end_mask", "ellipsis_mask", "new_axis_mask") if key in node.attr
    )
    bounds = [_only(draft, each) for each in known.data[1:]]
    return (
        shape.op == "Shape"
        and _is_same(draft, shape.data[0], value, _DEEPEST)
        and bounds == [0, 1, 1]
        and node.attr["shrink_axis_mask"].i == 1
        and not any(masks)
    )


def _only(draft: Draft, tensor: str) -> int | None:
    """The value of an int32 vector of one element that is a constant."""
    return _only_one(draft.int32s(tensor, (1,)))


def _only_one(stored: Sequence[int] | None) -> int | None:
    return stored[0] if stored is not None and len(stored) == 1 else None


def _is_same(draft: Draft, one: str, other: str, depth: int) -> bool:
    """Whether two tensors are known to be equal."""
    if one == other:
        return True
    first, second = draft.wires[split(one)[0]], draft.wires[split(other)[0]]
    if not depth or first.op != second.op or first.op not in _SAME or split(one)[1] != split(other)[1]:
        return False
    kept = [
        {key: value for key, value in draft.nodes[split(t)[0]].attr.items() if not key.startswith("_")}
        for t in (one, other)
    ]
    return (
        kept[0] == kept[1]
        and len(first.data) == len(second.data)
        and all(_is_same(draft, a, b, depth - 1) for a, b in zip(first.data, second.data, strict=True))
    )
