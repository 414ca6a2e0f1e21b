"""Compares what clients in Python have beside signatures, and what they train with. No TensorFlow."""

from __future__ import annotations

import collections
from collections.abc import Collection, Iterator, Mapping, Sequence

import numpy as np

from migrate.frozen import frozen
from migrate.records import Mismatch
from migrate.verify.calls import Answer, Array, Call, Fingerprint, Golden
from migrate.verify.compare import compare_calls
from migrate.verify.differences import mismatch
from migrate.verify.further import counting_calls
from migrate.verify.messages import CandidateState, FurtherAnswers, Surface, TrainedAnswers
from migrate.verify.object_graph import ATTRIBUTES, CALL, VARS

LOSSES = "regularization_losses"
"""The attribute of a TF1 Hub module's losses."""
SURFACE = "surface"
"""How differences of attributes are distinguished from those of calls: `Mismatch.path`."""
GRADIENT = "gradient"
"""The same of gradients."""
CALLED = "tf2, __call__"
"""The same of calls of `__call__`."""
ALTERED = "tf2, with other values in its variables"
"""The same of calls after variables got other values."""

COUNTED = "tf2, with counters at other numbers"
"""The same of calls after counters were set near numbers with which the graph compares."""

TRAINING = "tf2, training"
"""The same of calls with `training=True`."""

_ENOUGH = 3
"""A root with so many of `ATTRIBUTES` is one of a Reusable SavedModel, and must have them all."""
_PLAIN = "_generic_user_object"

GRADIENT_BOUND = 2.0**-13
"""How far a value of a gradient may be from the source's, as a share of the gradient's largest one. The two sides add
the same terms in another order where a variable is used more than once or an op has several gradients."""


def compare_surface(golden: Golden, surface: Surface, state: CandidateState) -> tuple[Mismatch, ...]:
    """Compares the attributes of a TF1 source's candidate with what they should be.

    A model that somebody else has exported need not have any.

    Args:
      golden: the source's answers.
      surface: the candidate's attributes.
      state: where its variables are.
    """
    has = frozenset(surface.attributes)
    if surface.root != _PLAIN or len(has & frozenset(ATTRIBUTES)) < _ENOUGH:
        return ()
    return tuple(
        mismatch("attribute-differs", SURFACE, reason, "", name) for name, reason in _attributes(golden, surface, state)
    )


def compare_keras_surface(golden: Golden, surface: Surface, state: CandidateState) -> tuple[Mismatch, ...]:
    """Compares the trainable variables of a Keras model's candidate; the order of its variables tells them apart.

    Args:
      golden: the source's answers.
      surface: the candidate's attributes.
      state: where its variables are.
    """
    if "trainable_variables" not in surface.attributes:
        reason = "the candidate does not have this attribute"
        return (mismatch("attribute-differs", SURFACE, reason, "", "trainable_variables"),)
    paths = dict(zip(golden.variables, state.order, strict=False))
    wanted = {paths[name]: name for name in golden.held.trainable if name in paths}
    by_path = {path: name for name, path in paths.items()}
    found = tuple(_listed("trainable_variables", tuple(wanted), surface.trainable_variables, by_path))
    return tuple(mismatch("attribute-differs", SURFACE, reason, "", name) for name, reason in found)


def _attributes(golden: Golden, surface: Surface, state: CandidateState) -> Iterator[tuple[str, str]]:
    has = frozenset(surface.attributes)
    wanted = (*ATTRIBUTES, CALL) if golden.further.default is not None else ATTRIBUTES
    for name in wanted:
        if name not in has:
            yield name, "the candidate does not have this attribute"
    if CALL in has and CALL not in wanted:
        yield CALL, "it answers none of several signatures, of which no one is the default"
    if not state.has_names:
        return
    by_path = {path: name for name, path in state.names.items()}
    for name, path in state.names.items():
        if surface.names.get(path) != name:
            yield f"vars[{name!r}].name", f"expected {name!r}, found {surface.names.get(path)!r}"
    yield from _listed("variables", tuple(by_path), surface.variables, by_path)
    flagged = [path for path in surface.flagged if path in by_path]
    yield from _listed("trainable_variables", flagged, surface.trainable_variables, by_path)
    yield from _ordered(surface, tuple(state.names.values()))
    yield from _losses(golden, surface)
    groups = dict(golden.held.names)
    trainable = set(golden.held.trainable)
    if golden.training is not None:
        groups |= golden.training.names
        trainable |= set(golden.training.trainable)
    trained = {node for name in trainable for node in groups.get(name, ())}
    known = {node for nodes in groups.values() for node in nodes}
    for name, path in state.names.items():
        if name in known and (name in trained) != (path in flagged):
            yield name, f"expected trainable to be {name in trained}, found {path in flagged}"


