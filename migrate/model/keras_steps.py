"""How a Keras file answers, becomes a TF2 SavedModel, and is compared with one."""

from __future__ import annotations

import contextlib
import dataclasses
import os
from collections.abc import Iterator, Mapping
from typing import Any

from migrate.checks.keras_loading import optimizer_name
from migrate.errors import first_few
from migrate.export.keras_messages import KerasExported, KerasExportJob
from migrate.export.provenance import digest, provenance
from migrate.keras_loader.request import Request
from migrate.levels import FULL, reaches
from migrate.model import confined_steps
from migrate.model.file_checks import candidate_read
from migrate.model.judges import without_a_graph
from migrate.model.keras_study import facts
from migrate.model.steps import Steps
from migrate.processes.forks import Runner
from migrate.records import (
    Failed,
    Finding,
    Mismatch,
    ModelReport,
    Options,
    Severity,
    Verification,
)
from migrate.sources.bundle import index_file
from migrate.sources.files import digest_of
from migrate.sources.keras_config import outputs, unnamed_outputs
from migrate.sources.keras_source import KerasSource, Runtime
from migrate.verify import Ending, record_keras_golden, replay_candidate
from migrate.verify.calls import Golden
from migrate.verify.contract import Candidate, keras_differences
from migrate.verify.made_up_names import paired


def keras_steps(source: KerasSource, path: str, options: Options, nursery: Runner) -> Steps:
    """How a Keras source answers and is exported.

    Args:
      source: that `study_keras` has found convertible.
      path: what the user calls it.
      options: see `records.Options`.
      nursery: makes the child processes.
    """
    request = Request(source, options.custom_objects, options.trust)

    def golden() -> Golden | Ending:
        answers = record_keras_golden(
            confined_steps.asking_keras(nursery, request, options),
            request,
            options.inputs,
            options.timeout,
            reaches(options.verify, FULL),
        )
        return without_a_graph(answers, options, "a Keras file")

    def export(staged: str, report: ModelReport, _: object) -> ModelReport | Ending:
        job = KerasExportJob(request, staged, _provenance(source, path, options), _digest(source, options))
        done: KerasExported | Ending = confined_steps.exporting_keras(nursery, request, staged).run(
            "export", "migrate.export.keras_job", job, KerasExported | Failed, options.timeout
        )
        if not isinstance(done, KerasExported):
            return done
        known = dataclasses.replace(facts(source), signature=done.signature)
        return dataclasses.replace(
            report, keras=known, findings=(*report.findings, *_optimizer(source, done.lost), *_compiled(source, done))
        )

    def replay(answers: Golden, candidate: str) -> Verification | Ending:
        return replay_candidate(
            confined_steps.replaying(nursery, candidate, options),
            _by_place(answers, source, candidate, options),
            candidate,
            options.max_ulps,
            options.timeout,
            side_effects=options.allow_side_effects,
            full=reaches(options.verify, FULL),
        )

    def contract(candidate: Candidate) -> tuple[Mismatch, ...]:
        return keras_differences(candidate, source.runtime is Runtime.TF_KERAS)

    files = source.files
    described = {"file": os.path.basename(files.architecture), "weights": os.path.basename(files.weights)}
    begin = contextlib.nullcontext
    return Steps(path, golden, lambda _: begin(), export, replay, contract, lambda: source.sha256, described=described)


def _by_place(golden: Golden, source: KerasSource, candidate: str, options: Options) -> Golden:
    """The answers under the candidate's names for outputs whose names are made up at each load.

    Raises:
      InputError: the candidate cannot be read.
    """
    unnamed = unnamed_outputs(source.config)
    if not unnamed:
        return golden
    with candidate_read(candidate, options) as read:
        meta_graph = read.meta_graphs[0]
    named = set(outputs(source.config)) - set(unnamed)
    return paired(golden, named, len(unnamed), list(meta_graph.signature_def["serving_default"].outputs))


def _optimizer(source: KerasSource, lost: str) -> tuple[Finding, ...]:
    if not source.optimizer:
        return ()
    name = optimizer_name(source) or "the optimizer"
    if lost:
        message = f"the state of {name} ({len(source.optimizer)} variables) is not in the new model: {lost}"
        return (Finding("keras-optimizer-dropped", Severity.WARNING, message),)
    message = f"the state of {name} ({len(source.optimizer)} variables) is in the new model"
    hint = ""
    if source.runtime is Runtime.TF_KERAS:
        message += "; load_model does not restore it, and starts the optimizer afresh"
        hint = (
            "to train on from it, write after model = load_model(PATH): "
            'tf.train.Checkpoint(model).restore(PATH + "/variables/variables")'
        )
    return (Finding("keras-optimizer-kept", Severity.NOTE, message, (), hint),)


def _compiled(source: KerasSource, done: KerasExported) -> tuple[Finding, ...]:
    """Says so where the source was compiled, and `load_model` of the new model gives one that is not."""
    if not source.training:
        return ()
    if done.compiled:
        return tuple(_metrics(done))
    if source.runtime is Runtime.KERAS and not done.lost:
        message = "the loss and the metrics are not in the new model: a SavedModel of Keras 3 holds none"
        return (Finding("keras-not-compiled", Severity.NOTE, message),)
    message = f"the new model is not compiled: {done.lost}"
    return (Finding("keras-not-compiled", Severity.WARNING, message, (), "call its compile() before you train it"),)


def _metrics(done: KerasExported) -> Iterator[Finding]:
    """Says which metrics are not, or perhaps not, what they would be at the first batch of the source."""
    if done.dropped:
        message = (
            f"without {len(done.dropped)} of its metrics, whose meaning Keras takes from the first targets, and which "
            f"nothing in the file says: {first_few(done.dropped, 3)}"
        )
        hint = "compile it again with the metrics that are meant, such as metrics=['sparse_categorical_accuracy']"
        yield Finding("keras-not-compiled", Severity.WARNING, message, done.dropped, hint)
    if done.assumed:
        message = (
            f"{first_few(done.assumed, 3)}: categorical in the new model, which is right for targets of the output's "
            "own shape; Keras would look at the first targets, and this loss takes others too"
        )
        yield Finding("keras-metric-assumed", Severity.NOTE, message, done.assumed)


def _digest(source: KerasSource, options: Options) -> str:
    """What tells what a source's config and weights become from any other model, wherever they are."""
    weights = source.files.weights
    parts = [source.sha256]
    if weights and weights != source.files.architecture:
        # A checkpoint's index has a checksum of each tensor.
        parts.append(digest_of(weights if os.path.isfile(weights) else index_file(weights)))
    return digest(parts, options)


def _provenance(source: KerasSource, path: str, options: Options) -> Mapping[str, Any]:
    described = {
        "path": os.path.abspath(path),
        "file": os.path.basename(source.files.architecture),
        "weights": os.path.basename(source.files.weights),
        "sha256": source.sha256,
        "keras_version": source.keras_version,
    }
    return provenance(described, options)
