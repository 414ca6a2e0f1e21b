"""All formats of a report that are made of the JSON document, one row for each.

The text for a terminal is not among them: it is made of the records, for the width and colours of a terminal.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from migrate.frozen import frozen

_Write = Callable[[Mapping[str, Any]], str]


@frozen
class Format:
    """All that is known of a format.

    Attributes:
      name: value of `--format`.
      write: makes the text of the JSON document.
      says: what `--help` says of it after its name; empty for one that `--format` does not offer.
      file: name of the file that `--report` writes, or empty.
      is_for_people: whether that file is for people rather than for programs.
      security: makes the text that `--security` shows, or None where the format has no place for it.
    """

    name: str
    write: _Write
    says: str = ""
    file: str = ""
    is_for_people: bool = False
    security: _Write | None = None


# The writers are imported where they are used: a command needs one of them, and help none.


def _json(document: Mapping[str, Any]) -> str:
    from migrate.report.json import dumps

    return dumps(dict(document))


def _json_of_security(document: Mapping[str, Any]) -> str:
    from migrate.report.security import security_document

    return _json(security_document(dict(document)))


def _jsonl(document: Mapping[str, Any]) -> str:
    from migrate.report.rows import to_jsonl

    return to_jsonl(document)


def _jsonl_of_security(document: Mapping[str, Any]) -> str:
    from migrate.report.security import security_document

    return _jsonl(security_document(dict(document)))


def _csv(document: Mapping[str, Any]) -> str:
    from migrate.report.rows import to_csv

    return to_csv(document)


def _markdown(document: Mapping[str, Any]) -> str:
    from migrate.report.rows import to_markdown

    return to_markdown(document)


def _junit(document: Mapping[str, Any]) -> str:
    from migrate.report.junit import to_junit

    return to_junit(document)


def _sarif(document: Mapping[str, Any]) -> str:
    from migrate.report.sarif import to_sarif

    return to_sarif(document)


def _sarif_of_security(document: Mapping[str, Any]) -> str:
    from migrate.report.sarif import to_sarif

    return to_sarif(document, security_only=True)


def _html(document: Mapping[str, Any]) -> str:
    from migrate.report.html import to_html

    return to_html(document)


FORMATS: tuple[Format, ...] = (
    Format("json", _json, "has everything", "report.json", security=_json_of_security),
    Format("jsonl", _jsonl, "one model per line", security=_jsonl_of_security),
    Format("csv", _csv, "one row per model"),
    Format("markdown", _markdown, "a table for comments"),
    Format("junit", _junit, file="junit.xml"),
    Format("sarif", _sarif, "the findings for code scanning", "report.sarif", security=_sarif_of_security),
    Format("html", _html, file="report.html", is_for_people=True),
)
"""In the order of help, and in which files are written: report.json is first, the others can be made again of it."""

_BY_NAME = {row.name: row for row in FORMATS}
SHOWN = tuple(row for row in FORMATS if row.says)
"""Those that `--format` offers beside text."""
WRITTEN = tuple(row for row in FORMATS if row.file)
"""Those that `--report` writes."""


def format_of(name: str) -> Format:
    """All that is known of a format.

    Raises:
      KeyError: no format has this name.

    Example:
      >>> format_of("junit").file
      'junit.xml'
    """
    return _BY_NAME[name]
