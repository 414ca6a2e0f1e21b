"""What stands in the way of loading a Keras file, judged by its config alone: foreign code above all.

Keras imports what a config names (`serialization_lib._retrieve_class_or_fn` imports any module) and runs marshalled
Python. So a config is loaded only when every class in it is Keras' own (`keras_classes.json`) or one that the user has
given, and none of it is code.
"""

from __future__ import annotations

import functools
import importlib.metadata
import json
import os
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any

from migrate.frozen import frozen
from migrate.records import Finding, Severity, refusal
from migrate.sources.keras import KerasSource, Layer, Runtime, Weights, layers

TABLE_FILE = os.path.join(os.path.dirname(__file__), "keras_classes.json")

# Values that the serialisers write as a class of their own (keras/src/saving/serialization_lib.py).
# fmt: off
_PLAIN = frozenset(
    [
        "__bytes__", "__dict__", "__ellipsis__", "__keras_tensor__", "__ndarray__", "__numpy__", "__slice__",
        "__tensor__", "__tuple__", "TensorShape", "TypeSpec", "CompositeTensor", "Tuple",
    ]
)
# fmt: on
_FOREIGN = frozenset(["TFSMLayer", "TorchModuleWrapper", "JaxLayer", "FlaxLayer", "ModuleWrapper"])
_OWN_MODULES = ("keras", "tf_keras", "builtins", "tensorflow")
# A TFOpLambda calls the function of this public name of TensorFlow's.
_TOUCHES_FILES = ("io.", "raw_ops.", "print", "py_function", "numpy_function")
# Theano convolves where TensorFlow correlates (keras 2.0, utils/conv_utils.py, convert_kernel).
_KERNEL_LAYERS = ("Conv", "Separable", "Deconv", "LocallyConnected", "Depthwise")


@frozen
class Needs:
    """What a config asks for beyond Keras.

    Attributes:
      custom: names of classes and functions that are not Keras' own.
      code: layers (or settings) that hold marshalled Python.
      foreign: layers of Keras' own that run another framework's code or another file's graph.
    """

    custom: tuple[str, ...]
    code: tuple[str, ...]
    foreign: tuple[str, ...]


def needs(config: Any, runtime: Runtime) -> Needs:
    """Reads a config for what it would import or run."""
    known = _known()[runtime.value]
    found = list(_walk(config, known, ""))
    custom = dict.fromkeys(name for kind, name in found if kind == "custom")
    code = dict.fromkeys(name for kind, name in found if kind == "code")
    foreign = dict.fromkeys(name for kind, name in found if kind == "foreign")
    return Needs(tuple(custom), tuple(code), tuple(foreign))


