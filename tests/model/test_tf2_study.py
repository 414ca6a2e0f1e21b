"""What audit says of a TF2 SavedModel. No TensorFlow."""

from __future__ import annotations

import dataclasses

import pytest

from migrate.graph.protos import MetaGraphDef
from migrate.model.tf2_study import study_tf2
from migrate.records import AlreadyTF2, Finding, GivenSignature, Kind, Options, Refused, Severity, refusal
from migrate.sources.saved_model import read_saved_model
from tests.conversions import MODELS, ROOT

_TF2, _KERAS = read_saved_model(str(MODELS / "tf2")), read_saved_model(str(ROOT / "testdata/keras/saved_model"))
_GIVEN = Options(signature=(GivenSignature("features", (("x", "x:0"),), (("y", "y:0"),)),))


@pytest.mark.parametrize("source", [_TF2, _KERAS], ids=["tf2", "keras"])
def test_it_is_copied_as_it_is(source):
    report = study_tf2(source, (), Options())
    assert (report.kind, report.outcome, report.findings) == (source.kind, AlreadyTF2(), ())
    (facts,) = report.meta_graphs
    assert [signature.key for signature in facts.signatures] == ["serving_default"]
    assert all(variable.trainable for variable in facts.variables)


def test_what_is_said_of_its_files_decides():
    note = Finding("link-followed", Severity.WARNING, "a link was followed")
    assert study_tf2(_TF2, (note,), Options()).outcome == AlreadyTF2()
    assert study_tf2(_TF2, (note, refusal("link-leads-out", "no")), Options()).outcome == Refused()


@pytest.mark.parametrize(
    ("source", "advice"), [(_TF2, "tf.saved_model.save("), (_KERAS, "tf_keras.Model(")], ids=["tf2", "keras"]
)
def test_a_signature_is_refused_with_what_to_do_in_python(source, advice):
    report = study_tf2(source, (), _GIVEN)
    assert report.outcome == Refused()
    (found,) = report.findings
    assert (found.code, found.nodes) == ("tf2-signature", ("features",))
    assert advice in found.hint


def test_dangerous_ops_of_every_meta_graph_are_listed():
    other = MetaGraphDef()
    other.meta_info_def.tags.append("gpu")
    other.graph_def.node.add(name="w", op="WriteFile")
    source = dataclasses.replace(_TF2, meta_graphs=(*_TF2.meta_graphs, other))
    report = study_tf2(source, (), Options())
    assert ("WriteFile", ("gpu",)) in [(found.op, found.tags) for found in report.dangerous_ops]
    assert [facts.tags for facts in report.meta_graphs] == [("serve",), ("gpu",)]
    assert report.kind is Kind.TF2_SAVED_MODEL
