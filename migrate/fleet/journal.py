"""What has become of each model of a tree, on the disk before it is reported.

The journal is in the new tree, in a directory that no model server takes for a model's version. It is a line of JSON
a finished model, appended and flushed; of several lines about one model the last counts.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import socket
import threading
from collections.abc import Iterator, Mapping
from typing import IO

from migrate.codec import decode, encode, parsed
from migrate.errors import InputError
from migrate.frozen import frozen
from migrate.records import (
    Converted,
    Mismatched,
    ModelOptions,
    ModelReport,
    Options,
    Refused,
    Unchanged,
    Unreadable,
    Unverified,
    Validated,
    shaping,
)
from migrate.regular_files import flush, open_directory, open_regular
from migrate.sources.files import digest_of
from migrate.versions import tool

DIRECTORY = ".migrate"
_JOURNAL = "journal.jsonl"
_LOCK = "lock"
_SCHEMA_VERSION = 2  # 1 had the versions in the digest of the settings, and remembered no options
_LINE_BYTES = 1 << 26
"""A line has all of a report but its files; those of the largest models have a few megabytes."""

_FINAL = (Converted, Unchanged, Validated, Unreadable, Refused, Mismatched, Unverified)
"""Outcomes that the same model, options and versions have again. What failed, crashed or timed out may fare better."""


@frozen
class Entry:
    """One line: what became of a model, and of which source and by which settings.

    Attributes:
      name: the model's path in the tree.
      source: identity of its files (`Fingerprint.identity`), None where they could not be read.
      settings: see `settings`; of proposals that the model took as if the user had given them.
      report: as it was told.
      versions: see `versions`.
      remembered: options that say what the model is, for later runs that say nothing of them.
      proposals: whether audit's proposals were to be taken (`Options.take_proposals`).
      time: when it was told, in seconds since 1970; None where that is not known.
    """

    name: str
    source: str | None
    settings: str
    report: ModelReport
    versions: str = ""
    remembered: ModelOptions = ModelOptions()
    proposals: bool = False
    time: float | None = None

    @property
    def is_final(self) -> bool:
        """Whether doing it again would end in the same way."""
        return self.source is not None and isinstance(self.report.outcome, _FINAL)

    def is_of(self, settings: str, options: Options) -> bool:
        """Whether it was done with these options, whose digest (`settings`) is given."""
        if self.settings != settings:
            return False
        if self.proposals == options.take_proposals:
            return True
        # With the proposals that a new model has taken it is also what a run gives that takes none.
        return self.proposals and self._is_good

    @property
    def is_verified(self) -> bool:
        """Whether the new model was compared with its source, or is a copy of it."""
        if isinstance(self.report.outcome, Unchanged):
            return True
        verification = self.report.verification
        return isinstance(self.report.outcome, Converted) and verification is not None and verification.passed

    @property
    def _is_good(self) -> bool:
        return isinstance(self.report.outcome, (Converted, Unchanged))


def settings(options: Options) -> str:
    """A digest of the options and the user's files that decide what becomes of a model.

    Not of `take_proposals`: what a model has taken of them is among the options, and see `Entry.proposals`.
    """
    content = shaping(options)
    del content["take_proposals"]
    if options.golden is None:
        for name in ("golden", "max_absolute", "max_relative"):
            del content[name]
    for name, file in (
        ("inputs", options.inputs),
        ("golden", options.golden),
        ("architecture", options.architecture),
    ):
        if file is not None:
            with contextlib.suppress(OSError, InputError):
                content[name] = digest_of(file)
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def versions() -> str:
    """The versions that decide what becomes of a model, as people read them."""
    found = tool()
    return f"migrate {found['version']}, Python {found['python']}, TensorFlow {found['tensorflow'] or 'none'}"


class Journal:
    """The journal of one tree, held by one run at a time. Threads may write to it."""

    def __init__(self, entries: Mapping[str, Entry], damaged: int, handle: int | None) -> None:
        self._entries = dict(entries)
        self._handle = handle
        self._lock = threading.Lock()
        self.damaged = damaged
        """How many lines could not be read; their models are done again."""

    def get(self, name: str) -> Entry | None:
        """What is known of a model."""
        return self._entries.get(name)

    def entries(self) -> tuple[Entry, ...]:
        """All that is known, by name."""
        return tuple(self._entries[name] for name in sorted(self._entries))

    def reports(self) -> tuple[ModelReport, ...]:
        """All that is known, a report a model, by name."""
        return tuple(entry.report for entry in self.entries())

    def add(self, entry: Entry) -> None:
        """Puts a line on the disk; it is there when this returns.

        Raises:
          InputError: it cannot be written.
        """
        line = to_line(entry)
        with self._lock:
            self._entries[entry.name] = entry
            if self._handle is None:
                return
            try:
                _write(self._handle, line)
            except OSError as error:
                raise InputError(
                    f"the journal cannot be written ({error.strerror}); the models that are finished stay, and the "
                    "same command goes on from here"
                ) from error


@contextlib.contextmanager
def open_journal(tree: str) -> Iterator[Journal]:
    """Opens the journal of a new tree for this run alone.

    Raises:
      InputError: another run holds it, or it cannot be written.
    """
    directory = os.path.join(tree, DIRECTORY)
    with contextlib.ExitStack() as stack:
        try:
            os.makedirs(directory, exist_ok=True)
            folder = open_directory(directory)
            stack.callback(os.close, folder)
            lock = open_regular(_LOCK, os.O_RDWR | os.O_CREAT, folder=folder)
            stack.callback(os.close, lock)
            _take(lock, tree)
            handle = open_regular(_JOURNAL, os.O_RDWR | os.O_CREAT | os.O_APPEND, folder=folder)
            stack.callback(os.close, handle)
            with open(handle, "rb", closefd=False) as stream:
                entries, damaged, whole = _parse(stream)
            os.ftruncate(handle, whole)  # A line that a killed run has left half written was told to nobody.
            for made in (directory, tree, os.path.dirname(os.path.abspath(tree))):
                flush(made)
        except OSError as error:
            name = os.path.join(directory, error.filename) if error.filename in (_LOCK, _JOURNAL) else directory
            raise InputError(f"{name}: cannot be written ({error.strerror})") from error
        yield Journal(entries, damaged, handle)


def read_journal(tree: str) -> Journal:
    """The journal of a tree as it is, for reading; empty where there is none. Nothing is written to the disk.

    Raises:
      InputError: something else is in its place, or it cannot be read.
    """
    directory = os.path.join(tree, DIRECTORY)
    try:
        with contextlib.ExitStack() as stack:
            folder = open_directory(directory)
            stack.callback(os.close, folder)
            file = stack.enter_context(os.fdopen(open_regular(_JOURNAL, os.O_RDONLY, folder=folder), "rb"))
            entries, damaged, _ = _parse(file)
    except FileNotFoundError:
        return no_journal()
    except OSError as error:
        raise InputError(f"{os.path.join(directory, _JOURNAL)}: cannot be read ({error.strerror})") from error
    return Journal(entries, damaged, None)


def report_directory(tree: str) -> str:
    """Where the report on a tree's journal is written.

    Raises:
      InputError: it is a link, as no directory of this program is.
    """
    directory = os.path.join(tree, DIRECTORY)
    for path in (directory, report := os.path.join(directory, "report")):
        if os.path.islink(path):
            raise InputError(f"{path}: a link, through which nothing is written; remove it")
    return report


def no_journal() -> Journal:
    """For a model that is converted alone: nothing is remembered."""
    return Journal({}, 0, None)


def reports(tree: str) -> tuple[ModelReport, ...]:
    """All that a tree's journal knows, a report a model, by name."""
    return read_journal(tree).reports()


