from __future__ import annotations

import shutil

import migrate
from migrate.graph.protos import MetaGraphDef
from migrate.records import Unreadable
from tests.conversions import ROOT

FORMS = ROOT / "testdata" / "forms"


def _report(path, **options):
    (report,) = migrate.audit(str(path), migrate.Options(**options)).models
    return report


def test_a_session_bundle_that_cannot_be_parsed(tmp_path):
    model = tmp_path / "model"
    shutil.copytree(FORMS / "session_bundle", model)
    meta_graph = MetaGraphDef.FromString((model / "export.meta").read_bytes())
    packed = meta_graph.collection_def["serving_signatures"].any_list.value[0]
    packed.value = packed.value[:-3]
    (model / "export.meta").write_bytes(meta_graph.SerializeToString())
    report = _report(model)
    assert isinstance(report.outcome, Unreadable) and "serving_signatures" in report.outcome.reason
