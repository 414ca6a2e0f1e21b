"""The flags that a candidate says it was converted with and that `validate` was not given: a hint, never believed."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from migrate.codec import decode
from migrate.config import flags_of, value_of
from migrate.decoders import TYPE
from migrate.errors import first_few
from migrate.export.provenance import as_read, read_provenance
from migrate.given import GivenFeed, GivenSignature
from migrate.records import Finding, Mismatched, ModelReport, Options, Refused, Severity, shaping

_KEYS = (
    "tags",
    "signature",
    "overwrite_signatures",
    "take_proposals",
    "feed",
    "drop_signatures",
    "keep_tensor_names",
    "variables",
    "control_flow",
)
"""Options of convert that decide what a new model promises its clients, and that validate takes as well."""
_RECORDS = {"signature": GivenSignature, "feed": GivenFeed}
_FLAGS_SHOWN = 5


def with_flags_not_given(report: ModelReport, candidate: str, options: Options) -> ModelReport:
    """Says before all else that a candidate was converted with other flags than `validate` was given.

    Only where validate has ended badly; how it has ended stays as it is.

    Args:
      report: of the validation.
      candidate: directory of the new model, whose migration.json is read.
      options: with which it was validated.
    """
    if not isinstance(report.outcome, Mismatched | Refused):
        return report
    written = read_provenance(candidate)
    flags = _not_given(written.get("options") if written is not None else None, options)
    if not flags:
        return report
    found = Finding(
        "flags-not-given",
        Severity.WARNING,
        f"migration.json says that this model was converted with {first_few(flags, _FLAGS_SHOWN)}, and validate was "
        "not given that",
        (),
        "give validate the flags of the conversion, or its --config",
    )
    return dataclasses.replace(report, findings=(found, *report.findings))


def _not_given(said: object, options: Options) -> tuple[str, ...]:
    """Flags of what is said, where that is neither what validate was given nor the default."""
    if not isinstance(said, Mapping):
        return ()
    given, default = as_read(shaping(options)), as_read(shaping(Options()))
    flags: list[str] = []
    for key in _KEYS:
        if key in said and said[key] not in (given[key], default[key]):
            flags += _flags(key, said[key])
    return tuple(flags)


def _flags(key: str, said: Any) -> tuple[str, ...]:
    """An option of a migration.json as the command line takes it; of one that nobody can read only its name."""
    try:
        kind = _RECORDS.get(key)
        if kind is not None:
            records = [decode(kind, {TYPE: kind.__name__, **record}) for record in said]
            return flags_of(key, value_of(key, tuple(records)))
        if isinstance(said, bool | str) or (isinstance(said, list) and all(isinstance(one, str) for one in said)):
            return flags_of(key, said)
    except (TypeError, ValueError):
        pass
    return (f"--{key}",)
