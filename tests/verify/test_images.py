"""Images that TensorFlow's decoding ops accept."""

from __future__ import annotations

import struct
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from migrate.verify import images

_SIZES, _SEEDS = st.integers(1, 40), st.integers(0, 1000)


@given(_SIZES, _SEEDS)
def test_a_png_has_chunks_of_right_length_and_sum_and_all_rows(size, seed):
    data = images.png(size, seed)
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
    data = images.bmp(size, seed)
    kind, length, _, _, offset = struct.unpack("<2sIHHI", data[:14])
    assert (kind, length) == (b"BM", len(data))
    row = (len(data) - offset) // size
    assert row * size + offset == len(data) and row % 4 == 0 and 0 <= row - 3 * size < 4


@pytest.mark.parametrize("make", [images.png, images.bmp, images.gif, images.jpeg])
def test_a_seed_has_one_content_and_another_seed_another(make):
    assert make(8, 1) == make(8, 1) != make(8, 2)


def test_the_photograph_is_whole():
    assert images.JPEG[:2] == b"\xff\xd8" and images.JPEG[-2:] == b"\xff\xd9"


@given(_SIZES, _SIZES, st.sampled_from([(1, 1), (3, 1), (3, 2), (4, 1)]))
def test_a_jpeg_says_its_size_and_its_components(rows, columns, form):
    components, luma = form
    data = images.jpeg(rows, 1, columns, components, luma)
    start = data.index(b"\xff\xc0")
    assert struct.unpack(">BHHB", data[start + 4 : start + 10]) == (8, rows, columns, components)
    assert data[start + 11] == 0x11 * luma
    # No marker is in the data: a byte of ones is followed by one of zeros.
    scan = data[data.index(b"\xff\xda") + 2 : -2]
    assert {scan[at + 1] for at in range(len(scan)) if scan[at] == 0xFF} <= {0}


@pytest.mark.parametrize("size", [1, 3, 8, 32])
def test_variants_of_an_image_have_its_size(size):
    own = images.png(size, 0)
    found = images.variants(own)
    formats = [text[:4] for text in found["image formats"]]
    assert formats == [b"\x89PNG", b"\xff\xd8\xff\xe0", b"GIF8", b"\x89PNG", b"\x89PNG"]
    assert found["other images"][0].startswith(b"BM") and own.startswith(found["other images"][1])
    assert all(0 < len(variants) <= 8 for variants in found.values())
    assert all(images.size_of(text) in (size, 16) for text in (*found["image formats"], *found["JPEGs"]))
    resized, subsampled = found["image sizes"]
    columns, rows = struct.unpack(">II", resized[16:24])
    assert columns != rows and columns % 2 == rows % 2 == 1 and columns > size
    assert struct.pack(">HH", rows, columns) in subsampled


def test_parts_of_an_image_have_its_tables():
    found = images.variants(images.png(32, 0))
    whole = found["image formats"][1]
    parts = found[images.PARTS]
    assert all(whole.startswith(part) and len(part) > part.index(b"\xff\xda") + 14 for part in parts)
    assert list(parts) == sorted(parts, key=len) and len(set(parts)) == len(parts)
    assert not any(part.endswith(b"\xff\xd9") for part in (*parts, *found[images.HIGH_PARTS]))


@pytest.mark.parametrize("text", [b"", b"plain words", b"\x89PNG\r\n\x1a\n", b"BM", b"GIF8"])
def test_what_is_no_image_has_no_variants(text):
    assert images.variants(text) == {}
    assert images.size_of(text) == 0


def test_a_very_large_image_has_none():
    assert images.variants(images.bmp(513, 0)) == {}


@pytest.mark.tensorflow
@pytest.mark.parametrize("channels", [0, 1, 3])
def test_tensorflow_decodes_them(channels):
    import tensorflow as tf

    found = images.variants(images.png(24, 0))
    every = (*found["image formats"], *found["JPEGs"], *found["image sizes"])
    # An animation has three channels whatever is asked for, or is refused.
    # And libjpeg makes no grey of CMYK.
    for text in every if channels != 1 else [t for t in every if not t.startswith(b"GIF8") and b"Adobe" not in t]:
        decoded = tf.io.decode_image(text, channels=channels, expand_animations=False)
        assert 16 <= decoded.shape[0] <= 40 and decoded.dtype == tf.uint8


def _decoded(text, **attributes):
    """What TensorFlow makes of a JPEG, or the class of its error."""
    import tensorflow as tf

    try:
        return tf.raw_ops.DecodeJpeg(contents=text, **attributes).numpy().tobytes()
    except tf.errors.OpError as error:
        return type(error).__name__


@pytest.mark.tensorflow
@pytest.mark.parametrize(
    ("attribute", "values"),
    [
        ("acceptable_fraction", [share / 8 for share in range(1, 9)]),
        ("try_recover_truncated", [False, True]),
        ("fancy_upscaling", [False, True]),
        ("ratio", [1, 2, 4, 8]),
        ("dct_method", ["INTEGER_FAST", "INTEGER_ACCURATE"]),
        ("channels", [0, 1, 3]),
    ],
)
def test_each_value_of_an_attribute_of_a_decoder_shows(attribute, values):
    texts = [text for variants in images.variants(images.png(32, 0)).values() for text in variants]
    jpegs = [text for text in texts if text.startswith(b"\xff\xd8")]
    found = [[_decoded(text, **{attribute: value}) for text in jpegs] for value in values]
    assert len({str(answers) for answers in found}) == len(values)
