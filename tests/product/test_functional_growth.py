"""The work on a graph grows with its size: steps are counted, not time."""

from __future__ import annotations

import cProfile
import pstats
from collections.abc import Callable

import pytest

from migrate.functional.convert import convert
from migrate.functional.library import Library
from migrate.graph.op_table import load_ref_ops
from migrate.rewrite.engine import Rewritten, rewrite
from tests.rewrite.texts import run

_INPUTS = ["p = Placeholder() dtype=bool shape=()", "x = Placeholder() dtype=float32 shape=()"]


def _conds(number: int, is_shared: bool) -> str:
    """Conds of one predicate, one after another, which share a Switch or have nothing in common."""
    lines, last = [*_INPUTS, "z = Switch(x, p) T=float32"], "x"
    for k in range(number):
        lines += [
            f"c{k}/pred_id = Identity(p) T=bool",
            f"c{k}/Switch = Switch({last}, {'p' if is_shared else f'c{k}/pred_id'}) T=float32",
            f"c{k}/neg = Neg(c{k}/Switch:1) T=float32",
            f"c{k}/mul = Mul(c{k}/Switch, {'z' if is_shared else f'c{k}/Switch'}) T=float32",
            f"c{k}/Merge = Merge(c{k}/mul, c{k}/neg) N=2 T=float32",
        ]
        last = f"c{k}/Merge"
    return "\n".join([*lines, f"fetch {last}:0"])


def _frame(k: int, start: str) -> list[str]:
    return [
        f"enter{k} = Enter({start}) T=float32 frame_name='frame{k}' is_constant=false",
        f"m{k} = Merge(enter{k}, next{k}) N=2 T=float32",
        f"most{k} = Const(^m{k}) dtype=float32 value=float32:9.0",
        f"less{k} = Less(m{k}, most{k}) T=float32",
        f"more{k} = LoopCond(less{k})",
        f"switch{k} = Switch(m{k}, more{k}) T=float32",
        f"square{k} = Mul(switch{k}:1, switch{k}:1) T=float32",
    ]


def _end(k: int, result: str) -> list[str]:
    return [f"next{k} = NextIteration({result}) T=float32", f"exit{k} = Exit(switch{k}) T=float32"]


def _loops(number: int) -> str:
    """Loops one after another."""
    lines, last = [*_INPUTS], "x"
    for k in range(number):
        lines += [*_frame(k, last), *_end(k, f"square{k}")]
        last = f"exit{k}"
    return "\n".join([*lines, f"fetch {last}:0"])


def _nested(number: int) -> str:
    """Loops within loops."""
    lines, last = [*_INPUTS], "x"
    for k in range(number):
        lines += _frame(k, last)
        last = f"square{k}"
    for k in reversed(range(number)):
        lines += _end(k, last)
        last = f"exit{k}"
    return "\n".join([*lines, f"fetch {last}:0"])


def _arrays(number: int) -> str:
    """Arrays that are written and then read while the next write of them waits."""
    lines, last = [*_INPUTS, "n = Const() dtype=int32 value=int32:2", "i = Const() dtype=int32 value=int32:0"], "x"
    lines.append("j = Const() dtype=int32 value=int32:1")
    for k in range(number):
        lines += [
            f"a{k} = TensorArrayV3(n) dtype=float32 element_shape=() dynamic_size=false",
            f"w{k} = TensorArrayWriteV3(a{k}, i, {last}, a{k}:1) T=float32",
            f"r{k} = TensorArrayReadV3(a{k}, i, w{k}) dtype=float32",
            f"v{k} = TensorArrayWriteV3(a{k}, j, r{k}, w{k}) T=float32",
            f"s{k} = TensorArrayReadV3(a{k}, j, v{k}) dtype=float32",
        ]
        last = f"s{k}"
    # A branch, for without one there is nothing to convert.
    lines += [f"b = Switch({last}, p) T=float32", "c = Neg(b:1) T=float32", "d = Merge(b, c) N=2 T=float32"]
    return "\n".join([*lines, "fetch d:0"])


def _steps(text: str) -> tuple[int, int]:
    """How many calls of functions a conversion takes, and how many functions it makes."""
    rewritten = rewrite(run(text), load_ref_ops())
    assert isinstance(rewritten, Rewritten)
    library = Library(())
    profile = cProfile.Profile()
    converted = profile.runcall(convert, rewritten, library)
    assert converted.finding is None
    return int(pstats.Stats(profile).total_calls), len(library.made)  # type: ignore[attr-defined]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("make", "few", "many"),
    [
        (lambda n: _conds(n, False), 50, 400),
        (lambda n: _conds(n, True), 50, 400),
        (_loops, 25, 200),
        (_nested, 2, 16),
        (_arrays, 25, 200),
    ],
    ids=["conds", "conds that share a Switch", "loops", "nested loops", "arrays"],
)
def test_steps(make: Callable[[int], str], few: int, many: int) -> None:
    _steps(make(few))  # What is read once is read here.
    (small, functions), (large, more) = _steps(make(few)), _steps(make(many))
    assert (functions, more) == ((2, 2) if make is _arrays else (2 * few, 2 * many))
    assert large < 1.3 * many / few * small
