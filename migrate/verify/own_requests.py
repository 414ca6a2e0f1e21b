"""The source's side of the requests that a model brings with it: which of them it answers."""

from __future__ import annotations

import time

from migrate.processes.forks import count
from migrate.sources.saved_model_files import WARM_UP
from migrate.verify.calls import Call
from migrate.verify.losses import Attempts
from migrate.verify.messages import GoldenJob
from migrate.verify.sessions import Asker, answer_to

_SHARE = 0.5  # Of the time for finding calls.


def own_calls(job: GoldenJob, ask: Asker, attempts: Attempts, replays: int) -> tuple[tuple[Call, ...], tuple[str, ...]]:
    """The requests that the source answers, in order, and a line for each of the others.

    Args:
      job: has the requests.
      ask: makes a call of a source that has just been loaded.
      attempts: numbers what is tried.
      replays: how often a call is made again at most.
    """
    accepted: list[Call] = []
    notes: list[str] = []
    start = time.monotonic()
    for number, request in enumerate(job.own):
        if number and (time.monotonic() - start) * replays > job.seconds * _SHARE:
            left = len(job.own) - number
            notes.append(f"{WARM_UP}: {left} of {len(job.own)} requests, for which there is no time")
            break
        if attempts.refuses(request.call):
            continue
        answer = answer_to(ask, request.call)
        if answer.error:
            why = f"the source itself ends in {answer.error}: {answer.message}"
            notes.append(f"{WARM_UP}: record {request.record}, signature {request.call.signature!r}: {why}")
        else:
            accepted.append(request.call)
    count(0, 0)
    return tuple(accepted), tuple(notes)
