"""Random ops of a source, and those of a new model that stand for them. No TensorFlow."""

from __future__ import annotations

import pytest

from migrate.graph.op_table import load_op_table
from migrate.graph.protos import MetaGraphDef
from migrate.verify.calls import Draw
from migrate.verify.seeds import Reach, drawn, give_matched_seeds, give_seeds, match, seeded_ops, seeds_of
from tests.verify.nodes import add_node


def _graph(*nodes, functions=(), **outputs):
    """A MetaGraphDef with one signature, `s`; nodes are (name, op, inputs..., {attributes})."""
    graph = MetaGraphDef()
    for parts, target in [(nodes, graph.graph_def.node)] + [(body, _body(graph, name)) for name, *body in functions]:
        for name, op, *rest in parts:
            attrs = rest.pop() if rest and isinstance(rest[-1], dict) else {}
            add_node(target, name, op, *rest, **attrs)
    for name, tensor in outputs.items():
        graph.signature_def["s"].outputs[name].name = tensor
    return graph


def _body(graph, name):
    function = graph.graph_def.library.function.add()
    function.signature.name = name
    return function.node_def


def _drawn(graph, varying=("y",), fed=(), **outputs):
    return drawn(graph, outputs or {"y": "y:0"}, fed, varying)


_DRAW = ("draw", "RandomUniform", "shape")
_Y = ("y", "Add", "x", "draw")


def test_an_op_that_draws_is_behind_the_output():
    draws, outputs = _drawn(_graph(("x", "Placeholder"), _DRAW, _Y))
    assert outputs == {"y": (0,)}
    (draw,) = draws
    assert (draw.op, draw.node, draw.path, (draw.seed, draw.seed2)) == (
        "RandomUniform",
        "draw",
        "draw",
        seeds_of("draw"),
    )


@pytest.mark.parametrize(
    "graph",
    [
        _graph(("y", "Add", "x", "x"), ("x", "Placeholder")),
        _graph(("x", "RandomShuffleQueueV2"), _DRAW, _Y),
        _graph(("x", "StatefulUniform"), _DRAW, _Y),
        _graph(("x", "FractionalMaxPool"), _DRAW, _Y),
        _graph(("x", "ShuffleDataset"), _DRAW, _Y),
        _graph(("x", "MyOwnOp"), _DRAW, _Y),
        _graph(("x", "PyFunc"), _DRAW, _Y),
        _graph(
            ("x", "Placeholder"), ("draw", "f"), ("again", "f", "draw"), ("y", "Add", "again"), functions=[("f", _DRAW)]
        ),
        _graph(
            ("x", "Placeholder"),
            ("draw", "PartitionedCall", {"f": "g"}),
            ("y", "Add", "draw"),
            functions=[("f", _DRAW), ("g", ("a", "f"), ("b", "f"))],
        ),
    ],
    ids=[
        "nothing",
        "queue",
        "generator",
        "pooling",
        "dataset",
        "unknown",
        "python",
        "called twice",
        "twice in another",
    ],
)
def test_what_is_not_compared_under_seeds(graph):
    assert _drawn(graph)[1] == {}


def test_what_answers_alike_in_each_load_is_left_out_unless_signatures_may_share_its_sequence():
    assert _drawn(_graph(("x", "Placeholder"), _DRAW, _Y), varying=())[1] == {}
    seeded = ("draw", "RandomUniform", {"seed": 3})
    assert _drawn(_graph(("x", "Placeholder"), seeded, _Y), varying=())[1] == {"y": (0,)}


def test_loading_that_draws_leaves_out_all():
    graph = _graph(("x", "Placeholder"), _DRAW, _Y, ("init", "Assign", "v", "draw"))
    graph.signature_def["__saved_model_init_op"].outputs["__saved_model_init_op"].name = "init"
    assert _drawn(graph) == ((), {})


def test_what_is_behind_a_tensor_that_a_call_gives_is_not_run():
    assert _drawn(_graph(("x", "StatefulUniform"), _DRAW, _Y), fed=["x:0"])[1] == {"y": (0,)}


def test_outputs_name_the_ops_behind_each():
    graph = _graph(_DRAW, ("other", "RandomGamma"), ("y", "Add", "draw"), ("z", "Add", "other", "draw"))
    draws, outputs = _drawn(graph, ("y", "z"), y="y:0", z="z:0")
    assert {name: {draws[n].node for n in numbers} for name, numbers in outputs.items()} == {
        "y": {"draw"},
        "z": {"draw", "other"},
    }


def test_in_a_function_an_op_goes_by_its_own_name_and_by_its_path():
    graph = _graph(("call", "f"), ("y", "Add", "call"), functions=[("f", _DRAW)])
    (draw,), _ = _drawn(graph)
    assert (draw.node, draw.path) == ("draw", "call/draw")
    assert (draw.seed, draw.seed2) == seeds_of("f/draw") != seeds_of("draw")


