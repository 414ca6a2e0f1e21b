"""What TensorFlow refuses before it runs anything: a value where a ref is needed, an input of another form."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence

from migrate.graph.op_table import REF_VARIABLES, load_op_table
from migrate.graph.protos import AttrValue
from migrate.proof.equations import MAKERS, WRITES
from migrate.proof.program import Flat

Form = tuple[int, tuple[int, ...] | None]
"""DataType value of an input, 0 where it is not known, and its shape, None where that is not known."""

_REF_FLOW = frozenset({"RefEnter", "RefExit", "RefIdentity", "RefMerge", "RefNextIteration", "RefSwitch"})


def lacks_ref(nodes: Sequence[Flat], node: Flat) -> bool:
    """Whether a node takes a value where it needs a ref (op definitions: `Ref(T)`)."""
    if node.op in _REF_FLOW:
        needed = node.data if node.op == "RefMerge" else node.data[:1]
    elif node.op in WRITES and load_op_table()[node.op].has_ref:
        needed = node.data[: WRITES[node.op].cells]
    else:
        return False
    return any(not _may_give_ref(nodes[place]) for place, _ in needed)


def _may_give_ref(node: Flat) -> bool:
    op = node.op
    if op.startswith("=") or not node.attr:
        return True  # What stands for an argument or a result of a call.
    is_writer = op in WRITES and not WRITES[op].results and load_op_table()[op].has_ref
    is_maker = op in MAKERS and load_op_table()[op].has_ref
    return is_writer or is_maker or op in REF_VARIABLES or op in _REF_FLOW or op in _OTHER_GIVERS


_OTHER_GIVERS = frozenset({"DebugGradientRefIdentity", "FakeQueue", "RefSelect", "TemporaryVariable"})


def form(attr: Mapping[str, AttrValue]) -> Form:
    """The form of what a placeholder gives."""
    dtype = attr["dtype"].type if "dtype" in attr else 0
    shape = attr["shape"].shape if "shape" in attr else None
    if shape is None or shape.unknown_rank or not shape.dim:
        return dtype, None  # No dimensions: a scalar, or in older graphs any shape.
    return dtype, tuple(dim.size for dim in shape.dim)


def other_form(source: Mapping[Hashable, Form], candidate: Mapping[Hashable, Form]) -> str:
    """An input that one of two calls takes in another form than the other; empty where there is none."""
    for key in source.keys() & candidate.keys():
        (dtype, shape), (other_dtype, other_shape) = source[key], candidate[key]
        if dtype and other_dtype and dtype != other_dtype:
            return f"the input {key!r} has another dtype"
        if shape is not None and other_shape is not None and not _meet(shape, other_shape):
            return f"the input {key!r} has another shape"
    return ""


def _meet(one: tuple[int, ...], other: tuple[int, ...]) -> bool:
    return len(one) == len(other) and all(-1 in (a, b) or a == b for a, b in zip(one, other, strict=True))
