"""Faults in what loading runs, in functions and what they say of their effects, in conversions of `.keras` archives.

By somebody who has read the checker.
"""

from __future__ import annotations

import dataclasses
import functools
import pathlib
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2

from tools.mutate.candidate import Candidate, Function, Node
from tools.mutate.edits import Edit, negate
from tools.mutate.faults.keras import constant, negated, optimizer, penalty, unmoved
from tools.mutate.look import Answers, Flags, RestoredOptimizer, Stored, Surface, Training, plain, plain_tree
from tools.mutate.records import Fault

_SERVE = "serving_default"
_TOKENS = np.array([b"cat", b"dog", b"mouse", b"nothing"], object)
_TOKEN_CALL = (_SERVE, {"tokens": _TOKENS})
_X, _IDS = np.array([[0.5, -1.0]], np.float32), np.array([[1, 2, 0]], np.int32)
_LIST = [_IDS, _X]


@dataclasses.dataclass(frozen=True)
class Ends:
    """Which nodes of a function run although no result needs them: its control outputs, by function."""

    def __call__(self, directory: str) -> Any:
        """As the library has them."""
        data = pathlib.Path(directory, "saved_model.pb").read_bytes()
        graph = saved_model_pb2.SavedModel.FromString(data).meta_graphs[0].graph_def
        return [[f.signature.name, dict(f.control_ret)] for f in graph.library.function]


@dataclasses.dataclass(frozen=True)
class Called:
    """What a function at the end of a path of attributes of the loaded object answers."""

    names: Sequence[str]
    inputs: Sequence[Any]
    keywords: Sequence[tuple[str, Any]] = ()

    def __call__(self, directory: str) -> Any:
        """The answers, flat."""
        loaded = tf.saved_model.load(directory)  # Kept: its variables end with it.
        found = functools.reduce(getattr, self.names, loaded)
        inputs = tf.nest.map_structure(tf.constant, list(self.inputs))
        return plain_tree(tf.nest.flatten(found(*inputs, **dict(self.keywords))))


@dataclasses.dataclass(frozen=True)
class Entries:
    """The values of a checkpoint whose keys hold a text."""

    text: str

    def __call__(self, directory: str) -> Any:
        """By key."""
        reader = tf.train.load_checkpoint(str(pathlib.Path(directory, "variables", "variables")))
        keys = sorted(key for key in reader.get_variable_to_shape_map() if self.text in key)
        return {key: plain(np.array(reader.get_tensor(key))) for key in keys}


def _initializing_call(candidate: Candidate) -> Node:
    """The node of the main graph that fills the tables of a model."""
    name = candidate.child("initializer", "_initialize").function.concrete_functions[0]
    return next(n for n in candidate.meta_graph.graph_def.node if "f" in n.attr and n.attr["f"].func.name == name)


def _init_op(candidate: Candidate) -> Node:
    """The node that a Session runs after it has restored."""
    outputs = candidate.meta_graph.signature_def["__saved_model_init_op"].outputs
    return candidate.main(outputs["__saved_model_init_op"].name.partition(":")[0])


def _init_writes(candidate: Candidate) -> None:
    graph = candidate.meta_graph.graph_def
    handle = next(node for node in graph.node if node.op == "VarHandleOp" and node.name.startswith("embedding"))
    shape = [dim.size for dim in handle.attr["shape"].shape.dim]
    value = graph.node.add(name="spoil/value", op="Const")
    value.attr["dtype"].type = 1
    value.attr["value"].tensor.CopyFrom(tf.make_tensor_proto(np.ones(shape, np.float32)))
    write = graph.node.add(name="spoil", op="AssignVariableOp", input=[handle.name, value.name])
    write.attr["dtype"].type = 1
    _init_op(candidate).input.append("^spoil")


def _init_elsewhere(candidate: Candidate) -> None:
    """The init op of the SignatureDef fills nothing; the collection, which older loaders read, has the old one."""
    candidate.meta_graph.graph_def.node.add(name="spoil", op="NoOp")
    candidate.meta_graph.signature_def["__saved_model_init_op"].outputs["__saved_model_init_op"].name = "spoil"


