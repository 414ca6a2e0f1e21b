"""Feature crosses of tf.contrib.layers as SparseCross, the core op of TensorFlow 2 with the same kernel otherwise.

contrib/layers/kernels/sparse_feature_cross_kernel.cc and core/kernels/sparse_cross_op.cc were read.
"""

from __future__ import annotations

from collections.abc import Sequence

from migrate.graph.dtypes import dtype_value
from migrate.graph.graph import attribute, data_inputs
from migrate.graph.protos import NodeDef
from migrate.rewrite.aliases import producer
from migrate.rewrite.builder import Builder
from migrate.rewrite.new_nodes import INT32, INT64, STRING, Edit, new_node, replaced
from migrate.rewrite.op_facts import Op
from migrate.rewrite.rule import Rule
from migrate.rewrite.scope import Scope

_UINT64 = dtype_value("uint64")
_UINT8 = dtype_value("uint8")
_FIRST = 0xDECAFCAFFE
_ADDED = 0x9E3779B97F4A7800 - 2**64
"""The hash's constants, as signed numbers of 64 bits."""


def _fingerprint_cross(node: NodeDef, scope: Scope) -> Edit:
    """SparseFeatureCrossV2 is SparseCross: the same columns, the same FingerprintCat64, the same key."""
    b = Builder(scope, node)
    return b.edit(_crossed(b, node, _values(b, node), node.name))


def _cross(node: NodeDef, scope: Scope) -> Edit:
    """SparseFeatureCross: strings are joined as SparseCross joins them; numbers have another hash.

    With numbers, a = a ^ (b + 0x9e3779b97f4a7800 + (a << 10) + (a >> 4)) from left to right over the features b, which
    are Fingerprint64 of strings. All is modulo 2^64, and the right shift keeps the sign. The result, without sign, is
    taken modulo num_buckets, or 2^63 - 1 where that is 0.
    """
    b = Builder(scope, node)
    values = _values(b, node)
    count = attribute(node, "N").i
    features = [*range(count, 2 * count), *range(3 * count, len(values))]
    dtypes = _types(node, "sparse_types") + _types(node, "dense_types")
    if attribute(node, "out_type").type == STRING or not features or len(features) != len(dtypes):
        return b.edit(_crossed(b, node, values, node.name))  # No hash; or no node that TensorFlow takes.
    # The crosses of the features' positions, as "3_X_0": which features meet in which order.
    positions = list(values)
    for column, place in enumerate(features):
        positions[place] = _positions(b, values[place], dtypes[column], column)
    crossed = b.add(_crossed(b, node, positions, b.name("crossed"), by_position=True))
    one = producer(crossed)
    parts = new_node("StringSplitV2", b.name("split"), [f"{crossed}:1", b.constant("between", b"_X_", one)])
    parts.attr["maxsplit"].i = -1
    numbers = b.StringToNumber(f"{b.add(parts)}:1", name="numbers", out_type=INT64)
    table = b.Reshape(numbers, b.constant("by_column", [-1, len(features)], one), name="table", T=INT64, Tshape=INT32)
    columns = new_node("Unpack", b.name("columns"), [table], T=INT64)
    columns.attr["num"].i = len(features)
    columns.attr["axis"].i = 1
    unpacked = b.add(columns)
    hashed = b.constant("first", _FIRST, one, dtype=INT64)
    for column, place in enumerate(features):
        at = f"{unpacked}:{column}" if column else unpacked
        feature = _gathered(b, values[place], at, dtypes[column], column)
        hashed = _combined(b, hashed, feature, column, one)
    buckets = b.constant("buckets", attribute(node, "num_buckets").i or 2**63 - 1, one, dtype=INT64)
    unsigned = b.Bitcast(hashed, name="unsigned", T=INT64, type=_UINT64)
    divisor = b.Bitcast(buckets, name="divisor", T=INT64, type=_UINT64)
    bucket = b.FloorMod(unsigned, divisor, name="bucket", T=_UINT64)
    result = b.Bitcast(bucket, name="result", T=_UINT64, type=INT64)
    last = NodeDef(name=node.name, op="IdentityN", input=[crossed, result, f"{crossed}:2"])
    last.input.extend(name for name in node.input if name.startswith("^"))
    last.attr["T"].list.type.extend([INT64] * 3)
    return b.edit(last)


