"""compare_tf1.py: a candidate's answers beside those of TensorFlow 1. No TensorFlow."""

from __future__ import annotations

import numpy as np
import pytest

from migrate.verify.bounds import ABSOLUTE, RELATIVE
from migrate.verify.calls import Answer, Call
from migrate.verify.compare_tf1 import compare_with_tf1
from migrate.verify.sessions import LOST

_CALLS = (Call("s", {}), Call("s", {}))


def _answer(*values):
    return Answer({"y": np.array(values, np.float32)})


def _compared(expected, found, undefined=()):
    return compare_with_tf1(_CALLS, expected, {"tf2": found, "session": found}, (ABSOLUTE, RELATIVE), undefined)


def test_equal():
    (told,) = _compared((_answer(1), _answer(2, 3)), (_answer(1), _answer(2, 3)))
    assert (told.signature, told.output, told.calls, told.values) == ("s", "y", 2, 6)
    assert told.bitwise_equal and not told.beyond and told.max_relative_difference == 0


def test_near():
    (told,) = _compared((_answer(1), _answer(2)), (_answer(1), _answer(2.00001)))
    assert not told.bitwise_equal and not told.beyond
    assert 4e-6 < told.max_relative_difference < 6e-6


def test_far_with_the_call_and_the_values():
    (told,) = _compared((_answer(1), _answer(2, 4)), (_answer(1), _answer(2, 5)))
    assert told.beyond == (
        "call 1: 1 of 2 values are beyond the bound; at [1] TensorFlow 1 gives 4.0, and the new model 5.0"
    )


def test_another_form():
    (told,) = _compared((_answer(1), _answer(2, 3)), (_answer(1), _answer(2)))
    assert "float32 [2], and the new model float32 [1]" in told.beyond and not told.bitwise_equal


def test_calls_that_end_differently():
    error = Answer({}, "InvalidArgumentError", "no")
    (told, y) = _compared((_answer(1), error), (_answer(1), _answer(1)))
    assert told.output == "" and "call 1: TensorFlow 1 ends in InvalidArgumentError (no)" in told.beyond
    assert y.calls == 1 and not y.beyond


def test_calls_that_both_refuse():
    errors = (Answer({}, "InvalidArgumentError"), Answer({}, "OutOfRangeError"))
    assert _compared(errors, errors[::-1]) == ()


def test_a_call_that_has_cost_a_process_is_left_out():
    assert _compared((Answer({}, LOST), Answer({}, LOST)), (_answer(1), _answer(2))) == ()


@pytest.mark.parametrize(
    "answer",
    [
        Answer({}, "NotFoundError", "no such file"),
        Answer({}, "UnimplementedError", "not for this dtype"),
        Answer({}, "ResourceExhaustedError", "OOM"),
        Answer({}, "InvalidArgumentError", "No OpKernel was registered to support Op 'Abs'"),
    ],
)
def test_a_call_that_tensorflow_1_cannot_make(answer):
    (told,) = _compared((_answer(1), answer), (_answer(1), _answer(1)))
    assert told.output == "y" and told.calls == 1 and not told.beyond


def test_an_output_without_a_defined_value():
    assert _compared((_answer(1), _answer(2)), (_answer(3), _answer(4)), {("s", "y")}) == ()


def test_an_output_on_which_the_source_contradicts_itself_in_one_call():
    found = {"tf2": (_answer(1), _answer(4))}
    (told,) = compare_with_tf1(_CALLS, (_answer(1), _answer(2)), found, (0.0, 0.0), (), {(1, "y")})
    assert told.calls == 1 and not told.beyond


def test_values_that_are_flushed_to_zero():
    """By chance, and so does a value beside the smallest normal one."""
    (told,) = _compared((_answer(1e-40), _answer(2e-38)), (_answer(0), _answer(0)))
    assert not told.beyond and told.max_relative_difference == 0


def test_quantised_values_as_tensorflow_wraps_them():
    def asked(value):
        wrapped = np.array([(1,), (value,)], np.dtype([("qint8", np.int8)]))
        expected = Answer({"y": np.array([1, 2], np.int8)})
        return compare_with_tf1(_CALLS[:1], (expected,), {"tf2": (Answer({"y": wrapped}),)}, (0.0, 0.0), ())

    assert asked(2)[0].bitwise_equal and asked(3)[0].beyond
