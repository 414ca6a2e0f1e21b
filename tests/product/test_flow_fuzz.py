"""Property: loops and conds of a random TF1 program answer, leave states and differentiate as TF1's in both new forms.

EXAMPLES in the environment says how many programs are drawn (`make fuzz-flow EXAMPLES=1000`), from the seed on at which
the last such run has ended (docs/fuzz-flow.json); without it the same few are drawn every time.
"""

from __future__ import annotations

import collections
import json
import os
import pathlib
import time
from typing import Any

import pytest

pytestmark = [pytest.mark.tensorflow, pytest.mark.slow, pytest.mark.timeout(0)]

tf = pytest.importorskip("tensorflow")
hypothesis = pytest.importorskip("hypothesis")

from tests.rewrite import flow_packs, flow_programs  # noqa: E402
from tests.rewrite.fuzz_counts import earlier  # noqa: E402

EXAMPLES = int(os.environ.get("EXAMPLES", "0"))
COUNTS = pathlib.Path(__file__).parents[2] / "docs" / "fuzz-flow.json"
ALLOWED = frozenset({"aliased-buffer-undecided"})
"""Refusals that a program may meet; they must stay rare."""
COUNTED = frozenset(
    {"programs", "equal", "outputs", "outputs not proved", "gradients equal", "control-flow-kept", "tensor-array-kept"}
)
"""What is counted of programs that are not refused."""


def drawn(examples: int, seed: int) -> list[flow_programs.Program]:
    """Programs, always the same for a seed."""
    found: list[flow_programs.Program] = []

    @hypothesis.seed(seed)
    @hypothesis.settings(
        max_examples=examples, database=None, deadline=None, suppress_health_check=list(hypothesis.HealthCheck)
    )
    @hypothesis.given(flow_programs.programs())
    def each(program: flow_programs.Program) -> None:
        found.append(program)

    each()
    return found


def compared(pack: list[flow_programs.Program]) -> tuple[collections.Counter[str], list[str]]:
    """Counts of what became of some programs, and what differs."""
    try:
        outcomes = flow_packs.outcomes(pack)
    except AssertionError as error:
        if len(pack) == 1:
            return collections.Counter(programs=1, differ=1), [f"{pack[0]}\n{error}"]
        parts = [compared([program]) for program in pack]
        return sum((one for one, _ in parts), collections.Counter()), [text for _, texts in parts for text in texts]
    counts: collections.Counter[str] = collections.Counter(programs=len(pack))
    for found in outcomes:
        counts[found.code] += 1
        counts["gradients equal"] += found.gradients
        counts["outputs"] += found.outputs
        counts["outputs not proved"] += len(found.not_proved)
        counts.update(found.kept)
    return counts, []


def so_far() -> dict[str, Any]:
    """What earlier runs have counted."""
    return earlier(COUNTS, flow_programs, {"counts": {}})


def test_random_loops_and_conds() -> None:
    if not EXAMPLES:
        counts, differ = compared(drawn(10, 0))
        assert not differ, "\n".join(differ)
        assert counts["equal"] >= 8 and counts["gradients equal"], counts
        assert set(counts) - COUNTED <= ALLOWED, counts
        return
    asked = 0
    while asked < EXAMPLES:
        known = so_far()
        counts, differ = compared(drawn(flow_packs.SIZE, known["next_seed"]))
        for text in differ:
            print(text, flush=True)
        if differ:
            known["again"] = sorted({*known["again"], known["next_seed"]})
        known["counts"] = dict(sorted((collections.Counter(known["counts"]) + counts).items()))
        known["next_seed"] += 1
        asked += counts["programs"]
        COUNTS.write_text(json.dumps(known, indent=1) + "\n", encoding="utf-8")
        print(time.strftime("%H:%M:%S"), known, flush=True)
    assert not so_far()["again"], "programs of these seeds differ"
