"""Bytes that TensorFlow's decoding ops accept: images, sound, examples, text."""

from __future__ import annotations

import base64
import random
import struct
import zlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from google.protobuf.message import DecodeError

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


def png(size: int, seed: int, columns: int = 0) -> bytes:
    """A valid 8-bit RGB PNG of noise with as many rows, and columns where these are not given (ISO/IEC 15948)."""
    rng = random.Random(seed)
    columns = columns or size
    rows = b"".join(b"\0" + rng.randbytes(3 * columns) for _ in range(size))
    header = struct.pack(">IIBBBBB", columns, size, 8, 2, 0, 0, 0)
    return _PNG + _chunk(b"IHDR", header) + _chunk(b"IDAT", zlib.compress(rows)) + _chunk(b"IEND", b"")


_PNG = b"\x89PNG\r\n\x1a\n"


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def grey_png(size: int, seed: int, alpha: bool = False) -> bytes:
    """A valid PNG of noise with one channel of 16 bits, or with four of 8."""
    rng = random.Random(seed)
    rows = b"".join(b"\0" + rng.randbytes((4 if alpha else 2) * size) for _ in range(size))
    header = struct.pack(">IIBBBBB", size, size, 8 if alpha else 16, 6 if alpha else 0, 0, 0, 0)
    return _PNG + _chunk(b"IHDR", header) + _chunk(b"IDAT", zlib.compress(rows)) + _chunk(b"IEND", b"")


def gif(size: int, seed: int) -> bytes:
    """A valid GIF89a of one frame of noise in 128 colours; it is not compressed (GIF89a specification, appendix F)."""
    rng = random.Random(seed)
    head = b"GIF89a" + struct.pack("<HHBBB", size, size, 0xF6, 0, 0) + rng.randbytes(3 * 128)
    frame = b"," + struct.pack("<HHHHB", 0, 0, size, size, 0) + b"\x07"
    # Codes have 8 bits while the table is cleared before it has 128 more entries: 128 clears it, 129 ends the image.
    pixels = [rng.randrange(128) for _ in range(size * size)]
    codes = bytearray()
    for start in range(0, len(pixels), 100):
        codes.append(128)
        codes += bytes(pixels[start : start + 100])
    codes.append(129)
    blocks = (bytes(codes[start : start + 255]) for start in range(0, len(codes), 255))
    return head + frame + b"".join(bytes([len(block)]) + block for block in blocks) + b"\0;"


