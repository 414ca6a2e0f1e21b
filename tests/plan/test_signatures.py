from __future__ import annotations

import pytest

from migrate.graph import contract
from migrate.graph.graph import prune
from migrate.graph.protos import MetaGraphDef, TensorShapeProto
from migrate.plan.records import SignaturePlan
from migrate.plan.signatures import (
    fed_shape,
    fed_tensors,
    feeds_of,
    plan_signature,
    plan_signatures,
    unfed_placeholders,
)
from migrate.records import Severity, TensorSpec
from tests.plan.graphs import MODEL, meta_graph, source
from tests.rewrite.texts import node

_GOOD = ({"x": "x:0"}, {"y": "y:0"})
_MISSING = ({"x": "x:0"}, {"y": "gone:0"})
_UNFED = ({}, {"y": "y:0"})


def _codes(of: MetaGraphDef, drop: bool = False) -> dict[str, str]:
    return {finding.code: finding.severity.name for finding in plan_signatures(source(of), drop).findings}


def test_a_signature_that_can_be_answered_says_nothing():
    planned = plan_signatures(source(meta_graph(MODEL, s=_GOOD)), False)
    (plan,) = planned.plans
    assert (planned.findings, planned.dropped) == ((), 0)
    assert (plan.signature.key, plan.unordered, plan.defaults, plan.fails, plan.drawn) == ("s", (), {}, False, ())
    assert plan.run.run.key == "signature 's'" and plan.run.run.feeds == {"x:0": "x"}
    assert plan.run.graph.by_op["VarHandleOp"] == ["v"]


@pytest.mark.parametrize(
    ("sides", "code"),
    [
        (_MISSING, "signature-tensor-missing"),
        (({"x": "gone:0"}, {"y": "y:0"}), "signature-tensor-missing"),
        (({"x": "x:0"}, {"y": "y:1"}), "signature-tensor-missing"),
        (({"x": "x:0"}, {"y": "write:0"}), "signature-tensor-missing"),
        (({"x": "x:0"}, {"y": "y:sum:0"}), "signature-tensor-missing"),
        (({"x": "x:1"}, {"y": "y:0"}), "signature-tensor-missing"),
        (({"x": "x:0"}, {}), "signature-without-outputs"),
        (_UNFED, "unfed-placeholder"),
        (({"x": "x:0"}, {"y": "python:0"}), "python-op"),
        (({"x": "x:0"}, {"y": "barrier:0"}), "ref-op-unsupported"),
    ],
)
def test_what_nobody_can_answer_is_refused_left_out_or_kept_to_fail(sides, code):
    text = MODEL + "python = PyFunc(x) token='t' Tout=[float32]\nbarrier = Barrier()"
    text += "\nwrite = NoOp()"
    of = meta_graph(text, bad=sides)
    assert _codes(of)[code] == "REFUSAL"
    dropped = plan_signatures(source(of), True)
    assert (dropped.plans, dropped.dropped) == ((), 1)
    assert {finding.severity for finding in dropped.findings} == {Severity.WARNING}
    assert "signature 'bad' dropped: " in dropped.findings[0].message


def test_a_composite_tensor_is_refused():
    of = meta_graph(MODEL, s=_GOOD)
    of.signature_def["s"].inputs["x"].composite_tensor.components.add(name="x:0")
    assert _codes(of) == {"composite-tensor": "REFUSAL"}


def test_beside_a_signature_that_is_answered_one_that_always_fails_is_kept():
    planned = plan_signatures(source(meta_graph(MODEL, bad=_UNFED, good=_GOOD)), False)
    assert {plan.signature.key: plan.fails for plan in planned.plans} == {"bad": True, "good": False}
    (finding,) = planned.findings
    assert finding.code == "unfed-placeholder" and finding.severity is Severity.WARNING
    assert "fails with InvalidArgumentError as in TF1" in finding.message


def test_beside_a_signature_that_is_answered_a_refusal_says_how_to_leave_it_out():
    (finding,) = plan_signatures(source(meta_graph(MODEL, bad=_MISSING, good=_GOOD)), False).findings
    assert finding.severity is Severity.REFUSAL and "--drop_signatures" in finding.hint
    (alone,) = plan_signatures(source(meta_graph(MODEL, bad=_MISSING)), False).findings
    assert "--drop_signatures" not in alone.hint


def test_what_tf1_forgave_is_put_right_and_told():
    text = MODEL.replace("x = Placeholder() dtype=float32", "c = Const() dtype=float32 value=float32:[1.0, 2.0]\n"
                         "i = Identity(c) T=float32\nx = PlaceholderWithDefault(i) dtype=float32")  # fmt: skip
    of = meta_graph(text, s=_GOOD)
    of.signature_def["s"].inputs["x"].dtype = 3
    of.signature_def["s"].method_name = ""
    assert _codes(of) == {"tensor-info-dtype": "WARNING", "input-default": "NOTE", "method-name-empty": "NOTE"}
    (plan,) = plan_signatures(source(of), False).plans
    assert [*plan.defaults["x"].float_val] == [1.0, 2.0]
    circle = meta_graph(text.replace("Identity(c)", "Identity(i)"), s=_GOOD)
    (plan,) = plan_signatures(source(circle), False).plans
    assert plan.defaults == {}