def _losses(golden: Golden, surface: Surface) -> Iterator[tuple[str, str]]:
    """A TF1 Hub module's; other models have none."""
    wanted = collections.Counter(golden.training.losses if golden.training is not None else ())
    found = collections.Counter(surface.losses)
    if found - wanted:
        yield LOSSES, f"{(found - wanted).total()} of its values are of no loss of the source"
    if wanted - found and golden.training is not None and golden.training.has_losses:
        yield LOSSES, f"{(wanted - found).total()} of the source's losses are not in it"


def _listed(
    attribute: str, wanted: Collection[str], found: Collection[str], by_path: Mapping[str, str]
) -> Iterator[tuple[str, str]]:
    """Whether a list has the variables that it should, each once."""
    for path in sorted(set(wanted) - set(found)):
        yield attribute, f"{by_path[path]!r} is not in this list"
    for path in sorted(set(found) - set(wanted)):
        yield attribute, f"{by_path.get(path, path)!r} is in this list" if path else "it has a variable of its own"
    if len(found) != len(set(found)):
        yield attribute, "a variable is in this list twice"


def _ordered(surface: Surface, order: Sequence[str]) -> Iterator[tuple[str, str]]:
    """A client may pair the lists with the names in `vars` by position; TF1 itself gives no order."""
    for attribute, found in (
        ("variables", surface.variables),
        ("trainable_variables", surface.trainable_variables),
    ):
        known = [path for path in found if path in order]
        if len(set(known)) == len(known) and known != [path for path in order if path in known]:
            yield attribute, f"its variables are in another order than in {VARS!r}"


@frozen
class FurtherComparison:
    """What the comparison of further answers has shown.

    Attributes:
      mismatches: what differs.
      gradients: how many gradients were compared.
      lost: by signature key, names of the variables to which the source has a gradient and the candidate none.
    """

    mismatches: tuple[Mismatch, ...]
    gradients: int
    lost: Mapping[str, tuple[str, ...]]


def compare_further(
    golden: Golden,
    found: FurtherAnswers,
    state: CandidateState,
    shaky: Collection[tuple[str, str]],
    has_call: bool,
    max_ulps: int,
) -> FurtherComparison:
    """Compares what was asked after the calls.

    Args:
      golden: the source's answers.
      found: the candidate's.
      state: where its variables are.
      shaky: (signature, output) pairs of which no value can be compared.
      has_call: whether the candidate has `__call__`.
      max_ulps: how far apart floats may be.
    """
    further = golden.further
    mismatches: list[Mismatch] = []
    if further.called is not None and found.called is not None and has_call:
        call, answer = further.called
        mismatches += compare_answers((call,), (answer,), (found.called,), ("call-differs", CALLED), max_ulps, shaky)
    count = len(further.calls) - (further.called is not None and not has_call)
    mismatches += compare_answers(
        further.calls[:count],
        further.answers[:count],
        found.answers[:count],
        ("variable-unused", ALTERED),
        max_ulps,
        shaky,
    )
    mismatches += _further_states(golden, (further.states, further.answers), found.states, ALTERED, state, shaky)
    mismatches += compare_answers(
        counting_calls(further) * len(further.thresholds),
        further.counted,
        found.counted,
        ("answer-differs", COUNTED),
        max_ulps,
        shaky,
    )
    every = (*further.answers, *further.counted)
    mismatches += _further_states(golden, (further.counted_states, every), found.counted_states, COUNTED, state, shaky)
    # A gradient of an output without a defined value has none either.
    unsure = {signature for signature, _ in shaky}
    gradients = [
        compare_gradients(key, further.trained.get(key, ()), expected, found.gradients.get(key, {}))
        for key, expected in further.gradients.items()
        if key not in unsure
    ]
    default = further.default
    if has_call and default is not None and default in further.gradients and default not in unsure:
        is_told = _are_same(found.gradients.get(default, {}), found.gradients_called)  # By the signature's.
        if not is_told:
            expected, asked = further.gradients[default], further.trained.get(default, ())
            gradients.append(compare_gradients(f"{default}, {CALL}", asked, expected, found.gradients_called))
    return _joined([*mismatches], gradients)


