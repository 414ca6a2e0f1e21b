"""What counts as a difference in what Keras models show of themselves. No TensorFlow."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from migrate.verify.calls import Answer, Call, Fingerprint, Golden, KerasAsked, KerasGolden, KerasShown
from migrate.verify.compare_keras import compare_keras
from migrate.verify.keras_metadata import normalised
from migrate.verify.messages import CandidateResult, CandidateState, Surface

_LAYER = normalised("_tf_keras_layer", '{"config": {"activation": "relu"}}')
_OTHER_LAYER = normalised("_tf_keras_layer", '{"config": {"activation": "tanh"}}')
_ONE, _TWO = Fingerprint("float32", (), "1"), Fingerprint("float32", (), "2")
_CALL = Call("serving_default", {"x": np.ones([1, 2], np.float32)})
_PREDICTED = Answer({"y": np.array([1.0], np.float32)})
_TRAINED = Answer({"y": np.array([2.0], np.float32)})
_SHOWN = KerasShown(
    {"layer-0": _LAYER},
    {"optimizer/_learning_rate": _ONE},
    ("kernel",),
    (_ONE,),
    _PREDICTED,
    (_TRAINED, _TRAINED),
    {"kernel": _ONE, "mean": _TWO},
)
_ASKED = KerasAsked(("layer-0",), ("optimizer/_learning_rate",), _CALL, '"x"', ("y",), 2)
_GOLDEN = Golden((), (), (), {}, {"kernel": _ONE, "mean": _ONE}, "tf_keras", "2.21.0")
_PATHS = {"variables/0": "kernel", "variables/1": "mean"}
_FOUND = dataclasses.replace(_SHOWN, flagged=(), states={"variables/0": _ONE, "variables/1": _TWO})
_ALONE = "layer-0/__call__, training=None"
_SURFACE = Surface(names=_PATHS, flagged=("variables/0",))


def _differences(shown=_SHOWN, found=_FOUND, surface=_SURFACE, release="2.21.0", asked=_ASKED):
    state = CandidateState(order=tuple(_PATHS))
    result = CandidateResult({}, state, surface=surface, keras=found, release=release)
    return [(m.code, m.output) for m in compare_keras(_GOLDEN, KerasGolden(asked, shown), result, 0).mismatches]


def test_what_is_the_same():
    assert _differences() == []


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"layers": {"layer-0": _OTHER_LAYER}}, ("keras-metadata-differs", "keras_metadata.pb: layer-0")),
        ({"layers": {}}, ("keras-metadata-differs", "keras_metadata.pb: root")),
        ({"optimizer": {"optimizer/_learning_rate": _TWO}}, ("attribute-differs", "optimizer/_learning_rate")),
        ({"optimizer": {}}, ("optimizer-absent", "optimizer")),
        ({"losses": (_TWO,)}, ("attribute-differs", "regularization_losses")),
        ({"losses": ()}, ("attribute-differs", "regularization_losses")),
        ({"losses": (_ONE, _ONE)}, ("attribute-differs", "regularization_losses")),
        ({"predicted": _TRAINED}, ("call-differs", "y")),
        ({"trained": (_TRAINED, _PREDICTED)}, ("training-differs", "y")),
        ({"trained": (Answer({}, "TypeError", "no training"), _TRAINED)}, ("training-differs", "")),
        ({"states": {"variables/0": _ONE, "variables/1": _ONE}}, ("training-differs", "mean")),
        ({"unmoved": ("y",)}, ("training-differs", "y")),
    ],
)
def test_what_differs(changes, expected):
    assert _differences(found=dataclasses.replace(_FOUND, **changes)) == [expected]


@pytest.mark.parametrize(("flagged", "name"), [((), "kernel"), (("variables/0", "variables/1"), "mean")])
def test_variables_say_whether_they_are_trainable(flagged, name):
    surface = dataclasses.replace(_SURFACE, flagged=flagged)
    assert _differences(surface=surface) == [("attribute-differs", name)]
    # A variable that the loaded object does not lead to says nothing.
    assert _differences(surface=Surface(names={}, flagged=flagged)) == []


def test_what_the_source_does_not_say_is_not_compared():
    shown = KerasShown(flagged=("kernel",))
    assert _differences(shown, asked=KerasAsked()) == []
    random = dataclasses.replace(_SHOWN, trained=(Answer({}), Answer({})), states={})
    assert _differences(random) == []


def test_absent_variables_of_an_optimizer_break_nobody():
    result = CandidateResult({}, keras=dataclasses.replace(_FOUND, optimizer={}), surface=_SURFACE)
    golden = KerasGolden(KerasAsked(), KerasShown(optimizer=_SHOWN.optimizer))
    (difference,) = compare_keras(_GOLDEN, golden, result, 0).mismatches
    assert difference.is_note


_GRADIENTS = {"kernel": np.array([1.0, -2.0])}


def _of_gradients(found):
    asked = dataclasses.replace(_ASKED, steady=("y",), trainable={"kernel": 0})
    golden = KerasGolden(asked, dataclasses.replace(_SHOWN, gradients=_GRADIENTS))
    state = CandidateState(order=tuple(_PATHS))
    keras = dataclasses.replace(_FOUND, gradients=found)
    return compare_keras(
        _GOLDEN, golden, CandidateResult({}, state, surface=_SURFACE, keras=keras, release="2.21.0"), 0
    )


def test_gradients_in_training():
    same = _of_gradients(_GRADIENTS)
    assert (same.mismatches, same.gradients, same.lost) == ((), 1, {})
    other = _of_gradients({"kernel": np.array([1.0, -2.1])})
    assert [(m.code, m.output) for m in other.mismatches] == [("gradient-differs", "kernel")]
    lost = _of_gradients({})
    assert (lost.gradients, lost.lost) == (0, {"serving_default, training": ("kernel",)})


_MORE = (Call("serving_default", {"x": np.zeros([1, 2], np.float32)}),)


@pytest.mark.parametrize(("answer", "told"), [(_PREDICTED, []), (_TRAINED, [("call-differs", "y")])])
def test_further_calls_are_compared(answer, told):
    asked = dataclasses.replace(_ASKED, more=_MORE)
    shown = dataclasses.replace(_SHOWN, more=(_PREDICTED,))
    assert _differences(shown, dataclasses.replace(_FOUND, more=(answer,)), asked=asked) == told


@pytest.mark.parametrize(
    ("found", "told"),
    [
        ({"Neg 1": 2, "Const float32 [] ab": 1}, []),
        # What functions of layers compute twice says nothing, nor do penalties.
        ({"Neg 1": 3, "Const float32 [] ab": 1, "L2Loss 1": 2}, []),
        # A mask is computed apart from the output that it is of.
        ({"Neg 1": 2, "Const float32 [] ab": 1, "Any 1": 1}, []),
        ({"Neg 1": 2, "Const float32 [] cd": 1}, [("training-differs", "")] * 2),
        ({"Neg 1": 1, "Const float32 [] ab": 1}, [("training-differs", "")]),
        ({"Neg 1": 2, "Const float32 [] ab": 1, "Abs 1": 1}, [("training-differs", "")]),
        ({}, []),
    ],
)
def test_what_is_computed_in_training(found, told):
    shown = dataclasses.replace(_SHOWN, computed={"Neg 1": 2, "Const float32 [] ab": 1}, penalties=("L2Loss 1",))
    keras = dataclasses.replace(_FOUND, computed=found)
    assert _differences(shown, keras) == told
    # Another release may trace another graph.
    assert _differences(shown, keras, release="2.15.0") == []


@pytest.mark.parametrize(
    ("found", "told"),
    [
        ({"Relu 1": 1}, []),
        # What it computes of masks and penalties says nothing.
        ({"Relu 1": 1, "NotEqual 1": 1, "L2Loss 1": 1}, []),
        ({"Relu 1": 1, "Neg 1": 1}, [("call-differs", _ALONE)]),
        ({"Tanh 1": 1}, [("call-differs", _ALONE)] * 2),
        (None, []),
    ],
)
def test_what_a_layer_computes_alone(found, told):
    shown = dataclasses.replace(_SHOWN, alone={_ALONE: {"Relu 1": 1}}, beside=("L2Loss 1", "NotEqual 1"))
    keras = dataclasses.replace(_FOUND, alone={} if found is None else {_ALONE: found})
    assert _differences(shown, keras) == told
    # Another release may trace another graph.
    assert _differences(shown, keras, release="2.15.0") == []


def test_variables_of_metrics_may_be_absent_and_not_other_ones():
    shown = dataclasses.replace(_SHOWN, optimizer={**_SHOWN.optimizer, "keras_api/metrics/0/count": _ONE})
    other = dataclasses.replace(_FOUND, optimizer={**_SHOWN.optimizer, "keras_api/metrics/0/count": _TWO})
    assert _differences(shown) == []
    assert _differences(shown, other) == [("attribute-differs", "keras_api/metrics/0/count")]
