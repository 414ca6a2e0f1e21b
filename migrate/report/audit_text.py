"""The report of an audit of many models, for people: what is ready, what a flag makes ready, and what is blocked."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from migrate.config import flags_of, values_of
from migrate.errors import count_words, first_few
from migrate.escapes import visible
from migrate.finding_codes import about, meaning
from migrate.records import ModelReport, Report, Severity, Unreadable, outcome_name
from migrate.report.buckets import Blocked, Buckets, Flagged, buckets, first_code, same_findings
from migrate.report.flags_in_text import labelled
from migrate.report.labels import BLOCKED, BUCKETS, EXPECTED, FLAGGED, READY, short_names
from migrate.report.layout import Block, Indented, Table, Text, text
from migrate.report.layout import render as lay_out
from migrate.report.model_text import STYLES
from migrate.report.text import cells, outdated

_BLANK = text("")
_NARROW = 80
_NODES_SHOWN = 5
_FIRST_COUNTS = ", each model counted by its first finding"


def render_audit(
    report: Report, width: int, color: bool = False, *, summary_only: bool = False, details: bool = False
) -> str:
    """Gives the report of an audit of several models as text.

    Args:
      report: of the audit.
      width: most columns of a line, but for what is to be copied.
      color: whether lines have styles.
      summary_only: leave out the table of models.
      details: show every finding, those that are the same in many models once.
    """
    return lay_out(_blocks(report, width, summary_only, details), max(width, 20), color)


def _blocks(report: Report, width: int, summary_only: bool, details: bool) -> Iterator[Block]:
    names = dict(zip((m.source for m in report.models), short_names([m.source for m in report.models]), strict=True))
    found = buckets(report.models)
    yield from _summary(found, len(report.models), names)
    if not summary_only:
        yield _BLANK
        yield _table(report.models, names, width)
    if details:
        yield from _details(report.models, names)
        yield from _proposals(report.models, names)


# The summary.


def _summary(found: Buckets, models: int, names: dict[str, str]) -> Iterator[Block]:
    flagged = sum(len(group.models) for group in found.flagged)
    blocked = sum(len(group.models) for group in found.blocked)
    counts = {READY: len(found.ready), FLAGGED: flagged, BLOCKED: blocked, EXPECTED: len(found.expected)}
    parts = [f"{count:,} {BUCKETS[name]}" for name, count in counts.items() if count or name != EXPECTED]
    yield text(f"{count_words(models, 'model')}: {', '.join(parts)}", "bold")
    if found.flagged:
        yield _BLANK
        yield text(BUCKETS[FLAGGED], "bold")
        for group in found.flagged:
            yield from _flagged(group)
    if found.blocked:
        yield _BLANK
        several = any(len({f.code for f in model.refusals}) > 1 for case in found.blocked for model in case.models)
        yield Text(((BUCKETS[BLOCKED], "bold"), (_FIRST_COUNTS if several else "", "dim")))
        for case in found.blocked:
            yield from _blocked(case, names)
    unexpected = [(model, said) for model in found.every for said in outdated(model)]
    if unexpected:
        yield _BLANK
        yield text("not as the config expects", "bold")
        for model, said in unexpected:
            yield Indented(Text(((visible(names[model.source]), "bold"), (f": {visible(said)}", ""))))
    if found.flagged or found.blocked:
        yield _BLANK
        yield text(
            "--details shows every finding; --write_config=migrate.toml writes down what each model needs", "dim"
        )


def _flagged(group: Flagged) -> Iterator[Block]:
    yield Indented(text(f"{count_words(len(group.models), 'model')}:"))
    yield text(f"    {' '.join(group.flags)}", wrapped=False)


def _blocked(case: Blocked, names: dict[str, str]) -> Iterator[Block]:
    yield Indented(Text(((f"{count_words(len(case.models), 'model')}: ", ""), (case.code, "bold red"))))
    rows = [(_BLANK, text(meaning(case.code) or "The files are damaged, or are not a model."))]
    told = dict.fromkeys(line for model in case.models if (line := _remedy(model)))
    for label, said in list(told)[:1]:
        rows += [(_BLANK, line) for line in labelled(label, said)]
    if len(told) > 1:
        rows.append((_BLANK, text(f"(for {visible(names[case.models[0].source])}; others differ)", "dim")))
    yield Indented(Table(tuple(rows), fixed=frozenset({0})))


def _remedy(model: ModelReport) -> tuple[str, str] | None:
    """What can be done, or why nothing here can be, with its label."""
    if isinstance(model.outcome, Unreadable):
        return "why", model.outcome.reason
    hint = next((finding.hint for finding in model.refusals), "")
    return ("to do", hint) if hint else None


# The models.


def _table(models: Sequence[ModelReport], names: dict[str, str], width: int) -> Table:
    narrow = width < _NARROW
    heads = ("model", *(() if narrow else ("kind", "TF")), "audit", "sigs", "vars", "first finding")
    rows = [tuple(text(head, "dim") for head in heads)]
    for model in models:
        kind, version, *counts = cells(model)
        wide = () if narrow else (kind, version)
        rows.append((_text(names[model.source]), *wide, _verdict(model), *counts, text(_first(model))))
    last = len(heads) - 1
    # Names and codes are searched for and copied: none is broken, however narrow the terminal.
    return Table(tuple(rows), fixed=frozenset(range(len(heads))), right=frozenset({last - 2, last - 1}))


def _verdict(model: ModelReport) -> Text:
    if model.expected:
        return text("expected", "cyan")
    if model.ok:
        return text("ready", "green")
    return text("flag", "yellow") if model.proposed is not None else text("blocked", "red")


def _is_flagged(model: ModelReport) -> bool:
    return model.proposed is not None and not model.ok


def _first(model: ModelReport) -> str:
    code = first_code(model)
    if code:
        return code
    warnings = (finding.code for finding in model.findings if finding.severity is Severity.WARNING)
    return next(warnings, outcome_name(model.outcome) if not model.ok else "")


# Details.


def _details(models: Sequence[ModelReport], names: dict[str, str]) -> Iterator[Block]:
    for said in same_findings(models):
        finding = said.finding
        severity = finding.severity
        yield _BLANK
        solved = severity is Severity.REFUSAL and all(_is_flagged(model) for model in said.models)
        style = STYLES[Severity.WARNING if solved else severity]
        yield Text(((f"{severity.value} ", style), (finding.code, "bold"), (_in_models(said.models), "")))
        rows = [_text(_shared(finding.message, said.models))]
        if finding.nodes and len(said.models) == 1:
            rows.append(_text(f"{about(finding.code)}: {first_few(finding.nodes, _NODES_SHOWN)}"))
        if finding.hint:
            rows += labelled("hint", finding.hint)
        yield Indented(Table(tuple((row,) for row in rows)))
        for model in said.models:
            yield text(f"    {visible(names[model.source])}", wrapped=False)
    for model in models:
        if isinstance(model.outcome, Unreadable):
            yield _BLANK
            yield Text(((visible(names[model.source]), "bold"), (": cannot be read", "red")))
            yield Indented(_text(model.outcome.reason))


def _shared(message: str, models: Sequence[ModelReport]) -> str:
    """A message about several models, without the name of the one that it was taken from."""
    return message.replace(models[0].source, "MODEL") if len(models) > 1 else message


def _in_models(models: Sequence[ModelReport]) -> str:
    return f" in {count_words(len(models), 'model')}" if len(models) > 1 else ""


def _proposals(models: Sequence[ModelReport], names: dict[str, str]) -> Iterator[Block]:
    """What each model needs, one flag in a line, however long: a line break would be copied with it."""
    for model in models:
        if model.proposed is None or model.ok:
            continue
        yield _BLANK
        yield Text(((visible(names[model.source]), "bold"), (": proposed", "")))
        for key, value in values_of(model.proposed).items():
            for option in flags_of(key, value):
                yield text(f"  {option}", wrapped=False)


def _text(content: str) -> Text:
    return text(visible(content))
