"""The objects of a TF2 SavedModel in a copy of it, or in another export: functions that Python code calls, variables.

No signature need reach a function: `__call__` with `training=True` is one of Keras' own. No TensorFlow.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping, Sequence
from typing import Any

from migrate.graph.attr_defaults import encoded, has_functions
from migrate.graph.protos import FunctionDef, MetaGraphDef, NodeDef
from migrate.records import Mismatch
from migrate.verify.differences import mismatch
from migrate.verify.keras_graph import computed
from migrate.verify.object_graph import paths_of

_CODE = "function-differs"
_FUNCTIONS = ("function", "bare_concrete_function")
_NOT_COMPARED = frozenset({"config_proto", "executor_type", "config"})


def object_differences(source: MetaGraphDef, new: MetaGraphDef, path: str) -> Iterator[Mismatch]:
    """Functions and variables that are at one place in both, and differ.

    Another release of TensorFlow may trace another graph of the same code: then functions are not compared.

    Args:
      source: of a TF2 SavedModel; nothing is told of another one.
      new: the candidate's.
      path: of the differences, see `records.Mismatch`.
    """
    before, after = _objects(source), _objects(new)
    is_same_release = source.meta_info_def.tensorflow_version == new.meta_info_def.tensorflow_version
    functions = [_Functions(graph) for graph in (source, new)]
    for place in sorted(before.keys() & after.keys()):
        one, other = before[place], after[place]
        kind = one.WhichOneof("kind")
        if kind == "variable" == other.WhichOneof("kind") and one.variable.trainable != other.variable.trainable:
            reason = f"expected trainable={one.variable.trainable}, found {other.variable.trainable}"
            yield mismatch("variable-form-differs", path, reason, "", place)
        if is_same_release and kind in _FUNCTIONS and other.WhichOneof("kind") in _FUNCTIONS:
            traces = functions[1].traces(other)
            for signature, name in functions[0].traces(one).items():
                reason = _differs(functions[0], name, functions[1], traces.get(signature, ""))
                if reason:
                    yield mismatch(_CODE, path, reason, "", place)
                    break


def _objects(graph: MetaGraphDef) -> dict[str, Any]:
    objects = graph.object_graph_def
    return {"/".join(place): objects.nodes[number] for number, place in paths_of(objects).items()}


class _Functions:
    """The functions of a SavedModel."""

    def __init__(self, graph: MetaGraphDef) -> None:
        self._graph = graph.object_graph_def
        self.library: Mapping[str, FunctionDef] = {f.signature.name: f for f in graph.graph_def.library.function}
        self._nodes = {name: function.node_def for name, function in self.library.items()}
        self._computed: dict[str, Mapping[str, int]] = {}

    def traces(self, saved: Any) -> dict[bytes, str]:
        """The names of an object's concrete functions, by what they take."""
        if saved.WhichOneof("kind") == "function":
            names = list(saved.function.concrete_functions)
        else:
            names = [saved.bare_concrete_function.concrete_function_name]
        known = self._graph.concrete_functions
        return {
            known[name].canonicalized_input_signature.SerializeToString(deterministic=True): name
            for name in names
            if name in known and name in self.library
        }

    def computed(self, name: str) -> Mapping[str, int]:
        """See `keras_graph.computed`."""
        if name not in self._computed:
            self._computed[name] = computed(self._nodes[name], self._nodes)
        return self._computed[name]

    def body(self, name: str) -> Sequence[Hashable]:
        """A function's nodes, and which tensors it gives."""
        function = self.library[name]
        return [tuple(sorted(map(_node, function.node_def))), tuple(sorted(function.ret.items()))]


def _differs(one: _Functions, name: str, other: _Functions, found: str) -> str:
    """Why two functions are not the same; empty where they are. Equal names are those of a copy."""
    if not found:
        return "no function of the candidate's takes what one of the source's takes"
    before, after = one.computed(name), other.computed(found)
    if before != after:
        ops = {key.rpartition(" ")[0] for key in before.keys() | after.keys() if before.get(key) != after.get(key)}
        return f"it computes another number of {', '.join(sorted(ops)[:4])}"
    if name == found and one.body(name) != other.body(found):
        return f"the nodes of {name!r} are connected differently"
    return ""


def _node(node: NodeDef) -> tuple[str, str, tuple[str, ...], str]:
    attributes = sorted(
        (key, repr(encoded(value)))
        for key, value in node.attr.items()
        if not key.startswith("_") and key not in _NOT_COMPARED and not has_functions(value)
    )
    return node.name, node.op, tuple(node.input), repr(attributes)
