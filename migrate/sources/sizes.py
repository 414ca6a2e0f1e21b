"""How large a value of a dtype is. Without the protos, so that reports can be written quickly."""

from __future__ import annotations

_BYTES = {
    **dict.fromkeys(("float64", "int64", "uint64", "complex64"), 8),
    **dict.fromkeys(("float32", "int32", "uint32", "qint32"), 4),
    **dict.fromkeys(("float16", "bfloat16", "int16", "uint16", "qint16", "quint16"), 2),
    **dict.fromkeys(("bool", "int8", "uint8", "qint8", "quint8", "int4", "uint4"), 1),
    **dict.fromkeys(("float8_e5m2", "float8_e4m3fn"), 1),
    "complex128": 16,
}


def size_of(name: str) -> int | None:
    """Bytes of one value in memory; None for a dtype without a fixed size."""
    return _BYTES.get(name)
