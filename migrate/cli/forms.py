"""The forms in which a command writes its report to standard output."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from migrate.cli.exit_codes import GOOD, NOT_GOOD
from migrate.cli.output import columns, put, wants_color
from migrate.errors import UsageError
from migrate.records import Report


def put_report(report: Report, form: str, quiet: bool) -> int:
    """Shows a report; the exit code says whether every model is good."""
    code = GOOD if report.ok else NOT_GOOD
    if form != "text":
        return put(_SHOWN[form](report), code)
    from migrate.report.text import render, render_bad

    if quiet:
        return put(render_bad(report, columns(), color=wants_color()), code)
    return put(render(report, columns(), color=wants_color()), code)


def _json(report: Report) -> str:
    from migrate.report.json import to_json

    return to_json(report)


def _sarif(report: Report) -> str:
    from migrate.report.json import to_document
    from migrate.report.sarif import to_sarif

    return to_sarif(to_document(report))


def _rows(form: str) -> Callable[[Report], str]:
    def shown(report: Report) -> str:
        from migrate.report import rows
        from migrate.report.json import to_document

        write: Callable[[Mapping[str, Any]], str] = getattr(rows, f"to_{form}")
        return write(to_document(report))

    return shown


_SHOWN: Mapping[str, Callable[[Report], str]] = {
    "json": _json,
    "jsonl": _rows("jsonl"),
    "csv": _rows("csv"),
    "markdown": _rows("markdown"),
    "sarif": _sarif,
}


def put_security(report: Report, form: str, quiet: bool) -> int:
    """Shows what `audit --security` has found; the exit code says whether every model is safe to open."""
    from migrate.report.json import dumps, to_document
    from migrate.report.rows import to_jsonl
    from migrate.report.security import is_safe, render, security_document

    document = to_document(report)
    if form == "sarif":
        from migrate.report.sarif import to_sarif

        shown = to_sarif(document, security_only=True)
    elif form == "json":
        shown = dumps(security_document(document))
    elif form == "jsonl":
        shown = to_jsonl(security_document(document))
    else:
        shown_models = [model for model in document["models"] if not (quiet and is_safe(model))]
        shown = render({**document, "models": shown_models}, columns(), wants_color())
    return put(shown, GOOD if all(map(is_safe, document["models"])) else NOT_GOOD)


def check_security_form(form: str) -> None:
    """Says at once, and not after the audit, that a form has no place for what `--security` says.

    Raises:
      UsageError: it has none.
    """
    if form in ("csv", "markdown"):
        raise UsageError(f"--security is shown as text, json, jsonl or sarif, not as {form}")
