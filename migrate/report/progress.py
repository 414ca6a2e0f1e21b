"""Progress in a log, one line per model."""

from __future__ import annotations

from migrate.events import Event, Finished, Warned
from migrate.records import ModelReport, outcome_name


def line(event: Event) -> str | None:
    """A plain line for a log: one a finished model of many, and each warning; None for all else."""
    if isinstance(event, Warned):
        return f"migrate: {event.text}"
    if not isinstance(event, Finished) or event.models == 1:
        return None
    report = event.report
    width = len(str(event.models))
    return f"[{event.done:{width}}/{event.models}] {_word(report)}: {report.title}{_seconds(report)}"


def _word(report: ModelReport) -> str:
    word = outcome_name(report.outcome).replace("_", " ")
    if report.expected:
        word += " as expected"
    if report.skipped:
        return f"{word} before, skipped"
    return f"{word}, as a copy" if report.duplicate_of else word


def _seconds(report: ModelReport) -> str:
    return f" ({sum(report.seconds.values()):.1f} s)" if report.seconds and not report.skipped else ""
