"""Tells what a file is from its first bytes, without reading the rest."""

from __future__ import annotations

import enum
import os
import re
from typing import IO

from migrate.errors import InputError
from migrate.sources.files import check_regular
from migrate.sources.leveldb import is_table
from migrate.sources.parse import text_type
from migrate.sources.protos import GraphDef, MetaGraphDef
from migrate.sources.strays import describe_stray
from migrate.sources.wire import varint

SHARDED_V1 = r"-\?{5}-of-(\d{5})$"
"""How the pattern ends that stands for the files of a sharded V1 checkpoint."""
_HEAD_BYTES = 4096


class Form(enum.Enum):
    """What a single file may be."""

    GRAPH_DEF = "GraphDef"
    META_GRAPH = "MetaGraphDef"
    SAVED_MODEL = "SavedModel"
    TABLE = "table"
    HDF5 = "HDF5 file"
    KERAS_V3 = ".keras archive"
    KERAS_JSON = "Keras configuration"
    ARCHIVE = "archive"
    STRAY = "stray"


_HDF5_MAGIC = b"\x89HDF\r\n\x1a\n"
"""HDF5 File Format Specification, II.A. Format Signature."""
_GZIP_MAGIC = b"\x1f\x8b\x08"  # RFC 1952, with the one compression method there is
_ZIP_MAGICS = (b"PK\x03\x04", b"PK\x05\x06")
_TAR_MAGIC, _TAR_MAGIC_AT = b"ustar", 257
_KERAS_CONFIG = rb'(?s:\s*\{.{0,400}?"class_name"\s*:\s*")'
_KERAS_YAML = (
    rb"(?:---[ \t]*\r?\n|#[^\n]*\n|[ \t]*\r?\n)*"
    rb"(?:(?:backend|keras_version):[^\n]*\n)*"
    rb"class_name:[ \t]*['\"]?[A-Za-z_.>]+['\"]?[ \t]*\r?\n"
    rb"(?:config|keras_version|backend):"
)
"""The keys of `Model.to_yaml`, sorted or in its own order."""
_OP = rb"[A-Za-z_][A-Za-z0-9_.>/-]*\Z"
_MAX_NAME_BYTES = 2000
# Fields of a NodeDef, a GraphDef, a MetaGraphDef and a SavedModel, as their tags in the wire format.
_FIELD_1, _FIELD_2, _NUMBER_1 = 0x0A, 0x12, 0x08


def is_v1_checkpoint(path: str) -> bool:
    """Whether a checkpoint, as a restore op is fed with it, is one of the V1 format."""
    return re.search(SHARDED_V1, path) is not None or (not path.endswith(".index") and is_table(path))


def form_of(file: str) -> Form | None:
    """What a file is, or None for what is no model's.

    A text that cannot be a model is None, too. `Form.STRAY` is what stands in a file's place (an LFS pointer, a web
    page, nothing at all, a link to nowhere); whether that was a model's file, only its name tells.
    """
    try:
        check_regular(file)
    except (OSError, InputError):
        return Form.STRAY if os.path.lexists(file) and (os.path.islink(file) or not os.path.isdir(file)) else None
    try:
        with open(file, "rb") as stream:
            head = stream.read(_HEAD_BYTES)
            if head.startswith(_HDF5_MAGIC):
                return Form.HDF5
            if head.startswith(_ZIP_MAGICS):
                return Form.KERAS_V3 if _is_keras_v3(file) else Form.ARCHIVE
            if head.startswith(_GZIP_MAGIC) or head[_TAR_MAGIC_AT:].startswith(_TAR_MAGIC):
                return Form.ARCHIVE
            if describe_stray(head) is not None:
                return Form.STRAY
            if b"class_name" in head and (re.match(_KERAS_CONFIG, head) or re.match(_KERAS_YAML, head)):
                return Form.KERAS_JSON
            text = text_type(head)
            if text is not None:
                return Form.GRAPH_DEF if text is GraphDef else Form.META_GRAPH if text is MetaGraphDef else None
            form = _proto(stream, head)
    except OSError:
        return Form.STRAY if os.path.islink(file) else None
    return form or (Form.TABLE if is_table(file) else None)


def _proto(stream: IO[bytes], head: bytes) -> Form | None:
    """Which proto a binary file starts as, by the fields in the order in which every serializer writes them."""
    if head.startswith(bytes((_NUMBER_1, 1, _FIELD_2))):
        return Form.SAVED_MODEL
    if _starts_as_graph(head):
        return Form.GRAPH_DEF
    position = 0
    if head[:1] == bytes((_FIELD_1,)):  # meta_info_def
        length, position = varint(head, 1)
        position += length
        if position >= os.fstat(stream.fileno()).st_size:
            return None
    stream.seek(position)
    head = stream.read(_HEAD_BYTES)
    if head[:1] != bytes((_FIELD_2,)):  # graph_def
        return None
    _, start = varint(head, 1)
    return Form.META_GRAPH if _starts_as_graph(head[start:]) else None


def _starts_as_graph(head: bytes) -> bool:
    """Whether the bytes start with a field 1, node, that starts with a name and an op."""
    if head[:1] != bytes((_FIELD_1,)):
        return False
    size, start = varint(head, 1)
    if head[start : start + 1] != bytes((_FIELD_1,)):
        return False
    length, position = varint(head, start + 1)
    end = position + length
    if not 0 < length <= _MAX_NAME_BYTES or head[end : end + 1] != bytes((_FIELD_2,)):
        return False
    op_length, position = varint(head, end + 1)
    op = head[position : position + op_length]
    return 0 < op_length <= _MAX_NAME_BYTES and position + op_length <= start + size and bool(re.match(_OP, op))


def _is_keras_v3(file: str) -> bool:
    """Whether a zip archive is what `keras.Model.save` writes (keras/src/saving/saving_lib.py)."""
    from migrate.sources.archive import DAMAGE, open_zip

    try:
        with open_zip(file) as archive:
            names = set(archive.namelist())
    except (InputError, OSError, *DAMAGE):
        return False
    return {"config.json", "metadata.json"} <= names
