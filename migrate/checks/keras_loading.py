"""What blocks the loading of a Keras file, judged by its config alone."""

from __future__ import annotations

import dataclasses
import importlib.metadata
import os
from collections.abc import Collection, Iterable, Iterator, Mapping

from migrate.checks.keras_cudnn import find_cudnn
from migrate.checks.keras_needs import Needs, needs
from migrate.checks.keras_weights import find_misfits, find_unused
from migrate.errors import counted, first_few
from migrate.escapes import flag
from migrate.records import Finding, Severity, refusal
from migrate.sources.keras_config import Layer, is_subclassed, is_unbuilt, layers
from migrate.sources.keras_source import KerasSource, Runtime, Weights

# Theano convolves where TensorFlow correlates (keras 2.0, utils/conv_utils.py, convert_kernel).
_KERNEL_LAYERS = ("Conv", "Separable", "Deconv", "LocallyConnected", "Depthwise")


def find_keras(source: KerasSource, custom_objects: Collection[str], trust: bool) -> Iterator[Finding]:
    """Findings about a Keras source.

    Args:
      source: as it is on the disk.
      custom_objects: the user's `module:Name` entries.
      trust: whether what the file itself brings or names may be run and opened.
    """
    if not source.config:
        yield refusal(
            "keras-weights-alone",
            f"{_file(source)}: weights without their architecture; {source.files.unfit or _layer_names(source)}",
            hint="put the model's JSON (Model.to_json) beside them, or pass its path with --architecture=FILE",
        )
        return
    if source.form is Weights.MISSING:
        yield refusal(
            "keras-weights-missing",
            f"{os.path.basename(source.files.architecture)}: an architecture without weights",
            hint="put the weights beside it (HDF5, or a checkpoint with its .index); or pass the weights' path as "
            f"SOURCE, and this file with {_architecture_flag(source)}",
        )
    if source.runtime is Runtime.KERAS and source.form in (Weights.OBJECTS, Weights.NAMES):
        yield refusal(
            "keras-weights-form",
            f"{_file(source)}: a TensorFlow checkpoint, from which Keras 3 loads no weights",
            hint="load it with the model's own code (tf.train.Checkpoint), and save the model as a .keras file",
        )
    else:  # What of a checkpoint would fit is nothing to say where none is loaded.
        yield from _root(source)
        yield from find_misfits(source, custom_objects)
        yield from find_unused(source)
    if is_unbuilt(source.config) or (is_subclassed(source.config) and source.has_empty_layers):
        yield refusal(
            "keras-not-built",
            f"the model {source.config.get('class_name')!r} was saved before it was built: without inputs and weights",
            hint="call it on a batch of its data (model(x)), or build it (model.build(shape)), and save it again",
        )
    yield from _old(source)
    yield from find_cudnn(source, custom_objects)
    loose = tuple(x.name for x in layers(source.config) if x.config.get("sparse") is True or x.config.get("ragged"))
    if loose:
        yield refusal("keras-sparse-input", f"{first_few(loose, 3)}: sparse or ragged inputs are not exported", loose)
    if source.links:
        yield refusal(
            "keras-external-link",
            "parts of this HDF5 file are links, or data in other files; links are not followed",
            source.links,
        )
    if source.runtime is Runtime.KERAS and not _has_keras_3():
        yield refusal(
            "keras-3-missing",
            f"written by Keras {source.keras_version or '3'}, and keras {_version('keras')} is installed",
            hint="run migrate with TensorFlow 2.16 or later, which includes Keras 3",
        )
    found = needs(source.config, source.runtime)
    given = {entry.partition(":")[2] for entry in custom_objects}
    missing = tuple(name for name in found.custom if name.rpartition(">")[2] not in given)
    if missing:
        yield refusal(
            "keras-custom-object",
            f"Keras does not know these classes or functions: {first_few(missing, 3)}",
            missing,
            _custom_flags(missing) or "none of these can be the name of anything in a Python module",
        )
    if found.foreign:
        yield refusal(
            "keras-foreign-layer",
            f"{first_few(found.foreign, 3)} runs another framework's code or another file's graph",
            found.foreign,
        )
    if found.code:
        message = f"{first_few(found.code, 3)}: marshalled Python bytecode, which can do anything on this machine"
        if trust:
            yield Finding("keras-lambda", Severity.WARNING, f"{message}; it is run, as --trust says", found.code)
        else:
            hint = "if you trust whoever wrote this file, run it with --trust (and the Python version that wrote it)"
            yield refusal("keras-lambda", message, found.code, hint)
    yield from _unsafe(found, trust)
    yield from _optimizer(source)


