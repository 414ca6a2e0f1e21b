"""Whatever befalls a run, a worker or a disk: what was lost is nothing. docs/reliability.md names these tests.

`KILLS=200 pytest tests/product/test_faults.py -k random` (`make kills`) kills that many times.
"""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import json
import os
import pathlib
import random
import shutil
import signal
import subprocess
import sys
import time

import pytest

import migrate
from migrate.events import Step
from migrate.fleet import run
from migrate.records import Converted, Crashed, Failed, Options, TimedOut, Unverified
from tests.conversions import ROOT, migrate_command
from tests.fleet.conftest import one_time  # noqa: F401 (for every test)
from tests.fleet.trees import UNVERIFIED, Listener, content, convert, make
from tests.waiting import wait_until

pytestmark = [pytest.mark.tensorflow, pytest.mark.slow]

KILLS = int(os.environ.get("KILLS", "3"))
VERIFIED = Options(jobs=2)


def _run(tree, new, options=VERIFIED, progress=None):
    """Converts; gives the reports by name, after a look at what must hold whatever happened."""
    report = migrate.convert(str(tree), str(new), options, progress=progress)
    assert not [path for path in new.rglob("*") if ".migrate-" in path.name], "a half-built model was left"
    return {os.path.relpath(model.source, tree): model for model in report.models}


def _children(pid):
    """Process ids of the children that a process's threads have started."""
    found = []
    for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
        with contextlib.suppress(OSError):
            found += [int(child) for child in (task / "children").read_text().split()]
    return found


def _job():
    """Process id of the one job of the server that this process has started, and of its own child or None."""
    for server in _children(os.getpid()):
        with contextlib.suppress(OSError):
            if b"migrate.processes.server" in pathlib.Path(f"/proc/{server}/cmdline").read_bytes():
                for job in _children(server):
                    step = _children(job)
                    return server, job, step[0] if step else None
    return None, None, None


# A worker that dies.


def test_an_abort_inside_tensorflow_costs_that_model(tmp_path):
    # Without the option a model that ends its process is not run.
    allowed = dataclasses.replace(VERIFIED, allow_side_effects=True)
    reports = _run(make(tmp_path / "tree", ["abort", "simple_save"]), tmp_path / "new", allowed)
    outcome = reports["abort"].outcome
    assert isinstance(outcome, Unverified)
    assert "it ends the process (SIGABRT)" in outcome.reason and "aborted on purpose" in outcome.reason
    assert isinstance(reports["simple_save"].outcome, Converted)


def test_an_endless_loop_in_a_model_costs_that_model(tmp_path, monkeypatch):
    tree = make(tmp_path / "tree", ["endless_loop", "simple_save"])
    work = run.work

    def soon(found, options, *rest):
        """The other model may take its time."""
        return work(found, dataclasses.replace(options, timeout=8) if "endless" in found.task.path else options, *rest)

    monkeypatch.setattr(run, "work", soon)
    reports = _run(tree, tmp_path / "new")
    outcome = reports["endless_loop"].outcome
    assert isinstance(outcome, TimedOut) and (outcome.step, outcome.seconds) == ("golden", 8)
    assert isinstance(reports["simple_save"].outcome, Converted)


def test_a_model_that_eats_memory_costs_that_model(tmp_path):
    tree = make(tmp_path / "tree", ["memory", "simple_save"])
    reports = _run(tree, tmp_path / "new", dataclasses.replace(VERIFIED, memory_limit_bytes=1500 << 20))
    outcome = reports["memory"].outcome
    assert isinstance(outcome, Crashed) and (outcome.step, outcome.exit_code) == ("golden", -signal.SIGKILL)
    assert "more than the 1,500 MB that --memory_limit allows" in outcome.stderr_tail
    assert isinstance(reports["simple_save"].outcome, Converted)


@pytest.mark.parametrize(
    ("which", "sent", "step"),
    [
        ("step", signal.SIGSEGV, "golden"),
        ("step", signal.SIGKILL, "golden"),
        ("job", signal.SIGSEGV, "convert"),
        ("job", signal.SIGKILL, "convert"),
    ],
)
def test_a_worker_that_is_killed_costs_its_model(which, sent, step, tmp_path):
    tree = make(tmp_path / "tree", ["endless_loop", "simple_save"])

    def kill(event):
        if isinstance(event, Step) and event.text == "taking golden answers" and "endless" in event.source:
            _, job, child = wait_until(lambda: (found := _job())[2] is not None and found)
            os.kill({"step": child, "job": job}[which], sent)

    reports = _run(tree, tmp_path / "new", dataclasses.replace(VERIFIED, jobs=1), Listener(kill))
    outcome = reports["endless_loop"].outcome
    assert isinstance(outcome, Crashed) and (outcome.step, outcome.exit_code) == (step, -sent), outcome
    assert isinstance(reports["simple_save"].outcome, Converted)


