"""Recognises a file by its first and last bytes, without reading the rest; `forms` lists what there is to recognise."""

from __future__ import annotations

import functools
import os
import re
from typing import IO

from migrate.errors import InputError
from migrate.graph.protobuf_wire import varint
from migrate.sources.checkpoint_files import INDEX, SHARDED_V1
from migrate.sources.leveldb import ends_as_table, is_table
from migrate.sources.not_a_model import describe_stray

HDF5_MAGIC = b"\x89HDF\r\n\x1a\n"
"""HDF5 File Format Specification, II.A. Format Signature."""
ZIP_MAGIC = b"PK\x03\x04"
_ZIP_MAGICS = (ZIP_MAGIC, b"PK\x05\x06")
_GZIP_MAGIC = b"\x1f\x8b\x08"  # RFC 1952, with the one compression method there is
_TAR_MAGIC, _TAR_MAGIC_AT = b"ustar", 257
_HEAD_BYTES = 4096
_KERAS_CONFIG = rb'(?s:\s*\{.{0,400}?"class_name"\s*:\s*")'
_KERAS_YAML = (
    rb"(?:---[ \t]*\r?\n|#[^\n]*\n|[ \t]*\r?\n)*"
    rb"(?:(?:backend|keras_version):[^\n]*\n)*"
    rb"class_name:[ \t]*['\"]?[A-Za-z_.>]+['\"]?[ \t]*\r?\n"
    rb"(?:config|keras_version|backend):"
)
"""The keys of `Model.to_yaml`, sorted or in its own order."""
_FIRST_FIELD = rb"(?:\xef\xbb\xbf)?(?:\s|#[^\n]*\n)*([a-z_]+)\s*[:{<]"
_FIELDS = {
    **dict.fromkeys((b"saved_model_schema_version", b"meta_graphs"), "SavedModel"),
    **dict.fromkeys(
        (b"meta_info_def", b"graph_def", b"saver_def", b"collection_def", b"signature_def", b"asset_file_def"),
        "MetaGraphDef",
    ),
    **dict.fromkeys((b"node", b"versions", b"version", b"library"), "GraphDef"),
}
"""The fields that a text proto may start with. GraphDef.version is of 2015, and now reserved."""
_OP = rb"[A-Za-z_][A-Za-z0-9_.>/-]*\Z"
_MAX_NAME_BYTES = 2000
# Fields of a NodeDef, a GraphDef, a MetaGraphDef and a SavedModel, as their tags in the wire format.
_FIELD_1, _FIELD_2, _NUMBER_1 = 0x0A, 0x12, 0x08


class Head:
    """What is read of an open file to recognise it.

    Attributes:
      path: of the file.
      start: its first bytes.
    """

    def __init__(self, path: str, stream: IO[bytes]) -> None:
        """Reads the first bytes.

        Args:
          path: of the file.
          stream: the same, open at its start.

        Raises:
          OSError: it cannot be read.
        """
        self.path = path
        self.start = stream.read(_HEAD_BYTES)
        self._stream = stream

    @functools.cached_property
    def text(self) -> str | None:
        """Name of the proto that a text starts as, or None."""
        return text_proto(self.start)

    @property
    def size(self) -> int:
        """Bytes of the file."""
        return os.fstat(self._stream.fileno()).st_size

    def at(self, position: int) -> bytes:
        """Some of the bytes from a position on."""
        self._stream.seek(position)
        return self._stream.read(_HEAD_BYTES)

    def ends_as_table(self) -> bool:
        """Whether the file ends as a table of TensorFlow's does."""
        return ends_as_table(self._stream.fileno())


def text_proto(start: bytes) -> str | None:
    """Which of the protos SavedModel, MetaGraphDef and GraphDef a text starts as, or None.

    Args:
      start: the file, or its beginning.

    Example:
      >>> text_proto(b'# made by hand\\nnode { name: "x" op: "NoOp" }')
      'GraphDef'
      >>> text_proto(b"PK")
    """
    match = re.match(_FIRST_FIELD, start)
    return _FIELDS.get(match[1]) if match else None


