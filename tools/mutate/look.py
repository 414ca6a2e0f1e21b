"""What a client sees of a SavedModel, by TensorFlow alone; each is called in a process of its own."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import pathlib
import tempfile
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2
from tensorflow.python.saved_model.pywrap_saved_model import fingerprinting

v1 = tf.compat.v1
Inputs = Mapping[str, Any]
Call = tuple[str, Inputs]
"""A signature's key and its inputs by name: arrays; of a sparse input a triple of indices, values, dense shape."""


@dataclasses.dataclass(frozen=True)
class Definitions:
    """The SignatureDefs and tags, as a model server reads them; of one signature where it is named."""

    signature: str = ""

    def __call__(self, directory: str) -> Any:
        """As text."""
        (meta_graph,) = _saved_model(directory).meta_graphs
        if self.signature:
            found = meta_graph.signature_def.get(self.signature)
            return None if found is None else str(found)
        keys = sorted(meta_graph.signature_def)
        return [list(meta_graph.meta_info_def.tags), {key: str(meta_graph.signature_def[key]) for key in keys}]


@dataclasses.dataclass(frozen=True)
class Answers:
    """Answers to calls, one after the other.

    Attributes:
      calls: what is called.
      way: `session` (a v1 Session, by the SignatureDef), `tf2` (`signatures[...]`) or `call` (`__call__`).
      repeat: how often all of the calls are made.
      outputs: the outputs that count, where others are random.
    """

    calls: Sequence[Call]
    way: str = "session"
    repeat: int = 1
    outputs: Sequence[str] = ()

    def __call__(self, directory: str) -> Any:
        """The answers, or the name of the error, of each call."""
        with _client(directory, self.way) as client:
            found = [_or_error(client, *call) for _ in range(self.repeat) for call in self.calls]
        return [{key: one[key] for key in self.outputs} for one in found] if self.outputs else found


@dataclasses.dataclass(frozen=True)
class Fetches:
    """What a v1 Session gives for tensors by name."""

    names: Sequence[str]
    feeds: Inputs = dataclasses.field(default_factory=dict)

    def __call__(self, directory: str) -> Any:
        """The values, or the name of the error."""
        with _SessionClient(directory) as client:
            return _tried(lambda: [plain(value) for value in client.session.run(list(self.names), dict(self.feeds))])


@dataclasses.dataclass(frozen=True)
class Stored:
    """Values of all variables right after loading, and after calls where there are any.

    Attributes:
      way: `session` or `tf2`.
      calls: made before.
      repeat: how often they are made.
    """

    way: str = "tf2"
    calls: Sequence[Call] = ()
    repeat: int = 1

    def __call__(self, directory: str) -> Any:
        """By name."""
        with _client(directory, self.way) as client:
            for _ in range(self.repeat):
                for call in self.calls:
                    _or_error(client, *call)
            return client.variables()


@dataclasses.dataclass(frozen=True)
class Tables:
    """The entries of all tables of strings and floats that the loaded object has, after calls through signatures."""

    calls: Sequence[Call]

    def __call__(self, directory: str) -> Any:
        """Pairs, in the order of the keys."""
        loaded = tf.saved_model.load(directory)
        for signature, inputs in self.calls:
            loaded.signatures[signature](**{key: tf.constant(value) for key, value in inputs.items()})
        found = []
        for resource in loaded.resources:
            keys, values = tf.raw_ops.LookupTableExportV2(
                table_handle=resource.resource_handle, Tkeys=tf.string, Tvalues=tf.float32
            )
            pairs = zip(keys.numpy().tolist(), values.numpy().tolist(), strict=True)
            found.append(sorted([key.decode("latin1"), value] for key, value in pairs))
        return found


@dataclasses.dataclass(frozen=True)
class Structured:
    """What the function of a signature says of its arguments and results."""

    signature: str

    def __call__(self, directory: str) -> Any:
        """As text."""
        function = tf.saved_model.load(directory).signatures[self.signature]
        return [str(function.structured_input_signature), str(function.structured_outputs)]