def compare_remade(
    golden: Golden,
    expected: tuple[Answer, ...],
    found: FurtherAnswers,
    shaky: Collection[tuple[str, str]],
    has_call: bool,
    max_ulps: int,
) -> tuple[Mismatch, ...]:
    """Compares the answers with other values in variables that were constants; arguments as in `compare_further`.

    Args:
      expected: the source's, with these values in the constants.
    """
    further = golden.further
    if len(found.with_remade) != len(further.calls):
        reason = "it gave no answers with other values in its variables"
        return (mismatch("variable-unused", ALTERED, reason, "", found.remade[0]),)
    count = len(further.calls) - (further.called is not None and not has_call)
    told = "variable-unused", ALTERED
    return compare_answers(further.calls[:count], expected[:count], found.with_remade[:count], told, max_ulps, shaky)


def _are_same(first: Mapping[str, Array], second: Mapping[str, Array]) -> bool:
    return first.keys() == second.keys() and all(np.array_equal(v, second[n], equal_nan=True) for n, v in first.items())


def _further_states(
    golden: Golden,
    left: tuple[Mapping[str, Fingerprint], Sequence[Answer]],
    found: Mapping[str, Fingerprint],
    way: str,
    state: CandidateState,
    shaky: Collection[tuple[str, str]],
) -> Iterator[Mismatch]:
    """What calls leave in variables that had other values before; nothing where TF1 may not define it.

    Args:
      golden: the source's answers.
      left: what they leave in the source's variables, and the answers.
      found: what they leave in the candidate's, by path.
      way: `ALTERED` or `COUNTED`.
      state: where the candidate's variables are.
      shaky: outputs without a defined value.
    """
    states, answers = left
    if shaky or any(answer.error for answer in answers):
        return
    for name, expected in states.items():
        nodes = golden.held.names.get(name, (name,))
        path = next((state.names[node] for node in nodes if node in state.names), None)
        if path is not None and found.get(path, expected) != expected:
            yield mismatch("state-differs", way, "the calls leave it with another value than the source's", "", name)


def compare_training(golden: Golden, found: TrainedAnswers, state: CandidateState, max_ulps: int) -> FurtherComparison:
    """Compares what was asked with `training=True`.

    Args:
      golden: the source's answers.
      found: the candidate's.
      state: where its variables are.
      max_ulps: how far apart floats may be.
    """
    training = golden.training
    if training is None or not (training.calls or training.losses_asked):
        return FurtherComparison((), 0, {})
    key = training.calls[0].signature if training.calls else ""
    mismatches = list(
        compare_answers(training.calls, training.answers, found.answers, ("training-differs", TRAINING), max_ulps, ())
    )
    for name, expected in training.states.items():
        nodes = training.names.get(name, (name,))
        path = next((state.names[node] for node in nodes if node in state.names), None)
        if path is None or found.left.get(path) != expected:
            reason = "training leaves it with another value than the source's"
            mismatches.append(mismatch("training-differs", TRAINING, reason, "", name))
    gradients = [compare_gradients(f"{key}, training", training.asked, training.gradients, found.gradients)]
    if training.losses_asked:
        of_losses = compare_gradients(LOSSES, training.losses_asked, training.loss_gradients, found.loss_gradients)
        gradients.append(of_losses)
    return _joined(mismatches, gradients)


