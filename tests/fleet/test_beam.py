"""beam.py on DirectRunner with processes, on DaskRunner with two workers, and with a remote file system.

Needs Apache Beam (`pip install 'apache-beam[dask]'`, best in an environment of its own, for it holds back protobuf):

    python -m pytest tests/fleet/test_beam.py
"""

from __future__ import annotations

import dataclasses
import os
import pathlib
import shutil

import pytest

import migrate
from migrate.errors import InputError
from migrate.fleet import beam as module
from migrate.records import Options
from tests.conversions import migrate_command
from tests.fleet.trees import content, convert, make, told

pytestmark = [pytest.mark.tensorflow, pytest.mark.timeout(600)]

_TREE = ("a/1=simple_save", "b/1=vocabulary", "c=tf2", "d=unknown_op")
_OUTCOMES = {"a/1": "converted", "b/1": "converted", "c": "unchanged", "d": "refused"}
_LOCAL = Options(verify=False, runner="DirectRunner")


def _told(report, tree):
    return {str(pathlib.Path(m.source).relative_to(tree)): told(m) for m in report.models}


@pytest.fixture
def beam():
    return pytest.importorskip("apache_beam")


@pytest.fixture
def tree(tmp_path):
    return make(tmp_path / "tree", _TREE)


def _on_one_machine(tree, tmp_path):
    convert(tree, tmp_path / "reference")
    return content(tmp_path / "reference")


def test_without_beam_it_says_what_to_install(tree, tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "apache_beam", None)
    with pytest.raises(InputError, match=r"pip install 'tf1-migrate\[beam\]'"):
        migrate.convert(str(tree), str(tmp_path / "new"), _LOCAL)


@pytest.mark.parametrize("options", [{"dry_run": True}, {"fail_fast": True}])
def test_what_is_for_one_machine_is_told(options, tree, tmp_path):
    with pytest.raises(InputError, match="for one machine"):
        migrate.convert(str(tree), str(tmp_path / "new"), dataclasses.replace(_LOCAL, **options))


@pytest.mark.parametrize(
    ("flags", "told"),
    [
        (["--runner=Nonsense"], "Unexpected pipeline runner: Nonsense. Valid values are DataflowRunner, "),
        (["--runner=DirectRunner", "--beam_options=--direct_num_workers=many"], "invalid int value: 'many'"),
        (["--runner=DataflowRunner"], "does not take --runner=DataflowRunner: "),
    ],
)
def test_options_that_beam_does_not_take_are_told_in_a_line(flags, told, beam, tree, tmp_path):
    run = migrate_command("convert", tree, tmp_path / "new", *flags)
    assert (run.returncode, run.stdout) == (2, "")
    last = run.stderr.splitlines()[-1]  # Beam's log may come first.
    assert last.startswith("migrate: Beam does not take --runner=") and told in last, run.stderr
    assert "Traceback" not in run.stderr and "usage" not in run.stderr
    assert not (tmp_path / "new").exists()


def test_two_processes_of_the_direct_runner(beam, tree, tmp_path):
    new = tmp_path / "new"
    flags = ["--runner=DirectRunner", "--beam_options=--direct_running_mode=multi_processing --direct_num_workers=2"]
    run = migrate_command("convert", tree, new, "--noverify", "--format=json", *flags)
    assert run.returncode == 1, run.stderr
    assert content(new) == _on_one_machine(tree, tmp_path)
    # The journal is the same as ever: on one machine there is nothing left to do.
    assert {name: f"{outcome} skipped" for name, outcome in _OUTCOMES.items()} == convert(tree, new)


def test_two_workers_of_the_dask_runner(beam, tree, tmp_path):
    distributed = pytest.importorskip("distributed")
    new = tmp_path / "new"
    with distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster:
        options = dataclasses.replace(
            _LOCAL, runner="DaskRunner", beam_options=(f"--dask_client_address={cluster.scheduler_address}",)
        )
        assert _told(migrate.convert(str(tree), str(new), options), tree) == _OUTCOMES
        again = _told(migrate.convert(str(tree), str(new), options), tree)
    assert again == _OUTCOMES
    assert content(new) == _on_one_machine(tree, tmp_path)


