"""Compares answers that were given under the same seeds."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Sequence

from migrate.verify.calls import Answer, Seeded
from migrate.verify.compare import Comparison, compare_calls
from migrate.verify.messages import SeededAnswers


def compare_seeded(
    golden: Sequence[Seeded],
    candidate: Sequence[SeededAnswers],
    max_ulps: int,
    undefined: Collection[tuple[str, str]] = (),
) -> tuple[Comparison, ...]:
    """Compares the outputs whose random ops have a counterpart each in the candidate.

    Args:
      golden: the source's answers.
      candidate: the candidate's; the same signatures in the same order.
      max_ulps: how far apart floats may be; 0 is bit for bit.
      undefined: (signature, output) pairs that are not compared.

    Returns:
      What each path shows, the paths of a signature after one another.
    """
    found = []
    for part, given in zip(golden, candidate, strict=False):
        missing = set(given.missing)
        chosen = {
            name
            for name, draws in part.outputs.items()
            if missing.isdisjoint(draws) and (part.signature, name) not in undefined
        }
        for path, answers in given.answers.items() if chosen else ():
            comparison = compare_calls(
                part.calls,
                [_only(answer, chosen) for answer in part.answers],
                [_only(answer, chosen) for answer in part.again],
                [_only(answer, chosen) for answer in answers],
                f"{path}, seeded",
                max_ulps,
            )
            found.append(comparison)
    return tuple(found)


def _only(answer: Answer, chosen: Collection[str]) -> Answer:
    return dataclasses.replace(answer, outputs={name: v for name, v in answer.outputs.items() if name in chosen})
