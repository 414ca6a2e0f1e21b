"""Writes a report as files, and reads the one among them from which the others are made."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from typing import Any

from migrate import codec
from migrate.decoders import DecodeError
from migrate.errors import InputError
from migrate.regular_files import open_regular, replace
from migrate.report.document import Document
from migrate.report.formats import WRITTEN, format_of
from migrate.report.json import SCHEMA_VERSION
from migrate.report.labels import JSON

FILES = tuple(row.file for row in WRITTEN)
JSON_FILE = format_of("json").file
_LARGEST_BYTES = 1 << 32
_MOST_SECONDS = 1e12


def prepare(directory: str) -> None:
    """Makes the directory, so that hours of work do not end with a report that nobody can write.

    Raises:
      InputError: it cannot be made or written to.
    """
    try:
        os.makedirs(directory, exist_ok=True)
        tempfile.TemporaryFile(dir=directory).close()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"{directory}: no report can be written there ({reason}); choose another --report") from error


def write_files(document: Mapping[str, Any], directory: str) -> tuple[str, ...]:
    """Writes every file of a report; each file appears whole.

    Args:
      document: the JSON document of a report (`report.json.to_document`).
      directory: made where it is not there.

    Returns:
      The paths of the files.

    Raises:
      InputError: they cannot be written.
    """
    prepare(directory)
    texts = [row.write(document) for row in WRITTEN]
    paths = tuple(os.path.join(directory, name) for name in FILES)
    for path, text in zip(paths, texts, strict=True):
        try:
            replace(path, text.encode("utf-8"))
        except OSError as error:
            raise InputError(f"{path}: cannot be written ({error.strerror})") from error
    return paths


def read_document(directory: str) -> JSON:
    """Reads the JSON document that `write_files` wrote.

    Raises:
      InputError: there is none, it is damaged, or another version of migrate wrote it.
    """
    path = os.path.join(directory, JSON_FILE)
    try:
        with os.fdopen(open_regular(path, os.O_RDONLY), "rb") as stream:
            text = stream.read(_LARGEST_BYTES + 1)
    except OSError as error:
        raise InputError(
            f"{path}: cannot be read ({error.strerror}); pass a directory that --report has written"
        ) from error
    try:
        content = codec.parsed(text, _LARGEST_BYTES, finite=True)
        version = content.get("schema_version") if isinstance(content, dict) else None
        if version != SCHEMA_VERSION:
            if isinstance(version, int) and not isinstance(version, bool):
                raise InputError(
                    f"{path}: was written by another version of migrate (schema_version {version}, this one reads "
                    f"{SCHEMA_VERSION}); use that version, or run the command again with --report"
                )
            raise InputError(f"{path}: is not a report of migrate; pass a directory that --report has written")
        document: JSON = codec.decode(Document, content)
        _check_seconds(document)
    except DecodeError as error:
        raise InputError(f"{path}: damaged: {error}; write the report again") from None
    return document


def _check_seconds(document: JSON) -> None:
    for number, model in enumerate(document["models"]):
        for step, seconds in model["seconds"].items():
            if isinstance(seconds, (int, float)) and not 0 <= seconds < _MOST_SECONDS:
                raise DecodeError(f"no time: {seconds}", f"models[{number}].seconds[{step[:60]!r}]")
