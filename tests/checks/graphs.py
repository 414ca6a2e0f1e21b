"""Small graphs as text, for checks that look at a graph as a whole."""

from __future__ import annotations

from google.protobuf import text_format

from migrate.graph.protos import MetaGraphDef, NodeDef

F = 'attr { key: "T" value { type: DT_FLOAT } }'
D = 'attr { key: "dtype" value { type: DT_FLOAT } }'


def meta_graph_of(*nodes: str) -> MetaGraphDef:
    """A MetaGraphDef of nodes as text."""
    text = "\n".join(f"node {{ {node} }}" for node in nodes)
    return text_format.Parse(f"graph_def {{ {text} }}", MetaGraphDef())


TRAINING = meta_graph_of(
    f'name: "x" op: "Placeholder" {D}',
    f'name: "labels" op: "Placeholder" {D}',
    f'name: "w" op: "VariableV2" {D}',
    f'name: "scope/logits" op: "MatMul" input: "x" input: "w" {F}',
    f'name: "scope/loss" op: "Sub" input: "scope/logits" input: "labels" {F}',
    f'name: "summary" op: "ScalarSummary" input: "scope/loss" {F}',
    f'name: "gradients/loss_grad/Neg" op: "Neg" input: "scope/loss" {F}',
    f'name: "train" op: "ApplyGradientDescent" input: "w" input: "x" input: "gradients/loss_grad/Neg" {F}',
)


def text_node(op: str, **attrs: bytes | list[bytes]) -> NodeDef:
    """A node whose attributes are strings and lists of strings."""
    node = NodeDef(name="n", op=op)
    for name, value in attrs.items():
        if isinstance(value, list):
            node.attr[name].list.s.extend(value)
        else:
            node.attr[name].s = value
    return node


def node_with(op: str, gradient: str) -> NodeDef:
    """A node of which a gradient was registered under this name."""
    node = NodeDef(name="n", op=op)
    if gradient:
        node.attr["_gradient_op_type"].s = gradient.encode()
    return node
