"""What the journal of a converted tree knows, how old it is, and what has changed since. Writes nothing."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from typing import Any

from migrate.errors import InputError
from migrate.export.provenance import tool_of
from migrate.fleet.existing import is_ours
from migrate.fleet.journal import Entry, damage, read_journal
from migrate.frozen import frozen
from migrate.model.destination_names import without_suffix
from migrate.records import Converted, Unchanged, outcome_name
from migrate.sources.fingerprint import fingerprint
from migrate.versions import tool


@frozen
class ModelStatus:
    """One model of a journal.

    Attributes:
      name: its path in the tree.
      source: path of its source, as the run was given it.
      destination: directory of the new model.
      outcome: how it ended, as in a report.
      verified: whether the new model's answers were compared and found good; None where there is none.
      good: whether it ended well, or as the config expects.
      expected: the config's `expect`, where it has ended so; empty otherwise.
      time: when it ended, in seconds since 1970; None in journals that do not say it.
      changes: what is not as the journal knows it.
      other_version: whether another version of migrate or TensorFlow wrote the new model.
    """

    name: str
    source: str
    destination: str
    outcome: str
    verified: bool | None
    good: bool
    expected: str
    time: float | None
    changes: tuple[str, ...]
    other_version: bool


@frozen
class Status:
    """What is known of a tree.

    Attributes:
      tree: its directory.
      models: by name.
      damage: one line on lines of the journal that could not be read, or empty.
    """

    tree: str
    models: tuple[ModelStatus, ...]
    damage: str

    @property
    def ok(self) -> bool:
        """Whether every model ended well, or as the config expects, and is as it was then."""
        return all(model.good and not model.changes for model in self.models)


def read_status(tree: str) -> Status:
    """Reads the journal of a tree and looks at the files that it is about.

    Raises:
      InputError: there is no journal, or it cannot be read.
    """
    found = read_journal(tree)
    entries = found.entries()
    trouble = damage(tree, found)
    if not entries:
        raise InputError(trouble or f"{tree}: has no journal; pass a tree that migrate convert has written")
    return Status(tree, tuple(_status(tree, entry) for entry in entries), trouble)


def to_document(status: Status) -> dict[str, Any]:
    """A status as JSON has it."""
    models = [
        {name: list(value) if isinstance(value, tuple) else value for name, value in vars(model).items()}
        for model in status.models
    ]
    return {"schema_version": 1, "tree": status.tree, "damage": status.damage, "models": models}


def dumps(status: Status) -> str:
    """A status as JSON text."""
    return json.dumps(to_document(status), indent=2, allow_nan=False) + "\n"


def _status(tree: str, entry: Entry) -> ModelStatus:
    report = entry.report
    destination = os.path.join(tree, without_suffix(entry.name))
    written = isinstance(report.outcome, (Converted, Unchanged))
    verified = None if report.verification is None else report.verification.passed
    changes = tuple(_changes(entry, destination, written))
    versions = tool_of(destination) if written else None
    return ModelStatus(
        entry.name,
        report.source,
        destination,
        outcome_name(report.outcome),
        verified,
        report.ok,
        report.expected,
        entry.time,
        changes,
        versions is not None and _versions(versions) != _versions(tool()),
    )


def _changes(entry: Entry, destination: str, written: bool) -> list[str]:
    source = entry.report.source
    told = []
    mark = fingerprint(source) if os.path.lexists(source) else None
    if not os.path.lexists(source):
        told.append("the source is not there")
    elif mark is None or mark.identity != entry.source:
        told.append("the source has changed")
    if not written:
        return told
    if not os.path.lexists(destination):
        told.append("the new model is not there")
    elif not is_ours(destination, source, entry, mark):
        told.append("the new model has changed")
    return told


def _versions(tools: Mapping[str, Any]) -> tuple[Any, Any]:
    return tools.get("version"), tools.get("tensorflow")
