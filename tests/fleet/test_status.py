"""`migrate status TREE`: what the journal knows, and what has changed since."""

from __future__ import annotations

import dataclasses
import json
import shutil
import time

import pytest

from migrate import cli
from migrate.errors import InputError
from migrate.fleet import run
from migrate.fleet.journal import Entry, open_journal, read_journal
from migrate.fleet.status import read_status
from migrate.model.study import audit_model
from migrate.records import Converted, Kind, ModelReport, Refused, Unchanged
from migrate.report.status import render
from migrate.sources.fingerprint import fingerprint
from tests.fleet import trees


@pytest.fixture
def tree(tmp_path):
    """A tree with a journal on three models, one of which was copied as it is."""
    source = trees.make(tmp_path / "source", ["tf2", "unknown_op", "counter"])
    new = tmp_path / "new"
    shutil.copytree(source / "tf2", new / "tf2")
    outcomes = {"tf2": Unchanged(), "unknown_op": Refused(), "counter": Refused()}
    with open_journal(str(new)) as journal:
        for name, outcome in outcomes.items():
            path = str(source / name)
            report = ModelReport(path, str(new / name), Kind.TF1_SAVED_MODEL, outcome)
            journal.add(Entry(name, fingerprint(path).identity, "settings", report, time=time.time() - 7300))
    return tmp_path


def _changes(tree):
    return {model.name: model.changes for model in read_status(str(tree / "new")).models}


def test_nothing_has_changed(tree):
    assert set(_changes(tree).values()) == {()}
    shown = {model.name: (model.outcome, model.good) for model in read_status(str(tree / "new")).models}
    assert shown == {"tf2": ("unchanged", True), "unknown_op": ("refused", False), "counter": ("refused", False)}


@pytest.mark.parametrize(
    ("change", "name", "said"),
    [
        (lambda t: (t / "source/counter/saved_model.pb").write_bytes(b"x"), "counter", "the source has changed"),
        (lambda t: shutil.rmtree(t / "source/counter"), "counter", "the source is not there"),
        (lambda t: shutil.rmtree(t / "new/tf2"), "tf2", "the new model is not there"),
        (lambda t: (t / "new/tf2/saved_model.pb").write_bytes(b"x"), "tf2", "the new model has changed"),
    ],
)
def test_what_has_changed_is_said_of_the_model(change, name, said, tree):
    change(tree)
    assert {key: value for key, value in _changes(tree).items() if value} == {name: (said,)}


def test_nothing_is_written(tree):
    before = {path: path.stat().st_mtime_ns for path in (tree / "new").rglob("*")}
    read_status(str(tree / "new"))
    assert {path: path.stat().st_mtime_ns for path in (tree / "new").rglob("*")} == before


def test_the_command(tree, capsys):
    assert cli.main(["migrate", "status", str(tree / "new")]) == 1  # Two are refused.
    out, err = capsys.readouterr()
    assert err == ""
    assert "3 models in the journal, the last one done 2 hours ago" in out
    assert "nothing has changed since" in out
    assert cli.main(["migrate", "status", str(tree / "new"), "--format=json"]) == 1
    document = json.loads(capsys.readouterr().out)
    assert [model["name"] for model in document["models"]] == ["counter", "tf2", "unknown_op"]
    with (tree / "new/.migrate/journal.jsonl").open("a") as file:
        file.write("damaged\n")
    assert cli.main(["migrate", "status", str(tree / "new")]) == 1
    assert "1 damaged line;" in capsys.readouterr().err


def test_a_tree_that_is_well_is_told_by_the_exit_code(tree):
    with open_journal(str(tree / "new")) as journal:
        for name in ("unknown_op", "counter"):
            entry = journal.get(name)
            shutil.copytree(tree / "source" / name, tree / "new" / name)
            journal.add(dataclasses.replace(entry, report=dataclasses.replace(entry.report, outcome=Unchanged())))
    assert cli.main(["migrate", "status", str(tree / "new")]) == 0


def test_a_directory_without_a_journal_is_said(tmp_path):
    with pytest.raises(InputError, match="has no journal; pass a tree that migrate convert has written"):
        read_status(str(tmp_path))


def test_journals_that_have_no_times_are_read(tmp_path):
    with open_journal(str(tmp_path)) as journal:
        journal.add(Entry("a", "source", "settings", ModelReport("a", None, Kind.TF1_SAVED_MODEL, Converted())))
    file = tmp_path / ".migrate/journal.jsonl"
    file.write_text(file.read_text().replace(',"time":null', ""))
    assert read_journal(str(tmp_path)).get("a").time is None
    document = {"tree": "t", "models": [{**vars(read_status(str(tmp_path)).models[0])}]}
    assert "1 model in the journal\n" in render(document, 80, False)


class _NoProcess:
    """In the place of the nursery of a run that has nothing to convert."""

    def __init__(self, *_):
        self.start = self.close = lambda: None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass


def test_a_refusal_that_the_config_of_convert_expects_is_no_failure(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(run, "Nursery", _NoProcess)
    monkeypatch.setattr(run, "work", lambda found, options, *_: audit_model(found.task.path, options))
    source, new = trees.make(tmp_path / "source", ["unknown_op", "a/other=unknown_op"]), str(tmp_path / "new")
    config = tmp_path / "migrate.toml"
    config.write_text('[models."*"]\nexpect = "refused: unknown-op"\n')
    convert = ["migrate", "convert", str(source), new]
    status = ["migrate", "status", new]
    for flags, code in (([f"--config={config}"], 0), ([], 1), ([f"--config={config}"], 0)):  # The models are done once.
        assert cli.main([*convert, *flags]) == code
        capsys.readouterr()
        assert cli.main(status) == code
        assert ("2 models: 2 refused, as expected" in capsys.readouterr().out) == (code == 0)
    assert cli.main([*status, "--format=json"]) == 0
    models = json.loads(capsys.readouterr().out)["models"]
    assert {(model["outcome"], model["good"], model["expected"]) for model in models} == {
        ("refused", True, "refused: unknown-op")
    }


@pytest.mark.tensorflow
def test_after_a_conversion(tmp_path):
    source = trees.make(tmp_path / "source", ["counter", "vocabulary"])
    trees.convert(source, tmp_path / "new")
    status = read_status(str(tmp_path / "new"))
    assert status.ok and not any(model.other_version for model in status.models)
    provenance = tmp_path / "new" / "counter" / "assets.extra" / "migration.json"
    content = json.loads(provenance.read_text())
    provenance.write_text(json.dumps({**content, "tool": {**content["tool"], "tensorflow": "2.0.0"}}))
    (tmp_path / "new" / "vocabulary" / "saved_model.pb").write_bytes(b"")
    by_name = {model.name: model for model in read_status(str(tmp_path / "new")).models}
    assert by_name["counter"].other_version and by_name["counter"].changes == ()
    assert by_name["vocabulary"].changes == ("the new model has changed",)
