"""golden.py: golden answers survive a file. No TensorFlow."""

from __future__ import annotations

import ml_dtypes
import numpy as np
import pytest

from migrate.errors import InputError
from migrate.verify import load_golden, save_golden
from migrate.verify.calls import Answer, Call, Fingerprint, Golden, SparseValue


def test_round_trip(tmp_path):
    strings = np.empty((2, 1), dtype=object)
    strings[:] = [[b"a\0"], [b""]]
    sparse = SparseValue(np.int64([[0, 0]]), np.float32([1]), np.int64([1, 1]))
    outputs = {"y": np.array([1.5], ml_dtypes.bfloat16), "s": strings, "c": np.complex64(1j), "n": np.zeros((0, 2))}
    call = Call("f", {"x": strings, "sparse": sparse})
    golden = Golden(
        (call, call),
        (Answer(outputs), Answer({}, "InvalidArgumentError", "why")),
        (Answer(outputs), Answer({}, "InvalidArgumentError", "why")),
        {"g": "reason"},
        {"w": Fingerprint("float32", (2,), "00")},
        "tensorflow",
        "2.21.0",
    )
    path = str(tmp_path / "golden.npz")
    save_golden(golden, path)
    found = load_golden(path)
    assert found.calls[0].inputs["x"].tolist() == strings.tolist()
    assert found.calls[0].inputs["sparse"].dense_shape.tolist() == [1, 1]
    for name, value in outputs.items():
        assert found.answers[0].outputs[name].dtype == value.dtype
        assert found.answers[0].outputs[name].shape == value.shape
        assert found.answers[0].outputs[name].tolist() == value.tolist()
    assert found.answers[1] == golden.answers[1]
    assert (found.skipped, found.variables, found.loader) == (golden.skipped, golden.variables, "tensorflow")


def test_another_file_is_refused(tmp_path):
    np.savez(tmp_path / "other.npz", x=np.zeros(1))
    (tmp_path / "text.npz").write_text("text")
    for name in ("other.npz", "text.npz", "absent.npz"):
        with pytest.raises(InputError):
            load_golden(str(tmp_path / name))