def test_only_what_has_changed_is_done_again(beam, tree, tmp_path):
    new = tmp_path / "new"
    migrate.convert(str(tree), str(new), _LOCAL)
    records = {path: path.stat().st_mtime_ns for path in (new / ".migrate" / "models").iterdir()}
    (tree / "b" / "1" / "assets" / "vocab.txt").write_text("x\ny\n")
    shutil.rmtree(new / "c")
    assert _told(migrate.convert(str(tree), str(new), _LOCAL), tree) == _OUTCOMES
    changed = [path for path, time in records.items() if path.stat().st_mtime_ns != time]
    assert len(changed) == 2
    assert (new / "c" / "saved_model.pb").exists()


@pytest.fixture
def remote(beam, tmp_path):
    """A remote file system, `remote://`, which is a directory here."""
    from apache_beam.io.localfilesystem import LocalFileSystem

    root = tmp_path / "remote"
    root.mkdir()

    def local(path):
        return str(root / path.removeprefix("remote://"))

    class Remote(LocalFileSystem):
        @classmethod
        def scheme(cls):
            return "remote"

        def match(self, patterns, limits=None):
            results = super().match([local(pattern) for pattern in patterns], limits)
            for result in results:
                for metadata in result.metadata_list:
                    metadata.path = "remote://" + os.path.relpath(metadata.path, root)
            return results

        def _path_open(self, path, *arguments, **keywords):
            return super()._path_open(local(path), *arguments, **keywords)

        def create(self, path, *arguments, **keywords):
            os.makedirs(os.path.dirname(local(path)), exist_ok=True)
            return super().create(local(path).replace("remote://", ""), *arguments, **keywords)

        def open(self, path, *arguments, **keywords):
            return LocalFileSystem.open(LocalFileSystem(self._options()), local(path), *arguments, **keywords)

        def exists(self, path):
            return os.path.exists(local(path))

        def delete(self, paths):
            for path in paths:
                os.remove(local(path))

        def _options(self):
            from apache_beam.options.pipeline_options import PipelineOptions

            return PipelineOptions([])

    yield root
    assert Remote.scheme() == "remote"  # Beam finds it as long as it is alive.


def test_a_list_of_models_on_a_remote_file_system(remote, tree, tmp_path):
    shutil.copytree(tree, remote / "old")
    (remote / "list.txt").write_text("".join(f"remote://old/{name}\t{name}\n" for name in _OUTCOMES))
    outcomes = {f"remote://old/{name}": outcome for name, outcome in _OUTCOMES.items()}

    def run():
        report = migrate.convert("remote://list.txt", "remote://new", _LOCAL)
        return {m.source: f"{told(m)} {getattr(m.outcome, 'reason', '')}".strip() for m in report.models}

    assert run() == outcomes
    assert (remote / "new" / "a" / "1" / "saved_model.pb").is_file()
    assert "remote://old/a/1" in (remote / "new" / "a" / "1" / "assets.extra" / "migration.json").read_text()
    records = {path: path.stat().st_mtime_ns for path in (remote / "new" / ".migrate" / "models").iterdir()}
    assert len(records) == 4
    assert run() == outcomes
    assert {path: path.stat().st_mtime_ns for path in records} == records
    # Killed between a model and its record.
    shutil.rmtree(remote / "new" / ".migrate")
    assert run() == outcomes


def test_a_list_that_is_empty_or_missing(beam, tmp_path):
    (tmp_path / "list.txt").write_text("\n")
    with pytest.raises(InputError, match="empty list"):
        migrate.convert(str(tmp_path / "list.txt"), str(tmp_path / "new"), _LOCAL)
    with pytest.raises(InputError, match="cannot be read"):
        migrate.convert(str(tmp_path / "none.txt"), str(tmp_path / "new"), _LOCAL)


def test_names_of_a_list(tmp_path):
    file = tmp_path / "list.txt"
    file.write_text("/data/a/1\ngs://bucket/b/2/\n\ngs://bucket/c\tmine/7\n")
    tasks = module._listed(str(file), "gs://new")
    assert [(t.name, t.path, t.destination) for t in tasks] == [
        ("data/a/1", "/data/a/1", "gs://new/data/a/1"),
        ("bucket/b/2", "gs://bucket/b/2", "gs://new/bucket/b/2"),
        ("mine/7", "gs://bucket/c", "gs://new/mine/7"),
    ]
