"""What `keras_metadata.pb` of a SavedModel of Keras 2 says of each layer, as texts that can be compared. No TensorFlow.

`tf_keras.models.load_model` builds layers, loss, metrics and optimizer from these texts. Sources: Keras'
`saved_metadata.proto`, and `saving/legacy/saved_model/load.py`, which goes by the number of an object in the
SavedObjectGraph.
"""

from __future__ import annotations

import json
import os
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from migrate.graph.protobuf_wire import messages, varint
from migrate.sources.saved_model_files import KERAS_METADATA_FILE
from migrate.verify.object_graph import children

ROOT = "root"
"""What the file calls the model itself."""
TRAINING = "training_config"
"""The loss, the metrics and the optimizer with its learning rate, in the root's text."""
METRICS = "keras_api/metrics"
"""Where the root has its metrics."""
_SHARED = "shared_object_id"
"""A number that counts objects in the order in which they are written."""
_VOCABULARY = frozenset(["vocabulary", "has_input_vocabulary"])
"""Entries of a lookup layer's config. Keras replaces them while it writes the layer's own text; whether a copy of the
config in the text of an outer layer has them replaced as well depends on the order in which it writes."""
_NODES, _NUMBER, _PATH, _IDENTIFIER, _TEXT = 1, 2, 3, 4, 5
_SLOT = ".OPTIMIZER_SLOT"
_MOST_DIFFERENCES = 8


def slot_path(number: int, name: str) -> str:
    """Where the slot of a weight is, by the weight's number in the root's list of variables."""
    return f"variables/{number}/{_SLOT}/{name}"


def slot_of(path: str) -> tuple[tuple[str, ...], str]:
    """The way to the variable of a path of an optimizer, and the name of its slot, which is empty where it is none."""
    parts = tuple(path.split("/"))
    return (parts[: parts.index(_SLOT)], parts[-1]) if _SLOT in parts else (parts, "")


def normalised(identifier: str, text: str) -> str:
    """A layer's text, and what kind of object it is, in one form.

    Raises:
      ValueError: the text is no JSON.
    """
    metadata = json.loads(text)
    bare = _bare(metadata)
    if isinstance(metadata, dict) and isinstance(own := metadata.get("config"), dict):
        bare["config"] |= {key: _bare(own[key]) for key in own.keys() & _VOCABULARY}
    return json.dumps({"identifier": identifier, "metadata": bare}, sort_keys=True)


def _bare(value: Any) -> Any:
    """A value without what depends on the order in which Keras writes."""
    if isinstance(value, dict):
        return {key: _bare(part) for key, part in value.items() if key != _SHARED and key not in _VOCABULARY}
    return [_bare(part) for part in value] if isinstance(value, list) else value


def is_same(first: str, second: str, apart: Collection[str]) -> bool:
    """Whether two texts differ in nothing but some entries."""

    def rest(text: str) -> Any:
        found = json.loads(text)
        return [found["identifier"], {k: v for k, v in found["metadata"].items() if k not in apart}]

    return bool(first and second) and bool(rest(first) == rest(second))


def objects_of(data: bytes) -> Iterator[tuple[int, str, str, bytes]]:
    """(number, path, identifier, text) of each object in a file.

    Raises:
      ValueError: it is no such file.
    """
    for field, value in messages(data):
        if field == _NODES:
            fields = dict(_fields(value))
            number, path, identifier = fields.get(_NUMBER, 0), fields.get(_PATH, b""), fields.get(_IDENTIFIER, b"")
            text = fields.get(_TEXT, b"")
            if not (isinstance(number, int) and isinstance(path, bytes) and isinstance(identifier, bytes)):
                raise ValueError("not an object of Keras")
            if not isinstance(text, bytes):
                raise ValueError("not an object of Keras")
            yield number, path.decode(), identifier.decode(), text


def _fields(data: bytes) -> Iterator[tuple[int, int | bytes]]:
    """The fields of a message that has numbers, strings and messages.

    Raises:
      ValueError: it has a field of another type, or is cut off.
    """
    position = 0
    while position < len(data):
        tag, position = varint(data, position)
        value, position = varint(data, position)
        if tag & 7 == 2:
            yield tag >> 3, data[position : position + value]
            position += value
        elif tag & 7 == 0:
            yield tag >> 3, value
        if tag & 7 not in (0, 2) or position > len(data):
            raise ValueError("not a message of numbers and texts")


def described(graph: Any, directory: str, paths: Collection[str]) -> dict[str, str]:
    """The texts of a candidate's layers.

    Args:
      graph: its SavedObjectGraph.
      directory: the candidate.
      paths: of the layers that are wanted.

    Returns:
      Texts by path, without those of layers that the file does not describe.
    """
    try:
        with open(os.path.join(directory, KERAS_METADATA_FILE), "rb") as file:
            objects = {number: (kind, text) for number, _, kind, text in objects_of(file.read())}
    except (OSError, ValueError, IndexError):
        return {}  # The contract says so.
    found = {}
    for path in paths:
        number = at(graph, path.split("/") if path else ())
        if number in objects:
            kind, text = objects[number]
            try:
                found[path] = normalised(kind, text.decode())
            except (ValueError, RecursionError):
                continue
    return found


def at(graph: Any, path: Collection[str]) -> int | None:
    """The number of the object to which a path leads in an object graph, or None."""
    number = 0 if graph.nodes else None
    for name in path:
        number = children(graph, number).get(name) if number is not None else None
        if number is None or not 0 <= number < len(graph.nodes):
            return None
    return number


def layer_differences(
    wanted: Mapping[str, str], found: Mapping[str, str], is_same_release: bool
) -> Iterator[tuple[str, str]]:
    """(layer, reason) of each entry in which texts differ.

    Args:
      wanted: the source's texts by path, or by name.
      found: the candidate's.
      is_same_release: whether one release of TensorFlow has written both; another one may write further entries.
    """
    if wanted and not found:
        yield ROOT, f"it describes none of the source's {len(wanted)} layers"
        return
    for path, text in wanted.items():
        name = path or ROOT
        if path not in found:
            yield name, "it does not describe this layer"
            continue
        # A model holds its layers' configs once more; the layers' own texts tell the same.
        for number, (place, was, now) in enumerate(_entries(json.loads(text), json.loads(found[path]), "")):
            if not is_same_release and _MISSING in (was, now):
                continue
            if number == _MOST_DIFFERENCES:
                break
            yield name, f"{place.strip('.')}: expected {was}, found {now}"


_MISSING = "nothing"
_SHOWN = 80


def _entries(wanted: Any, found: Any, place: str) -> Iterator[tuple[str, str, str]]:
    if isinstance(wanted, dict) and isinstance(found, dict):
        for key in sorted({*wanted, *found}):
            if key not in wanted or key not in found:
                yield f"{place}.{key}", _shown(wanted, key), _shown(found, key)
            else:
                yield from _entries(wanted[key], found[key], f"{place}.{key}")
    elif isinstance(wanted, list) and isinstance(found, list) and len(wanted) == len(found):
        for number, (was, now) in enumerate(zip(wanted, found, strict=True)):
            yield from _entries(was, now, f"{place}[{number}]")
    elif json.dumps(wanted) != json.dumps(found):
        yield place, json.dumps(wanted)[:_SHOWN], json.dumps(found)[:_SHOWN]


def _shown(entries: Mapping[str, Any], key: str) -> str:
    return json.dumps(entries[key])[:_SHOWN] if key in entries else _MISSING
