"""What is known of each op of the TensorFlow releases that this package supports, one row per op.

The facts are in ops.tsv, which tools/make_op_table.py joins from TensorFlow's registries and from
tools/op_classes.tsv. An op may be registered and yet have no kernel (BoostedTreesBucketize): such a graph imports,
loads and saves, and fails when it is called.
"""

from __future__ import annotations

import contextlib
import functools
import os
from collections.abc import Iterable, Iterator, Mapping
from contextvars import ContextVar
from typing import TypeVar, overload

from migrate.frozen import frozen
from migrate.given import GivenOp

TABLE_FILE = os.path.join(os.path.dirname(__file__), "ops.tsv")
_Default = TypeVar("_Default")
_REF = "f"  # the letter for it in the file

EFFECTS: Mapping[str, str] = {
    "pure": "computes its outputs from its inputs and attributes alone",
    "random": "also draws random numbers or reads the clock",
    "state": "reads or changes state inside the process: variables, tables, queues, iterators",
    "calls": "runs functions of the graph, whose effects are its own",
    "prints": "writes to standard output or standard error",
    "reads-files": "reads files",
    "writes-files": "writes, moves or deletes files",
    "network": "talks to other processes or machines",
    "python": "runs Python code of the program that made the graph",
    "process": "acts on the process itself: ends it, loads code, changes settings that all of it shares",
    "device": "configures accelerators or exchanges data with them",
    "unread": "nobody has read its kernel",
}
"""What a kernel may do, each with the rest of a sentence that starts with the op's name."""

PLACEHOLDERS = frozenset({"Placeholder", "PlaceholderV2", "PlaceholderWithDefault"})
"""Ops that a call feeds."""

NETWORKS = frozenset({"CudnnRNN", "CudnnRNNV2", "CudnnRNNV3"})
"""Recurrent networks of cuDNN."""

REF_VARIABLES = frozenset({"Variable", "VariableV2"})
"""Ops that give the ref of a variable which they hold: no input's buffer, but one that other ops write."""

SHARES = ("copies", "may")
"""Whether an output, or what an op keeps, may be an input's buffer: it is known that none is, or it may be."""


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
      dtypes: what it gives, as tools/make_op_table.py writes it (see `output_dtypes.output_dtypes`).
      effect: what its kernel does beside computing its outputs, a key of `EFFECTS`.
      writes: positions of the arguments whose buffer, variable, table or queue it changes.
      copies: whether no output and nothing that it keeps can be an input's buffer; False where that is not known.
      kernel: the source file of TensorFlow in which `effect`, `writes` and `copies` were read, or empty.
      outputs: names of its outputs, each with the attribute that says how many tensors it is, or "".
    """

    name: str
    registered: tuple[str, ...]
    on_cpu: tuple[str, ...]
    on_other_device: tuple[str, ...]
    deprecated_since: int
    deprecation: str
    is_stateful: bool
    has_ref: bool
    dtypes: str
    effect: str
    writes: tuple[int, ...]
    copies: bool
    kernel: str
    outputs: tuple[tuple[str, str], ...]


@frozen
class Unavailable:
    """Why an op cannot run in TensorFlow 2.

    Attributes:
      code: `unknown-op`, `op-without-kernel`, `op-without-cpu-kernel`, `op-not-in-functions` or `op-deprecated`.
      reason: the rest of a sentence that starts with the op's name.
    """

    code: str
    reason: str


class _OpTable(Mapping[str, OpInfo]):
    """What is known of each op, by its name; an op's record is made when it is asked for, since a graph has few."""

    def __init__(self, text: str) -> None:
        header, *lines = text.splitlines()
        self._columns = header.split("\t")
        self._rows = {line[: line.index("\t")]: line for line in lines}
        self._made: dict[str, OpInfo] = {}

    def __getitem__(self, name: str) -> OpInfo:
        if name not in self._made:
            self._made[name] = self._op(name)
        return self._made[name]

    @overload
    def get(self, name: str, /) -> OpInfo | None: ...

    @overload
    def get(self, name: str, /, default: OpInfo | _Default) -> OpInfo | _Default: ...

    def get(self, name: str, /, default: object = None) -> object:  # As in Mapping, which would catch an error for it.
        return self[name] if name in self._rows else default

    def __contains__(self, name: object) -> bool:
        return name in self._rows

    def __iter__(self) -> Iterator[str]:
        return iter(self._rows)

    def __len__(self) -> int:
        return len(self._rows)

    @property
    def releases(self) -> tuple[str, ...]:
        """The releases that the table knows, the newest last."""
        return tuple(column for column in self._columns if column[0].isdigit())

    def _op(self, name: str) -> OpInfo:
        row = dict(zip(self._columns, self._rows[name].split("\t"), strict=True))
        letters = {release: row[release] for release in self.releases if row[release]}
        version, _, explanation = row["deprecated"].partition(" ")
        all_letters = "".join(letters.values())
        return OpInfo(
            name,
            tuple(letters),
            tuple([release for release, known in letters.items() if "c" in known]),
            tuple([release for release, known in letters.items() if "o" in known]),
            int(version or 0),
            explanation,
            "s" in all_letters,
            _REF in all_letters,
            row["dtypes"],
            row["effect"],
            () if row["writes"] == "-" else tuple(map(int, row["writes"].split(","))),
            row["shares"] == "copies",
            "" if row["kernel"] == "-" else row["kernel"],
            tuple(map(_output, row["outputs"].split(" "))) if row["outputs"] else (),
        )

    def with_ref(self) -> Iterator[str]:
        """Names of the ops that take or give a ref."""
        last = len(self.releases)
        for name, line in self._rows.items():
            end = len(name)
            for _ in range(last):
                end = line.index("\t", end + 1)
            if _REF in line[len(name) : end]:
                yield name

    def in_place(self) -> Iterator[str]:
        """Names of the ops that write an input's buffer although they take no ref."""
        effect, writes = self._columns.index("effect"), self._columns.index("writes")
        for name, line in self._rows.items():
            if "\tpure\t-" not in line:
                row = line.split("\t")
                if row[effect] == "pure" and row[writes] != "-":
                    yield name


