from __future__ import annotations

import migrate
from migrate.checks.checkpoint_facts import of_bundle, of_v1
from migrate.records import CheckpointFacts, StoredTensorFacts
from migrate.sources.bundle import Bundle, Entry, Slice
from migrate.sources.checkpoint_files import OBJECT_GRAPH_KEY
from migrate.sources.v1_checkpoint import StoredTensor, V1Checkpoint
from tests.audits import audited
from tests.conversions import MODELS, ROOT

FORMS = ROOT / "testdata" / "forms"


def test_checkpoints_without_a_graph_are_described():
    new, old = audited(FORMS / "checkpoint_alone"), audited(FORMS / "checkpoint_alone_v1")
    assert [f.code for f in new.findings] == ["checkpoint-without-graph"]
    assert (new.checkpoint.format, new.checkpoint.object_based, new.checkpoint.shards) == ("V2", False, 1)
    assert [(t.name, t.dtype, t.shape, t.bytes, t.slices) for t in new.checkpoint.tensors] == [
        ("rows", "float32", (5, 2), 40, 2),
        ("step", "int64", (), 8, 0),
        ("word", "string", (), 9, 0),
    ]
    assert (old.checkpoint.format, [(t.name, t.bytes) for t in old.checkpoint.tensors]) == ("V1", [("b", 8), ("w", 24)])
    tf2 = migrate.audit(str(MODELS / "tf2" / "variables")).models[0]
    assert tf2.checkpoint.object_based and "saved_model.pb" in tf2.findings[0].message


def test_slices_count_with_their_own_bytes():
    half = Slice((0,), (2,))
    entries = {
        "a": Entry("a", "float32", (4,), 0, 0, 0, 0, (half, Slice((2,), (2,)))),
        "b": Entry("b", "string", (), 0, 16, 5, 0),
        OBJECT_GRAPH_KEY: Entry(OBJECT_GRAPH_KEY, "string", (), 0, 21, 9, 0),
    }
    stored = {("a", half): Entry("a", "float32", (2,), 0, 0, 8, 0), ("a", Slice((2,), (2,))): entries["b"]}
    found = of_bundle(Bundle("model.ckpt", 3, "LITTLE", 1, entries, stored))
    tensors = (StoredTensorFacts("a", "float32", (4,), 13, 2), StoredTensorFacts("b", "string", (), 5, 0))
    assert found == CheckpointFacts("model.ckpt", "V2", True, 3, tensors)
    assert not of_bundle(Bundle("model.ckpt", 1, "LITTLE", 1, {}, {})).object_based


def test_the_bytes_of_an_old_checkpoint_are_those_in_memory():
    whole, half = Slice((0,), (-1,)), Slice((0,), (2,))
    tensors = {
        "w": StoredTensor("w", "float64", (3, 2), (whole,)),
        "s": StoredTensor("s", "string", (4,), (half, half)),
        "e": StoredTensor("e", "int64", (0, 9), (whole,)),
    }
    found = of_v1(V1Checkpoint("model.ckpt-?????-of-00003", ("one",), ("two", "three"), tensors))
    assert (found.path, found.format, found.object_based, found.shards) == ("model.ckpt-?????-of-00003", "V1", False, 3)
    assert [(t.name, t.bytes, t.slices) for t in found.tensors] == [("e", 0, 0), ("s", None, 2), ("w", 48, 0)]
