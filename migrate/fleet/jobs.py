"""One model's way through the house, from its directory to its `ModelReport`. Every ending is a value."""

from __future__ import annotations

import contextlib
import dataclasses
import importlib.metadata
import os
import shutil
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from migrate.checks.checkpoint import Wanted, check_entries
from migrate.checks.contract import assets, shape_of
from migrate.checks.devices import find_device_pins
from migrate.checks.facts import facts
from migrate.checks.nodes import locate
from migrate.checks.python_ops import find_python_ops
from migrate.checks.randomness import find_random_ops
from migrate.checks.side_effects import find_side_effects
from migrate.errors import InputError
from migrate.export.job import Exported, ExportJob
from migrate.export.publish import check_destination, publish, staging
from migrate.records import (
    AlreadyTF2,
    Converted,
    Convertible,
    Crashed,
    Failed,
    Finding,
    Kind,
    Mismatched,
    ModelReport,
    Options,
    Outcome,
    Refused,
    Severity,
    TimedOut,
    Unchanged,
    Unreadable,
    Validated,
    Verification,
    refusal,
)
from migrate.rewrite.plan import Plan, make_plan, needed_nodes
from migrate.rewrite.restore import Computed, FromCheckpoint
from migrate.sources.bundle import check_shards, read_bundle
from migrate.sources.dtypes import base_name
from migrate.sources.protos import MetaGraphDef, NodeDef
from migrate.sources.saved_model import SavedModelSource, choose_meta_graph, kind_of, read_saved_model
from migrate.verify import record_golden, replay_candidate
from migrate.verify.calls import Golden
from migrate.verify.child import run_child

Progress = Callable[[str], None]
"""Takes one line that says what is being done now."""

_RISKY = frozenset({"touches-files", "touches-network", "python-op"})
"""Findings with which a model is not run unless the user says so (law 5)."""


@dataclasses.dataclass(frozen=True)
class _Studied:
    """A TF1 SavedModel that was read and judged."""

    source: SavedModelSource
    meta_graph: MetaGraphDef
    plan: Plan
    report: ModelReport


def audit_model(path: str, options: Options) -> ModelReport:
    """Says what one model is and whether `convert_model` would convert it."""
    studied = _study(path, options)
    return studied.report if isinstance(studied, _Studied) else studied


def convert_model(path: str, destination: str, options: Options, progress: Progress) -> ModelReport:
    """Converts one model.

    Args:
      path: the source's directory; it is only read.
      destination: directory that the new model is to have.
      options: see `records.Options`.
      progress: told what is being done.

    Returns:
      The report. Only with the outcomes `Converted` and `Unchanged` something stands at the destination.
    """
    studied = _study(path, options)
    base = dataclasses.replace(studied.report if isinstance(studied, _Studied) else studied, destination=destination)
    seconds = dict(base.seconds)
    try:
        check_destination(path, destination, options.overwrite)
        if isinstance(base.outcome, AlreadyTF2):
            with _timed(seconds, "copy"), staging(destination) as staged:
                shutil.copytree(path, staged, symlinks=False)
                publish(staged, destination, options.overwrite)
            return dataclasses.replace(base, outcome=Unchanged(), seconds=seconds)
        if not isinstance(studied, _Studied) or not isinstance(base.outcome, Convertible):
            return base
        return _convert(studied, base, destination, options, progress, seconds)
    except InputError as error:
        return dataclasses.replace(base, outcome=Failed(str(error)), seconds=seconds)
    except (OSError, shutil.Error) as error:
        return dataclasses.replace(base, outcome=Failed(f"{destination}: {_os_reason(error)}"), seconds=seconds)


def validate_model(candidate: str, source: str, options: Options, progress: Progress) -> ModelReport:
    """Replays the source's answers on a candidate that stands on the disk already."""
    studied = _study(source, options)
    if not isinstance(studied, _Studied):
        reason = "" if not isinstance(studied.outcome, AlreadyTF2) else "the source is no TF1 SavedModel"
        return dataclasses.replace(
            studied, destination=candidate, outcome=Failed(reason) if reason else studied.outcome
        )
    base = dataclasses.replace(studied.report, destination=candidate)
    seconds = dict(base.seconds)
    risk = _risk(base, options)
    if risk:
        return dataclasses.replace(base, outcome=Failed(f"not run: {risk.message}; allow it with --allow_side_effects"))
    progress(f"{source}: taking golden answers")
    with _timed(seconds, "golden"):
        golden = _golden(studied, options)
    if not isinstance(golden, Golden):
        return dataclasses.replace(base, outcome=golden, seconds=seconds)
    progress(f"{candidate}: replaying the calls")
    with _timed(seconds, "candidate"):
        result = replay_candidate(golden, candidate, options.max_ulps, options.timeout_seconds)
    outcome, verification = _judge(result)
    return dataclasses.replace(base, outcome=outcome or Validated(), verification=verification, seconds=seconds)


