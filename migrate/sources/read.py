"""Reads a model of any form that is a graph."""

from __future__ import annotations

import contextlib
import dataclasses
import os
from collections.abc import Iterator

from migrate.errors import InputError
from migrate.graph.protos import GraphDef, MetaGraphDef
from migrate.records import Finding, GivenSignature, Kind, Severity
from migrate.sources.boundary import Boundary, boundary_of
from migrate.sources.discover import Location, find_models, place_of
from migrate.sources.files import open_stream
from migrate.sources.forms import Form, row_of
from migrate.sources.graph_file import from_graph_def, from_meta_graph
from migrate.sources.not_a_model import describe_stray
from migrate.sources.parse import parse, parse_file
from migrate.sources.source import Source
from migrate.sources.watch import UNPACKED_BYTES, Watch


@contextlib.contextmanager
def opened(path: str, follow_links: bool = False, watch: Watch | None = None) -> Iterator[Location]:
    """The place of the model that a path means; an archive stays unpacked until the block ends.

    Args:
      path: what the user calls it.
      follow_links: whether links may lead out of the model.
      watch: see `Location`.

    Raises:
      InputError: there is no model, there are several, or the archive is refused.
    """
    place = place_of(path)
    if place.form is not Form.ARCHIVE:
        boundary = None if follow_links else boundary_of(path)
        yield dataclasses.replace(place, boundary=boundary, watch=watch)
        return
    from migrate.sources.archive import unpacked

    with unpacked(place.file, UNPACKED_BYTES if watch is None else watch.unpacked_bytes) as directory:
        try:
            models = find_models(directory)
        except InputError as error:
            raise InputError(f"{path}: no model in this archive") from error
        if len(models) > 1:
            listed = ", ".join(os.path.relpath(model, directory) for model in models[:5])
            raise InputError(f"{path}: holds {len(models)} models ({listed}); unpack it and pass the directory")
        inner = place_of(models[0])
        if inner.form is Form.ARCHIVE:
            raise InputError(f"{path}: an archive in an archive; unpack it and pass what is in it")
        boundary = boundary_of(directory)
        yield dataclasses.replace(inner, unpacked=directory, boundary=boundary, watch=watch)


def read_source(place: Location, path: str) -> Source:
    """Reads a model that is a graph: a SavedModel, a MetaGraphDef with its checkpoint, or a GraphDef.

    Args:
      place: where it is; its form has a reader in `forms`.
      path: what the user calls it.

    Raises:
      InputError: it cannot be read; the message says why.
    """
    read = row_of(place.form).read
    assert read is not None, place.form
    return read(place, path)


def read_graph(place: Location, path: str) -> Source:
    """Reads a MetaGraphDef with its checkpoint, or a GraphDef; see `read_source`."""
    parsed = parse(place.file, place.form.value, place.boundary, place.watch)
    proto = parsed.proto
    folder = os.path.dirname(place.file)
    checkpoint: str | None = None
    given: tuple[GivenSignature, ...] = ()
    if isinstance(proto, MetaGraphDef):
        checkpoint = place.checkpoint
        try:
            kind, meta_graph = from_meta_graph(proto)
            given = _bundled(meta_graph) if kind is Kind.SESSION_BUNDLE else ()
        except InputError as error:
            raise InputError(f"{place.file}: {error}") from error
    elif isinstance(proto, GraphDef) and parsed.holder is not None:
        kind, meta_graph = from_graph_def(parsed.holder)
    else:
        raise InputError(f"{place.file}: a SavedModel; name it saved_model.pb, with variables/ and assets/ beside it")
    return Source(
        path,
        kind,
        place.file,
        (meta_graph,),
        checkpoint,
        os.path.join(folder, "assets"),
        os.path.join(folder, "assets.extra"),
        signatures=given,
        findings=tuple(chosen_among(place)) if kind is not Kind.FROZEN_GRAPH else (),
        boundary=place.boundary,
    )


def _bundled(meta_graph: MetaGraphDef) -> tuple[GivenSignature, ...]:
    from migrate.sources.session_bundle import signatures

    return signatures(meta_graph)


def chosen_among(place: Location) -> Iterator[Finding]:
    """Says that a directory holds several checkpoints, and which one was taken."""
    if place.others:
        names = [os.path.basename(other) for other in place.others]
        whole = os.path.isfile(place.checkpoint or "")
        yield Finding(
            "checkpoint-chosen",
            Severity.NOTE,
            f"of {len(names) + 1} checkpoints in the directory {os.path.basename(place.checkpoint or '')!r} is taken; "
            f"left aside: {', '.join(names[:5])}{' and more' if len(names) > 5 else ''}",
            (),
            f"to take another one, pass its {'file' if whole else 'prefix'}, for example DIRECTORY/{names[0]}",
        )


def describe_unreadable(file: str, boundary: Boundary | None) -> str:
    """Says why a file that is named like a model's is none: the rest of a sentence that starts with its name."""
    if os.path.islink(file) and not os.path.exists(file):
        return describe_stray(os.readlink(file).encode()) or f"a link that leads nowhere ({os.readlink(file)})"
    try:
        with open_stream(file, boundary) as stream:
            found = describe_stray(stream.read(4096))
    except OSError as error:
        return f"cannot be read ({error.strerror})"
    except InputError as error:
        return str(error).removeprefix(f"{file}: ")
    if found:
        return found
    try:
        parse_file(file, "GraphDef", boundary)
    except InputError as error:
        return str(error).removeprefix(f"{file}: ")
    return "no model"
