"""Bytes that TensorFlow's decoding ops accept: images, sound, examples, text."""

from __future__ import annotations

import base64
import random
import struct
import zlib
from collections.abc import Callable, Sequence
from typing import Any

from migrate.frozen import frozen
from migrate.graph.data_protos import Example, SequenceExample

# 16 x 16 RGB, quality 30, baseline: made once with tf.io.encode_jpeg from a diagonal ramp.
JPEG = base64.b64decode(
    "/9j/4AAQSkZJRgABAQEBLAEsAAD/2wBDABsSFBcUERsXFhceHBsgKEIrKCUlKFE6PTBCYFVlZF9VXVtqeJmBanGQc1tdhbWGkJ6j"
    "q62rZ4C8ybqmx5moq6T/2wBDARweHigjKE4rK06kbl1upKSkpKSkpKSkpKSkpKSkpKSkpKSkpKSkpKSkpKSkpKSkpKSkpKSkpKSk"
    "pKSkpKSkpKT/wAARCAAQABADASIAAhEBAxEB/8QAFQABAQAAAAAAAAAAAAAAAAAABQD/xAAYEAACAwAAAAAAAAAAAAAAAAAAAwQh"
    "Mf/EABQBAQAAAAAAAAAAAAAAAAAAAAD/xAAUEQEAAAAAAAAAAAAAAAAAAAAA/9oADAMBAAIRAxEAPwAqOjKE46Moo6MoTjoygP/Z"
)

WORDS = (
    b"the quick brown fox",
    b"",
    b"1",
    b"hello",
    b"A",
    b"http://example.org/?q=1",
    b"3.5",
    b"na\xc3\xafve",
)


def png(size: int, seed: int) -> bytes:
    """A valid `size` x `size` 8-bit RGB PNG of noise (PNG specification, ISO/IEC 15948)."""
    rng = random.Random(seed)
    rows = b"".join(b"\0" + rng.randbytes(3 * size) for _ in range(size))

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", size, size, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def bmp(size: int, seed: int) -> bytes:
    """A valid `size` x `size` 24-bit BMP (BITMAPINFOHEADER) of noise; rows are padded to four bytes."""
    row = -(-3 * size // 4) * 4
    pixels = random.Random(seed).randbytes(row * size)
    header = struct.pack("<IiiHHIIiiII", 40, size, size, 1, 24, 0, len(pixels), 2835, 2835, 0, 0)
    return struct.pack("<2sIHHI", b"BM", 54 + len(pixels), 0, 0, 54) + header + pixels


def wav(samples: int, seed: int) -> bytes:
    """A valid mono 16-bit PCM WAV of noise at 16 kHz."""
    data = random.Random(seed).randbytes(2 * samples)
    form = struct.pack("<HHIIHH", 1, 1, 16000, 32000, 2, 16)
    chunks = b"fmt " + struct.pack("<I", 16) + form + b"data" + struct.pack("<I", len(data)) + data
    return b"RIFF" + struct.pack("<I", 4 + len(chunks)) + b"WAVE" + chunks


@frozen
class Feature:
    """One feature that a parsing op asks of a tf.Example.

    Attributes:
      key: its name.
      dtype: `int64`, `float32` or `string`, all that a tf.Example can hold.
      length: values it must have (for a feature list: in each step), or None where any number will do.
      words: gives the n-th string for a string feature.
      in_list: a feature list of a SequenceExample.
    """

    key: str
    dtype: str
    length: int | None
    words: Callable[[int], bytes]
    in_list: bool = False


def _fill(message: Any, feature: Feature, number: int, longest: int, rng: random.Random) -> None:
    """Writes values for `feature` into a tensorflow.Feature; `number` picks their kind (see `example`)."""
    count = feature.length if feature.length is not None else min((1, 1, 2, 0)[number % 4], longest)
    if feature.dtype == "string":
        message.bytes_list.value.extend(feature.words(number + i) for i in range(count))
    elif feature.dtype == "int64":
        low, high = ((0, 3), (0, 0), (0, 24), (-1, 1000))[number % 4]
        message.int64_list.value.extend(rng.randint(low, high) for _ in range(count))
    else:
        scale = (1.0, 0.0, 10.0, 1e4)[number % 4]
        message.float_list.value.extend(scale * rng.uniform(-1, 1) for _ in range(count))


def example(features: Sequence[Feature], number: int, sequence: bool = False, longest: int = 2) -> bytes:
    """A serialized tf.Example, or SequenceExample, with a value for every feature.

    Args:
      features: what the parsing op asks for.
      number: which one of a series: by turns ordinary values, zeros, larger ones, and extremes with the
        features of variable length left empty.
      sequence: make a SequenceExample of two steps.
      longest: how many values a feature of variable length may have; many graphs expect one at most.
    """
    rng = random.Random(number)
    if not sequence:
        plain = Example()
        for feature in features:
            _fill(plain.features.feature[feature.key], feature, number, longest, rng)
        return plain.SerializeToString(deterministic=True)
    steps = SequenceExample()
    for feature in features:
        if not feature.in_list:
            _fill(steps.context.feature[feature.key], feature, number, longest, rng)
            continue
        for _ in range(2):
            _fill(steps.feature_lists.feature_list[feature.key].feature.add(), feature, number, longest, rng)
    return bytes(steps.SerializeToString(deterministic=True))
