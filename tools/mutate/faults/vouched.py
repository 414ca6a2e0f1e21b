"""Faults for which the candidate itself vouches: assets.extra/migration.json, and the checkpoint's index."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow.core.protobuf import trackable_object_graph_pb2

from tools.mutate.candidate import PROVENANCE, Candidate, set_value, value_of
from tools.mutate.edits import Edit, all_of, at, weight
from tools.mutate.faults import contract
from tools.mutate.look import Answers, Definitions, RestoredOptimizer, Stored
from tools.mutate.records import Fault

_SERVE = "serving_default"
_fault = functools.partial(Fault, "vouched", blind=True)
_OBJECT_GRAPH = "_CHECKPOINTABLE_OBJECT_GRAPH"
_X2 = np.array([[0.5, -1.0], [2.0, 0.25]], np.float32)
_X6 = np.random.RandomState(0).uniform(-1, 1, [4, 6]).astype(np.float32)


def _said(edit: Callable[[dict[str, Any]], Any]) -> Edit:
    """Changes what migration.json says."""

    def plant(candidate: Candidate) -> None:
        with candidate.provenance() as said:
            edit(said)

    return plant


def _without_map(said: dict[str, Any]) -> None:
    del said["variables"]


def _empty_map(said: dict[str, Any]) -> None:
    said["variables"] = {}


def _without(variable: str) -> Callable[[dict[str, Any]], None]:
    def edit(said: dict[str, Any]) -> None:
        del said["variables"][variable]
        said.get("sources", {}).pop(variable, None)

    return edit


def _decoy(variable: str, by: float = 0.25) -> Edit:
    """The map names an entry with the right value; the one that is restored has another."""

    def plant(candidate: Candidate) -> None:
        key = candidate.key(variable)
        with candidate.checkpoint() as tensors:
            tensors["decoy/.ATTRIBUTES/VARIABLE_VALUE"] = tensors[key].copy()
            tensors[key] = tensors[key] + np.asarray(by, tensors[key].dtype)
        with candidate.provenance() as said:
            said["variables"][variable] = "decoy/.ATTRIBUTES/VARIABLE_VALUE"

    return plant


def _swapped_objects(first: str, second: str) -> Edit:
    """tf.saved_model.load finds each variable's value under the other one's key; a Session does not."""

    def plant(candidate: Candidate) -> None:
        keys = {candidate.key(first): candidate.key(second), candidate.key(second): candidate.key(first)}
        with candidate.checkpoint() as tensors:
            graph = trackable_object_graph_pb2.TrackableObjectGraph.FromString(bytes(tensors[_OBJECT_GRAPH].item()))
            for node in graph.nodes:
                for attribute in node.attributes:
                    attribute.checkpoint_key = keys.get(attribute.checkpoint_key, attribute.checkpoint_key)
            tensors[_OBJECT_GRAPH] = np.array(graph.SerializeToString(), object)

    return plant


def _object_key_elsewhere(variable: str, by: float = 0.25) -> Edit:
    """tf.saved_model.load alone takes another entry, with another value."""

    def plant(candidate: Candidate) -> None:
        key = candidate.key(variable)
        with candidate.checkpoint() as tensors:
            graph = trackable_object_graph_pb2.TrackableObjectGraph.FromString(bytes(tensors[_OBJECT_GRAPH].item()))
            for node in graph.nodes:
                for attribute in node.attributes:
                    if attribute.checkpoint_key == key:
                        attribute.checkpoint_key = "other/.ATTRIBUTES/VARIABLE_VALUE"
            tensors["other/.ATTRIBUTES/VARIABLE_VALUE"] = tensors[key] + np.asarray(by, tensors[key].dtype)
            tensors[_OBJECT_GRAPH] = np.array(graph.SerializeToString(), object)

    return plant


def _restored_names(edit: Callable[[list[bytes]], list[bytes]]) -> Edit:
    """A Session restores by other keys; tf.saved_model.load does not."""

    def plant(candidate: Candidate) -> None:
        for function in candidate.functions:
            if "traced_restore" in function.signature.name:
                node = next(node for node in function.node_def if node.name == "RestoreV2/tensor_names")
                set_value(node, edit(value_of(node).tolist()))

    return plant


def _swap(first: int, second: int) -> Callable[[list[bytes]], list[bytes]]:
    def edit(names: list[bytes]) -> list[bytes]:
        names[first], names[second] = names[second], names[first]
        return names

    return edit


def _session_restores_other(variable: str, by: float = 0.25) -> Edit:
    """A Session restores an entry that only it uses."""

    def plant(candidate: Candidate) -> None:
        key = candidate.key(variable)
        with candidate.checkpoint() as tensors:
            tensors["session/.ATTRIBUTES/VARIABLE_VALUE"] = tensors[key] + np.asarray(by, tensors[key].dtype)
        new = b"session/.ATTRIBUTES/VARIABLE_VALUE"
        _restored_names(lambda names: [new if name == key.encode() else name for name in names])(candidate)

    return plant


def _swapped_weights(first: str, second: str) -> Edit:
    """Values and map are swapped: each key holds what the map says it does."""

    def plant(candidate: Candidate) -> None:
        one, other = candidate.key(first), candidate.key(second)
        with candidate.checkpoint() as tensors:
            tensors[one], tensors[other] = tensors[other], tensors[one]
        with candidate.provenance() as said:
            said["variables"][first], said["variables"][second] = other, one

    return plant


def _arguments_swapped(candidate: Candidate) -> None:
    """In Python `x` is `other`, and migration.json says that this is so."""
    found = candidate.child("signatures", "two_names").bare_concrete_function
    name = found.concrete_function_name
    copy = candidate.meta_graph.graph_def.library.function.add()
    copy.CopyFrom(candidate.function(name))
    copy.signature.name = f"{name}77"
    call = next(node for node in copy.node_def if node.op.endswith("PartitionedCall"))
    swapped = {"x": "other", "other": "x"}
    call.input[:] = [swapped.get(argument, argument) for argument in call.input]
    functions = candidate.meta_graph.object_graph_def.concrete_functions
    functions[copy.signature.name].CopyFrom(functions[name])
    found.concrete_function_name = copy.signature.name
    with candidate.provenance() as said:
        said["arguments"]["two_names"].update(swapped)


def _method_in_options(candidate: Candidate) -> None:
    candidate.meta_graph.signature_def[_SERVE].method_name = "tensorflow/serving/regress"
    with candidate.provenance() as said:
        said["options"]["signature"] = [
            {
                "key": _SERVE,
                "inputs": {"x": "x:0"},
                "outputs": {"y": "y:0"},
                "method_name": "tensorflow/serving/regress",
            }
        ]
        said["options"]["overwrite_signatures"] = True


def _option(**options: Any) -> Edit:
    def edit(said: dict[str, Any]) -> None:
        said["options"].update(options)

    return _said(edit)


def _unlink(candidate: Candidate) -> None:
    (candidate.path / PROVENANCE).unlink()


def _fed_otherwise(candidate: Candidate) -> None:
    """What was given by --feed has another value, and migration.json says that it was given so."""
    node = next(
        node
        for node in candidate.body(_SERVE).node_def
        if node.op == "Const" and node.attr["dtype"].type == tf.float32.as_datatype_enum and value_of(node) == 1.0
    )
    set_value(node, np.float32(0.5))
    with candidate.provenance() as said:
        for feed in said["options"]["feed"]:
            if "keep_prob" in str(feed):
                feed.update(value="0.5") if isinstance(feed, dict) else None


def _no_optimizer(candidate: Candidate) -> None:
    """The optimizer's slots are zeros, and migration.json says that they are lost."""
    with candidate.checkpoint() as tensors:
        for key in tensors:
            if "optimizer" in key and tensors[key].dtype == np.float32:
                tensors[key] = tensors[key] * 0
    with candidate.provenance() as said:
        said["optimizer"] = {"kept": "", "lost": "the optimizer has no weights"}


