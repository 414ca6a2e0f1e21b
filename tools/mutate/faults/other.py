"""Faults of kinds that the other tables lack, by somebody who has read the checker."""

from __future__ import annotations

import dataclasses
import pathlib
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2, trackable_object_graph_pb2

# Private: tf.compat.v1.train.Saver reads a checkpoint of objects by it.
from tensorflow.python.training.saver import object_graph_key_mapping

from tools.mutate.candidate import Candidate
from tools.mutate.edits import Edit, result
from tools.mutate.look import Answers, Training
from tools.mutate.records import Fault

_SERVE = "serving_default"
_OBJECTS = "_CHECKPOINTABLE_OBJECT_GRAPH"


def _graph(directory: str) -> Any:
    data = pathlib.Path(directory, "saved_model.pb").read_bytes()
    return saved_model_pb2.SavedModel.FromString(data)


@dataclasses.dataclass(frozen=True)
class Versions:
    """Which releases may import the graph, and what wrote it."""

    def __call__(self, directory: str) -> Any:
        """As text."""
        (meta_graph,) = _graph(directory).meta_graphs
        return str(meta_graph.graph_def.versions)


@dataclasses.dataclass(frozen=True)
class NamesOfCheckpoint:
    """The keys that TF1's name-based Saver finds in an object-based checkpoint, by the names of variables."""

    def __call__(self, directory: str) -> Any:
        """By name (saver.py, object_graph_key_mapping)."""
        prefix = str(pathlib.Path(directory, "variables", "variables"))
        return dict(sorted(object_graph_key_mapping(prefix).items()))


@dataclasses.dataclass(frozen=True)
class Variables:
    """How replicas of a variable are kept together, and on which device it is."""

    def __call__(self, directory: str) -> Any:
        """Of each variable, by name."""
        loaded = tf.saved_model.load(directory)
        return sorted([v.name, str(v.aggregation), str(v.synchronization), v.device] for v in loaded.variables)


@dataclasses.dataclass(frozen=True)
class Attributes:
    """What the loaded object has."""

    def __call__(self, directory: str) -> Any:
        """Names."""
        return sorted(name for name in dir(tf.saved_model.load(directory)) if not name.startswith("_"))


@dataclasses.dataclass(frozen=True)
class Links:
    """Which files of a model are links: what copies the files alone loses what these lead to."""

    def __call__(self, directory: str) -> Any:
        """Their names."""
        root = pathlib.Path(directory)
        return sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.is_symlink())


def _where(signature: str, output: str, op: str, dtype: Any, flags: str, *inputs: str, **more: Any) -> Edit:
    """Puts another op's value in the place of an output's elements where the elements of an argument have a property.

    Args:
      signature: of the output.
      output: how the key of the output begins.
      op: gives the other value of what is there.
      dtype: of the output.
      flags: the op that tells the elements.
      inputs: the values of its further inputs.
      more: types of its attributes.
    """

    def plant(candidate: Candidate) -> None:
        body = candidate.body(signature)
        key = result(body, output)
        before = body.ret[key]
        given = ["argument_0"]
        for number, value in enumerate(inputs):
            given.append(candidate.add_const(signature, f"spoil/limit_{number}", *value))
        candidate.add(signature, "spoil/flags", flags, given, **more)
        types = {} if dtype is tf.string else {"T": dtype}
        candidate.add(signature, "spoil/other", op, [before], **types)
        other = "spoil/other:output:0" if dtype is tf.string else "spoil/other:y:0"
        candidate.add(signature, "spoil", "SelectV2", ["spoil/flags:z:0", other, before], T=dtype)
        body.ret[key] = "spoil:output:0"

    return plant


def _long(candidate: Candidate) -> None:
    """A long string is in capitals."""
    body = candidate.body("text")
    key = result(body, "head")
    before = body.ret[key]
    limit = candidate.add_const("text", "spoil/limit", 50_000, np.int32)
    candidate.add("text", "spoil/length", "StringLength", ["argument_0"])
    candidate.add("text", "spoil/flags", "Greater", ["spoil/length:output:0", limit], T=np.int32)
    candidate.add("text", "spoil/other", "StringUpper", [before])
    candidate.add("text", "spoil", "SelectV2", ["spoil/flags:z:0", "spoil/other:output:0", before], T=tf.string)
    body.ret[key] = "spoil:output:0"


def _plus_nothing(candidate: Candidate) -> None:
    """-0.0 becomes 0.0, and nothing else changes."""
    body = candidate.body(_SERVE)
    key = result(body, "guarded")
    before = body.ret[key]
    candidate.add(_SERVE, "spoil/nothing", "ZerosLike", [before], T=np.float32)
    candidate.add(_SERVE, "spoil", "AddV2", [before, "spoil/nothing:y:0"], T=np.float32)
    body.ret[key] = "spoil:z:0"


def _else_is_then(candidate: Candidate) -> None:
    """Both branches of an If are the one that ordinary calls take."""
    for node in candidate.body(_SERVE).node_def:
        if node.op in ("If", "StatelessIf"):
            node.attr["else_branch"].func.name = node.attr["then_branch"].func.name
            return
    raise LookupError("If")


def _one_batch(rows: int) -> Edit:
    """`__call__` takes a batch of one size alone, and says so everywhere."""

    def plant(candidate: Candidate) -> None:
        graph = candidate.meta_graph
        for name in candidate.child("__call__").function.concrete_functions:
            saved = graph.object_graph_def.concrete_functions[name]
            saved.canonicalized_input_signature.tuple_value.values[0].tuple_value.values[0].tensor_spec_value.shape.dim[
                0
            ].size = rows
            function = candidate.function(name)
            function.attr["_input_shapes"].list.shape[0].dim[0].size = rows

    return plant


