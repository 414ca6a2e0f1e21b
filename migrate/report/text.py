"""A report as text, for people: one model in full, or many as a table with the details of what went wrong."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterator

from migrate.errors import count_words
from migrate.escapes import visible
from migrate.records import (
    ModelReport,
    Report,
    Space,
    chosen_meta_graph,
)
from migrate.report.labels import short_names, size_words, tally
from migrate.report.layout import Block, Indented, Table, Text, text
from migrate.report.layout import render as lay_out
from migrate.report.model_text import (
    color_of,
    findings_table,
    headline,
    mismatches,
    model_blocks,
    name_text,
    outcome_words,
    plain_text,
    proposals,
)
from migrate.sources.forms import LABELS

_BLANK = text("")
_NARROW = 80  # below this a table row of a model has no room for its kind and TensorFlow version


def cells(model: ModelReport) -> tuple[Text, Text, Text, Text]:
    """What a table has of a model: its kind, the version that wrote it, and the numbers of signatures and variables."""
    facts, keras = chosen_meta_graph(model), model.keras
    return (
        text(LABELS[model.kind].short),
        plain_text(facts.tf_version if facts else keras.keras_version if keras else ""),
        text(f"{len(facts.signatures):,}" if facts else "1" if keras and keras.signature else ""),
        text(f"{len(facts.variables):,}" if facts else f"{len(keras.variables):,}" if keras else ""),
    )


def render(report: Report, width: int, color: bool = False) -> str:
    """Gives the report as lines of at most `width` columns; without `color` it is plain text."""
    return lay_out(_report(report, width), max(width, 20), color)


def render_bad(report: Report, width: int, color: bool = False) -> str:
    """Gives what is to be said of the models that are not good; nothing where all are."""
    return lay_out((block for model in _bad(report) for block in _trouble(model)), max(width, 20), color)


def _bad(report: Report) -> list[ModelReport]:
    return [model for model in report.models if not model.ok]


def _report(report: Report, width: int) -> Iterator[Block]:
    if len(report.models) == 1:
        yield from model_blocks(report.models[0])
        yield from ((_space(report.space),) if report.space else ())
        return
    yield _overview(report, width)
    for model in _bad(report):
        yield _BLANK
        yield from _trouble(model)
    yield _BLANK
    yield _totals(report)
    if report.space:
        yield _space(report.space)


def _overview(report: Report, width: int) -> Table:
    narrow = width < _NARROW
    names = short_names([model.title for model in report.models])
    if len(set(names)) < len(names):  # One source, converted tag set by tag set.
        tags = [", ".join(sorted(model.meta_graphs[0].tags)) if model.meta_graphs else "" for model in report.models]
        names = [f"{name} {{{tag}}}" for name, tag in zip(names, tags, strict=True)]
    wide_heads = () if narrow else ("kind", "TF")
    heads = ("model", *wide_heads, "outcome", "sigs", "vars", "findings")
    rows = [tuple(text(head, "dim") for head in heads)]
    for name, model in zip(names, report.models, strict=True):
        kind, version, *counts = cells(model)
        wide = () if narrow else (kind, version)
        outcome = text(outcome_words(model), color_of(model, model.ok))
        rows.append((name_text(name), *wide, outcome, *counts, text(f"{len(model.findings):,}")))
    numbers = frozenset(range(len(heads) - 3, len(heads)))
    return Table(tuple(rows), fixed=numbers, right=numbers)


def _counted(model: ModelReport) -> str:
    """The words under which totals count a model: what was done before counts as what is done now."""
    return outcome_words(dataclasses.replace(model, skipped=False)).replace(", verified", " and verified")


def _trouble(model: ModelReport) -> Iterator[Block]:
    """What went wrong with one model of many: its refusals, else all that was found."""
    yield from headline(model)
    shown = model.refusals or model.findings
    if shown:
        yield Indented(findings_table(shown))
    yield from proposals(model)
    if model.verification is not None and model.verification.mismatches:
        yield from mismatches(model.verification)


def _totals(report: Report) -> Text:
    outcomes = Counter(_counted(model) for model in report.models)
    lines = [f"{count_words(len(report.models), 'model')}: {tally(outcomes, '; ')}"]
    way = Counter(code for model in report.models if not model.ok for code in _in_the_way(model))
    if way:
        lines.append(f"blocking findings, by number of models: {tally(dict(way.most_common()), '; ')}")
    skipped = sum(model.skipped for model in report.models)
    if skipped:
        lines.append(f"{skipped:,} skipped: done before, and neither source nor options have changed since")
    for model in report.models:
        lines += [f"{visible(model.source)}: {visible(said)}" for said in outdated(model)]
    old = sum(any(f.code == "made-by-another-version" for f in model.findings) for model in report.models)
    if old:
        lines.append(f"{old:,} made by other versions of migrate or TensorFlow and kept; --reconvert makes them again")
    copies = sum(model.duplicate_of is not None for model in report.models)
    if copies:
        lines.append(f"{count_words(copies, 'duplicate')} of another model's files, which were converted once")
    if report.not_started:
        lines.append(f"{count_words(report.not_started, 'model')} not started, because --fail_fast stops at the first")
    return text("\n".join(lines), "bold")


def outdated(model: ModelReport) -> list[str]:
    """How a model has ended in another way than its config expects."""
    return [finding.message for finding in model.findings if finding.code == "expectation-outdated"]


def _in_the_way(model: ModelReport) -> set[str]:
    """Codes of what one model was refused for: their numbers show what blocks a fleet."""
    return {finding.code for finding in model.refusals}


def _space(space: Space) -> Text:
    style = "red" if space.needed_bytes > space.free_bytes else "bold"
    return text(f"needs about {size_words(space.needed_bytes)}; {size_words(space.free_bytes)} are free", style)
