"""No file of this program is written or read through a link, and none of its names is waited for when it is a pipe."""

from __future__ import annotations

import errno
import json
import os

import pytest

import migrate
from migrate.errors import InputError
from migrate.export.provenance import sign
from migrate.export.publish import check_destination, publish, staging
from migrate.fleet import journal
from migrate.fleet.existing import is_ours
from migrate.records import ModelReport, Report
from migrate.regular_files import create, open_directory, open_regular, replace
from migrate.report.files import FILES, read_document, write_files
from migrate.report.json import to_document
from migrate.verify.golden import Recorded, save_golden
from tests.conversions import MODELS

pytestmark = pytest.mark.timeout(20)

SECRET = b"what must not be overwritten"


@pytest.fixture
def victim(tmp_path):
    path = tmp_path / "victim"
    path.write_bytes(SECRET)
    return path


def _link(path, victim):
    path.symlink_to(victim)


def _dangling(path, victim):
    path.symlink_to(victim.with_name("made"))


def _pipe(path, victim):
    os.mkfifo(path)


def _device(path, victim):
    path.symlink_to("/dev/full")


def _directory(path, victim):
    path.mkdir()


WAYS = [_link, _dangling, _pipe, _device, _directory]


def _untouched(victim):
    return victim.read_bytes() == SECRET and not victim.with_name("made").exists()


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("flags", [os.O_RDONLY, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, os.O_RDWR | os.O_CREAT])
def test_only_a_regular_file_is_opened(way, flags, tmp_path, victim):
    way(tmp_path / "file", victim)
    with pytest.raises(OSError, match=r"a link|not a regular file|directory"):
        open_regular(str(tmp_path / "file"), flags)
    assert _untouched(victim)


def test_a_regular_file_is_made_and_written_anew(tmp_path):
    for content in (b"long content", b"short"):
        with create(str(tmp_path / "file")) as file:
            file.write(content)
    assert (tmp_path / "file").read_bytes() == b"short"
    folder = open_directory(str(tmp_path))
    handle = open_regular("file", os.O_RDONLY, folder=folder)
    assert os.read(handle, 9) == b"short"
    os.close(handle)
    os.close(folder)


@pytest.mark.parametrize("way", [w for w in WAYS if w is not _directory])
def test_what_has_the_name_is_replaced(way, tmp_path, victim):
    way(tmp_path / "file", victim)
    replace(str(tmp_path / "file"), b"new", 0o640)
    assert _untouched(victim)
    assert (tmp_path / "file").read_bytes() == b"new" and not (tmp_path / "file").is_symlink()
    assert (tmp_path / "file").stat().st_mode & 0o777 == 0o640
    assert sorted(os.listdir(tmp_path)) == ["file", "victim"]


