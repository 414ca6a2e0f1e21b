"""Compares a candidate's answers with those of TensorFlow 1.15.5, output by output. numpy only."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from typing import Any, cast

from migrate.records import JudgedOutput
from migrate.verify import dtypes
from migrate.verify.arrays import without_subnormals
from migrate.verify.bounds import Closeness, close
from migrate.verify.calls import Answer, Array, Call
from migrate.verify.compare import difference
from migrate.verify.sessions import LOST

_NOT_TAKEN = re.compile(
    r"^(NotFound|Unimplemented|ResourceExhausted|DeadlineExceeded|Cancelled|Aborted|Unavailable)Error:"
    "|No OpKernel was registered"
)
"""Endings that say nothing of an answer: TensorFlow 1 has no kernel for the call, or the machine gave too little."""


def compare_with_tf1(
    calls: Sequence[Call],
    expected: Sequence[Answer],
    found: Mapping[str, Sequence[Answer]],
    bounds: tuple[float, float],
    undefined: Collection[tuple[str, str]],
    unsure: Collection[tuple[int, str]] = (),
) -> tuple[JudgedOutput, ...]:
    """Compares all answers.

    Args:
      calls: what was asked.
      expected: TensorFlow 1's answers, one a call.
      found: the candidate's, one a call, by the way in which it was loaded.
      bounds: how far floats may be apart, absolute and relative, see `bounds.close`.
      undefined: (signature, output) pairs of which no value can be compared.
      unsure: (position of a call, output) pairs of which none can be compared in that call.

    Returns:
      One entry for each output, the whole of a signature (an output without a name) where calls end differently.
    """
    outputs: dict[tuple[str, str], _Output] = {}
    for answers in found.values():
        for number, (call, a, b) in enumerate(zip(calls, expected, answers, strict=True)):
            if LOST in (a.error, b.error) or _NOT_TAKEN.search(f"{a.error}: {a.message}"):
                continue
            if a.error or b.error:
                if bool(a.error) != bool(b.error):
                    ending = outputs.setdefault((call.signature, ""), _Output())
                    ending.differs(number, f"TensorFlow 1 {_ending(a)}, and the new model {_ending(b)}")
                continue
            for name in a.outputs.keys() & b.outputs.keys():
                if (call.signature, name) not in undefined and (number, name) not in unsure:
                    told = outputs.setdefault((call.signature, name), _Output())
                    told.add(number, a.outputs[name], b.outputs[name], bounds)
    return tuple(output.told(*key) for key, output in sorted(outputs.items()))


_NOTHING = 1e-30
"""Values as small as this have lost their digits: one that is flushed to zero is far off as a share of the others."""


class _Output:
    """What is known of one output so far."""

    def __init__(self) -> None:
        self._calls: set[int] = set()
        self._distances: list[Closeness] = []
        self._is_equal = True
        self._reason = ""

    def differs(self, call: int, reason: str) -> None:
        """Takes a call whose answers cannot be compared value by value."""
        self._calls.add(call)
        self._reason = self._reason or f"call {call}: {reason}"

    def add(self, call: int, expected: Array, found: Array, bounds: tuple[float, float]) -> None:
        """Takes the two values of a call."""
        if _form(expected) != _form(found):
            self.differs(call, f"TensorFlow 1 gives {_form(expected)}, and the new model {_form(found)}")
            return
        self._calls.add(call)
        expected, found = _plain(expected), _plain(found)
        # Which thread flushes values below the smallest normal number to zero is chance.
        result = close(without_subnormals(expected), without_subnormals(found), *bounds)
        self._distances.append(result)
        self._is_equal = self._is_equal and difference(expected, found, 0).bitwise_equal
        if result.first is not None and not self._reason:
            self._reason = (
                f"call {call}: {result.beyond:,} of {result.values:,} values are beyond the bound; at "
                f"{list(result.first)} TensorFlow 1 gives {_shown(expected, result.first)}, and the new model "
                f"{_shown(found, result.first)}"
            )

    def told(self, signature: str, output: str) -> JudgedOutput:
        """The record."""
        return JudgedOutput(
            signature,
            output,
            len(self._calls),
            sum(d.values for d in self._distances),
            not self._reason and self._is_equal,
            max((d.largest for d in self._distances), default=0.0),
            max((d.relative for d in self._distances if d.largest > _NOTHING), default=0.0),
            self._reason,
        )


def _ending(answer: Answer) -> str:
    return f"ends in {answer.error} ({answer.message})" if answer.error else "answers"


def _form(array: Array) -> str:
    return f"{dtypes.tf_name(_plain(array))} {list(array.shape)}"


def _plain(array: Array) -> Array:
    """An array of integers for one of quantised values, for which TensorFlow has numpy dtypes with one field."""
    names = array.dtype.names
    found: Array = cast("Any", array)[names[0]] if names else array
    return found


def _shown(array: Array, index: tuple[int, ...]) -> str:
    element = array[index] if array.shape else array[()]
    return (repr(element) if isinstance(element, (bytes, str)) else str(element))[:60]
