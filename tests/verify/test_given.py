"""given.py: the user's own calls. No TensorFlow."""

from __future__ import annotations

import json

import numpy as np
import pytest

from migrate.errors import InputError
from migrate.records import Signature, TensorSpec
from migrate.verify import load_calls

_X = TensorSpec("x:0", "float32", (None, 2))
_S = TensorSpec("s:0", "string", (None,))
_SPARSE = TensorSpec("", "int64", (None, None), "coo_sparse", ("v:0", "i:0", "d:0"))
_SIGNATURES = (
    Signature("serving_default", "", {"x": _X}, {}),
    Signature("words", "", {"image/encoded": _S}, {}),
    Signature("sparse", "", {"ids": _SPARSE}, {}),
)


def _json(tmp_path, content):
    path = tmp_path / "calls.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return str(path)


def test_npz_of_the_default_signature(tmp_path):
    path = str(tmp_path / "calls.npz")
    np.savez(path, x=np.ones((1, 2)))
    (call,) = load_calls(path, _SIGNATURES)
    assert (call.signature, call.inputs["x"].dtype, call.inputs["x"].shape) == ("serving_default", np.float32, (1, 2))


def test_npz_of_several_calls(tmp_path):
    path = str(tmp_path / "calls.npz")
    arrays = {
        "1/words/image/encoded": np.array([b"a", b"bc"]),
        "0/x": np.zeros((3, 2)),
        "2/sparse/ids/indices": np.array([[0, 0]]),
        "2/sparse/ids/values": np.array([7]),
        "2/sparse/ids/dense_shape": np.array([1, 1]),
    }
    np.savez(path, **arrays)
    calls = load_calls(path, _SIGNATURES)
    assert [call.signature for call in calls] == ["serving_default", "words", "sparse"]
    assert calls[1].inputs["image/encoded"].tolist() == [b"a", b"bc"]
    assert calls[2].inputs["ids"].values.tolist() == [7]


def test_json_forms(tmp_path):
    (call,) = load_calls(_json(tmp_path, {"x": [[1, 2]]}), _SIGNATURES)
    assert call.inputs["x"].tolist() == [[1, 2]]
    calls = load_calls(
        _json(
            tmp_path,
            [
                {"inputs": {"x": [[1.5, 2]]}},
                {"signature": "words", "inputs": {"image/encoded": ["ä", {"b64": "/w=="}]}},
                {"signature": "sparse", "inputs": {"ids": {"indices": [[0, 1]], "values": [3], "dense_shape": [1, 2]}}},
            ],
        ),
        _SIGNATURES,
    )
    assert calls[1].inputs["image/encoded"].tolist() == ["ä".encode(), b"\xff"]
    assert calls[2].inputs["ids"].dense_shape.tolist() == [1, 2]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ([{"signature": "word", "inputs": {}}], "did you mean 'words'?"),
        ([{"signature": "words", "inputs": {"image/encode": []}}], "did you mean 'image/encoded'?"),
        ({"q": [1]}, "there are 'x'"),
        ([{"inputs": {}}], "also needs 'x'"),
        ({"x": [[1, 2, 3]]}, "expected shape ['?', 2], found [1, 3]"),
        ({"x": [["a", "b"]]}, "float32"),
        ({"x": [[1], [1, 2]]}, "rows differ in length"),
        ([{"signature": "words", "inputs": {"image/encoded": [1]}}], "no string"),
        ([{"signature": "words", "inputs": {"image/encoded": [{"b64": "?"}]}}], "no array of string"),
        ([{"signature": "sparse", "inputs": {"ids": [1]}}], "a sparse tensor"),
        ([], "holds no call"),
        ([1], "expected"),
        ("{", "line 1, column 2: no JSON"),
    ],
)
def test_wrong_calls_say_what_is_right(tmp_path, content, words):
    with pytest.raises(InputError) as error:
        load_calls(_json(tmp_path, content), _SIGNATURES)
    assert words in str(error.value)


def test_other_files_are_refused(tmp_path):
    (tmp_path / "calls.npz").write_bytes(b"no zip")
    for name in ("calls.npz", "absent.npz", "calls.csv"):
        with pytest.raises(InputError):
            load_calls(str(tmp_path / name), _SIGNATURES)


_ONE = (Signature("serving_default", "", {"x": _X}, {}),)
_TWO = (Signature("predict", "", {"x": _X, "s": _S}, {}),)
_NAMED_LIKE_KEYS = (Signature("serving_default", "", {"inputs": _X}, {}), Signature("o", "", {"instances": _X}, {}))


