"""Large constants cut out of a serialized graph, and put back into it, without parsing what they hold.

A parsed graph holds each constant once more, and so does each step on the way to it. Here the data may be the map of a
file: what is cut out of it stays there, and is known by where it is.
"""

from __future__ import annotations

import mmap
from collections.abc import Callable, Mapping, Sequence

from migrate.errors import InternalError
from migrate.frozen import frozen
from migrate.graph.large_constants import HOLLOW, LARGE_BYTES, MARK, STUB_VALUES, hollow, is_plain
from migrate.graph.protobuf_wire import LENGTH_DELIMITED, Field, fields, write_varint
from migrate.graph.protos import NodeDef

Data = bytes | mmap.mmap
Part = bytes | memoryview
_Change = Callable[[int, int], list[Part] | None]
"""Gives the parts that take the place of what is between two positions; None where it stays."""

# Numbers of fields, of saved_model.proto, meta_graph.proto, graph.proto, function.proto, node_def.proto,
# attr_value.proto and tensor.proto.
_ATTR, _KEY, _VALUE, _TENSOR, _CONTENT = 5, 1, 2, 8, 4


@frozen
class Level:
    """A message, some of whose fields lead to what is looked for.

    Attributes:
      fields: these, by number; None stands for what is looked for.
    """

    fields: Mapping[int, Level | None]


GRAPH_DEF = Level({1: None, 2: Level({1: Level({3: None})})})
"""Leads to the nodes of a GraphDef and of its functions."""
META_GRAPH_DEF = Level({2: GRAPH_DEF})
SAVED_MODEL = Level({2: META_GRAPH_DEF})
_CONTENTS = Level({_ATTR: Level({_VALUE: Level({_TENSOR: Level({_CONTENT: None})})})})
"""Leads to the contents of a node's tensors."""


@frozen
class Cut:
    """A serialized message without what its large constants hold.

    Attributes:
      light: the message, with a hollow stub for each of them (see `large_constants`).
      places: where the content of each is in the data, by the stub's number: its first byte and the one after its last.
    """

    light: bytes
    places: Sequence[tuple[int, int]]

    @property
    def size(self) -> int:
        """Bytes of all that was cut out."""
        return sum(end - start for start, end in self.places)


def cut(data: Data, level: Level) -> Cut:
    """Cuts what large constants hold out of a message.

    Only constants in the form in which all exporters write them: a tensor of floats with the bytes of all its elements,
    and nothing else in it. All else stays as it is, byte by byte.

    Args:
      data: the message.
      level: what it is.

    Raises:
      ValueError: it is no such message.
    """
    places: list[tuple[int, int]] = []
    if data.find(MARK.encode()) >= 0:  # Somebody else's stubs would pass for these.
        return Cut(bytes(data), ())

    def stub(start: int, end: int) -> list[Part] | None:
        place = _content_of(data, start, end) if end - start >= LARGE_BYTES else None
        if place is None:
            return None
        without = _changed(data, start, end, _CONTENTS, lambda *found: [] if found == place else None)
        node = NodeDef.FromString(b"".join(without))
        if not is_plain(node, place[1] - place[0]):
            return None
        places.append(place)
        return [hollow(node, len(places) - 1).SerializeToString()]

    return Cut(b"".join(_changed(data, 0, len(data), level, stub)), tuple(places))


def spliced(light: bytes, level: Level, contents: Sequence[Part]) -> list[Part]:
    """The message whose stubs have become constants again, in parts that come one after the other.

    Args:
      light: the message, serialized deterministically.
      level: what it is.
      contents: what the constants hold, by number.

    Raises:
      ValueError: it is no such message.
    """
    if not contents:
        return [light]
    mark = MARK.encode()

    def constant(start: int, end: int) -> list[Part] | None:
        if light.find(mark, start, end) < 0:
            return None
        node = NodeDef.FromString(light[start:end])
        if MARK not in node.attr:
            return None
        tensor = node.attr["value"].tensor
        content = contents[node.attr[MARK].i]
        del node.attr[MARK]
        tensor.ClearField(STUB_VALUES[tensor.dtype])
        tensor.tensor_content = HOLLOW  # It has the place of the content.
        if node.op != "Const" or not is_plain(node, len(content)):
            raise InternalError(f"{node.name!r} has become something else than the constant that it was")
        written = node.SerializeToString(deterministic=True)
        place = _content_of(written, 0, len(written), 1)
        return _changed(written, 0, len(written), _CONTENTS, lambda *found: [content] if found == place else None)

    return _changed(light, 0, len(light), level, constant)


def _content_of(data: Data, start: int, end: int, least: int = LARGE_BYTES) -> tuple[int, int] | None:
    """Where a NodeDef has what its constant holds; None where that is small, or not in one place and only there."""
    found = None
    keys = set()
    for entry in fields(data, start, end):
        if entry.number != _ATTR:
            continue
        key = _only(data, entry, _KEY)
        if key is None or data[key.content : key.end] in keys:
            return None
        keys.add(data[key.content : key.end])
        if data[key.content : key.end] == b"value":
            found = entry
    for number in (_VALUE, _TENSOR, _CONTENT):
        found = None if found is None else _only(data, found, number)
    return None if found is None or found.end - found.content < least else (found.content, found.end)


def _only(data: Data, field: Field, number: int) -> Field | None:
    """The field of a number in a message, if the message has it once."""
    if field.kind != LENGTH_DELIMITED:
        return None
    found = [inner for inner in fields(data, field.content, field.end) if inner.number == number]
    return found[0] if len(found) == 1 and found[0].kind == LENGTH_DELIMITED else None


def _changed(data: Data, start: int, end: int, level: Level, change: _Change) -> list[Part]:
    """The message between two positions with what is looked for changed, in parts."""
    parts: list[Part] = []
    copied = start
    view = memoryview(data)
    for field in fields(data, start, end):
        if field.number not in level.fields or field.kind != LENGTH_DELIMITED:
            continue
        inner = level.fields[field.number]
        if inner is None:
            new = change(field.content, field.end)
        else:
            new = _changed(data, field.content, field.end, inner, change)
            if len(new) == 1 and len(new[0]) == field.end - field.content:
                continue  # Nothing in it is changed.
        if new is None:
            continue
        parts.append(view[copied : field.start])
        length = sum(map(len, new))
        parts += [write_varint(field.number << 3 | LENGTH_DELIMITED) + write_varint(length), *new]
        copied = field.end
    parts.append(view[copied:end])
    return parts
