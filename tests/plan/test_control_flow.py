from __future__ import annotations

from migrate.plan.control_flow import with_functions
from migrate.plan.plan import make_plan
from tests.plan.graphs import MODEL, SAVER, meta_graph

_COND = """
p = Placeholder() dtype=bool shape=()
s = Switch(y, p) T=float32
neg = Neg(s:1) T=float32
m = Merge(s, neg) N=2 T=float32
"""
_OPEN = "q = Placeholder() dtype=bool shape=()\nt = Switch(y, q) T=float32\nn = Merge(t, neg) N=2 T=float32\n"
_INPUTS = {"x": "x:0", "p": "p:0"}


def _ops(nodes):
    return {node.op for node in nodes}


def test_runs_with_conds_have_functions():
    made = meta_graph(MODEL + SAVER + _COND, one=(_INPUTS, {"m": "m:0"}), other=(_INPUTS, {"m": "m:0"}))
    plan = make_plan(made)
    before = [_ops(signature.run.graph.nodes.values()) for signature in plan.signatures]
    found = with_functions(plan)
    assert all({"Switch", "Merge"} <= ops for ops in before) and not plan.functions
    for signature in found.signatures:
        ops = _ops(signature.run.graph.nodes.values())
        assert "StatelessIf" in ops and not {"Switch", "Merge"} & ops
    # Both signatures call the same two branches.
    assert len(found.functions) == 2 and found.findings == plan.findings
    assert [s.signature.key for s in found.signatures] == [s.signature.key for s in plan.signatures]
    assert [_ops(signature.run.graph.nodes.values()) for signature in plan.signatures] == before


def test_what_stays_is_said_once_for_runs_that_are_alike():
    fed = {**_INPUTS, "q": "q:0"}
    made = meta_graph(MODEL + SAVER + _COND + _OPEN, one=(fed, {"m": "n:0"}), other=(fed, {"m": "n:0"}))
    found = with_functions(make_plan(made))
    kept = [finding for finding in found.findings if finding.code == "control-flow-kept"]
    assert kept and all("n" in finding.nodes for finding in kept) and not found.functions


def test_a_plan_without_control_flow_stays():
    plan = make_plan(meta_graph(MODEL + SAVER, s=({"x": "x:0"}, {"y": "y:0"})))
    found = with_functions(plan)
    assert (found.functions, found.findings) == ((), ())
    (one,), (other,) = plan.signatures, found.signatures
    assert one.run.graph is other.run.graph
