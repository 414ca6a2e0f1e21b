"""FusedConv2DBiasActivation of tf.contrib.fused_conv (kernels/fused_conv2d_bias_activation_op.cc).

Relu of conv_input_scale * conv + side_input_scale * side_input + bias, as cuDNN computes it; a side input whose scale
is zero is not looked at. Of qint8 the CPU's kernel scales and adds with fmaf, first the bias and then the side input,
and takes the nearest even integer within the range. Each fmaf is a sum in double precision here, in which the product
is exact.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from migrate.graph.dtypes import dtype_value
from migrate.graph.protos import AttrValue
from migrate.proof import constants
from migrate.proof.parts import FLOAT, INT32, Parts, Tensor, dtypes
from migrate.proof.program import Flat

_DOUBLE, _INT8, _QINT8 = map(dtype_value, ("float64", "int8", "qint8"))


def _text(parts: Parts, name: str, default: bytes) -> bytes:
    return parts.node.attr[name].s if name in parts.node.attr else default


def _fused(parts: Parts) -> Flat:
    """What stands for the op."""
    node, attr = parts.node, parts.node.attr
    if len(node.data) != 6 or not {"T", "Tbias", "strides", "padding"} <= attr.keys():
        return parts.unknown("takes other inputs than it has")
    dtype, mode = attr["T"].type, _text(parts, "activation_mode", b"Relu")
    data, weights = _text(parts, "data_format", b"NHWC"), _text(parts, "filter_format", b"HWIO")
    formats = [b"NHWC"] if dtype == _QINT8 else [b"NHWC", b"NCHW"], [b"HWIO"] if dtype == _QINT8 else [b"HWIO", b"OIHW"]
    if dtype not in (FLOAT, _QINT8) or attr["Tbias"].type != FLOAT or mode not in (b"Relu", b"None"):
        return parts.unknown("has no kernel")
    if data not in formats[0] or weights not in formats[1]:
        return parts.unknown("has other formats")
    if "dilations" in attr and set(attr["dilations"].list.i) != {1}:
        return parts.unknown("has dilations")
    if len(attr["strides"].list.i) != 4:
        return parts.unknown("has other strides")
    return _Convolution(parts, data == b"NCHW", weights == b"OIHW", mode == b"Relu").result()


class _Convolution:
    """One op."""

    def __init__(self, parts: Parts, is_nchw: bool, is_oihw: bool, has_relu: bool) -> None:
        self.parts, self.is_nchw, self.is_oihw, self.has_relu = parts, is_nchw, is_oihw, has_relu
        self.is_quantized = parts.node.attr["T"].type == _QINT8

    def op(self, op: str, *taken: Tensor, **types: int) -> Tensor:
        return self.parts.add(op, op.lower(), taken, dtypes(types or {"T": FLOAT})), 0

    def scalar(self, value: float) -> Tensor:
        return self.parts.constant("scalar", constants.made("float32", value), self.parts.node.data[0])

    def turned(self, tensor: Tensor, *order: int) -> Tensor:
        perm = self.parts.constant("order", constants.int32s(*order), self.parts.node.data[0])
        return self.op("Transpose", tensor, perm, T=FLOAT, Tperm=INT32)

    def number(self, tensor: Tensor) -> Tensor:
        """What an eight bits' number is in single precision."""
        if not self.is_quantized:
            return tensor
        return self.op("Cast", self.op("Bitcast", tensor, T=_QINT8, type=_INT8), SrcT=_INT8, DstT=FLOAT)

    def added(self, one: Tensor, other: Tensor, dtype: int = FLOAT) -> Tensor:
        attr = {**dtypes({"T": dtype}), "N": AttrValue(i=2)}
        return self.parts.add("AddN", "sum", [one, other], attr), 0

    def biased(self, tensor: Tensor, bias: Tensor, dtype: int) -> Tensor:
        attr = {**dtypes({"T": dtype}), "data_format": AttrValue(s=b"NCHW" if self.is_nchw else b"NHWC")}
        return self.parts.add("BiasAdd", "biased", [tensor, bias], attr), 0

    def doubles(self, *tensors: Tensor) -> list[Tensor]:
        return [self.op("Cast", tensor, SrcT=FLOAT, DstT=_DOUBLE) for tensor in tensors]

    def single(self, tensor: Tensor) -> Tensor:
        return self.op("Cast", tensor, SrcT=_DOUBLE, DstT=FLOAT)

    def result(self) -> Flat:
        """From the convolution to the activation."""
        parts, attr = self.parts, self.parts.node.attr
        x, weights, bias, side, scale, side_scale = parts.node.data
        scale, side_scale = (parts.ranked("scale", each, FLOAT, 0) for each in (scale, side_scale))
        conv = self.conv(self.number(x), self.number(weights))
        if self.is_quantized:
            one, factor, other = self.doubles(conv, scale, bias)
            found = self.single(self.biased(self.op("Mul", one, factor, T=_DOUBLE), other, _DOUBLE))
        else:
            found = self.op("Mul", conv, scale)
            found = self.turned(found, 0, 3, 1, 2) if self.is_nchw else found
        found = self.with_side(found, side, side_scale)
        if self.is_quantized:
            nearest = self.op("Maximum", self.op("Round", found), self.scalar(0.0 if self.has_relu else -128.0))
            bits = self.op("Cast", self.op("Minimum", nearest, self.scalar(127.0)), SrcT=FLOAT, DstT=_INT8)
            return parts.made("Bitcast", "", [bits], dtypes({"T": _INT8, "type": _QINT8}), parts.node.controls)
        found = self.biased(found, bias, FLOAT)
        last = "Relu" if self.has_relu else "Identity"
        return parts.made(last, "", [found], {"T": attr["T"]}, parts.node.controls)

    def conv(self, x: Tensor, weights: Tensor) -> Tensor:
        """The convolution, of what has its channels last."""
        attr = self.parts.node.attr
        strides = list(attr["strides"].list.i)
        if self.is_nchw:
            x, strides = self.turned(x, 0, 2, 3, 1), [strides[0], *strides[2:], strides[1]]
        if self.is_oihw:
            weights = self.turned(weights, 2, 3, 1, 0)
        every = AttrValue()
        every.list.i.extend(strides)
        given = {"T": AttrValue(type=FLOAT), "padding": attr["padding"], "strides": every}
        return self.parts.add("Conv2D", "conv", [x, weights], given), 0

    def with_side(self, found: Tensor, side: Tensor, scale: Tensor) -> Tensor:
        """What is found with the side input, which is looked at where its scale is not zero."""
        is_used = self.op("NotEqual", scale, self.scalar(0.0))
        switched = self.op("Switch", found, is_used)
        dtype = self.parts.node.attr["T"].type
        kept, side, scale = (
            (self.op("Switch", each, is_used, T=kind)[0], 1)
            for each, kind in ((found, FLOAT), (side, dtype), (scale, FLOAT))
        )
        taken = self.number(side)
        if self.is_quantized:
            one, factor, other = self.doubles(taken, scale, kept)
            both = self.single(self.added(self.op("Mul", one, factor, T=_DOUBLE), other, _DOUBLE))
        else:
            both = self.added(kept, self.op("Mul", taken, scale))
        attr = {**dtypes({"T": FLOAT}), "N": AttrValue(i=2)}
        return self.parts.add("Merge", "either", [switched, both], attr), 0


EXPANDED: Mapping[str, Callable[[Parts], Flat]] = {"FusedConv2DBiasActivation": _fused}
"""The op -> what its kernel does."""