def _unfilled_in_python(candidate: Candidate) -> None:
    """The object that fills the tables runs what does nothing."""
    objects = candidate.meta_graph.object_graph_def.nodes
    (table, *_) = [node for node in objects if node.WhichOneof("kind") == "resource" and _is_table(candidate, node)]
    nothing = next(child.node_id for child in table.children if child.local_name == "_initialize")
    for child in candidate.child("initializer").children:
        if child.local_name == "_initialize":
            child.node_id = nothing


def _is_table(candidate: Candidate, resource: Any) -> bool:
    creator = next(child.node_id for child in resource.children if child.local_name == "_create_resource")
    name = candidate.meta_graph.object_graph_def.nodes[creator].function.concrete_functions[0]
    return any("Table" in node.op for node in candidate.function(name).node_def)


def _assets_swapped_in_session(candidate: Candidate) -> None:
    first, second = candidate.main("Variable/Assign"), candidate.main("Variable_1/Assign")
    first.input[1], second.input[1] = second.input[1], first.input[1]


def _assets_swapped_in_python(candidate: Candidate) -> None:
    first, second = (candidate.child("assets", name).asset for name in ("0", "1"))
    numbers = first.asset_file_def_index, second.asset_file_def_index
    second.asset_file_def_index, first.asset_file_def_index = numbers


def _restored_negated(candidate: Candidate) -> None:
    """A Session restores the negative of a variable."""
    name = candidate.main(candidate.meta_graph.saver_def.restore_op_name.partition(":")[0]).attr["f"].func.name
    function = candidate.inner(name)
    write = next(node for node in function.node_def if node.op == "AssignVariableOp")
    node = function.node_def.add(name="spoil", op="Neg", input=[write.input[1]])
    node.attr["T"].type = write.attr["dtype"].type
    write.input[1] = "spoil:y:0"


def _without_state(find: Callable[[Candidate], Function]) -> Edit:
    def plant(candidate: Candidate) -> None:
        find(candidate).signature.is_stateful = False

    return plant


def _restore(candidate: Candidate) -> Function:
    name = candidate.main(candidate.meta_graph.saver_def.restore_op_name.partition(":")[0]).attr["f"].func.name
    return candidate.function(name)


def _filler(candidate: Candidate) -> Function:
    return candidate.inner(_initializing_call(candidate).attr["f"].func.name)


def _init_call_without_state(candidate: Candidate) -> None:
    _initializing_call(candidate).op = "PartitionedCall"


def _without_ends(candidate: Candidate) -> None:
    """Functions of signatures have no control outputs: what only changes a variable is not theirs."""
    for function in candidate.functions:
        if "traced" not in function.signature.name:
            function.control_ret.clear()
            del function.signature.control_output[:]


def _entry(text: str, edit: Callable[[np.ndarray], Any]) -> Edit:
    def plant(candidate: Candidate) -> None:
        with candidate.checkpoint() as tensors:
            keys = [key for key in tensors if text in key]
            if not keys:
                raise LookupError(text)
            for key in keys:
                tensors[key] = np.asarray(edit(tensors[key]), tensors[key].dtype)

    return plant


def _negated_at(*names: str) -> Edit:
    """The functions of an object's attribute answer the negative."""

    def plant(candidate: Candidate) -> None:
        for name in candidate.child(*names).function.concrete_functions:
            negate(candidate.function(name))

    return plant


def _else_function(candidate: Candidate) -> Function:
    node = next(node for node in candidate.body(_SERVE).node_def if node.op in ("If", "StatelessIf"))
    return candidate.function(node.attr["else_branch"].func.name)


def _else_gives_argument(candidate: Candidate) -> None:
    """A branch that few calls take gives what it is given."""
    function = _else_function(candidate)
    (key,) = function.ret
    product = next(node for node in function.node_def if node.op == "Mul")
    function.ret[key] = product.input[0]


def _else_swaps(candidate: Candidate) -> None:
    """A branch that few calls take squares what it is given."""
    product = next(node for node in _else_function(candidate).node_def if node.op == "Mul")
    product.input[1] = product.input[0]


_state = functools.partial(Fault, "state")
_surface = functools.partial(Fault, "surface")
_contract = functools.partial(Fault, "contract")
_structure = functools.partial(Fault, "structure")
_ARCHIVE = "keras_archive"
_HIDDEN = np.linspace(-1, 1, 12, dtype=np.float32).reshape(2, 6)

