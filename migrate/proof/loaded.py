"""What `tf.saved_model.load` makes of a candidate: objects, what they hold, and which functions they call.

Source: tensorflow/python/saved_model/load.py (Loader), checkpoint/restore.py. A variable's value is found by walking
the checkpoint's object graph beside the saved one, by the names of children. A function's captures are the nodes that
`bound_inputs` lists. Resources are made and initialised in the order of their nodes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from google.protobuf.message import DecodeError

from migrate.errors import InputError
from migrate.frozen import frozen
from migrate.graph.protos import MetaGraphDef
from migrate.sources.stored_objects import read_stored_objects

_VALUE = "VARIABLE_VALUE"


@frozen
class Objects:
    """The saved objects of a SavedModel.

    Attributes:
      nodes: as the object graph has them.
      keys: number of a variable's node -> the key of its value in the checkpoint.
      functions: name of a function -> numbers of the nodes that it captures.
      problem: why they cannot be read, or empty.
    """

    nodes: Any
    keys: Mapping[int, str]
    functions: Mapping[str, tuple[int, ...]]
    problem: str = ""

    def child(self, node: int, name: str) -> int | None:
        """The number of a child."""
        found = [c.node_id for c in self.nodes[node].children if c.local_name == name]
        return found[0] if len(found) == 1 and 0 <= found[0] < len(self.nodes) else None

    def children(self, node: int) -> dict[str, int]:
        """The numbers of all children by name."""
        return {c.local_name: c.node_id for c in self.nodes[node].children if 0 <= c.node_id < len(self.nodes)}

    def traces(self, node: int) -> list[str]:
        """Names of the concrete functions of a node."""
        saved = self.nodes[node]
        kind = saved.WhichOneof("kind")
        if kind == "bare_concrete_function":
            return [saved.bare_concrete_function.concrete_function_name]
        return list(saved.function.concrete_functions) if kind == "function" else []


def read_objects(meta_graph: MetaGraphDef, prefix: str) -> Objects:
    """Reads the objects of a SavedModel, and what of its checkpoint they are restored from."""
    graph = meta_graph.object_graph_def
    if not graph.nodes:
        return Objects((), {}, {}, "the SavedModel has no objects, so tf.saved_model.load has nothing to call")
    functions = {name: tuple(saved.bound_inputs) for name, saved in graph.concrete_functions.items()}
    if any(not 0 <= node < len(graph.nodes) for bound in functions.values() for node in bound):
        return Objects((), {}, {}, "a function captures an object that is not there")
    try:
        written = read_stored_objects(prefix)
    except (InputError, OSError, DecodeError, ValueError) as error:
        return Objects(graph.nodes, {}, functions, "" if not _has_variables(graph.nodes) else f"checkpoint: {error}")
    paired: dict[int, int] = {0: 0}
    pending = [0]
    slots = [(n, s) for n, node in enumerate(graph.nodes) for s in node.slot_variables]
    while pending:
        here = pending.pop()
        there = paired[here]
        known = {c.local_name: c.node_id for c in written.nodes[there].children}
        beside_each = [(child.node_id, known.get(child.local_name)) for child in graph.nodes[here].children]
        if not pending:
            # Slot variables are known by the variable that they belong to (trackable_object_graph.proto).
            for number, slot in slots:
                for other in written.nodes[paired[number]].slot_variables if number in paired else ():
                    same = paired.get(slot.original_variable_node_id) == other.original_variable_node_id
                    if same and slot.slot_name == other.slot_name and slot.slot_variable_node_id not in paired:
                        beside_each.append((slot.slot_variable_node_id, other.slot_variable_node_id))
        for child, beside in beside_each:
            if beside is None or not 0 <= child < len(graph.nodes) or not 0 <= beside < len(written.nodes):
                continue
            if child not in paired:
                paired[child] = beside
                pending.append(child)
            elif paired[child] != beside:
                return Objects(graph.nodes, {}, functions, "two objects of the checkpoint stand for one of the model")
    keys: dict[int, str] = {}
    for here, there in paired.items():
        if graph.nodes[here].WhichOneof("kind") == "variable":
            found = [a.checkpoint_key for a in written.nodes[there].attributes if a.name == _VALUE]
            if len(found) == 1:
                keys[here] = found[0]
    return Objects(graph.nodes, keys, functions)


def _has_variables(nodes: Any) -> bool:
    return any(node.WhichOneof("kind") == "variable" for node in nodes)
