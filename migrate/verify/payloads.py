"""Bytes that TensorFlow's decoding ops accept: sound, examples, text; `images` has those of images."""

from __future__ import annotations

import base64
import random
import struct
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from google.protobuf.message import DecodeError

from migrate.frozen import frozen
from migrate.graph.data_protos import Example, SequenceExample
from migrate.verify import images

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


_MOST_FEATURES = 24


def others(text: bytes) -> Mapping[str, tuple[bytes, ...]]:
    """Variants of an accepted string, by what is special about them, where its bytes say what it is.

    Args:
      text: an image, a tf.Example, or one of them in web-safe base64.
    """
    found = images.variants(text) or _example_variants(text)
    decoded = None if found else _from_base64(text)
    if decoded is None:
        return found
    return {
        kind: tuple(base64.urlsafe_b64encode(variant).rstrip(b"=") for variant in variants)
        for kind, variants in others(decoded).items()
    }


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
    found["values of features"] = tuple(values)
    for key in keys:
        stored = example.features.feature[key].bytes_list.value
        for kind, variants in others(stored[0]).items() if stored else ():
            more = (changed(set_all("bytes_list", [variant]), key) for variant in variants)
            found[f"{kind} in a feature"] = (*found.get(f"{kind} in a feature", ()), *more)
    return found
