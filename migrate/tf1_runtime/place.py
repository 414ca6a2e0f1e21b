"""Where TensorFlow 1.15.5's runtime is installed, and what is there."""

from __future__ import annotations

import json
import os
import stat
import sys
from collections.abc import Mapping
from typing import Any

from migrate.errors import InputError
from migrate.frozen import frozen
from migrate.tf1_runtime.graph import Op

VERSION = "1.15.5"
WHEEL = f"tensorflow-{VERSION}-cp37-cp37m-manylinux2010_x86_64.whl"
SHA256 = "29831dda98d668067de75403b2fca0d06a2f026ef6f217fa2ca873c20b4ee4d3"
"""Of the wheel, as the package index has it (pypi.org/project/tensorflow/1.15.5)."""
VARIABLES = {"TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": "-1"}
"""Environment variables of a process that runs it."""
FORMAT = 1
"""Of what is installed; another one is installed anew."""
OPS, FACTS = "ops.json", "runtime.json"


@frozen
class Runtime:
    """A runtime that is installed.

    Attributes:
      directory: where it is.
      version: of TensorFlow.
      bytes: size of its files.
      libraries: how many op libraries it has beside TensorFlow's own ops.
      ops: how many ops it knows.
    """

    directory: str
    version: str
    bytes: int
    libraries: int
    ops: int


def reason_against() -> str | None:
    """Why this machine cannot run it, in a line; None where it can."""
    machine = os.uname().machine if hasattr(os, "uname") else "?"
    if sys.platform != "linux" or machine != "x86_64" or sys.maxsize < 1 << 32:
        return f"TensorFlow {VERSION}'s runtime is for 64-bit Linux on x86-64, not for {sys.platform} on {machine}"
    return None


def cache_directory() -> str:
    """The directory of this program in the user's cache."""
    import platformdirs

    return platformdirs.user_cache_dir("migrate", appauthor=False)


def directory() -> str:
    """Where the runtime is, or would be."""
    return os.path.join(cache_directory(), f"tensorflow-{VERSION}")


def find() -> Runtime | None:
    """The runtime, where it is installed as this version installs it.

    Raises:
      InputError: others may write to what would be loaded.
    """
    place = directory()
    try:
        with open(os.path.join(place, FACTS), encoding="utf-8") as file:
            facts = json.load(file)
        if facts["format"] != FORMAT or facts["sha256"] != SHA256:
            return None
        check_private(place)
        return Runtime(place, VERSION, int(facts["bytes"]), int(facts["libraries"]), int(facts["ops"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def check_private(path: str) -> None:
    """Checks that nobody else may put something else in the place of a directory's files.

    Raises:
      InputError: somebody may, by the directory or one above it.
    """
    here = os.path.realpath(path)
    while True:
        found = os.stat(here)
        others = found.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
        is_shared = others and not found.st_mode & stat.S_ISVTX  # In /tmp only the owner may rename.
        if found.st_uid not in (0, os.getuid()) or is_shared:
            raise InputError(
                f"{here}: others than you may write there, so what is installed in {path} could be anybody's; "
                f"chmod go-w {here}, or set XDG_CACHE_HOME to a directory of yours"
            )
        above = os.path.dirname(here)
        if above == here:
            return
        here = above


def ops_of(place: str) -> Mapping[str, Op]:
    """The ops that a runtime knows, its op libraries' included.

    Raises:
      InputError: its table cannot be read.
    """
    try:
        with open(os.path.join(place, OPS), encoding="utf-8") as file:
            rows: Mapping[str, Any] = json.load(file)
        return {name: Op(frozenset(row["attributes"]), row["library"]) for name, row in rows.items()}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{place}: the runtime is damaged ({error}); migrate runtime install") from None