def jpeg(size: int, seed: int) -> bytes:
    """A valid baseline JPEG of RGB blocks of one colour each (ITU-T T.81): only the first coefficients are not zero."""
    rng = random.Random(seed)
    bits: list[str] = []
    last = [0, 0, 0]
    for _ in range((-(-size // 8)) ** 2):
        for component in range(3):
            value = rng.randrange(-900, 900)
            change, last[component] = value - last[component], value
            length = abs(change).bit_length()
            bits.append(f"{length:04b}")  # The table below gives each of the 12 lengths a code of four bits.
            if length:
                bits.append(f"{change if change > 0 else change + (1 << length) - 1:0{length}b}")
            bits.append("0")  # The rest of the block is zero.
    text = "".join(bits)
    text += "1" * (-len(text) % 8)
    data = bytes(int(text[i : i + 8], 2) for i in range(0, len(text), 8)).replace(b"\xff", b"\xff\0")

    def segment(marker: int, content: bytes) -> bytes:
        return struct.pack(">BBH", 0xFF, marker, len(content) + 2) + content

    frame = struct.pack(">BHHB", 8, size, size, 3) + b"".join(bytes([i, 0x11, 0]) for i in (1, 2, 3))
    first = b"\0" + bytes([0, 0, 0, 12, *[0] * 12]) + bytes(range(12))
    rest = b"\x10" + bytes([1, *[0] * 15]) + b"\0"
    scan = b"\x03" + bytes([1, 0, 2, 0, 3, 0]) + b"\0\x3f\0"
    jfif = segment(0xE0, b"JFIF\0\1\1\0\0\1\0\1\0\0")
    quantisation = segment(0xDB, b"\0" + b"\1" * 64)
    tables = quantisation + segment(0xC0, frame) + segment(0xC4, first) + segment(0xC4, rest)
    return b"\xff\xd8" + jfif + tables + segment(0xDA, scan) + data + b"\xff\xd9"


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


_MOST_IMAGE_SIZE = 512
_MOST_FEATURES = 24


def others(text: bytes) -> Mapping[str, tuple[bytes, ...]]:
    """Variants of an accepted string, by what is special about them, where its bytes say what it is.

    Args:
      text: an image, a tf.Example, or one of them in web-safe base64.
    """
    images = _images(text)
    if images:
        return {"image formats": images[:5], "other images": images[5:], "image sizes": _resized(text)}
    examples = _example_variants(text)
    if examples:
        return examples
    decoded = _from_base64(text)
    if decoded is not None:
        return {
            kind: tuple(base64.urlsafe_b64encode(variant).rstrip(b"=") for variant in variants)
            for kind, variants in others(decoded).items()
        }
    return {}


def _size_of(text: bytes) -> int:
    """The width of an image of moderate size; 0 for anything else."""
    size = 0
    if text.startswith(_PNG) and len(text) > 24:
        size = struct.unpack(">I", text[16:20])[0]
    elif text.startswith(b"BM") and len(text) > 54:
        size = struct.unpack("<I", text[18:22])[0]
    elif text.startswith(b"GIF8") and len(text) > 10:
        size = struct.unpack("<H", text[6:8])[0]
    elif text.startswith(b"\xff\xd8\xff"):
        size = 16
    return size if size <= _MOST_IMAGE_SIZE else 0


def _resized(text: bytes) -> tuple[bytes, ...]:
    """An image that is no square, and of no size that ways of resizing treat alike, such as twice the new one."""
    size = _size_of(text)
    return (png(2 * (size // 2) + 5, 7, 2 * (size // 2) + 3),) if size else ()


def _images(text: bytes) -> tuple[bytes, ...]:
    """An image of the same size in each format that TensorFlow's ops decode, and parts of some; else nothing."""
    size = _size_of(text)
    if not size:
        return ()
    return (
        png(size, 1),
        jpeg(size, 2),
        gif(size, 3),
        grey_png(size, 4),
        grey_png(size, 5, alpha=True),
        bmp(size, 6),
        text[: len(text) // 2],
        _cut(jpeg(size, 2)),
    )


_SCAN = b"\xff\xda"
"""The marker of a JPEG's start of scan; before it are tables, without which nothing can be decoded."""


def _cut(image: bytes) -> bytes:
    """A JPEG whose last pixels are lost, which decoders refuse or not as they are told (jpeg_mem.cc)."""
    start = image.index(_SCAN)
    return image[: start + (len(image) - start) * 3 // 4]


def _kinds_of(text: bytes) -> tuple[bytes, ...]:
    return (*_images(text), *_resized(text))


def _from_base64(text: bytes) -> bytes | None:
    try:
        decoded = base64.b64decode(text + b"=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except ValueError:
        return None
    return decoded if len(text) >= 16 else None


def _example_variants(text: bytes) -> Mapping[str, tuple[bytes, ...]]:
    """A tf.Example without one feature each, with several values, with values of every kind."""
    if len(text) < 8:
        return {}
    try:
        example = Example.FromString(text)
    except DecodeError:
        return {}
    keys = sorted(example.features.feature)[:_MOST_FEATURES]
    # Any bytes may be read as some message: it must have no field that a tf.Example has not.
    example.DiscardUnknownFields()
    if not keys or example.ByteSize() != len(text):
        return {}
    if any(example.features.feature[key].WhichOneof("kind") is None for key in keys[:1]):
        return {}

    def changed(change: Callable[[Any, str], None], *chosen: str) -> bytes:
        copy = Example.FromString(text)
        for key in chosen:
            change(copy.features.feature, key)
        return copy.SerializeToString(deterministic=True)

    def set_all(field: str, values: Sequence[Any]) -> Callable[[Any, str], None]:
        def change(features: Any, key: str) -> None:
            if features[key].WhichOneof("kind") == field:
                stored = getattr(features[key], field).value
                count = len(stored)
                del stored[:]
                stored.extend(values[i % len(values)] for i in range(count))

        return change

    def twice(features: Any, key: str) -> None:
        kind = features[key].WhichOneof("kind")
        if kind is not None:
            stored = getattr(features[key], kind).value
            stored.extend(list(stored))

    def drop(features: Any, key: str) -> None:
        del features[key]

    def empty(features: Any, key: str) -> None:
        kind = features[key].WhichOneof("kind")
        if kind is not None:
            del getattr(features[key], kind).value[:]

    absent = [changed(drop, key) for key in keys]
    if len(keys) > 1:
        absent.append(changed(drop, *keys))
    found = {"absent features": tuple(absent)}
    found["empty features"] = tuple(changed(empty, key) for key in keys)
    found["several values of a feature"] = (changed(twice, *keys),)
    values = []
    for field, numbers in (
        ("int64_list", (1, -1, 1001, 2**31 + 7)),
        ("float_list", (2.5, float("nan"), float("inf"), -1e30)),
        ("bytes_list", (b"unknown word", b"", "Gr\u00f6\u00dfe".encode(), b"\xff\xfe")),
    ):
        if any(example.features.feature[key].WhichOneof("kind") == field for key in keys):
            values += [changed(set_all(field, [number]), *keys) for number in numbers]
    for key in keys:
        stored = example.features.feature[key].bytes_list.value
        values += [changed(set_all("bytes_list", [image]), key) for image in (_kinds_of(stored[0]) if stored else ())]
    found["values of features"] = tuple(values)
    return found
