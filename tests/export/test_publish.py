"""publish.py: a destination is whole or absent."""

from __future__ import annotations

import os
import pathlib
import subprocess
import sys

import pytest

from migrate.errors import InputError
from migrate.export import publish


def _model(path, text="new"):
    os.makedirs(path / "variables")
    (path / "saved_model.pb").write_text(text)
    (path / "variables" / "variables.index").write_text(text)
    return str(path)


def test_a_new_destination_appears_and_nothing_stays_beside_it(tmp_path):
    destination = tmp_path / "deep" / "7"
    with publish.staging(str(destination)) as staged:
        assert not os.path.exists(staged)
        assert not os.path.basename(os.path.dirname(staged)).isdigit()
        os.makedirs(staged)
        with open(os.path.join(staged, "saved_model.pb"), "w") as file:
            file.write("new")
        publish.publish(staged, str(destination), overwrite=False)
    assert (destination / "saved_model.pb").read_text() == "new"
    assert os.listdir(tmp_path / "deep") == ["7"]


@pytest.mark.parametrize("overwrite", [False, True])
def test_everything_is_on_the_disk_before_the_rename_and_the_rename_before_the_end(tmp_path, monkeypatch, overwrite):
    destination = tmp_path / "deep" / "7"
    if overwrite:
        _model(destination, "old")
    theirs = tmp_path / "theirs"
    theirs.write_text("a data file of the source")
    done = []
    monkeypatch.setattr(publish.os, "fsync", lambda file: done.append(("fsync", os.readlink(f"/proc/self/fd/{file}"))))
    rename, exchange = os.rename, publish._exchange
    monkeypatch.setattr(publish.os, "rename", lambda *paths: (done.append(("rename", *paths)), rename(*paths)))
    monkeypatch.setattr(publish, "_exchange", lambda *paths: (done.append(("rename", *paths)), exchange(*paths)))
    with publish.staging(str(destination)) as staged:
        made = list(done)
        _model(pathlib.Path(staged))
        os.link(theirs, os.path.join(staged, "variables", "linked"))
        publish.publish(staged, str(destination), overwrite)
    assert made == ([] if overwrite else [("fsync", str(tmp_path))])  # Which has the new directory `deep` in it.
    flushed, (renamed, last) = done[len(made) : -2], done[-2:]
    names = ("", "saved_model.pb", "variables", "variables/linked", "variables/variables.index")
    assert sorted(flushed) == [("fsync", os.path.normpath(os.path.join(staged, name))) for name in names]
    assert renamed == ("rename", staged, str(destination))
    assert last == ("fsync", str(tmp_path / "deep"))


def test_overwriting_leaves_the_new_model_alone(tmp_path):
    _model(tmp_path / "m", "old")
    (tmp_path / "m" / "old_only").write_text("old")
    with publish.staging(str(tmp_path / "m")) as staged:
        os.makedirs(staged)
        with open(os.path.join(staged, "saved_model.pb"), "w") as file:
            file.write("new")
        publish.publish(staged, str(tmp_path / "m"), overwrite=True)
    assert os.listdir(tmp_path) == ["m"]
    assert os.listdir(tmp_path / "m") == ["saved_model.pb"]
    assert (tmp_path / "m" / "saved_model.pb").read_text() == "new"


def test_without_renameat2_the_old_model_stays_when_the_new_one_cannot_come(tmp_path, monkeypatch):
    old = _model(tmp_path / "m", "old")
    monkeypatch.setattr(publish.ctypes, "CDLL", lambda *_, **__: object())
    with pytest.raises(OSError):
        publish.publish(str(tmp_path / "nothing"), old, overwrite=True)
    assert (tmp_path / "m" / "saved_model.pb").read_text() == "old"


def test_a_destination_that_appeared_meanwhile_is_not_replaced(tmp_path):
    staged = _model(tmp_path / "staged")
    _model(tmp_path / "m", "theirs")
    with pytest.raises(InputError, match="appeared"):
        publish.publish(staged, str(tmp_path / "m"), overwrite=False)
    assert (tmp_path / "m" / "saved_model.pb").read_text() == "theirs"