@dataclasses.dataclass(frozen=True)
class Surface:
    """The attributes of the loaded object that are lists and maps of variables, with names and trainability.

    Attributes:
      gradients: whether the gradients of regularisation losses are looked at, too.
    """

    gradients: bool = False

    def __call__(self, directory: str) -> Any:
        """Lists of names."""
        loaded = tf.saved_model.load(directory)
        lists = {}
        for name in ("variables", "trainable_variables", "vars", "regularization_losses"):
            found = getattr(loaded, name, None)
            if found is None:
                lists[name] = None
            elif name == "vars":
                lists[name] = sorted([key, *_described(value)] for key, value in found.items())
            elif name == "regularization_losses":
                lists[name] = [plain(loss()) for loss in found]
            else:
                lists[name] = [_described(value) for value in found]
        if self.gradients:
            lists["gradients"] = [_gradients_of(loss, loaded.trainable_variables) for loss in found_losses(loaded)]
        lists["signatures"] = sorted(loaded.signatures)
        lists["callable"] = callable(loaded)
        return lists


@dataclasses.dataclass(frozen=True)
class Gradients:
    """Gradients of the sum of a signature's float outputs, for each of `trainable_variables`; of `__call__` for ""."""

    signature: str
    inputs: Inputs
    output: str = ""

    def __call__(self, directory: str) -> Any:
        """By name of variable."""
        loaded = tf.saved_model.load(directory)
        function = loaded.signatures[self.signature] if self.signature else loaded
        inputs = {key: tf.constant(value) for key, value in self.inputs.items()}

        def computed() -> Any:
            with tf.GradientTape() as tape:
                outputs = function(**inputs) if self.signature else function(*inputs.values())
                outputs = outputs if isinstance(outputs, dict) else {"": outputs}
                chosen = [value for key, value in outputs.items() if not self.output or key == self.output]
                total = tf.add_n([tf.reduce_sum(value) for value in chosen if value.dtype.is_floating])
            found = tape.gradient(total, list(loaded.trainable_variables))
            pairs = zip(loaded.trainable_variables, found, strict=True)
            return {
                variable.name: None if value is None else plain(tf.convert_to_tensor(value))
                for variable, value in pairs
            }

        return _tried(computed)


@dataclasses.dataclass(frozen=True)
class Training:
    """What `__call__(inputs, training=True)` gives, and the variables after it.

    Attributes:
      inputs: an array, or arrays by name.
      training: the flag.
      gradients: whether the gradients of the sum of the answer are looked at, too.
    """

    inputs: Any
    training: bool = True
    gradients: bool = False

    def __call__(self, directory: str) -> Any:
        """The answer, the variables, and the gradients."""
        loaded = tf.saved_model.load(directory)
        inputs = tf.nest.map_structure(tf.constant, self.inputs)

        def computed() -> Any:
            with tf.GradientTape() as tape:
                output = loaded(inputs, training=self.training)
                sums = [tf.reduce_sum(value) for value in tf.nest.flatten(output)] if self.gradients else [tf.zeros([])]
                total = tf.add_n(sums)
            found = tape.gradient(total, list(loaded.trainable_variables)) if self.gradients else []
            after = {variable.name: plain(variable.value()) for variable in loaded.variables}
            return [
                plain_tree(output),
                after,
                [None if one is None else plain(tf.convert_to_tensor(one)) for one in found],
            ]

        return _tried(computed)


@dataclasses.dataclass(frozen=True)
class Draws:
    """Whether `__call__` answers differently in training, which random numbers that are drawn anew do not change."""

    inputs: Any

    def __call__(self, directory: str) -> Any:
        """True or False."""
        loaded = tf.saved_model.load(directory)
        inputs = tf.nest.map_structure(tf.constant, self.inputs)

        def computed() -> Any:
            return plain_tree(loaded(inputs, training=True)) != plain_tree(loaded(inputs, training=False))

        return _tried(computed)


def _in_training(directory: str, row: Sequence[float], rows: int) -> Any:
    """What `__call__` gives in training to a number of equal rows."""
    loaded = tf.saved_model.load(directory)
    return np.asarray(tf.nest.flatten(loaded(tf.constant([list(row)] * rows, tf.float32), training=True))[0])


@dataclasses.dataclass(frozen=True)
class CommonestInTraining:
    """How often `__call__` gives to equal rows in training what it gives most often: how likely it is to drop nothing.

    Attributes:
      row: what all rows are.
      rows: how many there are.
    """

    row: Sequence[float]
    rows: int = 20_000

    def __call__(self, directory: str) -> Any:
        """The share, so round that two runs agree."""
        found = _in_training(directory, self.row, self.rows).round(3)
        return round(float(np.unique(found, axis=0, return_counts=True)[1].max() / self.rows), 1)


