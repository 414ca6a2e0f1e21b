"""Images that TensorFlow's decoding ops accept, of every form that one of their attributes treats in its own way."""

from __future__ import annotations

import base64
import itertools
import random
import struct
import zlib
from collections.abc import Mapping, Sequence

# 16 x 16 RGB, quality 30, baseline: made once with tf.io.encode_jpeg from a diagonal ramp.
JPEG = base64.b64decode(
    "/9j/4AAQSkZJRgABAQEBLAEsAAD/2wBDABsSFBcUERsXFhceHBsgKEIrKCUlKFE6PTBCYFVlZF9VXVtqeJmBanGQc1tdhbWGkJ6j"
    "q62rZ4C8ybqmx5moq6T/2wBDARweHigjKE4rK06kbl1upKSkpKSkpKSkpKSkpKSkpKSkpKSkpKSkpKSkpKSkpKSkpKSkpKSkpKSk"
    "pKSkpKSkpKT/wAARCAAQABADASIAAhEBAxEB/8QAFQABAQAAAAAAAAAAAAAAAAAABQD/xAAYEAACAwAAAAAAAAAAAAAAAAAAAwQh"
    "Mf/EABQBAQAAAAAAAAAAAAAAAAAAAAD/xAAUEQEAAAAAAAAAAAAAAAAAAAAA/9oADAMBAAIRAxEAPwAqOjKE46Moo6MoTjoygP/Z"
)
"""A photograph as `tf.io.encode_jpeg` writes it."""

_PNG = b"\x89PNG\r\n\x1a\n"
_MOST_SIZE = 512
_BLOCK = 8
"""Rows and columns of a block of a JPEG."""
_CUTS = 8
"""A JPEG of so many rows of blocks is cut after each of them but the last."""
PARTS, HIGH_PARTS = "parts of an image", "parts of a high image"
"""Kinds of images that a decoder takes or refuses by how much of them is there (decode_image_op.cc)."""
_SCAN = b"\xff\xda"
"""The marker of a JPEG's start of scan; before it are tables, without which nothing can be decoded."""


def png(size: int, seed: int, columns: int = 0) -> bytes:
    """A valid 8-bit RGB PNG of noise with as many rows, and columns where these are not given (ISO/IEC 15948)."""
    rng = random.Random(seed)
    columns = columns or size
    rows = b"".join(b"\0" + rng.randbytes(3 * columns) for _ in range(size))
    header = struct.pack(">IIBBBBB", columns, size, 8, 2, 0, 0, 0)
    return _PNG + _chunk(b"IHDR", header) + _chunk(b"IDAT", zlib.compress(rows)) + _chunk(b"IEND", b"")


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


