from __future__ import annotations

import weakref

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from migrate.graph.dtypes import dtype_value
from migrate.graph.graph import (
    Graph,
    ParsedNodes,
    as_input,
    canonical,
    control_inputs,
    dangling,
    data_inputs,
    graph_def,
    index,
    input_nodes,
    is_output,
    prune,
    reach,
    remembered,
    split,
    unique_name,
    wire,
)
from migrate.graph.nodes import read_nodes
from migrate.graph.protos import MetaGraphDef, NodeDef, TensorShapeProto
from tests.rewrite.texts import node, shown

_FLOAT = dtype_value("float32")
_LINES = (
    "x = Placeholder() dtype=float32",
    "z = Placeholder() dtype=float32",
    "h = Mul(x, z) T=float32",
    "parts = Unpack(h) num=2",
    "y = Neg(parts:1, ^x, ^z) T=float32",
    "effect = NoOp(^h)",
    "apart = NoOp()",
)
_SHAPE = TensorShapeProto(dim=[TensorShapeProto.Dim(size=2)])


def _nodes() -> ParsedNodes:
    return ParsedNodes(map(node, _LINES))


@pytest.mark.parametrize(
    ("tensor", "parts"),
    [("a", ("a", 0)), ("a:0", ("a", 0)), ("s/a:12", ("s/a", 12)), ("a:", ("a", -1)), ("a:-1", ("a", -1)),
     ("a:x", ("a", -1)), ("a:b:0", ("a", -1)), ("a:٣", ("a", -1)), ("a:9999999999", ("a", -1))],
)  # fmt: skip
def test_a_tensor_is_split_into_node_and_output(tensor, parts):
    assert split(tensor) == parts


@settings(max_examples=15)
@given(st.text("a/_:0^", min_size=1, max_size=4), st.integers(0, 10**9 - 1))
def test_a_written_output_is_one_and_its_short_form_names_the_same(name, output):
    name = name.replace(":", ".")
    assert is_output(str(output)) and split(f"{name}:{output}") == (name, output)
    short = as_input(f"{name}:{output}")
    assert split(short) == (name, output) and (":" in short) == bool(output)
    assert canonical(short) == f"{name}:{output}"


def test_inputs_of_a_node():
    made = NodeDef(name="n", op="Op", input=["a", "b:1", "^c", "d:0", "^a"])
    assert data_inputs(made) == ["a:0", "b:1", "d:0"]
    assert control_inputs(made) == ["c", "a"]
    assert list(input_nodes(made)) == ["a", "b", "c", "d", "a"]
    known = wire(made)
    assert (known.op, known.data, known.sources) == ("Op", ("a:0", "b:1", "d:0"), ("a", "b", "d"))
    assert (known.controls, known.behind) == (("c", "a"), ("a", "b", "d", "c", "a"))


@pytest.mark.parametrize(
    ("inputs", "is_short", "is_sound"),
    [
        (["a", "b:1", "^c"], True, True),
        (["a:0"], False, True),
        (["^c", "a"], False, True),
        (["a:", "b"], True, False),
        (["a:x"], True, False),
    ],
)
def test_how_inputs_are_written(inputs, is_short, is_sound):
    known = wire(NodeDef(input=inputs))
    assert (known.is_short, known.is_sound) == (is_short, is_sound)


def test_an_index_says_how_nodes_hang_together():
    graph = index(map(node, _LINES))
    assert graph.consumers["h:0"] == [("parts", 0)] and graph.consumers["parts:1"] == [("y", 0)]
    assert "parts:0" not in graph.consumers
    assert (graph.by_op["Placeholder"], list(graph.named({"NoOp", "Neg"}))) == (["x", "z"], ["y", "effect", "apart"])
    assert graph.has({"Unpack", "Gone"}) and not graph.has({"Gone"})
    assert graph.predecessors()["y"] == {"parts", "x", "z"}
    assert graph.successors()["h"] == {"parts", "effect"} and graph.successors()["y"] == set()
    assert shown(graph_def(graph).node) == "\n".join(_LINES)


def test_an_index_reads_again_only_what_changed():
    before = index(map(node, _LINES))
    changed = {**before.nodes, "y": node("y = Abs(h) T=float32")}
    after = index(changed.values(), before)
    assert after.wires["h"] is before.wires["h"]
    assert (after.wires["y"].op, before.wires["y"].op) == ("Abs", "Neg")