def is_v1_checkpoint(path: str) -> bool:
    """Whether a checkpoint is one of the V1 format.

    Args:
      path: what a restore op is fed with.

    Example:
      >>> is_v1_checkpoint("testdata/forms/saver_v1/model.ckpt")
      True
      >>> is_v1_checkpoint("model.ckpt-?????-of-00002")
      True
      >>> is_v1_checkpoint("testdata/forms/saver_steps/model.ckpt-5")
      False
    """
    return re.search(SHARDED_V1, path) is not None or (not path.endswith(INDEX) and is_table(path))


def is_hdf5(head: Head) -> bool:
    """Whether a file is of the format HDF5."""
    return head.start.startswith(HDF5_MAGIC)


def is_keras_archive(head: Head) -> bool:
    """Whether a file is what `keras.Model.save` writes (keras/src/saving/saving_lib.py)."""
    if not head.start.startswith(_ZIP_MAGICS):
        return False
    from migrate.sources.archive import DAMAGE, open_zip  # Few trees have an archive.

    try:
        with open_zip(head.path) as archive:
            names = set(archive.namelist())
    except (InputError, OSError, *DAMAGE):
        return False
    return {"config.json", "metadata.json"} <= names


def is_archive(head: Head) -> bool:
    """Whether a file is a zip, gzip or tar archive."""
    return head.start.startswith((*_ZIP_MAGICS, _GZIP_MAGIC)) or head.start[_TAR_MAGIC_AT:].startswith(_TAR_MAGIC)


def is_stray(head: Head) -> bool:
    """Whether a file is plainly something other than a model's file, see `not_a_model`."""
    return describe_stray(head.start) is not None


def is_keras_config(head: Head) -> bool:
    """Whether a file is a model's configuration as JSON or YAML."""
    start = head.start
    return b"class_name" in start and bool(re.match(_KERAS_CONFIG, start) or re.match(_KERAS_YAML, start))


# The fields of a binary proto come in the order of their numbers: every serializer writes them so.


def is_saved_model(head: Head) -> bool:
    """Whether a file starts as a binary SavedModel."""
    return head.text is None and head.start.startswith(bytes((_NUMBER_1, 1, _FIELD_2)))


def is_graph_def(head: Head) -> bool:
    """Whether a file starts as a GraphDef, binary or text."""
    return head.text == "GraphDef" or (head.text is None and _starts_as_graph(head.start))


def is_meta_graph(head: Head) -> bool:
    """Whether a file starts as a MetaGraphDef, binary or text."""
    if head.text is not None:
        return head.text == "MetaGraphDef"
    position = 0
    if head.start[:1] == bytes((_FIELD_1,)):  # meta_info_def
        length, position = varint(head.start, 1)
        position += length
        if position >= head.size:
            return False
    start = head.at(position) if position else head.start
    if start[:1] != bytes((_FIELD_2,)):  # graph_def
        return False
    _, begin = varint(start, 1)
    return _starts_as_graph(start[begin:])


def is_table_file(head: Head) -> bool:
    """Whether a file is a table: the index of a V2 checkpoint, or a V1 checkpoint."""
    return head.text is None and head.ends_as_table()


def _starts_as_graph(start: bytes) -> bool:
    """Whether bytes start with a field 1, node, that starts with a name and an op."""
    if start[:1] != bytes((_FIELD_1,)):
        return False
    size, begin = varint(start, 1)
    if start[begin : begin + 1] != bytes((_FIELD_1,)):
        return False
    length, position = varint(start, begin + 1)
    end = position + length
    if not 0 < length <= _MAX_NAME_BYTES or start[end : end + 1] != bytes((_FIELD_2,)):
        return False
    op_length, position = varint(start, end + 1)
    op = start[position : position + op_length]
    return 0 < op_length <= _MAX_NAME_BYTES and position + op_length <= begin + size and bool(re.match(_OP, op))
