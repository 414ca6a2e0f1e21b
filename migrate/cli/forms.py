"""The forms in which a command writes its report to standard output."""

from __future__ import annotations

from migrate.cli.exit_codes import GOOD, NOT_GOOD
from migrate.cli.output import columns, put, wants_color
from migrate.records import Report


def put_report(report: Report, form: str) -> int:
    """Shows a report; the exit code says whether every model is good."""
    return put(_shown(report, form), GOOD if report.ok else NOT_GOOD)


def _shown(report: Report, form: str) -> str:
    if form == "json":
        from migrate.report.json import to_json

        return to_json(report)
    if form == "sarif":
        from migrate.report.json import to_document
        from migrate.report.sarif import to_sarif

        return to_sarif(to_document(report))
    from migrate.report.text import render

    return render(report, columns(), color=wants_color())


def put_security(report: Report, form: str) -> int:
    """Shows what `audit --security` has found; the exit code says whether every model is safe to open."""
    from migrate.report.json import dumps, to_document
    from migrate.report.security import is_safe, render, security_document

    document = to_document(report)
    if form == "sarif":
        from migrate.report.sarif import to_sarif

        shown = to_sarif(document, security_only=True)
    elif form == "json":
        shown = dumps(security_document(document))
    else:
        shown = render(document, columns(), wants_color())
    return put(shown, GOOD if all(map(is_safe, document["models"])) else NOT_GOOD)