def _study(path: str, options: Options) -> _Studied | ModelReport:
    seconds: dict[str, float] = {}
    with _timed(seconds, "audit"):
        try:
            source = read_saved_model(path)
        except InputError as error:
            return ModelReport(path, None, Kind.UNKNOWN, Unreadable(str(error)), seconds=seconds)
        kind = kind_of(source)
        report = ModelReport(path, None, kind, AlreadyTF2(), seconds=seconds)
        if kind is Kind.TF2_SAVED_MODEL:
            every = tuple(facts(m, {n.name for n in m.graph_def.node}) for m in source.proto.meta_graphs)
            return dataclasses.replace(report, meta_graphs=every)
        try:
            chosen = choose_meta_graph(source, options.tags)
        except InputError as error:
            every = tuple(facts(m, ()) for m in source.proto.meta_graphs)
            return dataclasses.replace(
                report,
                outcome=Refused(),
                findings=(refusal("tag-set", str(error)),),
                meta_graphs=every,
            )
        plan = make_plan(chosen, options.drop_signatures)
        needed = needed_nodes(plan)
        names = {node.name for node in needed}
        others = tuple(facts(m, ()) for m in source.proto.meta_graphs if m is not chosen)
        found = tuple(dict.fromkeys((*plan.findings, *_checks(chosen, needed), *_files(source, chosen, plan))))
        refused = any(finding.severity is Severity.REFUSAL for finding in found)
        report = dataclasses.replace(
            report,
            outcome=Refused() if refused else Convertible(),
            findings=tuple(sorted(found, key=lambda f: -_WEIGHT[f.severity])),
            meta_graphs=(facts(chosen, names), *others),
        )
    return _Studied(source, chosen, plan, dataclasses.replace(report, seconds=seconds))


_WEIGHT = {Severity.NOTE: 0, Severity.WARNING: 1, Severity.REFUSAL: 2}


def _checks(meta_graph: MetaGraphDef, needed: list[NodeDef]) -> Iterator[Finding]:
    located = locate(needed, meta_graph.graph_def.library)
    yield from find_python_ops(located)
    yield from find_side_effects(located)
    yield from find_random_ops(located)
    yield from find_device_pins(located)


def _files(source: SavedModelSource, meta_graph: MetaGraphDef, plan: Plan) -> Iterator[Finding]:
    """Findings about the files beside the proto: checkpoint and assets."""
    for _, file in assets(meta_graph):
        path = os.path.normpath(os.path.join(source.assets_dir, file))
        if not path.startswith(os.path.normpath(source.assets_dir) + os.sep) or os.path.isabs(file):
            yield refusal("asset-escapes", f"the asset {file!r} lies outside the model's assets/ directory", (file,))
        elif not os.path.isfile(path):
            yield refusal("asset-missing", f"the asset {path} is missing, so its table cannot be filled", (file,))
    wanted = []
    for variable in plan.variables:
        dtype, shape = base_name(variable.dtype), shape_of(variable.shape)
        if isinstance(variable.value, FromCheckpoint):
            wanted.append(Wanted(variable.name, variable.value.key, variable.value.slice_spec, dtype, shape))
    reads = bool(wanted) or any(isinstance(v.value, Computed) for v in plan.variables)
    if not reads:
        return
    try:
        bundle = read_bundle(source.variables_prefix)
    except InputError as error:
        yield refusal(
            "checkpoint-unreadable",
            str(error),
            hint=f"{len(plan.variables)} variable(s) get their values from it; bring the variables/ directory along",
        )
        return
    yield from check_shards(bundle)
    yield from check_entries(wanted, bundle)


