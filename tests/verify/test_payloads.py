"""Bytes that TensorFlow's decoding ops accept."""

from __future__ import annotations

import io
import struct
import wave
import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from migrate.graph.data_protos import Example, SequenceExample
from migrate.verify import payloads
from migrate.verify.payloads import Feature

_SIZES, _SEEDS = st.integers(1, 40), st.integers(0, 1000)


@given(_SIZES, _SEEDS)
def test_a_png_has_chunks_of_right_length_and_sum_and_all_rows(size, seed):
    data = payloads.png(size, seed)
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    chunks, rest = {}, data[8:]
    while rest:
        length, kind = struct.unpack(">I4s", rest[:8])
        content = rest[8 : 8 + length]
        assert struct.unpack(">I", rest[8 + length : 12 + length])[0] == zlib.crc32(kind + content)
        chunks[kind], rest = content, rest[12 + length :]
    assert list(chunks) == [b"IHDR", b"IDAT", b"IEND"]
    assert chunks[b"IHDR"] == struct.pack(">IIBBBBB", size, size, 8, 2, 0, 0, 0)
    rows = zlib.decompress(chunks[b"IDAT"])
    assert len(rows) == size * (1 + 3 * size) and set(rows[:: 1 + 3 * size]) == {0}


@given(_SIZES, _SEEDS)
def test_a_bmp_is_as_long_as_it_says(size, seed):
    data = payloads.bmp(size, seed)
    kind, length, _, _, offset = struct.unpack("<2sIHHI", data[:14])
    assert (kind, length) == (b"BM", len(data))
    row = (len(data) - offset) // size
    assert row * size + offset == len(data) and row % 4 == 0 and 0 <= row - 3 * size < 4


@given(st.integers(0, 500), _SEEDS)
def test_a_wav_is_what_pythons_reader_takes(samples, seed):
    data = payloads.wav(samples, seed)
    assert struct.unpack("<4sI", data[:8]) == (b"RIFF", len(data) - 8)
    with wave.open(io.BytesIO(data)) as file:
        assert file.getparams()[:4] == (1, 2, 16000, samples)
        assert len(file.readframes(samples + 1)) == 2 * samples


@pytest.mark.parametrize("make", [payloads.png, payloads.bmp, payloads.wav])
def test_a_seed_has_one_content_and_another_seed_another(make):
    assert make(8, 1) == make(8, 1) != make(8, 2)


def test_the_jpeg_is_whole():
    assert payloads.JPEG[:2] == b"\xff\xd8" and payloads.JPEG[-2:] == b"\xff\xd9"


_FEATURES = (
    Feature("i", "int64", 4, payloads.WORDS.__getitem__),
    Feature("f", "float32", None, payloads.WORDS.__getitem__),
    Feature("s", "string", 2, lambda n: b"%d" % n),
    Feature("l", "int64", None, payloads.WORDS.__getitem__, in_list=True),
)


@settings(max_examples=40)
@given(st.integers(0, 100), st.integers(1, 3))
def test_an_example_has_as_many_values_as_its_features_must_have(number, longest):
    found = Example.FromString(payloads.example(_FEATURES[:3], number, longest=longest)).features.feature
    assert len(found["i"].int64_list.value) == 4
    assert found["s"].bytes_list.value == [b"%d" % number, b"%d" % (number + 1)]
    assert len(found["f"].float_list.value) == min((1, 1, 2, 0)[number % 4], longest)


def test_examples_are_ordinary_then_zeros_then_large_then_extreme():
    series = [Example.FromString(payloads.example(_FEATURES[:1], n)).features.feature["i"].int64_list for n in range(4)]
    assert set(series[1].value) == {0}
    assert all(0 <= value <= 3 for value in series[0].value) and all(0 <= value <= 24 for value in series[2].value)


def test_a_sequence_has_two_steps_of_its_lists_and_the_rest_in_its_context():
    found = SequenceExample.FromString(payloads.example(_FEATURES, 0, sequence=True))
    assert sorted(found.context.feature) == ["f", "i", "s"]
    (steps,) = found.feature_lists.feature_list.values()
    assert [len(step.int64_list.value) for step in steps.feature] == [1, 1]


def test_without_features_it_is_empty():
    assert payloads.example((), 0) == Example().SerializeToString()