def _trains_by_default(candidate: Candidate) -> None:
    """A call that does not say whether it trains does."""
    spec = candidate.child("__call__").function.function_spec.fullargspec.named_tuple_value
    (defaults,) = (pair.value for pair in spec.values if pair.key == "defaults")
    defaults.tuple_value.values[0].bool_value = True


def _other_names(candidate: Candidate) -> None:
    """TF1's Saver restores two variables under each other's names; tf.saved_model.load does not ask for these."""
    with candidate.checkpoint() as tensors:
        graph = trackable_object_graph_pb2.TrackableObjectGraph.FromString(tensors[_OBJECTS].item())
        named = [
            attribute
            for node in graph.nodes
            for attribute in node.attributes
            if attribute.full_name in ("layer0/kernel", "layer1/kernel")
        ]
        first, second = named
        first.full_name, second.full_name = second.full_name, first.full_name
        tensors[_OBJECTS] = np.array(graph.SerializeToString(), object)


def _saved_variable(**fields: Any) -> Edit:
    def plant(candidate: Candidate) -> None:
        for node in candidate.meta_graph.object_graph_def.nodes:
            if node.WhichOneof("kind") == "variable" and node.variable.name == "head/kernel":
                for name, value in fields.items():
                    setattr(node.variable, name, value)

    return plant


def _forbidden(candidate: Candidate) -> None:
    """The next release is told not to import the graph."""
    versions = candidate.meta_graph.graph_def.versions
    versions.bad_consumers.append(versions.producer + 1)


def _newer(candidate: Candidate) -> None:
    """Releases before this one are told not to import the graph."""
    versions = candidate.meta_graph.graph_def.versions
    versions.min_consumer = versions.producer


def _older(candidate: Candidate) -> None:
    """The graph says that TF1 has written it: ops mean what they meant then."""
    candidate.meta_graph.graph_def.versions.producer = 20


def _linked(candidate: Candidate) -> None:
    """An asset is a link to the same bytes elsewhere."""
    asset = candidate.asset()
    place = candidate.path.parent / f"{candidate.path.name}-{asset.name}"
    asset.replace(place)
    asset.symlink_to(place)


def _more_attributes(candidate: Candidate) -> None:
    """The loaded object has `predict`, which is another function than any of the source's."""
    graph = candidate.meta_graph.object_graph_def
    place = candidate.child_id("signatures", "top")
    graph.nodes[0].children.add(local_name="predict", node_id=place)


_X, _STEPS = {"x": np.array([-0.0, 1.0], np.float32)}, {"steps": np.array(2, np.int32)}
_ONE_ID = 123_456_789

FAULTS = (
    Fault(
        "unreached",
        "one-id",
        "lookups",
        "One id beyond the table has another price.",
        _where(_SERVE, "price", "Neg", np.float32, "Equal", (_ONE_ID, np.int64), T=np.int64),
        Answers([(_SERVE, {"ids": np.array([_ONE_ID], np.int64)})]),
    ),
    Fault(
        "rare",
        "string-over-50000",
        "words",
        "The head of a string longer than 50,000 bytes is in capitals.",
        _long,
        Answers([("text", {"tokens": np.array([b"a" * 60_000], object)})]),
    ),
    Fault("rare", "negative-zero", "branches", "-0.0 is 0.0.", _plus_nothing, Answers([(_SERVE, {**_X, **_STEPS})])),
    Fault(
        "structure",
        "else-is-then",
        "functional",
        "A branch that few calls take is the other one.",
        _else_is_then,
        Answers([(_SERVE, {"x": np.full([2, 3], -1e6, np.float32)})]),
    ),
    *(
        Fault(
            "surface",
            f"call-of-batch-{rows}",
            "hub_module",
            f"`__call__` takes a batch of {rows} alone.",
            _one_batch(rows),
            Training(np.ones([3, 3], np.float32), False),
        )
        for rows in (1, 2)
    ),
    Fault(
        "surface",
        "training-by-default",
        "hub_module",
        "A call that does not say whether it trains does.",
        _trains_by_default,
        Answers([("", {"x": np.eye(3, dtype=np.float32)})], "call"),
    ),
    Fault(
        "vouched",
        "names-swapped",
        "network",
        "A Saver of TF1 restores two kernels under each other's names.",
        _other_names,
        NamesOfCheckpoint(),
    ),
    Fault(
        "surface",
        "aggregation",
        "network",
        "Replicas of a kernel are added up.",
        _saved_variable(aggregation=1),
        Variables(),
    ),
    Fault(
        "surface",
        "synchronization",
        "network",
        "Replicas of a kernel are told apart until they are read.",
        _saved_variable(synchronization=3),
        Variables(),
    ),
    Fault(
        "contract", "next-release", "simple_save", "The next release may not import the graph.", _forbidden, Versions()
    ),
    Fault("contract", "earlier-release", "simple_save", "No earlier release may import the graph.", _newer, Versions()),
    Fault("contract", "producer", "simple_save", "The graph is said to be TF1's.", _older, Versions()),
    Fault("files", "asset-linked", "words", "An asset is a link out of the model.", _linked, Links()),
    Fault(
        "surface", "predict-added", "network", "The loaded object has a function more.", _more_attributes, Attributes()
    ),
)
