"""Reads and judges one model: what audit reports is the plan that convert carries out. Starts no TensorFlow."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import time
from collections.abc import Iterator

from migrate.checks.checkpoint import Wanted, check_entries
from migrate.checks.contract import assets, shape_of
from migrate.checks.devices import find_device_pins
from migrate.checks.facts import facts
from migrate.checks.forgiven import find_forgiven
from migrate.checks.nodes import locate
from migrate.checks.randomness import find_random_ops
from migrate.checks.side_effects import find_side_effects
from migrate.errors import InputError
from migrate.records import (
    AlreadyTF2,
    Convertible,
    Finding,
    Kind,
    ModelReport,
    Options,
    Refused,
    Severity,
    Unreadable,
    refusal,
)
from migrate.rewrite.plan import Plan, make_plan, needed_nodes
from migrate.rewrite.restore import Computed, FromCheckpoint
from migrate.rewrite.sketch import sketch
from migrate.sources.bundle import check_shards, read_bundle
from migrate.sources.dtypes import base_name
from migrate.sources.protos import MetaGraphDef, NodeDef
from migrate.sources.saved_model import SavedModelSource, choose_meta_graph, kind_of, read_saved_model
from migrate.sources.size import stored_bytes


@dataclasses.dataclass(frozen=True)
class Studied:
    """A TF1 SavedModel that was read and judged."""

    source: SavedModelSource
    meta_graph: MetaGraphDef
    plan: Plan
    report: ModelReport


def audit_model(path: str, options: Options) -> ModelReport:
    """Says what one model is and whether `convert_model` would convert it."""
    studied = study(path, options)
    return studied.report if isinstance(studied, Studied) else studied


def study(path: str, options: Options) -> Studied | ModelReport:
    """Reads a model and plans its conversion; the bare report where it is unreadable, TF2 or has no such tag set."""
    seconds: dict[str, float] = {}
    with timed(seconds, "audit"):
        size = stored_bytes(path)
        try:
            source = read_saved_model(path)
        except InputError as error:
            return ModelReport(path, None, Kind.UNKNOWN, Unreadable(str(error)), seconds=seconds, size_bytes=size)
        kind = kind_of(source)
        report = ModelReport(path, None, kind, AlreadyTF2(), seconds=seconds, size_bytes=size)
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
            sketches=tuple(filter(None, map(sketch, plan.runs))) if options.details else (),
        )
    return Studied(source, chosen, plan, dataclasses.replace(report, seconds=seconds))


_WEIGHT = {Severity.NOTE: 0, Severity.WARNING: 1, Severity.REFUSAL: 2}


def _checks(meta_graph: MetaGraphDef, needed: list[NodeDef]) -> Iterator[Finding]:
    located = locate(needed, meta_graph.graph_def.library)
    yield from find_forgiven(meta_graph, needed)
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
            yield refusal("asset-missing", f"the asset {path} is missing, and the init op names it", (file,))
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


@contextlib.contextmanager
def timed(seconds: dict[str, float], step: str) -> Iterator[None]:
    """Adds the wall time of a block to `seconds`, also when it raises."""
    start = time.perf_counter()
    try:
        yield
    finally:
        seconds[step] = time.perf_counter() - start
