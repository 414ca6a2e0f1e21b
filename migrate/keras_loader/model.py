"""Loads a Keras file with the Keras that wrote it, and says what its inputs and outputs are called.

TensorFlow, tf_keras and keras start here, in a child process. Code comes from two places only: from Keras itself, and
from the modules that the user has named.
"""

from __future__ import annotations

import contextlib
import importlib
import inspect
import itertools
import json
import os
import re
import shutil
import sys
import tempfile
import zipfile
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

import h5py
import numpy as np
import tensorflow as tf

from migrate.checks.keras_cudnn import CUDNN, cudnn_layers
from migrate.checks.keras_loading import forbidden, optimizer_name
from migrate.checks.keras_needs import needs, training_needs
from migrate.errors import InputError, first_few, first_line
from migrate.frozen import frozen
from migrate.keras_loader.metrics import named_as_in_tf1
from migrate.keras_loader.request import Request
from migrate.keras_loader.resolve import Resolved, resolve_metrics
from migrate.keras_loader.restore import restore_names, restore_objects, without_cell
from migrate.records import Kind, Signature, TensorSpec
from migrate.sources.hdf5 import StoredTensor
from migrate.sources.keras_config import BUILD_DTYPES, build_dtype, build_shape, is_shape
from migrate.sources.keras_source import KerasSource, Runtime, Weights

SIGNATURE = "serving_default"
_PREDICT = "tensorflow/serving/predict"
_MOST_DTYPES = 40
"""Of the ways to give a subclassed model's inputs dtypes; each that fails costs a trace."""
# Keras as TensorFlow 1.5 to 2.1 brought it: 2.0 to 2.2, and not 2.10 or 2.21.
_TF1_VERSION = re.compile(r"2\.[0-2](?!\d)")


@frozen
class Loaded:
    """A model in memory.

    Attributes:
      model: a `Model` of tf_keras or of keras.
      signature: its inputs and outputs, as the model's `serving_default`.
      given: the Keras tensors that go in, nested as the model takes them.
      optimizer: class of the optimizer whose state was loaded, value by value as it was stored, or empty.
      lost: why the optimizer, loss and metrics were not loaded, or empty.
      resolved: of the metrics whose meaning Keras takes from the targets.
    """

    model: Any
    signature: Signature
    given: Any
    optimizer: str
    lost: str
    resolved: Resolved = Resolved()

    @property
    def compiled(self) -> bool:
        """Whether the model has the optimizer, loss and metrics that it was stored with."""
        return getattr(self.model, "optimizer", None) is not None


def load(request: Request, with_optimizer: bool) -> Loaded:
    """Loads a model.

    Args:
      request: what to load.
      with_optimizer: whether to load the optimizer, loss and metrics too; where Keras cannot load them, the model
        comes without.

    Raises:
      InputError: the model cannot be loaded; the message says why.
    """
    source = request.source
    found = needs(source.config, source.runtime)
    if forbidden(found, request.custom_objects, request.trust):
        raise InputError(f"{source.files.path}: asks for what was not allowed, although audit has looked")
    given = custom_objects(request.custom_objects)
    # By the full name, too: Keras imports the module that the file names for one that it does not find.
    for name in (*found.custom, *training_needs(source.training, source.runtime).custom):
        if name.rpartition(">")[2] in given:
            given[name] = given[name.rpartition(">")[2]]
    keras = _runtime(source.runtime)
    cudnn = cudnn_layers(source, request.custom_objects)
    given.update((name, _ReplacementClass(keras, *CUDNN[name])) for name in cudnn)
    lost = ""
    if with_optimizer and (source.optimizer or source.training):
        try:
            if not source.training:
                raise InputError("no file says how the model was compiled")
            unknown = forbidden(training_needs(source.training, source.runtime), request.custom_objects, request.trust)
            if unknown:
                raise InputError(
                    f"its loss, metrics or optimizer are not Keras' own ({first_few(unknown, 3)}); give them with "
                    "--custom_objects=MODULE:NAME"
                )
            if cudnn and source.optimizer:
                raise InputError(f"it belongs to the weights of {', '.join(cudnn)}, which are in another order")
            model = _load(keras, source, given, request.trust, compiled=True)
            signature, taken, produced = _restored_face(keras, model, source)
            resolved = resolve_metrics(model, produced) if source.runtime is Runtime.TF_KERAS else Resolved()
            return Loaded(model, signature, taken, _checked_optimizer(model, source), "", resolved)
        except Exception as error:
            lost = first_line(error)
    try:
        model = _load(keras, source, given, request.trust, compiled=False)
        signature, taken, _ = _restored_face(keras, model, source)
        return Loaded(model, signature, taken, "", lost)
    except InputError:
        raise
    except Exception as error:
        name = f"{source.runtime.value} {keras.__version__}"
        raise InputError(f"{name} cannot load the model: {type(error).__name__}: {first_line(error)}") from error