@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_what_cannot_be_written_whole_leaves_what_was_there(call, tmp_path, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    (tmp_path / "file").write_bytes(b"old")
    monkeypatch.setattr(os, call, full)
    with pytest.raises(OSError, match="No space left"):
        replace(str(tmp_path / "file"), b"new")
    assert (tmp_path / "file").read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["file"]


def test_a_directory_is_not_replaced(tmp_path):
    (tmp_path / "file").mkdir()
    with pytest.raises(OSError, match="directory"):
        replace(str(tmp_path / "file"), b"new")
    assert os.listdir(tmp_path) == ["file"]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", ["lock", "journal.jsonl"])
def test_the_journal_and_its_lock(name, way, tmp_path, victim):
    (tmp_path / "out" / ".migrate").mkdir(parents=True)
    way(tmp_path / "out" / ".migrate" / name, victim)
    with pytest.raises(InputError, match=rf"\.migrate/{name}: cannot be written"):
        journal.open_journal(str(tmp_path / "out")).__enter__()
    assert _untouched(victim)
    if name == "lock":
        assert journal.reports(str(tmp_path / "out")) == ()
    else:
        with pytest.raises(InputError, match="cannot be read"):  # It does not wait for a pipe.
            journal.reports(str(tmp_path / "out"))


def test_the_directory_of_the_journal(tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / ".migrate").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(InputError, match=r"\.migrate: cannot be written \(a link"):
        journal.open_journal(str(tmp_path / "out")).__enter__()
    assert not any((tmp_path / "elsewhere").iterdir())
    (tmp_path / "elsewhere" / "journal.jsonl").write_bytes(b"{}\n")
    with pytest.raises(InputError, match="cannot be read"):
        journal.read_journal(str(tmp_path / "out"))


@pytest.mark.parametrize("name", [".migrate", ".migrate/report"])
def test_the_report_on_a_journal(name, tmp_path):
    tree = tmp_path / "out"
    with journal.open_journal(str(tree)) as opened:
        opened.add(journal.Entry("counter", None, "", _report()))
    if name == ".migrate":
        (tree / name).rename(tmp_path / "elsewhere")
    else:
        (tmp_path / "elsewhere").mkdir()
    before = sorted(os.listdir(tmp_path / "elsewhere"))
    (tree / name).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(InputError, match="a link, through which nothing is"):
        migrate.api.render_report(str(tree))
    assert sorted(os.listdir(tmp_path / "elsewhere")) == before


def _report() -> ModelReport:
    return migrate.audit(str(MODELS / "counter")).models[0]


@pytest.mark.parametrize("way", [w for w in WAYS if w is not _directory])
def test_the_files_of_a_report(way, tmp_path, victim):
    document = to_document(Report((_report(),)))
    (tmp_path / "report").mkdir()
    for name in FILES:
        way(tmp_path / "report" / name, victim)
    write_files(document, str(tmp_path / "report"))
    assert _untouched(victim)
    for name in FILES:
        assert (tmp_path / "report" / name).is_file()
        assert not (tmp_path / "report" / name).is_symlink()
    assert sorted(os.listdir(tmp_path / "report")) == sorted(FILES)


@pytest.mark.parametrize("way", [_pipe, _device])
def test_a_report_that_is_no_file_is_not_waited_for(way, tmp_path, victim):
    way(tmp_path / "report.json", victim)
    with pytest.raises(InputError, match="cannot be read"):
        read_document(str(tmp_path))


@pytest.mark.parametrize("way", [_link, _pipe])
def test_golden_answers(way, tmp_path, victim):
    way(tmp_path / "golden.npz", victim)
    with pytest.raises(OSError, match=r"a link|not a regular"):
        save_golden(Recorded((), (), ()), str(tmp_path / "golden.npz"))
    assert _untouched(victim)


@pytest.mark.parametrize("way", WAYS)
def test_the_provenance_of_a_model_that_stands_there(way, tmp_path, victim):
    (tmp_path / "model" / "assets.extra").mkdir(parents=True)
    way(tmp_path / "model" / "assets.extra" / "migration.json", victim)
    assert not is_ours(str(tmp_path / "model"), str(tmp_path), None, None)
    victim.write_text(json.dumps({"source": {}}))
    if way is _link:
        sign(str(tmp_path / "model"), None)  # There is nothing to sign.
        assert json.loads(victim.read_text()) == {"source": {}}


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_destination_that_is_a_link(overwrite, tmp_path):
    """Whether it leads somewhere or not: it is never written through, and replaced itself where that is asked for."""
    for name in ("there", "gone"):
        (tmp_path / name / "kept").mkdir(parents=True)
        (tmp_path / f"to_{name}").symlink_to(tmp_path / name)
    (tmp_path / "gone" / "kept").rmdir()
    (tmp_path / "gone").rmdir()
    source = str(MODELS / "counter")
    for name in ("there", "gone"):
        destination = str(tmp_path / f"to_{name}")
        if not overwrite:
            with pytest.raises(InputError, match="exists already"):
                check_destination(source, destination, overwrite)
            continue
        check_destination(source, destination, overwrite)
        with staging(destination) as staged:
            os.mkdir(staged)
            publish(staged, destination, overwrite)
        assert os.path.isdir(destination)
        assert not os.path.islink(destination)
        assert not (tmp_path / "gone").exists()
        assert os.listdir(tmp_path / "there") == ["kept"]


def test_a_tree_that_is_a_link_to_nowhere(tmp_path):
    (tmp_path / "out").symlink_to(tmp_path / "gone")
    with pytest.raises(InputError):
        journal.open_journal(str(tmp_path / "out")).__enter__()
    assert not (tmp_path / "gone").exists()


def test_a_staging_directory_that_others_have_put_there(tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "kept").write_bytes(b"")
    (tmp_path / ".new.migrate-abc").symlink_to(tmp_path / "elsewhere")
    with staging(str(tmp_path / "new")) as staged:
        assert os.path.dirname(staged) != str(tmp_path / ".new.migrate-abc")
        assert os.stat(os.path.dirname(staged)).st_mode & 0o077 == 0
    assert (tmp_path / "elsewhere" / "kept").exists()
