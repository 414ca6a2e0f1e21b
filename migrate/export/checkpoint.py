"""Writes the new model's checkpoint without reading the old one's weights.

A TF2 SavedModel's checkpoint is the same tensor bundle as TF1's (tensor_bundle.cc): data files, and an index that says
where in them each tensor lies. A variable whose value is a whole tensor of the source, or exactly one of its stored
slices, keeps its bytes: they are taken over as they lie, and only the index is new. What cannot be taken over (a V1
checkpoint, strings, arithmetic in the restore graph, other slices) goes through TensorFlow, a few tensors at a time,
into data files of its own, and so does the object graph.
"""

from __future__ import annotations

import dataclasses
import errno
import fcntl
import os
from collections.abc import Callable, Iterator, Mapping, Sequence

import google_crc32c
import tensorflow as tf

from migrate.checks.checkpoint import parse_slice
from migrate.errors import InputError
from migrate.rewrite.plan import Plan, VariablePlan
from migrate.rewrite.restore import FromCheckpoint, Uninitialized
from migrate.sources.bundle import Bundle, Entry, Slice, data_file, index_file, read_bundle, write_index
from migrate.sources.dtypes import base_name
from migrate.sources.leveldb import mask

OBJECT_GRAPH_KEY = "_CHECKPOINTABLE_OBJECT_GRAPH"
"""Where a checkpoint keeps its TrackableObjectGraph (trackable/base.py, OBJECT_GRAPH_PROTO_KEY)."""

_FICLONE = 0x40049409  # linux/fs.h: share the blocks of another file, copy on write.
_CHUNK_BYTES = 1 << 22
_GROUP_BYTES = 1 << 28
_WORTH_COPYING = 0.9
"""A data file of which less than this share is needed is copied in parts."""


def write_checkpoint(
    plan: Plan,
    keys: Mapping[str, str],
    object_graph: bytes,
    source: str,
    destination: str,
    mode: str,
    check: bool,
    value: Callable[[VariablePlan], tf.Tensor],
) -> None:
    """Writes a checkpoint with the values of a plan's variables.

    Args:
      plan: says what fills which variable.
      keys: checkpoint key of each variable that has a value in the new model, by identity.
      object_graph: the new model's serialized TrackableObjectGraph.
      source: prefix of the source's checkpoint.
      destination: prefix of the new one.
      mode: `auto` (share blocks where the file system can, else copy in the kernel), `link` (hard links, which share
        bytes with the source), `copy`, or `rewrite` (everything through TensorFlow).
      check: compare the checksum of every tensor that is taken over.
      value: gives the value of a variable that is not taken over.

    Raises:
      InputError: the checkpoint is damaged, or the file system cannot link.
    """
    bundle = _bundle(plan, source) if mode != "rewrite" else None
    taken: dict[str, Entry] = {}
    for variable in plan.variables:
        entry = _takeable(variable, bundle) if bundle is not None else None
        if entry is not None:
            taken[variable.identity] = entry
    # Data files are taken over under numbers of their own; those that nobody needs stay behind.
    shards = sorted({entry.shard for entry in taken.values()})
    rest = [v for v in plan.variables if v.identity not in taken and not isinstance(v.value, Uninitialized)]
    groups = list(_written(rest, keys, object_graph, value, destination))
    count = len(shards) + len(groups)
    entries = []
    for number, shard in enumerate(shards):
        assert bundle is not None
        mine = {identity: entry for identity, entry in taken.items() if entry.shard == shard}
        old = data_file(bundle.prefix, shard, bundle.num_shards)
        new = data_file(destination, number, count)
        moved = _take_over(old, new, list(mine.values()), mode)
        for identity, entry in mine.items():
            entries.append(
                dataclasses.replace(entry, key=keys[identity], shard=number, offset=moved[entry.offset], slices=())
            )
            if check:
                _check(new, entries[-1], entry.key)
    for number, (prefix, written) in enumerate(groups, len(shards)):
        os.rename(data_file(prefix, 0, 1), data_file(destination, number, count))
        os.remove(index_file(prefix))
        entries.extend(dataclasses.replace(entry, shard=number) for entry in written)
    write_index(destination, entries, count)


def _bundle(plan: Plan, source: str) -> Bundle | None:
    if not any(isinstance(variable.value, FromCheckpoint) for variable in plan.variables):
        return None
    if not os.path.exists(index_file(source)):
        return None  # A V1 checkpoint, which TensorFlow reads.
    bundle = read_bundle(source)
    return bundle if bundle.endianness == "LITTLE" else None


