from __future__ import annotations

import errno
import os
import subprocess
import sys

import pytest

import migrate
from migrate.errors import InputError
from migrate.records import Options, Unreadable
from migrate.sources.discover import find_models
from tests.conversions import ROOT


def _touch(root, *names):
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")


def test_a_model_is_itself(tmp_path):
    _touch(tmp_path, "saved_model.pb", "nested/saved_model.pb")
    assert find_models(str(tmp_path)) == (str(tmp_path),)
    assert find_models(str(tmp_path) + "/") == (str(tmp_path),)


def test_a_tree_gives_every_model_below_sorted(tmp_path):
    _touch(tmp_path, "b/2/saved_model.pbtxt", "a/10/saved_model.pb", "a/9/saved_model.pb", "c/readme.txt")
    assert find_models(str(tmp_path)) == tuple(str(tmp_path / n) for n in ("a/10", "a/9", "b/2"))


def test_the_folders_of_a_model_are_not_searched(tmp_path):
    _touch(tmp_path, "m/saved_model.pb")
    for own in ("variables", "assets", "assets.extra"):
        _touch(tmp_path, f"m/{own}/saved_model.pb", f"plain/{own}/saved_model.pb")
    _touch(tmp_path, "m/other/saved_model.pb")
    found = find_models(str(tmp_path))
    assert str(tmp_path / "m") in found
    assert str(tmp_path / "m/other") in found
    assert not [f for f in found if f.startswith(str(tmp_path / "m/a")) or f.endswith("m/variables")]
    # Those names mean nothing outside a model.
    assert str(tmp_path / "plain/assets") in found


@pytest.mark.parametrize("up", ["..", "../..", "/"])
def test_a_link_upwards_is_not_followed(up, tmp_path, monkeypatch):
    """It leads to all that lies beside the tree."""
    looked_at = []
    really = os.scandir
    monkeypatch.setattr(os, "scandir", lambda path: (looked_at.append(path), really(path))[1])
    _touch(tmp_path, "tree/below/model/saved_model.pb", "beside/model/saved_model.pb")
    (tmp_path / "tree" / "below" / "up").symlink_to({"..": tmp_path, "../..": tmp_path.parent, "/": "/"}[up])
    assert find_models(str(tmp_path / "tree")) == (str(tmp_path / "tree" / "below" / "model"),)
    assert len(looked_at) < 10


def test_links(tmp_path):
    _touch(tmp_path, "tree/z/1/saved_model.pb", "outside/saved_model.pb")
    (tmp_path / "tree/z/loop").symlink_to(tmp_path / "tree")
    (tmp_path / "tree/self").symlink_to("self")
    (tmp_path / "tree/a_latest").symlink_to(tmp_path / "tree/z/1")
    (tmp_path / "tree/linked").symlink_to(tmp_path / "outside")
    (tmp_path / "tree/dangling").symlink_to(tmp_path / "nowhere")
    # A directory in the tree goes by its own name although a link comes first; one outside goes by the link.
    assert find_models(str(tmp_path / "tree")) == (str(tmp_path / "tree/linked"), str(tmp_path / "tree/z/1"))
    assert find_models(str(tmp_path / "tree/a_latest")) == (str(tmp_path / "tree/a_latest"),)
    with pytest.raises(InputError, match="leads nowhere"):
        find_models(str(tmp_path / "tree/dangling"))


def test_a_file(tmp_path):
    _touch(tmp_path, "saved_model.pb")
    (tmp_path / "notes.txt").write_text("notes")
    with pytest.raises(InputError, match="pass the directory that holds it"):
        find_models(str(tmp_path / "saved_model.pb"))
    with pytest.raises(InputError, match="not a model"):
        find_models(str(tmp_path / "notes.txt"))


def test_nothing_there(tmp_path):
    with pytest.raises(InputError, match="no such file or directory"):
        find_models(str(tmp_path / "absent"))
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="no model in this tree"):
        find_models(str(tmp_path))


def test_a_directory_that_cannot_be_listed(tmp_path, monkeypatch):
    def scandir(path):
        raise PermissionError(13, "Permission denied", path)

    monkeypatch.setattr(os, "scandir", scandir)
    with pytest.raises(InputError, match="cannot be listed"):
        find_models(str(tmp_path))


@pytest.mark.parametrize("number", [errno.EACCES, errno.ENOENT, errno.ELOOP, errno.ENAMETOOLONG, errno.EIO])
def test_a_directory_below_that_cannot_be_listed_is_a_row_of_the_report(number, tmp_path, monkeypatch):
    _touch(tmp_path, "a/saved_model.pb", "locked/saved_model.pb", "z/saved_model.pb", "z/locked/any")
    really = os.scandir

    def scandir(path):
        if isinstance(path, str) and os.path.basename(path) == "locked":
            raise OSError(number, os.strerror(number), path)
        return really(path)

    monkeypatch.setattr(os, "scandir", scandir)
    names = ["a", "locked", "z", "z/locked"]
    assert find_models(str(tmp_path)) == tuple(str(tmp_path / name) for name in names)
    reports = migrate.audit(str(tmp_path)).models
    assert [os.path.relpath(r.source, tmp_path) for r in reports] == names
    for report in (reports[1], reports[3]):
        assert report.outcome == Unreadable(f"{report.source}: cannot be listed ({os.strerror(number)})")
    # The rest of the tree is converted; here all of it is unreadable, and each says so.
    converted = migrate.convert(str(tmp_path), str(tmp_path) + "-new", Options(dry_run=True)).models
    assert [os.path.relpath(r.source, tmp_path) for r in converted] == names


@pytest.mark.parametrize("mode", [0o000, 0o444, 0o111])
def test_a_directory_that_others_may_not_read(mode, tmp_path):
    """Root may read everything, so a child of another user looks."""
    _touch(tmp_path, "a/saved_model.pb", "locked/saved_model.pb")
    for folder in (tmp_path, *tmp_path.parents):
        if folder.stat().st_uid == os.geteuid() and folder != folder.parent:
            os.chmod(folder, folder.stat().st_mode | 0o055)
    os.chmod(tmp_path / "locked", mode)
    program = (
        "import os, sys; sys.path.insert(0, sys.argv[1])\n"
        "from migrate.sources.discover import find_models\n"
        "if os.geteuid() == 0: os.setgroups([]), os.setgid(65534), os.setuid(65534)\n"
        "print(find_models(sys.argv[2]))\n"
    )
    try:
        found = subprocess.run(
            [sys.executable, "-c", program, str(ROOT), str(tmp_path)], capture_output=True, text=True, check=True
        )
    finally:
        os.chmod(tmp_path / "locked", 0o755)
    assert found.stdout.strip() == repr((str(tmp_path / "a"), str(tmp_path / "locked")))
