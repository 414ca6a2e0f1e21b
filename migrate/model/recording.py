"""Records what a model answers here, as golden answers for a new model on another machine."""

from __future__ import annotations

import dataclasses
import os
import platform
import re
import sys

from migrate.errors import InputError
from migrate.levels import REPLAY
from migrate.model.jobs import steps_of
from migrate.model.judges import TF2
from migrate.model.study import Studied, study
from migrate.model.verdict import risk_of
from migrate.processes.forks import Runner
from migrate.records import AlreadyTF2, Crashed, Finding, Options, TimedOut, Unreadable
from migrate.sources.boundary import Boundary
from migrate.sources.files import digest_of
from migrate.verify import TF1, Ending
from migrate.verify.calls import Golden
from migrate.verify.golden import Recorded, RecordedModel, save_golden
from migrate.versions import VERSION

_OTHER_JUDGE = "record it with --judge=tf1 (migrate runtime install), or on its own machine"
_OWN = ("variables", "assets")
"""Directories of a SavedModel that hold what a call needs."""


def record(path: str, output: str, options: Options, nursery: Runner) -> Recorded:
    """Asks a model in the way in which its answers are taken for a conversion, and writes them to a file.

    Args:
      path: what the user calls the model; it is only read.
      output: path of the file.
      options: see `records.Options`.
      nursery: makes the child process. TensorFlow 2 answers in it; another runtime is another one that gives `Golden`.

    Returns:
      what was written.

    Raises:
      InputError: the model cannot be read or asked, or the file cannot be written.
    """
    # One runtime answers: TensorFlow 2, unless TensorFlow 1 is asked for.
    judge = TF1 if options.judge == TF1 else TF2
    options = dataclasses.replace(options, verify=REPLAY, judge=judge)
    with study(path, options, is_whole=True) as studied:
        outcome = studied.report.outcome
        if isinstance(outcome, Unreadable):
            raise InputError(outcome.reason)
        if judge == TF1 and (studied.keras is not None or isinstance(outcome, AlreadyTF2)):
            raise InputError(f"{path}: --judge=tf1: it is not a graph of TensorFlow 1; leave --judge out")
        steps = steps_of(studied, path, options, nursery)
        if steps is None:
            refusal = next((f"{f.message}{f'; {f.hint}' if f.hint else ''}" for f in studied.report.refusals), "")
            raise InputError(f"{path}: cannot be asked here: {refusal or 'it is not a model that answers calls'}")
        risk = risk_of(studied.report, options)
        if risk is not None:
            raise InputError(f"{path}: not run: {risk.message}; allow it with --allow_side_effects")
        answers = steps.golden() if steps.unasked is None else steps.unasked
        if isinstance(answers, Finding):
            raise InputError(f"{path}: cannot be asked here: {answers.message.partition(': ')[2]}; {_OTHER_JUDGE}")
        if not isinstance(answers, Golden):
            raise InputError(f"{path}: gives no answers here: {_said(answers)}")
        recorded = recorded_of(answers, described(studied, steps.digest()))
    if not recorded.calls:
        why = next(iter(recorded.skipped.values()), "it has no signature")
        raise InputError(f"{path}: answers no call: {why}; give calls with --inputs")
    try:
        save_golden(recorded, output)
    except OSError as error:
        raise InputError(f"{output}: cannot be written: {error.strerror or error}") from None
    return recorded


def recorded_of(golden: Golden, model: RecordedModel) -> Recorded:
    """The ordinary calls of golden answers, as a file has them."""
    end = golden.ordinary
    return Recorded(
        golden.calls[:end],
        golden.answers[:end],
        golden.again[:end],
        dict(golden.skipped),
        golden.notes,
        model,
        _runtime(golden.tf_version),
    )


def described(studied: Studied, digest: str) -> RecordedModel:
    """A model by the digests of its files, in the same words as `legacy_recorder.py` has them."""
    place = studied.place
    assert place is not None
    if studied.graph is None:
        is_directory = os.path.isdir(place.file)
        name = "saved_model.pb" if is_directory else os.path.basename(place.file)
        files = _files(place.file, name, place.boundary) if is_directory else {}
        return RecordedModel(name, digest, tuple(_tags(studied)), files)
    source = studied.graph.source
    name = os.path.basename(source.file)
    files = _files(os.path.dirname(source.file), name, source.boundary)
    return RecordedModel(name, digest, tuple(sorted(studied.graph.plan.tags)), files)


def _tags(studied: Studied) -> list[str]:
    return sorted(studied.report.meta_graphs[0].tags) if studied.report.meta_graphs else []


def _files(folder: str, graph: str, boundary: Boundary | None) -> dict[str, str]:
    """SHA-256 of a model's other files by their paths in it; of checkpoints that have an index, the index alone."""
    found: dict[str, str] = {}
    if graph.startswith("saved_model."):
        for own in _OWN:
            for top, _, names in os.walk(os.path.join(folder, own)):
                found |= {os.path.relpath(os.path.join(top, n), folder): os.path.join(top, n) for n in names}
    elif graph.endswith(".meta"):
        stem = graph.removesuffix(".meta")
        part = re.compile(re.escape(stem) + r"(\Z|\.|-\d{5}-of-\d{5}\Z)")
        found = {n: os.path.join(folder, n) for n in os.listdir(folder or os.curdir) if part.match(n)}
    indexed = {name.removesuffix(".index") for name in found if name.endswith(".index")}
    return {
        name: digest_of(file, boundary)
        for name, file in sorted(found.items())
        if name != graph and name.rsplit(".data-", 1)[0] not in indexed
    }


def _runtime(tf_version: str) -> dict[str, str | tuple[str, ...]]:
    import numpy as np

    return {
        "recorder": f"migrate {VERSION}",
        "tensorflow": tf_version,
        "numpy": np.__version__,
        "python": platform.python_version(),
        "machine": platform.machine(),
        "system": platform.platform(),
        "cpu_flags": _cpu_flags(),
    }


def _cpu_flags() -> tuple[str, ...]:
    if not sys.platform.startswith("linux"):
        return ()
    try:
        with open("/proc/cpuinfo", encoding="utf-8", errors="replace") as file:
            line = next((line for line in file if line.startswith(("flags", "Features"))), "")
    except OSError:
        return ()
    return tuple(sorted(line.partition(":")[2].split()))


def _said(ending: Ending) -> str:
    if isinstance(ending, Crashed):
        return f"the process that asked it died (exit code {ending.exit_code})"
    if isinstance(ending, TimedOut):
        return f"none within {ending.seconds:g} seconds"
    return ending.reason
