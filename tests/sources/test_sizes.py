from __future__ import annotations

import dataclasses
import os
import shutil

import pytest

from migrate.graph.dtypes import base_name
from migrate.graph.protos import DataType
from migrate.sources.discover import place_of
from migrate.sources.sizes import size_of, stored_bytes
from tests.conversions import MODELS, ROOT


@pytest.mark.parametrize(
    ("name", "size"),
    [("bool", 1), ("bfloat16", 2), ("qint32", 4), ("complex64", 8), ("complex128", 16), ("string", None), ("x", None)],
)
def test_bytes_of_a_value(name, size):
    assert size_of(name) == size


def test_every_number_is_as_large_as_in_numpy():
    np = pytest.importorskip("numpy")
    names = {base_name(number) for number in DataType.values() if number} - {"string"}
    # Others are registered with NumPy by a library that TensorFlow brings, once it is imported.
    own = [name for name in names if name in np.sctypeDict and np.dtype(name).isbuiltin == 1]
    expected = {name: np.dtype(name).itemsize for name in own}
    assert {name: size_of(name) for name in expected} == expected
    assert {"float16", "int64", "uint8", "complex64"} <= expected.keys()


def _total(folder):
    return sum(os.path.getsize(os.path.join(path, name)) for path, _, names in os.walk(folder) for name in names)


def test_the_files_of_a_model_and_no_other(tmp_path):
    model = tmp_path / "model"
    shutil.copytree(MODELS / "vocabulary", model)
    expected = _total(model)
    (model / "notes.txt").write_text("not a file of the model")
    (model / "variables" / "fifo").symlink_to("nowhere")
    assert stored_bytes(str(model), place_of(str(model))) == expected
    shutil.rmtree(model / "variables")
    assert stored_bytes(str(model), place_of(str(model))) == expected - _total(MODELS / "vocabulary" / "variables")


def test_holes_do_not_count_and_an_archive_counts_itself(tmp_path):
    place = place_of(str(ROOT / "testdata" / "forms" / "frozen" / "frozen.pb"))
    assert stored_bytes(place.file, place) == os.path.getsize(place.file)
    archive = tmp_path / "model.zip"
    archive.write_bytes(b"x" * 77)
    assert stored_bytes(str(archive), place) == 77
    with archive.open("r+b") as stream:
        stream.truncate(1 << 40)
    assert stored_bytes(str(archive), place) < 1 << 20


def test_a_model_that_is_gone():
    place = place_of(str(ROOT / "testdata" / "forms" / "frozen" / "frozen.pb"))
    gone = dataclasses.replace(place, path="/none/x.pb", file="/none/x.pb")
    assert stored_bytes("/none/x.pb", gone) is None