def forbidden(found: Needs, custom_objects: Collection[str], trust: bool) -> tuple[str, ...]:
    """What a config asks for that nobody has allowed: names, layers and settings.

    Args:
      found: what it asks for.
      custom_objects: the user's `module:Name` entries.
      trust: whether what the file itself brings or names may be run and opened.
    """
    given = {entry.partition(":")[2] for entry in custom_objects}
    unknown = tuple(name for name in found.custom if name.rpartition(">")[2] not in given)
    return unknown + found.foreign + (() if trust else found.code + found.calls + found.files)


def optimizer_name(source: KerasSource) -> str:
    """Class of the optimizer that the model was compiled with, or empty."""
    described = source.training.get("optimizer_config") or source.training.get("optimizer")
    if isinstance(described, Mapping):
        return str(described.get("class_name", "")).removeprefix("Custom>")
    return described if isinstance(described, str) else ""


def _root(source: KerasSource) -> Iterator[Finding]:
    """Says where in a checkpoint by object the model is."""
    if source.form is not Weights.OBJECTS or (source.root == "" and source.files.root in ("", None)):
        return
    there = ", ".join(repr(root) for root in source.roots if root) or "nowhere but at its root"
    if source.root is None:
        asked = f"not under {source.files.root!r}: it is under" if source.files.root is not None else "under each of"
        yield refusal(
            "keras-checkpoint-root",
            f"{_file(source)}: has layers with weights {asked} {there}",
            source.roots,
            " ".join(["say which one is the model:", *(f"--checkpoint_root={root}" for root in source.roots[:3])]),
        )
        return
    message = f"the checkpoint holds more than a model; its weights are taken from the attribute {source.root!r}"
    yield Finding("keras-checkpoint-root", Severity.NOTE, message)


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
                f"load it with Keras 2 on {source.backend}, flip the kernels (keras.utils.conv_utils.convert_kernel) "
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


def _unsafe(found: Needs, trust: bool) -> Iterator[Finding]:
    """Loading is running: a refusal, unless the user trusts whoever wrote the file."""
    if found.calls:
        message = (
            "loading the file would call functions that may do more than compute, in "
            f"{counted(len(found.calls), 'layer')}: {first_few(found.calls, 1)}"
        )
        hint = "if you trust whoever wrote this file, load it with --trust"
        yield _with_trust(refusal("keras-calls", message, found.calls, hint), trust)
    if found.files:
        message = f"settings name files outside the model, which loading would read: {first_few(found.files, 1)}"
        hint = (
            "load it where these files are, give each layer its list (set_vocabulary), and save it again; or pass "
            "--trust, if you trust whoever wrote this file"
        )
        yield _with_trust(refusal("keras-file-name", message, found.files, hint), trust)


def _custom_flags(names: Iterable[str]) -> str:
    """Flags to copy for the first few; a name that Python cannot have is left out."""
    plain = [name.rpartition(">")[2] for name in names]
    return " ".join([f"--custom_objects=MODULE:{name}" for name in plain if name.isidentifier()][:3])


def _with_trust(finding: Finding, trust: bool) -> Finding:
    if not trust:
        return finding
    message = f"{finding.message}; it is done, as --trust says"
    return dataclasses.replace(finding, severity=Severity.WARNING, message=message, hint="")


def _optimizer(source: KerasSource) -> Iterator[Finding]:
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


def _file(source: KerasSource) -> str:
    """What the file of weights is called: the report names its directory."""
    return os.path.basename(source.files.weights)


def _architecture_flag(source: KerasSource) -> str:
    return flag("architecture", source.files.architecture) or "--architecture=FILE"


def _layer_names(source: KerasSource) -> str:
    names = tuple(dict.fromkeys(tensor.name.split("/")[0] for tensor in source.weights))
    return f"they are {len(source.weights)} tensors of {first_few(names, 5)}"


def _has_keras_3() -> bool:
    return _version("keras").split(".")[0].isdigit() and int(_version("keras").split(".")[0]) >= 3


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "none"