def test_an_error_leaves_nothing(tmp_path):
    with pytest.raises(RuntimeError), publish.staging(str(tmp_path / "m")) as staged:
        os.makedirs(staged)
        raise RuntimeError
    assert os.listdir(tmp_path) == []


_BUILD = """
import sys
from migrate.export.publish import staging
from tests.waiting import hang
with staging(sys.argv[1]) as staged:
    print(staged, flush=True)
    hang()
"""


def test_what_a_killed_process_left_is_cleared_and_what_a_living_one_builds_is_not(tmp_path):
    destination = str(tmp_path / "m")
    with subprocess.Popen([sys.executable, "-c", _BUILD, destination], stdout=subprocess.PIPE, text=True) as builder:
        built = os.path.basename(os.path.dirname(builder.stdout.readline()))
        os.makedirs(tmp_path / ".other.migrate-z")
        with publish.staging(destination):
            pass
        assert sorted(os.listdir(tmp_path)) == sorted([built, ".other.migrate-z"])
        assert not publish.clear_staging(destination)
        builder.kill()
    assert publish.clear_staging(destination)
    assert os.listdir(tmp_path) == [".other.migrate-z"]


@pytest.mark.parametrize(
    ("source", "destination", "overwrite", "message"),
    [
        ("m", "m", True, "m: is the source, which is never written to; choose a destination outside of it"),
        ("m", "m/new", False, "is in the source"),
        ("m", "link/new", False, "is in the source"),
        ("tree/m", "tree", True, "--overwrite would replace the source"),
        ("m", "file/new", False, "is a file"),
        ("m", "tree", False, "exists already"),
    ],
)
def test_bad_destinations(tmp_path, source, destination, overwrite, message):
    _model(tmp_path / "m")
    _model(tmp_path / "tree" / "m")
    (tmp_path / "file").write_text("")
    os.symlink(tmp_path / "m", tmp_path / "link")
    with pytest.raises(InputError, match=message):
        publish.check_destination(str(tmp_path / source), str(tmp_path / destination), overwrite)


def test_a_new_tree_is_called_as_the_user_has_named_it(tmp_path):
    _model(tmp_path / "tree" / "m")
    tree = str(tmp_path / "tree")
    for new, where in ((f"{tree}/new", f"is in the source {tree}"), (tree, "is the source")):
        with pytest.raises(InputError) as told:
            publish.check_destination(tree, f"{new}/model", True, tree=new)
        assert str(told.value) == f"{new}: {where}, which is never written to; choose a destination outside of it"


@pytest.mark.parametrize("name", ["n" * 240, "n" * 255, "\u00e4" * 120, "model", "weights", "old"])
def test_names_of_any_length(name, tmp_path):
    """A name has 255 bytes at most, and that of the staging directory is longer than the model's."""
    for _ in range(2):
        with publish.staging(str(tmp_path / name)) as staged:
            _model(pathlib.Path(staged))
            publish.publish(staged, str(tmp_path / name), overwrite=True)
    assert os.listdir(tmp_path) == [name]


def test_names_that_begin_alike_have_staging_directories_of_their_own(tmp_path):
    long = "n" * 250
    with publish.staging(str(tmp_path / f"{long}1")) as one, publish.staging(str(tmp_path / f"{long}2")) as two:
        assert os.path.dirname(one) != os.path.dirname(two)
        assert not publish.clear_staging(str(tmp_path / f"{long}1"))  # It is alive.
        assert publish.clear_staging(str(tmp_path / f"{long}3"))


def test_a_long_name_where_nothing_can_be_exchanged(tmp_path, monkeypatch):
    monkeypatch.setattr(publish.ctypes, "CDLL", lambda *_, **__: object())
    name = "n" * 255
    _model(tmp_path / name)
    with publish.staging(str(tmp_path / name)) as staged:
        os.makedirs(staged)
        publish.publish(staged, str(tmp_path / name), overwrite=True)
    assert os.listdir(tmp_path / name) == []