def _output(written: str) -> tuple[str, str]:
    name, _, length = written.partition("*")
    return name, length


@functools.cache
def _table() -> _OpTable:
    with open(TABLE_FILE, encoding="utf-8") as stream:
        return _OpTable(stream.read())


class _Extended(Mapping[str, OpInfo]):
    """The table with the ops of the libraries that the user gives."""

    def __init__(self, added: Mapping[str, OpInfo]) -> None:
        self.added = added

    def __getitem__(self, name: str) -> OpInfo:
        return self.added[name] if name in self.added else _table()[name]

    def __contains__(self, name: object) -> bool:
        return name in self.added or name in _table()

    def __iter__(self) -> Iterator[str]:
        return iter({**dict.fromkeys(_table()), **dict.fromkeys(self.added)})

    def __len__(self) -> int:
        return len(_table()) + sum(name not in _table() for name in self.added)


_NOTHING_ADDED: Mapping[str, OpInfo] = {}
_EXTENDED: ContextVar[_Extended | None] = ContextVar("extended", default=None)


def load_op_table() -> Mapping[str, OpInfo]:
    """Reads the table, once: what is known of each op, by its name. Ops of given libraries are among them."""
    extended = _EXTENDED.get()
    return _table() if extended is None else extended


def of_tensorflow() -> Mapping[str, OpInfo]:
    """The same without ops of given libraries."""
    return _table()


def added_ops() -> Mapping[str, OpInfo]:
    """The ops of libraries that the user gives, by name."""
    extended = _EXTENDED.get()
    return _NOTHING_ADDED if extended is None else extended.added


@contextlib.contextmanager
def with_ops(ops: Iterable[GivenOp]) -> Iterator[None]:
    """Within it the table has ops of libraries, too."""
    token = _EXTENDED.set(_extended(ops))
    try:
        yield
    finally:
        _EXTENDED.reset(token)


def add_ops(ops: Iterable[GivenOp]) -> None:
    """Adds ops of libraries for good: for a process that has loaded these."""
    _EXTENDED.set(_extended(ops))


def _extended(ops: Iterable[GivenOp]) -> _Extended | None:
    added = {**added_ops(), **{op.name: _given(op) for op in ops}}
    return _Extended(added) if added else None


def _given(op: GivenOp) -> OpInfo:
    """What is known of an op whose kernel nobody has read: what TensorFlow itself goes by when it moves nodes."""
    newest = (newest_release(),)
    return OpInfo(
        name=op.name,
        registered=newest,
        on_cpu=newest if op.on_cpu else (),
        on_other_device=newest if op.on_other_device else (),
        deprecated_since=0,
        deprecation="",
        is_stateful=op.is_stateful,
        has_ref=op.has_ref,
        dtypes=op.dtypes,
        effect="calls" if op.calls else "state" if op.is_stateful else "pure",
        writes=(),
        copies=False,
        kernel="",
        outputs=op.outputs,
    )


def may_call(op: str) -> bool:
    """Whether a node of an op may call functions that its attributes name: an unknown op may."""
    added = added_ops()
    return added[op].effect not in _CALLING_NOTHING if op in added else _may_call(op)


@functools.cache
def _may_call(op: str) -> bool:
    info = _table().get(op)
    return info is None or info.effect not in _CALLING_NOTHING


_CALLING_NOTHING = frozenset({"prints", "pure", "random", "state"})
"""Effects whose ops take no functions; tools/make_op_table.py sees to it."""


def may_share(op: str) -> bool:
    """Whether an output of an op, or what it keeps, may be an input's buffer: all but what is known to copy."""
    info = load_op_table().get(op)
    return info is None or not info.copies