@pytest.mark.parametrize(
    ("content", "signatures", "expected"),
    [
        # https://www.tensorflow.org/tfx/serving/api_rest#predict_api
        ({"instances": [[1, 2], [3, 4]]}, _ONE, [{"x": [[1, 2], [3, 4]]}]),
        ({"instances": [{"x": [1, 2]}, {"x": [3, 4]}]}, _ONE, [{"x": [[1, 2], [3, 4]]}]),
        (
            {"signature_name": "predict", "instances": [{"x": [1, 2], "s": "a"}, {"x": [3, 4], "s": {"b64": "Yg=="}}]},
            _TWO,
            [{"x": [[1, 2], [3, 4]], "s": [b"a", b"b"]}],
        ),
        ({"signature_name": "predict", "inputs": {"x": [[1, 2]], "s": ["a"]}}, _TWO, [{"x": [[1, 2]], "s": [b"a"]}]),
        ({"inputs": [[1, 2]]}, _ONE, [{"x": [[1, 2]]}]),
        ([{"inputs": [[1, 2]]}, {"inputs": {"x": [[3, 4]]}}], _ONE, [{"x": [[1, 2]]}, {"x": [[3, 4]]}]),
        (
            {"signature_name": "words", "instances": [{"b64": "YQ=="}, "b"]},
            _SIGNATURES,
            [{"image/encoded": [b"a", b"b"]}],
        ),
        # Inputs that are called like the keys.
        ({"inputs": [[1, 2]]}, _NAMED_LIKE_KEYS, [{"inputs": [[1, 2]]}]),
        ({"inputs": {"inputs": [[1, 2]]}}, _NAMED_LIKE_KEYS, [{"inputs": [[1, 2]]}]),
        ({"signature": "o", "inputs": {"instances": [[1, 2]]}}, _NAMED_LIKE_KEYS, [{"instances": [[1, 2]]}]),
        # One call per line.
        ('{"x": [[1, 2]]}\n\n{"instances": [[3, 4]]}\n', _ONE, [{"x": [[1, 2]]}, {"x": [[3, 4]]}]),
        # What a person writes beside it, and values that are all alike.
        ({"signature": "serving_default", "specs": {"x": "?"}, "inputs": {"x": [[1, 2]]}}, _ONE, [{"x": [[1, 2]]}]),
        ({"x": {"shape": [2, 2], "fill": 0.5}}, _ONE, [{"x": [[0.5, 0.5], [0.5, 0.5]]}]),
        ({"x": [[1, 2]], "s": {"shape": [2], "fill": "a"}}, _TWO, [{"x": [[1, 2]], "s": [b"a", b"a"]}]),
    ],
)
@pytest.mark.parametrize("suffix", ["json", "jsonl"])
def test_json_forms_of_others(content, signatures, expected, suffix, tmp_path):
    path = tmp_path / f"calls.{suffix}"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    calls = load_calls(str(path), signatures)
    assert [{name: value.tolist() for name, value in call.inputs.items()} for call in calls] == expected


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ({"instances": [[1, 2]]}, "signature 'predict' has 2 inputs, so each value needs a name: 's', 'x'"),
        ({"inputs": [[1, 2]]}, "signature 'predict' has 2 inputs, so each value needs a name: 's', 'x'"),
        ({"instances": [{"x": [1, 2]}]}, "also needs 's'"),
        ({"instances": [{"x": [1, 2], "t": "a"}]}, "has no input 't'"),
        ({"x": {"shape": [1 << 40, 2], "fill": 0}, "s": ["a"]}, "more than 67,108,864 values"),
        ({"x": {"shape": 3, "fill": 0}, "s": ["a"]}, "'shape' is a list of sizes"),
        ({"x": {"shape": [-1], "fill": 0}, "s": ["a"]}, "'shape' is a list of sizes"),
        ({"x": {"shape": [1, 2], "fill": [0]}, "s": ["a"]}, "'fill' is one value"),
        ({"x": {"shape": [1, 2], "fill": "a"}, "s": ["a"]}, "float32"),
        ({"x": {"shape": [1, 2], "fill": 1e300}, "s": ["a"]}, "too large"),
        ({"x": {"shape": [1, 3], "fill": 0}, "s": ["a"]}, "expected shape"),
    ],
)
def test_what_is_wrong_with_forms_of_others(content, words, tmp_path):
    with pytest.raises(InputError) as error:
        load_calls(_json(tmp_path, content), _TWO)
    assert words in str(error.value)
