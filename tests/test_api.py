from __future__ import annotations

import os
import shutil

import pytest

import migrate
from migrate.api import check_report_directory
from migrate.errors import InputError, UsageError
from migrate.events import Began, Finished, Step
from migrate.records import Options
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


def test_what_a_command_line_may_not_say_of_any_model():
    with pytest.raises(UsageError, match="--feed: no model here has the tensor 'none:0'"):
        migrate.audit(MODELS / "counter", Options(feed="none:0=1"))
    architecture = MODELS.parent / "keras" / "json_hdf5" / "model.json"
    with pytest.raises(UsageError, match="--architecture: no model here"):
        migrate.audit(MODELS / "counter", Options(architecture=architecture))
    with pytest.raises(UsageError, match="--checkpoint_root: no model here"):
        migrate.audit(MODELS / "counter", Options(checkpoint_root="model"))


def test_a_tree_is_no_model_to_make_inputs_for(tmp_path):
    for name in ("a", "b"):
        shutil.copytree(MODELS / "counter", tmp_path / name)
    with pytest.raises(InputError, match="holds a tree of models; inputs takes one model"):
        migrate.inputs(tmp_path)


@pytest.mark.parametrize(
    ("directory", "refused"), [("models", True), ("models/new", True), ("models-2", False), ("link/new", True)]
)
def test_nothing_is_written_into_what_is_reported_on(directory, refused, tmp_path):
    (tmp_path / "models").mkdir()
    (tmp_path / "link").symlink_to("models")
    new = tmp_path / directory
    if not refused:
        check_report_directory(str(new), (str(tmp_path / "models"),))
        assert new.is_dir()
        return
    with pytest.raises(InputError, match="choose another --report"):
        check_report_directory(str(new), (str(tmp_path / "models"),))
    assert os.listdir(tmp_path / "models") == []


def test_a_directory_without_a_report_is_told(tmp_path):
    with pytest.raises(InputError):
        migrate.render_report(tmp_path)
    with pytest.raises(InputError):
        migrate.compare_reports(tmp_path, against=tmp_path)
