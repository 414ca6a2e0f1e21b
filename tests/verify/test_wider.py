"""wider.py: calls that are made of accepted ones. No TensorFlow."""

from __future__ import annotations

import numpy as np
import pytest

from migrate.verify.calls import Call, SparseValue
from migrate.verify.uses import Uses
from migrate.verify.wider import Facts, time_of, wider
from migrate.verify.wider_values import NO_TEXTS, TEXTS


def _made(inputs, facts, most_rows=4096):
    def first(name, value):
        if isinstance(value, SparseValue):
            kept = value.indices[:, 0] < 1
            return SparseValue(value.indices[kept], value.values[kept], np.array([1, *value.dense_shape[1:]]))
        shapes = facts[name].shapes
        return value[:1] if shapes[0][:1] == (None,) else value

    one_row = {name: first(name, value) for name, value in inputs.items()}
    found = list(wider(facts)([Call("s", inputs), Call("s", one_row)], most_rows))
    by_kind = {}
    for one in found:
        by_kind.setdefault(one.kind, []).append(one)
    return by_kind


def _floats(rows=3):
    return np.arange(rows * 2, dtype=np.float32).reshape(rows, 2)


_OPEN = Facts("x:0", ((None, 2),))


def test_batches_differ():
    made = _made({"x": _floats()}, {"x": _OPEN})
    sizes = {len(one.call.inputs["x"]) for kind in made.values() for one in kind}
    assert {0, 2, 8, 65} <= sizes and sizes & {4, 5}


def test_a_fixed_batch_stays_as_it_is():
    made = _made({"x": _floats()}, {"x": Facts("x:0", ((3, 2),))})
    assert {one.call.inputs["x"].shape for kind in made.values() for one in kind} == {(3, 2)}


def test_no_call_has_more_rows_than_are_allowed():
    made = _made({"x": _floats()}, {"x": _OPEN}, most_rows=2)
    assert max(len(one.call.inputs["x"]) for kind in made.values() for one in kind) == 2


def test_a_graph_that_demands_multiples_gets_them():
    calls = [Call("s", {"x": np.ones((rows, 2), np.float32)}) for rows in (8, 4)]
    sizes = {len(one.call.inputs["x"]) for one in wider({"x": _OPEN})(calls, 4096) if one.kind != "batch of 2"}
    assert all(size % 4 == 0 for size in sizes)


def test_every_row_of_a_table_is_looked_up():
    facts = {"x": Facts("x:0", ((None,),), Uses(rows=(500,), is_index=True))}
    made = _made({"x": np.zeros(3, np.int64)}, facts)
    assert set(made["many rows"][0].call.inputs["x"].tolist()) == set(range(500))
    beyond = set(made["whole numbers beyond"][0].call.inputs["x"].tolist())
    assert {500, -1, 2**31 + 7} <= beyond
    # What the source refuses is asked for one by one.
    assert len(made["whole numbers beyond"][0].instead) == 4


def test_a_table_that_is_too_large_is_looked_up_evenly():
    facts = {"x": Facts("x:0", ((None,),), Uses(rows=(1_000_000,), is_index=True))}
    found = _made({"x": np.zeros(3, np.int64)}, facts)["many rows"][0].call.inputs["x"]
    assert (len(found), found.max(), found.min()) == (65, 999_999, 0)


def test_every_word_of_a_vocabulary_is_looked_up():
    words = tuple(b"%d" % number for number in range(3000))
    facts = {"x": Facts("x:0", ((None,),), words=words, is_text=True)}
    value = np.array([b"a", b"b"], object)
    made = _made({"x": value}, facts)
    assert set(made["many rows"][0].call.inputs["x"].tolist()) == set(words)
    assert set(made["text"][0].call.inputs["x"].tolist()) == {*TEXTS, *NO_TEXTS}


def test_nan_is_in_one_call_alone():
    made = _made({"x": _floats()}, {"x": _OPEN})
    with_nan = [kind for kind, found in made.items() if any(np.isnan(one.call.inputs["x"]).any() for one in found)]
    assert with_nan == ["not finite"]
    rows = made["not finite"][0].call.inputs["x"]
    assert np.isfinite(rows).all(axis=1).any() and np.isposinf(rows).any() and np.isneginf(rows).any()


@pytest.mark.parametrize("kind", ["not finite", "whole numbers beyond"])
def test_what_may_become_a_size_stays_small(kind):
    facts = {"x": Facts("x:0", ((None, 2),), Uses(is_bounded=True, is_index=True))}
    assert kind not in _made({"x": _floats()}, facts)
    assert kind not in _made({"x": _floats().astype(np.int64)}, facts)


def test_two_inputs_on_one_tensor_have_one_value():
    facts = {"a": Facts("x:0", ((None, 2),)), "b": Facts("x:0", ((None, 2),))}
    for kind in _made({"a": _floats(), "b": _floats()}, facts).values():
        for one in kind:
            np.testing.assert_array_equal(one.call.inputs["a"], one.call.inputs["b"])


