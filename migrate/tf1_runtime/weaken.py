"""Makes undefined dynamic symbols of a shared library weak, so that it loads where nothing defines them.

A library that was built for one CPython names functions that later ones lack. The dynamic loader refuses it, whether or
not anything calls them. An undefined symbol that is weak is 0 and no error. Only the symbols that are asked for become
weak: with C++ symbols among them a wrong framework library would load, and crash later.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Callable

# elf(5), ELF64 little endian.
_HEADER = struct.Struct("<4sBBBB8xHHIQQQIHHHHHH")
_SECTION = struct.Struct("<IIQQQQIIQQ")
_SYMBOL = struct.Struct("<IBBHQQ")
_MAGIC, _CLASS64, _LITTLE = b"\x7fELF", 2, 1
_SHT_DYNSYM = 11
_SHN_UNDEF = 0
_STB_GLOBAL, _STB_WEAK = 1, 2


class ElfError(Exception):
    """A file is not a shared library of the form that is expected; the message says why."""


def weaken(path: str | os.PathLike[str], is_wanted: Callable[[str], bool]) -> int:
    """Makes undefined symbols weak, in place.

    Args:
      path: a shared library for 64-bit little-endian machines.
      is_wanted: says of a symbol's name whether it is to be weak.

    Returns:
      How many symbols were changed.

    Raises:
      ElfError: the file is not such a library.
    """
    size = os.path.getsize(path)
    with open(path, "r+b") as file:

        def part(offset: int, length: int) -> bytes:
            if length > size - offset:
                raise ElfError(f"{os.fspath(path)}: it ends before its tables do")
            file.seek(offset)
            return file.read(length)

        if size < _HEADER.size:
            raise ElfError(f"{os.fspath(path)}: not an ELF file")
        magic, bits, order, *_, at, _, _, _, _, entry, count, _ = _HEADER.unpack(part(0, _HEADER.size))
        if (magic, bits, order) != (_MAGIC, _CLASS64, _LITTLE) or entry != _SECTION.size:
            raise ElfError(f"{os.fspath(path)}: not a 64-bit little-endian ELF file")
        sections = list(_SECTION.iter_unpack(part(at, entry * count)))
        found = [section for section in sections if section[1] == _SHT_DYNSYM]
        if len(found) != 1 or found[0][6] >= len(sections) or found[0][5] % _SYMBOL.size:
            raise ElfError(f"{os.fspath(path)}: it has no table of dynamic symbols")
        offset, length = found[0][4:6]
        strings = sections[found[0][6]]
        names = part(*strings[4:6])
        table = bytearray(part(offset, length))
        changed = 0
        for position in range(0, length, _SYMBOL.size):
            name, info, _, section, _, _ = _SYMBOL.unpack_from(table, position)
            if section != _SHN_UNDEF or info >> 4 != _STB_GLOBAL:
                continue
            end = names.find(b"\0", name)
            if end < 0:
                raise ElfError(f"{os.fspath(path)}: the name of a symbol has no end")
            if is_wanted(names[name:end].decode(errors="replace")):
                table[position + 4] = _STB_WEAK << 4 | info & 0xF
                changed += 1
        file.seek(offset)
        file.write(table)
    return changed


def of_cpython(symbol: str) -> bool:
    """Whether a symbol is CPython's.

    Example:
      >>> of_cpython("_Py_CheckRecursionLimit"), of_cpython("PyErr_Occurred"), of_cpython("_ZN10tensorflow")
      (True, True, False)
    """
    return symbol.startswith(("Py", "_Py"))
