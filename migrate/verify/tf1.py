"""Asks TensorFlow 1.15.5 what a source answers, in a child process of its own."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from migrate.frozen import frozen
from migrate.processes.forks import Runner
from migrate.records import Crashed, Failed, TimedOut
from migrate.tf1_runtime.place import VERSION
from migrate.verify.calls import Call, Golden
from migrate.verify.losses import Lost, run_past_losses
from migrate.verify.messages import GoldenJob, Tf1Answers, Tf1GoldenJob, Tf1Job

STEP = "tf1"
"""Name of the step, for the report."""

_MODULE = "migrate.verify.tf1_replay"
_GOLDEN = "migrate.verify.tf1_golden"


@frozen
class Tf1Source:
    """A source as TensorFlow 1.15.5 is asked for it.

    Attributes:
      runtime: directory in which TensorFlow 1.15.5 is installed.
      source: the source; without calls.
    """

    runtime: str
    source: GoldenJob


def ask_tf1(
    runner: Runner, asked: Tf1Source, calls: Sequence[Call], timeout_seconds: float
) -> Tf1Answers | Crashed | TimedOut | Failed:
    """Makes calls to a source in TensorFlow 1.15.5, without those that end the process.

    Args:
      runner: makes processes without another TensorFlow.
      asked: the source.
      calls: in order.
      timeout_seconds: limit for all of them.
    """
    job = Tf1Job(asked.runtime, asked.source, tuple(calls))

    def run(lost: tuple[Lost, ...], seconds: float) -> Tf1Answers | Crashed | TimedOut | Failed:
        this = dataclasses.replace(job, source=dataclasses.replace(job.source, lost=lost))
        result: Tf1Answers | Crashed | TimedOut | Failed = runner.run(STEP, _MODULE, this, Tf1Answers | Failed, seconds)
        return result

    result = run_past_losses(run, timeout_seconds)
    if isinstance(result, Tf1Answers) and len(result.answers) != len(calls):
        return Crashed(STEP, 0, "its answers are not to the calls that were made")
    return result


def golden_of_tf1(runner: Runner, asked: Tf1Source, timeout_seconds: float) -> Golden | Crashed | TimedOut | Failed:
    """The golden answers of TensorFlow 1.15.5 alone, without the calls that end or block a process; see `ask_tf1`."""
    job = Tf1GoldenJob(asked.runtime, asked.source)

    def run(lost: tuple[Lost, ...], seconds: float) -> Golden | Crashed | TimedOut | Failed:
        this = dataclasses.replace(job, source=dataclasses.replace(job.source, lost=lost))
        result: Golden | Crashed | TimedOut | Failed = runner.run(STEP, _GOLDEN, this, Golden | Failed, seconds)
        return result

    result = run_past_losses(run, timeout_seconds)
    if isinstance(result, Golden) and not len(result.calls) == len(result.answers) == len(result.again):
        return Crashed(STEP, 0, "its answers are not to the calls that it has made")
    return result


def tf1_words(ending: Crashed | TimedOut | Failed) -> str:
    """Why TensorFlow 1.15.5 has not answered, in a line."""
    match ending:
        case Failed(reason=reason):
            return f"TensorFlow {VERSION} does not take the model: {reason}"
        case Crashed(exit_code=code):
            ended = f"signal {-code}" if code < 0 else f"exit code {code}"
            return f"the process of TensorFlow {VERSION} died ({ended})"
        case TimedOut(seconds=seconds):
            return f"TensorFlow {VERSION} gave no answers within {seconds:g} seconds"


def tf1_failed(ending: Crashed | TimedOut | Failed) -> Crashed | TimedOut | Failed:
    """How a step ends that needed an answer of TensorFlow 1.15.5."""
    return Failed(f"{tf1_words(ending)}; use --judge=tf2") if isinstance(ending, Failed) else ending
