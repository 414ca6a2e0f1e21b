"""What a MetaGraphDef gets wrong and TF1 forgave: it is put right or dropped, and told."""

from __future__ import annotations

import re
from collections.abc import Iterable

from google.protobuf.message import DecodeError

from migrate.checks.subject import Subject
from migrate.errors import counted
from migrate.graph.contract import shape_of
from migrate.graph.protos import AssetFileDef, MetaGraphDef, NodeDef, VariableDef
from migrate.records import Finding, Severity, Shape, refusal

_PARSED = re.compile(
    r"\d+(\.\d+)*([-.]?(a|b|rc|dev|post)(\d+|[-.]\d+|[-.](?=[-.+]|\Z))?)*(\+[a-z0-9.]+)?", re.IGNORECASE
)
"""What TensorFlow's loader takes for a version (PEP 440, through `packaging.version`).

A separator belongs to one part only: where it may belong to two, a long version takes for ever to be refused.
"""


def check(subject: Subject) -> tuple[Finding, ...]:
    """See `find_forgiven`."""
    return find_forgiven(subject.meta_graph, subject.nodes)


def find_forgiven(meta_graph: MetaGraphDef, nodes: Iterable[NodeDef]) -> tuple[Finding, ...]:
    """Findings for an unreadable version and for `_output_shapes` that contradict their nodes.

    Args:
      meta_graph: the source.
      nodes: those that are needed.
    """
    found = []
    version = meta_graph.meta_info_def.tensorflow_version
    if version and not _PARSED.fullmatch(version):
        found.append(
            Finding(
                "version-unreadable",
                Severity.NOTE,
                f"the MetaGraphDef was written by TensorFlow {version!r}, which TensorFlow's own loader cannot parse; "
                "it does not matter here",
            )
        )
    stale = tuple(node.name for node in nodes if _is_stale(node))
    if stale:
        found.append(
            Finding(
                "output-shapes-stale",
                Severity.WARNING,
                f"the attribute _output_shapes contradicts {counted(len(stale), 'node')}; all these attributes are "
                "dropped, since TensorFlow's importer believes them",
                stale,
            )
        )
    if _damaged_assets(meta_graph):
        found.append(
            refusal(
                "collection-damaged",
                "the collection saved_model_assets has an entry that is not an AssetFileDef, so which file belongs to "
                "which tensor is unknown",
            )
        )
    damaged = _damaged(meta_graph)
    if damaged:
        found.append(
            Finding(
                "collection-damaged",
                Severity.WARNING,
                f"the collection trainable_variables has {damaged} entries that are not a VariableDef; what they named "
                "is not trainable in the new model",
            )
        )
    return tuple(found)


def _damaged(meta_graph: MetaGraphDef) -> int:
    if "trainable_variables" not in meta_graph.collection_def:
        return 0
    count = 0
    for serialized in meta_graph.collection_def["trainable_variables"].bytes_list.value:
        try:
            VariableDef.FromString(serialized)
        except DecodeError:
            count += 1
    return count


def _damaged_assets(meta_graph: MetaGraphDef) -> bool:
    if "saved_model_assets" not in meta_graph.collection_def or meta_graph.asset_file_def:
        return False
    for packed in meta_graph.collection_def["saved_model_assets"].any_list.value:
        try:
            if not packed.Unpack(AssetFileDef()):
                return True
        except DecodeError:
            return True
    return False


_TELLING = frozenset({"Const", "Placeholder", "Variable", "VariableV2"})
"""Ops whose own attributes say what shape they give."""


def _is_stale(node: NodeDef) -> bool:
    op, attr = node.op, node.attr
    if op not in _TELLING or "_output_shapes" not in attr:
        return False
    told = attr["_output_shapes"].list.shape[:1]
    if not told:
        return False
    if op == "Const" and "value" in attr:
        own = attr["value"].tensor.tensor_shape
    elif op != "Const" and "shape" in attr:
        own = attr["shape"].shape
        if shape_of(own) == ():
            return False  # In old graphs an empty shape is an unknown one.
    else:
        return False
    return own != told[0] and not _agree(shape_of(own), shape_of(told[0]))


def _agree(one: Shape, other: Shape) -> bool:
    if one is None or other is None:
        return True
    return len(one) == len(other) and all(a is None or b is None or a == b for a, b in zip(one, other, strict=True))