def _convert(
    studied: _Studied,
    base: ModelReport,
    destination: str,
    options: Options,
    progress: Progress,
    seconds: dict[str, float],
) -> ModelReport:
    path = studied.source.path
    verification: Verification | None = None
    golden: Golden | None = None
    if options.verify:
        risk = _risk(base, options)
        if risk:
            note = Finding(
                "not-verified",
                Severity.WARNING,
                f"the model was not run: {risk.message}",
                risk.nodes,
                "allow it with --allow_side_effects",
            )
            base = dataclasses.replace(base, findings=(note, *base.findings))
        else:
            progress(f"{path}: taking golden answers")
            with _timed(seconds, "golden"):
                answers = _golden(studied, options)
            if not isinstance(answers, Golden):
                return dataclasses.replace(base, outcome=answers, seconds=seconds)
            golden = answers
    with staging(destination) as staged:
        progress(f"{path}: converting")
        with _timed(seconds, "export"):
            exported = _export(studied, staged, options)
        if not isinstance(exported, Exported):
            return dataclasses.replace(base, outcome=exported, seconds=seconds)
        if golden is not None:
            progress(f"{path}: replaying the calls on the new model")
            with _timed(seconds, "candidate"):
                result = replay_candidate(golden, staged, options.max_ulps, options.timeout_seconds)
            trouble, verification = _judge(result)
            if trouble is not None:
                return dataclasses.replace(base, outcome=trouble, verification=verification, seconds=seconds)
        with _timed(seconds, "publish"):
            publish(staged, destination, options.overwrite)
    return dataclasses.replace(base, outcome=Converted(), verification=verification, seconds=seconds)


def _golden(studied: _Studied, options: Options) -> Golden | Crashed | TimedOut | Failed:
    variables = {
        v.name: (v.value.key, v.value.slice_spec) for v in studied.plan.variables if isinstance(v.value, FromCheckpoint)
    }
    return record_golden(
        studied.source.path,
        studied.plan.tags,
        studied.meta_graph,
        [s.signature for s in studied.plan.signatures],
        variables,
        options.inputs,
        options.timeout_seconds,
    )


def _export(studied: _Studied, staged: str, options: Options) -> Exported | Crashed | TimedOut | Failed:
    source = studied.source
    job = ExportJob(
        studied.meta_graph.SerializeToString(),
        source.variables_prefix,
        source.assets_dir,
        os.path.join(source.path, "assets.extra"),
        options.drop_signatures,
        staged,
        _provenance(source, studied.plan, options),
    )
    result: Exported | Crashed | TimedOut | Failed = run_child(
        "export", job, options.timeout_seconds, (sys.executable, "-m", "migrate.export.child")
    )
    return result


def _provenance(source: SavedModelSource, plan: Plan, options: Options) -> Mapping[str, Any]:
    return {
        "tool": {"name": "migrate", "version": importlib.metadata.version("migrate")},
        "tensorflow": importlib.metadata.version("tensorflow"),
        "source": {
            "path": os.path.abspath(source.path),
            "file": source.file_name,
            "sha256": source.sha256,
            "tags": list(plan.tags),
        },
        "options": {
            key: sorted(value) if isinstance(value, frozenset) else value
            for key, value in dataclasses.asdict(options).items()
        },
    }


def _judge(
    result: Verification | Crashed | TimedOut | Failed,
) -> tuple[Mismatched | Crashed | TimedOut | Failed | None, Verification | None]:
    """What a replay means: an outcome other than success, or None."""
    if not isinstance(result, Verification):
        return result, None
    if result.mismatches:
        return Mismatched(f"{len(result.mismatches)} output(s) or variable(s) differ from the source's"), result
    if not result.passed:
        why = "; ".join(f"{key}: {reason}" for key, reason in sorted(result.skipped.items()))
        return (
            Mismatched(
                f"nothing could be compared ({why or 'no outputs'}); give calls of your own with --inputs, "
                "or convert unverified with --noverify"
            ),
            result,
        )
    return None, result


def _risk(report: ModelReport, options: Options) -> Finding | None:
    if options.allow_side_effects:
        return None
    return next((finding for finding in report.findings if finding.code in _RISKY), None)


def _os_reason(error: BaseException) -> str:
    return getattr(error, "strerror", None) or str(error)


@contextlib.contextmanager
def _timed(seconds: dict[str, float], step: str) -> Iterator[None]:
    start = time.perf_counter()
    try:
        yield
    finally:
        seconds[step] = time.perf_counter() - start


__all__ = ["Outcome", "audit_model", "convert_model", "validate_model"]
