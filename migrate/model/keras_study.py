"""What audit says of a Keras file."""

from __future__ import annotations

import collections
import dataclasses
import os
from collections.abc import Iterator

from migrate.checks.keras_loading import find_keras, optimizer_name
from migrate.checks.keras_needs import needs
from migrate.errors import first_few
from migrate.records import (
    Convertible,
    Finding,
    KerasFacts,
    ModelReport,
    Options,
    Refused,
    Severity,
    Signature,
    TensorSpec,
    VariableFacts,
    gravest_first,
    refusal,
)
from migrate.sources.keras_config import (
    BUILD_DTYPES,
    build_dtype,
    inputs,
    is_subclassed,
    layers,
    outputs,
    unnamed_outputs,
)
from migrate.sources.keras_source import KerasFiles, KerasSource, read_keras
from migrate.sources.location import Location, chosen_among
from migrate.sources.read import files_of

_UNKNOWN = "?"


def study_keras(place: Location, path: str, options: Options) -> tuple[ModelReport, KerasSource] | None:
    """Says what a Keras file is and whether it would be converted.

    Args:
      place: where it is; one of `sources.forms.KERAS_FORMS`, or a checkpoint without a graph.
      path: what the user calls it.
      options: see `records.Options`.

    Returns:
      The report, with the outcome `Convertible` or `Refused`, and the source. None for a checkpoint that no
      architecture belongs to.

    Raises:
      InputError: it cannot be read.
    """
    files = files_of(place, options.architecture, options.checkpoint_root)
    if files is None:
        return None
    source = read_keras(files)
    chosen = dataclasses.replace(place, checkpoint=files.weights, others=files.others)
    found = (*chosen_among(chosen), *_joined(files, options))
    found += (*_built(source), *_unnamed(source))
    found += tuple(find_keras(source, options.custom_objects, options.trust))
    if options.signature:
        keys = tuple(signature.key for signature in options.signature)
        message = "a Keras file has no graph that --signature could name tensors of"
        package = source.runtime.value
        hint = (
            f"in Python: model = {package}.models.load_model(PATH); {package}.Model(model.inputs, "
            'model.get_layer(LAYER).output).save("features.keras") is a model of what a layer gives; convert that file'
        )
        found += (refusal("keras-signature", message, keys, hint),)
    refused = any(finding.severity is Severity.REFUSAL for finding in found)
    report = ModelReport(
        path,
        None,
        source.kind,
        Refused() if refused else Convertible(),
        gravest_first(found),
        keras=facts(source),
    )
    return report, source


def _joined(files: KerasFiles, options: Options) -> Iterator[Finding]:
    """Says which of the user's files and attributes were taken."""
    given = options.architecture
    # The same file may be spelt in two ways: `m/model.json`, `./m/model.json`.
    if given is not None and files.architecture and os.path.realpath(files.architecture) == os.path.realpath(given):
        message = f"the architecture of these weights is {files.architecture}, as --architecture says"
        yield Finding("keras-architecture", Severity.NOTE, message)


def _built(source: KerasSource) -> Iterator[Finding]:
    """Says so where inputs are no part of a config."""
    given = inputs(source.config)
    if is_subclassed(source.config) and given and not layers(source.config):
        told = ", ".join(f"{name} {list(shape or ())}" for name, (_, shape) in given.items())
        dtype = build_dtype(source.config)
        first, *others = BUILD_DTYPES
        said = f"as {first}, or where its class does not take that as {', '.join(others)}: the file names no dtype"
        if dtype:
            said = f"as {dtype}, the model's own dtype"
        message = (
            f"unless its class has inputs of its own, Keras calls it on the shape it was built with ({told}), {said}"
        )
        yield Finding("keras-build-shape", Severity.NOTE, message)


def _unnamed(source: KerasSource) -> Iterator[Finding]:
    """Says which outputs have no name in the file."""
    names = unnamed_outputs(source.config)
    if names:
        what = "the layer of 1 output keeps" if len(names) == 1 else f"the layers of {len(names)} outputs keep"
        message = (
            f"{what} no name in the file ({first_few(names, 3)}), so Keras makes a new one up at each load; such "
            "outputs are compared by their place"
        )
        yield Finding("keras-output-unnamed", Severity.NOTE, message, names)


def facts(source: KerasSource) -> KerasFacts:
    """Describes a Keras file."""
    signature = None
    if source.config:
        given = {name: TensorSpec("", dtype, shape) for name, (dtype, shape) in inputs(source.config).items()}
        produced = {name: TensorSpec("", _UNKNOWN, None) for name in outputs(source.config)}
        signature = Signature("serving_default", "tensorflow/serving/predict", given, produced)
    found = needs(source.config, source.runtime)
    return KerasFacts(
        source.keras_version,
        source.runtime.value,
        source.backend,
        dict(collections.Counter(layer.class_name for layer in layers(source.config)).most_common()),
        signature,
        tuple(VariableFacts(t.name, t.dtype, t.shape, True, True, True) for t in source.weights),
        optimizer_name(source),
        len(source.optimizer),
        found.custom,
        found.code,
    )
