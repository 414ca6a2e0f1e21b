"""A plan as data for a child process: each node once, however many runs share it.

What can be computed from the nodes, a graph's index above all, is not carried but made again. What large constants hold
is carried apart from the nodes (`large_constants.py`).
"""

from __future__ import annotations

import io
import pickle
from collections.abc import Mapping, Sequence
from typing import Any

from google.protobuf.message import Message

from migrate.graph.graph import Graph, index
from migrate.graph.large_constants import Contents
from migrate.graph.protos import FunctionDef, GraphDef, NodeDef, TensorProto, TensorShapeProto
from migrate.processes.libc import give_back
from migrate.sources.large_contents import InFile, finder_in

_NODE: str = NodeDef.DESCRIPTOR.name
_MESSAGES: Mapping[str, type[Message]] = {
    kind.DESCRIPTOR.name: kind for kind in (FunctionDef, TensorProto, TensorShapeProto)
}
"""What a plan has beside nodes."""
_CONTENTS = "contents"


class _Packer(pickle.Pickler):
    """Writes graphs as their nodes, and protos as numbers: pickle would import TensorFlow to name their classes."""

    def __init__(self, file: io.BytesIO) -> None:
        super().__init__(file, pickle.HIGHEST_PROTOCOL)
        self._numbers: dict[int, tuple[str, int]] = {}
        self._found: dict[str, list[Message]] = {kind: [] for kind in (_NODE, *_MESSAGES)}

    def persistent_id(self, value: Any) -> tuple[str, int] | None:
        if not isinstance(value, Message):
            return None
        known = self._numbers.get(id(value))
        if known is None:
            kind = value.DESCRIPTOR.name
            found = self._found[kind]  # Which holds it, so that its `id` stays its own.
            known = self._numbers[id(value)] = (kind, len(found))
            found.append(value)
        return known

    def reducer_override(self, value: Any) -> Any:
        return (index, (list(value.nodes.values()),)) if isinstance(value, Graph) else NotImplemented

    def messages(self, contents: Contents) -> dict[str, tuple[bytes, ...]]:
        """The protos that were met, serialized, by the names of their types; `contents` takes those of constants."""
        return {
            kind: tuple(_apart(value, contents).SerializeToString() for value in found)
            for kind, found in self._found.items()
        }


def _apart(value: Message, contents: Contents) -> Message:
    if isinstance(value, NodeDef):
        return contents.node(value)
    return contents.function(value) if isinstance(value, FunctionDef) else value


class _Unpacker(pickle.Unpickler):
    """Reads what `_Packer` has written."""

    def __init__(self, file: io.BytesIO, messages: Mapping[str, Sequence[bytes]]) -> None:
        super().__init__(file)
        graph = GraphDef()  # All nodes in one message take less memory than each by itself.
        for serialized in messages[_NODE]:
            graph.node.add().MergeFromString(serialized)
        self._messages: dict[str, Sequence[Message]] = {
            kind: [made.FromString(serialized) for serialized in messages[kind]] for kind, made in _MESSAGES.items()
        }
        self._messages[_NODE] = graph.node[:]

    def persistent_load(self, known: tuple[str, int]) -> Message:
        kind, number = known
        return self._messages[kind][number]


def packed(fields: Mapping[str, Any], file: str = "") -> tuple[bytes, Mapping[str, Sequence[bytes]], InFile | None]:
    """What `unpacked` makes the fields of a plan of.

    Args:
      fields: these.
      file: of the source: what it has of large constants is not carried along.

    Example:
      >>> unpacked(*packed({"tags": ("serve",), "functions": (FunctionDef(),)}))["tags"]
      ('serve',)
    """
    stream = io.BytesIO()
    packer = _Packer(stream)
    packer.dump(dict(fields))
    with finder_in(file) as found:
        contents = Contents() if found is None else Contents(found[0].place)
        messages = packer.messages(contents)
    parts = contents.all()
    in_file = found is not None and any(isinstance(part, tuple) for part in parts)
    if in_file:
        give_back()  # Each large constant was copied once.
    held = InFile(file, parts, found[1]) if found is not None and in_file else InFile(parts=parts)
    return stream.getvalue(), messages, held if parts else None


def unpacked(content: bytes, messages: Mapping[str, Sequence[bytes]], held: InFile | None) -> Mapping[str, Any]:
    """The fields of a plan out of what `packed` gives; only of what a process above this one has written."""
    fields: Mapping[str, Any] = _Unpacker(io.BytesIO(content), messages).load()
    return {**fields, _CONTENTS: held}