class _ReplacementClass:
    """What Keras takes for the class of a layer, and which makes a layer of another class."""

    def __init__(self, keras: Any, class_name: str, settings: Mapping[str, Any]) -> None:
        self._layer = getattr(keras.layers, class_name)
        self._settings = settings

    def from_config(self, config: Mapping[str, Any]) -> Any:
        """Makes the layer."""
        return self._layer.from_config({**config, **self._settings})


def custom_objects(entries: Sequence[str]) -> dict[str, Any]:
    """Imports the user's classes and functions, for which this process alone looks in the working directory, last.

    Args:
      entries: `module:Name` each.

    Raises:
      InputError: an entry is not of this form, or cannot be imported.
    """
    found = {}
    if entries and os.getcwd() not in sys.path:
        sys.path.append(os.getcwd())
    for entry in entries:
        module, separator, name = entry.partition(":")
        if not (separator and module and name):
            raise InputError(f"--custom_objects={entry}: expected MODULE:NAME")
        try:
            found[name] = getattr(importlib.import_module(module), name)
        except Exception as error:
            raise InputError(
                f"--custom_objects={entry}: cannot be imported: {type(error).__name__}: {first_line(error)}"
            ) from error
    return found


def _runtime(runtime: Runtime) -> Any:
    if runtime is Runtime.TF_KERAS:
        return importlib.import_module("tf_keras")
    os.environ["KERAS_BACKEND"] = "tensorflow"
    keras = importlib.import_module("keras")
    if int(keras.__version__.split(".")[0]) < 3:
        raise InputError(
            f"written by Keras 3, and Keras {keras.__version__} is installed; use TensorFlow 2.16 or later"
        )
    if keras.backend.backend() != "tensorflow":
        raise InputError(f"Keras runs on the backend {keras.backend.backend()}; unset KERAS_BACKEND")
    return keras


def _load(keras: Any, source: KerasSource, given: Mapping[str, Any], trust: bool, compiled: bool) -> Any:
    files = source.files
    # Layers without a name in the config get one that counts up with each load of this process.
    keras.backend.clear_session()
    if source.kind is Kind.KERAS_V3:
        with _named(files.architecture, "model.keras", writable=source.runtime is Runtime.TF_KERAS) as path:
            return keras.models.load_model(path, custom_objects=dict(given), compile=compiled, safe_mode=not trust)
    if files.architecture == files.weights:
        if source.runtime is Runtime.KERAS:
            with _named(files.architecture, "model.h5") as path:
                return keras.models.load_model(path, custom_objects=dict(given), compile=compiled, safe_mode=not trust)
        with h5py.File(files.architecture, "r") as file:
            model = keras.models.load_model(
                file, custom_objects=dict(given), compile=compiled and not _is_legacy(source)
            )
        if compiled and _is_legacy(source):
            _compile_legacy(model, source, given)
        return model
    config = {**source.config, "compile_config": source.training} if compiled else source.config
    model = keras.models.model_from_json(json.dumps(config), custom_objects=dict(given))
    if source.form is Weights.HDF5:
        with _named(files.weights, "weights.h5") as path:
            model.load_weights(path)
    elif source.form is Weights.HDF5_V3:
        with _named(files.weights, "model.weights.h5") as path:
            model.load_weights(path)
        _check_places(model, source)
    elif source.runtime is Runtime.KERAS:
        raise InputError(f"{files.weights}: Keras 3 loads no weights from a TensorFlow checkpoint")
    elif source.form is Weights.OBJECTS:
        restore_objects(model, source)
    else:
        restore_names(weights(model), files.weights)
    return model


