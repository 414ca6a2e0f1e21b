"""Steps, answers and runners that no process stands behind: what the tests of this room hand to its modules."""

from __future__ import annotations

import contextlib
import dataclasses
from typing import Any

import numpy as np

from migrate.model.steps import Steps
from migrate.records import Kind, ModelReport, Verification
from migrate.verify.calls import Answer, Call, Golden

GOLDEN = Golden(
    (Call("s", {}),),
    (Answer({"y": np.zeros(2, np.float32)}),),
    (Answer({"y": np.zeros(2, np.float32)}),),
    {},
    {},
    "tensorflow",
    "2.21.0",
)
"""One call of one signature, answered alike each time."""

PASSED = Verification(1, 2, 4, True, 0.0, 0, 0, (), (), {})
"""What a replay of `GOLDEN` shows of a model that answers as it should."""


def report(outcome: Any, **fields: Any) -> ModelReport:
    """What audit says of a model."""
    return ModelReport("old", None, Kind.TF1_SAVED_MODEL, outcome, **fields)


def steps(**given: Any) -> Steps:
    """Steps that all succeed, but for those that are given."""
    succeed = Steps(
        "old",
        lambda: GOLDEN,
        lambda _: contextlib.nullcontext(),
        lambda staged, base, taking: base,
        lambda golden, candidate: PASSED,
        lambda candidate: (),
        lambda: "digest",
    )
    return dataclasses.replace(succeed, **given)


class Runner:
    """Notes the jobs that it is given, and gives back what it was made with.

    Attributes:
      asked: (step, module, job, result type, timeout) of each job.
    """

    def __init__(self, *results: Any) -> None:
        self.asked: list[tuple[Any, ...]] = []
        self._results = list(results)

    def run(self, *asked: Any) -> Any:
        """See `forks.Runner.run`."""
        self.asked.append(asked)
        return self._results.pop(0)

    begin = run