def test_the_server_killed_while_models_are_converted_costs_nothing(tmp_path):
    tree = make(tmp_path / "tree", ["a=simple_save", "b=vocabulary"])
    killed = []

    def kill(event):
        if isinstance(event, Step) and event.text == "converting" and not killed:
            server, _, _ = _job()
            os.kill(server, signal.SIGKILL)
            killed.append(server)

    reports = _run(tree, tmp_path / "new", UNVERIFIED, Listener(kill))
    assert killed
    assert all(isinstance(model.outcome, Converted) for model in reports.values()), reports


# Disks.


@contextlib.contextmanager
def _disk(place, size):
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(place)]
    if shutil.which("mount") is None or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("no disk can be mounted here")
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(place)], check=True)


def test_a_full_disk_costs_the_models_that_do_not_fit_and_room_brings_them(tmp_path):
    tree, disk = (
        make(tmp_path / "tree", ["a=simple_save", "b=vocabulary", "c=estimator_dnn_classifier"]),
        tmp_path / "disk",
    )
    with _disk(disk, "300k"):
        (disk / "ballast").write_bytes(b"x" * 220_000)
        outcomes = convert(tree, disk / "new", dataclasses.replace(UNVERIFIED, jobs=1))
        assert "failed" in outcomes.values()
        assert not [path for path in (disk / "new").rglob("*") if ".migrate-" in path.name]
        (disk / "ballast").unlink()
        again = convert(tree, disk / "new")
        assert {outcome.removesuffix(" skipped") for outcome in again.values()} == {"converted"}, again
        reference = tmp_path / "reference"
        convert(tree, reference)
        assert content(disk / "new") == content(reference)


def test_a_destination_that_is_read_only_is_told_before_anything_is_done(tmp_path):
    tree, disk = make(tmp_path / "tree", ["a=simple_save", "b=tf2"]), tmp_path / "disk"
    with _disk(disk, "1m"):
        subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
        done = migrate_command("convert", tree, disk / "new")
        assert (done.returncode, done.stdout) == (2, "")
        assert str(disk) in done.stderr and done.stderr.count("\n") == 1


# Sources and journals.


def test_a_source_that_changes_while_it_is_converted_is_not_published(tmp_path):
    tree = make(tmp_path / "tree", ["a=vocabulary", "b=simple_save"])

    def change(event):
        if isinstance(event, Step) and event.text == "converting" and event.source.endswith("a"):
            (tree / "a" / "assets" / "vocab.txt").write_text("changed\n")

    reports = _run(tree, tmp_path / "new", UNVERIFIED, Listener(change))
    outcome = reports["a"].outcome
    assert isinstance(outcome, Failed) and "was changed while it was converted" in outcome.reason
    assert not (tmp_path / "new" / "a").exists()
    assert isinstance(reports["b"].outcome, Converted)
    assert convert(tree, tmp_path / "new") == {"a": "converted", "b": "converted skipped"}


@pytest.mark.parametrize("left", [0.3, 0.99])
def test_a_journal_that_was_cut_short_costs_work_and_no_model(left, tmp_path):
    tree, new = make(tmp_path / "tree", ["a=simple_save", "b=vocabulary", "c=tf2"]), tmp_path / "new"
    convert(tree, new)
    before = content(new)
    journal = new / ".migrate" / "journal.jsonl"
    os.truncate(journal, int(journal.stat().st_size * left))
    outcomes = convert(tree, new)
    assert {outcome.removesuffix(" skipped") for outcome in outcomes.values()} <= {"converted", "unchanged"}
    assert content(new) == before
    assert all("skipped" in outcome for outcome in convert(tree, new).values())


def test_no_clock_that_can_be_set_decides_anything():
    """Limits are measured with the monotonic clock, changes are seen in files and not in their times alone.

    `provenance` and the journal's entries (`memory`, `validation`) note when something was done, and `status` shows how
    long ago that is; nothing is decided by it.
    """
    noting = {"export/provenance.py", "fleet/memory.py", "fleet/validation.py", "report/status.py"}
    for file in {*(ROOT / "migrate").rglob("*.py")} - {ROOT / "migrate" / name for name in noting}:
        text = file.read_text(encoding="utf-8")
        assert "time.time(" not in text and "datetime" not in text, file


