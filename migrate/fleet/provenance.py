"""What `assets.extra/migration.json` says of where a new model came from, whatever form its source has."""

from __future__ import annotations

import datetime
import json
import os
from collections.abc import Iterable, Mapping
from typing import Any

from migrate.errors import InputError
from migrate.records import Options, graph_shaping, shaping
from migrate.report.json import tool

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
    return {
        "tool": versions,
        "tensorflow": versions["tensorflow"],
        "converted": _now(),
        "source": dict(source),
        "options": shape,
        "metadata": dict(options.metadata),
    }


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
