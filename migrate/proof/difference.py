"""Where two terms part: the first pair of nodes that are not shown to be equal, and why."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from migrate.proof.forms import other_form
from migrate.proof.program import Flat
from migrate.proof.records import PROVED, NotProved, Proved, Result
from migrate.proof.side import Side
from migrate.proof.states import fetched
from migrate.proof.terms import Term, Terms

_MOST_STEPS = 100_000


def difference(
    terms: Terms, one: Term, other: Term, origins: Mapping[Term, Flat], others: Mapping[Term, Flat]
) -> Result:
    """Compares two terms.

    Args:
      terms: all terms.
      one: of the source.
      other: of the candidate.
      origins: a node of the source for some of its terms.
      others: the same for the candidate.
    """
    if one == other:
        # Equal terms hold no unknown one: each of those is made once, and for one of the two models.
        return PROVED
    here, there = "", ""
    for _ in range(_MOST_STEPS):
        here = _shown_node(origins[one]) if one in origins else here
        there = _shown_node(others[other]) if other in others else there
        for term in (one, other):
            if term in terms.reasons:
                return NotProved(here, there, terms.reasons[term])
        first, second = terms.parts(one), terms.parts(other)
        if first[0] != second[0]:
            return NotProved(here, there, f"{first[0]} in the source, {second[0]} in the candidate")
        pairs = [(a, b) for a, b in zip(first[2], second[2], strict=False) if a != b]
        if first[1] != second[1] and not (first[0] in ("Merge",) and pairs):
            return NotProved(here, there, f"{first[0]}: {_shown(first[1], second[1])}")
        if not pairs:
            return NotProved(
                here, there, f"{first[0]} takes {len(first[2])} in the source, {len(second[2])} in the candidate"
            )
        one, other = pairs[0]
    return NotProved(here, there, "the two differ far inside")


def _shown_node(node: Flat) -> str:
    return f"{node.op} {node.label!r}"


def output_difference(source: Side, side: Side, one: tuple[int, int], other: tuple[int, int]) -> Result:
    """Compares an output of two calls: its value, and in which calls it is there."""
    wrong = other_form(source.given, side.given)
    if wrong:
        return NotProved("", "", wrong)
    first, second = fetched(source, one), fetched(side, other)
    result = difference(source.terms, first, second, source.origins, side.origins)
    for term in (first, second):
        head, more, _ = source.terms.parts(term)
        if head == "input" and more[0] != "argument":
            return NotProved("", "", "it is the name of a file, which differs")
    if isinstance(result, Proved) and source.live(one) != side.live(other):
        return NotProved(source.nodes[one[0]].label, side.nodes[other[0]].label, "it is there in other calls")
    return result


def output_differences(
    source: Side,
    side: Side,
    outputs: Mapping[str, Sequence[object]],
    wanted: Sequence[tuple[int, int]],
    returned: Sequence[tuple[int, int]],
) -> dict[str, Result]:
    """Compares the outputs of two calls, of which each has one tensor or several.

    Args:
      source: a call of the source.
      side: the same call of the candidate.
      outputs: by name something for each of its tensors.
      wanted: the places of all of these, one output after another, in the source.
      returned: the same in the candidate.
    """
    numbers = iter(zip(wanted, returned, strict=True))
    results: dict[str, Result] = {}
    for name, tensors in outputs.items():
        found: Result = PROVED
        for _ in tensors:
            one, other = next(numbers)
            if isinstance(found, Proved):
                found = output_difference(source, side, one, other)
        results[name] = found
    return results


def _shown(one: object, other: object) -> str:
    if isinstance(one, tuple) and isinstance(other, tuple):
        mine, theirs = set(map(repr, one)), set(map(repr, other))
        text = f"{sorted(mine - theirs)} in the source, {sorted(theirs - mine)} in the candidate"
    else:
        text = f"{one!r} in the source, {other!r} in the candidate"
    return text if len(text) < 400 else text[:400] + "..."
