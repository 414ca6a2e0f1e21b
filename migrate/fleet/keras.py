"""Keras files on their way through the house: the part of `study` and `jobs` that has no graph to work on."""

from __future__ import annotations

import collections
import dataclasses
import os
from collections.abc import Mapping
from typing import Any

from migrate.checks.keras import find_keras, needs, optimizer_name
from migrate.export.request import KerasExported, KerasExportJob, Request
from migrate.fleet.way import Way
from migrate.forks import Runner
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
    Verification,
    refusal,
    shaping,
)
from migrate.report.json import tool
from migrate.sources.discover import Place
from migrate.sources.keras import KerasSource, files_of, inputs, layers, outputs, read_keras
from migrate.verify import Ending, record_keras_golden, replay_candidate
from migrate.verify.calls import Golden

_WEIGHT = {Severity.NOTE: 0, Severity.WARNING: 1, Severity.REFUSAL: 2}
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
        tuple(sorted(found, key=lambda f: -_WEIGHT[f.severity])),
        keras=_facts(source),
    )
    return report, source


def keras_way(source: KerasSource, path: str, options: Options, nursery: Runner) -> Way:
    """How a Keras source answers and is exported.

    Args:
      source: that `study_keras` has found convertible.
      path: what the user calls it.
      options: see `records.Options`.
      nursery: makes the child processes.
    """
    request = Request(source, options.custom_objects, options.trust)

    def golden() -> Golden | Ending:
        return record_keras_golden(nursery, request, options.inputs, options.timeout_seconds)

    def export(staged: str, report: ModelReport) -> ModelReport | Ending:
        job = KerasExportJob(request, staged, _provenance(source, path, options))
        done: KerasExported | Ending = nursery.run("export", "migrate.export.keras_job", job, options.timeout_seconds)
        if not isinstance(done, KerasExported):
            return done
        facts = dataclasses.replace(_facts(source), signature=done.signature)
        return dataclasses.replace(report, keras=facts, findings=(*report.findings, *_optimizer(source, done.lost)))

    def replay(answers: Golden, candidate: str) -> Verification | Ending:
        return replay_candidate(nursery, answers, candidate, options.max_ulps, options.timeout_seconds)

    return Way(path, golden, export, replay)


def _optimizer(source: KerasSource, lost: str) -> tuple[Finding, ...]:
    if not source.optimizer:
        return ()
    name = optimizer_name(source) or "the optimizer"
    if lost:
        message = f"the state of {name} ({len(source.optimizer)} variables) is not in the new model: {lost}"
        return (Finding("keras-optimizer-dropped", Severity.WARNING, message),)
    message = f"the state of {name} ({len(source.optimizer)} variables) is in the new model"
    return (Finding("keras-optimizer-kept", Severity.NOTE, message),)


def _facts(source: KerasSource) -> KerasFacts:
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


def _provenance(source: KerasSource, path: str, options: Options) -> Mapping[str, Any]:
    versions = tool()
    file = source.files.architecture
    return {
        "tool": versions,
        "tensorflow": versions["tensorflow"],
        "source": {
            "path": os.path.abspath(path),
            "file": os.path.basename(file),
            "weights": os.path.basename(source.files.weights),
            "sha256": source.sha256,
            "keras_version": source.keras_version,
        },
        "options": shaping(options),
    }
