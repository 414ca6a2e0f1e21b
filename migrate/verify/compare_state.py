"""Compares what the variables of a source and a candidate hold, before and after the same calls. No TensorFlow."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from migrate.frozen import frozen
from migrate.records import Mismatch
from migrate.verify.bounds import close
from migrate.verify.calls import NO_VALUE, Array, Fingerprint, Golden
from migrate.verify.differences import mismatch
from migrate.verify.messages import OPTIMISED_SESSION, CandidateState

_WAYS = {"checkpoint": "its checkpoint", "tf2": "tf.saved_model.load", "session": "a v1 Session"}


@frozen
class StateComparison:
    """What the comparison of variables has shown.

    Attributes:
      mismatches: what differs.
      compared: how many variables were compared.
      unverified: why some needed variable was not, or empty.
    """

    mismatches: tuple[Mismatch, ...]
    compared: int
    unverified: str


def compare_state(golden: Golden, candidate: CandidateState, is_keras: bool) -> StateComparison:
    """Compares variables.

    Args:
      golden: the source's.
      candidate: the candidate's, by path.
      is_keras: whether the source is a Keras model, whose variables are told apart by their order.
    """
    if is_keras:
        paths = dict(zip(golden.variables, candidate.order, strict=False))
    else:
        paths = {name: path for name in golden.variables if (path := _path(name, golden, candidate)) is not None}
    mismatches: list[Mismatch] = []
    missing = [name for name in golden.variables if name not in paths and _must_be_there(name, golden, is_keras)]
    if missing and (is_keras or candidate.has_names):
        mismatches += [
            mismatch("variable-missing", "checkpoint", "the candidate lacks this variable", "", name)
            for name in missing
        ]
        missing = []
    mismatches += _extra(golden, candidate, is_keras)
    hidden = frozenset(golden.held.initialised)
    for name, path in paths.items():
        seen = {way: v for way, v in candidate.values.items() if way != "checkpoint" or name not in hidden}
        mismatches += _differs(name, path, golden.variables[name], seen, "")
        for states, found in ((golden.midway, candidate.midway), (golden.states, candidate.left)):
            if name in states:
                told = _STILL if states[name] != golden.variables[name] else _MOVED
                exact = {way: values for way, values in found.items() if way != OPTIMISED_SESSION}
                mismatches += _differs(name, path, states[name], exact, told)
        mismatches += _beyond(name, path, golden, candidate)
        if name in golden.midway and path in candidate.midway.get(OPTIMISED_SESSION, {}):
            found_there = candidate.midway[OPTIMISED_SESSION][path]
            reason = _optimised(golden.variables[name], golden.midway[name], found_there)
            if reason:
                mismatches.append(mismatch("state-differs", OPTIMISED_SESSION, reason, "", name))
    unverified = (
        f"which variable of the new model is {missing[0]!r} is not known: it has no attribute 'vars'" if missing else ""
    )
    return StateComparison(_distinct(mismatches), len(paths), unverified)


def _beyond(name: str, path: str, golden: Golden, candidate: CandidateState) -> Iterator[Mismatch]:
    """Floats that calls have computed differ from TensorFlow 1.15's by more than its bounds."""
    expected = golden.moved.get(name)
    if expected is None:
        return
    for way in candidate.left:
        reason = _why_beyond(expected, candidate.moved.get(way, {}).get(path), golden.tf1.bounds)
        if reason:
            yield mismatch("state-differs", way, f"{_STILL}: {reason}", "", name)


def _why_beyond(expected: Array, found: Array | None, bounds: tuple[float, float]) -> str:
    if found is None:
        return "the candidate's could not be read"
    if (found.dtype, found.shape) != (expected.dtype, expected.shape):
        return f"{found.dtype} {list(found.shape)}"
    result = close(expected, found, *bounds)
    return f"{result.beyond:,} of {result.values:,} are beyond the bounds" if result.beyond else ""


def _optimised(before: Fingerprint, expected: Fingerprint, found: Fingerprint) -> str:
    """Why the optimiser has left out, or added, a change; floats may be rounded differently with it."""
    if before == expected:
        return "" if found == before else _MOVED
    if found == before:
        return "the calls do not change it there: the optimiser leaves the write out, since nothing asks for it"
    return _STILL if "int" in expected.dtype and found != expected else ""


_STILL = "the calls leave it with another value than the source's"
_MOVED = "the calls change it, and the source's do not"


def _must_be_there(name: str, golden: Golden, is_keras: bool) -> bool:
    return is_keras or name in golden.held.needed


def _path(name: str, golden: Golden, candidate: CandidateState) -> str | None:
    """Where a variable is in the candidate, which may call it by any of its nodes' names."""
    found = [candidate.names[node] for node in golden.held.names.get(name, (name,)) if node in candidate.names]
    return found[0] if found else None


def _extra(golden: Golden, candidate: CandidateState, is_keras: bool) -> Iterator[Mismatch]:
    """Variables that the source has not; one of a constant's value is what `--variables` makes."""
    if is_keras or not candidate.has_names or not golden.held.names:
        return
    training = golden.training.names if golden.training is not None else {}
    known = {node for names in (golden.held.names, training) for nodes in names.values() for node in nodes}
    for name, path in candidate.names.items():
        if name in known:
            continue
        constant = golden.held.constants.get(name)
        if constant is None:
            yield mismatch("variable-added", "checkpoint", "the source has no such variable", "", name)
        else:
            yield from _differs(name, path, constant, candidate.values, "")


def _differs(
    name: str, path: str, expected: Fingerprint, ways: Mapping[str, Mapping[str, Fingerprint]], told: str
) -> Iterator[Mismatch]:
    for way, values in ways.items():
        found = values.get(path)
        if found == expected or (found is None and (way == "session" or expected == NO_VALUE)):
            continue  # A variable that no signature takes has no value in a Session that a client could see.
        code, reason = ("state-differs", told) if told else _reason(expected, found, way)
        yield mismatch(code, way, reason, "", name)


def _reason(expected: Fingerprint, found: Fingerprint | None, way: str) -> tuple[str, str]:
    if found is None:
        return "variable-missing", f"the candidate has nothing for this variable in {_WAYS[way]}"
    if NO_VALUE in (expected, found):
        who, other = ("the candidate's", "the source's") if found == NO_VALUE else ("the source's", "the candidate's")
        return "variable-differs", f"{who} has no value in {_WAYS[way]}, and {other} has one"
    if (found.dtype, found.shape) != (expected.dtype, expected.shape):
        return (
            "variable-form-differs",
            f"expected {expected.dtype} {list(expected.shape)}, found {found.dtype} {list(found.shape)}",
        )
    return "variable-differs", f"the variable's value differs from the source's, as {_WAYS[way]} has it"


def _distinct(mismatches: list[Mismatch]) -> tuple[Mismatch, ...]:
    return tuple(dict.fromkeys(mismatches))
