from __future__ import annotations

from collections.abc import Sequence

import pytest

from migrate.graph.graph import index
from migrate.graph.protos import FunctionDef
from migrate.records import Severity
from migrate.rewrite.shared_draws import Drawn, finding, shared_draws
from tests.rewrite.texts import function, node

_PLAIN = "x = Placeholder()\ny = Neg(x)\n"


def _drawn(functions: Sequence[FunctionDef] = (), **texts: str) -> tuple[Drawn, ...]:
    """Of signatures with the outputs `y` and `z`."""
    graphs = {key: index(map(node, text.splitlines())) for key, text in texts.items()}
    outputs = {key: {name: [f"{name}:0"] for name in "yz" if name in graph.nodes} for key, graph in graphs.items()}
    return shared_draws(graphs, outputs, functions)


@pytest.mark.parametrize(
    "line", ["z = Neg(x)", "z = RandomUniform(x)", "z = RandomUniform(x) seed=0 seed2=0", "z = Neg(x) seed=3"]
)
def test_what_draws_from_no_sequence_of_its_own_is_not_shared(line):
    assert _drawn(a=_PLAIN + line, b=_PLAIN + line) == ()


@pytest.mark.parametrize("seed", ["seed=3", "seed2=3"])
def test_outputs_behind_a_seeded_op_of_several_signatures(seed):
    draws = _PLAIN + f"noise = RandomUniform(x) {seed}\nz = Mul(noise, x)"
    assert _drawn(a=draws, b=_PLAIN) == ()
    assert _drawn(a=draws, b=_PLAIN, c=draws) == (Drawn("a", "z", "noise"), Drawn("c", "z", "noise"))
    waits = _PLAIN + f"noise = RandomUniform(x) {seed}\nz = Neg(x, ^noise)"
    assert _drawn(a=waits, b=draws) == (Drawn("a", "z", "noise"), Drawn("b", "z", "noise"))


def test_two_nodes_are_two_sequences():
    first, second = (_PLAIN + f"z = RandomUniform(x) seed=3\n{name} = NoOp()" for name in ("a", "b"))
    assert len(_drawn(a=first, b=second)) == 2
    assert _drawn(a=first, b=second.replace("z =", "other =")) == ()


@pytest.mark.parametrize("call", ["z = f(x)", "z = PartitionedCall/f(x)"])
def test_a_call_of_a_function_in_which_one_is_seeded(call):
    inner = function("g", "x", "noise = RandomUniform(x) seed=3", y="noise:output:0")
    outer = function("f", "x", "call = g(x)", y="call:output:0")
    found = _drawn([outer, inner], a=_PLAIN + call, b=_PLAIN + call)
    assert found == (Drawn("a", "z", "z"), Drawn("b", "z", "z"))
    unseeded = function("g", "x", "noise = RandomUniform(x)", y="noise:output:0")
    assert _drawn([outer, unseeded], a=_PLAIN + call, b=_PLAIN + call) == ()


def test_one_warning_names_all():
    assert finding(()) is None
    found = finding([Drawn("a", "y", "n"), Drawn("a", "z", "m"), Drawn("b", "y", "n")])
    assert found is not None and (found.code, found.severity) == ("random-op-shared", Severity.WARNING)
    assert found.nodes == ("n", "m") and found.message.startswith("the signatures 'a', 'b' draw from one")
