"""Logs of a model server that hold the answers are golden files, too. No TensorFlow."""

from __future__ import annotations

import gzip
import struct

import numpy as np
import pytest

from migrate.errors import InputError
from migrate.records import Signature, TensorSpec
from migrate.verify import golden_logs
from migrate.verify.golden_logs import golden_of_logs
from testdata import prediction_logs as made

_EXAMPLES = {"inputs": TensorSpec("e:0", "string", (None,))}
_SIGNATURES = (
    Signature(
        "serving_default",
        "tensorflow/serving/predict",
        {"x": TensorSpec("x:0", "float32", (None, 2))},
        {"y": TensorSpec("y:0", "float32", (None, 2)), "z": TensorSpec("z:0", "float32", (None, 2))},
    ),
    Signature(
        "classes",
        "tensorflow/serving/classify",
        _EXAMPLES,
        {"classes": TensorSpec("c:0", "string", (None, 2)), "scores": TensorSpec("s:0", "float32", (None, 2))},
    ),
    Signature("flat", "tensorflow/serving/regress", _EXAMPLES, {"outputs": TensorSpec("r:0", "float32", (None,))}),
    Signature("column", "tensorflow/serving/regress", _EXAMPLES, {"outputs": TensorSpec("r:0", "float32", (None, 1))}),
)
_ROW, _ANSWER = made.floats((1, 2)), made.floats((3, 4))
_EXAMPLE = made.examples(made.example(age=(1.5,)))


def _with(log, response):
    """A log whose only field has an answer beside its request."""
    number = log[0] >> 3
    inside = log[1:]
    shift, length = 0, 0
    while True:
        byte, inside = inside[0], inside[1:]
        length |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            break
    assert len(inside) == length
    return made.field(number, inside + made.field(2, response))


def _predicted(**outputs):
    return b"".join(made.field(1, made.field(1, name) + made.field(2, value)) for name, value in outputs.items())


def _float(number, value):
    return bytes([number << 3 | 5]) + struct.pack("<f", value)


def _classified(*rows):
    return b"".join(
        made.field(1, b"".join(made.field(1, made.field(1, label) + _float(2, score)) for label, score in row))
        for row in rows
    )


def _regressed(*values):
    return b"".join(made.field(1, _float(1, value)) for value in values)


def _read(tmp_path, *logs, packed=False):
    data = made.file(*logs)
    path = tmp_path / "logs"
    path.write_bytes(gzip.compress(data) if packed else data)
    return golden_of_logs(str(path), _SIGNATURES)


@pytest.mark.parametrize("packed", [False, True])
def test_predictions(packed, tmp_path):
    found = _read(tmp_path, _with(made.predict(x=_ROW), _predicted(y=_ANSWER)), packed=packed)
    assert [call.signature for call in found.calls] == ["serving_default"]
    assert found.calls[0].inputs["x"].tolist() == [[1, 2]]
    assert {name: value.tolist() for name, value in found.answers[0].outputs.items()} == {"y": [[3, 4]]}
    assert found.partial and found.model is None and found.again == found.answers


def test_classifications(tmp_path):
    rows = _classified([("a", 0.25), ("b", 0.75)], [("a", 0.5), ("b", 0.5)])
    found = _read(tmp_path, _with(made.classify(_EXAMPLE, "classes"), made.field(1, rows)))
    outputs = found.answers[0].outputs
    assert outputs["classes"].tolist() == [[b"a", b"b"], [b"a", b"b"]]
    assert outputs["scores"].tolist() == [[0.25, 0.75], [0.5, 0.5]] and outputs["scores"].dtype == np.float32


@pytest.mark.parametrize(("key", "expected"), [("flat", [1.5, -2.0]), ("column", [[1.5], [-2.0]])])
def test_regressions(key, expected, tmp_path):
    found = _read(tmp_path, _with(made.regress(_EXAMPLE, key), made.field(1, _regressed(1.5, -2.0))))
    assert found.answers[0].outputs["outputs"].tolist() == expected


