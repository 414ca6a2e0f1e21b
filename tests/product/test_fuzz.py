"""Property: a converted random TF1 program gives a v1 Session's answers, bit for bit, over several calls.

Each is proved as well: it is counted how much, and why not.

EXAMPLES in the environment says how many programs are drawn (`make fuzz EXAMPLES=5000`), from the seed on at which the
last such run has ended (docs/fuzz.json); without it the same few are drawn every time. A run goes on after a program
that differs, and the next one draws it again first.
"""

from __future__ import annotations

import collections
import dataclasses
import json
import os
import pathlib
import sys
import time
import traceback
from collections.abc import Callable
from typing import Any

import pytest

pytestmark = [pytest.mark.tensorflow, pytest.mark.slow]

tf = pytest.importorskip("tensorflow")
hypothesis = pytest.importorskip("hypothesis")

from tests.rewrite import programs  # noqa: E402
from tests.rewrite.fuzz_counts import earlier  # noqa: E402
from tests.rewrite.packs import SIZE, Outcome, outcomes  # noqa: E402
from tests.rewrite.programs import Compute, Cond, Loop, Program, Read, Write  # noqa: E402

EXAMPLES = int(os.environ.get("EXAMPLES", "0"))
BATCH = 100
"""Programs of one seed."""
COUNTS = pathlib.Path(__file__).parents[2] / "docs" / "fuzz.json"

ALLOWED = frozenset({"aliased-buffer-undecided", "reshape-in-control-flow"})
"""Refusals that a program may meet; they must stay rare."""


@dataclasses.dataclass(frozen=True)
class Found:
    """A program that the property test has shrunk, and what was wrong.

    Attributes:
      what: what the rewrite did.
      program: the program.
      outcome: what it gives now: `equal` or the code of a refusal.
    """

    what: str
    program: programs.Program
    outcome: str = "equal"


FOUND = {
    "a scatter of the rows that it writes": Found(
        "ScatterAdd(v, rows, v) read rows in TF1 that it had changed already, and a copy in the new graph; such a "
        "write is refused now.",
        Program(
            (("float32", 0),),
            (Read(0, "ref"), Write("ScatterAdd", 0, 0, False)),
            ((0,),),
            False,
            ((0, (-2.0, -2.0)), (0, (0.5, 3.0))),
        ),
        "aliased-buffer-undecided",
    ),
    "an alias that may be a value enters a loop beside a write": Found(
        "What a cond gave entered a loop, which waited for a write; the Enter did not, and took the value from before "
        "it. A write that no edge orders with the place where a value is taken counts as one between, now.",
        Program(
            (("float32", 0),),
            (
                Read(0, "ref"),
                Cond(0, (), (), (0, 0), (False, True)),
                Write("AssignAdd", 0, 0, False),
                Loop(1, 0, (Compute("add", 0, 22),), 0, (False, False)),
            ),
            ((0,),),
            False,
            ((0, (-2.0, -2.0)), (0, (-2.0, -2.0)), (0, (-2.0, -2.0))),
        ),
        "aliased-buffer-undecided",
    ),
    "a reshape in a loop whose condition waits for it": Found(
        "TensorFlow infers the shapes of a function's body in an order that depends on addresses, and about one time "
        "in eight fails on this one (`Missing src context`), when the function is called in a graph or loaded by a v1 "
        "Session; `_disable_call_shape_inference` on the call keeps it from that.",
        Program(
            (("int32", 1), ("float64", 1), ("int32", 1)),
            (
                Read(8, "reshape"),
                Cond(
                    34,
                    (
                        Loop(0, 26, (Write("ScatterSub", 0, 0, False),), 0, (True, False)),
                        Write("StridedSliceAssign", 0, 30, False),
                    ),
                    (),
                    (17, 10),
                    (True, True),
                ),
                Write("AssignSub", 20, 0, True),
                Write("AssignSub", 32, 38, True),
                Write("ScatterNdUpdate", 39, 20, False),
                Write("AssignSub", 0, 5, True),
                Write("Assign", 4, 0, True),
                Read(0, "ref"),
                Read(0, "ref"),
            ),
            ((16,), (16,)),
            False,
            ((0, (-2.0, -2.0)), (0, (3.0, 0.0)), (1, (0.5, -2.0)), (2, (3.0, 0.0))),
        ),
    ),
}


def outcome(program: Program, functional: bool = False) -> str:
    """Runs both sides of a program: `equal`, or the code of its refusal."""
    (found,) = outcomes([program], ALLOWED, functional)
    return found.code