@dataclasses.dataclass(frozen=True)
class SpreadInTraining:
    """How far `__call__` spreads its answers to equal rows in training, in numbers so round that two runs agree.

    Attributes:
      row: what all rows are.
      rows: how many there are.
    """

    row: Sequence[float]
    rows: int = 20_000

    def __call__(self, directory: str) -> Any:
        """Mean and standard deviation of each column."""
        found = _in_training(directory, self.row, self.rows).astype(np.float64)
        return np.round([found.mean(0), found.std(0)], 1).tolist()


@dataclasses.dataclass(frozen=True)
class Files:
    """The bytes of files below the model, or that one is not there."""

    names: Sequence[str]

    def __call__(self, directory: str) -> Any:
        """Digests."""
        paths = [pathlib.Path(directory, name) for name in self.names]
        return [hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else None for path in paths]


@dataclasses.dataclass(frozen=True)
class Provenance:
    """What assets.extra/migration.json says of something."""

    path: Sequence[str]

    def __init__(self, *path: str) -> None:
        object.__setattr__(self, "path", path)

    def __call__(self, directory: str) -> Any:
        """What is at the end of the path of names."""
        said = json.loads(pathlib.Path(directory, "assets.extra", "migration.json").read_text(encoding="utf-8"))
        for name in self.path:
            said = said[name]
        return said


@dataclasses.dataclass(frozen=True)
class FingerprintHolds:
    """Whether fingerprint.pb is there, and is the one of the other files."""

    def __call__(self, directory: str) -> Any:
        """True or False."""
        path = pathlib.Path(directory, "fingerprint.pb")
        if not path.exists():
            return None
        made = tf.saved_model.experimental.Fingerprint.from_proto(
            fingerprint_pb2().FingerprintDef.FromString(fingerprinting.CreateFingerprintDef(directory))
        )
        return bool(tf.saved_model.experimental.read_fingerprint(directory) == made)


@dataclasses.dataclass(frozen=True)
class Arguments:
    """The Python signature of each of `signatures`: names, dtypes and shapes of arguments and results."""

    def __call__(self, directory: str) -> Any:
        """As text."""
        loaded = tf.saved_model.load(directory)
        return {
            key: [str(function.structured_input_signature), str(sorted(function.structured_outputs.items()))]
            for key, function in sorted(loaded.signatures.items())
        }


@dataclasses.dataclass(frozen=True)
class Keras:
    """What `tf_keras.models.load_model` gives: predictions, the optimizer's state, the weights by name."""

    inputs: Inputs

    def __call__(self, directory: str) -> Any:
        """The three."""
        import tf_keras

        def computed() -> Any:
            model = tf_keras.models.load_model(directory)
            predicted = model(dict(self.inputs), training=False)
            optimizer = getattr(model, "optimizer", None)
            state = [] if optimizer is None else [[v.name, plain(v.value())] for v in optimizer.variables]
            weights = [[v.name, bool(v.trainable), plain(v.value())] for v in model.weights]
            return [type(model).__name__, plain_tree(predicted), weights, state]

        return _tried(computed)


@dataclasses.dataclass(frozen=True)
class RestoredOptimizer:
    """The optimizer's state of a Keras conversion, as its checkpoint has it."""

    def __call__(self, directory: str) -> Any:
        """Values by key."""
        reader = tf.train.load_checkpoint(str(pathlib.Path(directory, "variables", "variables")))
        keys = sorted(key for key in reader.get_variable_to_shape_map() if "optimizer" in key.lower())
        return {key: plain(np.array(reader.get_tensor(key))) for key in keys}


@dataclasses.dataclass(frozen=True)
class Nodes:
    """Whether a client that imports the graph as TF2 does finds ops or devices: `[name, op, device]` of some nodes."""

    ops: Sequence[str] = ()
    devices: bool = False

    def __call__(self, directory: str) -> Any:
        """Of the main graph and all functions."""
        graph = _saved_model(directory).meta_graphs[0].graph_def
        nodes = [*graph.node, *(node for function in graph.library.function for node in function.node_def)]
        return sorted(
            [node.name, node.op, node.device]
            for node in nodes
            if node.op in self.ops or (self.devices and "CPU" not in node.device and node.device)
        )