def may_keep(op: str) -> bool:
    """Whether an op may keep an input's buffer where no edge of the graph leads to its reader."""
    info = load_op_table().get(op)
    return info is None or not (info.copies or info.effect in _FORGETFUL)


_FORGETFUL = frozenset({"prints", "pure", "random"})
"""Effects of ops that keep nothing from one call to another."""


@functools.cache
def load_in_place_ops() -> frozenset[str]:
    """Every op that writes its first input's buffer although it is no ref (inplace_ops.cc)."""
    return frozenset(_table().in_place())


@functools.cache
def newest_release() -> str:
    """The newest TensorFlow that the table knows (`2.21`)."""
    return _table().releases[-1]


def beyond_the_table() -> str:
    """What to say of an op that the table does not have."""
    return f"this version knows TensorFlow up to {newest_release()}"


def load_ref_ops() -> frozenset[str]:
    """Every op that takes or gives a ref."""
    return _ref_ops() | {name for name, op in added_ops().items() if op.has_ref}


@functools.cache
def _ref_ops() -> frozenset[str]:
    return frozenset(_table().with_ref())


def unavailable(op: str) -> Unavailable | None:
    """Says why a node of this op would fail in a TF2 SavedModel, judging by the op's name alone.

    The newest release of the table decides. A deprecated op is refused whatever the version of its graph: the
    body of a function, which every graph becomes, counts as a graph of the running TensorFlow's version
    (measured on 2.15.1 and 2.21.0: "Op TopK is not available in GraphDef version 2474"). AccumulateNV2 runs
    in a v1 Session, where a pass replaces it, and has no kernel once it is in a loaded function (measured
    on both).

    Args:
      op: name of an op; not that of a function of the graph's own library.

    Returns:
      None where the op can run on a CPU, for some dtype.
    """
    table = load_op_table()
    newest = newest_release()
    info = table.get(op)
    if info is None:
        return Unavailable("unknown-op", f"is not an op of TensorFlow 2; {beyond_the_table()}")
    if newest not in info.registered:
        return Unavailable("unknown-op", f"is gone since TensorFlow {info.registered[-1]}")
    if info.deprecated_since and op not in _RUNS_ALTHOUGH_DEPRECATED:
        return Unavailable(
            "op-deprecated",
            f"was removed in GraphDef version {info.deprecated_since} ({info.deprecation.rstrip('.')})",
        )
    if op in _NOT_IN_FUNCTIONS:
        return Unavailable("op-not-in-functions", _NOT_IN_FUNCTIONS[op])
    if newest in info.on_cpu:
        return None
    if newest in info.on_other_device:
        return Unavailable("op-without-cpu-kernel", "runs on a GPU or TPU only")
    return Unavailable("op-without-kernel", "has no kernel in TensorFlow 2: it loads, but every call of it fails")


_NOT_IN_FUNCTIONS: Mapping[str, str] = {
    # function_deserialization.py, fix_node_def, gives each node of a loaded function a shared_name; iterator_ops.cc,
    # OneShotIteratorOp, refuses one.
    "OneShotIterator": "cannot be loaded as part of a function, which each signature of a TF2 SavedModel is",
    # Measured on 2.15.1 and 2.21.0: NotFoundError on the first call, InternalError on those that follow.
    "SymbolicGradient": "differentiates a function of TF1 (Defun), which fails inside a function of TF2",
}
"""Ops that run in a v1 Session alone."""

_RUNS_ALTHOUGH_DEPRECATED = frozenset({"PlaceholderV2"})
"""An input of a function replaces it before anybody asks for its version (measured on 2.15.1 and 2.21.0)."""


def describe(op: str) -> str:
    """The row of an op, one fact per line.

    >>> print(describe("Neg"))
    Neg
      registered  2.15, 2.21
      on the CPU  2.15, 2.21
      effect      pure: computes its outputs from its inputs and attributes alone
      buffers     no output is an input's buffer
      kernel      core/kernels/cwise_ops_common.h
    """
    info = _table().get(op)
    if info is None:
        return f"{op}\n  unknown     {beyond_the_table()}"
    facts = {
        "registered": ", ".join(info.registered),
        "on the CPU": ", ".join(info.on_cpu) or "no kernel",
        "elsewhere": ", ".join(info.on_other_device),
        "deprecated": f"since GraphDef version {info.deprecated_since}: {info.deprecation}" * bool(info.deprecation),
        "takes refs": "takes or gives a ref" if info.has_ref else "",
        "effect": f"{info.effect}: {EFFECTS[info.effect]}",
        "writes": "" if not info.writes else "argument " + ", ".join(map(str, info.writes)),
        "buffers": "no output is an input's buffer" if info.copies else "an output may be an input's buffer",
        "kernel": info.kernel,
    }
    return "\n".join([op, *(f"  {name:11} {fact}" for name, fact in facts.items() if fact)])
