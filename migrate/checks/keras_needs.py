"""What a Keras config would import, run or open when it is loaded, judged without loading it.

Keras imports what a config names (`serialization_lib._retrieve_class_or_fn` imports any module), runs marshalled
Python, calls the functions and ops of TensorFlow that op layers name, and opens files that settings name. So a config
is loaded only when every class in it is Keras' own (`keras_classes.json`) or one that the user has given, every
function and op that it calls is known to compute and nothing else, and none of it is code or the name of a file.
"""

from __future__ import annotations

import functools
import json
import os
from collections.abc import Iterator, Mapping
from typing import Any

from migrate.frozen import frozen
from migrate.sources.keras_source import Runtime

TABLE_FILE = os.path.join(os.path.dirname(__file__), "keras_classes.json")

# Values that the serialisers write as a class of their own (keras/src/saving/serialization_lib.py).
# fmt: off
_PLAIN = frozenset(
    [
        "__bytes__", "__dict__", "__ellipsis__", "__keras_tensor__", "__ndarray__", "__numpy__", "__slice__",
        "__tensor__", "__tuple__", "TensorShape", "CompositeTensor", "Tuple",
    ]
)
# fmt: on
_SPECS = frozenset(["TensorSpec", "RaggedTensorSpec", "SparseTensorSpec"])
# They run another framework's code or another file's graph; tools/make_keras_classes.py leaves them out of the table.
_FOREIGN = frozenset(["TFSMLayer", "TorchModuleWrapper", "JaxLayer", "FlaxLayer", "ModuleWrapper", "ReloadedLayer"])
_OWN_MODULES = ("keras", "tf_keras")
# Settings that may name a function or class of the same package.
_NAMED_SETTINGS = ("activation", "regularizer", "constraint")
_COMPILED = ("loss", "metrics", "weighted_metrics")
# What `compile` takes for a metric beside names of functions (tf_keras/src/engine/compile_utils.py).
_METRIC_WORDS = frozenset(["accuracy", "acc", "crossentropy", "ce", "auto"])
# Arguments of Keras' classes that are read as the name of a file when they are strings
# (tools/make_keras_classes.py stops at a class with one that is not known here).
FILE_SETTINGS = ("vocabulary", "initial_vocabulary")


@frozen
class Needs:
    """What a config asks for beyond Keras.

    Attributes:
      custom: names of classes and functions that are not Keras' own.
      code: layers (or settings) that hold marshalled Python.
      foreign: layers of Keras' own that run another framework's code or another file's graph.
      calls: functions and ops of TensorFlow that loading would call and that are not known to be harmless, each with
        its layer and the reason.
      files: settings that name a file, each with its layer.
    """

    custom: tuple[str, ...] = ()
    code: tuple[str, ...] = ()
    foreign: tuple[str, ...] = ()
    calls: tuple[str, ...] = ()
    files: tuple[str, ...] = ()


def needs(config: Any, runtime: Runtime) -> Needs:
    """Reads a config for what it would import, run or open."""
    found = list(_walk(config, _known()[runtime.value], ""))

    def named(kind: str) -> tuple[str, ...]:
        return tuple(dict.fromkeys(name for other, name in found if other == kind))

    return Needs(named("custom"), named("code"), named("foreign"), named("calls"), named("files"))


def training_needs(training: Mapping[str, Any], runtime: Runtime) -> Needs:
    """Reads the optimizer, loss and metrics for what they would import, run or open."""
    return needs({"compile_config": training}, runtime)


def _walk(value: Any, known: frozenset[str], where: str) -> Iterator[tuple[str, str]]:
    """(kind, name) of all that is not Keras' own; the kinds are the attributes of `Needs`."""
    if isinstance(value, list):
        for inner in value:
            yield from _walk(inner, known, where)
        return
    if not isinstance(value, Mapping):
        return
    inner = value.get("config")
    if isinstance(inner, Mapping):
        if isinstance(inner.get("name"), str):
            where = inner["name"]
        for key in FILE_SETTINGS:
            if isinstance(inner.get(key), str):
                yield "files", f"{where}: {key}={inner[key]!r}"
    if "class_name" in value:
        yield from _named(value["class_name"], value, known, where)
    for key, setting in value.items():
        kind = value.get(f"{key}_type")
        if kind == "lambda" and setting is not None:
            yield "code", where or key
        elif isinstance(setting, str) and (kind == "function" or key.endswith(_NAMED_SETTINGS) or key == "fn"):
            if setting not in known and not (key == "fn" and setting in _METRIC_WORDS):
                yield "custom", setting
        else:
            if key == "compile_config" and isinstance(setting, Mapping):
                for name in _strings([setting.get(part) for part in _COMPILED]):
                    if name not in known and name not in _METRIC_WORDS:
                        yield "custom", name
                optimizer = setting.get("optimizer")
                # Keras finds its own optimizers by their names in small letters, before any other class.
                if isinstance(optimizer, str) and optimizer.lower() not in _small(known):
                    yield "custom", optimizer
            yield from _walk(setting, known, where)


