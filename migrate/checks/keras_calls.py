"""The layers of Keras 2 that call what their config names: a function, a method or an op of TensorFlow.

Keras makes them of `x + 1` or `tf.nn.relu(x)` on a Keras tensor, and calls them again when the model is loaded. What
they may call is on a list (`keras_symbols.json`, tools/make_keras_symbols.py), or is an op that only computes.
"""

from __future__ import annotations

import functools
import json
import os
from collections.abc import Iterator, Mapping
from typing import Any

from migrate.frozen import frozen
from migrate.graph.op_table import load_op_table
from migrate.graph.protos import NodeDef

TABLE_FILE = os.path.join(os.path.dirname(__file__), "keras_symbols.json")
_CONSTANT = "_CONSTANT_VALUE"  # tf_keras/src/engine/node.py
_HARMLESS = ("pure", "random")


@frozen
class Symbols:
    """What op layers may call, in any release that the table knows.

    Attributes:
      functions: public names of functions.
      class_methods: `CLASS.METHOD`.
      properties: of tensors.
      methods: of tensors.
    """

    functions: frozenset[str]
    class_methods: frozenset[str]
    properties: frozenset[str]
    methods: frozenset[str]


@functools.cache
def load_symbols() -> Symbols:
    """Reads the table, once."""
    with open(TABLE_FILE, encoding="utf-8") as file:
        columns = json.load(file).values()

    def union(key: str) -> frozenset[str]:
        return frozenset(name for column in columns for name in column[key].split(" "))

    return Symbols(union("functions"), union("class_methods"), union("properties"), union("methods"))


def find_calls(class_name: str, layer: Mapping[str, Any], where: str) -> Iterator[str]:
    """What a layer would call that is not on the list, each with the layer's name and the reason.

    Args:
      class_name: of an op layer.
      layer: its entry in the config of the model, with `config` and, in a functional model, `inbound_nodes`.
      where: what the layer is called.
    """
    config = layer.get("config")
    settings = config if isinstance(config, Mapping) else {}
    if class_name == "TensorFlowOpLayer":
        reason = _refused_op(settings)
    else:
        reason = _refused_symbol(class_name, settings)
    nodes = layer.get("inbound_nodes")
    if not reason and isinstance(nodes, list) and not all(map(_takes_a_tensor, nodes)):
        reason = f"{_called(class_name, settings)} with constants alone, which loading would evaluate"
    if reason:
        yield f"{where}: {reason}"


def _called(class_name: str, settings: Mapping[str, Any]) -> str:
    if class_name in ("TFOpLambda", "SlicingOpLambda"):
        return f"tf.{settings.get('function')}"
    if class_name == "ClassMethod":
        return f"tf.{settings.get('cls_symbol')}.{settings.get('method_name')}"
    return f"{class_name} {settings.get('attr_name', '')}".rstrip()


def _refused_symbol(class_name: str, settings: Mapping[str, Any]) -> str:
    symbols = load_symbols()
    allowed: Mapping[str, tuple[object, frozenset[str]]] = {
        "TFOpLambda": (settings.get("function"), symbols.functions),
        "SlicingOpLambda": (settings.get("function"), symbols.functions),
        "ClassMethod": (f"{settings.get('cls_symbol')}.{settings.get('method_name')}", symbols.class_methods),
        "InstanceProperty": (settings.get("attr_name"), symbols.properties),
        "InstanceMethod": (settings.get("attr_name"), symbols.methods),
    }
    name, known = allowed[class_name]
    return "" if isinstance(name, str) and name in known else _called(class_name, settings)


def _refused_op(settings: Mapping[str, Any]) -> str:
    """Why the op of a TensorFlowOpLayer is not run, or an empty string."""
    node = _node(settings.get("node_def"))
    if node is None:
        return "a node_def that cannot be read"
    info = load_op_table().get(node.op)
    if info is None:
        return f"the op {node.op!r}, which no TensorFlow 2 knows"
    if info.effect not in _HARMLESS:
        return f"the op {node.op!r}, which does more than compute ({info.effect})"
    if any(attr.WhichOneof("value") == "func" or attr.list.func for attr in node.attr.values()):
        return f"the op {node.op!r} with a function"
    constants = settings.get("constants")
    given = len(constants) if isinstance(constants, Mapping) else 0
    if given >= sum(not name.startswith("^") for name in node.input):
        return f"the op {node.op!r} with constants alone, which loading would evaluate"
    return ""


def _node(described: Any) -> NodeDef | None:
    """The NodeDef as tf_keras reads it (base_layer.py, TensorFlowOpLayer): JSON of the proto, or its bytes as text."""
    from google.protobuf import json_format, message

    try:
        if isinstance(described, dict):
            return json_format.ParseDict(described, NodeDef())
        if isinstance(described, str):
            return NodeDef.FromString(described.encode())
    except (json_format.ParseError, message.DecodeError, UnicodeError, TypeError, ValueError):
        return None
    return None


def _takes_a_tensor(value: Any) -> bool:
    """Whether an entry of `inbound_nodes` names a layer's output, `[NAME, NODE, TENSOR]`, at any depth."""
    if isinstance(value, Mapping):
        return any(map(_takes_a_tensor, value.values()))
    if not isinstance(value, list):
        return False
    if value and value[0] == _CONSTANT:
        return any(map(_takes_a_tensor, value[3:]))
    if len(value) in (3, 4) and isinstance(value[0], str) and all(isinstance(number, int) for number in value[1:3]):
        return True
    return any(map(_takes_a_tensor, value))