_TWINS = ("layer0/kernel", "layer1/kernel")

FAULTS = (
    _fault(
        "no-map",
        "simple_save",
        "A variable differs, and there is no map of variables.",
        all_of(weight("w", at(0, 0)), _said(_without_map)),
        Stored("tf2"),
    ),
    _fault(
        "empty-map",
        "simple_save",
        "A variable differs, and the map of variables is empty.",
        all_of(weight("w", at(0, 0)), _said(_empty_map)),
        Stored("tf2"),
    ),
    _fault(
        "not-in-map-slot",
        "training_adam",
        "A slot differs, and is not in the map.",
        all_of(weight("w/Adam", at(0, 0)), _said(_without("w/Adam"))),
        Stored("tf2"),
    ),
    _fault(
        "no-map-slot",
        "training_adam",
        "A slot differs, and there is no map.",
        all_of(weight("w/Adam_1", at(0, 0)), _said(_without_map)),
        Stored("tf2"),
    ),
    _fault(
        "not-in-map-step",
        "training",
        "The global step differs, and is not in the map.",
        all_of(weight("global_step", at(by=1)), _said(_without("global_step"))),
        Stored("tf2"),
    ),
    _fault(
        "not-in-map-row",
        "lookups",
        "A row differs, and its variable is not in the map.",
        all_of(weight("embedding", at(4321, 0)), _said(_without("embedding"))),
        Stored("tf2"),
    ),
    _fault("decoy", "simple_save", "The map names an entry that nothing restores.", _decoy("b"), Stored("tf2")),
    _fault(
        "decoy-slot",
        "training_adam",
        "The map names an entry of a slot that nothing restores.",
        _decoy("b/Adam"),
        Stored("tf2"),
    ),
    _fault(
        "decoy-step",
        "training",
        "The map names an entry of the step that nothing restores.",
        _decoy("global_step", 1),
        Stored("session"),
    ),
    _fault(
        "decoy-moving-mean",
        "network",
        "The map names an entry of a moving mean that nothing restores.",
        _decoy("norm/moving_mean", 1e-6),
        Stored("tf2"),
    ),
    _fault(
        "objects-swapped",
        "network",
        "tf.saved_model.load restores two kernels under each other's keys.",
        _swapped_objects(*_TWINS),
        Stored("tf2"),
    ),
    _fault(
        "objects-swapped-slots",
        "training_adam",
        "tf.saved_model.load restores two slots under each other's keys.",
        _swapped_objects("w/Adam", "w/Adam_1"),
        Stored("tf2"),
    ),
    _fault(
        "object-key-elsewhere",
        "training_adam",
        "tf.saved_model.load restores another entry of a slot.",
        _object_key_elsewhere("w/Adam"),
        Stored("tf2"),
    ),
    _fault(
        "object-key-of-step",
        "training",
        "tf.saved_model.load restores another entry of the step.",
        _object_key_elsewhere("global_step", 1),
        Stored("tf2"),
    ),
    _fault(
        "session-swapped",
        "network",
        "A Session restores two kernels under each other's keys.",
        _restored_names(_swap(0, 2)),
        Stored("session"),
    ),
    _fault(
        "session-elsewhere",
        "training_adam",
        "A Session restores another entry of a slot.",
        _session_restores_other("w/Adam"),
        Stored("session"),
    ),
    _fault(
        "session-elsewhere-step",
        "training",
        "A Session restores another entry of the step.",
        _session_restores_other("global_step", 1),
        Stored("session"),
    ),
    _fault(
        "map-swapped",
        "network",
        "Two kernels are swapped, and the map says so.",
        _swapped_weights(*_TWINS),
        Stored("tf2"),
    ),
    _fault(
        "map-swapped-slots",
        "training_adam",
        "Two slots are swapped, and the map says so.",
        _swapped_weights("w/Adam", "w/Adam_1"),
        Stored("tf2"),
    ),
    _fault(
        "map-swapped-savers",
        "renaming_saver",
        "Two variables are swapped, and the map says so.",
        _swapped_weights("a", "b"),
        Stored("tf2"),
    ),
    _fault(
        "arguments-swapped",
        "odd_names",
        "Two arguments are swapped in Python, and the map says so.",
        _arguments_swapped,
        Answers([("two_names", {"x": _X2, "same_x": _X2, "other": _X2 * 3})], "tf2"),
    ),
    _fault(
        "dropped-as-asked",
        "network",
        "A signature is gone, and the options say that it was asked for.",
        all_of(contract.drop_signature("top"), _option(drop_signatures=True)),
        Definitions("top"),
    ),
    _fault(
        "added-as-asked",
        "network",
        "There is one more signature, and the options say that it was asked for.",
        all_of(contract.copy_signature("top", "best"), _option(signature=["best:inputs=x=x:0;outputs=values=top:0"])),
        Definitions("best"),
    ),
    _fault(
        "method-as-asked",
        "simple_save",
        "A method is another one, and the options say that it was asked for.",
        _method_in_options,
        Definitions(_SERVE),
    ),
    _fault(
        "ulps-as-asked",
        "simple_save",
        "A variable differs by one ulp, and the options allow a million.",
        all_of(weight("b", lambda value: np.nextafter(value, np.float32(9))), _option(max_ulps=1000000)),
        Stored("tf2"),
    ),
    _fault(
        "unverified-as-asked",
        "training_adam",
        "A slot differs, and the options allow what is unverified.",
        all_of(weight("b/Adam", at(0)), _said(_without_map), _option(allow_unverified=True)),
        Stored("tf2"),
    ),
    _fault(
        "no-provenance",
        "training_adam",
        "A slot differs, and there is no migration.json.",
        all_of(weight("w/Adam", at(0, 0)), _unlink),
        Stored("tf2"),
    ),
    _fault(
        "fed-otherwise",
        "unfed_training",
        "A value that was given differs, and migration.json says that it was given so.",
        _fed_otherwise,
        Answers([(_SERVE, {"x": np.ones([40, 3], np.float32)})]),
    ),
    _fault(
        "optimizer-lost",
        "keras_functional",
        "An optimizer has lost its state, and migration.json says that it had to.",
        _no_optimizer,
        RestoredOptimizer(),
    ),
)
