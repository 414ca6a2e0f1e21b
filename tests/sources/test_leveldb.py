from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from migrate.sources.leveldb import (
    masked_crc32c,
    read_ordered_signed,
    read_ordered_string,
    read_ordered_unsigned,
    read_table,
    write_table,
)


def test_masked_crc32c():
    # rfc3720, B.4: CRC-32C of 32 zero bytes is 0x8A9136AA; the mask is that of crc32c.h.
    assert masked_crc32c(bytes(32)) == ((0x8A9136AA >> 15 | 0x8A9136AA << 17) + 0xA282EAD8) & 0xFFFFFFFF


@pytest.mark.parametrize(
    ("code", "number"),
    [
        ("80", 0),
        ("bf", 63),
        ("c040", 64),
        ("7f", -1),
        ("40", -64),
        ("3fbf", -65),
        # The two examples of ordered_code.cc.
        ("f0424242", 0x424242),
        ("3800", -0x800),
        ("ffc07fffffffffffffff", 2**63 - 1),
        ("003f8000000000000000", -(2**63)),
    ],
)
def test_ordered_signed(code, number):
    data = bytes.fromhex(code)
    assert read_ordered_signed(b"x" + data + b"y", 1) == (number, 1 + len(data))
    with pytest.raises(ValueError, match="without an end"):
        read_ordered_signed(data[:-1], 0)


def test_ordered_unsigned():
    assert read_ordered_unsigned(b"\0", 0) == (0, 1)
    assert read_ordered_unsigned(b"\x02\x01\x00z", 0) == (256, 3)
    for code in (b"", b"\x02\x01", b"\x09" + bytes(9)):
        with pytest.raises(ValueError, match="without an end"):
            read_ordered_unsigned(code, 0)


@given(value=st.binary())
def test_ordered_string(value):
    code = b"".join({0: b"\0\xff", 255: b"\xff\0"}.get(byte, bytes([byte])) for byte in value)
    assert read_ordered_string(code + b"\0\x01rest", 0) == (value, len(code) + 2)
    with pytest.raises(ValueError, match="without an end"):
        read_ordered_string(code, 0)


@given(st.dictionaries(st.binary(max_size=40), st.binary(max_size=3000), max_size=60))
def test_what_is_written_is_read(items):
    written = sorted(items.items())
    assert list(read_table(write_table(written), "t")) == written
