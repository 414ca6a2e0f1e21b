"""Deprecated ops whose successors take as inputs what they have as attributes, or give apart what they give as one."""

from __future__ import annotations

from migrate.graph.graph import attribute
from migrate.graph.protos import NodeDef
from migrate.rewrite.aliases import producer
from migrate.rewrite.builder import Builder
from migrate.rewrite.new_nodes import FLOAT, INT32, Edit, replaced
from migrate.rewrite.op_facts import Op
from migrate.rewrite.rule import Rule
from migrate.rewrite.scope import Scope


def _audio(node: NodeDef, scope: Scope) -> Edit:
    """AudioSummaryV2, whose sample rate is an input (core/kernels/summary_audio_op.cc, one kernel for both)."""
    b = Builder(scope, node)
    tag, tensor = b.value(0), b.value(1)
    rate = b.constant("sample_rate", attribute(node, "sample_rate").f, producer(tensor), dtype=FLOAT)
    last = replaced(node, "AudioSummaryV2", [tag, tensor, rate])
    last.attr.pop("sample_rate", None)
    return b.edit(last)


def _poisson(node: NodeDef, scope: Scope) -> Edit:
    """RandomPoissonV2 of rates of the output's dtype (core/kernels/random_poisson_op.cc, one kernel for both)."""
    b = Builder(scope, node)
    last = replaced(node, "RandomPoissonV2", [b.value(0), b.value(1)])
    last.attr["R"].CopyFrom(attribute(node, "dtype"))
    return b.edit(last)


def _quantize(node: NodeDef, scope: Scope) -> Edit:
    """QuantizeAndDequantizeV2, whose range is two inputs (core/kernels/quantize_and_dequantize_op.cc)."""
    b = Builder(scope, node)
    given, dtype = b.value(0), attribute(node, "T").type
    ends = [b.typed(name, attribute(node, name).f, dtype, producer(given)) for name in ("input_min", "input_max")]
    last = replaced(node, "QuantizeAndDequantizeV2", [given, *ends])
    for name in ("input_min", "input_max"):
        last.attr.pop(name, None)
    return b.edit(last)


def _convolution(node: NodeDef, scope: Scope) -> Edit:
    """The second version takes the size of what the gradient is of, and not the tensor.

    core/kernels/conv_grad_ops_3d.cc.
    """
    b = Builder(scope, node)
    position = _SIZED[node.op]
    inputs = [b.value(number) for number in range(3)]
    sized = inputs[position]
    inputs[position] = b.Shape(sized, name="sizes", T=attribute(node, "T").type, out_type=INT32)
    last = replaced(node, f"{node.op}V2", inputs)
    if node.op == "Conv3DBackpropInput":
        last.attr["Tshape"].type = INT32
    return b.edit(last)


def _eigen(node: NodeDef, scope: Scope) -> Edit:
    """The eigenvalues as a row above the eigenvectors (core/kernels/self_adjoint_eig_op.cc)."""
    dtype = attribute(node, "T").type
    b = Builder(scope, node, T=dtype)
    given = b.value(0)
    pair = b.node("SelfAdjointEigV2", [given], "pair")
    b.nodes[-1].attr["compute_v"].b = True
    above = b.constant("above", -2, producer(given))
    row = b.ExpandDims(pair, above, name="row", T=dtype, Tdim=INT32)
    last = replaced(node, "ConcatV2", [row, f"{pair}:1", above])
    last.attr["N"].i = 2
    last.attr["Tidx"].type = INT32
    return b.edit(last)


def _contrast(node: NodeDef, scope: Scope) -> Edit:
    """(x - mean) * factor + mean, at most max_value and then at least min_value (core/kernels/adjust_contrast_op.h).

    The mean is that of a channel of an image. The numbers are those of single precision.
    """
    b = Builder(scope, node, T=FLOAT)
    given, dtype = b.value(0), attribute(node, "T").type
    beside = producer(given)
    factor, least, most = (b.shaped(b.value(n), f"number_{n}", FLOAT) for n in (1, 2, 3))
    images = given if dtype == FLOAT else b.Cast(given, name="float", SrcT=dtype, DstT=FLOAT)
    axes = b.constant("axes", [-3, -2], beside)
    mean = b.Mean(images, axes, T=FLOAT, Tidx=INT32)
    b.nodes[-1].attr["keep_dims"].b = True
    adjusted = b.AddV2(b.Mul(b.Sub(images, mean), factor), mean, name="adjusted")
    last = replaced(node, "Maximum", [b.Minimum(adjusted, most), least])
    last.attr["T"].type = FLOAT
    return b.edit(last)


_SIZED = {"Conv3DBackpropInput": 0, "Conv3DBackpropFilter": 1}
"""Position of the tensor of which the successor takes the size."""

AUDIO = Rule("audio", {"AudioSummary": Op(fewest=2)}, _audio)
POISSON = Rule("poisson", {"RandomPoisson": Op(fewest=2)}, _poisson)
QUANTIZE = Rule("quantize", {"QuantizeAndDequantize": Op()}, _quantize)
CONVOLUTION = Rule("convolution", {name: Op(fewest=3) for name in _SIZED}, _convolution)
EIGEN = Rule("eigen", {name: Op() for name in ("SelfAdjointEig", "BatchSelfAdjointEig")}, _eigen)
CONTRAST = Rule("contrast", {"AdjustContrast": Op(fewest=4)}, _contrast)
