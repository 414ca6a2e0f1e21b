"""FusedConv2DBiasActivation of tf.contrib.fused_conv (kernels/fused_conv2d_bias_activation_op.cc), of qint8.

The CPU's kernel multiplies with the scale and adds the bias with fmaf, and then the scaled side input in the same way,
which is not looked at where its scale is zero. It takes the nearest even integer within the range. Each fmaf is a sum
in double precision here, in which the product is exact. Of float32 cuDNN computes it, whose answers nobody has read.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from migrate.graph.dtypes import dtype_value
from migrate.graph.protos import AttrValue
from migrate.proof import constants
from migrate.proof.parts import FLOAT, Parts, Tensor, dtypes
from migrate.proof.program import Flat

_DOUBLE, _INT8, _QINT8 = map(dtype_value, ("float64", "int8", "qint8"))
_DEFAULTS = {"activation_mode": b"Relu", "data_format": b"NHWC", "filter_format": b"HWIO"}


def _fused(parts: Parts) -> Flat:
    """What stands for the op."""
    node, attr = parts.node, parts.node.attr
    if len(node.data) != 6 or not {"T", "Tbias", "strides", "padding"} <= attr.keys():
        return parts.unknown("takes other inputs than it has")
    if attr["T"].type != _QINT8 or attr["Tbias"].type != FLOAT:
        return parts.unknown("runs on a GPU alone")
    mode, *formats = (attr[name].s if name in attr else default for name, default in _DEFAULTS.items())
    if formats != [b"NHWC", b"HWIO"] or mode not in (b"Relu", b"None"):
        return parts.unknown("has a form that no CPU takes")
    if "dilations" in attr and set(attr["dilations"].list.i) != {1}:
        return parts.unknown("has dilations")
    return _Convolution(parts, 0.0 if mode == b"Relu" else -128.0).result()


class _Convolution:
    """One op."""

    def __init__(self, parts: Parts, least: float) -> None:
        self.parts, self.least = parts, least

    def op(self, op: str, *taken: Tensor, **types: int) -> Tensor:
        return self.parts.add(op, op.lower(), taken, dtypes(types or {"T": FLOAT})), 0

    def scalar(self, value: float) -> Tensor:
        return self.parts.constant("scalar", constants.made("float32", value), self.parts.node.data[0])

    def number(self, tensor: Tensor) -> Tensor:
        """What an eight bits' number is in single precision."""
        return self.op("Cast", self.op("Bitcast", tensor, T=_QINT8, type=_INT8), SrcT=_INT8, DstT=FLOAT)

    def fma(self, op: str, one: Tensor, factor: Tensor, other: Tensor, attr: Mapping[str, AttrValue]) -> Tensor:
        """A product and what an op adds to it, rounded at the end."""
        one, factor, other = (self.op("Cast", each, SrcT=FLOAT, DstT=_DOUBLE) for each in (one, factor, other))
        product = self.op("Mul", one, factor, T=_DOUBLE)
        total = self.parts.add(op, "sum", [product, other], {**dtypes({"T": _DOUBLE}), **attr}), 0
        return self.op("Cast", total, SrcT=_DOUBLE, DstT=FLOAT)

    def result(self) -> Flat:
        """From the convolution to the nearest number."""
        parts, attr = self.parts, self.parts.node.attr
        x, weights, bias, side, *scales = parts.node.data
        scale, side_scale = (parts.ranked("scale", each, FLOAT, 0) for each in scales)
        given = {"T": AttrValue(type=FLOAT), "padding": attr["padding"], "strides": attr["strides"]}
        conv = parts.add("Conv2D", "conv", [self.number(x), self.number(weights)], given), 0
        found = self.fma("BiasAdd", conv, scale, bias, {"data_format": AttrValue(s=b"NHWC")})
        found = self.with_side(found, side, side_scale)
        nearest = self.op("Maximum", self.op("Round", found), self.scalar(self.least))
        bits = self.op("Cast", self.op("Minimum", nearest, self.scalar(127.0)), SrcT=FLOAT, DstT=_INT8)
        return parts.made("Bitcast", "", [bits], dtypes({"T": _INT8, "type": _QINT8}), parts.node.controls)

    def with_side(self, found: Tensor, side: Tensor, scale: Tensor) -> Tensor:
        """What is found with the side input, which is looked at where its scale is not zero."""
        is_used = self.op("NotEqual", scale, self.scalar(0.0))
        switched = self.op("Switch", found, is_used)
        side, scale = (
            (self.op("Switch", each, is_used, T=dtype)[0], 1) for each, dtype in ((side, _QINT8), (scale, FLOAT))
        )
        both = self.fma("AddN", self.number(side), scale, (switched[0], 1), {"N": AttrValue(i=2)})
        return self.parts.add("Merge", "either", [switched, both], {**dtypes({"T": FLOAT}), "N": AttrValue(i=2)}), 0


EXPANDED: Mapping[str, Callable[[Parts], Flat]] = {"FusedConv2DBiasActivation": _fused}
"""The op -> what its kernel does."""