def test_sparse_rows_have_several_values_and_none():
    value = SparseValue(np.array([[0, 0], [1, 0]]), np.array([1.0, 2.0], np.float32), np.array([2, 1]))
    made = _made({"x": value}, {"x": Facts("v:0", ((None, None),))})
    found = made["several values of a sparse row"][0].call.inputs["x"]
    rows = [found.indices[found.indices[:, 0] == row, 1].tolist() for row in range(int(found.dense_shape[0]))]
    assert [0, 1] in rows and [] in rows and [2] in rows
    assert (found.indices < found.dense_shape).all()
    assert {int(one.call.inputs["x"].dense_shape[0]) for kind in made.values() for one in kind} >= {0, 2, 65}


def test_lengths_are_no_greater_than_what_they_are_about():
    inputs = {"x": np.ones((3, 6, 2), np.float32), "lengths": np.array([1, 2, 3], np.int32)}
    facts = {"x": Facts("x:0", ((None, None, 2),)), "lengths": Facts("l:0", ((None,),))}
    assert time_of(Call("s", inputs), ["lengths"]) == 6
    made = _made(inputs, facts)
    for kind in made.values():
        for one in kind:
            found = one.call.inputs
            assert found["lengths"].max(initial=0) <= found["x"].shape[1]
    assert set(made["lengths"][0].call.inputs["lengths"].tolist()) == {0, 1, 5, 6}


def test_a_bool_that_says_whether_the_model_is_trained_is_turned():
    inputs = {"x": _floats(), "is_training": np.array(False)}
    facts = {"x": _OPEN, "is_training": Facts("t:0", ((),), always=True)}
    made = _made(inputs, facts)
    assert all(one.call.inputs["is_training"] for one in made["training"])
    others = [one for kind, found in made.items() if kind not in ("training", "a branch") for one in found]
    assert not any(one.call.inputs["is_training"] for one in others)


def test_calls_are_the_same_every_time():
    facts = {"x": Facts("x:0", ((None, 2),), Uses(constants=(3.0,), reduced=True))}
    for one, other in zip(
        wider(facts)([Call("s", {"x": _floats()})], 100), wider(facts)([Call("s", {"x": _floats()})], 100), strict=True
    ):
        assert one.kind == other.kind
        np.testing.assert_array_equal(one.call.inputs["x"], other.call.inputs["x"])


def test_a_call_without_inputs_has_no_wider_ones():
    assert _made({}, {}) == {}


@pytest.mark.parametrize("kind", ["edges", "many rows", "not finite", "subnormal"])
def test_what_is_refused_for_one_row_is_asked_without_it(kind):
    facts = {"x": Facts("x:0", ((None, 2),), Uses(constants=(3.0, 20.0))), "flag": Facts("flag:0", ((),))}
    one = _made({"x": _floats(), "flag": np.array(True)}, facts)[kind][0]
    whole = one.instead[0] if one.instead else one.call
    parts = [whole]
    while any(len(part.inputs["x"]) > 1 for part in parts):
        parts = [half for part in parts for half in (one.apart(part) or (part,))]
    np.testing.assert_array_equal(np.concatenate([part.inputs["x"] for part in parts]), whole.inputs["x"])
    assert all(part.inputs["flag"] is one.call.inputs["flag"] for part in parts)


def test_sparse_rows_are_parted():
    indices = np.array([[0, 0], [0, 1], [2, 1]])
    value = SparseValue(indices, np.array([1.0, 2.0, 3.0], np.float32), np.array([3, 2]))
    dense = np.arange(3, dtype=np.float32)
    facts = {"x": Facts("v:0", ((None, None),)), "y": Facts("y:0", ((None,),))}
    one = _made({"x": value, "y": dense}, facts)["not finite"][0]
    first, last = one.apart(Call("s", {"x": value, "y": dense}))
    assert (first.inputs["x"].values.tolist(), last.inputs["x"].values.tolist()) == ([1.0, 2.0], [3.0])
    assert (first.inputs["x"].dense_shape.tolist(), last.inputs["x"].dense_shape.tolist()) == ([1, 2], [2, 2])
    assert last.inputs["x"].indices.tolist() == [[1, 1]] and last.inputs["y"].tolist() == [1, 2]


def test_a_graph_that_demands_multiples_is_parted_by_them():
    calls = [Call("s", {"x": np.ones((rows, 2), np.float32)}) for rows in (8, 4)]
    one = next(one for one in wider({"x": _OPEN})(calls, 4096) if one.kind == "many rows")
    sizes = [len(half.inputs["x"]) for half in one.apart(one.call)]
    assert all(size % 4 == 0 for size in sizes) and not one.apart(calls[1])


def test_special_values_come_alone_where_there_are_no_rows():
    one = _made({"x": _floats()}, {"x": Facts("x:0", ((3, 2),))})["not finite"][0]
    assert len(one.instead) == 5 and not one.apart(one.call)
    assert all(np.count_nonzero(np.isfinite(call.inputs["x"])) >= 5 for call in one.instead)
