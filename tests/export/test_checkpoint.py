"""weights.py and checkpoint.py: bytes are taken over as they lie, and TensorFlow reads the result."""

from __future__ import annotations

import os
from types import SimpleNamespace

import numpy as np
import pytest

pytestmark = pytest.mark.tensorflow

tf = pytest.importorskip("tensorflow")

from migrate.errors import InputError  # noqa: E402
from migrate.export import weights  # noqa: E402
from migrate.export.checkpoint import write_checkpoint  # noqa: E402 (starts TensorFlow)
from migrate.graph.dtypes import dtype_value  # noqa: E402
from migrate.graph.protos import TensorShapeProto  # noqa: E402
from migrate.plan.records import VariablePlan  # noqa: E402
from migrate.plan.restore import FromCheckpoint, Unset, Value  # noqa: E402
from migrate.records import Failed  # noqa: E402
from migrate.sources.bundle import read_bundle  # noqa: E402
from migrate.sources.checkpoint_files import OBJECT_GRAPH_KEY  # noqa: E402

A = np.arange(6, dtype=np.float32).reshape(3, 2)
B = np.arange(4, dtype=np.int64)
SLOTS = np.full([1000], 7, dtype=np.float64)


def _variable(name: str, dtype: str, value: Value) -> VariablePlan:
    return VariablePlan(name, name, dtype_value(dtype), TensorShapeProto(unknown_rank=True), True, False, value)


def _save(prefix: str, **tensors) -> str:
    """One bundle; a list of (slice spec, array) pairs is saved in slices."""
    names, specs, values = [], [], []
    for name, value in tensors.items():
        for spec, part in value if isinstance(value, list) else [("", value)]:
            names.append(name)
            specs.append(spec)
            values.append(tf.constant(part))
    tf.raw_ops.SaveV2(prefix=prefix, tensor_names=names, shape_and_slices=specs, tensors=values)
    return prefix


def _write(tmp_path, source, variables, mode="copy", check=True, values=None):
    """Writes the checkpoint; gives its tensors by variable and the names of what went through memory."""
    asked = []

    def value(variable):
        asked.append(variable.name)
        return tf.constant((values or {})[variable.name])

    os.makedirs(tmp_path / "new", exist_ok=True)
    destination = str(tmp_path / "new" / "variables")
    keys = {v.identity: f"variables/{v.name}" for v in variables}
    plan = SimpleNamespace(variables=variables)
    taking = weights.take_over(plan, source, str(tmp_path / "weights"), mode, check)
    done = weights.run(taking.job)
    if isinstance(done, Failed):
        raise InputError(done.reason)
    count = write_checkpoint(plan, keys, b"graph", destination, taking.taken, value)
    weights.put(taking, destination, count)
    reader = tf.train.load_checkpoint(destination)
    assert reader.get_tensor(OBJECT_GRAPH_KEY) == b"graph"
    assert not [name for name in os.listdir(tmp_path / "new") if ".part" in name]
    return {v.name: reader.get_tensor(keys[v.identity]) for v in variables}, asked


@pytest.mark.parametrize("mode", ["auto", "copy", "link", "rewrite"])
def test_whole_tensors(tmp_path, mode):
    source = _save(str(tmp_path / "old"), a=A, b=B)
    variables = [_variable("x", "float32", FromCheckpoint("a")), _variable("y", "int64", FromCheckpoint("b"))]
    found, asked = _write(tmp_path, source, variables, mode, values={"x": A, "y": B})
    np.testing.assert_array_equal(found["x"], A)
    np.testing.assert_array_equal(found["y"], B)
    assert asked == (["x", "y"] if mode == "rewrite" else [])


def test_a_link_shares_the_bytes_and_a_copy_does_not(tmp_path):
    source = _save(str(tmp_path / "old"), a=A)
    old = os.stat(tmp_path / "old.data-00000-of-00001").st_ino
    for mode, same in (("link", True), ("copy", False)):
        _write(tmp_path / mode, source, [_variable("x", "float32", FromCheckpoint("a"))], mode)
        assert (os.stat(tmp_path / mode / "new" / "variables.data-00000-of-00002").st_ino == old) is same


def test_what_is_not_needed_is_not_copied(tmp_path):
    source = _save(str(tmp_path / "old"), a=A, b=B, slots=SLOTS)
    found, _ = _write(tmp_path, source, [_variable("y", "int64", FromCheckpoint("b"))])
    np.testing.assert_array_equal(found["y"], B)
    assert os.path.getsize(tmp_path / "new" / "variables.data-00000-of-00002") == B.nbytes


