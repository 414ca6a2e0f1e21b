"""Whether a checkpoint can be read and holds what the restore graph asks for, judged by its index alone."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING

from migrate.checks.subject import Subject, Wanted
from migrate.errors import InputError, counted
from migrate.records import Finding, Shape, refusal
from migrate.sources.bundle import Entry, Slice, check_shards, index_file, read_bundle
from migrate.sources.sniff import is_v1_checkpoint

if TYPE_CHECKING:
    from migrate.sources.v1_checkpoint import StoredTensor


_SHARDS_TOLD = 10
"""Each says how many there are; a name may promise 99,999."""
_SLICE = re.compile(r"(?:\d{1,18} )+(?:-|\d{1,18},\d{1,18})(?::(?:-|\d{1,18},\d{1,18}))*", re.ASCII)
"""What TensorSlice::Parse (core/framework/tensor_slice.cc) takes after the dimensions: `-`, or a start and a length."""


def check(subject: Subject) -> Iterator[Finding]:
    """Refuses a checkpoint that cannot be read or does not hold what the variables need."""
    prefix, boundary = subject.source.checkpoint, subject.source.boundary
    if prefix is None or not subject.is_restored:
        return
    try:
        if is_v1_checkpoint(prefix):
            yield from _check_v1(subject, prefix)
            return
        bundle = read_bundle(prefix, boundary)
    except InputError as error:
        hint = f"it holds the values of {counted(subject.variables, 'variable')}; copy the checkpoint too"
        yield refusal("checkpoint-unreadable", str(error), hint=hint)
        return
    yield from check_shards(bundle, boundary)
    yield from check_entries(subject.wanted, bundle.entries, index_file(bundle.prefix))


def _check_v1(subject: Subject, prefix: str) -> Iterator[Finding]:
    from migrate.sources.v1_checkpoint import read_v1_checkpoint  # Few models have one.

    old = read_v1_checkpoint(prefix, subject.source.boundary)
    for file in old.missing[:_SHARDS_TOLD]:
        message = f"{file}: no such file; {len(old.files)} of {len(old.files) + len(old.missing)} shards are there"
        yield refusal("checkpoint-shard-missing", message, (file,), "Copy all shards of the checkpoint.")
    if not old.missing:
        yield from check_entries(subject.wanted, old.tensors, prefix)


def check_entries(
    wanted: Iterable[Wanted], entries: Mapping[str, Entry] | Mapping[str, StoredTensor], checkpoint: str
) -> tuple[Finding, ...]:
    """Refusals for tensors that the checkpoint lacks or has with another dtype or shape.

    Args:
      wanted: what the restore graph reads.
      entries: the checkpoint's tensors by name.
      checkpoint: its path, for messages.
    """
    found = []
    for want in wanted:
        entry = entries.get(want.key)
        if entry is None:
            found.append(
                refusal(
                    "checkpoint-key-missing",
                    f"variable {want.variable!r} is restored from {want.key!r}, which is not in {checkpoint}",
                    (want.variable,),
                )
            )
            continue
        problem = _problem(want, entry)
        if problem:
            found.append(
                refusal(
                    "checkpoint-entry-differs",
                    f"variable {want.variable!r} is {want.dtype} {_show(want.shape)}, "
                    f"{want.key!r} in the checkpoint {problem}",
                    (want.variable,),
                )
            )
    return tuple(found)


def _problem(want: Wanted, entry: Entry | StoredTensor) -> str | None:
    if want.dtype is not None and entry.dtype != want.dtype:
        return f"is {entry.dtype}"
    shape = entry.shape
    if want.slice_spec:
        parsed = parse_slice(want.slice_spec)
        if parsed is None:
            return f"is cut by the slice {want.slice_spec!r}, which nobody can read"
        full, part = parsed
        if full != entry.shape:
            return f"has shape {_show(entry.shape)}, not {_show(full)} as the restore op says"
        shape = part.lengths
    if want.shape is None:
        return None
    if len(want.shape) != len(shape) or any(w is not None and w != s for w, s in zip(want.shape, shape, strict=True)):
        return f"gives the shape {_show(shape)}"
    return None


def parse_slice(spec: str) -> tuple[tuple[int, ...], Slice] | None:
    """Full shape and slice of RestoreV2's text (`10 4 0,4:-`), or None where it is none.

    Source: ParseShapeAndSlice (saved_tensor_slice_util.cc); `-` takes a whole dimension.
    """
    if not _SLICE.fullmatch(spec):
        return None
    *dims, slices = spec.split(" ")
    full = tuple(map(int, dims))
    parts = [part.split(",") for part in slices.split(":")]
    if len(parts) != len(full):
        return None
    starts = tuple(0 if part == ["-"] else int(part[0]) for part in parts)
    lengths = tuple(dim if part == ["-"] else int(part[1]) for dim, part in zip(full, parts, strict=True))
    is_inside = all(
        part == ["-"] or (length and start + length <= dim)
        for part, start, length, dim in zip(parts, starts, lengths, full, strict=True)
    )
    return (full, Slice(starts, lengths)) if is_inside else None


def _show(shape: Shape) -> str:
    return "of unknown rank" if shape is None else "[" + ", ".join("?" if d is None else str(d) for d in shape) + "]"
