"""What audit says of a Keras file."""

from __future__ import annotations

import collections

from migrate.checks.keras import find_keras, optimizer_name
from migrate.checks.keras_needs import needs
from migrate.records import (
    Convertible,
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
from migrate.sources.discover import Place
from migrate.sources.keras import KerasSource, files_of, inputs, layers, outputs, read_keras

_UNKNOWN = "?"


def study_keras(place: Place, path: str, options: Options) -> tuple[ModelReport, KerasSource]:
    """Says what a Keras file is and whether it would be converted.

    Args:
      place: where it lies; one of `sources.read.KERAS_FORMS`.
      path: what the user calls it.
      options: see `records.Options`.

    Returns:
      The report, with the outcome `Convertible` or `Refused`, and the source.

    Raises:
      InputError: it cannot be read.
    """
    source = read_keras(files_of(place))
    found = tuple(find_keras(source, options.custom_objects, options.trust))
    if options.signatures:
        keys = tuple(signature.key for signature in options.signatures)
        message = "a Keras file has no graph that --signature could name tensors of"
        found += (
            refusal("keras-signature", message, keys, "add the signatures to the new model, by its tensor names"),
        )
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
