"""Slow tests with many cases of one kind try some of them; `make test-every` tries all."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import TypeVar

Case = TypeVar("Case")

EVERY = bool(os.environ.get("EVERY_MODEL"))
"""Whether all cases are tried: `EVERY_MODEL=1`, which `make test-every` sets. All take more than an hour."""


def few(cases: Iterable[Case], step: int = 3) -> list[Case]:
    """Each third of the cases, or each `step`-th, from the first one on; all of them where `EVERY`."""
    return list(cases)[:: 1 if EVERY else step]
