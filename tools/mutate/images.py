"""Small images of several formats, made without TensorFlow where that is short."""

from __future__ import annotations

import base64
import struct
import zlib


def gif() -> bytes:
    """A GIF of two frames of 1 x 1."""
    frame = b"\x2c\0\0\0\0\x01\0\x01\0\0\x02\x02"
    return b"GIF89a\x01\0\x01\0\x80\0\0\xff\x40\x20\0\0\0" + frame + b"\x44\x01\0" + frame + b"\x4c\x01\0" + b"\x3b"


def bmp() -> bytes:
    """A BMP of 2 x 2 pixels of 24 bits."""
    pixels = bytes([10, 20, 30, 40, 50, 60, 0, 0, 70, 80, 90, 100, 110, 120, 0, 0])
    header = struct.pack("<IiiHHIIiiII", 40, 2, 2, 1, 24, 0, len(pixels), 0, 0, 0, 0)
    return b"BM" + struct.pack("<IHHI", 54 + len(pixels), 0, 0, 54) + header + pixels


def grey_png() -> bytes:
    """A PNG of 2 x 2 grey pixels of 8 bits."""
    rows = b"\0\x10\x80\0\xf0\x40"

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", 2, 2, 8, 0, 0, 0, 0)
    parts = (chunk(b"IHDR", header), chunk(b"IDAT", zlib.compress(rows)), chunk(b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def jpeg() -> bytes:
    """A JPEG of 1 x 1."""
    return base64.b64decode(
        "/9j/4AAQSkZJRgABAQEBLAEsAAD/2wBDAKBueIx4ZKCMgoy0qqC+8P//8Nzc8P//////////////////////////////////////////////"
        "////////////wAALCAABAAEBAREA/8QAFAABAAAAAAAAAAAAAAAAAAAAAv/EABQQAQAAAAAAAAAAAAAAAAAAAAD/2gAIAQEAAD8AD//Z"
    )


def photo(share: float = 1.0) -> bytes:
    """A JPEG of 72 x 16 whose colours have half the resolution, made once with tf.io.encode_jpeg; or a part of it.

    Args:
      share: of its pixels' data.
    """
    data = base64.b64decode(
        "/9j/4AAQSkZJRgABAQEBLAEsAAD/2wBDABQODxIPDRQSEBIXFRQYHjIhHhwcHj0sLiQySUBMS0dARkVQWnNiUFVtVkVGZIhlbXd7gYKBTmCN"
        "l4x9lnN+gXz/2wBDARUXFx4aHjshITt8U0ZTfHx8fHx8fHx8fHx8fHx8fHx8fHx8fHx8fHx8fHx8fHx8fHx8fHx8fHx8fHx8fHx8fHz/wAAR"
        "CABIABADASIAAhEBAxEB/8QAGAABAAMBAAAAAAAAAAAAAAAABAADBQL/xAAlEAABAwQBBAIDAAAAAAAAAAABAAIDBBESIQUTIjFBFHEjMlH/"
        "xAAWAQEBAQAAAAAAAAAAAAAAAAADBAL/xAAjEQACAgIBAgcAAAAAAAAAAAABAgADETEEElETISJBYXHw/9oADAMBAAIRAxEAPwAtG8PJB1dW"
        "1THN3EMvpVy0ZzAyxBWpTuZQMu0CYnetpw2GB3jUS63kVYOu5lfJUTWMv1LFE46s+CSJfyX8X9Kc5K849Mk22faBGHOHcCCiFICHByBoSeq6x68v"
        "oe02JqUQbc/L7XcEEdVfG2kaYSVDD57VTQ1D6VxBuT6U4ZWr+ppqy9fTYPVFuqOkMSz9tLl8UdOA7MHLdr+EOrrzOcY4zb+gIHIMcwMPVJuPF/Cp"
        "qTxHJ/GHlWcB/P57zUNQyhjc1zA4uFgUKl4p3JSPeXkC6iiPiuzDrOzKOUi1MFSf/9k="
    )
    start = data.index(b"\xff\xda")
    return data[: start + int((len(data) - start) * share)]