@functools.cache
def _small(known: frozenset[str]) -> frozenset[str]:
    return frozenset(name.lower() for name in known)


def _strings(value: Any) -> Iterator[str]:
    """Names in a loss or in metrics: alone, in lists and by output, but not inside the configs of classes."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for inner in value:
            yield from _strings(inner)
    elif isinstance(value, Mapping) and "class_name" not in value:
        for inner in value.values():
            yield from _strings(inner)


def _named(class_name: Any, value: Mapping[str, Any], known: frozenset[str], where: str) -> Iterator[tuple[str, str]]:
    if not isinstance(class_name, str):
        yield "custom", f"a class_name that is no string: {json.dumps(class_name)[:80]}"
        return
    registered = value.get("registered_name")
    if not (registered is None or isinstance(registered, str)):
        yield "custom", f"a registered_name that is no string: {json.dumps(registered)[:80]}"
        return
    module = value.get("module")
    own = _is_own(module)
    nameless = registered in (None, "") and "registered_name" in value and class_name != "function"
    if nameless and not own and (module != "builtins" or class_name not in (*_PLAIN, "__lambda__")):
        # Keras would import the module: by its registered name alone does it find what the user has given.
        yield "custom", f"{module}.{class_name}"
        return
    if class_name == "__lambda__":
        yield "code", where or "a function"
    elif class_name in _FOREIGN:
        yield "foreign", where or class_name
    elif class_name == "function":
        name = value.get("config")
        if not (own or module == "builtins") or not isinstance(name, str) or name not in known:
            yield "custom", str(name)
        elif registered not in (None, "", "function", name):
            yield "custom", str(registered)
    elif class_name in ("TypeSpec", "__typespec__"):
        if not _is_spec(value):
            yield "custom", class_name
    elif not own or not (class_name in known or class_name in _PLAIN or class_name == "Lambda"):
        if value.get("module") != "builtins" or class_name not in _PLAIN:
            yield "custom", str(registered or class_name)
    elif registered not in (None, "", class_name, *(f"{package}>{class_name}" for package in ("keras", "Keras"))) and (
        registered not in known or registered.rpartition(">")[2] != class_name.rpartition(">")[2]
    ):
        # `Custom>Dense` is the user's own class of that name, and Keras takes another class of the module by it.
        yield "custom", str(registered)
    elif class_name.rpartition(">")[2] in _OP_LAYERS:
        # What few files need is imported where it is needed.
        from migrate.checks.keras_calls import find_calls

        yield from (("calls", call) for call in find_calls(class_name.rpartition(">")[2], value, where))


# Layers that call what their config names (tf_keras/src/layers/core/tf_op_layer.py, engine/base_layer.py).
_OP_LAYERS = frozenset(
    ["TFOpLambda", "SlicingOpLambda", "ClassMethod", "InstanceMethod", "InstanceProperty", "TensorFlowOpLayer"]
)


def _is_spec(value: Mapping[str, Any]) -> bool:
    """Whether a TypeSpec is one of TensorFlow's for tensors: Keras imports its module and makes one."""
    if value["class_name"] == "TypeSpec":
        return str(value.get("type_spec")).removeprefix("tf.") in _SPECS
    module = value.get("module")
    in_tensorflow = isinstance(module, str) and module.startswith(
        ("tensorflow.python.framework.", "tensorflow.python.ops.")
    )
    return in_tensorflow and value.get("spec_name") in _SPECS and value.get("registered_name") in (None, "", *_SPECS)


def _is_own(module: object) -> bool:
    return module is None or (isinstance(module, str) and module.split(".")[0] in _OWN_MODULES)


@functools.cache
def _known() -> Mapping[str, frozenset[str]]:
    with open(TABLE_FILE, encoding="utf-8") as file:
        return {package: frozenset(names) for package, names in json.load(file).items()}
