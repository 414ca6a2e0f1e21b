from __future__ import annotations

import migrate
from tests.conversions import MODELS, ROOT

FORMS = ROOT / "testdata" / "forms"


def _report(path, **options):
    (report,) = migrate.audit(str(path), migrate.Options(**options)).models
    return report


def test_checkpoints_without_a_graph_are_described():
    new, old = _report(FORMS / "checkpoint_alone"), _report(FORMS / "checkpoint_alone_v1")
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
