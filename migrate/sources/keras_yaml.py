"""Reads a Keras architecture in YAML, as `Model.to_yaml` of TensorFlow 1.x and of 2.0 to 2.5 wrote it, as plain values.

PyYAML's own loaders for such files make Python objects of tags. Here only its parser runs, and a value is made where
its tag is on a list.
"""

from __future__ import annotations

import contextlib
from typing import Any

from migrate.errors import InputError
from migrate.frozen import frozen

_MAX_BYTES = 1 << 23
"""The largest models of Keras have a megabyte."""
_MAX_DEPTH = 150
_MAX_WEIGHT = 1 << 25
"""Values and characters with every alias written out: a few lines of aliases can mean billions."""

_MAX_DIGITS = 64
"""With sign and exponent; float64 has 24 characters. Python writes no integer of 4,300 digits, and so none goes on."""
_TOLD = 20

_CORE = "tag:yaml.org,2002:"
_SEQUENCES = frozenset({f"{_CORE}seq", f"{_CORE}python/tuple", f"{_CORE}python/list"})
_MAPPINGS = frozenset({f"{_CORE}map", f"{_CORE}python/dict"})
_SCALARS = {
    f"{_CORE}{tag}": kind
    for kind, tags in {
        "null": ("null", "python/none"),
        "bool": ("bool", "python/bool"),
        "int": ("int", "python/int", "python/long"),
        "float": ("float", "python/float"),
        "str": ("str", "python/str", "python/unicode"),
    }.items()
    for tag in tags
}
_KINDS = {"null": "null", "bool": "true or false", "int": "an integer", "float": "a number"}
# How PyYAML writes a list that TensorFlow has wrapped to track it: the class, and the list as its one argument.
_WRAPPED = frozenset(
    f"{_CORE}python/object/apply:tensorflow.python.{module}.data_structures.ListWrapper"
    for module in ("training.tracking", "trackable")
)


def parse_yaml(file: str, text: bytes) -> Any:
    """The value of a YAML text: dicts with string keys, lists, strings, numbers, bools and None.

    Args:
      file: for messages.
      text: what it holds.

    Raises:
      InputError: it is no YAML, it has a tag that makes Python objects, or it is larger than anything that Keras
        writes.
    """
    try:
        import yaml
    except ImportError as error:
        raise InputError(f"{file}: a YAML file, which needs PyYAML; run: pip install pyyaml ({error})") from None
    if len(text) > _MAX_BYTES:
        raise InputError(f"{file}: a YAML file of {len(text):,} bytes, which no architecture has")
    try:
        # The loader in Python decodes and checks the text here, the one in C as it goes.
        loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)(text)
        with contextlib.ExitStack() as stack:
            stack.callback(loader.dispose)
            return _Reader(file, loader).document()
    except (yaml.YAMLError, ValueError) as error:
        raise InputError(f"{file}: cannot be read as YAML: {' '.join(str(error).split())}") from None


@frozen
class _Part:
    """A value with what it weighs.

    Attributes:
      value: plain.
      weight: values and characters in it, with every alias written out.
      depth: levels below it.
    """

    value: Any
    weight: int
    depth: int