def _check_places(model: Any, source: KerasSource) -> None:
    """Makes sure that weights in the layout of Keras 3 have as many places as there are: Keras ignores the others.

    Raises:
      InputError: they are those of a larger model.
    """
    # Those of compiled metrics are no weights; whether `variables` has them depends on the model's class.
    metrics = {id(variable) for variable in getattr(model, "metrics_variables", ())}
    held = sum(id(variable) not in metrics for variable in model.variables)
    if len(source.weights) > held:
        raise InputError(
            f"{source.files.weights}: has {len(source.weights)} tensors, and the architecture has places for {held} of "
            "them, so it holds the weights of another one"
        )


@contextlib.contextmanager
def _named(path: str, name: str, writable: bool = False) -> Iterator[str]:
    """The file under a name from which Keras tells the format; a copy where it wants to open it for writing."""
    with tempfile.TemporaryDirectory() as directory:
        alias = os.path.join(directory, name)
        if writable:  # tf_keras opens an archive with mode r+b, and the source is never to be at risk.
            shutil.copyfile(path, alias)
        else:
            os.symlink(os.path.realpath(path), alias)
        yield alias


# The optimizer


def _is_legacy(source: KerasSource) -> bool:
    """Whether an HDF5 file has the optimizer's state as TensorFlow 2.10 and before wrote it."""
    described = source.training.get("optimizer_config", {})
    config = described.get("config", {}) if isinstance(described, Mapping) else {}
    return isinstance(config, Mapping) and config.get("is_legacy_optimizer", True) is not False


def _compile_legacy(model: Any, source: KerasSource, given: Mapping[str, Any]) -> None:
    """Compiles with the optimizer of TensorFlow 2.10 and before, and gives it its stored state.

    Raises:
      InputError: what is stored is not what this optimizer has, slot by slot.
    """
    # Private, and what load_model itself goes by.
    saving_utils = importlib.import_module("tf_keras.src.saving.legacy.saving_utils")
    json_utils = importlib.import_module("tf_keras.src.saving.legacy.saved_model.json_utils")
    described = source.training["optimizer_config"]
    # Without the mark it takes the optimizers of that time.
    config = {key: value for key, value in described["config"].items() if key != "is_legacy_optimizer"}
    training = {"loss_weights": None, **source.training, "optimizer_config": {**described, "config": config}}
    if _TF1_VERSION.match(source.keras_version):
        sizes = {name: tf.TensorShape(t.shape)[-1] for name, t in zip(model.output_names, model.outputs, strict=True)}
        # TF 1.x made the training function in a scope of that name. Keras without TensorFlow's mark never kept names.
        in_scope = any(tensor.name.startswith("training") for tensor in source.optimizer)
        keeps_names = source.keras_version.endswith("-tf") and bool(source.optimizer) and not in_scope
        training = named_as_in_tf1(training, sizes, _metric_function, keeps_names)
    arguments = saving_utils.compile_args_from_training_config(json_utils.decode(json.dumps(training)), dict(given))
    model.compile(**arguments, from_serialized=True)
    saving_utils.try_build_compiled_arguments(model)
    if not source.optimizer:
        return
    optimizer = model.optimizer
    optimizer._create_all_weights(model.trainable_variables)  # Private: set_weights needs the slots to be there.
    stored = stored_optimizer(source)
    # TF 1.x has made the training function in a name scope, and counts on where it was made more than once.
    scope = re.compile(rf"(training(_\d+)?/)?({re.escape(config.get('name', described['class_name']))}(_\d+)?/)?")

    def bare(name: str) -> str:
        return without_cell(name[scope.match(name).end() :])  # type: ignore[union-attr]  # It matches anything.

    if [bare(variable.name) for variable in optimizer.weights] != [bare(name) for name, _ in stored]:
        raise InputError(
            f"the file has {len(stored)} variables of the optimizer ({stored[0][0]}, ...), for which tf_keras' "
            f"{described['class_name']} has other names ({len(optimizer.weights)}: {optimizer.weights[0].name}, ...)"
        )
    optimizer.set_weights([value for _, value in stored])