def find_keras(source: KerasSource, custom_objects: Collection[str], trust: bool) -> Iterator[Finding]:
    """Findings about a Keras source.

    Args:
      source: as it lies on the disk.
      custom_objects: the user's `module:Name` entries.
      trust: whether marshalled Python may be run.
    """
    if not source.config:
        yield refusal(
            "keras-weights-alone",
            f"{source.files.weights}: weights alone ({_layer_names(source)}), without the architecture that they "
            "belong to",
            hint="put the model's JSON (Model.to_json) into a directory with this file, or save the whole model",
        )
        return
    if source.form is Weights.MISSING:
        yield refusal(
            "keras-weights-missing",
            f"{source.files.architecture}: an architecture without weights",
            hint="put the file of weights (HDF5, or a checkpoint with its .index) beside it",
        )
    yield from _old(source)
    loose = tuple(x.name for x in layers(source.config) if x.config.get("sparse") is True or x.config.get("ragged"))
    if loose:
        yield refusal("keras-sparse-input", f"{', '.join(loose)}: sparse or ragged inputs are not exported", loose)
    if source.links:
        yield refusal(
            "keras-external-link",
            "parts of this HDF5 file are links, or data in other files; none of them is followed",
            source.links,
        )
    if source.runtime is Runtime.KERAS and not _has_keras_3():
        yield refusal(
            "keras-3-missing",
            f"written by Keras {source.keras_version or '3'}, and keras {_version('keras')} is installed",
            hint="run migrate with TensorFlow 2.16 or later, which brings Keras 3",
        )
    found = needs(source.config, source.runtime)
    given = {entry.partition(":")[2] for entry in custom_objects}
    missing = tuple(name for name in found.custom if name.rpartition(">")[2] not in given)
    if missing:
        yield refusal(
            "keras-custom-object",
            f"{len(missing)} class(es) or function(s) are not Keras' own: {', '.join(missing[:10])}",
            missing,
            _custom_flags(missing) or "none of these can be the name of anything in a Python module",
        )
    if found.foreign:
        yield refusal(
            "keras-foreign-layer",
            f"{', '.join(found.foreign)} runs another framework's code or another file's graph",
            found.foreign,
        )
    if found.code:
        message = f"{', '.join(found.code[:10])}: marshalled Python bytecode, which can do anything on this machine"
        if trust:
            yield Finding("keras-lambda", Severity.WARNING, f"{message}; it is run, as --trust says", found.code)
        else:
            hint = "if you trust whoever wrote this file, run it with --trust (and the Python version that wrote it)"
            yield refusal("keras-lambda", message, found.code, hint)
    yield from _side_effects(source)
    yield from _optimizer(source, given)


def may_compile(source: KerasSource, custom_objects: Collection[str], trust: bool) -> bool:
    """Whether the optimizer, loss and metrics can be loaded too, without running what nobody has allowed."""
    if not source.training:
        return False
    found = needs(source.training, source.runtime)
    given = {entry.partition(":")[2] for entry in custom_objects}
    unknown = [name for name in found.custom if name.rpartition(">")[2] not in given]
    return not unknown and not found.foreign and (trust or not found.code)


def optimizer_name(source: KerasSource) -> str:
    """Class of the optimizer that the model was compiled with, or empty."""
    described = source.training.get("optimizer_config") or source.training.get("optimizer")
    if isinstance(described, Mapping):
        return str(described.get("class_name", "")).removeprefix("Custom>")
    return described if isinstance(described, str) else ""


def _old(source: KerasSource) -> Iterator[Finding]:
    every = layers(source.config)
    gone = sorted({layer.class_name for layer in every if layer.class_name in _KERAS_1})
    if source.keras_version.split(".")[0] in ("0", "1") or gone or any(_is_keras_1(layer) for layer in every):
        yield refusal(
            "keras-1",
            f"written by Keras {source.keras_version or '1'}, whose configs Keras 2 and later do not read"
            + (f" ({', '.join(gone)})" if gone else ""),
            hint="load it with Keras 2.2 (keras==2.2.5 and TensorFlow 1), which translates it, and save it again",
        )
    if source.backend not in ("", "tensorflow") and source.runtime is Runtime.TF_KERAS:
        convolutions = tuple(layer.name for layer in every if layer.class_name.startswith(_KERNEL_LAYERS))
        if convolutions:
            yield refusal(
                "keras-other-backend",
                f"trained on the backend {source.backend}, which turns the kernels of convolutions around; tf_keras "
                "takes them as they are",
                convolutions,
                f"load it with Keras 2 on {source.backend}, turn the kernels (keras.utils.conv_utils.convert_kernel) "
                "and save it on TensorFlow",
            )


def _is_keras_1(layer: Layer) -> bool:
    """Whether a layer is set up in the words of Keras 1 (keras 2.0, legacy/interfaces.py)."""
    return layer.class_name != "Embedding" and bool({"output_dim", "nb_filter", "border_mode"} & set(layer.config))


# fmt: off
_KERAS_1 = frozenset(
    [
        "AtrousConvolution1D", "AtrousConvolution2D", "Graph", "Highway", "MaxoutDense", "Merge",
        "TimeDistributedDense", "TimeDistributedMerge",
    ]
)
"""Layers that Keras 2 does not have under any name."""
# fmt: on


