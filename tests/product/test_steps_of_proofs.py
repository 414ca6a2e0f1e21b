"""The proof of an ordinary graph takes as many steps as the graph has nodes, whatever machine it runs on."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence

import pytest

from migrate.graph.protos import MetaGraphDef, NodeDef
from migrate.proof import constants
from migrate.proof.loading import Loaded
from migrate.proof.numbering import run
from migrate.proof.pair import Asked, Files, Pair
from migrate.proof.records import PROVED
from migrate.proof.settling import settle
from migrate.proof.shared import Shared
from migrate.proof.source_calls import SourceCalls
from migrate.proof.variables import Variables
from tests.proof import graphs
from tests.proof.graphs import compared, const, handle, node, ref


def _steps(run: Callable[[], object]) -> int:
    """Calls of functions of Python that something makes."""
    count = 0

    def called(frame: object, event: str, argument: object) -> None:
        nonlocal count
        count += event == "call"

    before = sys.getprofile()
    sys.setprofile(called)
    try:
        run()
    finally:
        sys.setprofile(before)
    return count


def _chain(count: int) -> list[NodeDef]:
    return [
        node("Placeholder", "x", dtype="float32"),
        *(node("Neg", f"n{k}", f"n{k - 1}" if k else "x", T="float32") for k in range(count)),
        node("Neg", "out", f"n{count - 1}", T="float32"),
    ]


def _layers(count: int) -> list[NodeDef]:
    """Layers that share what is before them."""
    nodes = [node("Placeholder", "x", dtype="float32"), const("c", 2.0)]
    last = "x"
    for k in range(count):
        nodes += [
            node("Mul", f"m{k}", last, "c", T="float32"),
            node("AddV2", f"a{k}", f"m{k}", last, T="float32"),
        ]
        last = f"a{k}"
    return [*nodes, node("Neg", "out", last, T="float32")]


def _conds(count: int) -> list[NodeDef]:
    """Conds one after another, each by a predicate of its own."""
    nodes = [node("Placeholder", "x", dtype="float32"), const("c", 2.0)]
    last = "x"
    for k in range(count):
        nodes += [
            node("Less", f"p{k}", last, "c", T="float32"),
            node("Switch", f"s{k}", last, f"p{k}", T="float32"),
            node("Neg", f"t{k}", f"s{k}:1", T="float32"),
            node("Exp", f"f{k}", f"s{k}", T="float32"),
            node("Merge", f"m{k}", f"f{k}", f"t{k}", T="float32", N=2),
        ]
        last = f"m{k}"
    return [*nodes, node("Neg", "out", last, T="float32")]


def _reads(count: int, is_source: bool) -> list[NodeDef]:
    """Variables that no call writes."""
    nodes = []
    for k in range(count):
        nodes += [ref(f"v{k}") if is_source else handle(f"v{k}")]
        if is_source:
            nodes.append(node("Identity", f"r{k}", f"v{k}", T="float32"))
        else:
            nodes.append(node("ReadVariableOp", f"r{k}", f"v{k}", dtype="float32"))
    return [*nodes, node("AddN", "out", *(f"r{k}" for k in range(count)), T="float32", N=count)]


@pytest.mark.slow
@pytest.mark.parametrize(
    "made",
    [
        lambda n: (_chain(n), _chain(n)),
        lambda n: (_layers(n), _layers(n)),
        lambda n: (_conds(n), _conds(n)),
        lambda n: (_reads(n, True), _reads(n, False)),
    ],
    ids=["chain", "layers", "conds", "reads"],
)
def test_twice_the_nodes_take_twice_the_steps(
    made: Callable[[int], tuple[Sequence[NodeDef], Sequence[NodeDef]]],
) -> None:
    counts = []
    for size in (100, 200, 400):
        given = made(size)
        counts.append(_steps(lambda given=given: _assert_proved(*given)))
    first, second = counts[1] - counts[0], counts[2] - counts[1]
    assert second < 2.2 * first
    assert counts[2] < _MOST_STEPS * sum(map(len, made(400)))


_MOST_STEPS = 55
"""Calls of functions for each node of both graphs; a million of them take about 0.1 s."""


def _writes(count: int, is_source: bool) -> list[NodeDef]:
    """Variables that a call writes and reads, one after another: two effects for four nodes."""
    nodes = [node("Placeholder", "x", dtype="float32")]
    last = "x"
    for k in range(count):
        if is_source:
            nodes += [
                ref(f"v{k}"),
                node("AssignAdd", f"w{k}", f"v{k}", last, T="float32"),
                node("Neg", f"n{k}", f"w{k}", T="float32"),
            ]
        else:
            nodes += [
                handle(f"v{k}"),
                node("AssignAddVariableOp", f"w{k}", f"v{k}", last, dtype="float32"),
                node("ReadVariableOp", f"r{k}", f"v{k}", f"^w{k}", dtype="float32"),
                node("Neg", f"n{k}", f"r{k}", T="float32"),
            ]
        last = f"n{k}"
    return [*nodes, node("Neg", "out", last, T="float32")]


def test_effects_take_no_more_steps_than_nodes_times_effects() -> None:
    counts = [
        _steps(lambda size=size: _assert_proved(_writes(size, True), _writes(size, False))) for size in (50, 100, 200)
    ]
    # Each variable's accesses are looked at beside each other: of variables that have two each, twice as many take
    # twice the steps; sets of what comes before are numbers.
    assert counts[2] - counts[1] < 2.2 * (counts[1] - counts[0])
    assert counts[2] < 2 * _MOST_STEPS * 7 * 200


def _one_variable(count: int, is_source: bool) -> list[NodeDef]:
    """One variable that is written and read again and again."""
    nodes = [node("Placeholder", "x", dtype="float32"), ref("v") if is_source else handle("v")]
    last = "x"
    for k in range(count):
        if is_source:
            nodes += [
                node("AssignAdd", f"w{k}", "v", last, T="float32"),
                node("Neg", f"n{k}", f"w{k}", T="float32"),
            ]
        else:
            nodes += [
                node("AssignAddVariableOp", f"w{k}", "v", last, dtype="float32"),
                node("ReadVariableOp", f"r{k}", "v", f"^w{k}", dtype="float32"),
                node("Neg", f"n{k}", f"r{k}", T="float32"),
            ]
        last = f"n{k}"
    return [*nodes, node("Neg", "out", last, T="float32")]


def test_one_variable_takes_steps_for_each_two_of_its_effects() -> None:
    counts = [
        _steps(lambda size=size: _assert_proved(_one_variable(size, True), _one_variable(size, False)))
        for size in (40, 80, 160)
    ]
    nodes, effects = 5 * 160, 4 * 160
    assert counts[2] < _MOST_STEPS * nodes + 4 * nodes * effects
    assert counts[2] - counts[1] < 4.4 * (counts[1] - counts[0])


def test_signatures_on_one_graph_take_the_steps_of_one() -> None:
    def numbered(count: int) -> int:
        source = MetaGraphDef()
        source.graph_def.node.extend(_layers(400))
        for key in range(count):
            definition = source.signature_def[f"s{key}"]
            definition.inputs["x"].name, definition.outputs["y"].name = "x:0", "out:0" if key else "a398:0"
        pair = Pair(source, Files(None, ""), source, "/nowhere", Asked({}))
        calls = SourceCalls(Variables(pair, Loaded(pair)))

        def run() -> None:
            for key in source.signature_def:
                settle(calls.call(key, lowers=False).side, calls.call(key, lowers=False).side)

        return _steps(run)

    assert numbered(8) < 1.8 * numbered(2)


def _assert_proved(source: Sequence[NodeDef], candidate: Sequence[NodeDef]) -> None:
    assert compared(source, candidate) == PROVED


def test_a_large_constant_is_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    shared = Shared()
    made = const("c", 0.0)
    tensor = made.attr["value"].tensor
    tensor.float_val[:] = []
    tensor.tensor_content = bytes(4 * 100_000)
    tensor.tensor_shape.dim.add(size=100_000)
    read: list[object] = []
    content = constants.content
    monkeypatch.setattr(constants, "content", lambda proto: (read.append(proto), content(proto))[1])
    model = graphs.model("source", shared, [made, node("Neg", "out", "c", T="float32")])
    for _ in range(3):
        run(graphs.side(model, ["out"])[0])
    assert len(read) == 1
