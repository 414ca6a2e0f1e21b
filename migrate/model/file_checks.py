"""The files of a model before anything opens them, and how a candidate's are read."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator

from migrate.errors import InputError
from migrate.model.bounds import watch_over
from migrate.records import Finding, Options, Severity
from migrate.sources.boundary import Boundary, boundary_of
from migrate.sources.copies import Kind as EntryKind
from migrate.sources.copies import entries
from migrate.sources.links import find_links
from migrate.sources.location import Location
from migrate.sources.read import opened
from migrate.sources.saved_model import read_saved_model
from migrate.sources.source import Source
from migrate.sources.watch import Watch


def link_findings(place: Location, path: str, options: Options) -> tuple[Finding, ...]:
    """What is to be said of links among a model's files; a refusal means that none of them was opened."""
    return tuple(find_links(place, own_boundary(place, path), options.follow_links))


def own_boundary(place: Location, path: str) -> Boundary:
    """Where a model's own files are, whether links may lead elsewhere or not."""
    if place.boundary is not None:
        return place.boundary
    return boundary_of(path if place.unpacked is None else place.unpacked)


def refuse_links(path: str, options: Options) -> None:
    """Looks again whether links lead out of a model.

    Raises:
      InputError: they do, or there is no model.
    """
    with _without_links(path, options):
        pass


@contextlib.contextmanager
def _without_links(path: str, options: Options) -> Iterator[Location]:
    """A model in which no link leads out of it.

    Raises:
      InputError: one does, or there is no model.
    """
    with opened(path, options.follow_links, watch_over(options)) as place:
        for finding in link_findings(place, path, options):
            if finding.severity is Severity.REFUSAL:
                raise InputError(f"{path}: {finding.message}; {finding.hint}")
        yield place


@contextlib.contextmanager
def candidate_read(path: str, options: Options) -> Iterator[Source]:
    """Reads a candidate; reading it and the block have the bounds of an audit.

    Args:
      path: its directory.
      options: see `records.Options`.

    Raises:
      InputError: it cannot be read, or takes more than it may.
    """
    with bounded(path, options) as watch:
        yield read_saved_model(path, None if options.follow_links else boundary_of(path), watch)


@contextlib.contextmanager
def bounded(path: str, options: Options) -> Iterator[Watch]:
    """Has a block that works on a candidate keep the bounds of an audit, and gives the watch over it."""
    watch = watch_over(options)
    with watch.running(path):
        yield watch


def check_candidate_files(path: str, options: Options) -> None:
    """Looks at the files of a candidate before TensorFlow opens them: it would wait for the writer of a pipe.

    Raises:
      InputError: links lead out of it, one of its files is no regular file, or there is no model.
    """
    with _without_links(path, options) as place:
        if not os.path.isdir(place.file):
            return
        for entry in entries(place.file, None if options.follow_links else own_boundary(place, path)):
            if entry.kind is EntryKind.NOT_COPIED:
                raise InputError(f"{path}: {entry.name} {entry.target}; put a file in its place or remove it")
