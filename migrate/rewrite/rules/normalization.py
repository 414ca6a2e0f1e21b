"""Batch normalisation of TensorFlow 0.x, put together from arithmetic."""

from __future__ import annotations

from migrate.graph.graph import attribute
from migrate.graph.protos import NodeDef
from migrate.rewrite.aliases import producer
from migrate.rewrite.builder import Builder
from migrate.rewrite.new_nodes import FLOAT, Edit, replaced
from migrate.rewrite.op_facts import Op
from migrate.rewrite.rule import Rule
from migrate.rewrite.scope import Scope

_RANK = 4


def _batch_norm(node: NodeDef, scope: Scope) -> Edit:
    """(x - mean) * (rsqrt(variance + epsilon) * gamma) + beta, without gamma where it is not asked for.

    In the order of the kernel (core/kernels/batch_norm_op.h), which takes four dimensions and no other number.
    """
    b = Builder(scope, node, T=attribute(node, "T").type)
    given, mean, variance, beta, gamma = (b.value(position) for position in range(5))
    epsilon = b.constant("epsilon", attribute(node, "variance_epsilon").f, producer(variance))
    if attribute(node, "T").type != FLOAT:
        epsilon = b.Cast(epsilon, name="cast", SrcT=FLOAT, DstT=attribute(node, "T").type)
    scale = b.Rsqrt(b.AddV2(variance, epsilon, name="wider"))
    if attribute(node, "scale_after_normalization").b:
        scale = b.Mul(scale, gamma, name="scale")
    ranked = b.shaped(given, "ranked", attribute(node, "T").type, [-1] * _RANK)
    centred = b.Sub(ranked, mean, name="centred")
    last = replaced(node, "AddV2", [b.Mul(centred, scale, name="scaled"), beta])
    last.attr.pop("variance_epsilon", None)
    last.attr.pop("scale_after_normalization", None)
    return b.edit(last)


BATCH_NORM = Rule("batch_norm", {"BatchNormWithGlobalNormalization": Op(fewest=5)}, _batch_norm)