@dataclasses.dataclass(frozen=True)
class Flags:
    """What a client that imports the graph reads of its functions and calls, beside what they compute."""

    def __call__(self, directory: str) -> Any:
        """Flags and attributes, by function and by call."""
        graph = _saved_model(directory).meta_graphs[0].graph_def
        bodies = [("", graph.node), *((f.signature.name, f.node_def) for f in graph.library.function)]
        return [
            [[f.signature.name, f.signature.is_stateful, sorted(f.attr)] for f in graph.library.function],
            [[g.function_name, g.gradient_func] for g in graph.library.gradient],
            [
                [where, node.name, node.op, str(node.attr["config_proto"].s), str(node.attr[_READ_ONLY].list.i[:])]
                for where, nodes in bodies
                for node in nodes
                if node.op.endswith(("PartitionedCall", "If", "While"))
            ],
        ]


_READ_ONLY = "_read_only_resource_inputs"


@dataclasses.dataclass(frozen=True)
class Counted:
    """What many calls of a signature without inputs give in one function, one after the other."""

    signature: str
    calls: int = 40

    def __call__(self, directory: str) -> Any:
        """The answers."""
        loaded = tf.saved_model.load(directory)
        called = loaded.signatures[self.signature]
        return plain_tree(tf.function(lambda: [called() for _ in range(self.calls)])())


def plain(value: Any) -> Any:
    """An array as plain data that compares equal only to what has the same bits."""
    if isinstance(value, tf.SparseTensor | v1.SparseTensorValue):
        return [plain(value.indices), plain(value.values), plain(value.dense_shape)]
    array = value.numpy() if hasattr(value, "numpy") else value
    array = np.asarray(array)
    if array.dtype == object:
        items = [item if isinstance(item, bytes) else str(item).encode() for item in array.ravel().tolist()]
        return ["string", list(array.shape), [item.decode("latin1") for item in items]]
    return [str(array.dtype), list(array.shape), array.tobytes().hex()]


def plain_tree(value: Any) -> Any:
    """The same for maps and lists of them."""
    if isinstance(value, dict):
        return {key: plain_tree(value[key]) for key in sorted(value)}
    if isinstance(value, list | tuple):
        return [plain_tree(item) for item in value]
    return plain(value)


class _SessionClient:
    """A v1 Session, as a model server has one."""

    def __init__(self, directory: str) -> None:
        self._directory = directory

    def __enter__(self) -> _SessionClient:
        self._graph = tf.Graph()
        with self._graph.as_default():
            self.session = v1.Session()
            tags = list(_saved_model(self._directory).meta_graphs[0].meta_info_def.tags)
            self._meta_graph = v1.saved_model.load(self.session, tags, self._directory)
        return self

    def __exit__(self, *_: object) -> None:
        self.session.close()

    def ask(self, signature: str, inputs: Inputs) -> Any:
        definition = self._meta_graph.signature_def[signature]
        if not definition.outputs:
            raise KeyError(signature)
        feeds = {}
        for key, value in inputs.items():
            if key not in definition.inputs:
                raise KeyError(key)
            info = definition.inputs[key]
            if info.WhichOneof("encoding") == "coo_sparse":
                sparse = info.coo_sparse
                names = (sparse.indices_tensor_name, sparse.values_tensor_name, sparse.dense_shape_tensor_name)
                feeds.update(zip(names, value, strict=True))
            else:
                feeds[info.name] = value
        fetches = {}
        for key, info in definition.outputs.items():
            sparse = info.coo_sparse
            names = (sparse.indices_tensor_name, sparse.values_tensor_name, sparse.dense_shape_tensor_name)
            fetches[key] = info.name if info.WhichOneof("encoding") == "name" else list(names)
        return self.session.run(fetches, feeds)

    def saved(self, folder: str) -> Any:
        prefix = f"{folder}/saved"
        with self._graph.as_default():
            v1.train.Saver(saver_def=self._meta_graph.saver_def).save(self.session, prefix, write_meta_graph=False)
        reader = tf.train.load_checkpoint(prefix)
        keys = sorted(key for key in reader.get_variable_to_shape_map() if not key.startswith("_"))
        return {key: plain(np.array(reader.get_tensor(key))) for key in keys}

    def variables(self) -> Any:
        # A resource variable is an op whatever collection it is in; names in the graph have a digest behind them.
        handles = [op for op in self._graph.get_operations() if op.type == "VarHandleOp"]
        values = {}
        with self._graph.as_default():
            for handle in handles:
                read = tf.raw_ops.ReadVariableOp(resource=handle.outputs[0], dtype=handle.get_attr("dtype"))
                values[handle.name] = _tried(lambda read=read: plain(self.session.run(read)))
        return values


