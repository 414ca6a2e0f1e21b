"""run.py: many models, what is done again and what is not, and whose the things at a destination are."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil

import pytest

import migrate
from migrate.events import Began, Finished
from migrate.fleet import journal
from migrate.fleet.journal import open_journal, read_journal
from migrate.records import Failed, Options
from tests.conversions import migrate_command
from tests.fleet.trees import UNVERIFIED, Listener, content, convert, make

pytestmark = pytest.mark.tensorflow

_TREE = ("a/1=simple_save", "a/2=simple_save", "b/1=vocabulary", "c=tf2", "d=unknown_op")


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    """A tree that was converted once, and how that ended; tests work on copies."""
    work = tmp_path_factory.mktemp("done")
    listener = Listener()
    return work, convert(make(work / "tree", _TREE), work / "new", progress=listener), listener


@pytest.fixture
def again(done, tmp_path):
    """Copies of the tree and of the new tree, under the same paths as ever: gives a function that converts them."""
    work, _, _ = done
    for name in ("tree", "new"):
        shutil.copytree(work / name, tmp_path / name, symlinks=True)
    return tmp_path / "tree", tmp_path / "new"


def test_each_model_once_and_the_same_bytes_once(done):
    work, outcomes, _ = done
    assert sorted(outcomes) == ["a/1", "a/2", "b/1", "c", "d"]
    assert sorted([outcomes["a/1"], outcomes["a/2"]]) == ["converted", "converted copy"]
    assert {n: outcomes[n] for n in ("b/1", "c", "d")} == {"b/1": "converted", "c": "unchanged", "d": "refused"}
    assert sorted(os.listdir(work / "new")) == [".migrate", "a", "b", "c"]
    for version in "12":
        provenance = json.loads((work / "new" / "a" / version / "assets.extra" / "migration.json").read_text())
        assert provenance["source"]["path"] == str(work / "tree" / "a" / version)


def test_what_is_told_on_the_way(done):
    _, _, events = done
    assert events[0] == Began(5, 2)
    finished = [event for event in events if isinstance(event, Finished)]
    assert [event.done for event in finished] == [1, 2, 3, 4, 5]
    assert {event.worker for event in events if not isinstance(event, Began)} <= {0, 1}


def test_a_model_is_in_the_journal_before_it_is_told(tmp_path):
    tree, new = make(tmp_path / "tree", ["a=unknown_op", "b=tf2"]), tmp_path / "new"
    known = []

    def look(event):
        if isinstance(event, Finished):
            name = os.path.relpath(event.report.source, tree)
            known.append(read_journal(str(new)).get(name).report == event.report)

    convert(tree, new, progress=Listener(look))
    assert known == [True, True]


def test_the_same_command_again_does_nothing(again):
    tree, new = again
    before = content(new)
    outcomes = convert(tree, new)
    assert all("skipped" in outcome for outcome in outcomes.values()), outcomes
    assert content(new) == before


def test_times_that_run_backwards_are_no_change(again):
    tree, new = again
    for path in (*tree.rglob("*"), *new.rglob("*")):
        os.utime(path, (4e9, 4e9) if path.name < "s" else (0, 0))
    assert all("skipped" in outcome for outcome in convert(tree, new).values())


def test_only_what_is_missing_or_changed_is_done_again(again):
    tree, new = again
    (tree / "b" / "1" / "assets" / "vocab.txt").write_text("x\ny\nz\n")
    shutil.rmtree(new / "c")
    outcomes = convert(tree, new)
    assert {n: o for n, o in outcomes.items() if "skipped" not in o} == {"b/1": "converted", "c": "unchanged"}
    assert any(p.read_text() == "x\ny\nz\n" for p in (new / "b" / "1" / "assets").rglob("vocab.txt*"))
    assert all("skipped" in outcome for outcome in convert(tree, new).values())


def test_other_options_do_all_again_and_replace_what_is_ours(again):
    tree, new = again
    outcomes = convert(tree, new, dataclasses.replace(UNVERIFIED, checkpoint="copy"))
    assert not [outcome for outcome in outcomes.values() if "skipped" in outcome or "failed" in outcome], outcomes


def test_another_version_of_the_tool_does_again_in_place_what_was_not_verified(again, monkeypatch):
    tree, new = again
    before = _but_provenance(new)
    versions = {**journal.tool(), "version": "another"}
    monkeypatch.setattr(journal, "tool", lambda: versions)
    outcomes = convert(tree, new)
    assert {n: o for n, o in outcomes.items() if "skipped" in o or "failed" in o} == {"c": "unchanged skipped"}
    assert _but_provenance(new) == before
    assert all("skipped" in outcome for outcome in convert(tree, new).values())
    monkeypatch.undo()
    assert [name for name, outcome in convert(tree, new).items() if "skipped" in outcome] == ["c"]


def _but_provenance(new):
    """The new tree's content, but for the source's path, which the copies that `again` makes do not share."""
    return {name: digest for name, digest in content(new).items() if not name.endswith("migration.json")}


def test_of_two_with_the_same_bytes_only_what_has_changed_is_done_again(again):
    tree, new = again
    shutil.rmtree(new / "a" / "2")
    # With two workers the second may be looked at before the first, and is then converted on its own.
    outcomes = convert(tree, new, dataclasses.replace(UNVERIFIED, jobs=1))
    assert {n: o for n, o in outcomes.items() if "skipped" not in o} == {"a/2": "converted copy"}
    (tree / "a" / "1" / "assets.extra").mkdir()
    (tree / "a" / "1" / "assets.extra" / "note").write_text("of the first alone")
    outcomes = convert(tree, new)
    assert {n: o for n, o in outcomes.items() if "skipped" not in o} == {"a/1": "converted"}
    assert (new / "a" / "1" / "assets.extra" / "note").is_file()
    assert not (new / "a" / "2" / "assets.extra" / "note").exists()
    assert all("skipped" in outcome for outcome in convert(tree, new).values())


@pytest.mark.parametrize("name", ["a/1", "c"])
def test_what_somebody_has_changed_is_not_ours_to_replace(name, again):
    tree, new = again
    with open(new / name / "saved_model.pb", "ab") as file:
        file.write(b" ")
    before = content(new)
    (tree / name / "assets").mkdir(exist_ok=True)
    (tree / name / "assets" / "more").write_text("more")
    report = migrate.convert(str(tree), str(new), UNVERIFIED)
    (model,) = [m for m in report.models if not m.skipped]
    assert isinstance(model.outcome, Failed) and "--overwrite" in model.outcome.reason
    assert content(new) == before
    outcomes = convert(tree, new, dataclasses.replace(UNVERIFIED, overwrite=True))
    assert outcomes[name] in ("converted", "unchanged")


def test_without_its_journal_a_tree_is_converted_again_in_place(done, tmp_path):
    """What a run leaves that was killed between the renaming and the line in the journal."""
    work = tmp_path
    tree, new = make(work / "tree", ["a=simple_save", "c=tf2"]), work / "new"
    convert(tree, new)
    before = content(new)
    shutil.rmtree(new / ".migrate")
    assert convert(tree, new) == {"a": "converted", "c": "unchanged"}
    assert content(new) == before


def test_a_second_run_at_the_same_time_says_so_and_stops(again):
    tree, new = again
    with open_journal(str(new)):
        run = migrate_command("convert", tree, new)
    assert (run.returncode, run.stdout) == (2, "")
    assert "another run is writing to it" in run.stderr
    assert run.stderr.count("\n") == 1


def test_fail_fast_starts_no_more(tmp_path):
    tree = make(tmp_path / "tree", ["a=unknown_op", "b=tf2", "c=simple_save"])
    run = migrate_command("convert", tree, tmp_path / "new", "--fail_fast", "--jobs=1", "--format=json")
    report = json.loads(run.stdout)
    assert run.returncode == 1
    assert [m["outcome"] for m in report["models"]][:1] == ["refused"]
    assert report["not_started"] == 3 - len(report["models"]) > 0
    assert not (tmp_path / "new" / "c").exists()


def test_a_dry_run_writes_nothing_and_says_what_it_would_do(tmp_path):
    tree = make(tmp_path / "tree", _TREE)
    options = dataclasses.replace(UNVERIFIED, dry_run=True)
    report = migrate.convert(str(tree), str(tmp_path / "new"), options)
    outcomes = {os.path.relpath(m.source, tree): type(m.outcome).__name__ for m in report.models}
    assert outcomes == {
        "a/1": "Convertible",
        "a/2": "Convertible",
        "b/1": "Convertible",
        "c": "AlreadyTF2",
        "d": "Refused",
    }
    assert os.listdir(tmp_path) == ["tree"]
    sizes = {m.source: m.bytes for m in report.models if type(m.outcome).__name__ != "Refused"}
    assert report.space.needed_bytes == sum(sizes.values()) > 20_000
    assert report.space.free_bytes > 0
    assert report.whole_tree
    assert not migrate.convert(tree, tmp_path / "new", dataclasses.replace(options, exclude=("d",))).whole_tree
    run = migrate_command("convert", tree, tmp_path / "new", "--dry_run", "--exclude=d")
    assert run.returncode == 0
    assert "needs about" in run.stdout and "are free" in run.stdout


def test_a_log_has_a_line_a_model(tmp_path):
    tree = make(tmp_path / "tree", ["a=unknown_op", "b=tf2"])
    run = migrate_command("convert", tree, tmp_path / "new", "--jobs=1")
    lines = run.stderr.splitlines()
    assert lines[0].startswith(f"[1/2] refused: {tree / 'a'} (") and lines[1].startswith("[2/2] unchanged: ")
    assert "[1/2]" not in run.stdout
    # With one worker, as above: of two, either may be the first to report.
    assert migrate_command("convert", tree, tmp_path / "new", "--jobs=1").stderr.splitlines()[0] == (
        f"[1/2] refused before, skipped: {tree / 'a'}"
    )


def test_the_default_is_a_worker_a_core():
    assert Options().jobs is None
