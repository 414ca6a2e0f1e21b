from __future__ import annotations

import pytest

from migrate.graph.graph import index, prune
from migrate.graph.protos import FunctionDef, FunctionDefLibrary
from migrate.plan.functions import plan_functions, unrunnable
from migrate.records import Finding, Severity
from migrate.rewrite.engine import Rewritten
from tests.plan.graphs import meta_graph, source
from tests.rewrite.texts import function, node


def _planned(calls: str, *functions: FunctionDef) -> tuple[tuple[str, ...], tuple[Finding, ...]]:
    made = meta_graph("x = Placeholder() dtype=float32\n" + calls)
    made.graph_def.library.function.extend(functions)
    of = source(made)
    run = prune(of.nodes, "a run", {}, (), [name for name in of.nodes if name != "x"])
    called, findings = plan_functions(of, [Rewritten(run, run.graph, {})])
    return tuple(each.signature.name for each in called), findings


_PLAIN = function("plain", "x", "y = Neg(x) T=float32", y="y:y:0")


def test_without_a_library_there_is_nothing():
    assert _planned("y = Neg(x) T=float32") == ((), ())


def test_the_functions_that_runs_call_in_the_order_of_the_calls():
    outer = function("outer", "x", "z = PartitionedCall/plain(x)", y="z:output:0")
    uncalled = function("uncalled", "", "v = VariableV2() dtype=float32")
    calls = "y = outer(x)\nz = PartitionedCall/plain(x)"
    assert _planned(calls, _PLAIN, uncalled, outer) == (("outer", "plain"), ())


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("v = VariableV2() dtype=float32", "ref-in-function"),
        ("v = VarHandleOp() dtype=float32", "variable-in-function"),
        ("v = Assign(x, x) T=float32", "ref-in-function"),
    ],
)
def test_a_function_that_holds_state_is_refused_wherever_it_is_called(line, code):
    inner = function("inner", "x", line)
    outer = function("outer", "x", "z = PartitionedCall/inner(x)")
    names, findings = _planned("y = outer(x)", outer, inner)
    assert names == ("outer", "inner")
    assert [(f.code, f.severity, f.nodes) for f in findings] == [(code, Severity.REFUSAL, ("v",))]
    assert "'inner'" in findings[0].message


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("y = Neg(x) T=float32", ""),
        ("y = AccumulateNV2(x)", ""),  # A rule sees to it, as to the next.
        ("y = BatchCholesky(x)", ""),
        ("y = DestroyTemporaryVariable(x) T=float32", ""),  # So does the pass before the rules.
        ("y = PyFunc(x) token='t'", "python-op"),
        ("y = FromTheFuture(x)", "unknown-op"),
    ],
)
def test_ops_that_no_model_can_run_are_refused_in_graphs_and_functions(line, code):
    found = unrunnable(index([node(line)]), FunctionDefLibrary())
    assert [(f.code, f.nodes) for f in found] == ([(code, ("y",))] if code else [])
    library = FunctionDefLibrary(function=[function("f", "x", line)])
    called = unrunnable(index([node("call = f(x)")]), library)
    assert [(f.code, f.nodes) for f in called] == ([(code, ("f/y",))] if code else [])
    assert unrunnable(index([node("z = Neg(x) T=float32")]), library) == ()
