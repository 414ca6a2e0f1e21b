"""Calls that end the process that makes them, or that never return. Another process makes the other calls.

Each call is noted before it is made (`forks.count`), so whoever waits for the process knows which one it was. What is
asked of the process has the same calls in the same order each time, and so a number is enough to leave a call out.
"""

from __future__ import annotations

import re
import signal
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TypeVar

from migrate.frozen import frozen
from migrate.processes.forks import count
from migrate.records import Crashed
from migrate.verify.calls import Call, SparseValue, Value
from migrate.verify.dtypes import tf_name
from migrate.verify.watch import BLOCKED, OVERDUE

MOST = 40
"""How many calls may cost a process each."""
MOST_OF_ONE = 2
"""How many of one signature, before no others of it are tried while none is accepted."""
MOST_TRIED = 6
"""How many of one signature, before no others of it are tried at all."""

BLOCKS = "it waits for something that never comes"
"""How the reason of a call that never returns begins."""
ENDLESS = {BLOCKED: BLOCKS, OVERDUE: "it goes on when its time is over, and no limit stops it"}
"""Why a call never returns, by the exit code of its process."""
PATH_COUNT = 3
"""On how many paths a candidate is asked."""
GIVEN_UP = "no other call of it is tried"

_FATAL_SIGNALS = frozenset({signal.SIGABRT, signal.SIGSEGV, signal.SIGFPE, signal.SIGILL, signal.SIGBUS})
_CHECK = re.compile(r"^F.*?\] (.*)$", re.MULTILINE)
_SHOWN_CHARACTERS = 200
_SHOWN_INPUTS = 8

Result = TypeVar("Result")


@frozen
class Lost:
    """A call that is not made again.

    Attributes:
      call: its number, from 1.
      calls: how many there were; 0 for a call that was tried while calls were looked for.
      reason: what it did, with the words of the process.
    """

    call: int
    calls: int
    reason: str

    @property
    def blocks(self) -> bool:
        """Whether it never returns."""
        return self.reason.startswith(BLOCKS)


def loss(ending: object) -> Lost | None:
    """The call that has cost a process, where its end says that one did."""
    if not isinstance(ending, Crashed) or not ending.call:
        return None
    if ending.exit_code == BLOCKED:
        reason = f"{BLOCKS}, such as an element of an empty queue or staging area"
    elif ending.exit_code == OVERDUE:
        reason = ENDLESS[OVERDUE]
    elif -ending.exit_code in _FATAL_SIGNALS:
        said = _CHECK.search(ending.stderr_tail)
        words = f": {said[1][:_SHOWN_CHARACTERS]}" if said else ""
        reason = f"it ends the process ({signal.Signals(-ending.exit_code).name}){words}"
    else:
        return None
    return Lost(ending.call, ending.calls, reason)


def run_past_losses(run: Callable[[tuple[Lost, ...], float], Result], seconds: float, most: int = MOST) -> Result:
    """Runs a job in one process after the other, each without the calls that have cost the ones before it.

    Args:
      run: runs it without some calls, within some seconds.
      seconds: for all of them together.
      most: how many calls are left out.

    Returns:
      What the last process has given, or how it ended.
    """
    deadline, left = time.monotonic() + seconds, seconds
    lost: tuple[Lost, ...] = ()
    while True:
        result = run(lost, left)
        found, left = loss(result), deadline - time.monotonic()
        # One that is lost again was none of the calls that can be left out.
        if found is None or found in lost or len(lost) == most or left <= 0:
            return result
        lost += (found,)
        left = max(1.0, left)


