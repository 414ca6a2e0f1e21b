"""journal.py: what was told is on the disk, and whatever is on the disk can be read."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time

import pytest

from migrate.codec import decode, encode
from migrate.errors import InputError
from migrate.fleet.journal import Entry, open_journal, read_journal, reports, settings
from migrate.records import Converted, Crashed, Kind, ModelReport, Options, Refused
from tests.report.reports import MODELS


def _entry(name, outcome=None):
    return Entry(name, "source", "settings", ModelReport(name, None, Kind.TF1_SAVED_MODEL, outcome or Converted()))


@pytest.mark.parametrize("report", MODELS, ids=lambda report: report.source)
def test_a_report_comes_back_whole(report):
    back = decode(ModelReport, json.loads(json.dumps(encode(report))))
    assert json.dumps(encode(back)) == json.dumps(encode(report))  # A NaN is not equal to itself.
    assert type(back.outcome) is type(report.outcome)


def test_the_last_line_about_a_model_counts(tmp_path):
    with open_journal(str(tmp_path)) as journal:
        journal.add(_entry("a", Refused()))
        journal.add(_entry("b"))
        journal.add(_entry("a"))
    again = read_journal(str(tmp_path))
    assert again.get("a") == _entry("a")
    assert [r.source for r in reports(str(tmp_path))] == ["a", "b"]
    assert again.get("c") is None


def test_a_line_is_on_the_disk_before_add_returns(tmp_path, monkeypatch):
    flushed = []
    monkeypatch.setattr(os, "fsync", lambda handle: flushed.append(os.fstat(handle).st_size))
    with open_journal(str(tmp_path)) as journal:
        flushed.clear()
        journal.add(_entry("a"))
        assert flushed == [os.stat(tmp_path / ".migrate" / "journal.jsonl").st_size]
        assert flushed[0] > 0


def test_wherever_it_is_cut_what_stands_before_is_read_and_writing_goes_on(tmp_path):
    with open_journal(str(tmp_path)) as journal:
        for name in "abc":
            journal.add(_entry(name))
    file = tmp_path / ".migrate" / "journal.jsonl"
    whole = file.read_bytes()
    line = len(whole) // 3
    for cut in range(0, len(whole) + 1, 7):
        file.write_bytes(whole[:cut])
        with open_journal(str(tmp_path)) as journal:
            assert [name for name in "abc" if journal.get(name)] == list("abc"[: cut // line])
            assert journal.damaged == 0
            journal.add(_entry("d"))
        assert read_journal(str(tmp_path)).get("d") == _entry("d")
        assert read_journal(str(tmp_path)).damaged == 0


@pytest.mark.parametrize(
    "damage", [b"\0" * 40, b"[]", b"{}", b'{"schema_version": 2}', b"\xff\xfe", b"[" * 100000, b"1"]
)
def test_a_damaged_line_costs_its_model_alone(damage, tmp_path):
    with open_journal(str(tmp_path)) as journal:
        journal.add(_entry("a"))
        journal.add(_entry("b"))
    file = tmp_path / ".migrate" / "journal.jsonl"
    first, second = file.read_bytes().splitlines()
    file.write_bytes(b"\n".join([damage, second]) + b"\n")
    journal = read_journal(str(tmp_path))
    assert (journal.get("a"), journal.get("b"), journal.damaged) == (None, _entry("b"), 1)
    assert first


def test_a_journal_of_another_schema_is_not_taken_for_ours(tmp_path):
    (tmp_path / ".migrate").mkdir()
    (tmp_path / ".migrate" / "journal.jsonl").write_text('{"schema_version": 2, "name": "a"}\n')
    assert read_journal(str(tmp_path)).get("a") is None


_HOLD = """
import sys
from migrate.fleet.journal import open_journal
from tests.waiting import hang
with open_journal(sys.argv[1]):
    print("held", flush=True)
    hang()
"""


def test_one_run_a_tree_and_a_killed_one_holds_nothing(tmp_path):
    with subprocess.Popen([sys.executable, "-c", _HOLD, str(tmp_path)], stdout=subprocess.PIPE) as holder:
        assert holder.stdout.readline() == b"held\n"
        with (
            pytest.raises(InputError, match=rf"another run is writing to it \(process {holder.pid} on "),
            open_journal(str(tmp_path)),
        ):
            pass
        read_journal(str(tmp_path))
        holder.kill()
    with open_journal(str(tmp_path)):
        pass


def test_a_full_disk_is_told_and_leaves_no_half_line(tmp_path, monkeypatch):
    with open_journal(str(tmp_path)) as journal:
        journal.add(_entry("a"))
        write = os.write

        def full(handle, data):
            if len(data) < 50:
                raise OSError(28, "No space left on device")
            return write(handle, data[: len(data) // 2])

        monkeypatch.setattr(os, "write", full)
        with pytest.raises(InputError, match="No space left on device"):
            journal.add(_entry("b"))
        monkeypatch.undo()
        journal.add(_entry("c"))
    again = read_journal(str(tmp_path))
    assert (again.get("a"), again.get("b"), again.get("c")) == (_entry("a"), None, _entry("c"))


def test_what_shapes_a_model_is_in_the_settings_and_nothing_else(tmp_path):
    calls = tmp_path / "calls.json"
    calls.write_text("[]")
    base = settings(Options())
    for same in ({"jobs": 3}, {"timeout": 1.0}, {"overwrite": True}, {"fail_fast": True}, {"include": ("a",)}):
        assert settings(Options(**same)) == base
    others = [{"verify": False}, {"tags": frozenset({"a"})}, {"max_ulps": 1}, {"checkpoint": "copy"}]
    architecture = tmp_path / "model.json"
    architecture.write_text("{}")
    others += [{"inputs": str(calls)}, {"architecture": str(architecture)}]
    seen = {settings(Options(**other)) for other in others}
    calls.write_text("[1]")
    seen.add(settings(Options(inputs=str(calls))))
    architecture.write_text("[]")
    seen.add(settings(Options(architecture=str(architecture))))
    assert len(seen | {base}) == 9


def test_what_may_fare_better_is_not_final():
    assert _entry("a", Refused()).is_final
    assert not _entry("a", Crashed("golden", -9, "")).is_final


def test_the_clock_is_not_asked(tmp_path, monkeypatch):
    """Lines count by their order alone."""
    with open_journal(str(tmp_path)) as journal:
        journal.add(_entry("a", Refused()))
        monkeypatch.setattr(time, "time", lambda: 0.0)
        journal.add(_entry("a"))
    os.utime(tmp_path / ".migrate" / "journal.jsonl", (0, 0))
    assert read_journal(str(tmp_path)).get("a") == _entry("a")