def _side_effects(source: KerasSource) -> Iterator[Finding]:
    for layer in layers(source.config):
        function = str(layer.config.get("function", ""))
        if layer.class_name == "TFOpLambda" and function.startswith(_TOUCHES_FILES):
            yield Finding("touches-files", Severity.WARNING, f"layer {layer.name!r} calls tf.{function}", (layer.name,))
        if layer.class_name == "TensorFlowOpLayer" and "File" in json.dumps(layer.config.get("node_def", "")):
            yield Finding("touches-files", Severity.WARNING, f"layer {layer.name!r} is an op on files", (layer.name,))


def _custom_flags(names: Iterable[str]) -> str:
    """Flags to copy for the first few; a name that Python cannot have is left out."""
    plain = [name.rpartition(">")[2] for name in names]
    return " ".join([f"--custom_objects=MODULE:{name}" for name in plain if name.isidentifier()][:3])


def _optimizer(source: KerasSource, given: Collection[str]) -> Iterator[Finding]:
    name = optimizer_name(source)
    if not name:
        return
    stored = len(source.optimizer)
    yield Finding(
        "keras-optimizer",
        Severity.NOTE,
        f"the model was compiled with the optimizer {name}; {stored} of its variables are stored"
        if stored
        else f"the model was compiled with the optimizer {name}, of which no state is stored",
    )


def _layer_names(source: KerasSource) -> str:
    names = tuple(dict.fromkeys(tensor.name.split("/")[0] for tensor in source.weights))
    return f"{len(source.weights)} tensors of {', '.join(names[:5])}{', ...' if len(names) > 5 else ''}"


def _walk(value: Any, known: frozenset[str], where: str) -> Iterator[tuple[str, str]]:
    """(kind, name) of all that is not Keras' own."""
    if isinstance(value, list):
        for inner in value:
            yield from _walk(inner, known, where)
        return
    if not isinstance(value, Mapping):
        return
    inner = value.get("config")
    if isinstance(inner, Mapping) and isinstance(inner.get("name"), str):
        where = inner["name"]
    if isinstance(value.get("class_name"), str):
        yield from _named(value["class_name"], value, known, where)
    for key, setting in value.items():
        kind = value.get(f"{key}_type")
        if kind == "lambda" and setting is not None:
            yield "code", where or key
        elif isinstance(setting, str) and (kind == "function" or key.endswith("activation")):
            if setting not in known:
                yield "custom", setting
        else:
            yield from _walk(setting, known, where)


def _named(class_name: str, value: Mapping[str, Any], known: frozenset[str], where: str) -> Iterator[tuple[str, str]]:
    registered = value.get("registered_name")
    own = _is_own(value.get("module"))
    if class_name == "__lambda__":
        yield "code", where or "a function"
    elif class_name in _FOREIGN:
        yield "foreign", where or class_name
    elif class_name == "function":
        if not own or value.get("config") not in known:
            yield "custom", str(value.get("config"))
    elif not own or not (class_name in known or class_name in _PLAIN or class_name in ("Lambda", "__typespec__")):
        yield "custom", str(registered or class_name)
    elif isinstance(registered, str) and not (
        registered in ("", *known) or registered.startswith(("keras>", "Keras>"))
    ):
        # `Custom>Dense` is the user's own class of that name, and not Keras'.
        yield "custom", registered


def _is_own(module: object) -> bool:
    return module is None or (isinstance(module, str) and module.split(".")[0] in _OWN_MODULES)


@functools.cache
def _known() -> Mapping[str, frozenset[str]]:
    with open(TABLE_FILE, encoding="utf-8") as file:
        return {package: frozenset(names) for package, names in json.load(file).items()}


def _has_keras_3() -> bool:
    return _version("keras").split(".")[0].isdigit() and int(_version("keras").split(".")[0]) >= 3


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "none"
