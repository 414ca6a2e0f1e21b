"""Requests that a model server has logged: every kind, and files with which something is wrong."""

from __future__ import annotations

import gzip
import importlib.util
import json
import os
import struct
import zlib

import numpy as np
import pytest
from google.protobuf.descriptor_pb2 import DescriptorProto

from migrate.errors import InputError
from migrate.records import Signature, TensorSpec
from migrate.sources.saved_model_files import WARM_UP
from migrate.verify import prediction_logs, serving_protos
from migrate.verify.calls import NamedRun
from migrate.verify.given import check_calls, load_calls, load_requests, named_runs_in
from migrate.verify.prediction_logs import LoggedCall, Unreadable, read_logs
from migrate.verify.tensor_values import array_of
from migrate.verify.warm_up import MOST_CALLS, read_warm_up
from testdata import prediction_logs as made
from tests.conversions import run_child

_X = {"x": TensorSpec("x:0", "float32", (None, 3))}
_EXAMPLES = {"inputs": TensorSpec("input:0", "string", (None,))}
_SIGNATURES = (
    Signature("serving_default", "tensorflow/serving/predict", _X, {"y": TensorSpec("y:0", "float32", None)}),
    Signature("classes", "tensorflow/serving/classify", _EXAMPLES, {}),
    Signature("number", "tensorflow/serving/regress", {"examples": TensorSpec("input:0", "string", (None,))}, {}),
    Signature("pair", "", {"a": TensorSpec("a:0", "string", None), "b": TensorSpec("b:0", "string", None)}, {}),
)
_ROWS = made.floats((1, 2, 3), (4, 5, 6))
_EXAMPLE = made.example(age=(1.5,), name=(b"Ann",))


def _read(*logs):
    return list(read_logs("f", made.file(*logs)))


def test_a_predict_request():
    (found,) = _read(made.predict("classes", x=_ROWS))
    assert (found.record, found.kind, found.signature, found.is_examples) == (0, "Predict", "classes", False)
    np.testing.assert_array_equal(found.inputs["x"], np.float32([[1, 2, 3], [4, 5, 6]]))


def test_no_signature_is_the_default_one():
    assert _read(made.predict(x=_ROWS))[0].signature is None


def test_a_stream_of_predict_requests():
    found = _read(made.predict_streamed(made.predict("a", x=_ROWS), made.predict("b", x=_ROWS)))
    assert [(f.record, f.kind, f.signature) for f in found] == [(0, "Predict", "a"), (0, "Predict", "b")]


@pytest.mark.parametrize(("kind", "make"), [("Classify", made.classify), ("Regress", made.regress)])
def test_a_request_with_examples(kind, make):
    (found,) = _read(make(made.examples(_EXAMPLE, b""), "s"))
    assert (found.kind, found.signature, found.is_examples) == (kind, "s", True)
    assert found.inputs["inputs"].tolist() == [_EXAMPLE, b""]


def test_the_context_of_examples_is_part_of_each():
    context = made.example(country=(b"CH",))
    (found,) = _read(made.classify(made.examples(_EXAMPLE, _EXAMPLE, context=context)))
    assert found.inputs["inputs"].tolist() == [context + _EXAMPLE] * 2


def test_a_multi_inference_request_is_a_call_of_each_signature():
    given = made.examples(_EXAMPLE)
    found = _read(made.predict(x=_ROWS), made.multi_inference(given, ("a", "classify"), ("b", "regress")))
    assert [(f.record, f.kind, f.signature) for f in found[1:]] == [(1, "MultiInference", key) for key in "ab"]


def test_a_session_run_names_tensors():
    (found,) = _read(made.session_run({"x:0": _ROWS}, ("y:0", "z:0"), ("train",)))
    assert isinstance(found, NamedRun)
    assert ([*found.feeds], found.fetches, found.targets) == (["x:0"], ("y:0", "z:0"), ("train",))


