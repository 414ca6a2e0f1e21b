from __future__ import annotations

import os

import pytest

from migrate.errors import InputError
from migrate.sources.discover import find_models


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
    with pytest.raises(InputError, match="no model"):
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
