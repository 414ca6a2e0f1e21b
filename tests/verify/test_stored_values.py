"""Values of a checkpoint, against the constants that they are."""

from __future__ import annotations

import shutil

import pytest

from migrate.graph.protos import TensorProto, TensorShapeProto
from migrate.verify.stored_values import stored_contents, strings_of
from migrate.verify.values import content
from tests.conversions import MODELS, ROOT

_VOCABULARY = str(MODELS / "vocabulary" / "variables" / "variables")


def test_a_tensor_is_found_by_its_form():
    (found,) = stored_contents(_VOCABULARY, {("float32", (5, 3))})
    shape = TensorShapeProto(dim=[{"size": 5}, {"size": 3}])
    with open(_VOCABULARY + ".data-00000-of-00001", "rb") as file:
        raw = file.read(60)
    assert content(TensorProto(dtype=1, tensor_shape=shape, tensor_content=raw)) == found
    assert content(TensorProto(dtype=1, tensor_shape=shape, tensor_content=raw[:-1] + b"!")) != found
    assert stored_contents(_VOCABULARY, {("float32", (3, 5))}) == frozenset()


def test_what_cannot_be_read_has_no_values(tmp_path):
    assert stored_contents(None, {("float32", (5, 3))}) == frozenset()
    assert stored_contents(str(tmp_path / "none"), {("float32", (5, 3))}) == frozenset()
    shutil.copy(_VOCABULARY + ".index", tmp_path / "short.index")
    assert stored_contents(str(tmp_path / "short"), {("float32", (5, 3))}) == frozenset()
    (tmp_path / "short.data-00000-of-00001").write_bytes(b"12")
    assert stored_contents(str(tmp_path / "short"), {("float32", (5, 3))}) == frozenset()


@pytest.mark.parametrize("strings", [[], [b""], [b"a", b"", b"x" * 200, "größe".encode()]])
def test_strings_as_a_bundle_stores_them(strings):
    lengths = b"".join(bytes([len(s)]) if len(s) < 128 else bytes([len(s) & 127 | 128, len(s) >> 7]) for s in strings)
    raw = lengths + b"sums" + b"".join(strings)
    assert strings_of(raw, (len(strings),)) == strings
    assert strings_of(raw + b"!", (len(strings),)) is None
    assert strings_of(raw, (len(strings) + 99,)) is None
    assert strings_of(b"\xff" * 20, (1,)) is None


def test_a_checkpoint_of_tf1s_first_format_is_not_read():
    forms = ROOT / "testdata" / "forms"
    (first,) = {str(path) for path in (forms / "saver_v1").glob("model.ckpt*") if not path.name.endswith(".meta")}
    assert stored_contents(first, {("float32", ())}) is None
