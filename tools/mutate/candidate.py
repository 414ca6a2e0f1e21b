"""A conversion on the disk that a fault is planted in."""

from __future__ import annotations

import contextlib
import hashlib
import json
import pathlib
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow.core.framework import function_pb2, node_def_pb2
from tensorflow.core.protobuf import meta_graph_pb2, saved_model_pb2

# Private: nothing public writes a fingerprint for a model that was edited.
from tensorflow.python.saved_model import fingerprinting_utils

Function = function_pb2.FunctionDef
Node = node_def_pb2.NodeDef
_CALLS = ("PartitionedCall", "StatefulPartitionedCall")


class Candidate:
    """Reads, edits and writes the files of one SavedModel.

    `write` makes the fingerprint, and the digest in migration.json, those of the edited files, so that nothing but the
    fault itself betrays it. `stale` lists those of the two that stay as they were.
    """

    def __init__(self, directory: str) -> None:
        self.path = pathlib.Path(directory)
        self.proto = saved_model_pb2.SavedModel.FromString((self.path / "saved_model.pb").read_bytes())
        self.stale: set[str] = set()
        self._functions = self._serialized()

    def write(self) -> None:
        """Writes the graph, and what vouches for it."""
        if self._functions != self._serialized():
            graph = self.meta_graph.graph_def
            for node in (*graph.node, *(node for function in self.functions for node in function.node_def)):
                node.attr.pop("_output_shapes", None)  # TensorFlow compares them with what it infers.
        data = self.proto.SerializeToString(deterministic=True)
        (self.path / "saved_model.pb").write_bytes(data)
        if "fingerprint" not in self.stale and (self.path / "fingerprint.pb").exists():
            fingerprinting_utils.write_fingerprint(str(self.path))
        if "digest" not in self.stale and (self.path / PROVENANCE).exists():
            with self.provenance() as said:
                said["saved_model_sha256"] = hashlib.sha256(data).hexdigest()

    def _serialized(self) -> list[bytes]:
        return [function.SerializeToString(deterministic=True) for function in self.functions]

    # The graph.

    @property
    def meta_graph(self) -> meta_graph_pb2.MetaGraphDef:
        """The only one that a conversion has."""
        return self.proto.meta_graphs[0]

    @property
    def functions(self) -> Iterable[Function]:
        """The library."""
        return self.meta_graph.graph_def.library.function

    def function(self, name: str) -> Function:
        """The function of that name."""
        return next(function for function in self.functions if function.signature.name == name)

    def main(self, name: str) -> Node:
        """A node of the main graph."""
        return _named(self.meta_graph.graph_def.node, name)

    def call_of(self, signature: str) -> Node:
        """The node of the main graph that calls a signature's function."""
        outputs = self.meta_graph.signature_def[signature].outputs
        first = outputs[min(outputs)]
        name = first.name or first.coo_sparse.values_tensor_name
        found = self.main(name.partition(":")[0])
        while found.op not in _CALLS:  # A tensor name that was kept.
            found = self.main(found.input[0].partition(":")[0])
        return found

    def body(self, signature: str) -> Function:
        """The function in which a signature's nodes are: the last of the calls that only pass on."""
        return self.inner(self.call_of(signature).attr["f"].func.name)

    def inner(self, name: str) -> Function:
        """The function in which the nodes are of one that may only pass on."""
        found = self.function(name)
        while True:
            calls = [node for node in found.node_def if node.op in _CALLS]
            if len(calls) != 1 or any(node.op not in (*_CALLS, "Identity", "NoOp") for node in found.node_def):
                return found
            found = self.function(calls[0].attr["f"].func.name)

    def bodies_with(self, node: str) -> list[Function]:
        """The functions that have a node of that name."""
        return [function for function in self.functions if any(found.name == node for found in function.node_def)]

    def nodes(self, name: str) -> list[Node]:
        """The nodes of that name in all functions; at least one."""
        found = [_named(function.node_def, name) for function in self.bodies_with(name)]
        if not found:
            raise LookupError(f"no function has a node {name}")
        return found

    def node(self, signature: str, name: str) -> Node:
        """A node of a signature's function."""
        return _named(self.body(signature).node_def, name)

    def add(self, signature: str, name: str, op: str, inputs: Iterable[str], **types: Any) -> Node:
        """Adds a node to a signature's function; `types` are attributes that are types."""
        node = self.body(signature).node_def.add(name=name, op=op, input=list(inputs))
        for key, value in types.items():
            node.attr[key].type = tf.as_dtype(value).as_datatype_enum
        return node

    def add_const(self, signature: str, name: str, value: Any, dtype: Any) -> str:
        """Adds a constant to a signature's function and gives what refers to it."""
        node = self.add(signature, name, "Const", [], dtype=dtype)
        node.attr["value"].tensor.CopyFrom(tf.make_tensor_proto(value, dtype=dtype))
        return f"{name}:output:0"

    # The object graph.

    def child(self, *names: str) -> Any:
        """The object at the end of a path of attributes from the root."""
        return self.meta_graph.object_graph_def.nodes[self.child_id(*names)]

    def child_id(self, *names: str) -> int:
        """Its index."""
        found = 0
        for name in names:
            children = self.meta_graph.object_graph_def.nodes[found].children
            found = next(child.node_id for child in children if child.local_name == name)
        return found

    # Files.

    @contextlib.contextmanager
    def provenance(self) -> Iterator[dict[str, Any]]:
        """What assets.extra/migration.json says, to be changed."""
        path = self.path / PROVENANCE
        said = json.loads(path.read_text(encoding="utf-8"))
        yield said
        path.write_text(json.dumps(said, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")

    @contextlib.contextmanager
    def checkpoint(self) -> Iterator[dict[str, np.ndarray]]:
        """The tensors of the checkpoint by key, to be changed; it is written anew."""
        prefix = str(self.path / "variables" / "variables")
        reader = tf.train.load_checkpoint(prefix)
        tensors = {key: _array(reader.get_tensor(key)) for key in sorted(reader.get_variable_to_shape_map())}
        dtypes = {key: reader.get_variable_to_dtype_map()[key] for key in tensors}
        yield tensors
        for file in (self.path / "variables").iterdir():
            file.unlink()
        tf.raw_ops.SaveV2(
            prefix=prefix,
            tensor_names=list(tensors),
            shape_and_slices=[""] * len(tensors),
            tensors=[tf.constant(value, dtypes.get(key)) for key, value in tensors.items()],
        )
        # SaveV2 writes a shard of that name, and its index; a checkpoint of one shard is whole.

    def key(self, variable: str) -> str:
        """A variable's key in the checkpoint."""
        reader = tf.train.load_checkpoint(str(self.path / "variables" / "variables"))
        escaped = variable.replace(".", "..").replace("/", ".S")
        return next(
            key for key in reader.get_variable_to_shape_map() if key == f"vars/{escaped}/.ATTRIBUTES/VARIABLE_VALUE"
        )

    def asset(self, name: str = "") -> pathlib.Path:
        """A file in assets/: the one of that name, else the first."""
        return self.path / "assets" / name if name else min((self.path / "assets").iterdir())


PROVENANCE = "assets.extra/migration.json"


def value_of(node: Node) -> np.ndarray:
    """A copy of a constant's value."""
    return np.array(tf.make_ndarray(node.attr["value"].tensor))


def set_value(node: Node, value: Any) -> None:
    """Gives a constant another value of its dtype."""
    tensor = tf.make_tensor_proto(value, dtype=node.attr["value"].tensor.dtype)
    node.attr["value"].tensor.CopyFrom(tensor)


def change(nodes: Iterable[Node], new: Callable[[np.ndarray], Any]) -> None:
    """Gives constants what `new` makes of their values."""
    for node in nodes:
        set_value(node, new(value_of(node)))


def _array(value: Any) -> np.ndarray:
    """An array of its own; NumPy cuts zeros off the end of bytes that are no objects."""
    return np.array(value, object) if isinstance(value, bytes) else np.array(value)


def _named(nodes: Iterable[Node], name: str) -> Node:
    for node in nodes:
        if node.name == name:
            return node
    raise LookupError(f"no node {name}")
