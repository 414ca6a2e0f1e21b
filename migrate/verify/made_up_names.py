"""Pairs outputs by their place where Keras makes up a new name for them each time it loads a model."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Collection, Mapping, Sequence

from migrate.verify.calls import Answer, Golden

_NUMBER = re.compile(r"(.*?)(?:_(\d+))?", re.DOTALL)


def paired(golden: Golden, named: Collection[str], unnamed: int, candidate: Collection[str]) -> Golden:
    """Golden answers under the names that a candidate has for outputs without a name of their own.

    Keras counts such names up (`scale`, `scale_1`, ...), from wherever the process that loads the model is.

    Args:
      golden: the source's answers.
      named: outputs whose names are kept in the file.
      unnamed: how many others there are.
      candidate: names of the candidate's outputs.

    Returns:
      The same answers, each under the name that has its place in the candidate; unchanged where the candidate's names
      are not counted up from the same ones.
    """
    own = next((tuple(answer.outputs) for answer in golden.answers if answer.outputs), ())
    before, after = _in_order(own, named), _in_order(candidate, named)
    if len(before) != unnamed or [_place(name)[0] for name in before] != [_place(name)[0] for name in after]:
        return golden
    names = dict(zip(before, after, strict=True))
    return dataclasses.replace(
        golden,
        answers=tuple(_renamed(answer, names) for answer in golden.answers),
        again=tuple(_renamed(answer, names) for answer in golden.again),
    )


def _in_order(names: Collection[str], named: Collection[str]) -> Sequence[str]:
    return sorted((name for name in names if name not in named), key=_place)


def _place(name: str) -> tuple[str, int]:
    base, number = _NUMBER.fullmatch(name).groups()  # type: ignore[union-attr]  # It matches anything.
    return base, int(number) if number is not None else -1


def _renamed(answer: Answer, names: Mapping[str, str]) -> Answer:
    return dataclasses.replace(answer, outputs={names.get(name, name): v for name, v in answer.outputs.items()})
