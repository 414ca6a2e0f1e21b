"""The plain values that the parts of verifying hand to each other."""

from __future__ import annotations

import dataclasses
import pickle

import numpy as np
import pytest

from migrate.verify.calls import SPARSE_PARTS, Answer, Call, CandidateCalls, Fingerprint, Golden, SparseValue

_SPARSE = SparseValue(np.int64([[0, 1]]), np.float32([2.5]), np.int64([1, 2]))


def test_a_sparse_value_has_its_parts_by_name():
    assert tuple(_SPARSE.parts) == SPARSE_PARTS == ("indices", "values", "dense_shape")
    assert [part.tolist() for part in _SPARSE.parts.values()] == [[[0, 1]], [2.5], [1, 2]]


def test_values_go_to_another_process():
    call = Call("f", {"x": _SPARSE, "y": np.array([b"a\0"], object)})
    found = pickle.loads(pickle.dumps(call))
    assert found.inputs["x"].values.tolist() == [2.5]
    assert found.inputs["y"].tolist() == [b"a\0"]


def test_what_is_not_said_is_nothing():
    assert (Answer({}).error, Answer({}).message) == ("", "")
    assert (CandidateCalls("f", ()).derived, CandidateCalls("f", ()).reason) == ((), "")
    assert Golden((), (), (), {}, {}, "tensorflow", "2.21.0").states == {}


@pytest.mark.parametrize("value", [_SPARSE, Call("f", {}), Answer({}), Fingerprint("float32", (), "00")])
def test_nothing_is_changed_after_it_is_made(value):
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(value, dataclasses.fields(value)[0].name, None)