def bmp(size: int, seed: int) -> bytes:
    """A valid `size` x `size` 24-bit BMP (BITMAPINFOHEADER) of noise; rows are padded to four bytes."""
    row = -(-3 * size // 4) * 4
    pixels = random.Random(seed).randbytes(row * size)
    header = struct.pack("<IiiHHIIiiII", 40, size, size, 1, 24, 0, len(pixels), 2835, 2835, 0, 0)
    return struct.pack("<2sIHHI", b"BM", 54 + len(pixels), 0, 0, 54) + header + pixels


_JFIF = (0xE0, b"JFIF\0\1\1\0\0\1\0\1\0\0")
_CMYK = (0xEE, b"Adobe\0\x64\0\0\0\0\0")
"""Adobe's marker: the four components are cyan, magenta, yellow and black, as they are (libjpeg, jdapimin.c)."""
_CHANGES, _FIRST = 12, (0, 0, 0, 12)
"""Lengths of the first coefficients' changes, each with a code of four bits."""
_SIZES, _REST = 7, (0, 0, 7)
"""The end of a block and six lengths of the other coefficients, each with a code of three bits."""
_COEFFICIENTS = 9


def jpeg(rows: int, seed: int, columns: int = 0, components: int = 3, luma: int = 1) -> bytes:
    """A valid baseline JPEG of noise (ITU-T T.81), whose blocks have some high frequencies.

    Args:
      rows: of the image.
      seed: of the noise.
      columns: as many as rows where they are not given.
      components: 1 for grey, 3 for YCbCr, 4 for CMYK.
      luma: 2 where the colours of YCbCr have half the resolution of its brightness.

    Example:
      >>> jpeg(8, 1)[:2].hex(), len(jpeg(8, 1, components=1)) < len(jpeg(8, 1))
      ('ffd8', True)
    """
    columns = columns or rows
    unit = _BLOCK * luma
    units = -(-rows // unit) * -(-columns // unit)
    rng = random.Random(seed)
    last = [0] * components
    bits: list[str] = []
    for _, component in itertools.product(range(units), range(components)):
        for _ in range(luma**2 if component == 0 else 1):
            value = rng.randrange(-900, 900)
            bits += _coded(value - last[component], 4)
            last[component] = value
            for _ in range(_COEFFICIENTS):
                bits += _coded(rng.choice((-1, 1)) * rng.randrange(1, 1 << (_SIZES - 1)), 3)
            bits.append("000")  # The rest of the block is zero.
    text = "".join(bits)
    text += "1" * (-len(text) % 8)
    data = bytes(int(text[i : i + 8], 2) for i in range(0, len(text), 8)).replace(b"\xff", b"\xff\0")
    samplings = [luma * 0x11 if number == 0 else 0x11 for number in range(components)]
    frame = struct.pack(">BHHB", 8, rows, columns, components)
    frame += b"".join(bytes([number + 1, sampling, 0]) for number, sampling in enumerate(samplings))
    scan = bytes([components, *(byte for number in range(components) for byte in (number + 1, 0)), 0, 63, 0])
    parts = (
        _segment(*(_CMYK if components == 4 else _JFIF)),
        _segment(0xDB, b"\0" + b"\1" * 64),
        _segment(0xC0, frame),
        _segment(0xC4, b"\0" + _codes(_FIRST) + bytes(range(_CHANGES))),
        _segment(0xC4, b"\x10" + _codes(_REST) + bytes(range(_SIZES))),
        _segment(0xDA, scan),
    )
    return b"\xff\xd8" + b"".join(parts) + data + b"\xff\xd9"


def _coded(value: int, digits: int) -> list[str]:
    """The code of a number's length, and its bits (F.1.2.1 and F.1.2.2)."""
    length = abs(value).bit_length()
    return [f"{length:0{digits}b}", f"{value if value > 0 else value + (1 << length) - 1:0{length}b}" if length else ""]


def _codes(counts: Sequence[int]) -> bytes:
    """How many codes there are of each length from 1 to 16 bits."""
    return bytes([*counts, *[0] * (16 - len(counts))])


def _segment(marker: int, content: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, marker, len(content) + 2) + content


def size_of(text: bytes) -> int:
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
    return size if size <= _MOST_SIZE else 0


def variants(text: bytes) -> Mapping[str, tuple[bytes, ...]]:
    """Other images in the place of one, by what is special about them; nothing where it is none.

    Args:
      text: an image that a graph accepts.

    Returns:
      Of each kind at most eight. Those of the first three kinds are of the image's size, but for a photograph.
    """
    size = size_of(text)
    if not size:
        return {}
    own, odd = jpeg(size, 2), 2 * (size // 2)
    high = _CUTS * _BLOCK
    return {
        "image formats": (
            png(size, 1),
            own,
            gif(size, 3),
            grey_png(size, 4),
            grey_png(size, 5, alpha=True),
        ),
        "JPEGs": (jpeg(size, 8, luma=2), jpeg(size, 9, components=1), jpeg(size, 10, components=4), JPEG),
        "other images": (
            bmp(size, 6),
            *(image[: len(image) // 2] for image in (text, gif(size, 3), bmp(size, 6))),
        ),
        # No square, and of no size that ways of resizing treat alike, such as twice the new one.
        "image sizes": (png(odd + 5, 7, odd + 3), jpeg(odd + 5, 7, odd + 3, luma=2)),
        PARTS: tuple(_cut(own, (number + 0.5) / _CUTS) for number in range(_CUTS)),
        HIGH_PARTS: tuple(_cut(jpeg(high, 11, _BLOCK), (n + 0.5) / _CUTS) for n in range(_CUTS)),
    }


def _cut(image: bytes, share: float) -> bytes:
    """A JPEG whose last pixels are lost, which decoders refuse or not as they are told (jpeg_mem.cc)."""
    start = image.index(_SCAN)
    return image[: start + int((len(image) - start) * share)]
