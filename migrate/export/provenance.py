"""What `assets.extra/migration.json` says of where a new model came from, whatever form its source has."""

from __future__ import annotations

import datetime
import json
import os
from collections.abc import Iterable, Mapping
from typing import Any

from migrate.codec import parsed
from migrate.errors import InputError
from migrate.records import Options, graph_shaping, shaping
from migrate.regular_files import create, open_regular
from migrate.sources.files import digest_of
from migrate.sources.fingerprint import Fingerprint
from migrate.versions import tool

DIGEST = "saved_model_sha256"
"""Of the new model's own graph: whether anybody has changed it since."""
FILES = "files"
"""Of the source: `Fingerprint.content`."""

_FILE = os.path.join("assets.extra", "migration.json")
_LARGEST_BYTES = 1 << 28
_EPOCH = "SOURCE_DATE_EPOCH"
"""https://reproducible-builds.org/specs/source-date-epoch"""


def digest(parts: Iterable[str], options: Options) -> str:
    """What tells a new model from any other: names in it that no other model may have are made of it.

    Args:
      parts: what tells the source, wherever it is.
      options: see `records.Options`; with others the same source gives another graph.
    """
    return ",".join([*parts, json.dumps(graph_shaping(options), sort_keys=True)])


def provenance(source: Mapping[str, Any], options: Options) -> dict[str, Any]:
    """What is said of every model.

    Args:
      source: what is said of the source alone: its path, the names of its files, their digests, and what kind of model
        it is.
      options: see `records.Options`.

    Raises:
      InputError: SOURCE_DATE_EPOCH is set, and is no time.
    """
    versions = tool()
    shape = shaping(options)
    del shape["metadata"]
    shape.pop("libraries", None)
    libraries = [
        {
            "flag": library.flag,
            "name": library.name,
            "version": library.version,
            "sha256": library.sha256,
            "ops": [op.name for op in library.ops],
        }
        for library in options.libraries
    ]
    return {
        "tool": versions,
        "tensorflow": versions["tensorflow"],
        "converted": _now(),
        "source": dict(source),
        "options": shape,
        "metadata": dict(options.metadata),
        **({"op_libraries": libraries} if libraries else {}),
    }


def as_read(written: Mapping[str, Any]) -> Any:
    """A provenance as it comes back from its file."""
    return parsed(json.dumps(written).encode(), _LARGEST_BYTES)


def _now() -> str:
    """The time in UTC, to the second; that of SOURCE_DATE_EPOCH where it is set, so that a build can be repeated."""
    given = os.environ.get(_EPOCH)
    if not given:
        return _shown(datetime.datetime.now(datetime.timezone.utc))
    try:
        return _shown(datetime.datetime.fromtimestamp(int(given), datetime.timezone.utc))
    except (ValueError, OverflowError, OSError):
        raise InputError(f"{_EPOCH}={given}: expected seconds since 1970, as a whole number") from None


def _shown(time: datetime.datetime) -> str:
    return time.replace(microsecond=0).isoformat().replace("+00:00", "Z")


def sign(staged: str, source_files: Fingerprint | None) -> None:
    """Notes in a new model's provenance what `is_ours` and `done_before` know it by.

    Args:
      staged: directory of the new model.
      source_files: the source's fingerprint.
    """
    content = read_provenance(staged)
    if content is not None:
        # The names and sizes of all files, and the bytes of small ones; times of change differ from machine to machine.
        source = {**content["source"], FILES: None if source_files is None else source_files.content}
        write_provenance(staged, {**content, "source": source, DIGEST: digest_of_model(staged)})


def source_of(model: str) -> str | None:
    """The path of the source that a new model's provenance names, None where it has none."""
    content = read_provenance(model)
    path = None if content is None else content["source"].get("path")
    return path if isinstance(path, str) else None


def source_digest(model: str) -> str | None:
    """The SHA-256 of the source's file that a new model's provenance names, None where it has none."""
    content = read_provenance(model)
    digest = None if content is None else content["source"].get("sha256")
    return digest if isinstance(digest, str) else None


def source_said(model: str) -> Mapping[str, Any]:
    """What a new model's provenance says of its source; nothing where it has none."""
    content = read_provenance(model)
    return {} if content is None else dict(content["source"])


def is_damaged(model: str) -> bool:
    """Whether a model has a provenance that cannot be read."""
    return os.path.lexists(os.path.join(model, _FILE)) and read_provenance(model) is None


def is_edited(model: str) -> bool:
    """Whether a new model's provenance has the digest of another graph than the model's."""
    content = read_provenance(model)
    said = None if content is None else content.get(DIGEST)
    return isinstance(said, str) and said != digest_of_model(model)


def tool_of(model: str) -> Mapping[str, Any] | None:
    """The versions that wrote a new model, as its provenance has them; None where it has none."""
    content = read_provenance(model)
    found = None if content is None else content.get("tool")
    return found if isinstance(found, dict) else None


def rename_source(model: str, path: str) -> None:
    """Has a new model's provenance name another path of its source: the one that everybody knows, not one machine's."""
    content = read_provenance(model)
    if content is not None:
        write_provenance(model, {**content, "source": {**content["source"], "path": path}})


def read_provenance(model: str) -> Mapping[str, Any] | None:
    """A model's provenance, None where it has none."""
    try:
        with os.fdopen(open_regular(os.path.join(model, _FILE), os.O_RDONLY), "rb") as file:
            content = parsed(file.read(_LARGEST_BYTES + 1), _LARGEST_BYTES)
    except (OSError, ValueError):
        return None
    return content if isinstance(content, dict) and isinstance(content.get("source"), dict) else None


def write_provenance(model: str, content: Mapping[str, Any]) -> None:
    """Writes a new model's provenance.

    Raises:
      InputError: it is nested too deeply.
    """
    path = os.path.join(model, _FILE)
    try:
        text = json.dumps(content, indent=1, sort_keys=True)
    except RecursionError:
        raise InputError(f"{path}: nested too deeply; it was not written by this program") from None
    with create(path) as file:
        file.write(text.encode() + b"\n")


def digest_of_model(model: str) -> str | None:
    """The SHA-256 of a model's graph as it is on the disk; None where it cannot be read."""
    try:
        return digest_of(os.path.join(model, "saved_model.pb"))
    except (OSError, InputError):
        return None
