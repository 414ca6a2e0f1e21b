"""Ops that are deprecated or gone, in terms of those that followed them."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from migrate.graph.dtypes import dtype_value
from migrate.graph.protos import AttrValue
from migrate.proof import constants
from migrate.proof.parts import BOOL, FLOAT, INT32, Parts, Tensor, dtypes
from migrate.proof.program import Flat

_UINT8 = dtype_value("uint8")
_DEFAULTS = {"sample_rate": 0.0, "input_min": 0.0, "input_max": 0.0}


def _scalar(parts: Parts, name: str, value: float, dtype: int, beside: Tensor) -> Tensor:
    made = parts.constant(name, constants.made("float32", value), beside)
    return made if dtype == FLOAT else parts.op("Cast", f"{name}_cast", [made], SrcT=FLOAT, DstT=dtype)


def _without(parts: Parts, *names: str) -> dict[str, AttrValue]:
    return {key: value for key, value in parts.node.attr.items() if key not in names}


def _audio(parts: Parts) -> Flat:
    """The sample rate is an attribute or an input (summary_audio_op.cc: one class, SummaryAudioOp)."""
    node = parts.node
    if len(node.data) != 2 or "sample_rate" not in node.attr:
        return parts.unknown("takes other inputs than it has, or has no sample_rate")
    rate = _scalar(parts, "rate", node.attr["sample_rate"].f, FLOAT, node.data[1])
    return parts.made("AudioSummaryV2", "", [*node.data, rate], _without(parts, "sample_rate"), node.controls)


def _poisson(parts: Parts) -> Flat:
    """Rates and results of one dtype (random_poisson_op.cc: both are RandomPoissonOp)."""
    node = parts.node
    if len(node.data) != 2 or "dtype" not in node.attr:
        return parts.unknown("takes other inputs than it has")
    attr = {**node.attr, "R": AttrValue(type=node.attr["dtype"].type)}
    return parts.made("RandomPoissonV2", "", node.data, attr, node.controls)


def _quantized(parts: Parts) -> Flat:
    """The range is two attributes or two inputs (quantize_and_dequantize_op.cc, the same functor)."""
    node = parts.node
    if len(node.data) != 1 or "T" not in node.attr:
        return parts.unknown("takes other inputs than it has")
    ends = []
    for name in ("input_min", "input_max"):
        value = node.attr[name].f if name in node.attr else _DEFAULTS[name]
        ends.append(_scalar(parts, name, value, node.attr["T"].type, node.data[0]))
    attr = _without(parts, "input_min", "input_max")
    return parts.made("QuantizeAndDequantizeV2", "", [node.data[0], *ends], attr, node.controls)


def _convolved(position: int) -> Callable[[Parts], Flat]:
    def convolution(parts: Parts) -> Flat:
        """Of one of its inputs it takes the size alone (conv_grad_ops_3d.cc)."""
        node = parts.node
        if len(node.data) != 3 or "T" not in node.attr:
            return parts.unknown("takes other inputs than it has")
        taken = list(node.data)
        taken[position] = parts.op("Shape", "size", [taken[position]], T=node.attr["T"].type, out_type=INT32)
        return parts.made(f"{node.op}V2", "", taken, node.attr, node.controls)

    return convolution


def _eigen(parts: Parts) -> Flat:
    """A matrix with the eigenvalues as first row, and the eigenvectors below it (self_adjoint_eig_op.cc)."""
    node = parts.node
    if len(node.data) != 1 or "T" not in node.attr:
        return parts.unknown("takes other inputs than it has")
    dtype = node.attr["T"].type
    pair = parts.add("SelfAdjointEigV2", "pair", node.data, {**dtypes({"T": dtype}), "compute_v": AttrValue(b=True)})
    axis = parts.constant("axis", constants.int32(-2), node.data[0])
    row = parts.op("ExpandDims", "row", [(pair, 0), axis], T=dtype, Tdim=INT32)
    attr = {**dtypes({"T": dtype, "Tidx": INT32}), "N": AttrValue(i=2)}
    return parts.made("ConcatV2", "", [row, (pair, 1), axis], attr, node.controls)


def _contrast(parts: Parts) -> Flat:
    """cwiseMax(min_value) of cwiseMin(max_value) of (x - mean) * factor + mean, in float (adjust_contrast_op.h)."""
    node = parts.node
    if len(node.data) != 4 or "T" not in node.attr:
        return parts.unknown("takes other inputs than it has")
    given, dtype = node.data[0], node.attr["T"].type
    factor, least, most = (parts.ranked(f"scalar_{n}", node.data[n], FLOAT, 0) for n in (1, 2, 3))
    if dtype != FLOAT:
        given = parts.op("Cast", "float", [given], SrcT=dtype, DstT=FLOAT)
    axes = parts.constant("axes", constants.int32s(-3, -2), node.data[0])
    attr = {**dtypes({"T": FLOAT, "Tidx": INT32}), "keep_dims": AttrValue(b=True)}
    mean = parts.add("Mean", "mean", [given, axes], attr), 0
    apart = parts.op("Sub", "apart", [given, mean], T=FLOAT)
    adjusted = parts.op("AddV2", "adjusted", [parts.op("Mul", "times", [apart, factor], T=FLOAT), mean], T=FLOAT)
    low = parts.op("Minimum", "low", [adjusted, most], T=FLOAT)
    return parts.made("Maximum", "", [low, least], dtypes({"T": FLOAT}), node.controls)


def _packed(parts: Parts) -> Flat:
    """Eight elements in a byte, the first of them worth 128 (compare_and_bitpack_op.cc, ComputeShard)."""
    node = parts.node
    if len(node.data) != 2 or "T" not in node.attr:
        return parts.unknown("takes other inputs than it has")
    given, dtype = node.data[0], node.attr["T"].type
    threshold = parts.ranked("threshold", node.data[1], dtype, 0)
    if dtype == BOOL:
        # a or (a and b) is a; a threshold that is no scalar is an error.
        holds = parts.op("LogicalOr", "holds", [given, parts.op("LogicalAnd", "both", [given, threshold])])
    else:
        holds = parts.op("Greater", "holds", [given, threshold], T=dtype)
    shape = parts.op("Shape", "shape", [given], T=dtype, out_type=INT32)
    begin, last, step, bits = (parts.constant(f"v{n}", constants.int32s(n), given) for n in (0, -1, 1, 8))
    axis, along = (parts.constant(f"n{n}", constants.int32(n), given) for n in (0, -1))
    cut = dtypes({"T": INT32, "Index": INT32})
    outer = parts.add("StridedSlice", "outer", [shape, begin, last, step], {**cut, "begin_mask": AttrValue(i=1)}), 0
    inner = parts.add("StridedSlice", "inner", [shape, last, begin, step], {**cut, "end_mask": AttrValue(i=1)}), 0
    count = parts.op("FloorDiv", "bytes", [inner, bits], T=INT32)
    attr = {**dtypes({"T": INT32, "Tidx": INT32}), "N": AttrValue(i=3)}
    form = parts.add("ConcatV2", "form", [outer, count, bits, axis], attr), 0
    ones = parts.op("Reshape", "ones", [holds, form], T=BOOL, Tshape=INT32)
    numbers = parts.op("Cast", "numbers", [ones], SrcT=BOOL, DstT=INT32)
    worth = parts.constant("worth", constants.int32s(128, 64, 32, 16, 8, 4, 2, 1), given)
    worths = parts.op("Mul", "worths", [numbers, worth], T=INT32)
    total = parts.op("Sum", "total", [worths, along], T=INT32, Tidx=INT32)
    return parts.made("Cast", "", [total], dtypes({"SrcT": INT32, "DstT": _UINT8}), node.controls)


EXPANDED: Mapping[str, Callable[[Parts], Flat]] = {
    "AdjustContrast": _contrast,
    "AudioSummary": _audio,
    "BatchSelfAdjointEig": _eigen,
    "CompareAndBitpack": _packed,
    "Conv3DBackpropFilter": _convolved(1),
    "Conv3DBackpropInput": _convolved(0),
    "QuantizeAndDequantize": _quantized,
    "RandomPoisson": _poisson,
    "SelfAdjointEig": _eigen,
}
"""Ops that are deprecated or gone -> what their kernels do."""