def test_seeds_are_two_numbers_that_are_not_zero_and_differ_by_name():
    found = [seeds_of(f"node_{number}") for number in range(1000)]
    assert len(set(found)) == 1000
    assert all(0 < seed < 2**31 for pair in found for seed in pair)


def test_a_source_is_given_seeds_and_loops_of_one_step_at_a_time():
    graph = _graph(
        _DRAW,
        ("queue", "RandomShuffleQueueV2", {"seed": 5}),
        ("enter", "Enter", {"parallel_iterations": 10}),
        functions=[("f", _DRAW, ("while", "While", {"parallel_iterations": 10}))],
    )
    give_seeds(graph)
    nodes = {node.name: node for node in graph.graph_def.node}
    body = {node.name: node for node in graph.graph_def.library.function[0].node_def}
    assert (nodes["draw"].attr["seed"].i, nodes["draw"].attr["seed2"].i) == seeds_of("draw")
    assert (body["draw"].attr["seed"].i, body["draw"].attr["seed2"].i) == seeds_of("f/draw")
    assert nodes["queue"].attr["seed"].i == 5
    assert nodes["enter"].attr["parallel_iterations"].i == body["while"].attr["parallel_iterations"].i == 1


def _draw(node, op="RandomUniform", path="", seed=1):
    return Draw(op, node, path or node, seed, seed + 1)


def _candidate(*bodies):
    """A new model: the signature's function calls another one that has the nodes."""
    return _graph(
        ("call", "StatefulPartitionedCall", {"f": "wrapper"}),
        functions=[("wrapper", ("call", "StatefulPartitionedCall", {"f": "inner"})), ("inner", *bodies)],
        y="call:0",
    )


@pytest.mark.parametrize(
    ("draws", "bodies", "pairs", "missing", "extra"),
    [
        ([_draw("a")], [("a", "RandomUniform")], {"a": 0}, (), ()),
        (
            [_draw("a"), _draw("b", seed=5)],
            [("b", "RandomUniform"), ("a", "RandomUniform")],
            {"a": 0, "b": 1},
            (),
            (),
        ),
        ([_draw("a")], [("other", "RandomUniform")], {"other": 0}, (), ()),
        (
            [_draw("a"), _draw("b", seed=5)],
            [("a", "RandomUniform"), ("other", "RandomUniform")],
            {"a": 0, "other": 1},
            (),
            (),
        ),
        ([_draw("a", path="call/a")], [("call/a", "RandomUniform"), ("a", "RandomGamma")], {"call/a": 0}, (), ("a",)),
        ([_draw("a")], [("a", "RandomStandardNormal")], {}, (0,), ("a",)),
        ([_draw("a")], [("no", "NoOp")], {}, (0,), ()),
        ([_draw("a")], [("a", "RandomUniform"), ("b", "RandomUniform")], {"a": 0}, (), ("b",)),
        ([_draw("a"), _draw("b")], [("c", "RandomUniform"), ("d", "RandomUniform")], {}, (0, 1), ("c", "d")),
        ([_draw("a")], [("a", "RandomUniform"), ("queue", "RandomShuffleQueueV2")], {"a": 0}, (), ("queue",)),
    ],
    ids=["name", "names", "kind", "name then kind", "path", "other op", "none", "more", "unclear", "queue"],
)
def test_ops_of_a_new_model_stand_for_those_of_the_source(draws, bodies, pairs, missing, extra):
    graph = _candidate(*bodies)
    found = match(graph, "s", draws)
    assert found.seeds == {("inner", name): (draws[n].seed, draws[n].seed2) for name, n in pairs.items()}
    assert found.missing == missing
    assert found.extra == tuple(f"call/call/{name}" for name in extra)
    give_matched_seeds(graph, found)
    for node in graph.graph_def.library.function[1].node_def:
        wanted = draws[pairs[node.name]].seed if node.name in pairs else 0
        assert node.attr["seed"].i == wanted


def test_a_signature_that_is_not_there_has_no_ops():
    assert match(_candidate(("a", "RandomUniform")), "other", [_draw("a")]).missing == (0,)


def test_functions_that_call_each_other_are_walked_once():
    graph = _graph(("y", "f"), functions=[("f", _DRAW, ("g", "g")), ("g", ("f", "f"))])
    (site,) = Reach(graph).sites(["y:0"])
    assert not site.is_single


def test_all_ops_of_the_table_are_known_to_draw():
    assert len(seeded_ops()) > 15
    assert {load_op_table()[op].effect for op in seeded_ops()} == {"random"}


@pytest.mark.tensorflow
def test_the_table_is_that_of_the_registry():
    from tools.make_seeded_ops import seeded_ops as of_the_registry

    assert sorted(seeded_ops()) == of_the_registry()
