"""Audits, converts and validates TensorFlow 1 models for TensorFlow 2.

Importing this package starts no TensorFlow runtime; the functions below do when they need one.
"""

from __future__ import annotations

from migrate.api import audit, compare_reports, convert, inputs, render_report, validate, write_config, write_report
from migrate.errors import InputError, UsageError
from migrate.events import Began, Called, Event, Finished, Step, Warned
from migrate.records import (
    AlreadyTF2,
    Converted,
    Convertible,
    Crashed,
    Failed,
    Finding,
    GivenFeed,
    GivenSignature,
    Kind,
    Mismatch,
    Mismatched,
    ModelReport,
    Options,
    Outcome,
    Refused,
    Report,
    Severity,
    Signature,
    TensorSpec,
    TimedOut,
    Unchanged,
    Unreadable,
    Unverified,
    Validated,
    Verification,
    outcome_name,
)
from migrate.versions import DISTRIBUTION, VERSION

__version__ = VERSION

__all__ = [
    "DISTRIBUTION",
    "AlreadyTF2",
    "Began",
    "Called",
    "Converted",
    "Convertible",
    "Crashed",
    "Event",
    "Failed",
    "Finding",
    "Finished",
    "GivenFeed",
    "GivenSignature",
    "InputError",
    "Kind",
    "Mismatch",
    "Mismatched",
    "ModelReport",
    "Options",
    "Outcome",
    "Refused",
    "Report",
    "Severity",
    "Signature",
    "Step",
    "TensorSpec",
    "TimedOut",
    "Unchanged",
    "Unreadable",
    "Unverified",
    "UsageError",
    "Validated",
    "Verification",
    "Warned",
    "__version__",
    "audit",
    "compare_reports",
    "convert",
    "inputs",
    "outcome_name",
    "render_report",
    "validate",
    "write_config",
    "write_report",
]