def _takeable(variable: VariablePlan, bundle: Bundle) -> Entry | None:
    """The entry whose bytes are the variable's value as it is, or None."""
    value = variable.value
    if not isinstance(value, FromCheckpoint) or value.key not in bundle.entries:
        return None
    # A string tensor carries its lengths, and its checksum counts otherwise.
    if base_name(variable.dtype) == "string" or bundle.entries[value.key].dtype != base_name(variable.dtype):
        return None
    shape = bundle.entries[value.key].shape
    if not value.slice_spec:
        return bundle.find_slice(value.key, Slice((0,) * len(shape), shape))
    parsed = parse_slice(value.slice_spec)
    if parsed is None or parsed[0] != shape:
        return None
    return bundle.find_slice(value.key, parsed[1])


def _written(
    variables: Sequence[VariablePlan],
    keys: Mapping[str, str],
    object_graph: bytes,
    value: Callable[[VariablePlan], tf.Tensor],
    destination: str,
) -> Iterator[tuple[str, list[Entry]]]:
    """Writes values through TensorFlow, about `_GROUP_BYTES` at a time, each group a bundle of its own.

    Yields:
      The bundle's prefix and its entries.
    """
    names = [OBJECT_GRAPH_KEY]
    tensors = [tf.constant(object_graph)]
    size = 0
    number = 0

    def flush() -> tuple[str, list[Entry]]:
        prefix = f"{destination}.part{number}"
        tf.raw_ops.SaveV2(prefix=prefix, tensor_names=names, shape_and_slices=[""] * len(names), tensors=tensors)
        return prefix, list(read_bundle(prefix).entries.values())

    for variable in variables:
        tensor = value(variable)
        names.append(keys[variable.identity])
        tensors.append(tensor)
        size += tensor.shape.num_elements() * tensor.dtype.size
        if size >= _GROUP_BYTES:
            yield flush()
            names, tensors, size, number = [], [], 0, number + 1
    if names:
        yield flush()


def _take_over(old: str, new: str, entries: Sequence[Entry], mode: str) -> dict[int, int]:
    """Brings a data file, or what is needed of it, to a new place; gives the new offset for each old one."""
    same = {entry.offset: entry.offset for entry in entries}
    if mode == "link":
        try:
            os.link(os.path.realpath(old), new)
        except OSError as error:
            raise InputError(f"{old}: cannot be linked to {new} ({error.strerror}); use --checkpoint=copy") from error
        return same
    needed = sorted({(entry.offset, entry.size) for entry in entries})
    with open(old, "rb") as source, open(new, "wb") as target:
        size = os.fstat(source.fileno()).st_size
        if mode == "auto" and _share_blocks(source.fileno(), target.fileno()):
            return same
        if sum(length for _, length in needed) >= _WORTH_COPYING * size:
            _copy(source.fileno(), target.fileno(), 0, 0, size)
            return same
        moved = {}
        end = 0
        for offset, length in needed:
            _copy(source.fileno(), target.fileno(), offset, end, length)
            moved[offset] = end
            end += length
        return moved


def _share_blocks(source: int, target: int) -> bool:
    try:
        fcntl.ioctl(target, _FICLONE, source)
    except OSError:
        return False  # Another file system, or one that cannot.
    return True


def _copy(source: int, target: int, start: int, place: int, length: int) -> None:
    """Copies bytes between files in the kernel, or through memory where it cannot."""
    in_kernel = hasattr(os, "copy_file_range")
    while length > 0:
        if in_kernel:
            try:
                done = os.copy_file_range(source, target, length, start, place)
            except OSError as error:
                if error.errno not in (errno.EXDEV, errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP):
                    raise
                in_kernel = False
                continue
        else:
            done = os.pwrite(target, os.pread(source, min(length, _CHUNK_BYTES), start), place)
        if not done:
            raise OSError(errno.EIO, "the source's data file has become shorter while it was copied")
        start, place, length = start + done, place + done, length - done


def _check(file: str, entry: Entry, source_key: str) -> None:
    """Compares a tensor's bytes with the checksum that the source's index has for them.

    Raises:
      InputError: they differ.
    """
    crc = 0
    with open(file, "rb", buffering=0) as stream:
        stream.seek(entry.offset)
        left = entry.size
        while left:
            chunk = stream.read(min(left, _CHUNK_BYTES))
            if not chunk:
                break
            crc = google_crc32c.extend(crc, chunk)
            left -= len(chunk)
    if left or mask(crc) != entry.crc32c:
        raise InputError(f"the checkpoint is damaged: the bytes of {source_key!r} do not match their checksum")
