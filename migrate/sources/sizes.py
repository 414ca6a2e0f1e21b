"""How large things are: a value of a dtype in memory, a model on the disk. No protos: reports do without them."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from typing import TYPE_CHECKING

from migrate.sources.copies import data_bytes
from migrate.sources.forms import row_of
from migrate.sources.location import Form
from migrate.sources.saved_model_files import OWN_FOLDERS

if TYPE_CHECKING:
    from migrate.sources.location import Location

_BYTES = {
    **dict.fromkeys(("float64", "int64", "uint64", "complex64"), 8),
    **dict.fromkeys(("float32", "int32", "uint32", "qint32"), 4),
    **dict.fromkeys(("float16", "bfloat16", "int16", "uint16", "qint16", "quint16"), 2),
    **dict.fromkeys(("bool", "int8", "uint8", "qint8", "quint8", "int4", "uint4"), 1),
    **dict.fromkeys(("float8_e5m2", "float8_e4m3fn"), 1),
    "complex128": 16,
}


def size_of(name: str) -> int | None:
    """Bytes of one value in memory; None for a dtype without a fixed size.

    Example:
      >>> size_of("complex64"), size_of("string")
      (8, None)
    """
    return _BYTES.get(name)


def stored_bytes(path: str, place: Location) -> int | None:
    """Adds up the files of a model, without holes; files of another model in the same directory do not count.

    Args:
      path: what the user calls the model; of an archive, the archive itself counts.
      place: where it is.

    Returns:
      None where no file could be examined.

    Example:
      >>> from migrate.sources.discover import place_of
      >>> stored_bytes("testdata/forms/frozen/frozen.pb", place_of("testdata/forms/frozen/frozen.pb"))
      448
    """
    if os.path.isfile(path) and place.file != path:
        return _size(path)
    sizes = [size for file in set(_files(place)) if (size := _size(file)) is not None]
    return sum(sizes) if sizes else None


def _files(place: Location) -> Iterator[str]:
    for path in row_of(place.form).own_paths(place):
        if place.form is Form.SAVED_MODEL and os.path.basename(path) in OWN_FOLDERS:
            for below, _, names in os.walk(path):
                yield from (os.path.join(below, inner) for inner in names)
        else:
            yield path


def _size(file: str) -> int | None:
    try:
        status = os.stat(file)
    except (OSError, ValueError):
        return None
    return data_bytes(file, status) if stat.S_ISREG(status.st_mode) else None
