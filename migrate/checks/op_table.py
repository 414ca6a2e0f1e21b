"""Which ops the TensorFlow releases that this package supports know, and which of them can run.

The facts lie in ops.json, which tools/make_op_table.py writes. An op may be registered and yet have no kernel
(BoostedTreesBucketize): such a graph imports, loads and saves, and fails when it is called.
"""

from __future__ import annotations

import functools
import json
import os
from collections.abc import Iterator, Mapping
from typing import Any

from migrate.frozen import frozen

TABLE_FILE = os.path.join(os.path.dirname(__file__), "ops.json")
_REF = "f"  # the letter for it in the file


@frozen
class OpInfo:
    """What is known of one op.

    Attributes:
      name: of the op.
      registered: the releases (`2.15`) that know it.
      on_cpu: the releases in which some kernel of it runs on the CPU, for some dtype.
      on_other_device: the releases in which only other devices (a GPU, a TPU) have a kernel of it.
      deprecated_since: GraphDef producer version from which graphs may not hold it (OpDef.deprecation), or 0.
      deprecation: what TensorFlow says to use in its place, or empty.
      is_stateful: OpDef.is_stateful, in any release.
      has_ref: whether it takes or gives a ref, in any release.
      dtypes: what it gives, as tools/make_op_table.py writes it (see `tensors.output_dtypes`).
    """

    name: str
    registered: tuple[str, ...]
    on_cpu: tuple[str, ...]
    on_other_device: tuple[str, ...]
    deprecated_since: int
    deprecation: str
    is_stateful: bool
    has_ref: bool
    dtypes: str = ""


@frozen
class Unavailable:
    """Why an op cannot run in TensorFlow 2.

    Attributes:
      code: `unknown-op`, `op-without-kernel`, `op-without-cpu-kernel` or `op-deprecated`.
      reason: the rest of a sentence that starts with the op's name.
    """

    code: str
    reason: str


class _OpTable(Mapping[str, OpInfo]):
    """What is known of each op, by its name; an op's record is made when it is asked for, since a graph has few."""

    def __init__(self, columns: Mapping[str, Any]) -> None:
        self._letters = {release: _by_name(column["ops"]) for release, column in columns.items()}
        self._dtypes: dict[str, str] = {}
        self._deprecated: dict[str, str] = {}
        for column in columns.values():
            self._dtypes.update(_by_name(column["dtypes"]))
            self._deprecated.update(column["deprecated"])
        self._made: dict[str, OpInfo] = {}

    def __getitem__(self, name: str) -> OpInfo:
        if name not in self._made:
            self._made[name] = self._op(name)
        return self._made[name]

    def __contains__(self, name: object) -> bool:
        return name in self._dtypes

    def __iter__(self) -> Iterator[str]:
        return iter(self._dtypes)

    def __len__(self) -> int:
        return len(self._dtypes)

    def _op(self, name: str) -> OpInfo:
        """One op, from the letters that each release's column has for it (tools/make_op_table.py)."""
        dtypes = self._dtypes[name]
        by_release = {release: letters[name] for release, letters in self._letters.items() if name in letters}
        version, _, explanation = self._deprecated.get(name, "0 ").partition(" ")
        all_letters = "".join(by_release.values())
        return OpInfo(
            name,
            tuple(by_release),
            tuple([release for release, letters in by_release.items() if "c" in letters]),
            tuple([release for release, letters in by_release.items() if "o" in letters]),
            int(version),
            explanation,
            "s" in all_letters,
            _REF in all_letters,
            dtypes,
        )


def _by_name(names_by_fact: Mapping[str, str]) -> dict[str, str]:
    return {name: fact for fact, names in names_by_fact.items() for name in names.split(" ")}


@functools.cache
def _columns() -> Mapping[str, Any]:
    """The file: a column a release."""
    with open(TABLE_FILE, encoding="utf-8") as stream:
        columns: dict[str, Any] = json.load(stream)
    return columns


@functools.cache
def load_op_table() -> Mapping[str, OpInfo]:
    """Reads the table, once: what is known of each op, by its name."""
    return _OpTable(_columns())


@functools.cache
def load_ref_ops() -> frozenset[str]:
    """Every op that takes or gives a ref."""
    facts = (fact for column in _columns().values() for fact in column["ops"].items())
    return frozenset(name for letters, names in facts if _REF in letters for name in names.split(" "))


def unavailable(op: str) -> Unavailable | None:
    """Says why a node of this op would fail in a TF2 SavedModel, judging by the op's name alone.

    The newest release of the table decides. A deprecated op is refused whatever the version of its graph: the
    body of a function, which every graph becomes, counts as a graph of the running TensorFlow's version
    (measured on 2.15.1 and 2.21.0: "Op TopK is not available in GraphDef version 2474"). AccumulateNV2 runs
    in a v1 Session, where a pass replaces it, and has no kernel once it lies in a loaded function (measured
    on both).

    Args:
      op: name of an op; not that of a function of the graph's own library.

    Returns:
      None where the op can run on a CPU, for some dtype.
    """
    table = load_op_table()
    newest = table["NoOp"].registered[-1]
    info = table.get(op)
    if info is None:
        return Unavailable("unknown-op", "is not an op of TensorFlow 2")
    if newest not in info.registered:
        return Unavailable("unknown-op", f"is gone since TensorFlow {info.registered[-1]}")
    if info.deprecated_since and op not in _RUNS_ALTHOUGH_DEPRECATED:
        return Unavailable(
            "op-deprecated",
            f"was removed in GraphDef version {info.deprecated_since} ({info.deprecation.rstrip('.')})",
        )
    if newest in info.on_cpu:
        return None
    if newest in info.on_other_device:
        return Unavailable("op-without-cpu-kernel", "runs on a GPU or TPU only")
    return Unavailable("op-without-kernel", "has no kernel in TensorFlow 2: it loads, but every call of it fails")


_RUNS_ALTHOUGH_DEPRECATED = frozenset({"PlaceholderV2"})
"""An input of a function replaces it before anybody asks for its version (measured on 2.15.1 and 2.21.0)."""
