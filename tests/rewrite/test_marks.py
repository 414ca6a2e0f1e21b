from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from migrate.graph.graph import index
from migrate.graph.nodes import reachable
from migrate.graph.protos import NodeDef
from migrate.rewrite.marks import Marks
from tests.rewrite.texts import node

_LOOP = """a = Const()
merge = Merge(a, next)
body = Neg(merge)
next = NextIteration(body)
exit = Exit(merge)
apart = NoOp()"""
_COUNT = 6


def _named(marks: Marks, found: int) -> list[str]:
    return list(marks.named(found))


def test_a_set_of_marked_nodes():
    marks = Marks(index(map(node, _LOOP.splitlines())), ["exit", "a", "apart"])
    assert marks.of() == marks.of("merge") == 0
    assert _named(marks, marks.of("apart", "exit", "merge", "exit")) == ["exit", "apart"]
    assert marks.of("a", "exit") == marks.of("a") | marks.of("exit")


def test_what_comes_before_and_after_goes_round_a_loop():
    marks = Marks(index(map(node, _LOOP.splitlines())), ["a", "merge", "body", "exit", "apart"])
    before = {name: _named(marks, found) for name, found in marks.before.items()}
    assert before == {
        **{"a": [], "merge": ["a", "merge", "body"], "body": ["a", "merge", "body"]},
        **{"next": ["a", "merge", "body"], "exit": ["a", "merge", "body"], "apart": []},
    }
    assert _named(marks, marks.after["body"]) == ["merge", "body", "exit"]
    assert _named(marks, marks.after["a"]) == ["merge", "body", "exit"]


@settings(max_examples=20)
@given(st.lists(st.lists(st.integers(0, _COUNT - 1), max_size=3), min_size=_COUNT, max_size=_COUNT))
def test_each_node_knows_all_that_lead_to_it(inputs):
    lower = [[f"n{other}" for other in taken if other < place] for place, taken in enumerate(inputs)]
    graph = index(NodeDef(name=f"n{place}", op="Op", input=taken) for place, taken in enumerate(lower))
    marks = Marks(graph, graph.nodes)
    for name, known in graph.wires.items():
        expected = reachable(known.behind, lambda other: graph.wires[other].behind)
        assert set(marks.named(marks.before[name])) == expected
        assert {other for other in graph.nodes if marks.before[other] & marks.of(name)} == set(
            marks.named(marks.after[name])
        )
