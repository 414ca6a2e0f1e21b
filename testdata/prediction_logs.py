"""Files of a model server's requests, byte by byte: PredictionLogs in a TFRecord file.

Nothing of TensorFlow, TensorFlow Serving or this program is used, so that what reads them is not tested with itself.
Messages: github.com/tensorflow/serving, tensorflow_serving/apis/prediction_log.proto and those that it imports.
"""

from __future__ import annotations

import struct

FLOAT, INT64, STRING = 1, 9, 7
"""Numbers of dtypes (types.proto)."""


def varint(number):
    """A number as a protocol buffer has it."""
    found = bytearray()
    while number > 0x7F:
        found.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*found, number])


def field(number, payload):
    """A field: of text or bytes, or a message; a number is one of varints."""
    if isinstance(payload, int):
        return varint(number << 3) + varint(payload)
    payload = payload.encode() if isinstance(payload, str) else payload
    return varint(number << 3 | 2) + varint(len(payload)) + payload


def spec(signature):
    """A ModelSpec."""
    return field(1, "model") + (field(3, signature) if signature else b"")


def tensor(dtype, shape, content=b"", strings=(), more=b""):
    """A TensorProto."""
    dims = b"".join(field(2, field(1, size)) for size in shape)
    values = field(4, content) if content else b""
    return field(1, dtype) + field(2, dims) + values + b"".join(field(8, value) for value in strings) + more


def floats(*rows):
    """A TensorProto of a matrix of float32."""
    return tensor(FLOAT, (len(rows), len(rows[0])), b"".join(struct.pack("<f", v) for row in rows for v in row))


def example(**features):
    """A tf.Example of lists of float32, or of bytes."""
    entries = b""
    for name, values in features.items():
        if isinstance(values[0], bytes):
            feature = field(1, b"".join(field(1, value) for value in values))
        else:
            feature = field(2, field(1, struct.pack(f"<{len(values)}f", *values)))
        entries += field(1, field(1, name) + field(2, feature))
    return field(1, entries)


def examples(*found, context=None):
    """An Input: ExampleList, or ExampleListWithContext."""
    listed = b"".join(field(1, one) for one in found)
    return field(1, listed) if context is None else field(2, listed + field(2, context))


def predict(signature="", output_filter=(), **inputs):
    """A PredictionLog of a Predict request."""
    entries = b"".join(field(2, field(1, name) + field(2, value)) for name, value in inputs.items())
    entries += b"".join(field(3, name) for name in output_filter)
    return field(6, field(1, field(1, spec(signature)) + entries))


def predict_streamed(*logs):
    """One of the requests of several Predict logs, one after the other on a stream."""
    return field(7, b"".join(_inside(log) for log in logs))


def _inside(log):
    """The payload of a log's only field."""
    position = 1
    while log[position] & 0x80:
        position += 1
    return log[position + 1 :]


def classify(given, signature=""):
    """One of a Classify request."""
    return field(2, field(1, field(1, spec(signature)) + field(2, given)))


def regress(given, signature=""):
    """One of a Regress request."""
    return field(3, field(1, field(1, spec(signature)) + field(2, given)))


def multi_inference(given, *tasks):
    """One of a MultiInference request; tasks are (signature, method name)."""
    listed = b"".join(field(1, field(1, spec(signature)) + field(2, method)) for signature, method in tasks)
    return field(4, field(1, listed + field(2, given)))


def session_run(feeds, fetches, targets=(), is_alias=False, signature=""):
    """One of a SessionRun request."""
    listed = b"".join(field(2, field(1, name) + field(2, value)) for name, value in feeds.items())
    listed += b"".join(field(3, name) for name in fetches) + b"".join(field(4, name) for name in targets)
    return field(5, field(1, field(1, spec(signature)) + listed + (field(6, 1) if is_alias else b"")))


def crc32c(data):
    """The checksum of Castagnoli, masked as a TFRecord has it (tensorflow/core/lib/hash/crc32c.h)."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    crc ^= 0xFFFFFFFF
    return struct.pack("<I", (((crc >> 15) | (crc << 17)) + 0xA282EAD8) & 0xFFFFFFFF)


def file(*logs):
    """A TFRecord file."""
    framed = []
    for log in logs:
        length = struct.pack("<Q", len(log))
        framed += [length, crc32c(length), log, crc32c(log)]
    return b"".join(framed)
