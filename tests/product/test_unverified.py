"""A new model from which nothing differs, and of which not everything was compared by value."""

from __future__ import annotations

import dataclasses
import json
import pathlib

import pytest

pytestmark = [pytest.mark.tensorflow, pytest.mark.slow]

tf = pytest.importorskip("tensorflow")

import migrate  # noqa: E402
from migrate.records import Converted, Options, Unverified, Validated  # noqa: E402
from migrate.report.json import to_document  # noqa: E402
from migrate.report.text import render  # noqa: E402

_OPTIONS = Options(timeout=100)


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


def _unproved(v):
    """Nine times a value, by an op of which nothing is proved when it adds more than eight tensors."""
    return tf.raw_ops.AccumulateNV2(inputs=[tf.identity(v)] * 9, shape=[2])


def _noisy(v1, x, v):
    """One function draws in two places, which are one kernel or two, so that no seeds are given to them."""
    from tensorflow.python.framework import function

    @function.Defun(tf.float32)
    def noisy(value):
        return value + v1.random_uniform([1])

    return {"serving_default": {"y": x * v, "noise": (noisy(x) + noisy(2.0 * x)) * _unproved(v)}}


def _empty(v1, x, v):
    return {"serving_default": {"y": x * v, "none": (x * _unproved(v))[:0]}}


def _unordered(v1, x, v):
    del v1
    return {"serving_default": {"y": x * 2.0, "racy": x + v}, "update": {"z": x + v.assign_add([1.0, 1.0])}}


