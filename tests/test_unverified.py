"""A new model from which nothing differs, and of which not everything was compared by value."""

from __future__ import annotations

import dataclasses
import pathlib

import pytest

pytestmark = pytest.mark.tensorflow

tf = pytest.importorskip("tensorflow")

import migrate  # noqa: E402
from migrate.records import Converted, Options, Unverified, Validated  # noqa: E402
from migrate.report.json import to_document  # noqa: E402

_OPTIONS = Options(timeout_seconds=100)


def _save(path: pathlib.Path, build) -> str:
    v1 = tf.compat.v1
    with tf.Graph().as_default(), v1.Session() as session:
        x = v1.placeholder(tf.float32, [None, 2], "x")
        v = v1.get_variable("v", [2], initializer=v1.ones_initializer(), use_resource=False)
        signatures = {
            key: v1.saved_model.signature_def_utils.predict_signature_def({"x": x}, outputs)
            for key, outputs in build(v1, x, v).items()
        }
        session.run(v1.global_variables_initializer())
        builder = v1.saved_model.Builder(str(path))
        builder.add_meta_graph_and_variables(session, ["serve"], signatures)
        builder.save()
    return str(path)


def _convert(source: str, destination: pathlib.Path, options: Options = _OPTIONS):
    (report,) = migrate.convert(source, str(destination), options).models
    return report


def _noisy(v1, x, v):
    return {"serving_default": {"y": x * v, "noise": x + v1.random_uniform([1])}}


def _empty(v1, x, v):
    return {"serving_default": {"y": x * v, "none": (x * v)[:0]}}


def _unordered(v1, x, v):
    del v1
    return {"serving_default": {"y": x * 2.0, "racy": x + v}, "update": {"z": x + v.assign_add([1.0, 1.0])}}


@pytest.mark.parametrize(
    ("build", "unverified"),
    [
        (_noisy, {"serving_default/noise": "the source itself answers otherwise from run to run"}),
        (_empty, {"serving_default/none": "every answer was empty"}),
    ],
)
def test_an_output_without_a_value_is_unverified(tmp_path, build, unverified):
    source = _save(tmp_path / "old", build)
    report = _convert(source, tmp_path / "new")
    assert isinstance(report.outcome, Unverified), report.outcome
    assert all(word in report.outcome.reason for word in unverified)
    assert report.verification.unverified == unverified and not report.verification.passed
    (finding,) = (finding for finding in report.findings if finding.code == "unverified")
    assert finding.nodes == tuple(unverified)
    assert not (tmp_path / "new").exists()
    assert not migrate.Report((report,)).ok

    allowed = _convert(source, tmp_path / "new", dataclasses.replace(_OPTIONS, allow_unverified=True))
    assert isinstance(allowed.outcome, Converted) and not allowed.verification.passed
    assert "unverified" in {finding.code for finding in allowed.findings}
    (validated,) = migrate.validate(str(tmp_path / "new"), against=source, options=_OPTIONS).models
    assert isinstance(validated.outcome, Unverified)


def test_all_that_is_compared_by_value_is_verified(tmp_path):
    source = _save(tmp_path / "old", _unordered)
    report = _convert(source, tmp_path / "new")
    assert isinstance(report.outcome, Converted) and report.verification.passed
    assert not report.verification.unverified
    (validated,) = migrate.validate(str(tmp_path / "new"), against=source, options=_OPTIONS).models
    assert isinstance(validated.outcome, Validated)


def test_variables_that_nobody_can_tell_apart_are_unverified(tmp_path):
    source = _save(tmp_path / "old", _unordered)
    assert isinstance(_convert(source, tmp_path / "new").outcome, Converted)
    (tmp_path / "new" / "assets.extra" / "migration.json").unlink()
    (report,) = migrate.validate(str(tmp_path / "new"), against=source, options=_OPTIONS).models
    assert isinstance(report.outcome, Unverified)
    assert list(report.verification.unverified) == ["variables"]


def test_a_call_that_fails_in_tf1_is_nothing_to_compare(tmp_path):
    def build(v1, x, v):
        keep = v1.placeholder(tf.float32, [], "keep")
        return {"serving_default": {"y": x * v}, "train": {"z": x * v * keep}}

    report = _convert(_save(tmp_path / "old", build), tmp_path / "new")
    assert isinstance(report.outcome, Converted), report.outcome
    assert list(report.verification.skipped) == ["train"] and report.verification.passed


def test_the_report_says_what_was_not_compared(tmp_path):
    report = migrate.convert(_save(tmp_path / "old", _noisy), str(tmp_path / "new"), _OPTIONS)
    (model,) = to_document(report)["models"]
    assert model["outcome"] == "unverified"
    assert list(model["verification"]["unverified"]) == ["serving_default/noise"]
