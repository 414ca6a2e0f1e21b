"""What contents.py gives for a string is what TensorFlow's decoding ops take."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

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


@pytest.mark.tensorflow
def test_tensorflow_decodes_what_is_synthesised():
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": "-1"}
    done = subprocess.run([sys.executable, "-c", _SCRIPT], capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stdout + done.stderr[-3000:]