def test_a_session_run_of_aliases_is_a_call():
    (found,) = _read(made.session_run({"x": _ROWS}, ("y",), is_alias=True, signature="s"))
    assert isinstance(found, LoggedCall)
    assert (found.kind, found.signature, [*found.inputs]) == ("SessionRun", "s", ["x"])


@pytest.mark.parametrize(
    ("log", "reason"),
    [
        (b"\xff\xff", "no PredictionLog"),
        (b"", "without a request"),
        (made.example(a=(1.0,)), "without a request"),  # Its only field is a PredictionLog's metadata.
        (made.classify(b""), "without an example"),
        (made.classify(made.examples()), "without an example"),
        (made.multi_inference(made.examples(_EXAMPLE)), "without a task"),
        (made.predict(x=b"\xff"), "input 'x': no TensorProto"),
        (made.predict(x=made.tensor(20, (1,))), "dtype resource"),
        (made.predict(x=made.tensor(99, (1,))), "dtype 99"),
        (made.predict(x=made.tensor(made.FLOAT, (2,), b"1234")), "4 bytes are not 2 values"),
        (made.predict(x=made.tensor(made.FLOAT, (1 << 40,))), "256 MB"),
        (made.predict(x=made.tensor(made.FLOAT, (1 << 62, 1 << 62))), "256 MB"),
        (made.predict(x=made.tensor(made.FLOAT, ((1 << 64) - 1,))), "not that of a tensor"),
        (made.predict(x=made.tensor(made.FLOAT, (1,) * 65)), "not that of a tensor"),
        (made.session_run({"x:0": b"\xff"}, ()), "feed 'x:0'"),
    ],
)
def test_a_record_that_holds_no_request(log, reason):
    found, sound = _read(log, made.predict(x=_ROWS))
    assert isinstance(found, Unreadable)
    assert reason in found.reason
    assert "\n" not in found.reason
    assert sound.record == 1


_SOUND = made.file(made.predict(x=_ROWS), made.predict(x=_ROWS))


def _flipped(position):
    data = bytearray(_SOUND)
    data[position] ^= 1
    return bytes(data)