@pytest.mark.parametrize(
    ("build", "unverified"),
    [
        (_noisy, {"serving_default/noise": "the source itself answers differently from run to run"}),
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


def _picky(v1, x, v):
    with v1.control_dependencies([v1.Assert(tf.reduce_all(x > 1e6), [x])]):
        return {"serving_default": {"y": x * _unproved(v)}}


_LONG = "a_long_name_" * 200


def _picky_nine(v1, x, v):
    return {f"serving_{number}_{_LONG}": outputs for number in range(9) for outputs in _picky(v1, x, v).values()}


def _unverified(report):
    (finding,) = (finding for finding in report.findings if finding.code == "unverified")
    return finding


def test_the_template_that_would_help_is_in_the_finding(tmp_path):
    source = _save(tmp_path / "old", _picky)
    report = _convert(source, tmp_path / "new")
    assert isinstance(report.outcome, Unverified), report.outcome
    finding = _unverified(report)
    assert "'serving_default' (no synthesised call is accepted" in finding.message and "not run" not in finding.message
    assert finding.template == migrate.inputs(source)
    assert "a file like the one below" in finding.hint
    (document,) = to_document(migrate.Report((report,)))["models"]
    assert [f["template"] for f in document["findings"] if f["code"] == "unverified"] == [finding.template]
    lines = [line.strip() for line in render(migrate.Report((report,)), 40).splitlines()]
    block = [line.strip() for line in finding.template.splitlines()]
    assert any(lines[n : n + len(block)] == block for n in range(len(lines)))
    # As it is the model takes it no more than those that were made up; with the right values it does.
    calls = json.loads(finding.template)
    calls[0]["inputs"]["x"] = [[2e6, 3e6]]
    (tmp_path / "calls.json").write_text(json.dumps(calls))
    options = dataclasses.replace(_OPTIONS, inputs=str(tmp_path / "calls.json"))
    assert isinstance(_convert(source, tmp_path / "new", options).outcome, Converted)


def test_a_large_template_is_a_command(tmp_path):
    source = _save(tmp_path / "o l d", _picky_nine)
    finding = _unverified(_convert(source, tmp_path / "new"))
    assert finding.template == ""
    assert f"(migrate inputs '{source}' > calls.json)" in finding.hint


def test_what_no_call_would_help_has_no_template(tmp_path):
    finding = _unverified(_convert(_save(tmp_path / "old", _noisy), tmp_path / "new"))
    assert (finding.template, finding.hint) == ("", "publish it as it is with --allow_unverified")


def test_all_that_is_compared_by_value_is_verified(tmp_path):
    source = _save(tmp_path / "old", _unordered)
    report = _convert(source, tmp_path / "new")
    assert isinstance(report.outcome, Converted) and report.verification.passed
    assert not report.verification.unverified
    (validated,) = migrate.validate(str(tmp_path / "new"), against=source, options=_OPTIONS).models
    assert isinstance(validated.outcome, Validated)


def test_what_a_candidate_says_of_its_variables_is_not_needed(tmp_path):
    source = _save(tmp_path / "old", _unordered)
    assert isinstance(_convert(source, tmp_path / "new").outcome, Converted)
    (tmp_path / "new" / "assets.extra" / "migration.json").unlink()
    (report,) = migrate.validate(str(tmp_path / "new"), against=source, options=_OPTIONS).models
    assert isinstance(report.outcome, Validated) and report.verification.variables_compared == 1


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


def test_signatures_that_share_a_random_sequence_are_told(tmp_path):
    """Each has a sequence of its own now: they are compared one by one under equal seeds, and not in turn."""

    def build(v1, x, v):
        drawn = tf.where(x > 1e5, v1.random_uniform([2], seed=3), x) * v
        return {"a": {"y": drawn, "plain": x * v}, "b": {"y": drawn + 1.0}, "c": {"z": x + v}}

    source = _save(tmp_path / "old", build)
    (audited,) = migrate.audit(source).models
    (warning,) = (finding for finding in audited.findings if finding.code == "random-op-shared")
    assert "'a', 'b'" in warning.message
    answers_alone = _convert(source, tmp_path / "new", dataclasses.replace(_OPTIONS, verify="replay"))
    assert isinstance(answers_alone.outcome, Unverified), answers_alone.outcome
    assert set(answers_alone.verification.unverified) == {"a/y", "b/y"}
    report = _convert(source, tmp_path / "new")
    assert isinstance(report.outcome, Converted), report.outcome
    assert warning in report.findings
    assert report.verification.seeded == ("a/y", "b/y")
    assert {o.path for o in report.verification.outputs if o.output == "y"} >= {"tf2, seeded", "session, seeded"}


def test_a_random_sequence_of_one_signature_is_compared(tmp_path):
    def build(v1, x, v):
        return {"a": {"y": x + v1.random_uniform([2], seed=3)}, "b": {"z": x * v}}

    report = _convert(_save(tmp_path / "old", build), tmp_path / "new")
    assert isinstance(report.outcome, Converted), report.outcome
    assert "random-op-shared" not in {finding.code for finding in report.findings}


def test_a_write_that_a_lowered_loop_leaves_out_is_no_write(tmp_path):
    """A v1 Session lowers the loop and then cuts it to what the outputs need, so the write does not run."""

    def build(v1, x, v):
        w = v1.get_variable("w", [], initializer=v1.ones_initializer(), use_resource=True)

        def body(i, a):
            w.assign_add(1.0)
            return i + 1, a * 2.0

        v1.enable_control_flow_v2()
        try:
            _, a = v1.while_loop(lambda i, a: i < 3, body, [tf.constant(0), v1.reduce_sum(x)])
        finally:
            v1.disable_control_flow_v2()
        return {"loop": {"a": a}, "read": {"w": x * w, "v": v * x}}

    report = _convert(_save(tmp_path / "old", build), tmp_path / "new")
    assert isinstance(report.outcome, Converted), report
    assert report.verification.passed


def test_two_variables_of_one_name_are_refused(tmp_path):
    from tensorflow.python.ops import gen_resource_variable_ops, gen_state_ops

    def build(v1, x, v):
        ref = gen_state_ops.variable_v2([2], tf.float32, name="w")
        handle = gen_resource_variable_ops.var_handle_op(tf.float32, [2], shared_name="w", name="h")
        v1.add_to_collection("made", (ref, handle))
        return {
            "a": {"y": x * gen_resource_variable_ops.read_variable_op(handle, tf.float32), "z": x + ref, "v": v * x}
        }

    (report,) = migrate.audit(_save(tmp_path / "old", build)).models
    assert "variable-of-two-kinds" in {finding.code for finding in report.findings}, report.findings
