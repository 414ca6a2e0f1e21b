"""What TensorLists hold, and TensorArrays that are values (see `lists`): both are one term.

It says what is there where TF1 gives an answer. TF1 gives none for an element that was written twice, or never, unless
the shape of all elements is known; a TensorList may.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

from migrate.graph.dtypes import base_name, dtype_value
from migrate.graph.protos import AttrValue, TensorShapeProto
from migrate.proof import attributes, constants
from migrate.proof.equations import ARRAY_FLOWS, IGNORED_ATTRIBUTES
from migrate.proof.filled import is_filled
from migrate.proof.list_sizes import list_size
from migrate.proof.ops import kept
from migrate.proof.program import Flat
from migrate.proof.side import Side
from migrate.proof.states import read
from migrate.proof.terms import Term

Shape = tuple[int, ...] | None
"""Sizes of dimensions, -1 for one that is not known; None where not even their number is."""

_INT32 = dtype_value("int32")
_MOST_WRITES = 2000
_KNOWN = frozenset(
    {"element_dtype", "shape_type", "num_elements", "resize_if_index_out_of_bounds", "Tshape", *IGNORED_ATTRIBUTES}
)


def array_op(side: Side, place: int, node: Flat) -> None:
    """An op of a TensorArray that is a value gives what the list would."""
    maker = side.nodes[side.lists.arrays[place]]
    dtype, shape = maker.attr["dtype"].type if "dtype" in maker.attr else 0, _declared(maker.attr, "element_shape")
    if node is maker:
        attrs = attributes.canonical("TensorArrayV3", "TensorArrayV3", node.attr, {}, frozenset())
        size = read(side, place, node.data[0])
        side.values[place, 0] = side.own(place, "TensorArrayV3", attrs, [size], node)
        side.values[place, 1] = side.terms.make("list", (dtype, shape), (size,))
        side.made[place] = side.values[place, 1]
        return
    key = next((key for key in ("T", "dtype") if key in node.attr), None)
    if not dtype or (key is not None and node.attr[key].type != dtype):
        side.values[place, 0] = side.unknown(f"{node.op} {node.label!r} has another dtype than its array")
        return
    flow = side.value(node.data[ARRAY_FLOWS[node.op]])
    others = [kept(side, place, tensor) for tensor in node.data[1 : ARRAY_FLOWS[node.op]]]
    make = side.terms.make
    is_dynamic = "dynamic_size" in maker.attr and maker.attr["dynamic_size"].b
    match node.op:
        case "TensorArrayWriteV3":
            found = _written(side, place, node, (dtype, is_dynamic), flow, others[0], others[1])
        case "TensorArrayScatterV3":
            found = _scattered(side, dtype, flow, others[0], others[1])
        case "TensorArrayReadV3":
            found = make("list get", (dtype, shape), (flow, others[0]))
        case "TensorArrayGatherV3":
            found = make("list gather", (dtype, _declared(node.attr, "element_shape")), (flow, others[0]))
        case "TensorArraySizeV3":
            found = list_size(side, node.data[ARRAY_FLOWS[node.op]], flow)
        case _:
            rows = _declared(node.attr, "element_shape_except0")
            found = make("list concat", (dtype, None if rows is None else (-1, *rows)), (flow,))
            if shape is not None and -1 not in shape and not is_filled(side, side.lists.arrays[place], flow):
                found = side.unknown(f"{node.op} {node.label!r} gives zeros for what was never written")
    side.values[place, 0] = found


def list_op(side: Side, place: int, node: Flat, op: str) -> None:
    """An op of a TensorList."""
    rule = _RULES[op]
    has_dtype = "element_dtype" in node.attr or op == "TensorListLength"
    if not set(node.attr) <= _KNOWN or len(node.data) != rule[0] or not has_dtype:
        side.values[place, 0] = side.unknown(f"{op} {node.label!r} has other inputs or attributes than it has")
        return
    dtype = node.attr["element_dtype"].type if "element_dtype" in node.attr else 0
    taken = [kept(side, place, tensor) for tensor in node.data]
    side.values[place, 0] = rule[1](side, place, node, dtype, taken)


def _get(side: Side, place: int, node: Flat, dtype: int, taken: list[Term]) -> Term:
    flow, index, shape = taken
    return _with_shape(side, node, shape, lambda known: side.terms.make("list get", (dtype, known), (flow, index)))


def _gather(side: Side, place: int, node: Flat, dtype: int, taken: list[Term]) -> Term:
    flow, indices, shape = taken
    return _with_shape(side, node, shape, lambda known: side.terms.make("list gather", (dtype, known), (flow, indices)))


def _stack(side: Side, place: int, node: Flat, dtype: int, taken: list[Term]) -> Term:
    """All elements: a gather of the numbers up to the size (TensorListStack)."""
    flow, shape = taken
    if "num_elements" in node.attr and node.attr["num_elements"].i != -1:
        return side.unknown(f"{node.op} {node.label!r} wants a number of elements")
    return _gather(side, place, node, dtype, [flow, _range(side, list_size(side, node.data[0], flow)), shape])


def _set(side: Side, place: int, node: Flat, dtype: int, taken: list[Term]) -> Term:
    key = "resize_if_index_out_of_bounds"
    is_dynamic = key in node.attr and node.attr[key].b
    return _written(side, place, node, (dtype, is_dynamic), *taken)


def _concat(side: Side, place: int, node: Flat, dtype: int, taken: list[Term]) -> Term:
    flow, shape, leading = taken
    proto = side.shared.tensors.get(leading)
    if proto is None or constants.shape_of(proto) != (0,):
        return side.unknown(f"{node.op} {node.label!r} has sizes for what was never written")
    return _with_shape(side, node, shape, lambda known: side.terms.make("list concat", (dtype, known), (flow,)))


def _reserve(side: Side, place: int, node: Flat, dtype: int, taken: list[Term]) -> Term:
    shape, size = taken
    return _with_shape(side, node, shape, lambda known: side.terms.make("list", (dtype, known), (size,)))


def _from_tensor(side: Side, place: int, node: Flat, dtype: int, taken: list[Term]) -> Term:
    value, shape = taken
    return _with_shape(side, node, shape, lambda known: side.terms.make("list rows", (dtype, known), (value,)))


def _existing(side: Side, place: int, node: Flat, dtype: int, taken: list[Term]) -> Term:
    flow, value, indices = taken
    return _scattered(side, dtype, flow, indices, value)


def _size(side: Side, place: int, node: Flat, dtype: int, taken: list[Term]) -> Term:
    return list_size(side, node.data[0], taken[0])


_Rule = Callable[[Side, int, Flat, int, list[Term]], Term]
_RULES: Mapping[str, tuple[int, _Rule]] = {
    "TensorListConcatV2": (3, _concat),
    "TensorListFromTensor": (2, _from_tensor),
    "TensorListGather": (3, _gather),
    "TensorListGetItem": (3, _get),
    "TensorListLength": (1, _size),
    "TensorListReserve": (2, _reserve),
    "TensorListScatterIntoExistingList": (3, _existing),
    "TensorListSetItem": (3, _set),
    "TensorListStack": (2, _stack),
}


def _scattered(side: Side, dtype: int, flow: Term, indices: Term, value: Term) -> Term:
    """Rows under indices, of which there are as many as rows, or it is an error.

    Where the indices are those of all elements of a list of which none is written, it is the list of the rows.
    """
    head, more, taken = side.terms.parts(flow)
    if head != "list":
        return side.unknown("what is scattered into an array may meet what was written before")
    if more[0] == dtype and indices == _range(side, taken[0]):
        return side.terms.make("list rows", more, (value,))
    return side.terms.make("list scatter", dtype, (flow, indices, value))


def _written(side: Side, place: int, node: Flat, more: tuple[int, bool], flow: Term, index: Term, value: Term) -> Term:
    """An element in a list: no other one was written under its index, or TF1 gives an error."""
    terms = side.terms
    why = f"{node.op} {node.label!r} may write what was written before"
    if place in side.lists.in_loop:
        # In each iteration another one.
        if not terms.varies(index):
            return side.unknown(why)
    elif side.nodes[place].op == "TensorArrayWriteV3":
        seen = {side.shared.scalar(index)}
        before = flow
        for _ in range(_MOST_WRITES):
            head, _, taken = terms.parts(before)
            if head == "list":
                break
            number = side.shared.scalar(taken[1]) if head == "list set" else None
            if number is None or None in seen or number in seen:
                return side.unknown(why)
            seen.add(number)
            before = taken[0]
        else:
            return side.unknown(why)
    return terms.make("list set", more, (flow, index, value))


def _range(side: Side, limit: Term) -> Term:
    attrs = attributes.canonical("Range", "Range", {"Tidx": AttrValue(type=_INT32)}, {}, frozenset())
    return side.terms.make("Range", attrs, (side.shared.number(0), limit, side.shared.number(1)))


def _with_shape(side: Side, node: Flat, term: Term, make: Callable[[Shape], Term]) -> Term:
    """What a list op gives whose element shape is a constant."""
    proto = side.shared.tensors.get(term)
    sizes = None if proto is None else constants.shape_of(proto)
    if proto is None or sizes is None or len(sizes) > 1 or base_name(proto.dtype) not in ("int32", "int64"):
        return side.unknown(f"{node.op} {node.label!r} has an element shape that is no constant")
    import numpy as np

    name = base_name(proto.dtype)
    data = constants.numbers(proto, name, math.prod(sizes))
    given = None if data is None else tuple(int(size) for size in np.frombuffer(data, name))
    if given is None or any(size < -1 for size in given) or (not sizes and given != (-1,)):
        return side.unknown(f"{node.op} {node.label!r} has an element shape that is none")
    return make(given if sizes else None)


def _declared(attr: Mapping[str, AttrValue], key: str) -> Shape:
    shape = attr[key].shape if key in attr else TensorShapeProto(unknown_rank=True)
    return None if shape.unknown_rank else tuple(dim.size for dim in shape.dim)
