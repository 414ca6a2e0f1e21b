"""The forms in which a command writes its report."""

from __future__ import annotations

import pytest

from migrate.cli.reporting import check_security_form, put_report
from migrate.errors import UsageError
from migrate.records import (
    Convertible,
    Refused,
)
from migrate.report.formats import SHOWN, format_of
from migrate.report.json import to_document
from tests.cli.fake_api import report, run


def test_quiet_tells_what_is_not_good_and_nothing_else(calls, capsys, tmp_path):
    assert run(f"audit model -q --report={tmp_path}") == 0
    assert capsys.readouterr() == ("", "")
    calls.answer = report(Refused(), Convertible())
    assert run("audit model --quiet") == 1
    out, err = capsys.readouterr()
    assert out.startswith("model: refused") and out.count("model:") == 1
    assert err == ""
    assert run("audit model --quiet --format=jsonl") == 1
    assert len(capsys.readouterr().out.splitlines()) == 2


@pytest.mark.parametrize("form", ["text", *(row.name for row in SHOWN)])
def test_a_form_is_written_whole_and_the_code_says_whether_all_are_good(form, capsys):
    assert put_report(report(Convertible()), form, quiet=False) == 0
    capsys.readouterr()
    shown = report(Convertible(), Refused())
    assert put_report(shown, form, quiet=False) == 1
    out = capsys.readouterr().out
    assert ("blocked" if form == "markdown" else "refused") in out
    assert form == "text" or out == format_of(form).write(to_document(shown))


@pytest.mark.parametrize("row", SHOWN, ids=lambda row: row.name)
def test_a_form_without_security_is_said(row):
    if row.security is not None:
        check_security_form(row.name)
    else:
        with pytest.raises(UsageError, match=f"not as {row.name}"):
            check_security_form(row.name)
