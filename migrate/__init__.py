"""Audits, converts and validates TensorFlow 1 models for TensorFlow 2.

Importing this package starts no TensorFlow runtime; the functions below do when they need one.
"""

from __future__ import annotations

from migrate.api import audit, convert, render_report, validate, write_config, write_report
from migrate.errors import InputError, UsageError
from migrate.records import Finding, Kind, Mismatch, ModelReport, Options, Report, Severity, Verification

__all__ = [
    "Finding",
    "InputError",
    "Kind",
    "Mismatch",
    "ModelReport",
    "Options",
    "Report",
    "Severity",
    "UsageError",
    "Verification",
    "audit",
    "convert",
    "render_report",
    "validate",
    "write_config",
    "write_report",
]
