"""One table of the formats of a report: what help offers, what is written and what it is made by."""

from __future__ import annotations

import pytest

import migrate
from migrate.cli.flags import REPORTING
from migrate.cli.reporting import check_security_form
from migrate.errors import UsageError
from migrate.report.files import write_files
from migrate.report.formats import FORMATS, SHOWN, WRITTEN
from migrate.report.json import to_document
from tests.report.reports import MODELS

DOCUMENT = to_document(migrate.Report(MODELS))


def test_names_and_files_are_there_once():
    assert len({row.name for row in FORMATS}) == len(FORMATS)
    assert len({row.file for row in WRITTEN}) == len(WRITTEN)
    assert all(row.says or row.file for row in FORMATS)


def test_the_flag_offers_what_the_table_has():
    (flag,) = (flag for flag in REPORTING if flag.name == "format")
    assert flag.choices == ("text", *(row.name for row in SHOWN))
    assert all(f"{row.name} {row.says}" in flag.help for row in SHOWN)


@pytest.mark.parametrize("row", FORMATS, ids=lambda row: row.name)
def test_every_format_is_made_of_the_document(row, tmp_path):
    shown = row.write(DOCUMENT)
    assert "timed_out" in shown
    if row.file:
        write_files(DOCUMENT, str(tmp_path))
        assert (tmp_path / row.file).read_text(encoding="utf-8") == shown


@pytest.mark.parametrize("row", SHOWN, ids=lambda row: row.name)
def test_security_is_shown_or_refused_at_once(row):
    if row.security is not None:
        check_security_form(row.name)
        assert "timed_out" in row.security(DOCUMENT)
        return
    with pytest.raises(UsageError, match=f"text, json, jsonl or sarif, not as {row.name}"):
        check_security_form(row.name)