class _LoadedClient:
    """`tf.saved_model.load`."""

    def __init__(self, directory: str, call: bool) -> None:
        self._loaded = tf.saved_model.load(directory)
        self._call = call

    def __enter__(self) -> _LoadedClient:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def ask(self, signature: str, inputs: Inputs) -> Any:
        tensors = {key: tf.constant(value) for key, value in inputs.items()}
        if self._call:
            found = self._loaded(tensors) if len(tensors) > 1 else self._loaded(*tensors.values())
            return found if isinstance(found, dict) else {"": found}
        return self._loaded.signatures[signature](**tensors)

    def variables(self) -> Any:
        return {variable.name: plain(variable.value()) for variable in self._loaded.variables}


def found_losses(loaded: Any) -> Any:
    """The regularisation losses, of a model that may have none."""
    return getattr(loaded, "regularization_losses", ())


def _gradients_of(loss: Any, variables: Any) -> Any:
    with tf.GradientTape() as tape:
        value = loss()
    return [None if one is None else plain(tf.convert_to_tensor(one)) for one in tape.gradient(value, list(variables))]


def _client(directory: str, way: str) -> Any:
    return _SessionClient(directory) if way == "session" else _LoadedClient(directory, way == "call")


def _or_error(client: Any, signature: str, inputs: Inputs) -> Any:
    return _tried(lambda: plain_tree(client.ask(signature, inputs)))


def _tried(made: Any) -> Any:
    """What is made, or the class of the error: its words may hold names that differ between two loads."""
    try:
        return made()
    except Exception as error:
        return f"error: {type(error).__name__}"


def _described(variable: Any) -> list[Any]:
    return [variable.name, variable.dtype.name, variable.shape.as_list(), bool(variable.trainable)]


def _saved_model(directory: str) -> Any:
    return saved_model_pb2.SavedModel.FromString(pathlib.Path(directory, "saved_model.pb").read_bytes())


def fingerprint_pb2() -> Any:
    """TensorFlow's messages of fingerprints."""
    from tensorflow.core.protobuf import fingerprint_pb2 as found

    return found


@dataclasses.dataclass(frozen=True)
class Saved:
    """What the saver in the graph writes from a Session."""

    def __call__(self, directory: str) -> Any:
        """Values by key."""
        with _SessionClient(directory) as client, tempfile.TemporaryDirectory() as folder:
            return client.saved(folder)


@dataclasses.dataclass(frozen=True)
class Spread:
    """How an output of random numbers is spread, in numbers so round that two runs give the same.

    Attributes:
      call: what is called.
      output: the output.
      minus: the input that it is compared with, if any.
      digits: to which numbers are rounded.
    """

    call: Call
    output: str
    minus: str = ""
    digits: int = 1

    def __call__(self, directory: str) -> Any:
        """Mean, standard deviation, the share of zeros, the least and the largest number."""
        with _SessionClient(directory) as client:
            found = np.asarray(client.ask(*self.call)[self.output], np.float64)
        found = found - self.call[1][self.minus] if self.minus else found
        parts = (found.mean(), found.std(), (found == 0).mean(), found.min(), found.max())
        return [round(float(part), self.digits) + 0.0 for part in parts[: 3 if self.minus else 5]]


@dataclasses.dataclass(frozen=True)
class Assigned:
    """What a signature, or `__call__` for "", answers after each variable was assigned halves.

    A client does so that trains further, or restores a checkpoint.
    """

    signature: str
    inputs: Inputs

    def __call__(self, directory: str) -> Any:
        """The answer."""
        loaded = tf.saved_model.load(directory)
        for variable in loaded.variables:
            variable.assign(tf.fill(variable.shape, tf.cast(0.5, variable.dtype)))
        tensors = {key: tf.constant(value) for key, value in self.inputs.items()}
        return _tried(
            lambda: plain_tree(
                loaded.signatures[self.signature](**tensors) if self.signature else loaded(*tensors.values())
            )
        )
