"""Finds the links in a model, and says of those that lead out of it, or that cannot be copied."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Sequence

from migrate.records import Finding, Severity, refusal
from migrate.sources.boundary import Boundary
from migrate.sources.copies import Kind, entries
from migrate.sources.forms import Beside, form_of, row_of
from migrate.sources.location import Form, Location
from migrate.sources.saved_model_files import OWN_FOLDERS

_TOLD = 5


def find_links(place: Location, boundary: Boundary, follow: bool) -> Iterator[Finding]:
    """Says which files of a model are links that lead out of it.

    Args:
      place: where the model is.
      boundary: what belongs to it.
      follow: whether the user allows such links.
    """
    outside = [
        (path, real)
        for path in _links(place, boundary)
        if os.path.exists(real := os.path.realpath(path)) and not boundary.holds(real)
    ]
    yield from _leading_out(place, outside, follow)


def find_copied(place: Location, folder: str, boundary: Boundary, follow: bool) -> Iterator[Finding]:
    """Says what in a directory that is copied whole is a link out of the model, or cannot be copied.

    Args:
      place: where the model is.
      folder: the directory.
      boundary: what belongs to the model.
      follow: whether the user allows links that lead out of it.
    """
    if not os.path.isdir(folder):
        return
    outside, other = [], []
    for entry in entries(folder, None if follow else boundary):
        path = os.path.join(folder, entry.name) if entry.name else folder
        if entry.kind is Kind.NOT_COPIED:
            other.append((path, entry.target))
        elif entry.kind is Kind.OUTSIDE:
            outside.append((path, entry.target))
        elif follow and os.path.islink(path) and not boundary.holds(os.path.realpath(path)):
            outside.append((path, os.path.realpath(path)))
    yield from _leading_out(place, outside, follow)
    if other:
        told = "; ".join(f"{path} {what}" for path, what in other[:_TOLD])
        yield refusal(
            "file-not-copied",
            f"{_count(other, 'file')} cannot be copied into the new model: {told}{_more(other)}",
            tuple(_relative(place, path) for path, _ in other),
            "remove it, or put the file itself there",
        )


def _leading_out(place: Location, outside: Sequence[tuple[str, str]], follow: bool) -> Iterator[Finding]:
    if not outside:
        return
    told = ", ".join(f"{path} -> {real}" for path, real in outside[:_TOLD])
    what = f"{_count(outside, 'link')} out of the model: {told}{_more(outside)}"
    names = tuple(_relative(place, path) for path, _ in outside)
    if follow:
        yield Finding("link-followed", Severity.WARNING, f"--follow_links: {what}", names)
        return
    hint = (
        "check where it leads, then allow it with --follow_links (hub caches are built of such links), or put the file "
        "itself there"
    )
    yield refusal("link-leads-out", what, names, hint)


def _links(place: Location, boundary: Boundary) -> Iterator[str]:
    """Paths of the links among a model's own files and below its own directories. Nothing outside is looked at."""
    pending = sorted({*row_of(place.form).own_paths(place), *_beside(place, boundary)})
    seen: set[str] = set()
    while pending:
        path = pending.pop()
        mode = _mode(path)
        if stat.S_ISLNK(mode):
            yield path
            path = os.path.realpath(path)
            if not boundary.holds(path):
                continue
            mode = _mode(path)
        if path in seen or not stat.S_ISDIR(mode):
            continue
        seen.add(path)
        try:
            with os.scandir(path) as found:
                pending += [entry.path for entry in found if entry.is_symlink() or entry.is_dir()]
        except OSError:
            continue  # What needs the directory says that it cannot be read.


def _mode(path: str) -> int:
    """Mode of what is at a path, links not followed; 0 where nothing is."""
    try:
        return os.lstat(path).st_mode
    except (OSError, ValueError):
        return 0


def _beside(place: Location, boundary: Boundary) -> Iterator[str]:
    """What belongs to a model that is a file, and has names of its own in the same directory."""
    if place.form is Form.SAVED_MODEL:
        return
    folder = os.path.dirname(place.file) or os.curdir
    yield from (os.path.join(folder, name) for name in OWN_FOLDERS if name != "variables")
    try:
        names = os.listdir(folder)
    except OSError:
        return  # What needs the directory says that it cannot be listed.
    files = filter(os.path.isfile, (os.path.join(folder, name) for name in names))
    beside = row_of(place.form).beside
    if beside is Beside.ANYTHING:
        yield from files
    elif beside is Beside.ARCHITECTURE:
        yield from (file for file in files if os.path.islink(file) and _is_architecture(file, boundary))


def _is_architecture(file: str, boundary: Boundary) -> bool:
    """Whether a file is taken for the architecture of weights beside it; one outside is not opened to see it."""
    if not boundary.holds(os.path.realpath(file)):
        return file.endswith(_ARCHITECTURES)
    return form_of(file) is Form.KERAS_JSON


_ARCHITECTURES = (".json", ".yaml", ".yml")


def _relative(place: Location, path: str) -> str:
    """A path as it is in the model's directory, where it is in it."""
    folder = place.file if os.path.isdir(place.file) else os.path.dirname(place.file)
    for start in (folder, os.path.realpath(folder or os.curdir)):
        if path.startswith(start + os.sep):
            return path[len(start) + 1 :]
    return path


def _count(items: Sequence[object], noun: str) -> str:
    return f"{len(items):,} {noun}{'s' if len(items) != 1 else ''}"


def _more(items: Sequence[object]) -> str:
    return f" and {len(items) - _TOLD:,} more" if len(items) > _TOLD else ""