def _values(b: Builder, node: NodeDef) -> list[str]:
    return [b.value(place) for place in range(len(data_inputs(node)))]


def _types(node: NodeDef, name: str) -> list[int]:
    return list(attribute(node, name).list.type)


def _crossed(b: Builder, node: NodeDef, values: Sequence[str], name: str, *, by_position: bool = False) -> NodeDef:
    """A SparseCross; a hash has int64 inside whatever the attribute says, and SparseCross asks for it."""
    result = replaced(node, "SparseCross", values)
    result.name = name
    if by_position:
        for kind in ("sparse_types", "dense_types"):
            count = len(_types(node, kind))
            result.attr[kind].list.ClearField("type")
            result.attr[kind].list.type.extend([INT64] * count)
        result.attr["out_type"].type = STRING
        result.attr["hashed_output"].b = False
        del result.input[len(values) :]
    if by_position or attribute(node, "out_type").type != STRING:
        result.attr["internal_type"].type = INT64
    result.attr["hash_key"].i = attribute(node, "hash_key").i
    return result


def _positions(b: Builder, values: str, dtype: int, column: int) -> str:
    """The number of each element, in the values' shape."""
    beside = producer(values)
    start, step = (
        b.constant(f"start_{column}", 0, beside, dtype=INT64),
        b.constant(f"step_{column}", 1, beside, dtype=INT64),
    )
    size = b.Size(values, name=f"size_{column}", T=dtype, out_type=INT64)
    flat = b.Range(start, size, step, name=f"range_{column}", Tidx=INT64)
    shape = b.Shape(values, name=f"shape_{column}", T=dtype, out_type=INT32)
    return b.Reshape(flat, shape, name=f"positions_{column}", T=INT64, Tshape=INT32)


def _gathered(b: Builder, values: str, positions: str, dtype: int, column: int) -> str:
    beside = producer(values)
    row = b.constant(f"row_{column}", [-1], beside)
    flat = b.Reshape(values, row, name=f"flat_{column}", T=dtype, Tshape=INT32)
    if dtype == STRING:
        method = b.constant(f"method_{column}", b"farmhash64", beside)
        flat = b.Bitcast(
            b.Fingerprint(flat, method, name=f"fingerprint_{column}", T=STRING),
            name=f"number_{column}",
            T=_UINT8,
            type=INT64,
        )
    axis = b.constant(f"axis_{column}", 0, beside)
    return b.GatherV2(flat, positions, axis, name=f"feature_{column}", Tparams=INT64, Tindices=INT64, Taxis=INT32)


def _combined(b: Builder, hashed: str, feature: str, column: int, beside: str) -> str:
    added = b.constant(f"added_{column}", _ADDED, beside, dtype=INT64)
    left = b.LeftShift(hashed, b.constant(f"ten_{column}", 10, beside, dtype=INT64), name=f"left_{column}", T=INT64)
    right = b.RightShift(hashed, b.constant(f"four_{column}", 4, beside, dtype=INT64), name=f"right_{column}", T=INT64)
    total = b.AddV2(feature, added, name=f"sum_{column}", T=INT64)
    total = b.AddV2(total, left, name=f"sum_left_{column}", T=INT64)
    total = b.AddV2(total, right, name=f"sum_right_{column}", T=INT64)
    return b.BitwiseXor(hashed, total, name=f"hashed_{column}", T=INT64)


FINGERPRINT_CROSS = Rule("fingerprint_cross", {"SparseFeatureCrossV2": Op()}, _fingerprint_cross)
CROSS = Rule("cross", {"SparseFeatureCross": Op()}, _cross)
