"""Compares what a Keras model and its candidate show of themselves beside the signature. No TensorFlow."""

from __future__ import annotations

import collections
from collections.abc import Iterable, Iterator, Mapping

from migrate.records import Mismatch
from migrate.sources.saved_model_files import KERAS_METADATA_FILE
from migrate.verify.calls import Golden, KerasAsked, KerasGolden, KerasShown
from migrate.verify.compare_surface import (
    ALTERED,
    CALLED,
    LOSSES,
    SURFACE,
    TRAINING,
    FurtherComparison,
    compare_answers,
    compare_gradients,
)
from migrate.verify.contract import PATH as CONTRACT
from migrate.verify.differences import mismatch
from migrate.verify.keras_metadata import METRICS, layer_differences
from migrate.verify.messages import CandidateResult


def compare_keras(golden: Golden, keras: KerasGolden, result: CandidateResult, max_ulps: int) -> FurtherComparison:
    """Compares them.

    Args:
      golden: the source's answers.
      keras: what was asked of it, and what it has shown.
      result: the candidate's.
      max_ulps: how far apart floats may be.
    """
    wanted, found = keras.shown, result.keras
    layers = layer_differences(wanted.layers, found.layers, golden.tf_version == result.release)
    key = f"{keras.asked.call.signature}, training" if keras.asked.call is not None else ""
    wrong, count, lost = compare_gradients(key, tuple(keras.asked.trainable), wanted.gradients, found.gradients)
    mismatches = (
        *(mismatch("keras-metadata-differs", CONTRACT, why, "", f"{KERAS_METADATA_FILE}: {n}") for n, why in layers),
        *_optimizer(wanted, found),
        *_flags(golden, wanted, result),
        *_losses(wanted, found),
        *_calls(keras.asked, wanted, found, max_ulps),
        *_states(golden, wanted, result),
        *(_computed(keras.asked, wanted, found) if golden.tf_version == result.release else ()),
        *(_alone(wanted, found) if golden.tf_version == result.release else ()),
        *wrong,
    )
    return FurtherComparison(mismatches, count, lost)


def _optimizer(wanted: KerasShown, found: KerasShown) -> Iterator[Mismatch]:
    """What is there must be the source's; the report of a conversion says what TensorFlow's exporter leaves out."""
    for path, value in wanted.optimizer.items():
        if found.optimizer.get(path, value) != value:
            whose = "a metric" if path.startswith(METRICS) else "the optimizer"
            reason = f"this variable of {whose} has another value than the source's"
            yield mismatch("attribute-differs", SURFACE, reason, "", path)
    every = [path for path in wanted.optimizer if not path.startswith(METRICS)]  # Keras counts anew in the others.
    absent = sum(path not in found.optimizer for path in every)
    if absent:
        reason = f"{absent} of the {len(every)} variables of the source's optimizer are not in the candidate"
        yield mismatch("optimizer-absent", SURFACE, reason, "", "optimizer")


def _flags(golden: Golden, wanted: KerasShown, result: CandidateResult) -> Iterator[Mismatch]:
    paths = dict(zip(golden.variables, result.state.order, strict=False))
    flagged = set(result.surface.flagged)
    for name, path in paths.items():
        was, now = name in wanted.flagged, path in flagged
        if was != now and path in result.surface.names:
            yield mismatch("attribute-differs", SURFACE, f"expected trainable={was}, found {now}", "", name)


def _losses(wanted: KerasShown, found: KerasShown) -> Iterator[Mismatch]:
    if wanted.losses is None:
        return
    expected, given = collections.Counter(wanted.losses), collections.Counter(found.losses or ())
    other = max((expected - given).total(), (given - expected).total())
    if other:
        reason = f"expected {expected.total()} penalties, found {given.total()}, of which {other} have other values"
        yield mismatch("attribute-differs", ALTERED, reason, "", LOSSES)


def _calls(asked: KerasAsked, wanted: KerasShown, found: KerasShown, max_ulps: int) -> Iterator[Mismatch]:
    if asked.call is None or wanted.predicted is None or found.predicted is None:
        return
    call = asked.call
    yield from compare_answers((call,), (wanted.predicted,), (found.predicted,), ("call-differs", CALLED), max_ulps, ())
    yield from compare_answers(asked.more, wanted.more, found.more, ("call-differs", CALLED), max_ulps, ())
    trained = (call,) * len(wanted.trained)
    yield from compare_answers(trained, wanted.trained, found.trained, ("training-differs", TRAINING), max_ulps, ())
    for name in found.unmoved:
        reason = "it answers as outside of training, where the source draws random numbers"
        yield mismatch("training-differs", TRAINING, reason, call.signature, name)


def _states(golden: Golden, wanted: KerasShown, result: CandidateResult) -> Iterator[Mismatch]:
    paths = dict(zip(golden.variables, result.state.order, strict=False))
    for name, value in wanted.states.items():
        path = paths.get(name)
        if path is not None and result.keras.states.get(path, value) != value:
            reason = "training leaves it with another value than the source's"
            yield mismatch("training-differs", TRAINING, reason, "", name)


def _computed(asked: KerasAsked, wanted: KerasShown, found: KerasShown) -> Iterator[Mismatch]:
    """Ops, attributes and constants of a call in training. What the two call their functions says nothing."""
    if not wanted.computed or not found.computed or asked.call is None:
        return
    for told in _other_ops(wanted.computed, found.computed, wanted.penalties):
        yield mismatch("training-differs", TRAINING, f"its call with training=True {told}", asked.call.signature)


def _alone(wanted: KerasShown, found: KerasShown) -> Iterator[Mismatch]:
    """The same of the functions with which layers are called one by one."""
    for name, expected in sorted(wanted.alone.items()):
        if name in found.alone:
            for told in _other_ops(expected, found.alone[name], wanted.beside):
                yield mismatch("call-differs", CALLED, f"a call of this alone {told}", "", name)


def _other_ops(wanted: Mapping[str, int], found: Mapping[str, int], may_be: Iterable[str]) -> list[str]:
    """What a function lacks, and what it has beside what is wanted and what may be there."""
    missing = collections.Counter(wanted) - collections.Counter(found)
    added = found.keys() - wanted.keys() - {*may_be}
    told = [f"lacks {count} {_op(each)} of the source's" for each, count in sorted(missing.items())]
    told += [f"has a {_op(each)} that the source's has not" for each in sorted(added) if _op(each) not in _OF_MASKS]
    return told[:_SHOWN]


def _op(computed: str) -> str:
    """An op without its attributes; of a constant its dtype and shape, too."""
    return computed.rpartition(" ")[0]


_OF_MASKS = frozenset({"Any"})
"""What a layer computes twice in a new model: for its output, and for a mask that is given on apart from it."""
_SHOWN = 4
