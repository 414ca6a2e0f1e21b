"""The forms in which a command writes its report to standard output."""

from __future__ import annotations

from migrate.cli.exit_codes import GOOD, NOT_GOOD
from migrate.cli.output import columns, put, wants_color
from migrate.errors import UsageError
from migrate.records import Report
from migrate.report.formats import SHOWN, format_of


def put_report(report: Report, form: str, quiet: bool) -> int:
    """Shows a report; the exit code says whether every model is good."""
    code = GOOD if report.ok else NOT_GOOD
    if form != "text":
        from migrate.report.json import to_document

        return put(format_of(form).write(to_document(report)), code)
    from migrate.report.text import render, render_bad

    if quiet:
        return put(render_bad(report, columns(), color=wants_color()), code)
    return put(render(report, columns(), color=wants_color()), code)


def put_security(report: Report, form: str, quiet: bool) -> int:
    """Shows what `audit --security` has found; the exit code says whether every model is safe to open."""
    from migrate.report.json import to_document
    from migrate.report.security import is_safe, render

    document = to_document(report)
    write = None if form == "text" else format_of(form).security
    if write is not None:
        shown = write(document)
    else:
        shown_models = [model for model in document["models"] if not (quiet and is_safe(model))]
        shown = render({**document, "models": shown_models}, columns(), wants_color())
    return put(shown, GOOD if all(map(is_safe, document["models"])) else NOT_GOOD)


def check_security_form(form: str) -> None:
    """Says at once, and not after the audit, that a form has no place for what `--security` says.

    Raises:
      UsageError: it has none.
    """
    if form != "text" and format_of(form).security is None:
        *names, last = ["text", *(row.name for row in SHOWN if row.security is not None)]
        raise UsageError(f"--security is shown as {', '.join(names)} or {last}, not as {form}")
