"""Faults in what a conversion of a Keras model keeps beside the signature, by somebody who has read the checker."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tools.mutate.candidate import Candidate, Function, set_value, value_of
from tools.mutate.edits import Edit, negate
from tools.mutate.look import (
    CommonestInTraining,
    Draws,
    Files,
    RestoredOptimizer,
    SpreadInTraining,
    Surface,
    Training,
)
from tools.mutate.records import Fault

_X, _IDS = np.array([[0.5, -1.0]], np.float32), np.array([[1, 2, 0]], np.int32)
_LIST, _DICT = [_IDS, _X], {"ids": _IDS, "x": _X}
_FEATURES = np.linspace(-1, 1, 32, dtype=np.float32).reshape(8, 4)
_STEPS = np.where(np.arange(24).reshape(2, 4, 3) < 15, np.float32(0.5), np.float32(0.0))
_METADATA = "keras_metadata.pb"


def _texts(*pairs: tuple[bytes, bytes]) -> Edit:
    """Changes keras_metadata.pb, whose lengths stay."""

    def plant(candidate: Candidate) -> None:
        path = candidate.path / _METADATA
        data = path.read_bytes()
        for before, after in pairs:
            if before not in data or len(before) != len(after):
                raise LookupError(before.decode())
            data = data.replace(before, after)
        path.write_bytes(data)

    return plant


def optimizer(edit: Callable[[np.ndarray], Any], name: str) -> Edit:
    """Changes the entries of an optimizer of that name in the checkpoint."""

    def plant(candidate: Candidate) -> None:
        with candidate.checkpoint() as tensors:
            keys = [key for key in tensors if "optimizer" in key and name in key]
            if not keys:
                raise LookupError(name)
            for key in keys:
                tensors[key] = np.asarray(edit(tensors[key]), tensors[key].dtype)

    return plant


def _traces(candidate: Candidate) -> list[Function]:
    """The functions of `__call__`, that of training first."""
    found = [candidate.function(name) for name in candidate.child("__call__").function.concrete_functions]
    bodies = [candidate.inner(function.signature.name) for function in found]
    return sorted(bodies, key=lambda body: not any("Assign" in n.op or n.op == "RandomUniform" for n in body.node_def))


def negated(number: int) -> Edit:
    """The function of `__call__` of that number (0: in training) answers the negative."""

    return lambda candidate: negate(_traces(candidate)[number])


def unmoved(candidate: Candidate) -> None:
    """Moving means stay as they are in training."""
    for function in candidate.functions:
        for node in function.node_def:
            if node.op in ("AssignSubVariableOp", "AssignVariableOp"):
                node.op = "NoOp"
                node.attr.clear()
                node.input[:] = [f"^{name.partition(':')[0].lstrip('^')}" for name in node.input[1:]]


def _never_drawn(candidate: Candidate) -> None:
    """Dropout keeps everything, and scales nothing, in training."""
    for function in candidate.functions:
        for node in function.node_def:
            if node.op == "SelectV2" and "dropout" in node.name:
                scaled = next(n for n in function.node_def if n.name == node.input[1].partition(":")[0])
                node.op, node.input[:] = "Identity", [scaled.input[0]]
                for taker in function.node_def:
                    taker.input[:] = [
                        f"{node.name}:output:0" if i == f"{node.name}:output:0" else i for i in taker.input
                    ]


def penalty(candidate: Candidate) -> None:
    """A penalty is twice as high."""
    names = {candidate.child("regularization_losses", "0").function.concrete_functions[0]}
    for function in candidate.functions:
        if function.signature.name in names or "loss_fn" in function.signature.name:
            for node in candidate.inner(function.signature.name).node_def:
                if node.op == "Const" and node.attr["dtype"].type == 1 and not value_of(node).ndim:
                    set_value(node, value_of(node) * 2)
                    return


def _flag(name: str, value: bool) -> Edit:
    def plant(candidate: Candidate) -> None:
        for node in candidate.meta_graph.object_graph_def.nodes:
            if node.WhichOneof("kind") == "variable" and node.variable.name == name:
                node.variable.trainable = value

    return plant


def _swapped_layers(candidate: Candidate) -> None:
    children = candidate.meta_graph.object_graph_def.nodes[0].children
    names = {"layer_with_weights-1": "layer_with_weights-3", "layer_with_weights-3": "layer_with_weights-1"}
    for child in children:
        child.local_name = names.get(child.local_name, child.local_name)


def constant(end: str, value: float, functions: str = "") -> Edit:
    """Gives the constants whose names end so, in functions whose names hold a text, another value."""

    def plant(candidate: Candidate) -> None:
        found = [
            node
            for function in candidate.functions
            if functions in function.signature.name
            for node in function.node_def
            if node.op == "Const" and node.name.endswith(end)
        ]
        if not found:
            raise LookupError(end)
        for node in found:
            set_value(node, np.full_like(value_of(node), value))

    return plant


def _surface(name: str, base: str, says: str, edit: Edit, look: Any) -> Fault:
    return Fault("surface", name, base, says, edit, look)


def _metadata(name: str, base: str, says: str, *pairs: tuple[bytes, bytes]) -> Fault:
    return Fault("files", name, base, says, _texts(*pairs), Files([_METADATA]))


FAULTS = (
    _surface(
        "keras-predicts", "keras_functional", "`__call__` answers the negative.", negated(1), Training(_LIST, False)
    ),
    _surface("keras-trains", "keras_functional", "It does so in training alone.", negated(0), Training(_LIST)),
    _surface("keras-3-trains", "keras_3", "The same of Keras 3.", negated(0), Training(_DICT)),
    _surface("keras-3-predicts", "keras_3", "`__call__` of Keras 3 differs.", negated(1), Training(_DICT, False)),
    _surface("keras-3-training", "keras_3", "Means of Keras 3 stay in training.", unmoved, Training(_DICT)),
    _surface("keras-dropout", "keras_dropout", "Nothing is dropped in training.", _never_drawn, Draws(_FEATURES)),
    _surface(
        "keras-dropout-rate",
        "keras_dropout",
        "A fifth is dropped in training instead of a half.",
        constant("dropout/GreaterEqual/y", 0.2),
        CommonestInTraining(_FEATURES[0].tolist()),
    ),
    _surface(
        "keras-dropout-scale",
        "keras_dropout",
        "What is not dropped is not scaled in training.",
        constant("dropout/Const", 1.0),
        SpreadInTraining(_FEATURES[0].tolist()),
    ),
    _surface(
        "keras-3-dropout-rate",
        "keras_3_dropout",
        "A fifth is dropped in training of Keras 3.",
        constant("dropout/GreaterEqual/y", 0.2),
        CommonestInTraining(_FEATURES[0].tolist()),
    ),
    _surface(
        "keras-mask",
        "keras_recurrent",
        "`__call__` masks other steps.",
        constant("NotEqual/y", -1.0, "layer_call"),
        Training(_STEPS, False),
    ),
    _surface("keras-3-loss", "keras_3", "A penalty of Keras 3 is another one.", penalty, Surface()),
    _surface(
        "keras-untrained",
        "keras_functional",
        "A kernel says that it is not trained.",
        _flag("hidden/kernel", False),
        Surface(),
    ),
    _surface(
        "keras-3-trainable", "keras_3", "A mean of Keras 3 is trainable.", _flag("normal/moving_mean", True), Surface()
    ),
    _surface(
        "keras-3-rate",
        "keras_3",
        "The learning rate of Keras 3 is another one.",
        optimizer(lambda v: v * 2, "/1/"),
        RestoredOptimizer(),
    ),
    _surface(
        "keras-3-steps",
        "keras_3",
        "Keras 3 has made another number of steps.",
        optimizer(lambda v: v + 1, "/0/"),
        RestoredOptimizer(),
    ),
    _surface(
        "keras-tf1-rate",
        "keras_tf1",
        "The learning rate of TF1's Keras is another one.",
        optimizer(lambda v: v * 2, "learning_rate"),
        RestoredOptimizer(),
    ),
    _surface(
        "keras-tf1-beta",
        "keras_tf1",
        "Another beta_1 of TF1's Keras.",
        optimizer(lambda v: v / 2, "beta_1"),
        RestoredOptimizer(),
    ),
    _surface(
        "keras-layers",
        "keras_functional",
        "Two layers stand in each other's place.",
        _swapped_layers,
        Files(["saved_model.pb"]),
    ),
    _metadata(
        "keras-metadata-units",
        "keras_functional",
        "keras_metadata.pb has another width.",
        (b'"units": 5', b'"units": 6'),
    ),
    _metadata(
        "keras-metadata-frozen",
        "keras_functional",
        "A layer is frozen.",
        (b'"trainable": true, "expects', b'"trainable":false, "expects'),
    ),
    _metadata(
        "keras-metadata-momentum", "keras_functional", "Another momentum.", (b'"momentum": 0.99', b'"momentum": 0.95')
    ),
    _metadata(
        "keras-metadata-rate",
        "keras_functional",
        "load_model trains with another rate.",
        (b'"learning_rate": 0.00', b'"learning_rate": 0.01'),
    ),
    _metadata(
        "keras-metadata-loss", "keras_functional", "load_model trains with no loss.", (b'{"loss": [', b'{"lost": [')
    ),
    _metadata("keras-metadata-penalty", "keras_functional", "Another penalty.", (b'"l2": 0.00', b'"l2": 0.01')),
    _metadata(
        "keras-tf1-metric",
        "keras_tf1",
        "load_model has another metric.",
        (b'"fn": "mean_absolute_error"', b'"fn": "mean_squared_error" '),
    ),
)
