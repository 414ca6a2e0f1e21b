"""A stored graph's runs against those of the same nodes, parsed."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from migrate.graph.control_flow_contexts import on_cycle
from migrate.graph.graph import ParsedNodes, Run, index, prune
from migrate.graph.protos import NodeDef
from migrate.graph.stored import KeptNodes, NeededNames, NeededNodes, StoredGraph
from tests.graph.stored_form import stored
from tests.rewrite.texts import node

_OPS = ("Placeholder", "Neg", "Mul", "Merge", "NextIteration", "NoOp")
_COUNT = 8
_NAMES = [f"n{number}" for number in range(_COUNT)]


@st.composite
def _graphs(draw: st.DrawFn) -> list[NodeDef]:
    """Nodes with inputs from anywhere, circles and nowhere included."""
    some = st.sampled_from([*_NAMES, "gone"])
    taken = st.lists(some | st.builds("{}:1".format, some) | st.builds("^{}".format, some), max_size=3)
    return [NodeDef(name=name, op=draw(st.sampled_from(_OPS)), input=draw(taken)) for name in _NAMES]


def _both(nodes: list[NodeDef], feeds: list[str], fetches: list[str], targets: list[str]) -> tuple[Run, Run]:
    fed = dict.fromkeys(feeds, (1, None))
    ways = ParsedNodes(nodes, 21), KeptNodes(stored(nodes), 21)
    parsed, kept = (prune(way, "a run", fed, fetches, targets) for way in ways)
    return parsed, kept


_TENSORS = st.lists(st.sampled_from([f"{name}:{output}" for name in _NAMES for output in (0, 1)]), max_size=2)


@settings(max_examples=15)
@given(_graphs(), _TENSORS, _TENSORS, st.lists(st.sampled_from(_NAMES), max_size=2))
def test_a_run_is_that_of_the_parsed_nodes(nodes, feeds, fetches, targets):
    parsed, kept = _both(nodes, feeds, fetches, targets)
    assert isinstance(kept.graph, StoredGraph) and not parsed.graph.is_stored
    assert (kept.feeds, kept.fetches, kept.targets) == (parsed.feeds, parsed.fetches, parsed.targets)
    assert list(kept.graph.nodes.items()) == list(parsed.graph.nodes.items())
    assert list(kept.graph.wires.items()) == list(parsed.graph.wires.items())
    assert {op: list(names) for op, names in kept.graph.by_op.items()} == parsed.graph.by_op
    assert kept.graph.consumers == parsed.graph.consumers
    assert kept.graph.successors() == parsed.graph.successors()
    assert sorted(on_cycle(kept.graph)) == sorted(on_cycle(parsed.graph))
    for name in (*_NAMES, "n1/fed_0", "gone"):
        assert kept.graph.nodes.get(name) == parsed.graph.nodes.get(name)
        assert (name in kept.graph.nodes) == (name in kept.graph.wires) == (name in parsed.graph.nodes)


_CHAIN = [
    node(line)
    for line in (
        "x = Placeholder() dtype=float32",
        "a = Neg(x) T=float32",
        "b = Neg(a) T=float32",
        "c = Neg(b) T=float32",
        "apart = NoOp()",
    )
]


@pytest.mark.parametrize(("back", "cyclic"), [("NextIteration", []), ("Neg", ["merge", "next", "exit"])])
def test_a_while_loop_is_no_cycle(back, cyclic):
    lines = ("start = Const()", "merge = Merge(start, next)", f"next = {back}(merge)", "exit = Exit(merge)")
    for run in _both([node(line) for line in lines], [], ["exit:0"], []):
        assert list(on_cycle(run.graph)) == cyclic


def test_names_by_op_can_be_sliced():
    nodes = KeptNodes(stored(_CHAIN), None)
    names = nodes.by_op["Neg"]
    assert (len(names), names[-1], list(names[1:])) == (3, "c", ["b", "c"])
    assert list(nodes.by_op) == ["Placeholder", "Neg", "NoOp"]


def test_what_is_needed_says_what_is_cut():
    needed = KeptNodes(stored(_CHAIN), None).needed(["a:0"], ["c:0"])
    assert dict(needed) == {"b": True, "c": False} and len(needed) == 2
    assert needed["b"] is True and "a" not in needed and 0 not in needed
    with pytest.raises(KeyError, match="a"):
        needed["a"]


def test_runs_of_the_same_nodes_share_their_graph():
    nodes = KeptNodes(stored(_CHAIN), None)
    one = prune(nodes, "one", {"x:0": (1, None)}, ("c:0",), ())
    assert prune(nodes, "two", {"x:0": (1, None)}, ("c:0", "a:0"), ()).graph is one.graph
    assert prune(nodes, "three", {"x:0": (1, None)}, ("b:0",), ()).graph is not one.graph


def test_the_nodes_of_several_runs_stand_once():
    nodes = KeptNodes(stored(_CHAIN), None)
    runs = [
        prune(nodes, "fed", {"x:0": (1, None)}, ("b:0",), ()),
        prune(nodes, "the same input", {"x:0": (1, None)}, ("a:0",), ()),
        prune(nodes, "not fed", {}, ("c:0",), ()),
    ]
    rewritten = index([node("a = Neg(x) T=float32"), node("new = NoOp()")])
    found = NeededNodes([*(run.graph for run in runs), rewritten])
    assert sorted(n.name for n in found) == ["a", "b", "c", "new", "x"]
    assert len(found) == 5
    names = NeededNames(found)
    assert sorted(names) == ["a", "b", "c", "new", "x"] and len(names) == 5
    assert "new" in names and "c" in names and "apart" not in names and 0 not in names
    assert node("c = Neg(b) T=float32") in found and "c" not in found
