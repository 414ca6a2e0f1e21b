"""golden.py: golden answers survive a file, and nothing that a file says is believed. No TensorFlow."""

from __future__ import annotations

import json
import zipfile

import ml_dtypes
import numpy as np
import pytest

from migrate.errors import InputError
from migrate.verify import load_golden, save_golden
from migrate.verify.calls import Answer, Call, SparseValue
from migrate.verify.golden import Recorded, RecordedModel


def _strings(*items):
    array = np.empty((len(items), 1), dtype=object)
    array[:, 0] = items
    return array


def _recorded():
    sparse = SparseValue(np.int64([[0, 0]]), np.float32([1]), np.int64([1, 1]))
    outputs = {
        "y": np.array([1.5], ml_dtypes.bfloat16),
        "s": _strings(b"a\0", b""),
        "c": np.complex64(1j),
        "n": np.zeros((0, 2)),
    }
    call = Call("f", {"x": _strings(b"a\0", b"\xff"), "sparse": sparse})
    answers = (Answer(outputs), Answer({}, "InvalidArgumentError", "why"))
    model = RecordedModel("saved_model.pb", "00ff", ("serve",), {"variables/variables.index": "01"})
    runtime = {"tensorflow": "1.4.1", "cpu_flags": ("avx", "sse")}
    return Recorded((call, call), answers, answers, {"g": "reason"}, ("a note",), model, runtime)


def test_round_trip(tmp_path):
    recorded, path = _recorded(), str(tmp_path / "golden.npz")
    save_golden(recorded, path)
    found = load_golden(path)
    assert found.calls[0].inputs["x"].tolist() == [[b"a\0"], [b"\xff"]]
    assert found.calls[0].inputs["sparse"].dense_shape.tolist() == [1, 1]
    for name, value in recorded.answers[0].outputs.items():
        assert found.answers[0].outputs[name].dtype == value.dtype
        assert found.answers[0].outputs[name].shape == value.shape
        assert found.answers[0].outputs[name].tolist() == value.tolist()
    assert found.answers[1] == recorded.answers[1]
    assert (found.skipped, found.notes, found.model) == (recorded.skipped, recorded.notes, recorded.model)
    assert (found.runtime, found.by, found.partial) == (recorded.runtime, "TensorFlow 1.4.1", False)


def test_it_holds_no_pickle(tmp_path):
    save_golden(_recorded(), str(tmp_path / "golden.npz"))
    with np.load(tmp_path / "golden.npz", allow_pickle=False) as file:
        assert {file[name].dtype.name for name in file.files} == {"uint8", "int64"}


def _written(path, change):
    """A golden file, part of which is something else."""
    save_golden(_recorded(), str(path))
    with np.load(path) as file:
        arrays = dict(file)
    content = json.loads(arrays["golden.json"].tobytes())
    changed = change(content, arrays)
    arrays["golden.json"] = np.frombuffer(json.dumps(content if changed is None else changed).encode(), np.uint8)
    np.savez(path, **arrays)


def _set(*keys, value):
    def change(content, arrays):
        for key in keys[:-1]:
            content = content[key]
        content[keys[-1]] = value

    return change


_CHANGES = {
    "another version": _set("schema_version", value=1),
    "no object": lambda *_: [1],
    "calls without answers": _set("again", value=[]),
    "no call": lambda content, _: {**content, "calls": [], "answers": [], "again": []},
    "calls that are no list": _set("calls", value={}),
    "a call that is no object": _set("calls", 0, value=1),
    "a signature that is no text": _set("calls", 0, "signature", value=None),
    "a tensor of a dtype that is none": _set("answers", 0, "outputs", "y", 1, value="float33"),
    "a resource": _set("answers", 0, "outputs", "y", 1, value="resource"),
    "another size": _set("answers", 0, "outputs", "y", 2, value=[2]),
    "a negative size": _set("answers", 0, "outputs", "y", 2, value=[-1]),
    "a size that is true": _set("answers", 0, "outputs", "y", 2, value=[True]),
    "zero times more than can be counted": _set("answers", 0, "outputs", "n", 2, value=[0, 2**62, 2**62]),
    "more dimensions than there are": _set("answers", 0, "outputs", "n", 2, value=[0] * 70),
    "bytes that are not there": _set("answers", 0, "outputs", "y", 0, value=99),
    "an output that is no tensor": _set("answers", 0, "outputs", "y", value="y"),
    "a part of a sparse tensor": _set("calls", 0, "inputs", "sparse", value={"indices": [0, "int64", [1]]}),
    "a model without digest": _set("model", value={"file": "saved_model.pb"}),
    "a runtime that is a number": _set("runtime", "tensorflow", value=2),
}


@pytest.mark.parametrize("name", _CHANGES)
def test_what_is_wrong_with_a_file_is_one_line(name, tmp_path):
    path = tmp_path / "golden.npz"
    _written(path, _CHANGES[name])
    with pytest.raises(InputError) as caught:
        load_golden(str(path))
    assert str(caught.value).startswith(str(path)) and "\n" not in str(caught.value)


def test_lengths_of_strings_that_lie(tmp_path):
    path = tmp_path / "golden.npz"

    def change(content, arrays):
        number = content["answers"][0]["outputs"]["s"][0]
        arrays[f"{number}.lengths"] = np.int64([5, -3])

    _written(path, change)
    with pytest.raises(InputError, match="damaged: answers 0: output 's'"):
        load_golden(str(path))


def test_another_file_is_refused(tmp_path):
    np.savez(tmp_path / "other.npz", x=np.zeros(1))
    (tmp_path / "text.npz").write_text("text")
    for name in ("other.npz", "text.npz", "absent.npz"):
        with pytest.raises(InputError, match=r"migrate record|no \.npz"):
            load_golden(str(tmp_path / name))


def test_pickles_are_not_loaded(tmp_path):
    class Attack:
        def __reduce__(self):
            return (open, (str(tmp_path / "pwned"), "w"))

    path = tmp_path / "golden.npz"
    save_golden(_recorded(), str(path))
    with np.load(path) as file:
        arrays = dict(file)
    np.savez(path, **{**arrays, "0": np.array([Attack()], object)})
    with pytest.raises(InputError, match="array '0': holds Python objects, which are not loaded"):
        load_golden(str(path))
    assert not (tmp_path / "pwned").exists()


def test_a_file_that_is_cut_short_anywhere(tmp_path):
    path = tmp_path / "golden.npz"
    save_golden(_recorded(), str(path))
    whole = path.read_bytes()
    for end in range(0, len(whole), 37):
        path.write_bytes(whole[:end])
        with pytest.raises(InputError) as caught:
            load_golden(str(path))
        assert "\n" not in str(caught.value)


def test_bytes_that_were_changed_are_seen(tmp_path):
    """Each member of the archive has a checksum."""
    path = tmp_path / "golden.npz"
    save_golden(_recorded(), str(path))
    with zipfile.ZipFile(path) as archive:
        start = archive.getinfo("golden.json.npy").header_offset
    data = bytearray(path.read_bytes())
    data[start + 120] ^= 0xFF
    path.write_bytes(bytes(data))
    with pytest.raises(InputError):
        load_golden(str(path))