class _Reader:
    """Makes plain values of the parser's events."""

    def __init__(self, file: str, loader: Any) -> None:
        self._file = file
        self._loader = loader
        self._anchors: dict[str, _Part] = {}

    def document(self) -> Any:
        import yaml

        self._loader.get_event()  # The start of the stream.
        if self._loader.check_event(yaml.StreamEndEvent):
            return None
        self._loader.get_event()  # The start of the document.
        found = self._part(self._loader.get_event(), 0)
        self._loader.get_event()
        if not self._loader.check_event(yaml.StreamEndEvent):
            raise InputError(f"{self._file}: holds several YAML documents, and an architecture is one")
        return found.value

    def _part(self, event: Any, level: int) -> _Part:
        import yaml

        if isinstance(event, yaml.AliasEvent):
            if event.anchor not in self._anchors:
                raise InputError(f"{self._file}: line {_line(event)} refers to {event.anchor}, which is not read yet")
            found = self._anchors[event.anchor]
        elif isinstance(event, yaml.ScalarEvent):
            found = _Part(self._scalar(event), 1 + len(event.value), 0)
        elif isinstance(event, yaml.SequenceStartEvent):
            found = self._sequence(event, level)
        else:
            found = self._mapping(event, level)
        if level + found.depth > _MAX_DEPTH or found.weight > _MAX_WEIGHT:
            what = "levels" if found.weight <= _MAX_WEIGHT else "values"
            raise InputError(f"{self._file}: has more {what} than any architecture")
        if event.anchor is not None:
            self._anchors[event.anchor] = found
        return found

    def _parts(self, end: type, level: int) -> list[_Part]:
        if level > _MAX_DEPTH:
            raise InputError(f"{self._file}: has more levels than any architecture")
        found, weight = [], 0
        while not self._loader.check_event(end):
            found.append(self._part(self._loader.get_event(), level))
            weight += found[-1].weight
            if weight > _MAX_WEIGHT:
                raise InputError(f"{self._file}: has more values than any architecture")
        self._loader.get_event()
        return found

    def _sequence(self, event: Any, level: int) -> _Part:
        import yaml

        tag = event.tag if event.tag not in (None, "!") else f"{_CORE}seq"
        parts = self._parts(yaml.SequenceEndEvent, level + 1)
        if tag in _WRAPPED and len(parts) == 1 and isinstance(parts[0].value, list):
            return parts[0]
        if tag not in _SEQUENCES:
            raise self._refused(event, tag)
        return _Part([part.value for part in parts], 1 + sum(p.weight for p in parts), _depth(parts))

    def _mapping(self, event: Any, level: int) -> _Part:
        import yaml

        tag = event.tag if event.tag not in (None, "!") else f"{_CORE}map"
        parts = self._parts(yaml.MappingEndEvent, level + 1)
        if tag not in _MAPPINGS:
            raise self._refused(event, tag)
        keys = [part.value for part in parts[::2]]
        if not all(isinstance(key, str) for key in keys):
            raise InputError(f"{self._file}: line {_line(event)} has a key that is no string")
        values = [part.value for part in parts[1::2]]
        return _Part(dict(zip(keys, values, strict=True)), 1 + sum(p.weight for p in parts), _depth(parts))

    def _scalar(self, event: Any) -> Any:
        import yaml

        tag = event.tag
        if tag in (None, "!"):
            tag = self._loader.resolve(yaml.ScalarNode, event.value, event.implicit)
        kind = _SCALARS.get(tag)
        if kind is None:
            raise self._refused(event, tag)
        if kind == "str":
            return event.value
        told = f"{event.value[:_TOLD]!r}{'...' if len(event.value) > _TOLD else ''}"
        if kind in ("int", "float") and len(event.value) > _MAX_DIGITS:
            raise InputError(
                f"{self._file}: line {_line(event)} has a number longer than any in an architecture: {told}"
            )
        try:
            # The safe constructor's own, for these four kinds: they make values and nothing else.
            return getattr(self._loader, f"construct_yaml_{kind}")(yaml.ScalarNode(tag, event.value))
        except (KeyError, IndexError, OverflowError, ValueError):
            raise InputError(
                f"{self._file}: line {_line(event)} has {told} as {_KINDS[kind]}, which it is not"
            ) from None

    def _refused(self, event: Any, tag: str) -> InputError:
        return InputError(
            f"{self._file}: line {_line(event)} has the tag {tag.replace(_CORE, '!!')}, which may make Python objects"
        )


def _depth(parts: list[_Part]) -> int:
    return 1 + max((part.depth for part in parts), default=0)


def _line(event: Any) -> int:
    return int(event.start_mark.line) + 1