# Kills of the whole run.

_TREE = ("a/1=simple_save", "a/2=simple_save", "b/1=vocabulary", "c=tf2", "d=unknown_op", "e=partitioned", "f=cond")


_KILLS_A_TREE = 8
"""After so many a tree is brought to its end and compared, and the next one begun."""


@pytest.mark.timeout(300 + 30 * KILLS)
def test_killed_at_random_moments_and_started_again_a_run_ends_as_if_nothing_had_happened(tmp_path):
    tree = make(tmp_path / "tree", _TREE)
    reference = _outcomes(convert(tree, tmp_path / "new"))
    expected = content(tmp_path / "new")
    generator, kills, ends, moments = random.Random(20261120), 0, 0, collections.Counter()
    while kills < KILLS:
        shutil.rmtree(tmp_path / "new", ignore_errors=True)
        for _ in range(min(_KILLS_A_TREE, KILLS - kills)):
            if not _killed(tree, tmp_path / "new", generator):
                break  # It had come to its end.
            kills += 1
            moments.update(_moment(tmp_path / "new", len(_TREE)))
            _assert_whole(tmp_path / "new", expected)
        assert _outcomes(convert(tree, tmp_path / "new")) == reference
        assert content(tmp_path / "new") == expected
        ends += 1
    print(f"{kills} kills, {ends} trees brought to their end, nothing lost; {dict(sorted(moments.items()))}")
    if KILLS >= 50:
        assert min(moments[where] for where in _MOMENTS) > 0, "too few moments of a run were met"


_MOMENTS = ("no model done", "some models done", "a model half built", "a model without its line")
"""Among many kills each of these must be, or nothing was tested. Others are counted where they come."""


def _moment(new, models):
    """Where a run was when it was killed, as it can be seen from what is there."""
    known, half = _known(new)
    yield "no model done" if not known else "all models done" if len(known) == models else "some models done"
    if half:
        yield "a line half written"
    if any(".migrate-" in path.name for path in new.rglob("*") if path.name != ".migrate"):
        yield "a model half built"
    standing = {str(p.parent.relative_to(new)) for p in new.rglob("saved_model.pb") if ".migrate-" not in str(p)}
    if standing - known:
        yield "a model without its line"


def _known(new):
    """The models that the journal knows, and what stands after its last whole line."""
    journal = new / ".migrate" / "journal.jsonl"
    *lines, half = journal.read_bytes().split(b"\n") if journal.exists() else [b""]
    return {json.loads(line)["name"] for line in lines}, half


def _outcomes(outcomes):
    return {name: outcome.split()[0] for name, outcome in outcomes.items()}


def _killed(tree, new, generator):
    """Whether a run was killed before it ended, after a random number of changes in the new tree and a moment more.

    Changes, not seconds: on a busy machine most seconds pass before anything is written. A model makes some ten;
    one run in five is killed before many of them.
    """
    missing = len(_TREE) - len(_known(new)[0])
    most = 12 if generator.random() < 0.2 else 10 * missing
    changes, moment = generator.randrange(most + 1), generator.uniform(0, 0.05)
    command = [sys.executable, "-m", "migrate", "convert", str(tree), str(new), "--noverify", "--jobs=2"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as run:
        seen = _names(new)
        while changes and run.poll() is None:
            names = _names(new)
            changes -= names != seen
            seen = names
            time.sleep(0.002)
        time.sleep(moment)
        if run.poll() is not None:
            return False
        run.kill()
    return True


def _names(new):
    """What is there, and how long the journal is."""
    journal = new / ".migrate" / "journal.jsonl"
    size = journal.stat().st_size if journal.exists() else 0
    return size, frozenset(os.path.join(folder, name) for folder, _, files in os.walk(new) for name in (*files, ""))


def _assert_whole(new, expected):
    """Every model that has a name of its own has all its files, whatever the moment."""
    models = {name.rsplit("/", 1)[0] for name in expected if name.endswith("saved_model.pb")}
    for model in models:
        if (new / model).exists():
            files = {n for n in expected if n.startswith(model + "/") and not n.endswith("/")}
            missing = {name for name in files if not (new / name).exists()}
            assert not missing, f"{model} is half there: {missing}"
