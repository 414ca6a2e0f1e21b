"""What a string input should hold, told by what the graph does with it."""

from __future__ import annotations

import base64
import gzip
import os
import struct
import subprocess
import sys
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from migrate.graph.data_protos import Example
from migrate.graph.protos import AttrValue, DataType, MetaGraphDef, TensorProto
from migrate.verify import images, payloads
from migrate.verify.contents import Contents


def _node(nodes, name, op, *inputs, **attributes):
    node = nodes.add(name=name, op=op, input=inputs)
    for key, value in attributes.items():
        node.attr[key].CopyFrom(value)
    return node


def _strings(*values):
    proto = TensorProto(dtype=DataType.DT_STRING, string_val=values)
    proto.tensor_shape.dim.add(size=len(values))
    return AttrValue(tensor=proto)


def _model(*nodes):
    """A graph with a placeholder `s` and nodes of (name, op, inputs, attributes)."""
    model = MetaGraphDef()
    _node(model.graph_def.node, "s", "Placeholder")
    for name, op, inputs, attributes in nodes:
        _node(model.graph_def.node, name, op, *inputs, **attributes)
    return model


def _first(model, number=0, tensor="s:0"):
    return Contents(model).of(tensor)[0](number)


_TYPE = {"out_type": AttrValue(type=DataType.DT_INT64)}
_PNG = ("d", "DecodePng", ("s",), {})


@pytest.mark.parametrize(
    ("op", "attributes", "is_it"),
    [
        ("DecodePng", {}, lambda data: data.startswith(b"\x89PNG")),
        ("DecodeAndCropJpeg", {}, lambda data: data == images.JPEG),
        ("DecodeBmp", {}, lambda data: data.startswith(b"BM")),
        ("DecodeWav", {}, lambda data: data.startswith(b"RIFF")),
        ("StringToNumber", _TYPE, lambda data: data.isdigit()),
        ("ParseTensor", _TYPE, lambda data: TensorProto.FromString(data).dtype == DataType.DT_INT64),
        (
            "DecodeCompressed",
            {"compression_type": AttrValue(s=b"ZLIB")},
            lambda data: zlib.decompress(data) in payloads.WORDS,
        ),
        (
            "DecodeCompressed",
            {"compression_type": AttrValue(s=b"GZIP")},
            lambda data: gzip.decompress(data) in payloads.WORDS,
        ),
        ("DecodeBase64", {}, lambda data: base64.urlsafe_b64decode(data + b"==") in payloads.WORDS),
        ("StringLower", {}, lambda data: data in payloads.WORDS),  # Nothing that gives strings a meaning.
    ],
)
def test_the_decoder_says_what_a_string_holds(op, attributes, is_it):
    model = _model(("d", op, ("s",), attributes))
    for number in range(8):
        assert is_it(_first(model, number))


def test_the_last_alternative_is_words():
    found = Contents(_model(_PNG)).of("s:0")
    assert found[-1](0) in payloads.WORDS
    assert len(found) > 2


def test_an_image_is_found_inside_of_what_wraps_it():
    model = _model(("b", "DecodeBase64", ("s",), {}), ("i", "Identity", ("b",), {}), ("d", "DecodePng", ("i",), {}))
    assert base64.urlsafe_b64decode(_first(model) + b"==").startswith(b"\x89PNG")


def test_another_output_and_a_control_input_are_no_way_on():
    assert _first(_model(("d", "DecodePng", ("s:1",), {}))) in payloads.WORDS
    assert _first(_model(("d", "DecodePng", ("^s",), {}))) in payloads.WORDS


def test_the_way_goes_through_functions():
    model = _model(("c", "PartitionedCall", ("s",), {}))
    model.graph_def.node[1].attr["f"].func.name = "body"
    body = model.graph_def.library.function.add()
    body.signature.name = "body"
    body.signature.input_arg.add(name="x")
    _node(body.node_def, "d", "DecodePng", "x")
    assert _first(model).startswith(b"\x89PNG")
    model.graph_def.node[1].attr["f"].func.name = "gone"
    assert _first(model) in payloads.WORDS


