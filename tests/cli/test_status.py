"""`migrate status TREE`."""

from __future__ import annotations

import json

import pytest

from migrate.fleet.journal import Entry, open_journal
from migrate.records import Kind, ModelReport, Refused
from tests.cli.fake_api import run


@pytest.fixture
def tree(tmp_path):
    with open_journal(str(tmp_path)) as journal:
        journal.add(Entry("m", None, "settings", ModelReport("gone", None, Kind.FROZEN_GRAPH, Refused())))
    return tmp_path


def test_a_model_that_is_not_good_is_told_by_text_and_code(tree, capsys):
    assert run(f"status {tree}") == 1
    out, err = capsys.readouterr()
    assert out.startswith(f"{tree}: 1 model in the journal") and "refused" in out and err == ""


def test_json(tree, capsys):
    assert run(f"status {tree} --format=json") == 1
    document = json.loads(capsys.readouterr().out)
    assert [model["outcome"] for model in document["models"]] == ["refused"]


def test_a_damaged_journal_is_told_beside_the_report(tree, capsys):
    with open(tree / ".migrate" / "journal.jsonl", "a") as file:
        file.write("no JSON\n")
    assert run(f"status {tree} --format=json") == 1
    out, err = capsys.readouterr()
    assert json.loads(out) and err.startswith("migrate: ") and err.count("\n") == 1


def test_a_tree_without_a_journal_is_wrong_use(tmp_path, capsys):
    assert run(f"status {tmp_path}") == 2
    assert "has no journal" in capsys.readouterr().err
