"""The forms in which a command writes its report."""

from __future__ import annotations

from migrate.records import (
    Convertible,
    Refused,
)
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