def test_unused_shards_stay_behind(tmp_path):
    parts = [
        _save(str(tmp_path / "p0"), a=A),
        _save(str(tmp_path / "p1"), slots=SLOTS),
        _save(str(tmp_path / "p2"), b=B),
    ]
    source = str(tmp_path / "old")
    tf.raw_ops.MergeV2Checkpoints(checkpoint_prefixes=parts, destination_prefix=source)
    variables = [_variable("x", "float32", FromCheckpoint("a")), _variable("y", "int64", FromCheckpoint("b"))]
    found, asked = _write(tmp_path, source, variables)
    np.testing.assert_array_equal(found["x"], A)
    np.testing.assert_array_equal(found["y"], B)
    assert asked == []
    assert len(os.listdir(tmp_path / "new")) == 4  # two of three shards, the object graph's, the index


def test_a_stored_slice_keeps_its_bytes_and_any_other_is_cut(tmp_path):
    source = _save(str(tmp_path / "old"), a=[("3 2 0,2:0,2", A[:2]), ("3 2 2,1:0,2", A[2:])])
    stored = _variable("stored", "float32", FromCheckpoint("a", "3 2 0,2:-"))
    across = _variable("across", "float32", FromCheckpoint("a", "3 2 1,2:-"))
    whole = _variable("whole", "float32", FromCheckpoint("a"))
    found, asked = _write(tmp_path, source, [stored, across, whole], values={"across": A[1:], "whole": A})
    np.testing.assert_array_equal(found["stored"], A[:2])
    np.testing.assert_array_equal(found["across"], A[1:])
    np.testing.assert_array_equal(found["whole"], A)
    assert asked == ["across", "whole"]


def test_strings_and_variables_without_a_value_go_through_tensorflow(tmp_path):
    words = np.array([b"one", b"", b"three"], dtype=object)
    source = _save(str(tmp_path / "old"), words=words, a=A)
    variables = [
        _variable("words", "string", FromCheckpoint("words")),
        _variable("local", "float32", Unset()),
        _variable("x", "float32", FromCheckpoint("a")),
    ]
    found, asked = _write(tmp_path, source, variables, values={"words": words, "local": np.zeros(2, np.float32)})
    assert found["words"].tolist() == words.tolist()
    np.testing.assert_array_equal(found["local"], [0.0, 0.0])
    np.testing.assert_array_equal(found["x"], A)
    assert asked == ["words", "local"]


def test_a_v1_checkpoint_goes_through_tensorflow(tmp_path):
    source = str(tmp_path / "old")
    tf.raw_ops.Save(filename=source, tensor_names=["a"], data=[tf.constant(A)])
    found, asked = _write(tmp_path, source, [_variable("x", "float32", FromCheckpoint("a"))], values={"x": A})
    np.testing.assert_array_equal(found["x"], A)
    assert asked == ["x"]


@pytest.mark.parametrize("mode", ["auto", "copy", "link"])
def test_a_flipped_bit_names_the_tensor(tmp_path, mode):
    source = _save(str(tmp_path / "old"), a=A, b=B)
    entry = read_bundle(source).entries["b"]
    with open(tmp_path / "old.data-00000-of-00001", "r+b") as file:
        file.seek(entry.offset + 3)
        file.write(b"\xff")
    variables = [_variable("x", "float32", FromCheckpoint("a")), _variable("y", "int64", FromCheckpoint("b"))]
    with pytest.raises(InputError, match="the bytes of 'b' do not match their checksum; they fill variable 'y'"):
        _write(tmp_path, source, variables, mode)


def test_many_variables_are_found_by_tensorflow(tmp_path):
    tensors = {f"layer_{n}/kernel": np.float32([n, -n]) for n in range(2000)}
    source = _save(str(tmp_path / "old"), **tensors)
    variables = [_variable(name, "float32", FromCheckpoint(name)) for name in tensors]
    found, asked = _write(tmp_path, source, variables)
    assert asked == []
    assert all(np.array_equal(found[name], value) for name, value in tensors.items())


def test_a_large_group_is_split(tmp_path, monkeypatch):
    monkeypatch.setattr("migrate.export.checkpoint._GROUP_BYTES", 20)
    values = {name: np.float32([n] * 3) for n, name in enumerate("abcde")}
    found, _ = _write(tmp_path, "none", [_variable(n, "float32", Unset()) for n in values], values=values)
    assert all(np.array_equal(found[name], value) for name, value in values.items())
    assert len(os.listdir(tmp_path / "new")) == 4  # three groups and the index