@dataclasses.dataclass
class Counts:
    """What became of some programs.

    Attributes:
      codes: how many ended how.
      programs: how many were converted and looked at by the proof.
      whole: of how many of those all is proved.
      outputs: how many outputs they have, with what a call leaves behind as one for each signature.
      not_proved: how many of those are not proved, by the reason.
    """

    codes: collections.Counter[str] = dataclasses.field(default_factory=collections.Counter)
    programs: int = 0
    whole: int = 0
    outputs: int = 0
    not_proved: collections.Counter[str] = dataclasses.field(default_factory=collections.Counter)

    def add(self, found: Outcome) -> None:
        """Counts one program."""
        self.codes[found.code] += 1
        self.programs += bool(found.outputs)
        self.whole += bool(found.outputs) and not found.not_proved
        self.outputs += found.outputs
        self.not_proved.update(found.not_proved)

    def add_to(self, known: dict[str, Any]) -> None:
        """Adds to the counts of earlier runs."""
        for code, number in self.codes.items():
            known[code] = known.get(code, 0) + number
        known["graphs"] += sum(self.codes.values())
        proof = known.setdefault("proof", {"programs": 0, "whole": 0, "outputs": 0, "proved": 0, "not_proved": {}})
        proof["programs"] += self.programs
        proof["whole"] += self.whole
        proof["outputs"] += self.outputs
        proof["proved"] += self.outputs - sum(self.not_proved.values())
        reasons = collections.Counter(proof["not_proved"]) + self.not_proved
        proof["not_proved"] = dict(sorted(reasons.items(), key=lambda item: (-item[1], item[0])))


def check(examples: int, seed: int | None, functional: bool = False) -> Counts:
    """Draws programs and counts their outcomes; without a seed always the same.

    Raises:
      AssertionError: some differ; with SHRINK in the environment Hypothesis shrinks the first of them.
    """

    def draw(visit: Callable[[Program], object]) -> None:
        @hypothesis.settings(
            max_examples=examples,
            derandomize=seed is None,
            database=None,
            deadline=None,
            suppress_health_check=list(hypothesis.HealthCheck),
            print_blob=False,
        )
        @hypothesis.given(programs.programs())
        def each(program: Program) -> None:
            visit(program)

        (each if seed is None else hypothesis.seed(seed)(each))()

    if "SHRINK" in os.environ:
        draw(lambda program: outcome(program, functional))
    drawn: list[Program] = []
    draw(drawn.append)
    counts = Counts()
    differ = []
    for start in range(0, len(drawn), SIZE):
        pack = drawn[start : start + SIZE]
        try:
            for found in outcomes(pack, ALLOWED, functional):
                counts.add(found)
        except AssertionError as together:
            alone = [(program, error) for program in pack if (error := _error(program, functional)) is not None]
            differ += alone or [(pack, together)]
    assert not differ, "\n".join(f"{program}\n{error}" for program, error in differ)
    return counts


def _error(program: Program, functional: bool) -> AssertionError | None:
    try:
        outcome(program, functional)
    except AssertionError as error:
        return error
    return None


def so_far() -> dict[str, Any]:
    """What earlier runs have counted."""
    return earlier(COUNTS, programs, {"graphs": 0})


@pytest.mark.timeout(0)
def test_random_programs() -> None:
    if not EXAMPLES:
        counts = check(30, None)
        assert counts.codes["equal"] > 0.7 * sum(counts.codes.values())
        # How many are proved differs from draw to draw (docs/fuzz.json counts it); here the proof is shown to be asked.
        assert counts.programs == counts.codes["equal"] and counts.whole, counts
        return
    drawn = 0
    failed = so_far()["again"]
    while drawn < EXAMPLES:
        known = so_far()
        seed = failed.pop(0) if failed else known["next_seed"]
        try:
            counts = check(BATCH, seed)
        except AssertionError:
            traceback.print_exc(file=sys.stdout)
            known["again"] = sorted({*known["again"], seed})
            drawn += BATCH
        else:
            known["again"] = [number for number in known["again"] if number != seed]
            counts.add_to(known)
            drawn += sum(counts.codes.values())
        known["next_seed"] = max(known["next_seed"], seed + 1)
        print(time.strftime("%H:%M:%S"), known, flush=True)
        COUNTS.write_text(json.dumps(known, indent=1) + "\n", encoding="utf-8")
    known = so_far()
    assert not known["again"], "programs of these seeds differ"
    assert known["equal"] > 0.7 * known["graphs"]


@pytest.mark.timeout(0)
def test_random_programs_with_functional_control_flow() -> None:
    counts = check(30, None, functional=True)
    assert counts.codes["equal"] > 0.7 * sum(counts.codes.values())


@pytest.mark.parametrize("functional", [False, True])
@pytest.mark.parametrize("name", FOUND)
def test_found(name: str, functional: bool) -> None:
    assert outcome(FOUND[name].program, functional) == FOUND[name].outcome
