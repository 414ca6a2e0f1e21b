"""CompareAndBitpack, which TensorFlow 2 does not have any more."""

from __future__ import annotations

from migrate.graph.dtypes import dtype_value
from migrate.graph.graph import attribute
from migrate.graph.protos import NodeDef
from migrate.rewrite.aliases import producer
from migrate.rewrite.builder import Builder
from migrate.rewrite.new_nodes import BOOL, INT32, Edit, replaced
from migrate.rewrite.op_facts import Op
from migrate.rewrite.rule import Rule
from migrate.rewrite.scope import Scope

_UINT8 = dtype_value("uint8")
_BITS = 8


def _bitpack(node: NodeDef, scope: Scope) -> Edit:
    """Whether each element is greater than the threshold, eight of them a byte, the first in its highest bit.

    core/kernels/compare_and_bitpack_op.cc. A bool is taken as it is.
    """
    dtype = attribute(node, "T").type
    b = Builder(scope, node, T=INT32)
    given, threshold = b.value(0), b.shaped(b.value(1), "threshold", dtype)
    beside = producer(given)
    if dtype == BOOL:
        # The element itself, beside a threshold that must be a scalar.
        holds = b.node("LogicalOr", [given, b.node("LogicalAnd", [given, threshold], "both")], "holds")
        for made in b.nodes[-2:]:
            made.attr.clear()
    else:
        holds = b.Greater(given, threshold, name="holds", T=dtype)
    shape = b.Shape(given, T=dtype, out_type=INT32)
    ends = [b.constant(name, [number], beside) for name, number in (("begin", 0), ("last", -1), ("step", 1))]
    outer = b.node("StridedSlice", [shape, *ends], "outer", {"begin_mask": 1}, T=INT32, Index=INT32)
    ends = [ends[1], ends[0], ends[2]]
    inner = b.node("StridedSlice", [shape, *ends], "inner", {"end_mask": 1}, T=INT32, Index=INT32)
    bits, axis = b.constant("bits", [_BITS], beside), b.constant("axis", 0, beside)
    parts = [outer, b.FloorDiv(inner, bits, name="bytes"), bits, axis]
    by_byte = b.node("ConcatV2", parts, "by_byte", {"N": 3}, T=INT32, Tidx=INT32)
    grouped = b.Reshape(holds, by_byte, name="grouped", T=BOOL, Tshape=INT32)
    worth = b.constant("worth", [1 << bit for bit in reversed(range(_BITS))], beside)
    numbers = b.Mul(b.Cast(grouped, name="ones", SrcT=BOOL, DstT=INT32), worth, name="numbers")
    total = b.Sum(numbers, b.constant("along", -1, beside), T=INT32, Tidx=INT32)
    last = replaced(node, "Cast", [total])
    last.attr.clear()
    last.attr["SrcT"].type, last.attr["DstT"].type = INT32, _UINT8
    return b.edit(last)


BITPACK = Rule("bitpack", {"CompareAndBitpack": Op(fewest=2)}, _bitpack)