class Attempts:
    """In the process: numbers the calls that are tried while some are looked for that the model accepts.

    Args:
      lost: those that have cost a process.
    """

    def __init__(self, lost: Sequence[Lost]) -> None:
        self._lost = {found.call: found for found in lost if not found.calls}
        self._number = 0
        self._of_signature: dict[str, int] = {}
        self.notes: list[str] = []

    def refuses(self, call: Call) -> str:
        """Why a call must not be made, or empty; then it is noted as the one that is made now."""
        self._number += 1
        found = self._lost.get(self._number)
        if self._of_signature.get(call.signature, 0) >= MOST_TRIED:
            return f"{self.notes[-1]}; {GIVEN_UP}"
        if found is None:
            count(self._number, 0)
            return ""
        note = f"{described(call)}: {found.reason}"
        self.notes.append(note)
        of_signature = self._of_signature[call.signature] = self._of_signature.get(call.signature, 0) + 1
        if of_signature == MOST_TRIED:
            self.notes.append(f"signature {call.signature!r}: no other calls are tried, since {MOST_TRIED} are lost")
        given_up = found.blocks or of_signature >= MOST_OF_ONE
        return f"{note}; {GIVEN_UP}" if given_up else note


def without(
    calls: Sequence[Call], wider: Sequence[Call], lost: Sequence[Lost]
) -> tuple[tuple[Call, ...], tuple[Call, ...], tuple[str, ...]]:
    """In the process: the calls without those that have cost one while they were replayed; and a line for each of
    these.

    Args:
      calls: each is made twice in a row.
      wider: each is made once, after them.
      lost: those that have cost a process.
    """
    left, once, notes = list(calls), list(wider), []
    for found in lost:
        twice = 2 * len(left)
        if found.calls and found.calls == twice + len(once):  # It is 0 for the calls that are tried before these.
            number = found.call - 1
            call = left.pop(number // 2) if number < twice else once.pop(number - twice)
            notes.append(f"{described(call)}: {found.reason}")
    return tuple(left), tuple(once), tuple(notes)


def uncalled(notes: Sequence[str], keys: Iterable[str], calls: Sequence[Call]) -> Mapping[str, str]:
    """Why signatures are not replayed of which every call is lost.

    Args:
      notes: the lines of the lost calls.
      keys: the signatures that were to be replayed.
      calls: those that are left.
    """
    return dict.fromkeys(set(keys) - {call.signature for call in calls}, notes[-1]) if notes else {}


def positions(lost: Sequence[Lost], calls: Sequence[Call], wider: int = 0) -> Mapping[int, str]:
    """In the process of a candidate: which of the calls are not made, by position, and why.

    After a call that never returns, or the second one that ends the process, no other call of its signature is made.

    Args:
      lost: those that have cost a process, each on one of several paths.
      calls: those of each path, each of which is made twice in a row.
      wider: how many of the last ones are made once; one of them takes no other one with it.
    """
    found: dict[int, str] = {}
    of_signature: dict[str, int] = {}
    ordinary = len(calls) - wider
    for one in lost:
        if one.calls != PATH_COUNT * len(calls):  # Another kind of call, such as a run that names tensors.
            continue
        first = (one.call - 1) % len(calls)
        if first >= ordinary:
            found[first] = f"{described(calls[first])}: {one.reason}"
            continue
        first &= ~1
        call = calls[first]
        found |= dict.fromkeys((first, first + 1), f"{described(call)}: {one.reason}")
        of_signature[call.signature] = of_signature.get(call.signature, 0) + 1
        if one.blocks or of_signature[call.signature] >= MOST_OF_ONE:
            why = f"not made, since another call of the signature is lost: {one.reason}"
            rest = (n for n, other in enumerate(calls) if other.signature == call.signature)
            found = {**dict.fromkeys(rest, why), **found}
    return found


def described(call: Call) -> str:
    """A call in words: its signature, and the dtype and shape of each input."""
    inputs = [f"{name}: {_type(value)}" for name, value in call.inputs.items()]
    more = ["..."] if len(inputs) > _SHOWN_INPUTS else []
    return f"signature {call.signature!r}({', '.join([*inputs[:_SHOWN_INPUTS], *more])})"


def _type(value: Value) -> str:
    if isinstance(value, SparseValue):
        return f"sparse {tf_name(value.values)} {[int(size) for size in value.dense_shape]}"
    return f"{tf_name(value)} {list(value.shape)}"
