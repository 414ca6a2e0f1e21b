from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from migrate.graph.graph import prune
from migrate.graph.protos import TensorShapeProto
from migrate.plan.records import Plan, SignaturePlan, TrainingPlan, VariablePlan
from migrate.plan.restore import FromCheckpoint, Uninitialized, Unset, Value
from migrate.records import Finding, Severity, Signature, refusal
from migrate.rewrite.engine import Rewritten
from tests.plan.graphs import MODEL, meta_graph, source
from tests.rewrite.texts import function

_EMPTY = Plan((), (), None, (), (), {}, None, (), 0, ())


def _with(**fields: Any) -> Plan:
    return dataclasses.replace(_EMPTY, **fields)


def _run(key: str) -> Rewritten:
    run = prune(source(meta_graph("a = NoOp()")).nodes, key, {}, (), ("a",))
    return Rewritten(run, run.graph, {})


def _signature(key: str) -> SignaturePlan:
    return SignaturePlan(Signature(key, "", {}, {}), _run(key), (), {})


def _variable(name: str, value: Value) -> VariablePlan:
    return VariablePlan(name, f"identity of {name}", 1, TensorShapeProto(), False, False, value)


def test_an_empty_plan_has_nothing():
    assert not _EMPTY.refused
    assert (_EMPTY.runs, _EMPTY.uninitialized, _EMPTY.kept, _EMPTY.nodes) == ((), frozenset(), {}, None)


@pytest.mark.parametrize("severity", [Severity.NOTE, Severity.WARNING])
def test_a_plan_is_refused_by_one_refusal_and_nothing_less(severity):
    told = Finding("code", severity, "message")
    assert not _with(findings=(told,)).refused
    assert _with(findings=(told, refusal("code", "message", ()))).refused


def test_variables_without_a_value_are_known_by_their_identity():
    values = {"a": Uninitialized(), "b": Unset(), "c": FromCheckpoint("c"), "d": Uninitialized(False)}
    plan = _with(variables=tuple(_variable(*item) for item in values.items()))
    assert (plan.uninitialized, plan.guarded) == ({"identity of a", "identity of d"}, {"identity of a"})


def test_runs_are_those_of_signatures_training_and_init_op():
    first, second, init, loss, call = (_signature(key) for key in ("first", "second", "init", "loss", "call"))
    both = (first, second)
    assert _with(signatures=both).runs == (first.run, second.run)
    assert _with(signatures=both, init=init.run).runs == (first.run, second.run, init.run)
    training = TrainingPlan("first", call, (loss.run,))
    assert _with(signatures=both, init=init.run, training=training).runs == (
        *(first.run, second.run, loss.run, call.run, init.run),
    )
    inference = TrainingPlan("first", None, (loss.run,))
    assert _with(signatures=(first,), training=inference).runs == (first.run, loss.run)


def test_a_source_knows_its_functions_by_name():
    made = meta_graph(MODEL)
    of = source(made)
    assert of.functions == {} and list(of.nodes) == ["x", "v", "read", "y"]
    made.graph_def.library.function.append(function("f", ""))
    assert list(of.functions) == ["f"] and of.library.function[0].signature.name == "f"
    assert "VariableV2" in of.ref_ops and "VarHandleOp" not in of.ref_ops
