from __future__ import annotations

import contextlib
import os

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from migrate.sources.boundary import Boundary, LinkError, boundary_of


@contextlib.contextmanager
def _opened(path):
    handle = os.open(path, os.O_RDONLY)
    try:
        yield handle
    finally:
        os.close(handle)


@pytest.mark.parametrize(
    ("paths", "real", "held"),
    [
        (("/x/model",), "/x/model", True),
        (("/x/model",), "/x/model/a/b", True),
        (("/x/model",), "/x/model-private/key", False),  # The start of a name is no directory.
        (("/x/model",), "/x", False),
        (("/",), "/x", True),
        (("/x/model", "/y/file"), "/y/file", True),
        ((), "/x", False),
    ],
)
def test_what_is_inside(paths, real, held):
    assert Boundary(paths).holds(real) is held


@settings(max_examples=25)
@given(st.lists(st.text("ab", min_size=1, max_size=2), max_size=3), st.lists(st.text("ab", min_size=1, max_size=2)))
def test_inside_is_below_part_by_part(folder, path):
    held = Boundary(("/" + "/".join(folder),)).holds("/" + "/".join(path))
    assert held is (path[: len(folder)] == folder)


def test_an_open_file_counts_by_where_it_is(tmp_path):
    model = tmp_path / "model"
    model.mkdir()
    (model / "file").write_text("x")
    (tmp_path / "key").write_text("secret")
    (model / "link").symlink_to("../key")
    boundary = Boundary((str(model),))
    with _opened(model / "file") as handle:
        boundary.check(handle, str(model / "file"))
        (model / "file").rename(tmp_path / "moved")
        with pytest.raises(LinkError):  # And not by what it was called when it was opened.
            boundary.check(handle, str(model / "file"))
    says = rf"{model}/link: a link to {tmp_path}/key, outside of the model"
    with _opened(model / "link") as handle, pytest.raises(LinkError, match=says):
        boundary.check(handle, str(model / "link"))


def test_without_proc_the_path_has_to_lead_to_the_same_file(tmp_path, monkeypatch):
    def refused(_):
        raise OSError

    (tmp_path / "model").mkdir()
    for name in ("model/file", "model/other", "key"):
        (tmp_path / name).write_text(name)
    boundary = Boundary((str(tmp_path / "model"),))
    monkeypatch.setattr("migrate.sources.boundary.os.readlink", refused)
    # `os.path.realpath` reads links by the same function.
    monkeypatch.setattr("migrate.sources.boundary.os.path.realpath", os.path.abspath)
    with _opened(tmp_path / "model" / "file") as handle:
        boundary.check(handle, str(tmp_path / "model" / "file"))
        for other in ("model/other", "key", "model/none"):
            with pytest.raises(LinkError):
                boundary.check(handle, str(tmp_path / other))


def test_the_boundary_of_each_kind_of_path(tmp_path, monkeypatch):
    store, model = tmp_path / "store", tmp_path / "model"
    store.mkdir()
    model.mkdir()
    (store / "blob").write_text("x")
    (model / "graph.pb").symlink_to(store / "blob")
    (tmp_path / "link").symlink_to(model)
    assert boundary_of(str(model)) == boundary_of(str(tmp_path / "link")) == Boundary((str(model),))
    assert boundary_of(str(model / "graph.pb")) == Boundary((str(model), str(store / "blob")))
    assert boundary_of(str(tmp_path / "link" / "model.ckpt")) == Boundary((str(model),))
    monkeypatch.chdir(model)
    assert boundary_of("model.ckpt") == Boundary((str(model),))
