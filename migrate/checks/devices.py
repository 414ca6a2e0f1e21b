"""Nodes that are pinned to a device."""

from __future__ import annotations

import collections
import re
from collections.abc import Iterable

from migrate.checks.subject import Subject
from migrate.graph.nodes import Located, labels, show_counts
from migrate.records import Finding, Severity

_FIRST_CPU = r"(/job:localhost|/replica:0|/task:0|/(device:)?cpu:[0*])*/?"
"""A device of every process (core/util/device_name_utils.cc: `/cpu:0` is the old form of `/device:CPU:0`)."""


def check(subject: Subject) -> tuple[Finding, ...]:
    """See `find_device_pins`."""
    return find_device_pins(subject.located)


def find_device_pins(nodes: Iterable[Located]) -> tuple[Finding, ...]:
    """Finds nodes that ask for a device which not every machine has: a GPU, a second CPU, another task.

    With soft placement, TF2's default, such a node runs elsewhere when the device is not there; without it
    the call fails.

    Args:
      nodes: the nodes that are needed.

    Returns:
      One note, `device-pin`, with all such devices, or nothing.
    """
    found = [
        located
        for located in nodes
        if (pin := located.node.device) and not re.fullmatch(_FIRST_CPU, pin, re.IGNORECASE)
    ]
    if not found:
        return ()
    counts = dict(sorted(collections.Counter(located.node.device for located in found).items()))
    return (
        Finding(
            "device-pin",
            Severity.NOTE,
            f"{len(found)} nodes are pinned to a device: {show_counts(counts)}.",
            labels(found),
            "Where the device is missing they run on the CPU, unless soft placement was turned off.",
        ),
    )
