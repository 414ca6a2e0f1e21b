"""FusedConv2DBiasActivation of tf.contrib.fused_conv."""

from __future__ import annotations

from collections.abc import Sequence

from migrate.graph.dtypes import dtype_value
from migrate.graph.graph import attribute
from migrate.graph.protos import NodeDef
from migrate.records import Finding, refusal
from migrate.rewrite.aliases import producer
from migrate.rewrite.builder import Builder
from migrate.rewrite.new_nodes import DOUBLE, FLOAT, INT32, Edit, replaced
from migrate.rewrite.op_facts import Op
from migrate.rewrite.rule import Rule
from migrate.rewrite.scope import Scope

_INT8, _QINT8 = map(dtype_value, ("int8", "qint8"))
_LEAST, _MOST = -128.0, 127.0
_INPUTS = 6
_TO_NHWC, _TO_NCHW, _TO_HWIO = (0, 2, 3, 1), (0, 3, 1, 2), (2, 3, 1, 0)


def _fused(node: NodeDef, scope: Scope) -> Edit | Finding:
    """Relu (or nothing) of conv_input_scale * Conv2D(x, filter) + side_input_scale * side_input + bias.

    contrib/fused_conv/kernels/fused_conv2d_bias_activation_op.cc. No side_input is looked at where its scale is zero.
    Of float32 the kernel calls cuDNN; what that makes of NaN is not known. Of qint8 on a CPU it is
    fma(side_input, side_input_scale, fma(conv, conv_input_scale, bias)) in single precision, where here each fma is
    computed in double precision and rounded again; then the nearest integer, of two the even one, between -128 (0 for
    Relu) and 127.
    """
    other = _other_form(node)
    if other:
        message = f"{scope.aliases.run.key}: FusedConv2DBiasActivation {node.name!r} {other}"
        hint = "export the model with tf.nn.conv2d, tf.nn.bias_add and tf.nn.relu in its place"
        return refusal("fused-convolution-form", message, (node.name,), hint)
    b = Builder(scope, node, T=FLOAT)
    x, weights, bias, side, scale, side_scale = (b.value(number) for number in range(_INPUTS))
    beside = producer(x)
    scale, side_scale = b.shaped(scale, "scale", FLOAT), b.shaped(side_scale, "side_scale", FLOAT)
    is_quantized = attribute(node, "T").type == _QINT8
    strides = list(attribute(node, "strides").list.i)
    if is_quantized:
        x, weights = _number(b, x, "x"), _number(b, weights, "filter")
    if attribute(node, "data_format").s == b"NCHW":
        x, strides = _turned(b, x, "x_turned", _TO_NHWC, beside), [strides[place] for place in _TO_NHWC]
    if attribute(node, "filter_format").s == b"OIHW":
        weights = _turned(b, weights, "filter_turned", _TO_HWIO, beside)
    found = b.Conv2D(x, weights, name="conv")
    b.nodes[-1].attr["padding"].s = attribute(node, "padding").s
    b.nodes[-1].attr["strides"].list.i.extend(strides)
    if is_quantized:
        return _quantized(b, node, found, bias, (side, scale, side_scale), beside)
    found = b.Mul(found, scale, name="scaled")
    if attribute(node, "data_format").s == b"NCHW":
        # A side_input that is not looked at may have any rank.
        found = _turned(b, found, "scaled_turned", _TO_NCHW, beside)
    found = _with_side(b, found, side, side_scale, beside, is_quantized=False)
    found = b.BiasAdd(found, bias, name="with_bias")
    b.nodes[-1].attr["data_format"].s = attribute(node, "data_format").s or b"NHWC"
    last = replaced(node, "Identity" if attribute(node, "activation_mode").s == b"None" else "Relu", [found])
    last.attr.clear()
    last.attr["T"].type = FLOAT
    return b.edit(last)


