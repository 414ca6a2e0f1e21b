"""Trees are copied to and from a file system that TensorFlow knows by its scheme; `file://` is one."""

from __future__ import annotations

import pytest

from migrate.export.remote_copy import Copied, CopyJob, run
from migrate.records import Failed

pytestmark = pytest.mark.tensorflow


@pytest.fixture
def tree(tmp_path):
    tree = tmp_path / "tree"
    for name in ("saved_model.pb", "variables/variables.index", "z"):
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        (tree / name).write_text(name)
    return tree


def _files(directory):
    return {str(file.relative_to(directory)): file.read_text() for file in directory.rglob("*") if file.is_file()}


def test_a_tree_and_a_file_are_copied_as_they_are(tree, tmp_path):
    assert run(CopyJob(f"file://{tree}", f"file://{tmp_path}/a/new", False)) == Copied(3)
    assert _files(tmp_path / "a" / "new") == _files(tree)
    assert run(CopyJob(f"file://{tree}/z", f"file://{tmp_path}/b/file", False)) == Copied(1)
    assert (tmp_path / "b" / "file").read_text() == "z"


def test_the_graph_comes_last(tree, tmp_path, monkeypatch):
    import tensorflow as tf

    copied, copy = [], tf.io.gfile.copy
    monkeypatch.setattr(tf.io.gfile, "copy", lambda source, new: (copied.append(source), copy(source, new)))
    run(CopyJob(f"file://{tree}", f"file://{tmp_path}/new", False))
    assert len(copied) == 3
    assert copied[-1].endswith("/saved_model.pb")


def test_what_is_there_is_replaced_only_where_that_is_allowed(tree, tmp_path):
    (tmp_path / "new").mkdir()
    (tmp_path / "new" / "old").write_text("")
    found = run(CopyJob(str(tree), f"{tmp_path}/new", False))
    assert found == Failed(
        f"{tmp_path}/new: exists already; choose another destination, or replace it with --overwrite"
    )
    assert _files(tmp_path / "new") == {"old": ""}
    assert run(CopyJob(str(tree), f"{tmp_path}/new", True)) == Copied(3)
    assert _files(tmp_path / "new") == _files(tree)


def test_what_cannot_be_copied_is_told(tree, tmp_path):
    absent = run(CopyJob(f"{tmp_path}/absent", f"{tmp_path}/new", False))
    assert absent == Failed(f"{tmp_path}/absent: no such file or directory")
    found = run(CopyJob(str(tree), "nothing://new", False))
    assert isinstance(found, Failed)
    assert found.reason.startswith(f"{tree}: cannot be copied to nothing://new: ")