def test_an_input_that_nothing_gives_dangles():
    assert dangling(index(map(node, _LINES))) == []
    extra = ("a = Neg(gone)", "b = NoOp(^gone)", "c = Neg(h:x)", "d = Neg(h:7)")
    assert dangling(index(map(node, (*_LINES, *extra)))) == ["a", "b", "c"]


def test_a_run_is_what_fetches_and_targets_need():
    run = prune(_nodes(), "a key", {}, ("y:0",), ())
    assert list(run.graph.nodes) == ["x", "z", "h", "parts", "y"]
    assert (run.key, run.feeds, run.fetches, run.targets) == ("a key", {}, ("y:0",), ())
    assert list(prune(_nodes(), "", {}, (), ("effect",)).graph.nodes) == ["x", "z", "h", "effect"]
    assert list(prune(_nodes(), "", {}, ("x:0", "gone:0"), ()).graph.nodes) == ["x"]


def test_a_run_is_cut_at_what_is_fed():
    nodes = _nodes()
    run = prune(nodes, "", {"x:0": (_FLOAT, None), "parts:1": (_FLOAT, _SHAPE)}, ("y:0",), ())
    assert run.feeds == {"x:0": "x", "parts:1": "parts/fed_1"}
    assert shown(run.graph.nodes.values()).splitlines() == [
        "x = Placeholder() dtype=float32 shape=(...)",
        "parts/fed_1 = Placeholder() dtype=float32 shape=(2)",
        "z = Placeholder() dtype=float32",
        "y = Neg(parts/fed_1, ^z) T=float32",
    ]
    assert shown(nodes.values()) == "\n".join(_LINES)


def test_a_name_that_a_feed_would_get_is_not_taken_twice():
    nodes = ParsedNodes(map(node, (*_LINES, "h/fed_0 = NoOp()")))
    run = prune(nodes, "", {"h:0": (_FLOAT, None)}, ("parts:0",), ("h/fed_0",))
    assert run.feeds == {"h:0": "h/fed_0_1"}
    assert run.graph.wires["parts"].data == ("h/fed_0_1:0",)


def test_runs_of_the_same_nodes_share_their_graph_while_it_lives():
    nodes = _nodes()
    feeds = {"x:0": (_FLOAT, _SHAPE)}
    one = prune(nodes, "one", feeds, ("y:0",), ())
    assert prune(nodes, "two", feeds, ("y:0", "h:0"), ()).graph is one.graph
    assert prune(nodes, "three", {"x:0": (_FLOAT, None)}, ("y:0",), ()).graph is not one.graph
    graph = weakref.ref(one.graph)
    del one
    assert graph() is None and not nodes.graphs


def test_an_answer_is_worked_out_once_for_each_graph():
    asked = []

    @remembered
    def count(graph: Graph) -> int:
        asked.append(graph)
        return len(graph.nodes)

    first, second = index(map(node, _LINES)), index(map(node, _LINES[:2]))
    assert [count(first), count(first), count(second)] == [7, 7, 2]
    assert asked == [first, second] and first != index(first.nodes.values())


def test_a_name_is_made_unique():
    assert unique_name("a", {"b"}) == "a"
    assert unique_name("a", {"a", "a_1", "a_3"}) == "a_2"


def test_marked_nodes_are_reached_through_loops():
    steps = {"a": ["d"], "b": ["a"], "c": ["b"], "d": ["c"]}
    assert reach(steps, "abcd", {"c": 1}, has_loops=True) == dict.fromkeys("abcd", 1)
    assert reach(steps, "abcd", {"c": 1}, has_loops=False) == {"a": 0, "b": 0, "c": 0, "d": 1}
    assert reach({"a": [], "b": ["a"], "c": ["b", "gone"]}, "abc", {"a": 1, "b": 2}, False) == {"a": 0, "b": 1, "c": 3}


def test_of_several_nodes_of_a_name_the_last_is_read():
    meta_graph = MetaGraphDef()
    meta_graph.graph_def.versions.producer = 21
    meta_graph.graph_def.node.extend([NodeDef(name="a", op="Neg"), NodeDef(name="b"), NodeDef(name="a", op="Abs")])
    nodes = read_nodes(meta_graph)
    assert (list(nodes), nodes["a"].op, nodes.producer) == (["a", "b"], "Abs", 21)
    assert nodes.wire("a") is nodes.wire("a")