@pytest.mark.parametrize(
    ("data", "read", "reason"),
    [
        (b"no record at all", 0, "no TFRecord file"),
        (b"short", 0, "no TFRecord file"),
        (gzip.compress(_SOUND, mtime=0), 0, "compressed"),
        (zlib.compress(_SOUND), 0, "compressed"),
        (_flipped(0), 0, "checksum of its first length"),
        (_flipped(20), 0, "record 0: damaged"),
        (_flipped(len(_SOUND) // 2), 1, "record 1: damaged: the checksum of its length"),
        (_flipped(len(_SOUND) - 1), 1, "record 1: damaged"),
        (_SOUND[:-1], 1, "record 1: the file ends inside"),
        (_SOUND[: len(_SOUND) // 2 + 5], 1, "record 1: the file ends inside"),
        (struct.pack("<Q", 1 << 62) + made.crc32c(struct.pack("<Q", 1 << 62)) + bytes(64), 0, "the file ends inside"),
    ],
)
def test_a_damaged_file(data, read, reason, tmp_path):
    path = tmp_path / "calls.tfrecord"
    path.write_bytes(data)
    with pytest.raises(InputError, match=reason) as error:
        load_calls(str(path), _SIGNATURES)
    assert "\n" not in str(error.value)
    (tmp_path / WARM_UP).write_bytes(data)
    found = read_warm_up(str(tmp_path), _SIGNATURES)
    assert len(found.requests) == read
    assert len(found.notes) == 1
    assert reason in found.notes[0]


def test_every_byte_is_under_a_checksum(tmp_path):
    path = tmp_path / "calls.tfrecord"
    for position in range(len(_SOUND)):
        path.write_bytes(_flipped(position))
        with pytest.raises(InputError):
            load_calls(str(path), _SIGNATURES)


def test_a_file_that_is_too_large(tmp_path, monkeypatch):
    monkeypatch.setattr(prediction_logs, "MOST_FILE_BYTES", 10)
    path = tmp_path / "calls.tfrecord"
    path.write_bytes(_SOUND)
    with pytest.raises(InputError, match="10 are the most"):
        load_calls(str(path), _SIGNATURES)


def test_more_records_than_a_model_server_takes(monkeypatch):
    monkeypatch.setattr(prediction_logs, "MOST_RECORDS", 1)
    with pytest.raises(InputError, match="more than the 1 records"):
        list(read_logs("f", _SOUND))


def test_more_values_than_are_read(monkeypatch):
    monkeypatch.setattr(prediction_logs, "MOST_BYTES", 40)
    with pytest.raises(InputError, match=r"record 1: .* of values"):
        list(read_logs("f", _SOUND))


def test_a_files_requests_as_calls(tmp_path):
    (tmp_path / WARM_UP).write_bytes(
        made.file(
            made.predict(x=_ROWS),
            made.classify(made.examples(_EXAMPLE), "classes"),
            made.multi_inference(made.examples(_EXAMPLE), ("classes", "c"), ("number", "r")),
            made.session_run({"x:0": _ROWS}, ("y:0",)),
        )
    )
    found = read_warm_up(str(tmp_path), _SIGNATURES)
    assert [(r.record, r.call.signature, [*r.call.inputs]) for r in found.requests] == [
        (0, "serving_default", ["x"]),
        (1, "classes", ["inputs"]),
        (2, "classes", ["inputs"]),
        (2, "number", ["examples"]),
    ]
    assert [run.fetches for run in found.runs] == [("y:0",)]
    assert found.notes == ()


@pytest.mark.parametrize(
    ("log", "reason"),
    [
        (made.predict("gone", x=_ROWS), "unknown signature 'gone'"),
        (made.predict(z=_ROWS), "has no input 'z'"),
        (made.predict(), "also needs 'x'"),
        (made.predict(x=made.floats((1, 2))), "expected shape"),
        (made.predict(x=made.tensor(made.INT64, (1, 3))), "expected float32, found int64"),
        (made.predict(x=made.tensor(made.STRING, (1, 3), strings=(b"a",))), "expected float32"),
        (made.classify(made.examples(_EXAMPLE)), "takes no tf.Examples"),
        (made.classify(made.examples(_EXAMPLE), "pair"), "takes no tf.Examples"),
    ],
)
def test_a_request_that_fits_no_signature(log, reason, tmp_path):
    (tmp_path / WARM_UP).write_bytes(made.file(log, made.predict(x=_ROWS)))
    found = read_warm_up(str(tmp_path), _SIGNATURES)
    assert [request.record for request in found.requests] == [1]
    assert len(found.notes) == 1
    assert reason in found.notes[0]
    assert found.notes[0].startswith(f"{WARM_UP}: record 0")
    with pytest.raises(InputError, match="record 0"):
        load_calls(str(tmp_path / WARM_UP), _SIGNATURES)


def test_only_so_many_are_replayed(tmp_path):
    (tmp_path / WARM_UP).write_bytes(made.file(*[made.predict(x=_ROWS)] * (MOST_CALLS + 1)))
    found = read_warm_up(str(tmp_path), _SIGNATURES)
    assert len(found.requests) == MOST_CALLS
    assert found.notes == (f"{WARM_UP}: only the first {MOST_CALLS} requests are replayed",)


def test_a_model_without_requests(tmp_path):
    assert read_warm_up(str(tmp_path), _SIGNATURES) == read_warm_up(str(tmp_path / "none"), _SIGNATURES)
    assert read_warm_up(str(tmp_path), _SIGNATURES).notes == ()


@pytest.mark.parametrize("what", ["directory", "dangling", "pipe"])
def test_what_is_no_file_is_a_note(what, tmp_path):
    path = tmp_path / WARM_UP
    if what == "directory":
        path.mkdir()
    elif what == "dangling":
        path.symlink_to(tmp_path / "none")
    else:
        os.mkfifo(path)
    found = read_warm_up(str(tmp_path), _SIGNATURES)
    assert len(found.notes) == 1
    assert "\n" not in found.notes[0]


@pytest.mark.parametrize("name", [WARM_UP, "calls.tfrecord", "requests.bin"])
def test_inputs_takes_the_file_by_its_name_or_its_content(name, tmp_path):
    path = tmp_path / name
    path.write_bytes(_SOUND)
    check_calls(str(path), None)
    assert len(load_calls(str(path), _SIGNATURES)) == 2


def test_inputs_takes_runs_of_tensors_beside_calls(tmp_path):
    path = tmp_path / "calls.tfrecord"
    path.write_bytes(made.file(made.predict(x=_ROWS), made.session_run({"x:0": _ROWS}, ("y:0",))))
    check_calls(str(path), _SIGNATURES)
    (call,), (run,) = load_requests(str(path), _SIGNATURES)
    assert (call.signature, [*call.inputs]) == ("serving_default", ["x"])
    assert (run.record, [*run.feeds], run.fetches, run.file) == (1, ["x:0"], ("y:0",), str(path))
    assert [found.record for found in named_runs_in(str(path))] == [1]
    assert named_runs_in(str(tmp_path / "none.tfrecord")) == ()
    assert named_runs_in(str(tmp_path / "calls.json")) == ()


def test_the_outputs_that_a_request_asks_for(tmp_path):
    (found,) = _read(made.predict(output_filter=("y", "y"), x=_ROWS))
    assert found.outputs == ("y",)
    path = tmp_path / "calls.tfrecord"
    path.write_bytes(made.file(made.predict(output_filter=("y",), x=_ROWS)))
    (call,) = load_calls(str(path), _SIGNATURES)
    assert call.outputs == ("y",)
    path.write_bytes(made.file(made.predict(output_filter=("z",), x=_ROWS)))
    with pytest.raises(InputError, match="signature 'serving_default' has no output 'z'"):
        load_calls(str(path), _SIGNATURES)


def test_calls_alone_take_no_run_of_tensors(tmp_path):
    path = tmp_path / "calls.tfrecord"
    path.write_bytes(made.file(made.session_run({"x:0": _ROWS}, ("y:0",))))
    with pytest.raises(InputError, match=r"record 0: a SessionRun request, which names tensors \('x:0', 'y:0'\)"):
        load_calls(str(path), _SIGNATURES)


@pytest.mark.parametrize("name", ["calls.txt", "none.tfrecord", "none.bin"])
def test_inputs_takes_no_other_file(name, tmp_path):
    (tmp_path / "calls.txt").write_bytes(b"hello, this is no record")
    with pytest.raises(InputError):
        check_calls(str(tmp_path / name), None)


def _packed(form, *values):
    return b"".join(struct.pack(f"<{form}", value) for value in values)


@pytest.mark.parametrize(
    ("serialized", "expected"),
    [
        (made.tensor(1, (3,), more=made.field(5, _packed("f", 1.5, 2))), np.float32([1.5, 2, 2])),
        (made.tensor(1, (2,)), np.float32([0, 0])),
        (made.tensor(1, (0, 3)), np.zeros((0, 3), np.float32)),
        (made.tensor(1, (1,), more=made.field(5, _packed("f", 1, 2))), np.float32([1])),
        (made.tensor(1, (), _packed("f", 1.5)), np.float32(1.5)),
        (made.tensor(2, (1,), more=made.field(6, _packed("d", 0.1))), np.float64([0.1])),
        (made.tensor(3, (2,), more=made.field(7, made.varint(5) + made.varint((1 << 64) - 1))), np.int32([5, -1])),
        (made.tensor(4, (1,), more=made.field(7, made.varint(200))), np.uint8([200])),
        (made.tensor(6, (1,), more=made.field(7, made.varint((1 << 64) - 3))), np.int8([-3])),
        (made.tensor(9, (1,), more=made.field(10, made.varint(1 << 40))), np.int64([1 << 40])),
        (made.tensor(10, (2,), more=made.field(11, b"\x01\x00")), np.array([True, False])),
        (made.tensor(19, (1,), more=made.field(13, made.varint(0x3C00))), np.float16([1])),
        (made.tensor(8, (2,), more=made.field(9, _packed("f", 1, 2, 3, 4))), np.complex64([1 + 2j, 3 + 4j])),
        (made.tensor(22, (1,), more=made.field(16, made.varint(7))), np.uint32([7])),
        (made.tensor(23, (1,), more=made.field(17, made.varint((1 << 64) - 1))), np.uint64([(1 << 64) - 1])),
    ],
)
def test_the_value_of_a_tensor(serialized, expected):
    found = array_of("t", serialized)
    assert (found.dtype, found.shape) == (expected.dtype, expected.shape)
    np.testing.assert_array_equal(found, expected)


def test_strings_of_a_tensor():
    found = array_of("t", made.tensor(made.STRING, (2, 2), strings=(b"a\0", b"")))
    assert found.tolist() == [[b"a\0", b""], [b"", b""]]


_THEIRS = """
import importlib, json, sys
from google.protobuf.descriptor_pb2 import DescriptorProto
found = {}
names = "prediction_log inference classification regression predict input model session_service".split()
modules = [f"tensorflow_serving.apis.{name}_pb2" for name in names] + ["tensorflow.core.protobuf.named_tensor_pb2"]

def describe(message):
    proto = DescriptorProto()
    message.CopyToProto(proto)
    labels = {field.name: field.label for field in proto.field}
    for field in message.fields:
        kind = field.message_type
        nested = kind is not None and kind.GetOptions().map_entry
        if nested:
            describe(kind)
        oneof = field.containing_oneof.name if field.containing_oneof else None
        type_name = None if kind is None else kind.full_name
        found[f"{message.name}.{field.name}"] = [field.number, labels[field.name], field.type, type_name, oneof, nested]

for module in modules:
    for message in importlib.import_module(module).DESCRIPTOR.message_types_by_name.values():
        describe(message)
json.dump(found, open(sys.argv[1], "w"))
"""


@pytest.mark.tensorflow
def test_the_messages_are_those_of_tensorflow_serving(tmp_path):
    if importlib.util.find_spec("tensorflow_serving") is None:
        pytest.skip("tensorflow-serving-api is not installed")
    run_child(["-c", _THEIRS, str(tmp_path / "theirs.json")])
    theirs = json.loads((tmp_path / "theirs.json").read_text())
    compared = 0
    for name in serving_protos.MESSAGES:
        ours = serving_protos.pool().FindMessageTypeByName(f"{serving_protos.PACKAGE}.{name}")
        compared += _compare(ours, theirs)
    assert compared == sum(map(len, serving_protos.MESSAGES.values())) + 2  # A map has a key and a value.


def _compare(ours, theirs):
    compared = 0
    proto = DescriptorProto()
    ours.CopyToProto(proto)
    labels = {field.name: field.label for field in proto.field}
    for field in ours.fields:
        number, label, kind, type_name, oneof, is_map = theirs[f"{ours.name}.{field.name}"]
        found = field.containing_oneof.name if field.containing_oneof else None
        assert (field.number, labels[field.name], found) == (number, label, oneof), field.full_name
        compared += 1
        if field.type == field.TYPE_BYTES:
            # A message of TensorFlow itself.
            foreign = field.TYPE_MESSAGE, f"tensorflow.{'Example' if 'xample' in field.full_name else 'TensorProto'}"
            assert (kind, type_name) == foreign, field.full_name
            continue
        assert field.type == kind, field.full_name
        if field.message_type is not None:
            assert field.message_type.name == type_name.rpartition(".")[2], field.full_name
            assert field.message_type.GetOptions().map_entry == is_map, field.full_name
            compared += _compare(field.message_type, theirs) if is_map else 0
    return compared
