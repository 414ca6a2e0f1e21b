"""`migrate.toml` on the command line."""

from __future__ import annotations

import pytest

from migrate import api
from migrate.cli.command_line import parse
from migrate.cli.config import check_written
from migrate.cli.verbs import find_verb
from migrate.config import COMMAND_LINE, Origin
from migrate.errors import InputError, UsageError
from migrate.events import Began
from migrate.fleet.model_options import Decision
from migrate.records import Options
from tests.cli.fake_api import run


@pytest.fixture
def asked(monkeypatch):
    found = []

    def options_of_models(models, options, journal):
        found.append((models, options.max_ulps, journal))
        return (Decision(options, None, (Origin("max_ulps", 2, COMMAND_LINE, ""),), models),)

    monkeypatch.setattr(api, "options_of_models", options_of_models)
    return found


@pytest.mark.parametrize(("line", "journal"), [("config m --max_ulps=2", None), ("config m new --max_ulps=2", "new")])
def test_the_options_of_each_model_are_shown(line, journal, asked, capsys):
    assert run(line) == 0
    assert asked == [("m", 2, journal)]
    assert capsys.readouterr() == ("m\n  command line, max_ulps:\n    --max_ulps=2\n", "")


def test_three_trees_are_too_many(asked, capsys):
    assert run("config a b c") == 2
    assert "config takes MODELS and perhaps NEW, not 'a', 'b', 'c'" in capsys.readouterr().err
    assert not asked


def _audit_flags(*arguments):
    return parse("audit", find_verb("audit").flags, arguments)[0]


def test_what_is_wrong_with_the_file_to_write_is_said_before_the_work(tmp_path):
    file = tmp_path / "migrate.toml"
    values = _audit_flags(f"--write_config={file}")
    check_written(["m"], values)  # It is not there yet.
    with pytest.raises(UsageError, match="for models on this machine"):
        check_written(["gs://bucket/m"], values)
    file.write_text("no TOML")
    with pytest.raises(InputError):
        check_written(["m"], values)
    check_written(["gs://bucket/m"], _audit_flags())


def test_a_config_beside_the_models_is_mentioned_once_it_is_not_named(tmp_path, calls, capsys):
    (tmp_path / "migrate.toml").write_text("")
    assert run(f"audit {tmp_path}") == 0
    assert f"{tmp_path}/migrate.toml is not read; --config={tmp_path}/migrate.toml reads it" in capsys.readouterr().err
    assert run(f"audit {tmp_path} --config={tmp_path}/migrate.toml") == 0
    assert "is not read" not in capsys.readouterr().err
    assert calls[0][2]["options"] == Options()


@pytest.mark.parametrize("flags", ["--config=nope.toml", "--write_config={}/other.toml"])
def test_a_config_beside_the_models_is_not_mentioned_where_another_one_is_named(flags, tmp_path, calls, capsys):
    (tmp_path / "migrate.toml").write_text("")
    run(f"audit {tmp_path} {flags.format(tmp_path)}")
    assert "is not read" not in capsys.readouterr().err


@pytest.mark.parametrize("line", ["audit {}", "convert {} new", "validate new --against={}", "config {}"])
def test_before_an_error_no_config_is_mentioned(line, tmp_path, calls, monkeypatch, capsys):
    (tmp_path / "migrate.toml").write_text("")
    monkeypatch.chdir(tmp_path)
    calls.answer = InputError("there is no such model")
    assert run(line.format("mistyped")) == 2
    err = capsys.readouterr().err
    assert len(err.splitlines()) == 1 and "is not read" not in err


def test_a_config_is_mentioned_when_models_are_read_and_once(tmp_path, calls, monkeypatch, capsys):
    (tmp_path / "migrate.toml").write_text("")

    def reads(*_, progress, **__):
        assert "is not read" not in capsys.readouterr().err
        progress(Began(1, 1))
        assert capsys.readouterr().err.count("is not read") == 1
        return calls.answer

    monkeypatch.setattr(api, "audit", reads)
    for quiet in ("", " -q"):
        assert run(f"audit {tmp_path}{quiet}") == 0
        assert "is not read" not in capsys.readouterr().err
