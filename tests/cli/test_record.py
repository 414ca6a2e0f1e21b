"""`migrate record`, and the flags that take what it writes."""

from __future__ import annotations

import pathlib

import pytest

from migrate import api
from migrate.records import Options
from tests.cli.fake_api import calls, run  # noqa: F401 (a fixture)
from tests.conversions import MODELS, ROOT

_RECORDER = ROOT / "migrate" / "verify" / "legacy_recorder.py"


def test_the_script_is_printed_and_nothing_else(capsys):
    assert run("record --print_script") == 0
    assert capsys.readouterr() == (_RECORDER.read_text(), "")


def test_what_is_to_be_known_goes_to_standard_error(monkeypatch, capsys):
    asked = []

    def record(model, output, options, progress):
        asked.append((model, output, options.inputs, options.timeout))
        progress("a note")
        return ("golden.npz: 2 calls",)

    monkeypatch.setattr(api, "record", record)
    assert run("record m --output=golden.npz --inputs=calls.json --timeout=5") == 0
    assert capsys.readouterr() == ("", "migrate: a note\ngolden.npz: 2 calls\n")
    assert asked == [("m", "golden.npz", "calls.json", 5.0)]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ("record", "record takes a model and --output"),
        ("record m", "record takes a model and --output"),
        ("record --output=g.npz", "record takes a model and --output"),
        ("record m --print_script", "--print_script prints a program for another machine"),
        ("record a b --output=g.npz", "record takes"),
        ("validate new", "validate needs --against=SOURCE or --golden=FILE"),
        ("convert a b --golden=g.npz --max_relative=-1", "expected a number, 0 or more"),
    ],
)
def test_wrong_use(arguments, said, capsys):
    assert run(arguments) == 2
    assert said in capsys.readouterr().err


def test_a_golden_file_that_is_not_there_is_wrong_use(capsys, tmp_path):
    for command in (
        f"convert {MODELS / 'alias'} {tmp_path / 'new'}",
        f"validate {tmp_path} --against={MODELS / 'alias'}",
    ):
        assert run(f"{command} --golden={tmp_path / 'absent.npz'}") == 2
        out, err = capsys.readouterr()
        assert (out, err.count("\n")) == ("", 1) and "no such file; --golden takes" in err


def test_flags_reach_the_options(calls):  # noqa: F811
    run("validate new --golden=g.npz --max_absolute=0.5 --max_relative=0.25")
    run("convert a b --golden=g.npz")
    (_, (candidate,), validated), (_, _, converted) = calls
    assert (candidate, validated["against"]) == ("new", None)
    options = validated["options"]
    assert (options.golden, options.max_absolute, options.max_relative) == ("g.npz", 0.5, 0.25)
    assert converted["options"].golden == "g.npz" and converted["options"].max_relative == Options().max_relative
    assert Options(golden=pathlib.Path("g.npz")).golden == "g.npz"
