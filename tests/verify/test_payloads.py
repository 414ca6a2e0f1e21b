"""Bytes that TensorFlow's decoding ops accept."""

from __future__ import annotations

import base64
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


@pytest.mark.parametrize("size", [1, 3, 8, 32])
def test_variants_of_an_image_have_its_size(size):
    found = payloads.others(payloads.png(size, 0))
    formats = [text[:4] for text in found["image formats"]]
    assert formats == [b"\x89PNG", b"\xff\xd8\xff\xe0", b"GIF8", b"\x89PNG", b"\x89PNG"]
    other, half, cut = found["other images"]
    assert other.startswith(b"BM") and payloads.png(size, 0).startswith(half)
    # Its tables are whole, so that a decoder has lines to give.
    assert found["image formats"][1].startswith(cut) and len(cut) > cut.index(b"\xff\xda") + 14
    assert not cut.endswith(b"\xff\xd9")
    (resized,) = found["image sizes"]
    columns, rows = struct.unpack(">II", resized[16:24])
    assert columns != rows and columns % 2 == rows % 2 == 1 and columns > size


def test_variants_of_an_example_lack_a_feature_each():
    features = [payloads.Feature("a", "float32", 1, lambda n: b""), payloads.Feature("b", "int64", 2, lambda n: b"")]
    found = payloads.others(payloads.example(features, 0))
    keys = [set(Example.FromString(text).features.feature) for text in found["absent features"]]
    assert keys == [{"b"}, {"a"}, set()]
    (several,) = found["several values of a feature"]
    assert len(Example.FromString(several).features.feature["b"].int64_list.value) == 4
    numbers = [Example.FromString(text).features.feature for text in found["values of features"]]
    assert any(n["b"].int64_list.value[0] > 2**31 for n in numbers)
    assert any(n["a"].float_list.value[0] != n["a"].float_list.value[0] for n in numbers)


def test_variants_of_base64_are_base64():
    text = base64.urlsafe_b64encode(payloads.png(8, 0)).rstrip(b"=")
    assert all(base64.urlsafe_b64decode(variant + b"==") for variant in payloads.others(text)["image formats"])


@pytest.mark.parametrize("text", [b"", b"plain words", b"\x00\xff", b"a" * 64])
def test_plain_text_has_no_variants(text):
    assert "image formats" not in payloads.others(text)
    assert "absent features" not in payloads.others(text)
