"""weaken.py: which symbols of a library become weak, and what is no library."""

from __future__ import annotations

import struct

import pytest

from migrate.tf1_runtime.weaken import ElfError, of_cpython, weaken

_GLOBAL, _WEAK, _LOCAL = 1, 2, 0


def library(symbols, bits=2, order=1, kind=11, entry=64):
    """An ELF64 file of a header, dynamic symbols, their names and a table of sections."""
    names, table = b"\0", b""
    for name, bind, section in symbols:
        table += struct.pack("<IBBHQQ", len(names), bind << 4 | 2, 0, section, 0, 0)
        names += name.encode() + b"\0"
    at_table, at_names = 64, 64 + len(table)
    at_sections = at_names + len(names)

    def section(type_, offset, size, link=0):
        return struct.pack("<IIQQQQIIQQ", 0, type_, 0, 0, offset, size, link, 0, 0, 24)

    sections = section(0, 0, 0) + section(kind, at_table, len(table), 2) + section(3, at_names, len(names))
    head = struct.pack(
        "<4sBBBB8xHHIQQQIHHHHHH",
        b"\x7fELF", bits, order, 1, 0, 3, 62, 1, 0, 0, at_sections, 0, 64, 0, 0, entry, 3, 0,
    )  # fmt: skip
    return head + table + names + sections


def _binds(data, count):
    return [data[64 + 24 * n + 4] >> 4 for n in range(count)]


def test_undefined_symbols_of_cpython_become_weak(tmp_path):
    symbols = [
        ("_Py_CheckRecursionLimit", _GLOBAL, 0),
        ("PyErr_Occurred", _GLOBAL, 0),
        ("PyDefined", _GLOBAL, 7),  # it is here
        ("PyLocal", _LOCAL, 0),
        ("_ZN10tensorflow4TestE", _GLOBAL, 0),  # a wrong framework library must not load
        ("malloc", _GLOBAL, 0),
    ]
    path = tmp_path / "library.so"
    before = library(symbols)
    path.write_bytes(before)
    assert weaken(path, of_cpython) == 2
    after = path.read_bytes()
    assert _binds(after, 6) == [_WEAK, _WEAK, _GLOBAL, _LOCAL, _GLOBAL, _GLOBAL]
    changed = [n for n, (a, b) in enumerate(zip(before, after, strict=True)) if a != b]
    assert changed == [64 + 4, 64 + 24 + 4] and after[68] & 15 == before[68] & 15
    assert weaken(path, of_cpython) == 0


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x7fELF",
        b"MZ" + bytes(200),
        library([("PyX", _GLOBAL, 0)], bits=1),
        library([("PyX", _GLOBAL, 0)], order=2),
        library([("PyX", _GLOBAL, 0)], kind=2),
        library([("PyX", _GLOBAL, 0)], entry=40),
        library([("PyX", _GLOBAL, 0)])[:-64],
    ],
    ids=["empty", "short", "other", "32 bits", "big endian", "no dynamic symbols", "odd sections", "cut off"],
)
def test_what_is_nolibrary(tmp_path, data):
    path = tmp_path / "library.so"
    path.write_bytes(data)
    with pytest.raises(ElfError) as error:
        weaken(path, of_cpython)
    assert str(error.value).startswith(str(path)) and "\n" not in str(error.value)
    assert path.read_bytes() == data
