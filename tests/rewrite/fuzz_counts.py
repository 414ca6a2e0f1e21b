"""Counts of random programs, which one run takes over from another."""

from __future__ import annotations

import hashlib
import json
import pathlib
from types import ModuleType
from typing import Any

import tensorflow as tf


def earlier(file: pathlib.Path, programs: ModuleType, start: dict[str, Any]) -> dict[str, Any]:
    """What earlier runs have drawn from the same programs on the same TensorFlow; `start` where either is another."""
    assert programs.__file__ is not None
    source = hashlib.sha256(pathlib.Path(programs.__file__).read_bytes()).hexdigest()[:16]
    nothing = {"tensorflow": tf.__version__, "programs": source, "next_seed": 0, "again": [], **start}
    if not file.is_file():
        return nothing
    known: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return known if all(known.get(key) == nothing[key] for key in ("tensorflow", "programs")) else nothing
