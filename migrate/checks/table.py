"""THE TABLE of checks: what audit asks of a model once it is known what its signatures run."""

from __future__ import annotations

from collections.abc import Iterator

from migrate.checks import (
    assets,
    checkpoint,
    custom_gradients,
    devices,
    engines,
    exponentials,
    networks,
    op_libraries,
    randomness,
    side_effects,
    tolerated,
)
from migrate.checks.subject import Check, Subject
from migrate.records import Finding

CHECKS: tuple[Check, ...] = (
    # No check knows of another one; the order is that of their findings in a report: the graph, then the files.
    tolerated.check,
    side_effects.check,
    randomness.check,
    devices.check,
    engines.check,
    networks.check,
    exponentials.check,
    op_libraries.check,
    custom_gradients.check,
    assets.check,
    checkpoint.check,
)


def run_checks(subject: Subject) -> Iterator[Finding]:
    """What all checks find, in the order of the table."""
    for check in CHECKS:
        yield from check(subject)
