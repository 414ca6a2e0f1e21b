"""Ops that are put together from others: each is taken apart before a call is worked out.

What stands here is what a kernel does, in terms of ops that the table knows, so all that is known of those (order,
sharing of buffers, liveness) holds for it.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping, Sequence

from migrate.graph.protos import AttrValue
from migrate.proof import additive_trees, components, dead_ops, dead_predecessors, exponentials, fused, slices, trees
from migrate.proof.constants import int32, int32s, made
from migrate.proof.parts import FLOAT, INT32, Parts
from migrate.proof.program import Flat


def expanded(nodes: Sequence[Flat]) -> Sequence[Flat]:
    """The nodes of a call in which no op of `EXPANDED` is left; each node of the call keeps its place."""
    if not any(node.op in EXPANDED for node in nodes):
        return nodes
    result = list(nodes)
    for place, node in enumerate(nodes):
        expand = EXPANDED.get(node.op)
        if expand is not None:
            result[place] = expand(Parts(result, place, node))
    return result


def _pack(parts: Parts) -> Flat:
    """All elements one after another (tensor_array_ops.cc, TensorArrayPackOrGatherOp with LEGACY_PACK)."""
    node = parts.node
    if len(node.data) != 2:
        return parts.unknown("takes other inputs than it has")
    handle, flow = node.data
    if parts.is_gradient(handle):
        # A gradient has as many as its array had when it was filled (tensor_array.h, PackOrConcatSize).
        return parts.unknown("packs what may be a gradient, whose size is another one")
    size = parts.add("TensorArraySizeV3", "size", [handle, flow], {}), 0
    return parts.made("TensorArrayGatherV3", "", [handle, parts.range(size), flow], node.attr, node.controls)


def _unpack(parts: Parts) -> Flat:
    """Each row of a tensor as an element (tensor_array_ops.cc, TensorArrayUnpackOrScatterOp with LEGACY_UNPACK)."""
    node = parts.node
    if len(node.data) != 3 or "T" not in node.attr:
        return parts.unknown("takes other inputs than it has")
    handle, value, flow = node.data
    number = AttrValue(type=INT32)
    shape = parts.add("Shape", "shape", [value], {"T": node.attr["T"], "out_type": number}), 0
    first = parts.constant("first", int32s(0), shape)
    one = parts.constant("one", int32s(1), shape)
    rows = parts.add("Slice", "rows", [shape, first, one], {"T": number, "Index": number}), 0
    scalar = parts.constant("scalar", int32s(), shape)
    count = parts.add("Reshape", "count", [rows, scalar], {"T": number, "Tshape": number}), 0
    return parts.made("TensorArrayScatterV3", "", [handle, parts.range(count), value, flow], node.attr, node.controls)


def _ref_select(parts: Parts) -> Flat:
    """The ref that an index names (control_flow_ops.cc, RefSelectOp); an index that names none is an error."""
    node = parts.node
    if len(node.data) < 2 or "T" not in node.attr:
        return parts.unknown("takes other inputs than it has")
    index, *refs = node.data
    alive = []
    for number, ref in enumerate(refs):
        label = parts.constant(f"label_{number}", int32(number), index)
        chosen = parts.add("Equal", f"is_{number}", [index, label], {"T": AttrValue(type=INT32)}), 0
        switch = parts.add("RefSwitch", f"switch_{number}", [ref, chosen], {"T": node.attr["T"]})
        alive.append((switch, 1))
    return parts.made("RefMerge", "", alive, {"T": node.attr["T"]}, node.controls)


def _shrink(parts: Parts) -> Flat:
    """Each weight w becomes sign(w) * max(|w| - l1 / l2, 0) (sdca_ops.cc, sdca_internal.h: EigenShrinkVector)."""
    node = parts.node
    if "l1" not in node.attr or "l2" not in node.attr:
        return parts.unknown("has no l1 or no l2")
    ratio = _ratio(node.attr["l1"].f, node.attr["l2"].f)
    if ratio is None:
        return parts.unknown("divides by zero")
    t = {"T": AttrValue(type=FLOAT)}
    writes = []
    for number, ref in enumerate(node.data):
        name = f"weight_{number}"
        weight = parts.add("DeepCopy", f"{name}/read", [ref], t, node.controls), 0
        less = parts.constant(f"{name}/shrinkage", made("float32", ratio), weight)
        zero = parts.constant(f"{name}/zero", made("float32", 0.0), weight)
        size = parts.add("Abs", f"{name}/abs", [weight], t), 0
        rest = parts.add("Sub", f"{name}/sub", [size, less], t), 0
        kept = parts.add("Maximum", f"{name}/max", [rest, zero], t), 0
        sign = parts.add("Sign", f"{name}/sign", [weight], t), 0
        shrunk = parts.add("Mul", f"{name}/mul", [sign, kept], t), 0
        kept_shape = {**t, "validate_shape": AttrValue(b=False)}  # Each element is written in place.
        writes.append(parts.add("Assign", f"{name}/assign", [ref, shrunk], kept_shape))
    return parts.made("NoOp", "", [], {}, [*node.controls, *writes])


def _ratio(one: float, other: float) -> float | None:
    """A quotient in single precision, as the kernel has it."""
    if not other:
        return None
    try:
        (found,) = struct.unpack("<f", struct.pack("<f", one / other))
    except OverflowError:
        return None
    return float(found)


EXPANDED: Mapping[str, Callable[[Parts], Flat]] = {
    "TensorArrayPack": _pack,
    "TensorArrayUnpack": _unpack,
    "RefSelect": _ref_select,
    "SdcaShrinkL1": _shrink,
    **dead_ops.EXPANDED,
    **dead_predecessors.EXPANDED,
    **trees.EXPANDED,
    **additive_trees.EXPANDED,
    **components.EXPANDED,
    **exponentials.EXPANDED,
    **fused.EXPANDED,
    **slices.EXPANDED,
}
"""Ops that are taken apart -> how."""
