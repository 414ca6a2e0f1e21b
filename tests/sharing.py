"""What takes long to make and is only read is made once for all workers of a run."""

from __future__ import annotations

import fcntl
import os
import pathlib
import pickle
import shutil
from collections.abc import Callable
from typing import TypeVar

import pytest

Made = TypeVar("Made")


def shared(factory: pytest.TempPathFactory, name: str, make: Callable[[pathlib.Path], Made]) -> Made:
    """Makes something, or reads what another worker of this run has made; the others wait meanwhile.

    Args:
      factory: pytest's.
      name: of what is made, other than those of all others.
      make: makes it in an empty directory; what it gives can be pickled.

    Returns:
      What `make` gives.
    """
    base = factory.getbasetemp()
    root = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "shared"
    root.mkdir(exist_ok=True)
    made, work = root / f"{name}.pickle", root / name
    with (root / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not made.exists():
            shutil.rmtree(work, ignore_errors=True)  # Of a worker that failed.
            work.mkdir()
            made.write_bytes(pickle.dumps(make(work)))
    value: Made = pickle.loads(made.read_bytes())
    return value