def _metric_function(name: str) -> str | None:
    """The name of the function that Keras 2 takes a metric's name for."""
    try:
        return getattr(importlib.import_module("tf_keras").metrics.get(name), "__name__", None)
    except ValueError:
        return None  # The user's own.


def stored_optimizer(source: KerasSource) -> list[tuple[str, Any]]:
    """(name, value) of the optimizer's state in the order in which Keras stored it."""
    files = source.files
    if source.kind is Kind.KERAS_V3:
        with contextlib.ExitStack() as stack:
            archive = stack.enter_context(zipfile.ZipFile(files.architecture))
            stream = stack.enter_context(archive.open("model.weights.h5"))
            return _in_order(stack.enter_context(h5py.File(stream, "r")), source.optimizer)
    with h5py.File(files.weights, "r") as file:
        if "optimizer_weights" not in file:
            return _in_order(file, source.optimizer)
        group = file["optimizer_weights"]
        names = _name_list(group, "weight_names")
        return [(name, np.asarray(group[name])) for name in names]


def _in_order(file: Any, tensors: Sequence[StoredTensor]) -> list[tuple[str, Any]]:
    order = sorted(tensors, key=lambda tensor: (tensor.name.rpartition("/")[0], _number(tensor.name)))
    return [(tensor.name, np.asarray(file[tensor.name])) for tensor in order]


def _number(name: str) -> int:
    last = name.rpartition("/")[2]
    return int(last) if last.isdigit() else 0


def _name_list(group: Any, attribute: str) -> list[str]:
    """A list of names, which Keras cuts into `weight_names0`, `weight_names1` where it is long (hdf5_format.py)."""
    if attribute in group.attrs:
        chunks = [group.attrs[attribute]]
    else:
        chunks = []
        while f"{attribute}{len(chunks)}" in group.attrs:
            chunks.append(group.attrs[f"{attribute}{len(chunks)}"])
    return [n.decode() if isinstance(n, bytes) else str(n) for chunk in chunks for n in chunk]


def _checked_optimizer(model: Any, source: KerasSource) -> str:
    """The optimizer's class, or an empty string where no state of it is stored.

    Raises:
      InputError: it does not hold what was stored: Keras only warns, and starts afresh.
    """
    if not source.optimizer:
        return ""
    stored = [value for _, value in stored_optimizer(source)]
    held = optimizer_variables(model)
    # Of an optimizer that never took a step only the counters are stored; what Keras adds is as it starts with.
    same = len(stored) <= len(held) and all(
        np.array_equal(value, np.asarray(variable)) for value, variable in zip(stored, held, strict=False)
    )
    if not same:
        raise InputError(f"Keras does not restore the {len(stored)} variables that are stored of it")
    return optimizer_name(source)


def optimizer_variables(model: Any) -> list[tf.Variable]:
    """Variables of the model's optimizer, in Keras' order; none where it has none."""
    optimizer = getattr(model, "optimizer", None)
    if optimizer is None:
        return []
    variables = optimizer.variables
    return [plain(v) for v in (variables() if callable(variables) else variables)]


# The model's face


