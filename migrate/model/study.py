"""Reads and judges one model: what audit reports is the plan that convert carries out. Starts no TensorFlow."""

from __future__ import annotations

import contextlib
import dataclasses
import time
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from migrate.errors import InputError
from migrate.frozen import frozen
from migrate.model.bounds import check_report, check_signatures, watch_over
from migrate.model.file_checks import link_findings, own_boundary
from migrate.model.graph_study import StudiedGraph, study_graph
from migrate.model.tf2_study import TF2, study_tf2
from migrate.records import Finding, Kind, ModelReport, Options, Refused, Severity, Unreadable, gravest_first
from migrate.sources.forms import KERAS_FORMS
from migrate.sources.links import find_copied
from migrate.sources.location import Form, Location
from migrate.sources.read import opened, read_source
from migrate.sources.sizes import stored_bytes
from migrate.sources.watch import Watch

if TYPE_CHECKING:
    from migrate.sources.keras_source import KerasSource  # What few models need is imported where they come.


@frozen
class Studied:
    """A model that was found and judged.

    Attributes:
      report: what audit says.
      place: where it is; None where nothing could be found.
      graph: the source and its plan, or None: it is unreadable, TF2, a Keras file, has no such tag set or no graph.
      keras: a Keras file's content, or None for anything else.
    """

    report: ModelReport
    place: Location | None = None
    graph: StudiedGraph | None = None
    keras: KerasSource | None = None


def audit_model(path: str, options: Options) -> ModelReport:
    """Says what one model is and whether `convert_model` would convert it."""
    with study(path, options) as studied:
        return studied.report


def tag_sets(path: str, options: Options) -> tuple[frozenset[str], ...]:
    """The tag sets of a TF1 model with several MetaGraphDefs, each once; none for any other model or what is none."""
    try:
        watch = watch_over(options)
        with opened(path, options.follow_links, watch) as place:
            if place.form is not Form.SAVED_MODEL:
                return ()
            with watch.running(path):
                source = read_source(place, path)
    except InputError:
        return ()
    if source.kind in TF2 or len(source.meta_graphs) < 2:
        return ()
    return tuple(dict.fromkeys(frozenset(m.meta_info_def.tags) for m in source.meta_graphs))


@contextlib.contextmanager
def study(path: str, options: Options, is_whole: bool = False) -> Iterator[Studied]:
    """Reads a model and plans its conversion. Its files, which may be an archive's, stay until the block ends.

    Args:
      path: what the user calls it.
      options: what the user wants.
      is_whole: see `Watch`.
    """
    seconds: dict[str, float] = {}
    with contextlib.ExitStack() as stack:
        with timed(seconds, "audit"):
            size = None
            place = None
            try:
                watch = watch_over(options, is_whole)
                place = stack.enter_context(opened(path, options.follow_links, watch))
                size = stored_bytes(path, place)
                with watch.running(path):
                    studied = _within_bounds(place, path, options, watch)
                    watch.check()
                    check_report(studied.report, watch)
            except InputError as error:
                studied = Studied(ModelReport(path, None, Kind.UNKNOWN, Unreadable(str(error))))
            if place is not None and place.unpacked is not None:
                studied = dataclasses.replace(studied, report=_in_archive(studied.report, place.unpacked))
        report = dataclasses.replace(studied.report, seconds=seconds, bytes=size)
        yield dataclasses.replace(studied, report=report)


def _within_bounds(place: Location, path: str, options: Options, watch: Watch) -> Studied:
    links = link_findings(place, path, options)
    if any(finding.severity is Severity.REFUSAL for finding in links):
        return Studied(ModelReport(path, None, Kind.UNKNOWN, Refused(), links), place)
    watch.check()
    return _with_findings(_studied(place, path, options), links)


def _with_findings(studied: Studied, found: Sequence[Finding]) -> Studied:
    findings = gravest_first(dict.fromkeys((*found, *studied.report.findings)))
    return dataclasses.replace(studied, report=dataclasses.replace(studied.report, findings=findings))


def _in_archive(report: ModelReport, directory: str) -> ModelReport:
    """Calls files by the archive's name: the directory that it was unpacked into is gone when the report is read."""

    def spell(text: str) -> str:
        return text.replace(directory, report.source)

    outcome = report.outcome
    if isinstance(outcome, Unreadable):
        outcome = Unreadable(spell(outcome.reason))
    findings = tuple(
        dataclasses.replace(f, message=spell(f.message), nodes=tuple(map(spell, f.nodes)), hint=spell(f.hint))
        for f in report.findings
    )
    checkpoint = report.checkpoint
    if checkpoint is not None:
        checkpoint = dataclasses.replace(checkpoint, path=spell(checkpoint.path))
    return dataclasses.replace(report, outcome=outcome, findings=findings, checkpoint=checkpoint)


def _studied(place: Location, path: str, options: Options) -> Studied:
    """Has a model studied by what it is."""
    if place.form in KERAS_FORMS or place.form is Form.TABLE:
        return _studied_keras(place, path, options)
    source = dataclasses.replace(read_source(place, path), path=path)
    if place.watch is not None:
        check_signatures(source, place.watch)
    copied_whole = place.file if source.kind in TF2 else source.extra_dir
    copied = tuple(find_copied(place, copied_whole, own_boundary(place, path), options.follow_links))
    if source.kind in TF2:
        return Studied(study_tf2(source, copied, options), place)
    report, graph = study_graph(source, copied, options)
    return Studied(report, place, graph)


def _studied_keras(place: Location, path: str, options: Options) -> Studied:
    """Studies a Keras file, or a checkpoint, which may be of Keras' weights."""
    from migrate.model.keras_study import study_keras

    keras = study_keras(place, path, options)
    if keras is not None:
        report, source = keras
        return Studied(report, place, keras=source)
    from migrate.model.checkpoint_study import study_checkpoint

    return Studied(study_checkpoint(place, path), place)


@contextlib.contextmanager
def timed(seconds: dict[str, float], step: str) -> Iterator[None]:
    """Adds the wall time of a block to `seconds`, also when it raises."""
    start = time.perf_counter()
    try:
        yield
    finally:
        seconds[step] = time.perf_counter() - start
