"""Property: a converted random TF1 program gives a v1 Session's answers, bit for bit, over several calls.

EXAMPLES in the environment says how many programs are drawn (`make fuzz EXAMPLES=5000`); without it the same few are
drawn every time.
"""

from __future__ import annotations

import collections
import functools
import json
import os
import pathlib

import pytest

pytestmark = pytest.mark.tensorflow

tf = pytest.importorskip("tensorflow")
hypothesis = pytest.importorskip("hypothesis")

from migrate.records import Severity  # noqa: E402
from migrate.rewrite.plan import make_plan  # noqa: E402
from tests.rewrite import programs  # noqa: E402
from tests.rewrite.differential import answers, differences, saved_graph  # noqa: E402

EXAMPLES = int(os.environ.get("EXAMPLES", "0"))
COUNTS = pathlib.Path(__file__).parents[2] / "docs" / "fuzz.json"

ALLOWED = frozenset({"aliased-buffer-undecided", "reshape-in-control-flow"})
"""Refusals that a program may meet; they must stay rare."""

counts: collections.Counter[str] = collections.Counter()


def outcome(program: programs.Program) -> str:
    """Runs both sides of a program.

    Returns:
      `equal`, or the code of the refusal.
    """
    saved = saved_graph(functools.partial(programs.build, program), programs.calls(program))
    plan = make_plan(saved.meta_graph)
    refused = sorted({f.code for f in plan.findings if f.severity is Severity.REFUSAL})
    if refused:
        assert ALLOWED.issuperset(refused), [f.message for f in plan.findings]
        return refused[0]
    assert not any(isinstance(answer, type) for answer in saved.answers), saved.answers
    found = differences(saved.answers, answers(plan, saved.values, programs.calls(program)))
    assert not found, "\n".join(found)
    return "equal"


@hypothesis.settings(
    max_examples=EXAMPLES or 60,
    derandomize=not EXAMPLES,
    database=None,
    deadline=None,
    suppress_health_check=list(hypothesis.HealthCheck),
    print_blob=False,
)
@hypothesis.given(programs.programs())
def check_programs(program: programs.Program) -> None:
    result = outcome(program)
    counts[result] += 1
    hypothesis.event(result)


@pytest.mark.timeout(0)
def test_random_programs() -> None:
    counts.clear()
    check_programs()
    tried = sum(counts.values())
    print(dict(counts))
    assert counts["equal"] > 0.7 * tried
    if EXAMPLES:
        COUNTS.parent.mkdir(exist_ok=True)
        content = {"tensorflow": tf.__version__, "graphs": tried, **dict(sorted(counts.items()))}
        COUNTS.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