def damage(tree: str, journal: Journal) -> str:
    """One line on the lines that could not be read, or nothing."""
    if not journal.damaged:
        return ""
    file = os.path.join(tree, DIRECTORY, _JOURNAL)
    if journal.damaged == 1:
        return f"{file}: 1 damaged line; convert does the model of this line again"
    return f"{file}: {journal.damaged:,} damaged lines; convert does the models of these lines again"


def to_line(entry: Entry) -> bytes:
    """An entry as a line of the journal."""
    record = {
        "schema_version": _SCHEMA_VERSION,
        "name": entry.name,
        "source": entry.source,
        "settings": entry.settings,
        "report": encode(entry.report),
        "versions": entry.versions,
        "remembered": encode(entry.remembered),
        "proposals": entry.proposals,
        "time": entry.time,
    }
    return json.dumps(record, separators=(",", ":")).encode() + b"\n"


def from_line(line: bytes) -> Entry | None:
    """Reads a line; None where it is one of another schema.

    Raises:
      ValueError: it is damaged.
    """
    record = parsed(line)
    if not isinstance(record, dict):
        raise ValueError("no line of a journal")
    version = record.pop("schema_version", None)
    if type(version) is int and version != _SCHEMA_VERSION:
        return None
    if type(version) is not int:
        raise ValueError("no line of a journal")
    entry: Entry = decode(Entry, {"_": "Entry", **record})
    return entry


def _parse(stream: IO[bytes]) -> tuple[dict[str, Entry], int, int]:
    """The last entry about each model, how many lines are damaged, and where the last whole line ends."""
    entries: dict[str, Entry] = {}
    damaged, whole, place = 0, 0, 0
    while line := stream.readline(_LINE_BYTES):
        place += len(line)
        beyond = False
        while not line.endswith(b"\n") and (rest := stream.readline(_LINE_BYTES)):
            place, line, beyond = place + len(rest), rest, True
        if not line.endswith(b"\n"):
            break
        whole = place
        try:
            entry = None if not beyond and not line.strip() else from_line(b"" if beyond else line)
        except ValueError:
            damaged += 1
            continue
        if entry is not None:
            entries[entry.name] = entry
    return entries, damaged, whole


def _take(lock: int, tree: str) -> None:
    """Locks the tree for this process; the kernel unlocks it when the process ends, however it ends."""
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        holder = os.pread(lock, 200, 0).decode(errors="replace").strip() or "unknown"
        raise InputError(
            f"{tree}: another run is writing to it ({holder}); wait until it has ended, or choose another destination"
        ) from None
    except OSError:
        pass  # A file system without locks.
    os.ftruncate(lock, 0)
    os.pwrite(lock, f"process {os.getpid()} on {socket.gethostname()}\n".encode(), 0)


def _write(handle: int, line: bytes) -> None:
    start = os.fstat(handle).st_size
    try:
        while line:
            line = line[os.write(handle, line) :]
        os.fsync(handle)
    except OSError:
        # Half a line would swallow the next one.
        with contextlib.suppress(OSError):
            os.ftruncate(handle, start)
        raise