def test_a_circle_ends():
    model = _model(("a", "Merge", ("s", "b"), {}), ("b", "NextIteration", ("a",), {}))
    assert _first(model) in payloads.WORDS


def test_raw_bytes_are_as_many_as_the_reshape_beyond_asks_for():
    proto = TensorProto(dtype=DataType.DT_INT32, tensor_content=struct.pack("<3i", -1, 5, 7))
    proto.tensor_shape.dim.add(size=3)
    model = _model(
        ("d", "DecodeRaw", ("s",), {"out_type": AttrValue(type=DataType.DT_FLOAT)}),
        ("shape", "Const", (), {"value": AttrValue(tensor=proto)}),
        ("r", "Reshape", ("d", "shape"), {}),
    )
    assert len(_first(model)) == 4 * 5 * 7


def test_a_csv_has_a_field_for_each_type():
    types = AttrValue()
    types.list.type.extend([DataType.DT_FLOAT, DataType.DT_STRING, DataType.DT_INT64])
    model = _model(("d", "DecodeCSV", ("s",), {"OUT_TYPE": types, "field_delim": AttrValue(s=b";")}))
    number, text, whole = _first(model, 3).split(b";")
    assert float(number) == 3.0 and whole.isdigit() and text[:1] == text[-1:] == b'"'


def test_an_example_has_the_features_that_the_parser_asks_for_and_an_image_where_one_is_decoded():
    dense = AttrValue()
    dense.list.type.extend([DataType.DT_STRING, DataType.DT_FLOAT])
    shapes = AttrValue()
    shapes.list.shape.add()
    shapes.list.shape.add().dim.add(size=3)
    model = _model(
        ("keys", "Const", (), {"value": _strings(b"image", b"x")}),
        ("none", "Const", (), {"value": _strings()}),
        (
            "p",
            "ParseExampleV2",
            ("s", "none", "none", "keys", "none"),
            {"Tdense": dense, "dense_shapes": shapes, "sparse_types": AttrValue()},
        ),
        ("d", "DecodePng", ("p:0",), {}),
    )
    features = Example.FromString(_first(model)).features.feature
    assert sorted(features) == ["image", "x"]
    assert features["image"].bytes_list.value[0].startswith(b"\x89PNG")
    assert len(features["x"].float_list.value) == 3


@given(st.lists(st.binary(min_size=1, max_size=4), unique=True, min_size=1, max_size=5))
def test_words_that_the_model_knows_come_by_turns_with_others(vocabulary):
    contents = Contents(_model(("f", "LookupTableFindV2", ("t", "s"), {})), [vocabulary])
    found = [contents.of("s:0")[0](number) for number in range(2 * len(vocabulary))]
    assert found[::2] == vocabulary
    assert set(found[1::2]) <= set(payloads.WORDS)


def test_keys_of_a_table_that_the_graph_fills_are_words():
    model = _model(
        ("k", "Const", (), {"value": _strings(b"red", b"green")}),
        ("i", "LookupTableImportV2", ("t", "k", "v"), {}),
        ("f", "LookupTableFindV2", ("t", "s"), {}),
    )
    assert [_first(model, number) for number in (0, 2)] == [b"red", b"green"]


def test_the_strings_of_a_constant():
    repeated = _strings(b"a")
    repeated.tensor.tensor_shape.dim[0].size = 3
    model = _model(("c", "Const", (), {"value": repeated}), ("i", "Identity", ("c",), {}), ("n", "NoOp", (), {}))
    contents = Contents(model)
    assert contents.constant("", "i") == contents.constant("", "c:0") == (b"a", b"a", b"a")
    assert contents.constant("", "n") == contents.constant("", "gone") == ()


