"""Messages that no installed package has, from a short description of each: in a descriptor pool of their own.

So a package that registers the same names in protobuf's default pool neither helps nor clashes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool

Fields = Sequence[tuple[int, str, str, str]]
"""(number, name, type, what it is) of each field: `repeated`, `map` (from strings), its oneof's name, or nothing."""

_Field = descriptor_pb2.FieldDescriptorProto
_SCALARS = {
    "string": _Field.TYPE_STRING,
    "bytes": _Field.TYPE_BYTES,
    "bool": _Field.TYPE_BOOL,
    "float": _Field.TYPE_FLOAT,
    "double": _Field.TYPE_DOUBLE,
    "int32": _Field.TYPE_INT32,
    "int64": _Field.TYPE_INT64,
}


def message_pool(package: str, messages: Mapping[str, Fields]) -> Any:
    """The descriptor pool that has some messages, and nothing else.

    Args:
      package: of the messages.
      messages: their fields by their names; a type is that of a scalar or the name of one of them.
    """
    file = descriptor_pb2.FileDescriptorProto(name=f"{package}.proto", package=package, syntax="proto3")
    for name, fields in messages.items():
        _describe(package, file.message_type.add(name=name), fields)
    found = descriptor_pool.DescriptorPool()
    found.Add(file)
    return found


def _describe(package: str, message: descriptor_pb2.DescriptorProto, fields: Fields) -> None:
    for number, name, type_name, what in fields:
        field = message.field.add(name=name, number=number, label=_Field.LABEL_OPTIONAL)
        if what == "map":
            entry = message.nested_type.add(name=f"{name.capitalize()}Entry")
            entry.options.map_entry = True
            _describe(package, entry, ((1, "key", "string", ""), (2, "value", type_name, "")))
            type_name, what = f"{message.name}.{entry.name}", "repeated"
        if type_name in _SCALARS:
            field.type = _SCALARS[type_name]
        else:
            field.type, field.type_name = _Field.TYPE_MESSAGE, f".{package}.{type_name}"
        if what == "repeated":
            field.label = _Field.LABEL_REPEATED
        elif what:
            if what not in [oneof.name for oneof in message.oneof_decl]:
                message.oneof_decl.add(name=what)
            field.oneof_index = [oneof.name for oneof in message.oneof_decl].index(what)
