"""What becomes of nodes whose gradients were Python functions (`checks.custom_gradients`)."""

from __future__ import annotations

from collections.abc import Iterable

from migrate.checks.custom_gradients import ATTRIBUTE, kept_name, lost_gradient
from migrate.graph.protos import MetaGraphDef, NodeDef, copied


def keep_apart(node: NodeDef) -> None:
    """Renames a numbered gradient, so that none is taken for it that has the same number in another process."""
    name = lost_gradient(node)
    kept = kept_name(name)
    if kept != name:
        node.attr[ATTRIBUTE].s = kept.encode()


def with_plain_gradients(meta_graph: MetaGraphDef) -> MetaGraphDef:
    """A MetaGraphDef whose nodes have TensorFlow's own gradients in the place of lost ones."""
    if not any(lost_gradient(node) for node in _nodes(meta_graph)):
        return meta_graph
    result = copied(meta_graph)
    for node in _nodes(result):
        if lost_gradient(node):
            del node.attr[ATTRIBUTE]
    return result


def _nodes(meta_graph: MetaGraphDef) -> Iterable[NodeDef]:
    yield from meta_graph.graph_def.node
    for function in meta_graph.graph_def.library.function:
        yield from function.node_def