_SCRIPT = """
import sys
import tensorflow as tf
from migrate.graph.protos import MetaGraphDef
from migrate.verify.contents import Contents

v1 = tf.compat.v1
v1.disable_eager_execution()
dense, sparse, ragged = tf.io.FixedLenFeature, tf.io.VarLenFeature, tf.io.RaggedFeature
FEATURES = {"a": dense([2, 2], tf.float32), "b": sparse(tf.int64), "c": dense([], tf.string), "d": sparse(tf.string)}
STEPS = {"e": tf.io.FixedLenSequenceFeature([3], tf.float32), "f": sparse(tf.int64)}

def leaves(value):
    return [x.values if hasattr(x, "values") and not callable(x.values) else x for x in tf.nest.flatten(value)]

def image_in_example(s):
    parsed = v1.parse_example(s, {"image": dense([], tf.string), "n": dense([], tf.int64)})
    return tf.map_fn(lambda i: tf.image.resize(tf.io.decode_jpeg(i, 3), [8, 8]), parsed["image"], tf.float32)

CASES = {
    "ParseExample": lambda s: leaves(tf.raw_ops.ParseExample(serialized=s, names=[], sparse_keys=["b"],
        dense_keys=["a", "c"], dense_defaults=[tf.constant([], tf.float32), ""], sparse_types=[tf.int64],
        dense_shapes=[[2, 2], []])),
    "ParseExampleV2": lambda s: leaves(v1.parse_example(s, {**FEATURES, "r": ragged(tf.int64)})),
    "ParseSingleExample": lambda s: leaves(v1.parse_single_example(s[0], FEATURES)),
    "ParseSequenceExample": lambda s: leaves(tf.io.parse_sequence_example(s, FEATURES, STEPS)),
    "ParseSingleSequenceExample": lambda s: leaves(v1.parse_single_sequence_example(s[0], FEATURES, STEPS)),
    "image in example": image_in_example,
    "DecodePng": lambda s: tf.io.decode_png(s[0]),
    "DecodeBmp": lambda s: tf.io.decode_bmp(s[0]),
    "DecodeImage": lambda s: tf.io.decode_image(s[0]),
    "DecodeGif": lambda s: tf.io.decode_gif(s[0]),
    "DecodeAndCropJpeg": lambda s: tf.io.decode_and_crop_jpeg(s[0], [0, 0, 4, 4]),
    "DecodeWav": lambda s: tf.audio.decode_wav(s[0])[0],
    "DecodeBase64": lambda s: tf.map_fn(lambda i: tf.io.decode_png(tf.io.decode_base64(i)), s, tf.uint8),
    "DecodeCompressed": lambda s: tf.io.decode_compressed(s, "ZLIB"),
    "DecodeCSV": lambda s: tf.io.decode_csv(s, [[0.0], [1], ["x"], tf.constant([], tf.int64)]),
    "DecodeRaw": lambda s: tf.reshape(tf.io.decode_raw(s, tf.float32), [-1, 12]),
    "DecodeJSONExample": lambda s: leaves(v1.parse_example(tf.io.decode_json_example(s), FEATURES)),
    "StringToNumber": lambda s: tf.strings.to_number(s),
    "StringToNumber int": lambda s: tf.strings.to_number(s, tf.int64),
    "ParseTensor": lambda s: tf.io.parse_tensor(s[0], tf.float32),
    "while_v2": lambda s: tf.while_loop(lambda i, x: i < 2, lambda i, x: (i + tf.shape(tf.io.decode_png(x[0]))[2], x),
        [0, s]),
}
bad = []
for v2 in (False, True):
    (v1.enable_control_flow_v2 if v2 else v1.disable_control_flow_v2)()
    for name, build in CASES.items():
        with tf.Graph().as_default() as graph, v1.Session() as session:
            s = v1.placeholder(tf.string, [None], "s")
            outputs = build(s)
            meta_graph = MetaGraphDef()
            meta_graph.graph_def.CopyFrom(graph.as_graph_def())
            content = Contents(meta_graph).of("s:0")[0]
            for start in range(0, 12, 3):
                try:
                    session.run(outputs, {s: [content(start)] * 2})
                    if "Single" not in name and name not in ("DecodeBase64", "ParseTensor", "DecodeWav"):
                        session.run(outputs, {s: [content(start + i) for i in range(3)]})
                except Exception as error:
                    bad.append(f"{name} v2={v2} #{start}: {error}")
print("\\n".join(bad))
sys.exit(bool(bad))
"""


@pytest.mark.slow
@pytest.mark.tensorflow
def test_tensorflow_decodes_what_is_synthesised():
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": "-1"}
    done = subprocess.run([sys.executable, "-c", _SCRIPT], capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stdout + done.stderr[-3000:]