def _other_form(node: NodeDef) -> str:
    """What a node is that no kernel of TensorFlow 1, or none whose answers are known, takes; empty if nothing."""
    dtype = attribute(node, "T").type
    data = attribute(node, "data_format").s or b"NHWC"
    weights = attribute(node, "filter_format").s or b"HWIO"
    if dtype not in (FLOAT, _QINT8) or attribute(node, "Tbias").type != FLOAT:
        return "is of a dtype for which TensorFlow 1 has no kernel"
    if data == b"NCHW_VECT_C":
        return "has its channels in groups of four (NCHW_VECT_C), which a GPU alone takes"
    if (data, weights) != (b"NHWC", b"HWIO") and (
        dtype == _QINT8 or data not in (b"NHWC", b"NCHW") or weights not in (b"HWIO", b"OIHW")
    ):
        return "has formats that no kernel takes"
    if "dilations" in node.attr and list(node.attr["dilations"].list.i) != [1] * 4:
        return "has dilations, which its kernel does not take"
    if attribute(node, "activation_mode").s not in (b"", b"Relu", b"None"):
        return "has an activation that its kernel does not take"
    return "" if len(attribute(node, "strides").list.i) == 4 else "has strides of other than four dimensions"


def _number(b: Builder, tensor: str, name: str) -> str:
    """The numbers that a qint8 stands for, as float32."""
    return b.Cast(b.Bitcast(tensor, name=f"{name}_bits", T=_QINT8, type=_INT8), name=name, SrcT=_INT8, DstT=FLOAT)


def _turned(b: Builder, tensor: str, name: str, order: Sequence[int], beside: str) -> str:
    return b.Transpose(tensor, b.constant(f"{name}_order", order, beside), name=name, T=FLOAT, Tperm=INT32)


def _with_side(b: Builder, found: str, side: str, scale: str, beside: str, *, is_quantized: bool) -> str:
    """What is found and the scaled side input, where its scale is not zero."""
    is_used = b.NotEqual(scale, b.constant("no_scale", 0.0, beside), name="has_side")
    kept = b.Switch(found, is_used, name="found_switch")
    dtype = _QINT8 if is_quantized else FLOAT
    taken = f"{b.Switch(side, is_used, name='side_switch', T=dtype)}:1"
    scale = f"{b.Switch(scale, is_used, name='scale_switch')}:1"
    if is_quantized:
        taken = _number(b, taken, "side")
        both = _fused_sum(b, "with_side", taken, scale, f"{kept}:1")
    else:
        both = b.node("AddN", [f"{kept}:1", b.Mul(taken, scale, name="side")], "with_side", {"N": 2})
    return b.node("Merge", [kept, both], "found", {"N": 2})


def _double(b: Builder, tensor: str, name: str) -> str:
    return b.Cast(tensor, name=name, SrcT=FLOAT, DstT=DOUBLE)


def _fused_sum(b: Builder, name: str, one: str, scale: str, other: str, *, is_bias: bool = False) -> str:
    """A product and a number, added in double precision, in which the product is exact."""
    terms = _double(b, one, f"{name}_one"), _double(b, scale, f"{name}_scale"), _double(b, other, f"{name}_other")
    product = b.Mul(*terms[:2], name=f"{name}_product", T=DOUBLE)
    if is_bias:
        total = b.BiasAdd(product, terms[2], name=f"{name}_sum", T=DOUBLE)
    else:
        total = b.node("AddN", [product, terms[2]], f"{name}_sum", {"N": 2}, T=DOUBLE)
    return b.Cast(total, name=name, SrcT=DOUBLE, DstT=FLOAT)


def _quantized(b: Builder, node: NodeDef, conv: str, bias: str, given: tuple[str, str, str], beside: str) -> Edit:
    """The last steps of qint8: the sums, and the nearest numbers that a qint8 has."""
    side, scale, side_scale = given
    found = _fused_sum(b, "with_bias", conv, scale, bias, is_bias=True)
    found = _with_side(b, found, side, side_scale, beside, is_quantized=True)
    least = _LEAST if attribute(node, "activation_mode").s == b"None" else 0.0
    above = b.Maximum(b.Round(found, name="nearest"), b.constant("least", least, beside), name="above")
    below = b.Minimum(above, b.constant("most", _MOST, beside), name="below")
    last = replaced(node, "Bitcast", [b.Cast(below, name="bits", SrcT=FLOAT, DstT=_INT8)])
    last.attr.clear()
    last.attr["T"].type, last.attr["type"].type = _INT8, _QINT8
    return b.edit(last)


FUSED = Rule("fused_convolution", {"FusedConv2DBiasActivation": Op(fewest=_INPUTS)}, _fused)
