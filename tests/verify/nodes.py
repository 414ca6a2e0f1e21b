"""Nodes of graphs and of functions' bodies. No TensorFlow."""

from __future__ import annotations


def add_node(nodes, name, op, *inputs, **attrs):
    """Adds a node; an attribute is a number, or names a function."""
    node = nodes.add(name=name, op=op, input=inputs)
    for key, value in attrs.items():
        if isinstance(value, str):
            node.attr[key].func.name = value
        else:
            node.attr[key].i = value