def test_several_tasks_of_one_request(tmp_path):
    log = made.multi_inference(_EXAMPLE, ("classes", "m"), ("flat", "m"))
    results = made.field(1, made.field(2, _classified([("a", 0.25), ("b", 0.75)])))
    results += made.field(1, made.field(3, _regressed(1.5)))
    found = _read(tmp_path, _with(log, results))
    assert [(call.signature, sorted(a.outputs)) for call, a in zip(found.calls, found.answers, strict=True)] == [
        ("classes", ["classes", "scores"]),
        ("flat", ["outputs"]),
    ]


def test_what_has_no_answer_is_a_note(tmp_path):
    run = made.session_run({"x:0": _ROW}, ["y:0"])
    found = _read(tmp_path, made.predict(x=_ROW), run, _with(made.predict(x=_ROW), _predicted(y=_ANSWER)))
    assert len(found.calls) == 1
    assert found.notes == ("record 0 names tensors, or has no answer", "record 1 names tensors, or has no answer")


def test_requests_alone_are_no_golden_file(tmp_path):
    with pytest.raises(InputError, match="no record holds an answer; a log of requests alone goes to --inputs"):
        _read(tmp_path, made.predict(x=_ROW))


def test_more_records_than_are_read(tmp_path, monkeypatch):
    monkeypatch.setattr(golden_logs, "MOST_RECORDS", 2)
    found = _read(tmp_path, *[_with(made.predict(x=_ROW), _predicted(y=_ANSWER))] * 3)
    assert len(found.calls) == 2 and found.notes == ("only the first 2 records of the log are compared",)


@pytest.mark.parametrize(
    ("log", "said"),
    [
        (_with(made.predict("other", x=_ROW), _predicted(y=_ANSWER)), "unknown signature 'other'"),
        (_with(made.predict(x=_ROW), _predicted(y=b"\xff")), "output 'y': no TensorProto, or damaged"),
        (_with(made.classify(_EXAMPLE, "classes"), made.field(1, _classified([("a", 1.0)], []))), "differ in length"),
        (b"\xff\xff", "no PredictionLog, or damaged"),
    ],
)
def test_what_does_not_fit(log, said, tmp_path):
    with pytest.raises(InputError) as caught:
        _read(tmp_path, log)
    assert said in str(caught.value) and "record 0" in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize("packed", [False, True])
def test_a_log_that_is_cut_short(packed, tmp_path):
    data = made.file(_with(made.predict(x=_ROW), _predicted(y=_ANSWER)))
    data = gzip.compress(data) if packed else data
    (tmp_path / "logs").write_bytes(data[:-9])
    with pytest.raises(InputError, match="ends inside of it"):
        golden_of_logs(str(tmp_path / "logs"), _SIGNATURES)


def test_a_log_of_several_packed_streams(tmp_path):
    """As `cat` makes one of shards."""
    shard = gzip.compress(made.file(_with(made.predict(x=_ROW), _predicted(y=_ANSWER))))
    (tmp_path / "logs").write_bytes(shard * 3)
    assert len(golden_of_logs(str(tmp_path / "logs"), _SIGNATURES).calls) == 3
    (tmp_path / "logs").write_bytes(shard + b"more")
    with pytest.raises(InputError, match="damaged: "):
        golden_of_logs(str(tmp_path / "logs"), _SIGNATURES)


def test_a_session_run_by_the_names_of_a_signature(tmp_path):
    run = made.session_run({"x": _ROW}, ["z"], is_alias=True)
    found = _read(tmp_path, _with(run, made.field(1, made.field(1, "z") + made.field(2, _ANSWER))))
    assert [(call.signature, call.outputs) for call in found.calls] == [("serving_default", ("z",))]
    assert {name: value.tolist() for name, value in found.answers[0].outputs.items()} == {"z": [[3, 4]]}


def test_a_log_that_unpacks_to_more_than_is_read(tmp_path, monkeypatch):
    monkeypatch.setattr(golden_logs, "MOST_FILE_BYTES", 1 << 20)
    (tmp_path / "logs").write_bytes(gzip.compress(bytes(2 << 20)))
    with pytest.raises(InputError, match="unpacks to more than 1 MB"):
        golden_of_logs(str(tmp_path / "logs"), _SIGNATURES)


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(InputError, match="no such file; --golden takes"):
        golden_of_logs(str(tmp_path / "absent"), _SIGNATURES)
