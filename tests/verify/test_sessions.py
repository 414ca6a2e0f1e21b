"""What a v1 Session is fed and asked for, and what comes of an error. No TensorFlow."""

from __future__ import annotations

import numpy as np
import pytest

from migrate.records import TensorSpec
from migrate.verify import sessions
from migrate.verify.calls import Call, SparseValue
from migrate.verify.sessions import answer_to, answers_to, feeds_of, fetches_of

_SPARSE = TensorSpec("", "int64", (None, 5), "coo_sparse", ("v:0", "i:0", "s:0"))


def test_a_sparse_value_is_fed_in_three_tensors():
    value = SparseValue(np.zeros((1, 2), np.int64), np.ones(1, np.int64), np.array([3, 5]))
    feeds = feeds_of({"x": value}, {"x": _SPARSE})
    assert set(feeds) == {"v:0", "i:0", "s:0"}
    assert feeds["v:0"] is value.values
    assert feeds["s:0"] is value.dense_shape


def test_a_tensor_name_without_output_is_its_first():
    assert list(feeds_of({"x": np.zeros(1)}, {"x": TensorSpec("x", "float32", (1,))})) == ["x:0"]


def test_each_part_of_an_output_is_fetched():
    specs = {
        "dense": TensorSpec("y:0", "float32", None),
        "sparse": _SPARSE,
        "ragged": TensorSpec("", "float32", None, "composite", ("a:0", "b:0")),
    }
    assert fetches_of(specs) == {
        "dense": "y:0",
        "sparse/values": "v:0",
        "sparse/indices": "i:0",
        "sparse/dense_shape": "s:0",
        "ragged/0": "a:0",
        "ragged/1": "b:0",
    }


def test_an_answer_is_a_copy():
    buffer = np.zeros(2)
    found = answer_to(lambda _: {"y": buffer}, Call("s", {}))
    buffer[0] = 1.0
    assert found.outputs["y"].tolist() == [0.0, 0.0]


def test_an_error_is_its_class_and_first_line():
    def ask(_):
        raise ValueError("no such row\nstack")

    found = answer_to(ask, Call("s", {}))
    assert (found.error, found.message, dict(found.outputs)) == ("ValueError", "no such row", {})


@pytest.mark.parametrize("count", [0, 1, 3])
def test_calls_are_answered_in_order(count):
    asked = []

    def ask(call):
        asked.append(call.signature)
        return {}

    calls = [Call(f"s{number}", {}) for number in range(count)]
    assert len(answers_to(ask, calls)) == count
    assert asked == [call.signature for call in calls]


def test_some_of_the_calls_are_made_and_counted_where_they_are(monkeypatch):
    counted = []
    monkeypatch.setattr(sessions, "count", lambda *numbers: counted.append(numbers))
    calls = [Call(f"s{number}", {}) for number in range(4)]
    assert [answer.error for answer in answers_to(lambda call: {}, calls, 1, 3, {3: "lost"}, (0, 2, 3))] == [
        "",
        "",
        sessions.LOST,
    ]
    assert counted == [(5, 12), (7, 12), (0, 0)]
