"""What is at a destination already, and whether it may be replaced without the user's word."""

from __future__ import annotations

import contextlib
import dataclasses
import os

from migrate.export.provenance import (
    DIGEST,
    FILES,
    as_read,
    digest_of_model,
    provenance,
    read_provenance,
    write_provenance,
)
from migrate.export.publish import publish, staging
from migrate.fleet.journal import Entry
from migrate.model.study import audit_model
from migrate.records import Converted, ModelReport, Options, Unchanged
from migrate.sources.copies import copy_file
from migrate.sources.fingerprint import Fingerprint, fingerprint


def done_before(path: str, destination: str, options: Options) -> ModelReport | None:
    """The report on a single model that is at its destination, made of the same files by the same options.

    A tree has a journal that says so; a single model is its own. What another version of this program or of TensorFlow
    has made stays, too, unless `options.reconvert`.
    """
    written = read_provenance(destination)
    if written is None or options.reconvert or not is_ours(destination, path, None, None):
        return None
    asked = as_read(provenance({}, options))
    same = all(written.get(key) == asked[key] for key in ("metadata", "options"))
    files = fingerprint(path)
    if not same or files is None or written["source"].get(FILES) != files.content:
        return None
    report = audit_model(path, options)
    return dataclasses.replace(report, destination=destination, outcome=Converted(), skipped=True)


def is_ours(destination: str, path: str, entry: Entry | None, source: Fingerprint | None) -> bool:
    """Whether this program has put there what is at a destination, and nobody has touched it since.

    It tells by what lies there, not by the journal alone: a run that was killed between the renaming of a model and
    its line in the journal has left a model that the journal does not know.

    Args:
      destination: the directory of a new model.
      path: the source that is to be converted to it.
      entry: what the journal knows of that source.
      source: the source's fingerprint.
    """
    written = read_provenance(destination)
    if written is not None and DIGEST in written:
        same_source = entry is not None or written["source"].get("path") == os.path.abspath(path)
        return bool(same_source and written[DIGEST] == digest_of_model(destination))
    stands = fingerprint(destination)
    if stands is None:
        return False
    # A TF2 SavedModel was copied as it is.
    if entry is not None and isinstance(entry.report.outcome, Unchanged) and stands.identity == entry.source:
        return True
    return source is not None and stands.identity == source.identity


def copy_model(converted: str, destination: str, path: str, mode: str, overwrite: bool) -> None:
    """Publishes a copy of a new model as the conversion of another source that has the same bytes.

    Args:
      converted: directory of the new model.
      destination: directory of the copy.
      path: the other source, which the copy's provenance names.
      mode: `link` makes hard links of the weights, anything else copies (or shares blocks, where the kernel can).
      overwrite: replace what is at the destination.

    Raises:
      InputError, OSError: it cannot be done.
    """
    written = read_provenance(converted)
    with staging(destination) as staged:
        for folder, _, files in os.walk(converted):
            target = os.path.join(staged, os.path.relpath(folder, converted))
            os.makedirs(target, exist_ok=True)
            for name in files:
                _take(os.path.join(folder, name), os.path.join(target, name), link=mode == "link" and ".data-" in name)
        if written is not None:
            source = {**written["source"], "path": os.path.abspath(path)}
            write_provenance(staged, {**written, "source": source, "copied_from": os.path.abspath(converted)})
        publish(staged, destination, overwrite)


def _take(old: str, new: str, link: bool) -> None:
    if link:
        with contextlib.suppress(OSError):
            os.link(old, new)
            return
    copy_file(old, new)
