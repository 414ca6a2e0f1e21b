from __future__ import annotations

import migrate
from migrate.events import Began, Finished, Step
from tests.conversions import MODELS


def test_paths_may_be_any_path(tmp_path):
    report = migrate.audit([MODELS / "counter", str(MODELS / "tf2")])
    assert [model.source for model in report.models] == [str(MODELS / "counter"), str(MODELS / "tf2")]
    assert migrate.write_report(report, tmp_path / "out")[0] == str(tmp_path / "out" / "report.json")
    assert migrate.render_report(tmp_path / "out")
    assert [c.kind for c in migrate.compare_reports(tmp_path / "out", against=tmp_path / "out")] == ["same", "same"]
    assert migrate.inputs(MODELS / "counter")


def test_audit_tells_the_events_that_the_others_tell():
    told = []
    migrate.audit([MODELS / "counter", MODELS / "tf2"], progress=told.append)
    assert [type(event) for event in told] == [Began, Step, Finished, Step, Finished]
    assert (told[0].models, told[-1].done) == (2, 2)