Gradients = tuple[list[Mismatch], int, dict[str, tuple[str, ...]]]


def _joined(mismatches: list[Mismatch], gradients: list[Gradients]) -> FurtherComparison:
    wrong = [mismatch for found, _, _ in gradients for mismatch in found]
    lost = {key: names for _, _, missing in gradients for key, names in missing.items()}
    return FurtherComparison((*mismatches, *wrong), sum(count for _, count, _ in gradients), lost)


def compare_gradients(
    key: str, asked: tuple[str, ...], expected: Mapping[str, Array], found: Mapping[str, Array]
) -> Gradients:
    """Compares gradients of one function: what differs, how many were compared, and which the candidate lacks.

    Args:
      key: what they are of.
      asked: names of the variables to which they were asked for.
      expected: the source's.
      found: the candidate's.
    """
    mismatches = []
    compared = 0
    lost: tuple[str, ...] = ()
    for name in asked:
        wanted, given = expected.get(name), found.get(name)
        if wanted is not None and given is None:
            lost = (*lost, name) if np.any(wanted) else lost
            continue
        compared += wanted is not None
        reason = _gradient(wanted, given)
        if reason:
            mismatches.append(mismatch("gradient-differs", GRADIENT, reason, key, name))
    return mismatches, compared, {key: lost} if lost else {}


def lost_gradients(lost: Mapping[str, Collection[str]], reasons: Mapping[str, str]) -> tuple[Mismatch, ...]:
    """The gradients of the source that a candidate lacks, as differences.

    Args:
      lost: names of variables, by signature key.
      reasons: why there are none, where TensorFlow said so.
    """
    told = [(key, name, reasons.get(key, "")) for key, names in lost.items() for name in names]
    return tuple(
        mismatch(
            "gradient-missing",
            GRADIENT,
            f"TF1 has a gradient to it, and the candidate none: {why}".rstrip(": "),
            key,
            name,
        )
        for key, name, why in told
    )


def compare_answers(
    calls: tuple[Call, ...],
    expected: tuple[Answer, ...],
    found: tuple[Answer, ...],
    told: tuple[str, str],
    max_ulps: int,
    shaky: Collection[tuple[str, str]],
) -> tuple[Mismatch, ...]:
    """The differences of those outputs that the source answers alike each time.

    Args:
      calls: what was asked.
      expected: the source's answers; an output that one of them lacks is not compared in it.
      found: the candidate's.
      told: code and path of a difference.
      max_ulps: how far apart floats may be.
      shaky: (signature, output) pairs of which no value can be compared.
    """
    kept = [
        Answer({name: v for name, v in b.outputs.items() if name in a.outputs or a.error}, b.error, b.message)
        for a, b in zip(expected, found, strict=True)
    ]
    code, path = told
    differences = compare_calls(calls, expected, expected, kept, path, max_ulps, shaky).mismatches
    return tuple(mismatch(code, path, m.reason, m.signature, m.output, m.call) for m in differences)


def _gradient(expected: Array | None, found: Array | None) -> str:
    """Why two gradients are not the same, or nothing. None is the same as zeros, which is what a client makes of it."""
    if found is None:
        return ""
    if expected is None:
        return "TF1 has no gradient to it, and the candidate has one" if np.any(found) else ""
    if expected.shape != found.shape:
        return f"expected a gradient of {expected.size} values, found {found.size}"
    a, b = expected.astype(np.float64), found.astype(np.float64)
    if np.array_equal(a, b, equal_nan=True):
        return ""
    finite = np.isfinite(a)
    if not np.array_equal(finite, np.isfinite(b)):
        return "the gradient is finite elsewhere than the source's"
    worst = float(np.max(np.abs(a[finite] - b[finite]), initial=0.0))
    largest = float(np.max(np.abs(a[finite]), initial=0.0))
    if worst <= GRADIENT_BOUND * largest:
        return ""
    return f"the gradient differs by up to {worst:g}, where the source's largest value is {largest:g}"
