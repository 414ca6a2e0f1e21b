"""`migrate runtime`."""

from __future__ import annotations

import json

import pytest

from migrate.errors import InputError
from migrate.tf1_runtime import install, place
from tests.cli.fake_api import run

_RUNTIME = place.Runtime("/cache/tensorflow-1.15.5", "1.15.5", 331 << 20, 28, 1505)


@pytest.fixture(autouse=True)
def _machine(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(place, "reason_against", lambda: None)


@pytest.fixture
def _installed(monkeypatch):
    monkeypatch.setattr(place, "find", lambda: _RUNTIME)


@pytest.mark.parametrize("line", ["runtime", "runtime show"])
def test_nothing_is_there(line, capsys):
    assert run(line) == 1
    assert "is not installed" in capsys.readouterr().out


@pytest.mark.usefixtures("_installed")
def test_what_is_there(capsys):
    assert run("runtime") == 0
    assert capsys.readouterr().out == (
        "TensorFlow 1.15.5 in /cache/tensorflow-1.15.5: 331 MB, 1,505 ops, 28 op libraries\n"
    )
    assert run("runtime --format=json") == 0
    assert json.loads(capsys.readouterr().out)["ops"] == 1505


def test_another_machine(monkeypatch, capsys):
    monkeypatch.setattr(place, "reason_against", lambda: "it is for Linux")
    assert run("runtime") == 1
    assert capsys.readouterr().out == "it is for Linux\n"


@pytest.mark.usefixtures("_installed")
def test_install_is_told_step_by_step(monkeypatch, capsys):
    given = []

    def fake(wheel, say):
        given.append(wheel)
        say("unpacked it")

    monkeypatch.setattr(install, "install", fake)
    assert run("runtime install --from=the.whl") == 0
    assert given == ["the.whl"] and capsys.readouterr().err == "migrate: unpacked it\n"


def test_what_goes_wrong_is_one_line(monkeypatch, capsys):
    def fail(*_):
        raise InputError("no space is left")

    monkeypatch.setattr(install, "install", fail)
    assert run("runtime install") == 2
    assert capsys.readouterr().err == "migrate: no space is left\n"


def test_remove_where_nothing_is(capsys):
    assert run("runtime remove") == 0
    assert "there is no runtime" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("line", "told"),
    [("runtime instal", "install"), ("runtime install now", "'install', 'now'"), ("runtime --from=x", "--from is for")],
)
def test_wrong_use(line, told, capsys):
    assert run(line) == 2
    assert told in capsys.readouterr().err