def test_targets_run_with_a_signature():
    of = meta_graph(MODEL + "w = AssignAdd(v, x) T=float32", s=_GOOD)
    (signature,) = contract.signatures(of)
    plan = plan_signature(source(of), signature, targets=("w",))
    assert isinstance(plan, SignaturePlan)
    assert "AssignAddVariableOp" in plan.run.graph.by_op
    assert [name for name, _ in plan.unordered] == ["y"]


def test_outputs_that_draw_from_one_sequence_are_marked():
    text = MODEL + "noise = RandomUniform(x) dtype=float32 seed=3\nz = Add(noise, x) T=float32"
    drawing = ({"x": "x:0"}, {"z": "z:0", "y": "y:0"})
    planned = plan_signatures(source(meta_graph(text, a=drawing, b=drawing, c=_GOOD)), False)
    assert {plan.signature.key: plan.drawn for plan in planned.plans} == {"a": ("z",), "b": ("z",), "c": ()}
    assert [finding.code for finding in planned.findings] == ["random-op-shared"]


def _shape(*sizes: int) -> TensorShapeProto:
    return TensorShapeProto(dim=[TensorShapeProto.Dim(size=size) for size in sizes])


@pytest.mark.parametrize(
    ("line", "producer", "shape"),
    [
        ("x = Placeholder() shape=(2, ?)", 22, _shape(2, -1)),
        ("x = Placeholder() shape=()", None, _shape()),
        ("x = Placeholder() shape=()", 22, _shape()),
        ("x = Placeholder() shape=()", 21, None),
        ("x = Placeholder() shape=(2)", 21, _shape(2)),
        ("x = VariableV2() shape=()", 21, _shape()),
        ("x = Placeholder() shape=(...)", 22, None),
        ("x = Placeholder()", 22, None),
    ],
)
def test_the_shape_that_is_asked_of_what_is_fed(line, producer, shape):
    assert fed_shape(node(line), producer) == shape


def test_what_a_placeholder_says_of_itself_wins():
    nodes = source(meta_graph(MODEL + "any = Placeholder() dtype=int64\nc = Cast(x) DstT=bool\nz = Neg(x)")).nodes
    said = {"dtype": "string", "shape": (3,)}
    assert fed_tensors(nodes, TensorSpec("x", **said)) == [("x:0", 1, _shape(2))]
    assert fed_tensors(nodes, TensorSpec("any:0", **said)) == [("any:0", 9, None)]
    assert fed_tensors(nodes, TensorSpec("any:0", "string", ())) == [("any:0", 9, None)]
    assert fed_tensors(nodes, TensorSpec("c:0", **said)) == [("c:0", 10, _shape(3))]
    assert fed_tensors(nodes, TensorSpec("z:0", "string", (None,))) == [("z:0", 7, _shape(-1))]


def test_a_sparse_input_feeds_three_tensors():
    text = "v = Placeholder() dtype=string\ni = Placeholder() dtype=int64\ns = Placeholder() dtype=int64"
    of = meta_graph(text, s=({}, {"y": "v:0"}))
    sparse = of.signature_def["s"].inputs["sparse"]
    sparse.dtype = 7
    sparse.coo_sparse.values_tensor_name = "v:0"
    sparse.coo_sparse.indices_tensor_name = "i:0"
    sparse.coo_sparse.dense_shape_tensor_name = "s:0"
    (signature,) = contract.signatures(of)
    assert feeds_of(source(of).nodes, signature) == {"i:0": (9, None), "v:0": (7, None), "s:0": (9, None)}


def test_placeholders_that_nobody_feeds():
    nodes = source(meta_graph(MODEL + "t = Placeholder() dtype=resource\nu = Neg(t)")).nodes
    fed = prune(nodes, "", {"x:0": (1, None)}, ("y:0",), ())
    assert unfed_placeholders(fed, "here") == ()
    run = prune(nodes, "", {}, ("y:0",), ())
    (finding,) = unfed_placeholders(run, "here")
    assert (finding.code, finding.nodes, finding.hint) == (
        *("unfed-placeholder", ("x",), "give them a value with --feed"),
    )
    assert unfed_placeholders(run, "here", frozenset({"x"})) == ()
    (finding,) = unfed_placeholders(prune(nodes, "", {}, ("u:0",), ()), "here")
    assert finding.hint == "no value can be written for 't'"
