"""Nodes that are added to a v1 graph together: TensorFlow takes half a millisecond for each op that is made in Python.

TensorFlow starts here, and every import of it stands inside a function.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from migrate.graph.protos import AttrValue, GraphDef

_SCOPE = "added"


class AddedNodes:
    """Collects nodes, and adds them to a graph in one step.

    Args:
      tf: the module.

    Example:
      Twice the value of each of some tensors of a graph:

        added = AddedNodes(tf)
        doubled = [added.add("AddV2", [added.given(t), added.given(t)], T=t.dtype) for t in tensors]
        values = session.run(added.tensors(session.graph, doubled))
    """

    def __init__(self, tf: Any) -> None:
        self._tf = tf
        self._graph_def = GraphDef()
        self._graph_def.versions.producer = tf.version.GRAPH_DEF_VERSION
        self._given: dict[str, Any] = {}
        self._names: dict[int, str] = {}

    def given(self, tensor: Any) -> str:
        """The input that is a tensor of the graph."""
        if id(tensor) not in self._names:
            self._names[id(tensor)] = f"given_{len(self._given)}"
            self._given[self._names[id(tensor)]] = tensor
        return self._names[id(tensor)]

    def add(self, op: str, inputs: Sequence[str], **attributes: Any) -> str:
        """Adds a node.

        Args:
          op: its op.
          inputs: of `given`, or nodes that this has given.
          attributes: DTypes, bools and TensorProtos.

        Returns:
          Its name here.
        """
        name = f"node_{len(self._graph_def.node)}"
        node = self._graph_def.node.add(name=name, op=op, input=inputs)
        for key, value in attributes.items():
            node.attr[key].CopyFrom(self._attribute(value))
        return name

    def constant(self, value: Any, dtype: Any) -> str:
        """Adds a scalar."""
        return self.add("Const", [], dtype=dtype, value=self._tf.make_tensor_proto(value, dtype))

    def tensors(self, graph: Any, names: Sequence[str]) -> list[Any]:
        """Adds all nodes to a graph; gives the first output of some of them."""
        return self._put(graph, [f"{name}:0" for name in names])

    def operations(self, graph: Any, names: Sequence[str]) -> list[Any]:
        """Adds all nodes to a graph; gives some of them."""
        return self._put(graph, names)

    def _put(self, graph: Any, wanted: Sequence[str]) -> list[Any]:
        if not wanted:
            return []
        with graph.as_default():
            given: Mapping[str, Any] = {f"{name}:0": tensor for name, tensor in self._given.items()}
            return list(self._tf.graph_util.import_graph_def(self._graph_def, given, list(wanted), name=_SCOPE))

    def _attribute(self, value: Any) -> AttrValue:
        if isinstance(value, bool):
            return AttrValue(b=value)
        if isinstance(value, self._tf.DType):
            return AttrValue(type=value.base_dtype.as_datatype_enum)
        return AttrValue(tensor=value)
