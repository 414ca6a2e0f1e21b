"""The numbers in a constant of a graph, whichever of two ways it stores them. No numpy."""

from __future__ import annotations

import struct

from migrate.graph.dtypes import dtype_value
from migrate.graph.protos import TensorProto

_FORMS = {
    dtype_value(dtype): form
    for dtype, form in {
        "float16": ("", "e"),
        "float32": ("float_val", "f"),
        "float64": ("double_val", "d"),
        "int32": ("int_val", "i"),
        "int64": ("int64_val", "q"),
    }.items()
}
"""Where a TensorProto has numbers one by one, and how `tensor_content` has them. half_val has bits: it is not read."""


def numbers(proto: TensorProto) -> tuple[float, ...] | None:
    """The numbers that a constant stores; the last stands for all elements that follow it (Tensor::FromProto).

    Returns:
      None for a dtype that is not read here, and for bytes that are no whole numbers of it. Empty for a constant that
      stores none, whose elements are zeros.
    """
    if proto.dtype not in _FORMS:
        return None
    field, code = _FORMS[proto.dtype]
    content = proto.tensor_content
    if content:
        count, rest = divmod(len(content), struct.calcsize(code))
        return None if rest else struct.unpack(f"<{count}{code}", content)
    return tuple(getattr(proto, field)) if field else None
