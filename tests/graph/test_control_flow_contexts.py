from __future__ import annotations

import pytest

from migrate.graph.control_flow_contexts import Context, contexts, first_outside, on_cycle, topological_order
from migrate.graph.graph import Graph, index
from tests.rewrite.texts import node

_ROOT = Context()
LOOP = """
start = Const() dtype=float32
p = Placeholder() dtype=bool
enter = Enter(start) T=float32 frame_name='loop'
merge = Merge(enter, next) T=float32
cond = LoopCond(p)
switch = Switch(merge, cond)
body = Neg(switch:1) T=float32
next = NextIteration(body) T=float32
exit = Exit(switch) T=float32
y = Neg(exit) T=float32
"""
COND = """
x = Placeholder() dtype=float32
p = Placeholder() dtype=bool
pred_id = Identity(p) T=bool
switch = Switch(x, pred_id)
then = Neg(switch:1) T=float32
otherwise = Abs(switch) T=float32
waits = Const(^then) dtype=float32
merge = Merge(otherwise, then) T=float32
y = Neg(merge) T=float32
"""


def _graph(text: str) -> Graph:
    return index(map(node, text.strip().splitlines()))


def _branch(output: int, predicate: str = "p:0", depth: int = 0) -> frozenset[tuple[int, str, int]]:
    return frozenset({(depth, predicate, output)})


def test_without_control_flow_everything_is_at_the_root():
    found = contexts(_graph("a = Const() dtype=float32\nb = Neg(a) T=float32\nc = NoOp(^b)"))
    assert found == dict.fromkeys("abc", _ROOT)
    assert _ROOT.is_root


def test_a_branch_holds_until_its_merge():
    found = contexts(_graph(COND))
    assert found["then"] == found["waits"] == Context((), _branch(1))
    assert found["otherwise"] == Context((), _branch(0))
    assert not found["then"].is_root
    assert {name for name, context in found.items() if context.is_root} == {"x", "p", "pred_id", "switch", "merge", "y"}


def test_a_frame_holds_from_its_enter_to_its_exit():
    found = contexts(_graph(LOOP))
    assert {name: found[name].frames for name in ("start", "enter", "merge", "switch", "body", "exit", "y")} == {
        **dict.fromkeys(("start", "exit", "y"), ()),
        **dict.fromkeys(("enter", "merge", "switch", "body"), ("loop",)),
    }
    assert found["body"].conditions == found["next"].conditions == _branch(1, "cond:0", 1)
    assert found["y"].is_root


def test_a_predicate_is_found_behind_identities_of_a_tensor_of_its_own():
    one = _graph(COND.replace("p = Placeholder() dtype=bool", "p = Less(x, x) T=float32"))
    assert contexts(one)["then"].conditions == _branch(1, "p:0")
    shared = _graph(COND.replace("p = Placeholder() dtype=bool", "p = VariableV2() dtype=bool"))
    assert contexts(shared)["then"].conditions == _branch(1, "pred_id:0")
    circle = COND.replace("p = Placeholder() dtype=bool", "p = Identity(pred_id) T=bool")
    assert _graph(circle) and on_cycle(_graph(circle))


def test_nested_branches_add_up():
    inner = COND + "q = Less(x, x) T=float32\ninner = Switch(then, q)\ndeep = Neg(inner:1) T=float32"
    assert contexts(_graph(inner))["deep"].conditions == _branch(1) | _branch(1, "q:0")


def test_a_node_stands_after_its_inputs_back_edges_aside():
    graph = _graph(LOOP)
    order, left = topological_order(graph)
    assert sorted(order) == sorted(graph.nodes) and not left
    place = {name: number for number, name in enumerate(order)}
    for name, known in graph.wires.items():
        for source in known.behind:
            assert place[source] < place[name] or (source, name) == ("next", "merge")


@pytest.mark.parametrize(
    ("text", "cyclic"),
    [
        (LOOP, []),
        ("a = Neg(b) T=float32\nb = Neg(a) T=float32\nc = Neg(a) T=float32\nd = NoOp()", ["a", "b", "c"]),
        ("a = NoOp(^a)", ["a"]),
        ("a = Neg(gone) T=float32", []),
        # A back edge leads to a Merge alone.
        ("a = Neg(n) T=float32\nn = NextIteration(a) T=float32", ["a", "n"]),
    ],
)
def test_cycles_that_are_no_while_loop(text, cyclic):
    assert list(on_cycle(_graph(text))) == cyclic


def test_what_follows_outside_of_loops_and_branches():
    for text, inside, outside in ((LOOP, "body", ["exit"]), (COND, "then", ["merge"]), (COND, "y", ["y"])):
        graph = _graph(text)
        assert first_outside(inside, contexts(graph), graph.successors()) == outside
