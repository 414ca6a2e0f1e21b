"""What stands at a destination already, and whether it may be replaced without being asked."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
from collections.abc import Mapping
from typing import Any

from migrate.codec import parsed
from migrate.errors import InputError
from migrate.export.publish import publish, staging
from migrate.fleet.journal import Entry
from migrate.fleet.provenance import provenance
from migrate.fleet.study import audit_model
from migrate.records import Converted, ModelReport, Options, Unchanged
from migrate.regular_files import create, open_regular
from migrate.sources.copies import copy_file
from migrate.sources.fingerprint import Fingerprint, digest_of, fingerprint

_PROVENANCE = os.path.join("assets.extra", "migration.json")
_DIGEST = "saved_model_sha256"
_FILES = "files"
_LARGEST_BYTES = 1 << 28


def sign(staged: str, source_files: Fingerprint | None) -> None:
    """Notes in a new model's provenance what `is_ours` and `done_before` know it by.

    Args:
      staged: directory of the new model.
      source_files: the source's fingerprint.
    """
    content = _read(staged)
    if content is not None:
        # The names and sizes of all files, and the bytes of small ones; times of change differ from machine to machine.
        source = {**content["source"], _FILES: None if source_files is None else source_files.content}
        _write(staged, {**content, "source": source, _DIGEST: _sha256(staged)})


def done_before(path: str, destination: str, options: Options) -> ModelReport | None:
    """The report on a single model that stands at its destination, made of the same files by the same options.

    A tree has a journal that says so; a single model is its own. What another version of this program or of TensorFlow
    has made stays, too, unless `options.reconvert`.
    """
    written = _read(destination)
    if written is None or options.reconvert or not is_ours(destination, path, None, None):
        return None
    asked = parsed(json.dumps(provenance({}, options)).encode(), _LARGEST_BYTES)
    same = all(written.get(key) == asked[key] for key in ("metadata", "options"))
    files = fingerprint(path)
    if not same or files is None or written["source"].get(_FILES) != files.content:
        return None
    report = audit_model(path, options)
    return dataclasses.replace(report, destination=destination, outcome=Converted(), skipped=True)


def is_ours(destination: str, path: str, entry: Entry | None, source: Fingerprint | None) -> bool:
    """Whether this program has put there what stands at a destination, and nobody has touched it since.

    It tells by what lies there, not by the journal alone: a run that was killed between the renaming of a model and
    its line in the journal has left a model that the journal does not know.

    Args:
      destination: the directory of a new model.
      path: the source that is to be converted to it.
      entry: what the journal knows of that source.
      source: the source's fingerprint.
    """
    written = _read(destination)
    if written is not None and _DIGEST in written:
        same_source = entry is not None or written["source"].get("path") == os.path.abspath(path)
        return bool(same_source and written[_DIGEST] == _sha256(destination))
    stands = fingerprint(destination)
    if stands is None:
        return False
    # A TF2 SavedModel was copied as it is.
    if entry is not None and isinstance(entry.report.outcome, Unchanged) and stands.identity == entry.source:
        return True
    return source is not None and stands.identity == source.identity


def source_of(model: str) -> str | None:
    """The path of the source that a new model's provenance names, None where it has none."""
    content = _read(model)
    path = None if content is None else content["source"].get("path")
    return path if isinstance(path, str) else None


def source_digest(model: str) -> str | None:
    """The SHA-256 of the source's file that a new model's provenance names, None where it has none."""
    content = _read(model)
    digest = None if content is None else content["source"].get("sha256")
    return digest if isinstance(digest, str) else None


def tool_of(model: str) -> Mapping[str, Any] | None:
    """The versions that wrote a new model, as its provenance has them; None where it has none."""
    content = _read(model)
    found = None if content is None else content.get("tool")
    return found if isinstance(found, dict) else None


def rename_source(model: str, path: str) -> None:
    """Has a new model's provenance name another path of its source: where it lies for all, not for one machine."""
    content = _read(model)
    if content is not None:
        _write(model, {**content, "source": {**content["source"], "path": path}})


def copy_model(converted: str, destination: str, path: str, mode: str, overwrite: bool) -> None:
    """Publishes a copy of a new model as the conversion of another source that has the same bytes.

    Args:
      converted: directory of the new model.
      destination: directory of the copy.
      path: the other source, which the copy's provenance names.
      mode: `link` makes hard links of the weights, anything else copies (or shares blocks, where the kernel can).
      overwrite: replace what stands at the destination.

    Raises:
      InputError, OSError: it cannot be done.
    """
    written = _read(converted)
    with staging(destination) as staged:
        for folder, _, files in os.walk(converted):
            target = os.path.join(staged, os.path.relpath(folder, converted))
            os.makedirs(target, exist_ok=True)
            for name in files:
                _take(os.path.join(folder, name), os.path.join(target, name), link=mode == "link" and ".data-" in name)
        if written is not None:
            source = {**written["source"], "path": os.path.abspath(path)}
            _write(staged, {**written, "source": source, "copied_from": os.path.abspath(converted)})
        publish(staged, destination, overwrite)


def _take(old: str, new: str, link: bool) -> None:
    if link:
        with contextlib.suppress(OSError):
            os.link(old, new)
            return
    copy_file(old, new)


def _read(model: str) -> Mapping[str, Any] | None:
    """A model's provenance, None where it has none."""
    try:
        with os.fdopen(open_regular(os.path.join(model, _PROVENANCE), os.O_RDONLY), "rb") as file:
            content = parsed(file.read(_LARGEST_BYTES + 1), _LARGEST_BYTES)
    except (OSError, ValueError):
        return None
    return content if isinstance(content, dict) and isinstance(content.get("source"), dict) else None


def _write(model: str, content: Mapping[str, Any]) -> None:
    path = os.path.join(model, _PROVENANCE)
    try:
        text = json.dumps(content, indent=1, sort_keys=True)
    except RecursionError:
        raise InputError(f"{path}: nested too deeply; it was not written by this program") from None
    with create(path) as file:
        file.write(text.encode() + b"\n")


def _sha256(model: str) -> str | None:
    try:
        return digest_of(os.path.join(model, "saved_model.pb"))
    except (OSError, InputError):
        return None
