"""calls_file.py: whatever is wrong with the user's calls is told in a line, with the place, before a model is read."""

from __future__ import annotations

import io
import json
import os
import random
import struct
import zipfile

import numpy as np
import pytest

from migrate import cli
from migrate.errors import InputError
from migrate.fleet import run
from migrate.processes.nursery import Nursery
from migrate.records import Signature, TensorSpec
from migrate.sources import discover
from migrate.verify import calls_file, given
from tests.conversions import MODELS


def _npz(arrays, **options):
    stream = io.BytesIO()
    (np.savez_compressed if options.get("compressed") else np.savez)(stream, **arrays)
    return stream.getvalue()


def _zip(members):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, data in members:
            archive.writestr(name, data)
    return stream.getvalue()


def _npy(shape, dtype="<f4", data=b"", version=(1, 0)):
    header = f"{{'descr': {dtype!r}, 'fortran_order': False, 'shape': {shape}}}\n".encode("latin-1")
    return b"\x93NUMPY" + bytes(version) + struct.pack("<H" if version == (1, 0) else "<I", len(header)) + header + data


def _bad_crc():
    data = bytearray(_npz({"x": np.arange(100, dtype=np.float32)}))
    data[data.index(b"\x93NUMPY") + 200] ^= 1
    return bytes(data)


