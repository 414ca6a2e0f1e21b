"""Property: loops and conds of a random TF1 program answer, leave states and differentiate as TF1's in both new forms.

EXAMPLES in the environment says how many programs are drawn (`make fuzz-flow EXAMPLES=1000`), from the seed on at which
the last such run has ended (docs/fuzz-flow.json); JOBS says how many processes compare them. Without EXAMPLES the same
few are drawn every time.
"""

from __future__ import annotations

import collections
import concurrent.futures
import json
import multiprocessing
import os
import pathlib
import time
from collections.abc import Iterable
from typing import Any

import pytest

pytestmark = [pytest.mark.tensorflow, pytest.mark.slow, pytest.mark.timeout(0)]

tf = pytest.importorskip("tensorflow")
hypothesis = pytest.importorskip("hypothesis")

from tests.rewrite import flow_packs, flow_programs  # noqa: E402
from tests.rewrite.fuzz_counts import earlier  # noqa: E402

EXAMPLES = int(os.environ.get("EXAMPLES", "0"))
JOBS = int(os.environ.get("JOBS", "1"))
COUNTS = pathlib.Path(__file__).parents[2] / "docs" / "fuzz-flow.json"
ALLOWED = frozenset({"aliased-buffer-undecided"})
"""Refusals that a program may meet; they must stay rare."""
DRAWN = 20
"""Programs of a seed."""
COUNTED = frozenset(
    {
        "programs",
        "in the v1 form too",
        "equal",
        "outputs",
        "outputs not proved",
        "gradients equal",
        "control-flow-kept",
        "tensor-array-kept",
    }
)
"""What is counted of programs that are not refused."""
WHY = "not proved, "
"""What the count of a reason begins with for which outputs are not proved, before the form."""


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


def of_seed(seed: int) -> tuple[collections.Counter[str], list[str]]:
    """The same for the programs of a seed; the first are compared in the v1 form too, for which `make fuzz` is."""
    programs, size = drawn(DRAWN, seed), flow_packs.SIZE
    return joined(compared(programs[at : at + size], at == 0) for at in range(0, DRAWN, size))


def joined(parts: Iterable[tuple[collections.Counter[str], list[str]]]) -> tuple[collections.Counter[str], list[str]]:
    """All counts, and all that differs."""
    counts: collections.Counter[str] = collections.Counter()
    differ: list[str] = []
    for one, texts in parts:
        counts.update(one)
        differ += texts
    return counts, differ


def compared(pack: list[flow_programs.Program], both: bool) -> tuple[collections.Counter[str], list[str]]:
    """Counts of what became of some programs, and what differs."""
    try:
        outcomes = flow_packs.outcomes(pack, both)
    except AssertionError as error:
        if len(pack) == 1:
            return collections.Counter(programs=1, differ=1), [f"{pack[0]}\n{error}"]
        return joined(compared([program], both) for program in pack)
    counts: collections.Counter[str] = collections.Counter(programs=len(pack))
    counts["in the v1 form too"] += both * len(pack)
    for found in outcomes:
        counts[found.code] += 1
        counts["gradients equal"] += found.gradients
        counts["outputs"] += found.outputs
        counts["outputs not proved"] += len(found.not_proved)
        counts.update(found.kept)
        counts.update(WHY + why for why in found.not_proved)
    return counts, []


def so_far() -> dict[str, Any]:
    """What earlier runs have counted."""
    return earlier(COUNTS, flow_programs, {"counts": {}})


def test_random_loops_and_conds() -> None:
    if not EXAMPLES:
        counts, differ = compared(drawn(10, 0), both=True)
        assert not differ, "\n".join(differ)
        assert counts["equal"] >= 8 and counts["gradients equal"], counts
        assert {code for code in counts if not code.startswith(WHY)} - COUNTED <= ALLOWED, counts
        return
    first = so_far()["next_seed"]
    seeds = range(first, first + -(-EXAMPLES // DRAWN))
    with concurrent.futures.ProcessPoolExecutor(JOBS, multiprocessing.get_context("spawn")) as pool:
        for seed, (counts, differ) in zip(seeds, pool.map(of_seed, seeds), strict=True):
            for text in differ:
                print(text, flush=True)
            known = so_far()
            if differ:
                known["again"] = sorted({*known["again"], seed})
            known["counts"] = dict(sorted((collections.Counter(known["counts"]) + counts).items()))
            known["next_seed"] = seed + 1
            COUNTS.write_text(json.dumps(known, indent=1) + "\n", encoding="utf-8")
            print(time.strftime("%H:%M:%S"), known, flush=True)
    assert not so_far()["again"], "programs of these seeds differ"
