"""Single tensors of checkpoints, read without TensorFlow."""

from __future__ import annotations

import pathlib
import shutil

import pytest

from migrate.errors import InputError
from migrate.sources.bundle import Entry, write_index
from migrate.sources.tensor_values import TensorValues
from tests.conversions import ROOT

_PREFIX = ROOT / "testdata" / "dead_ops" / "boosted_by_hand" / "variables" / "variables"
_V1 = ROOT / "testdata" / "forms" / "saver_v1" / "model.ckpt"


def test_strings_and_numbers_of_a_bundle():
    values = TensorValues(str(_PREFIX))
    (tree,) = values.read("one:0_serialized").string_val
    assert tree.startswith(b"\x0a") and not values.read("one:0_serialized").tensor_shape.dim
    assert len(values.read("one:0_stamp").tensor_content) == 8


def test_a_tensor_of_a_v1_checkpoint():
    proto = TensorValues(str(_V1)).read("w")
    assert len(proto.float_val) == 6 and [dim.size for dim in proto.tensor_shape.dim] == [3, 2]


@pytest.mark.parametrize("prefix", [None, str(_PREFIX), str(_V1), "nowhere/model.ckpt"])
def test_what_is_not_there(prefix):
    with pytest.raises(InputError):
        TensorValues(prefix).read("no such key")


@pytest.mark.parametrize("key", ["one:0_serialized", "one:0_stamp"])
def test_damaged_bytes_are_no_value(key, tmp_path: pathlib.Path):
    shutil.copytree(_PREFIX.parent, tmp_path / "variables")
    file = tmp_path / "variables" / "variables.data-00000-of-00001"
    file.write_bytes(bytes(byte ^ 1 for byte in file.read_bytes()))
    with pytest.raises(InputError):
        TensorValues(str(tmp_path / "variables" / "variables")).read(key)
    file.write_bytes(b"")
    with pytest.raises(InputError):
        TensorValues(str(tmp_path / "variables" / "variables")).read(key)


def test_a_tensor_larger_than_any_tree_is_not_read(tmp_path: pathlib.Path):
    prefix = str(tmp_path / "model.ckpt")
    write_index(prefix, [Entry("large", "float32", (1 << 24,), 0, 0, 1 << 26, 0)], 1)
    with pytest.raises(InputError, match="are the most"):
        TensorValues(prefix).read("large")
