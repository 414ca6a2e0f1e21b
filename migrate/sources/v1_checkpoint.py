"""Reads what a checkpoint of TensorFlow's V1 format holds: names, dtypes, shapes and slices, not the values.

A V1 checkpoint is a table, or several (`PREFIX-00000-of-00002`). The value of its first key, "", is a SavedTensorSlices
whose `meta` lists the tensors; every other key is a slice with its data (core/util/tensor_slice_writer.cc).
"""

from __future__ import annotations

import contextlib
import dataclasses
import fnmatch
import mmap
import os
import re
from collections.abc import Iterator, Mapping

from google.protobuf.message import DecodeError

from migrate.errors import InputError
from migrate.frozen import frozen
from migrate.graph.data_protos import SavedTensorSlices
from migrate.graph.dtypes import base_name
from migrate.sources.boundary import Boundary
from migrate.sources.bundle import FULL_EXTENT, Slice
from migrate.sources.checkpoint_files import SHARDED_V1
from migrate.sources.files import open_stream
from migrate.sources.leveldb import read_table
from migrate.sources.not_a_model import describe_stray

_LARGEST_LIST_BYTES = 1 << 23
"""Some fifty bytes a tensor: room for 100,000 of them. In memory it is fifty times as much."""


@frozen
class StoredTensor:
    """One tensor of a V1 checkpoint.

    Attributes:
      key: its name.
      dtype: TensorFlow's name of the dtype.
      shape: of the whole tensor.
      slices: the parts that it is stored in; one for the whole of it.
    """

    key: str
    dtype: str
    shape: tuple[int, ...]
    slices: tuple[Slice, ...]


@frozen
class V1Checkpoint:
    """A V1 checkpoint.

    Attributes:
      path: what a restore op is fed with: its file, or a pattern for the files of a sharded one.
      files: its files.
      missing: names of shards that are not there.
      tensors: by name.
    """

    path: str
    files: tuple[str, ...]
    missing: tuple[str, ...]
    tensors: Mapping[str, StoredTensor]


def is_foreign_table(file: str) -> bool:
    """Whether a table's first key is another one than a checkpoint's; one that cannot be read may be anything."""
    try:
        with _bytes(file) as data:
            first = next(read_table(data, file), None)
    except InputError:
        return False
    return first is None or first[0] != b""


def read_v1_checkpoint(path: str, boundary: Boundary | None = None) -> V1Checkpoint:
    """Reads what a checkpoint says of its tensors.

    Args:
      path: see `V1Checkpoint.path`.
      boundary: where its files may be; None for anywhere.

    Raises:
      InputError: a file cannot be read, or is no such checkpoint; the message names it.

    Example:
      >>> sorted(read_v1_checkpoint("testdata/forms/saver_v1/model.ckpt").tensors)
      ['b', 'w']
    """
    files, missing = _files(path)
    tensors: dict[str, StoredTensor] = {}
    for file in files:
        for tensor in _tensors(file, boundary):
            known = tensors.get(tensor.key)
            # Shards have parts of a partitioned variable each.
            slices = tensor.slices if known is None else (*known.slices, *tensor.slices)
            tensors[tensor.key] = dataclasses.replace(tensor, slices=slices)
    return V1Checkpoint(path, files, missing, tensors)


def _files(path: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    match = re.search(SHARDED_V1, path)
    if match is None:
        return (path,), ()
    folder, pattern = os.path.split(path)
    names = sorted(name for name in os.listdir(folder or os.curdir) if fnmatch.fnmatchcase(name, pattern))
    stem = pattern[: -len(match[0])]
    wanted = [f"{stem}-{shard:05d}-of-{match[1]}" for shard in range(int(match[1]))]
    return (
        tuple(os.path.join(folder, name) for name in names),
        tuple(os.path.join(folder, name) for name in wanted if name not in names),
    )


def _tensors(file: str, boundary: Boundary | None) -> Iterator[StoredTensor]:
    with _bytes(file, boundary) as data:
        first = next(read_table(data, file), None)
    if first is None or first[0] != b"":
        raise InputError(f"{file}: a table that lists no tensors; not a checkpoint")
    slices = SavedTensorSlices()
    if len(first[1]) > _LARGEST_LIST_BYTES:
        raise InputError(f"{file}: damaged: its list of tensors has {len(first[1]):,} bytes")
    try:
        slices.ParseFromString(first[1])
    except DecodeError as error:
        raise InputError(f"{file}: damaged: its list of tensors cannot be parsed") from error
    if not slices.HasField("meta"):
        raise InputError(f"{file}: a table that lists no tensors; not a V1 checkpoint")
    for tensor in slices.meta.tensor:
        yield StoredTensor(
            tensor.name,
            base_name(tensor.type),
            tuple(dim.size for dim in tensor.shape.dim),
            tuple(
                Slice(
                    tuple(extent.start for extent in stored.extent),
                    tuple(e.length if e.HasField("length") else FULL_EXTENT for e in stored.extent),
                )
                for stored in tensor.slice
            ),
        )


@contextlib.contextmanager
def _bytes(file: str, boundary: Boundary | None = None) -> Iterator[bytes]:
    """A file's bytes, which are read from the disk when they are used: the file holds the values as well."""
    try:
        with open_stream(file, boundary) as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as data:
            stray = describe_stray(data[:1024])
            if stray is not None:
                raise InputError(f"{file}: {stray}")
            yield data  # type: ignore[misc]  # It is sliced and measured like bytes.
    except OSError as error:
        raise InputError(f"{file}: cannot be read ({error.strerror})") from error
    except ValueError as error:
        raise InputError(f"{file}: is empty (0 bytes); copy or download it again") from error