def weights(model: Any) -> dict[str, tf.Variable]:
    """The model's weights by a name of their own, in Keras' order; a name that comes twice gets a number.

    Lookup tables, optimizers and the states of random generators are not among them.
    """
    found: dict[str, tf.Variable] = {}
    for variable in model.weights:
        if not (isinstance(variable, tf.Variable) or hasattr(variable, "path")):
            continue  # What tf_keras has for the vocabulary of a lookup layer.
        base = getattr(variable, "path", None) or variable.name.partition(":")[0]
        name, number = base, 0
        while name in found:
            number += 1
            name = f"{base}_{number}"
        found[name] = plain(variable)
    return found


def plain(variable: Any) -> tf.Variable:
    """The tf.Variable of a Keras 3 variable, or the variable itself."""
    return variable if isinstance(variable, tf.Variable) else variable.value


def _restored_face(keras: Any, model: Any, source: KerasSource) -> tuple[Signature, Any, Any]:
    """See `_face`. Weights that a model makes at its first call are restored after it: Keras has left them out.

    Raises:
      InputError: see `_face`; or they cannot be restored.
    """
    restored = len(model.weights)
    found = _face(keras, model, source)
    if len(model.weights) != restored:
        if source.kind is not Kind.KERAS_V3 or source.runtime is not Runtime.KERAS:
            raise InputError("the model makes weights when it is called, for which Keras restores no values")
        with _named(source.files.architecture, "model.keras") as path:
            model.load_weights(path)
    return found


def _face(keras: Any, model: Any, source: KerasSource) -> tuple[Signature, Any, Any]:
    """The signature that the model gets, with names as Keras shows them, and the Keras tensors that go in and come out.

    Tensor names are what they will be in nothing: only the SavedModel has tensors of that kind.

    Raises:
      InputError: its inputs are not known (a subclassed model that was never built), or one is sparse or ragged.
    """
    try:
        if getattr(model, "inputs", None):
            given, produced = _ends(model, "input"), _ends(model, "output")
        else:
            given, produced = _called(keras, model, source.config)
        holder = model if getattr(model, "inputs", None) else None
        signature = Signature(SIGNATURE, _PREDICT, _specs(holder, "input", given), _specs(holder, "output", produced))
    except (AttributeError, TypeError, ValueError) as error:
        raise InputError(f"the model does not say what its inputs and outputs are: {first_line(error)}") from None
    return signature, given, produced


def _called(keras: Any, model: Any, config: Mapping[str, Any]) -> tuple[Any, Any]:
    """What a model takes and gives that Keras calls on the shape that it was built with, at first with a free batch.

    Where the file names no dtype the inputs are float32, or where Keras does not call the model on that, what it does
    call it on.

    Raises:
      InputError: that shape is not known, or Keras cannot call the model on it.
    """
    shape = build_shape(config)
    if shape is None:
        raise InputError("the model says neither what its inputs are nor with which shape it was built")
    failure = ""
    for free in (True, False):
        for dtypes in _dtypes(model, _leaves(shape), build_dtype(config) or BUILD_DTYPES[0]):
            given = _inputs(keras, shape, free, iter(dtypes))
            try:
                return given, model(given)
            except Exception as error:  # The user's layers may raise anything.
                failure = failure or f"{type(error).__name__}: {first_line(error)}"
    raise InputError(f"Keras cannot call the model on the shape that it was built with, {shape}: {failure}")


def _dtypes(model: Any, inputs: int, own: str) -> Iterator[tuple[str, ...]]:
    """The dtypes to call a model with, one for each input, best guess first.

    Args:
      model: of a class of the user's.
      inputs: how many it takes.
      own: the dtype that it says it is of.
    """
    kinds = dict.fromkeys((own, *BUILD_DTYPES[1:]))
    if _looks_up_words(model):
        # A lookup of words traces on numbers, too, and then has no kernel.
        kinds = dict.fromkeys(("string", *kinds))
    alike = [(kind,) * inputs for kind in kinds]
    return itertools.islice(dict.fromkeys((*alike, *_mixed(kinds, inputs))), _MOST_DTYPES)


def _mixed(kinds: Collection[str], inputs: int) -> Iterator[tuple[str, ...]]:
    return itertools.islice(itertools.product(kinds, repeat=inputs), _MOST_DTYPES)