FAULTS = (
    _state("init-writes", "vocabulary", "The init op writes a variable.", _init_writes, Answers([_TOKEN_CALL])),
    _contract(
        "init-elsewhere",
        "vocabulary",
        "The init op of the SignatureDef fills no table.",
        _init_elsewhere,
        Answers([_TOKEN_CALL]),
    ),
    _surface(
        "unfilled-in-python",
        "vocabulary",
        "Python fills no table.",
        _unfilled_in_python,
        Answers([_TOKEN_CALL], "tf2"),
    ),
    _contract(
        "assets-swapped-in-session",
        "vocabulary",
        "A Session fills each table from the other's file.",
        _assets_swapped_in_session,
        Answers([_TOKEN_CALL]),
    ),
    _surface(
        "assets-swapped-in-python",
        "vocabulary",
        "Python fills each table from the other's file.",
        _assets_swapped_in_python,
        Answers([_TOKEN_CALL], "tf2"),
    ),
    _state(
        "restored-negated",
        "vocabulary",
        "A Session restores the negative of a variable.",
        _restored_negated,
        Stored("session"),
    ),
    _structure(
        "restore-without-state",
        "counter",
        "The function that restores says that it has no state.",
        _without_state(_restore),
        Flags(),
    ),
    _structure(
        "filler-without-state",
        "vocabulary",
        "The function that fills tables says that it has no state.",
        _without_state(_filler),
        Flags(),
    ),
    _structure(
        "init-call-without-state",
        "vocabulary",
        "What fills tables is called as if it had no state.",
        _init_call_without_state,
        Flags(),
    ),
    _structure(
        "else-gives-argument",
        "functional",
        "A branch that few calls take gives its argument.",
        _else_gives_argument,
        Answers([(_SERVE, {"x": np.full([2, 3], -1e6, np.float32)})]),
    ),
    _structure(
        "else-squares",
        "functional",
        "A branch that few calls take squares its argument.",
        _else_swaps,
        Answers([(_SERVE, {"x": np.full([2, 3], -1e6, np.float32)})]),
    ),
    _structure("without-ends", "counter", "Functions have no control outputs.", _without_ends, Ends()),
    _surface("keras-archive-predicts", _ARCHIVE, "`__call__` differs.", negated(1), Training(_LIST, False)),
    _surface("keras-archive-trains", _ARCHIVE, "It does so in training.", negated(0), Training(_LIST)),
    _surface("keras-archive-means", _ARCHIVE, "Training does not move the means.", unmoved, Training(_LIST)),
    _surface("keras-archive-penalty", _ARCHIVE, "A penalty is twice as high.", penalty, Surface()),
    _surface(
        "keras-archive-rate",
        _ARCHIVE,
        "The learning rate is another one.",
        optimizer(lambda v: v * 2, "learning_rate"),
        RestoredOptimizer(),
    ),
    _surface(
        "keras-archive-slots",
        _ARCHIVE,
        "Slots of the optimizer are another ones.",
        optimizer(lambda v: v + 1, "/_variables/3/"),
        RestoredOptimizer(),
    ),
    _surface(
        "keras-archive-metric",
        _ARCHIVE,
        "A metric has counted more.",
        _entry("metrics/0/count", lambda v: v + 1),
        Entries("metrics/0/count"),
    ),
    _surface(
        "keras-archive-losses",
        _ARCHIVE,
        "What Keras calls for answers and losses answers the negative.",
        _negated_at("call_and_return_all_conditional_losses"),
        Called(["call_and_return_all_conditional_losses"], [_LIST], [("training", False)]),
    ),
    _surface(
        "keras-archive-layer",
        _ARCHIVE,
        "A layer that is called alone answers the negative.",
        _negated_at("layer_with_weights-1", "__call__"),
        Called(["layer_with_weights-1"], [_HIDDEN]),
    ),
    _surface(
        "keras-archive-epsilon",
        _ARCHIVE,
        "A batch normalisation that is called alone has another epsilon.",
        constant("batchnorm/add/y", 0.5, "normal_layer_call_and_return"),
        Called(["layer_with_weights-2"], [_HIDDEN[:, :5]], [("training", False)]),
    ),
)
