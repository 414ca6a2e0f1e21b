"""Installs TensorFlow 1.15.5's runtime into the user's cache directory, and removes it again."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import shutil
import stat
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

from migrate.errors import InputError
from migrate.frozen import frozen
from migrate.processes import interpreter
from migrate.processes.claims import claim, clear_leftovers
from migrate.processes.confinement import Confinement, Confining
from migrate.processes.fresh import FreshInterpreters
from migrate.records import Crashed, Failed, TimedOut
from migrate.tf1_runtime.layout import FRAMEWORK, RUNTIME
from migrate.tf1_runtime.place import (
    FACTS,
    FORMAT,
    OPS,
    SHA256,
    VARIABLES,
    VERSION,
    WHEEL,
    Runtime,
    cache_directory,
    check_private,
    directory,
    reason_against,
)
from migrate.tf1_runtime.trial import MODEL, FoundOps, OpsJob, TrialJob, Tried
from migrate.tf1_runtime.weaken import ElfError, of_cpython, weaken

_PREFIX = ".installing-"
_BLOCK = 1 << 22
_FETCH_SECONDS, _TRIAL_SECONDS = 1800.0, 300.0
_ROOT = "tensorflow_core/"
_OP_LIBRARIES = (_ROOT + "contrib/", _ROOT + "lite/experimental/microfrontend/")
_TRIAL = "migrate.tf1_runtime.trial"

Result = TypeVar("Result")
Say = Callable[[str], None]
"""Takes a line that says what was done."""


@frozen
class _Member:
    """A file of the wheel that is unpacked: its name there, and its path in the runtime."""

    name: str
    path: str
    bytes: int


def install(wheel: str | None, say: Say) -> Runtime:
    """Installs the runtime, or replaces the one that is there, once it has answered as it should.

    Args:
      wheel: path of the wheel; None to fetch it with pip.
      say: told what was done.

    Raises:
      InputError: it cannot be installed; the message says why and what to do.
    """
    reason = reason_against()
    if reason is not None:
        raise InputError(reason)
    place, parent = directory(), cache_directory()
    with _told(parent):
        os.makedirs(parent, mode=0o700, exist_ok=True)
        check_private(parent)
        clear_leftovers(parent, _PREFIX)
        with claim(_PREFIX, parent) as folder:
            if wheel is None:
                wheel = _fetched(folder)
                say(f"fetched {WHEEL} ({os.path.getsize(wheel) >> 20} MB)")
            _check_digest(wheel)
            say(f"its SHA-256 is {SHA256}, as it must be")
            built = os.path.join(folder, "runtime")
            members = _unpacked(wheel, built)
            size = sum(member.bytes for member in members)
            say(f"unpacked {len(members)} libraries ({size >> 20} MB)")
            count = _weakened(os.path.join(built, RUNTIME))
            say(f"made {count} symbols of CPython 3.7 weak, so that any Python loads it")
            libraries = tuple(m.path for m in members if m.path not in (FRAMEWORK, RUNTIME))
            ops = _listed(built, libraries)
            facts = {
                "format": FORMAT,
                "version": VERSION,
                "sha256": SHA256,
                "bytes": size,
                "libraries": len(libraries),
                "ops": ops,
            }
            _write_json(os.path.join(built, FACTS), facts)
            tried = _ran(built, TrialJob(built), Tried)
            if tried.version != VERSION:
                raise InputError(f"{wheel}: holds TensorFlow {tried.version}, not {VERSION}")
            say(f"tried it on a small model: TensorFlow {tried.version} answers as it should")
            _close(built)
            _put(built, place, os.path.join(folder, "earlier"))
    say(f"installed in {place}")
    return Runtime(place, VERSION, size, len(libraries), ops)


def remove() -> str | None:
    """Removes the runtime; gives its directory, or None where there was none."""
    place, parent = directory(), cache_directory()
    if not os.path.lexists(place):
        return None
    with _told(parent), claim(_PREFIX, parent) as folder:
        os.rename(place, os.path.join(folder, "runtime"))  # Gone at once for whoever looks for it.
    return place


@contextlib.contextmanager
def _told(parent: str) -> Iterator[None]:
    """Says in a line what the file system refuses."""
    try:
        yield
    except OSError as error:
        if error.errno == errno.EFBIG:
            raise InputError(
                f"{parent}: the runtime's largest file is larger than a file may be here; raise the limit (ulimit -f)"
            ) from None
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise InputError(
                f"{parent}: no space is left for the runtime; make room, or set XDG_CACHE_HOME to another directory"
            ) from None
        raise InputError(f"{error.filename or parent}: {error.strerror or error}") from None


def _fetched(folder: str) -> str:
    """Fetches the wheel with pip, which checks its digest as well."""
    wanted = os.path.join(folder, "requirements.txt")
    with open(wanted, "w", encoding="utf-8") as file:
        file.write(f"tensorflow=={VERSION} --hash=sha256:{SHA256}\n")
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
    command += ["--only-binary=:all:", "--python-version=3.7", "--implementation=cp", "--abi=cp37m"]
    command += ["--platform=manylinux2010_x86_64", f"--dest={folder}", "--requirement", wanted]
    advice = (
        f"fetch {WHEEL} where there is a network (pip download --no-deps --only-binary=:all: --python-version 3.7 "
        f"--implementation cp --abi cp37m --platform manylinux2010_x86_64 tensorflow=={VERSION}) and pass "
        f"--from={WHEEL}"
    )
    try:
        done = subprocess.run(
            command,
            check=False,
            capture_output=True,
            text=True,
            errors="replace",
            stdin=subprocess.DEVNULL,
            timeout=_FETCH_SECONDS,
            cwd=folder,
            env=interpreter.environment(os.environ),
        )
    except subprocess.TimeoutExpired:
        raise InputError(f"pip did not fetch the wheel within {_FETCH_SECONDS:g} seconds; {advice}") from None
    if "No module named pip" in done.stderr:
        raise InputError(f"this Python has no pip; {advice}")
    path = os.path.join(folder, WHEEL)
    if done.returncode or not os.path.isfile(path):
        if "No space left" in done.stderr:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        lines = [line.strip() for line in done.stderr.splitlines() if line.strip()]
        words = next((line for line in reversed(lines) if line.startswith("ERROR")), (lines or ["no words"])[-1])
        raise InputError(f"pip cannot fetch the wheel ({words[:200]}); {advice}")
    return path


def _check_digest(wheel: str) -> None:
    """Checks that a file is the wheel.

    Raises:
      InputError: it is not, or cannot be read.
    """
    digest = hashlib.sha256()
    if not os.path.isfile(wheel):
        what = "is no file" if os.path.exists(wheel) else "no such file"
        raise InputError(f"{wheel or '--from'}: {what}; pass {WHEEL}")
    with open(wheel, "rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
    if digest.hexdigest() != SHA256:
        raise InputError(
            f"{wheel}: its SHA-256 is {digest.hexdigest()}, and that of {WHEEL} is {SHA256}; it is damaged or "
            "something else, fetch it again"
        )


def _unpacked(wheel: str, built: str) -> list[_Member]:
    """Unpacks the libraries of a wheel, and flushes them."""
    try:
        with zipfile.ZipFile(wheel) as archive:
            members = list(_members(archive))
            found = {member.path for member in members}
            if not {FRAMEWORK, RUNTIME} <= found:
                raise InputError(f"{wheel}: lacks {FRAMEWORK} or {RUNTIME}; pass {WHEEL}")
            parent = os.path.dirname(built)
            needed, free = sum(member.bytes for member in members), shutil.disk_usage(parent).free
            if needed > free:
                raise InputError(
                    f"{parent}: the runtime takes {needed:,} bytes, and {free:,} are free; make room, or set "
                    "XDG_CACHE_HOME to another directory"
                )
            for member in members:
                target = os.path.join(built, member.path)
                os.makedirs(os.path.dirname(target), mode=0o700, exist_ok=True)
                with archive.open(member.name) as source, open(target, "wb") as file:
                    shutil.copyfileobj(source, file, _BLOCK)
                    os.fsync(file.fileno())
            return members
    except zipfile.BadZipFile as error:
        raise InputError(f"{wheel}: not a wheel, or damaged ({error}); pass {WHEEL}") from None


def _members(archive: zipfile.ZipFile) -> Iterator[_Member]:
    for info in archive.infolist():
        _, root, rest = info.filename.partition(_ROOT)
        path = root + rest
        is_ops = path.startswith(_OP_LIBRARIES) and path.endswith(".so")
        if ".." not in path.split("/") and (path in (FRAMEWORK, RUNTIME) or is_ops):
            yield _Member(info.filename, path, info.file_size)


def _weakened(library: str) -> int:
    try:
        count = weaken(library, of_cpython)
    except ElfError as error:
        raise InputError(f"{error}; pass {WHEEL}") from None
    with open(library, "rb") as file:
        os.fsync(file.fileno())
    return count


def _listed(built: str, libraries: Sequence[str]) -> int:
    """Writes what ops the runtime has, and where; gives their number."""
    found = _ran(built, OpsJob(built, tuple(libraries)), FoundOps)
    rows = {
        name: {"attributes": list(attributes), "library": found.libraries.get(name, "")}
        for name, attributes in found.attributes.items()
    }
    _write_json(os.path.join(built, OPS), rows)
    return len(rows)


def _ran(built: str, job: object, kind: type[Result]) -> Result:
    """What a child finds with the runtime.

    Raises:
      InputError: the runtime does not work here.
    """
    runner = Confining(FreshInterpreters(variables=VARIABLES), Confinement((built, MODEL)))
    result = runner.run("trial", _TRIAL, job, kind | Failed, _TRIAL_SECONDS)
    if isinstance(result, kind):
        return result
    match result:
        case Failed(reason=reason):
            words = reason
        case Crashed(exit_code=code, stderr_tail=tail):
            lines = tail.splitlines()
            words = f"its process died ({f'signal {-code}' if code < 0 else f'exit code {code}'})"
            words += f": {lines[-1][:200]}" if lines else ""
        case TimedOut(seconds=seconds):
            words = f"it gave no answer within {seconds:g} seconds"
        case _:
            words = "it gave no answer"
    raise InputError(f"TensorFlow {VERSION} does not run on this machine: {words}; nothing was installed")


def _close(built: str) -> None:
    """Takes from others what the umask may have given them: the right to write where `place.check_private` looks."""
    for top, _, names in os.walk(built):
        for path in (top, *(os.path.join(top, name) for name in names)):
            os.chmod(path, os.stat(path).st_mode & ~(stat.S_IWGRP | stat.S_IWOTH))


def _put(built: str, place: str, earlier: str) -> None:
    """Puts what was built in its place; what was there goes with the directory that it was built in."""
    with contextlib.suppress(FileNotFoundError):
        os.rename(place, earlier)
    os.rename(built, place)


def _write_json(path: str, value: object) -> None:
    with open(path, "w", encoding="utf-8") as file:
        json.dump(value, file)
        file.flush()
        os.fsync(file.fileno())