def _looks_up_words(model: Any) -> bool:
    return any(type(layer).__name__ in ("StringLookup", "TextVectorization") for layer in model._flatten_layers())


def _leaves(shape: Any) -> int:
    if is_shape(shape):
        return 1
    return sum(map(_leaves, shape.values() if isinstance(shape, Mapping) else shape))


def _inputs(keras: Any, shape: Any, free: bool, dtypes: Iterator[str]) -> Any:
    if isinstance(shape, Mapping):
        return {name: _inputs(keras, part, free, dtypes) for name, part in shape.items()}
    if is_shape(shape):
        return keras.Input(batch_shape=[None, *shape[1:]] if free else shape, dtype=next(dtypes))
    return [_inputs(keras, part, free, dtypes) for part in shape]


def _ends(model: Any, side: str) -> Any:
    """The Keras tensors that go in or come out, nested as the model takes or gives them."""
    # A Sequential of Keras 3 has no `input` until it is called; `inputs` is a list of one.
    flat = getattr(model, f"{side}s")
    return flat[0] if type(model).__name__ == "Sequential" and len(flat) == 1 else getattr(model, side)


def _specs(model: Any, side: str, nested: Any) -> dict[str, TensorSpec]:
    flat = tf.nest.flatten(nested)
    specs: dict[str, TensorSpec] = {}
    for name, tensor in zip(_names(model, side, nested, flat), flat, strict=True):
        if getattr(tensor, "sparse", False) is True or type(tensor).__name__ != "KerasTensor":
            raise InputError(f"its {side} {name!r} is no dense tensor, and signatures take no others here")
        shape = tf.TensorShape(tensor.shape)
        dims = tuple(shape.as_list()) if shape.rank is not None else None
        specs[name] = TensorSpec(f"{name}:0", tf.dtypes.as_dtype(tensor.dtype).name, dims)
    return specs


def _names(model: Any, side: str, nested: Any, flat: Sequence[Any]) -> list[str]:
    """The names of a model's inputs or outputs, each once.

    The keys, where they are a dict; else the names of the layers; where these are not known, `input_1`, `output_1` and
    so on.
    """
    if isinstance(nested, Mapping) and len(nested) == len(flat):
        return sorted(map(str, nested))  # The order of tf.nest.
    names = getattr(model, f"{side}_names", None)
    if names is None or len(names) != len(flat):
        # A Sequential of Keras 3 has no names of its own.
        names = [model.layers[-1].name] if side == "output" and type(model).__name__ == "Sequential" else None
    if side == "input" and model is not None and (names is None or len(names) != len(flat)):
        names = [tensor.name.partition(":")[0] for tensor in flat]
    if names is None or len(names) != len(flat):
        names = [f"{side}_{number + 1}" for number in range(len(flat))]
    found: list[str] = []
    for name in names:
        unique, number = name, 0
        while unique in found:
            number += 1
            unique = f"{name}_{number}"
        found.append(unique)
    return found


def ask(loaded: Loaded, inputs: Mapping[str, tf.Tensor], training: bool = False) -> dict[str, Any]:
    """Calls the model.

    Args:
      loaded: by `load`.
      inputs: tensor by input name.
      training: the argument of Keras' name, for a model that takes it.

    Returns:
      tensor by output name.
    """
    signature = loaded.signature
    skeleton = tf.nest.map_structure(lambda _: 0, loaded.given)
    packed = tf.nest.pack_sequence_as(skeleton, [inputs[name] for name in signature.inputs])
    produced = loaded.model(packed, **({"training": training} if takes_training(loaded.model) else {}))
    if isinstance(produced, Mapping):
        return {str(key): value for key, value in produced.items()}
    return dict(zip(signature.outputs, tf.nest.flatten(produced), strict=True))


def takes_training(model: Any) -> bool:
    """Whether a model can be called with Keras' argument `training`."""
    parameters = inspect.signature(model.call).parameters.values()
    return any(p.name == "training" or p.kind is inspect.Parameter.VAR_KEYWORD for p in parameters)
