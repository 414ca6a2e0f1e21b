"""Of which constants a loop's functions have their own."""

from __future__ import annotations

import pytest

from migrate.functional.convert import convert
from migrate.functional.library import Library
from migrate.graph.op_table import load_ref_ops
from migrate.rewrite.engine import Rewritten, rewrite
from tests.rewrite.texts import run

_LARGE = bytes(4096)
_START = [
    "x = Placeholder() dtype=float32 shape=()",
    "w = Const() dtype=float32 value=float32:2",
    "r = Identity(w) T=float32",
]


def _frame(name: str, start: str, w: str, asks: str = "9.0") -> list[str]:
    """The beginning of a loop that takes a constant; what it compares its variable with is another, or that one."""
    return [
        f"{name}_enter = Enter({start}) T=float32 frame_name='{name}' is_constant=false",
        f"{name}_w = Enter({w}) T=float32 frame_name='{name}' is_constant=true",
        f"{name}_a = Merge({name}_enter, {name}_next) N=2 T=float32",
        f"{name}_most = Const(^{name}_a) dtype=float32 value=float32:9.0",
        f"{name}_less = Less({name}_a, {f'{name}_w' if asks == 'w' else f'{name}_most'}) T=float32",
        f"{name}_more = LoopCond({name}_less)",
        f"{name}_switch = Switch({name}_a, {name}_more) T=float32",
    ]


def _end(name: str, result: str) -> list[str]:
    return [f"{name}_next = NextIteration({result}) T=float32", f"{name}_exit = Exit({name}_switch) T=float32"]


def _loop(name: str, start: str, asks: str = "") -> list[str]:
    return [
        *_frame(name, start, "r", asks),
        f"{name}_mul = Mul({name}_switch:1, {name}_w) T=float32",
        *_end(name, f"{name}_mul"),
    ]


def _converted(lines: list[str]) -> tuple[set[str], dict[str, list[str]]]:
    """The nodes outside, and by function the names of its nodes that hold the large constant."""
    asked = run("\n".join(lines))
    for node in asked.graph.nodes.values():
        if node.name == "w":
            node.attr["value"].tensor.ClearField("float_val")
            node.attr["value"].tensor.tensor_content = _LARGE
            node.attr["value"].tensor.tensor_shape.dim.add(size=1024)
    rewritten = rewrite(asked, load_ref_ops())
    assert isinstance(rewritten, Rewritten)
    library = Library(())
    converted = convert(rewritten, library)
    assert converted.finding is None
    held = {
        name: [node.name for node in function.node_def if node.attr["value"].tensor.tensor_content == _LARGE]
        for name, function in library.made.items()
    }
    return set(converted.run.graph.nodes), {name: names for name, names in held.items() if names}


def test_one_that_a_body_alone_takes_is_in_the_body():
    outside, held = _converted([*_START, *_loop("f", "x"), "fetch f_exit:0"])
    assert held == {"f_body": ["f_w"]}
    assert not outside & {"w", "r"}


@pytest.mark.parametrize(
    "lines",
    [
        [*_loop("f", "x", "w"), "fetch f_exit:0"],
        [*_loop("f", "x"), *_loop("g", "f_exit"), "fetch g_exit:0"],
        [*_loop("f", "x"), "fetch f_exit:0", "fetch r:0"],
        [*_loop("f", "x"), "y = Neg(w) T=float32", "fetch f_exit:0", "fetch y:0"],
    ],
    ids=["the condition too", "another loop", "fetched", "taken outside"],
)
def test_a_large_one_that_others_take_too_is_there_once(lines):
    outside, held = _converted([*_START, *lines])
    assert not held
    assert "w" in outside


def test_one_that_a_loop_in_a_loop_alone_takes_is_in_the_inner_body():
    lines = [*_START, *_frame("f", "x", "r"), *_frame("g", "f_switch:1", "f_w")]
    lines += ["mul = Mul(g_switch:1, g_w) T=float32", *_end("g", "mul"), *_end("f", "g_exit"), "fetch f_exit:0"]
    outside, held = _converted(lines)
    assert held == {"g_body": ["g_w"]}
    assert not outside & {"w", "r"}
