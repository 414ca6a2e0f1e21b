"""Requests that name tensors of the graph: made on a source's and on a candidate's v1 Session by the same names.

TensorFlow starts here, and every import of it stands inside a function.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any

from migrate.graph.graph import canonical
from migrate.processes.forks import count
from migrate.sources.saved_model_files import WARM_UP
from migrate.verify.calls import Answer, Array, Call, NamedRun, NamedRuns
from migrate.verify.compare import contradictions
from migrate.verify.load_source import fixed_feeds
from migrate.verify.losses import Attempts, Lost
from migrate.verify.messages import GoldenJob
from migrate.verify.sessions import LOST, answer_to, fresh_session, run_session

PATH = "session, by tensor names"
"""How a candidate is asked; for mismatches."""


def as_call(run: NamedRun) -> Call:
    """The run as the call that it is compared and described as."""
    of_file = f" of {os.path.basename(run.file)}" if run.file else ""
    return Call(f"SessionRun record {run.record}{of_file}", run.feeds)


def _where(run: NamedRun) -> str:
    return f"{run.file or WARM_UP}: record {run.record} (SessionRun)"


def fitting(
    runs: Iterable[NamedRun], kept: Mapping[str, Collection[str]] | None
) -> tuple[tuple[NamedRun, ...], tuple[str, ...]]:
    """The runs that a candidate can be asked, and why not the others, a line each.

    Args:
      runs: what a model server has logged.
      kept: what a client must feed to fetch a tensor by name, by the full names of the tensors that have names in the
        candidate; None where it has every name.
    """
    fit, notes = [], []
    for run in runs:
        why = None if kept is None else _misfit(run, kept)
        if why is None:
            fit.append(run)
        else:
            notes.append(f"{_where(run)}: {why}")
    return tuple(fit), tuple(notes)


def _misfit(run: NamedRun, kept: Mapping[str, Collection[str]]) -> str | None:
    if run.targets:
        return f"it runs {run.targets[0]!r}, and the new main graph has no node of that name"
    fed = {canonical(tensor) for tensor in run.feeds}
    for tensor in (*map(canonical, run.fetches), *sorted(fed)):
        if tensor not in kept:
            return f"the new main graph has no tensor {tensor!r}; only those of signatures can keep their names"
    for tensor in map(canonical, run.fetches):
        missing = sorted(frozenset(kept[tensor]) - fed)
        if missing:
            return f"to fetch {tensor!r}, a client of the new model must also feed {missing[0]!r}"
    return None


Asked = Callable[[NamedRun, bool], Answer]
"""What a loaded source answers to a run; the second argument is `inline` of `sessions.run_session`."""


def source_answers(
    runs: Sequence[NamedRun], loaded: Callable[[], AbstractContextManager[Asked]], attempts: Attempts
) -> tuple[NamedRuns, tuple[str, ...]]:
    """In the process of a source: what it answers to the runs, and a line for each that it does not answer.

    Args:
      runs: in order.
      loaded: loads the source afresh.
      attempts: notes what may cost the process.
    """
    if not runs:
        return NamedRuns(), ()
    accepted: list[NamedRun] = []
    notes: list[str] = []
    with loaded() as ask:
        for run in runs:
            why = attempts.refuses(as_call(run))
            answer = Answer({}, LOST, why) if why else ask(run, True)
            if not answer.error:
                accepted.append(run)
            elif answer.error != LOST:  # That one is noted already.
                notes.append(f"{_where(run)}: the source itself ends in {answer.error}: {answer.message}")
    count(0, 0)
    if not accepted:
        return NamedRuns(), tuple(notes)
    # Twice in a row, as calls are.
    sequence = tuple(run for run in accepted for _ in range(2))
    replays: list[tuple[Answer, ...]] = []
    for inline in (True, False):
        with loaded() as ask:
            replays.append(tuple(ask(run, inline) for run in sequence))
    first, again = replays
    return NamedRuns(sequence, first, contradictions(first, [again])), tuple(notes)


def loaded_source(
    tf: Any, job: GoldenJob, load: Callable[[Any, Any, GoldenJob], None], pruned: bool
) -> Callable[[], AbstractContextManager[Asked]]:
    """Gives `loaded` of `source_answers` for a v1 Session of the installed TensorFlow."""

    @contextlib.contextmanager
    def loaded() -> Iterator[Asked]:
        with fresh_session(tf, pruned=pruned) as session:
            load(tf, session, job)
            fixed = fixed_feeds(tf, session, job)
            yield lambda run, inline: _answer(tf, session, run, fixed, inline)

    return loaded


def candidate_answers(
    tf: Any, session: Any, runs: Sequence[NamedRun], inline: bool, before: int, lost: Sequence[Lost]
) -> tuple[Answer, ...]:
    """In the process of a candidate: what it answers, in a fresh Session that has loaded it.

    Args:
      tf: the module.
      session: on the candidate's graph.
      runs: in order.
      inline: see `sessions.run_session`.
      before: how many calls were made before these.
      lost: calls that have cost a process.
    """
    reasons = {one.call: one.reason for one in lost if one.calls == before + len(runs)}
    answers = []
    for number, run in enumerate(runs, before + 1):
        if number in reasons:
            answers.append(Answer({}, LOST, reasons[number]))
            continue
        count(number, before + len(runs))
        answers.append(_answer(tf, session, run, {}, inline))
    count(0, 0)
    return tuple(answers)


def _answer(tf: Any, session: Any, run: NamedRun, fixed: Mapping[str, Array], inline: bool) -> Answer:
    return answered(
        run, fixed, lambda fetches, feeds: run_session(tf, session, fetches, feeds, inline=inline, targets=run.targets)
    )


def answered(
    run: NamedRun,
    fixed: Mapping[str, Array],
    ask: Callable[[Mapping[str, str], Mapping[str, Array]], Mapping[str, Array]],
) -> Answer:
    """What a Session answers to a run.

    Args:
      run: what is asked.
      fixed: what is fed beside it.
      ask: gives the values of tensors, by full names, where others are fed.
    """
    feeds = {**fixed, **{canonical(tensor): value for tensor, value in run.feeds.items()}}
    fetches = {tensor: canonical(tensor) for tensor in run.fetches}
    return answer_to(lambda _: ask(fetches, feeds), as_call(run))
