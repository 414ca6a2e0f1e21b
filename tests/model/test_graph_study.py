"""What audit says of a TF1 graph, and what is planned of it. No TensorFlow."""

from __future__ import annotations

import dataclasses

import pytest

from migrate.feed_flag import parse_feed
from migrate.graph.protos import MetaGraphDef
from migrate.model.graph_study import dangerous_ops, plan_options, study_graph
from migrate.plan.records import PlanOptions
from migrate.records import Convertible, Finding, GivenSignature, Kind, ModelOptions, Options, Refused, Report, Severity
from migrate.report.text import render
from migrate.sources.discover import place_of
from migrate.sources.read import read_source
from tests.conversions import ROOT


def _source(name):
    path = str(ROOT / "testdata" / name)
    return read_source(place_of(path), path)


def _studied(name, options=None, copied=()):
    return study_graph(_source(name), copied, options or Options())


def _codes(report):
    return [finding.code for finding in report.findings]


@pytest.mark.parametrize("name", ["models/unknown_op", "forms/saver_steps"])
def test_what_reaches_a_variable_is_not_known_without_a_plan(name):
    report, _ = _studied(name)
    assert {variable.needed for variable in report.meta_graphs[0].variables} == {None}
    assert "reaches" not in render(Report((report,)), 200)


def test_an_ordinary_graph_is_planned():
    report, studied = _studied("models/simple_save")
    assert (report.outcome, report.findings, report.sketches, report.proposed) == (Convertible(), (), (), None)
    assert [part.signature.key for part in studied.plan.signatures] == ["serving_default"]
    assert (studied.judged, studied.feeds, studied.proposed) == (studied.source.meta_graphs[0], {}, None)
    assert {v.name for v in report.meta_graphs[0].variables if v.needed} == {v.name for v in studied.plan.variables}


def test_details_have_sketches():
    report, _ = _studied("models/simple_save", Options(details=True))
    assert report.sketches


@pytest.mark.parametrize(
    ("options", "code"),
    [
        (Options(tags=frozenset({"nothing"})), "tag-set"),
        (
            Options(signature=(GivenSignature("more", (("x", "absent:0"),), (("y", "y:0"),)),)),
            "signature-tensor-missing",
        ),
    ],
)
def test_a_graph_that_cannot_be_planned_has_no_plan(options, code):
    report, studied = _studied("models/simple_save", options)
    assert (report.outcome, studied) == (Refused(), None)
    assert _codes(report) == [code]
    assert len(report.meta_graphs) == 1


def test_what_is_said_of_copied_files_counts():
    note = Finding("link-followed", Severity.NOTE, "why")
    report, _ = _studied("models/simple_save", copied=(note, note))
    assert (report.outcome, report.findings) == (Convertible(), (note,))
    refused, studied = _studied("models/simple_save", copied=(dataclasses.replace(note, severity=Severity.REFUSAL),))
    assert refused.outcome == Refused()
    assert studied is not None


def test_a_signature_is_proposed_and_taken_where_that_is_asked_for():
    report, studied = _studied("forms/saver_steps")
    assert (report.outcome, studied.proposed, report.proposed) == (Refused(), None, None)
    (refusal,) = report.refusals
    assert "--signature=" in refusal.hint
    taken, studied = _studied("forms/saver_steps", Options(take_proposals=True))
    assert taken.outcome == Convertible()
    assert studied.proposed == report.proposals[0]
    assert taken.proposed == ModelOptions(signature=report.proposals[:1])
    assert taken.proposals == ()


def test_values_are_proposed_and_taken_where_that_is_asked_for():
    report, _ = _studied("models/unfed_training")
    assert (report.outcome, report.proposed) == (Refused(), None)
    feeds = parse_feed("is_training:0=false"), parse_feed("keep_prob:0=1.0")
    taken, studied = _studied("models/unfed_training", Options(take_proposals=True))
    assert (taken.outcome, taken.proposed) == (Convertible(), ModelOptions(feed=feeds))
    given, same = _studied("models/unfed_training", Options(feed=feeds))
    assert (given.outcome, given.proposed) == (Convertible(), None)
    assert studied.feeds == same.feeds
    assert studied.feeds.keys() == {"is_training:0", "keep_prob:0"}
    # A v1 Session is asked the graph as it was, and fed.
    assert {node.name: node.op for node in studied.judged.graph_def.node}["keep_prob"].startswith("Placeholder")
    assert {node.name: node.op for node in studied.meta_graph.graph_def.node}["keep_prob"] == "Const"


def test_meta_graphs_that_are_not_taken_are_told():
    report, _ = _studied("models/multi_tags", Options(tags=frozenset({"serve"})))
    told = {finding.hint.partition(", or ")[0]: finding.message for finding in report.findings}
    assert _codes(report) == ["other-meta-graph"] * 2
    assert told.keys() == {"take it with --tags=gpu,serve", "take it with --tags=train"}
    assert all(message.endswith("it can be converted as well") for message in told.values())
    assert len(report.meta_graphs) == 3


def test_options_of_a_plan():
    asked = Options(drop_signatures=True, variables=True, keep_tensor_names=True)
    assert plan_options(Kind.TF1_SAVED_MODEL, Options(control_flow="v1")) == PlanOptions()
    assert plan_options(Kind.TF1_SAVED_MODEL, Options(control_flow="functional")) == PlanOptions(functional=True)
    is_functional = Options().control_flow == "functional"
    assert plan_options(Kind.TF1_HUB_MODULE, asked) == PlanOptions(True, True, True, True, functional=is_functional)


def test_dangerous_ops_of_every_meta_graph():
    (meta_graph,) = _source("models/refused_pyfunc").meta_graphs
    other = MetaGraphDef()
    other.graph_def.node.add(name="w", op="WriteFile")
    assert dangerous_ops([]) == ()
    found = [op.op for op in dangerous_ops([meta_graph, other])]
    assert "PyFunc" in found
    assert "WriteFile" in found


def test_what_a_value_is_computed_of_must_be_in_the_checkpoint(tmp_path):
    model = ROOT / "testdata" / "cudnn" / "gru"
    for file in ("saved_model.pb", "variables/variables.index", "variables/variables.data-00000-of-00001"):
        (tmp_path / file).parent.mkdir(exist_ok=True)
        # Weights of another network.
        (tmp_path / file).symlink_to((model if file == "saved_model.pb" else model.parent / "tanh") / file)
    report, _ = study_graph(read_source(place_of(str(tmp_path)), str(tmp_path)), (), Options(follow_links=True))
    assert report.outcome == Refused() and set(_codes(report)) == {"checkpoint-key-missing", "cudnn-replaced"}
    assert _codes(_studied("cudnn/gru")[0]) == ["cudnn-replaced"]