_GOOD = _npz({"x": np.ones((2, 2), np.float32), "words/s": np.array([b"a"])})
_JSON = {
    "nested 100,000 deep": (b'{"x": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", "character 69: nested deeper than 64"),
    "nested objects": (b'{"x": ' * 100_000 + b"1" + b"}" * 100_000, "nested deeper than 64"),
    "nested in text too": (b'["\\"[[{", ' + b"[" * 100_000, "nested deeper than 64"),
    "nested 100 deep": (b'{"x": ' + b"[" * 100 + b"]" * 100 + b"}", "call 0: input 'x': lists are nested deeper than"),
    "signature a number": (b'[{"signature": 7, "inputs": {}}]', "call 0: 'signature' is the name of one, found a num"),
    "signature a list": (
        b'[{"signature": ["s"], "inputs": {}}]',
        "call 0: 'signature' is the name of one, found a li",
    ),
    "signature an object": (b'[{"signature": {}, "inputs": {"x": 1}}]', "found an object"),
    "signature a boolean": (b'[{"signature": true, "inputs": {"x": 1}}]', "found true or false"),
    "two names for it": (
        b'[{"signature_name": "s", "signature": "s", "inputs": {}}]',
        "call 0: has 'signature' and 'signature_name'",
    ),
    "another key": (b'[{"inputs": {"x": 1}, "context": {}}]', "call 0: 'context' is none of 'inputs', 'instances',"),
    "inputs and instances": (b'{"inputs": [[1]], "instances": [[1]]}', "call 0: has 'inputs' and 'instances'"),
    "instances a number": (b'{"instances": 1}', "call 0: 'instances' is a list with an entry for each row of"),
    "no instances": (b'{"instances": []}', "found an empty one"),
    "instances of two kinds": (b'{"instances": [{"x": 1}, 2]}', "row 1: of 'instances' all are objects or none is"),
    "rows that differ": (b'{"instances": [{"x": 1}, {"y": 1}]}', "row 1: has other inputs than row 0"),
    "a row's name twice": (b'{"instances": [{"x": 1, "x": 2}]}', "row 0: the name 'x' is given twice"),
    "ragged instances": (b'{"instances": [[1, 2], [3]]}', "'instances': rows differ in length"),
    "a bad line": (b'{"x": 1}\n{"x": 2}\n{"x": }\n', "line 3, column 7: no JSON"),
    "a line with two": (b'{"x": 1}\n{"x": 2}{"x": 3}\n', "line 2, column 9: no JSON: Extra data"),
    "no inputs": (b'[{"signature": "s"}]', "call 0: expected"),
    "a call of null": (b'[{"inputs": {"x": 1}}, null]', "call 1: expected"),
    "a number": (b"7", "call 0: expected"),
    "empty": (b"", "line 1, column 1: no JSON"),
    "empty list": (b"[]", "holds no call"),
    "cut": (b'{"x": [1, 2', "line 1, column 12: no JSON"),
    "two documents": (b"{}{}", "column 3: no JSON"),
    "no UTF-8": (b'{"x": "\xff"}', "byte 7: no UTF-8"),
    "UTF-16": ('{"x": 1}'.encode("utf-16"), "byte 0: no UTF-8"),
    "byte order mark": (b'\xef\xbb\xbf{"x": 1}', "no JSON"),
    "NaN": (b'{"x": [NaN]}', "NaN is not in JSON"),
    "Infinity": (b'{"x": [-Infinity]}', "-Infinity is not in JSON"),
    "digits": (b'{"x": ' + b"9" * 10_000 + b"}", "integer string conversion"),
    "a name twice": (b'{"x": 1, "x": 2}', "call 0: the name 'x' is given twice"),
    "inputs twice": (b'[{"inputs": {}, "inputs": {"x": 1}}]', "call 0: the name 'inputs' is given twice"),
    "a part twice": (b'{"x": {"values": [1], "values": [2]}}', "input 'x': the name 'values' is given twice"),
    "b64 twice": (b'{"x": [{"b64": "", "b64": ""}]}', "input 'x': the name 'b64' is given twice"),
    "ragged": (b'{"x": [[1, 2], [3]]}', "input 'x': rows differ in length: row 1 has the shape [1]"),
    "ragged below": (b'{"x": [[[1], [2]], [[3], 4]]}', "input 'x': rows differ in length"),
    "part of a part": (b'{"x": {"values": {"values": 1}}}', "input 'x': 'values': expected a list or text"),
}
_NPZ = {
    "empty": (b"", "no .npz, or cut short"),
    "no zip": (b"no zip at all", "no .npz, or cut short"),
    "a .npy": (_npy((2,), data=bytes(8)), "no .npz, or cut short"),
    "truncated": (_GOOD[: len(_GOOD) // 2], "no .npz, or cut short"),
    "its end alone": (_GOOD[-100:], "no .npz, or cut short"),
    "no array": (_zip([]), "holds no call"),
    "bad CRC": (_bad_crc(), "array 'x': damaged: Bad CRC-32"),
    "huge shape": (
        _zip([("x.npy", _npy((1 << 40, 1 << 20)))]),
        "array 'x': its shape [1099511627776, 1048576] of",
    ),
    "shape that wraps": (_zip([("x.npy", _npy((1 << 62, 4)))]), "array 'x': its shape"),
    "zero and huge": (_zip([("x.npy", _npy((0, 1 << 70)))]), "array 'x': its shape"),
    "negative": (_zip([("x.npy", _npy((-1, -2), data=bytes(8)))]), "array 'x': its shape [-1, -2]"),
    "many dimensions": (_zip([("x.npy", _npy((1,) * 100, data=bytes(4)))]), "array 'x': its shape"),
    "too little": (
        _zip([("x.npy", _npy((4,), data=bytes(12)))]),
        "array 'x': its shape [4] of float32 does not fit",
    ),
    "too much": (_zip([("x.npy", _npy((2,), data=bytes(12)))]), "array 'x': its shape [2]"),
    "objects": (_npz({"x": np.array([{}, []], dtype=object)}), "array 'x': holds Python objects"),
    "records": (_npz({"x": np.zeros(2, "i4,f4")}), "array 'x': dtype"),
    "dates": (_npz({"x": np.zeros(2, "M8[s]")}), "array 'x': dtype datetime64[s] is none of a tensor's"),
    "another format": (_zip([("x.npy", b"\x93NUMPX")]), "array 'x': no .npy, or damaged"),
    "another version": (_zip([("x.npy", _npy((1,), data=bytes(4), version=(9, 0)))]), "array 'x': "),
    "code for a header": (_zip([("x.npy", _npy("__import__('os').system('touch pwned')"))]), "array 'x': no .npy"),
    "a deep header": (_zip([("x.npy", _npy("(" * 5000))]), "array 'x': no .npy, or damaged"),
    "a long header": (_zip([("x.npy", _npy("1" * 60000))]), "array 'x': no .npy, or damaged"),
    "a name twice": (_zip([("x.npy", _npy((1,), data=bytes(4))), ("x", _npy((1,), data=bytes(4)))]), "is there twice"),
    "claims 4 GB": (
        _GOOD.replace(struct.pack("<II", 144, 144), struct.pack("<II", 144, 0xFFFFFFF0)),
        "more than 4,294,967,296 bytes",
    ),
}
_CASES = {
    **{f"json: {name}": (".json", *case) for name, case in _JSON.items()},
    **{f"npz: {name}": (".npz", *case) for name, case in _NPZ.items()},
}


@pytest.fixture
def no_model(monkeypatch):
    """Fails a test in which a model is looked for or a process started."""

    def fail(*_, **__):
        raise AssertionError("a model was touched")

    monkeypatch.setattr(discover, "find_models", fail)
    monkeypatch.setattr(run, "find_models", fail)
    monkeypatch.setattr(Nursery, "__init__", fail)


def _refused(arguments, file, words, capsys):
    """Whether the command ends with 2 and one line that names the file and the place."""
    assert cli.main(["migrate", *map(str, arguments), f"--inputs={file}"]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith(f"migrate: {file}: ") and err[:-1].isprintable() and len(err) < 700, err
    assert words in err, err


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize("case", _CASES)
def test_what_is_wrong_for_every_model_is_told_before_one_is_read(case, tmp_path, capsys, no_model, monkeypatch):
    suffix, data, words = _CASES[case]
    file = tmp_path / f"calls{suffix}"
    file.write_bytes(data)
    monkeypatch.chdir(tmp_path)
    model = MODELS / "simple_save"
    _refused(["convert", model, tmp_path / "new"], file, words, capsys)
    _refused(["validate", model, f"--against={model}"], file, words, capsys)
    assert os.listdir(tmp_path) == [file.name]


@pytest.mark.parametrize("suffix", [".json", ".npz"])
def test_what_is_no_regular_file_is_not_opened(suffix, tmp_path, capsys, no_model):
    file = tmp_path / f"calls{suffix}"
    convert = ["convert", MODELS / "simple_save", tmp_path / "new"]
    _refused(convert, file, "no such file", capsys)
    os.mkfifo(file)
    _refused(convert, file, "not a regular file", capsys)
    file.unlink()
    file.symlink_to("/dev/zero")
    _refused(convert, file, "not a regular file", capsys)
    file.unlink()
    file.mkdir()
    _refused(convert, file, "Is a directory", capsys)
    file.rmdir()
    with open(file, "wb") as stream:
        stream.truncate(10 << 30)
    _refused(convert, file, "10,737,418,240 bytes", capsys)
    _refused(convert, "/dev/stdin", "a .npz, a .json or a .jsonl file", capsys)


def test_what_an_archive_unpacks_to_is_bounded(tmp_path, capsys, no_model, monkeypatch):
    monkeypatch.setattr(calls_file, "_MOST_NPZ", 1 << 20)
    file = tmp_path / "calls.npz"
    file.write_bytes(_npz({"x": np.zeros(1 << 20, np.uint8), "y": np.zeros(9, np.uint8)}, compressed=True))
    _refused(["convert", MODELS / "simple_save", tmp_path / "new"], file, "more than 1,048,576 bytes", capsys)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ({"x": [["a", "b"]]}, "call 0: input 'x': is no array of float32: "),
        ({"x": [[True, {}]]}, "call 0: input 'x': is no array of float32: "),
        ({"x": [[1e39, 1, 1]]}, "a number is too large for float32"),
        ('{"x": [[1e999, 1, 1]]}', "a number is too large for float32"),
        ({"q": 1}, "signature 'serving_default' has no input 'q'"),
        ([{"signature": "other", "inputs": {}}], "call 0: unknown signature 'other'"),
        ({"x": [1.0]}, "call 0: input 'x': expected shape"),
    ],
)
def test_what_does_not_fit_the_one_model_is_told_before_it_is_run(content, words, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(Nursery, "__init__", lambda *_, **__: pytest.fail("a process was started"))
    file = tmp_path / "calls.json"
    file.write_text(content if isinstance(content, str) else json.dumps(content))
    model = MODELS / "simple_save"
    _refused(["convert", model, tmp_path / "new"], file, words, capsys)
    _refused(["validate", model, f"--against={model}"], file, words, capsys)


_SIGNATURES = (
    Signature("serving_default", "", {"x": TensorSpec("x:0", "float32", (None, 2))}, {}),
    Signature("words", "", {"s": TensorSpec("s:0", "string", (None,))}, {}),
    Signature("sparse", "", {"ids": TensorSpec("", "int64", (None, None), "coo_sparse", ("v:0", "i:0", "d:0"))}, {}),
)
_SEEDS = {
    ".json": json.dumps(
        [
            {"inputs": {"x": [[1.5, 2], [-3e4, 0.25]]}},
            {"signature": "words", "inputs": {"s": ["\u00e4", {"b64": "/w=="}, '\\"[{']}},
            {"signature": "sparse", "inputs": {"ids": {"indices": [[0, 1]], "values": [3], "dense_shape": [1, 2]}}},
        ]
    ).encode(),
    ".npz": _npz(
        {
            "0/x": np.ones((2, 2), np.float32),
            "1/words/s": np.array([b"a", b"bc"]),
            "2/sparse/ids/indices": np.zeros((1, 2), np.int64),
            "2/sparse/ids/values": np.array([7]),
            "2/sparse/ids/dense_shape": np.array([1, 1]),
            "3/words/s": np.array(["\u00e4"]),
        },
        compressed=True,
    ),
}
_SEEDS["stored.npz"] = _npz({"0/x": np.asfortranarray(np.ones((2, 2))), "1/words/s": np.array(["a", "bc"])})
_BITS = b'[]{}",:\\0-1eE.nNtI\x00\xff\x7f\x80 \n'


def _mutated(data, generator):
    data = bytearray(data)
    for _ in range(generator.choice((1, 1, 1, 2, 4))):
        place = generator.randrange(len(data) + 1)
        match generator.randrange(6):
            case 0:
                del data[place:]
            case 1:
                data[place : place + generator.randint(1, 9)] = b""
            case 2:
                data[place:place] = bytes(generator.choices(_BITS, k=generator.randint(1, 6)))
            case 3:
                data[place : place + 1] = bytes([generator.randrange(256)])
            case 4:
                data[place : place + 4] = struct.pack("<I", generator.choice([0, 1, 1 << 31, (1 << 32) - 1]))
            case 5:
                other = generator.randrange(len(data) + 1)
                data[place:place] = data[other : other + generator.randint(1, 40)]
        if not data:
            break
    return bytes(data)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("suffix", _SEEDS)
def test_mutated_files_are_read_or_refused(suffix, tmp_path):
    """No mutant raises anything but `InputError`, whose message is one line that begins with the file's name."""
    generator = random.Random(20261126)
    file = tmp_path / f"calls{suffix if suffix.startswith('.') else '.' + suffix}"
    file.write_bytes(_SEEDS[suffix])
    assert given.load_calls(str(file), _SIGNATURES)
    ends = {"read": 0, "refused": 0}
    for number in range(2000):
        file.write_bytes(_mutated(_SEEDS[suffix], generator))
        try:
            given.load_calls(str(file), _SIGNATURES)
            ends["read"] += 1
        except InputError as error:
            assert str(error).startswith(f"{file}: "), number
            ends["refused"] += 1
    assert min(ends.values()) > 0, ends
