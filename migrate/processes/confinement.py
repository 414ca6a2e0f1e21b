"""Confines a child process to what its step needs, with what Linux offers without privileges.

It is the second line of defence: what a model may do is decided before it is run, and this holds where that was wrong.

- Landlock (docs.kernel.org/userspace-api/landlock.html): the files that may be opened, made, renamed and removed.
- seccomp (docs.kernel.org/userspace-api/seccomp_filter.html): no socket, no program, no change of mode, owner, times or
  attributes, no signal to another process, no way around Landlock.

Both are for good: neither the process nor what it starts can take them off. Both hold for the thread that asks for
them and for those that it makes, so they are put on in a fork, before anything runs there.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import functools
import importlib
import itertools
import os
import stat
import struct
import sys
import tempfile
from collections.abc import Iterator, Sequence
from typing import Any

from migrate.errors import InternalError
from migrate.frozen import frozen
from migrate.processes import seccomp
from migrate.processes.forks import Runner, Running
from migrate.processes.libc import check, libc
from migrate.records import Confined

_MODULE = "migrate.processes.confinement"

_SYSTEM_FILES = (
    "/dev/random",
    "/dev/urandom",
    "/dev/zero",
    "/etc/ld.so.cache",
    "/etc/localtime",
    "/etc/timezone",
    "/proc/cpuinfo",
    "/proc/meminfo",
    "/proc/self",
    "/proc/stat",
    "/proc/sys/vm/overcommit_memory",
    "/sys/devices/system/cpu",
    "/sys/devices/system/node",
    "/sys/fs/cgroup",
    "/sys/kernel/mm/transparent_hugepage",
    "/usr/share/locale",
    "/usr/share/zoneinfo",
)
"""What the C library, Python and TensorFlow read of a system. Never all of /etc, and
nothing of anybody's home."""
_LIBRARIES = (
    "/lib",
    "/lib32",
    "/lib64",
    "/usr/lib",
    "/usr/lib32",
    "/usr/lib64",
    "/usr/local/lib",
    "/usr/local/lib64",
    "/nix/store",
    "/gnu/store",
)
"""Where the dynamic loader finds libraries; the last two are how some systems keep every package."""
_NULL = "/dev/null"
_PACKAGE = "__init__.py"
_SELF_THREADS = "/proc/self/task"

_PR_SET_NO_NEW_PRIVS = 38  # linux/prctl.h

# linux/landlock.h
_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_VERSION = 1
_PATH_BENEATH = 1
_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR = 1 << 0, 1 << 1, 1 << 2, 1 << 3
_REMOVE_DIR, _REMOVE_FILE = 1 << 4, 1 << 5
_MAKE_DIR, _MAKE_REG, _MAKE_SYM = 1 << 7, 1 << 8, 1 << 12
_REFER, _TRUNCATE, _IOCTL_DEV = 1 << 13, 1 << 14, 1 << 15
_HANDLED_BY_ABI = {1: (1 << 13) - 1, 2: _REFER, 3: _TRUNCATE, 5: _IOCTL_DEV}
"""Rights on files that each ABI adds. What is handled and granted nowhere is denied everywhere."""
_NET_ABI, _NET = 4, 1 << 0 | 1 << 1  # bind and connect of TCP
_SCOPE_ABI, _SCOPED = 6, 1 << 0 | 1 << 1  # abstract sockets and signals stay among the confined
_REFER_ABI = 2
"""Before it Landlock denies every rename from one directory to another, as TensorFlow does when it saves."""
_ON_FILES = _EXECUTE | _WRITE_FILE | _READ_FILE | _TRUNCATE | _IOCTL_DEV
_READ = _READ_FILE | _READ_DIR
_WRITE = _READ | _WRITE_FILE | _TRUNCATE | _MAKE_DIR | _MAKE_REG | _REMOVE_DIR | _REMOVE_FILE | _REFER


@frozen
class Confinement:
    """What a step may touch, apart from its own scratch directory and what every Python with TensorFlow reads.

    Attributes:
      read: files, and directories with all that is in them.
      names: directories whose names may be listed, those of the directories in them included; no file is opened.
      write: directories below which files may be made, changed and removed.
      imports: directories that modules are imported from, beside `sys.path`.
    """

    read: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    write: tuple[str, ...] = ()
    imports: tuple[str, ...] = ()


@frozen
class ConfinedJob:
    """A job for a child process that is confined before the job's module is imported.

    Attributes:
      module: full name of the module whose `run` takes the job.
      job: what it takes.
      confinement: what it may touch.
    """

    module: str
    job: object
    confinement: Confinement


class Confining:
    """Runs jobs in confined processes of another runner."""

    def __init__(self, runner: Runner, confinement: Confinement) -> None:
        self._runner = runner
        self._confinement = confinement

    def run(self, step: str, module: str, job: object, kind: Any, timeout_seconds: float) -> Any:
        """See `Runner.run`."""
        return self._runner.run(step, _MODULE, ConfinedJob(module, job, self._confinement), kind, timeout_seconds)

    def begin(self, step: str, module: str, job: object, kind: Any, timeout_seconds: float) -> Running:
        """See `Runner.begin`."""
        return self._runner.begin(step, _MODULE, ConfinedJob(module, job, self._confinement), kind, timeout_seconds)


def run(job: ConfinedJob) -> Any:
    """In a fork: confines the process, and then carries the job out."""
    scratch = tempfile.tempdir
    if scratch is None:  # The system's own would be everybody's.
        raise InternalError("a confined job needs a scratch directory of its own")
    os.environ["TMPDIR"] = scratch  # TensorFlow's own temporary files go where TMPDIR says.
    confine(job.confinement, scratch)
    return importlib.import_module(job.module).run(job.job)


def in_force(writes: bool = True, lifted: tuple[str, ...] = ()) -> Confined:
    """Says what confines children on this machine.

    Args:
      writes: whether they write a model.
      lifted: what the user has taken out of it.
    """
    landlock, reasons = _landlock(writes)
    filters, reason = seccomp.is_available()
    return Confined(landlock, filters, "; ".join(filter(None, (reasons, reason))), lifted)


def confine(confinement: Confinement, scratch: str | None = None) -> None:
    """Confines this process for good; where the system offers only a part of it, to that part (see `in_force`).

    Args:
      confinement: what it may touch.
      scratch: a directory of its own to write in, or None.

    Raises:
      InternalError: the process has several threads, and the others would stay free.
      OSError: the system offers something and then does not do it.
    """
    if sys.platform != "linux":
        return
    with contextlib.suppress(FileNotFoundError):  # No /proc.
        if len(os.listdir(_SELF_THREADS)) > 1:
            raise InternalError("a process must be confined before it has threads")
    landlock, _ = _landlock(bool(confinement.write))
    filters, _ = seccomp.is_available()
    if landlock or filters:
        check(libc().prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
    if landlock:
        _restrict_files(landlock, confinement, scratch)
    if filters:
        seccomp.restrict()


def _call(number: int, *arguments: Any) -> int:
    wide = (a if isinstance(a, (bytes, ctypes.Array, ctypes.Structure)) else ctypes.c_long(a) for a in arguments)
    return int(libc().syscall(ctypes.c_long(number), *wide))


# Files


def _landlock(writes: bool) -> tuple[int, str]:
    """Which ABI of Landlock is to be used, 0 for none, and why there is none."""
    if sys.platform != "linux" or struct.calcsize("P") != 8:
        return 0, "Landlock is for 64-bit Linux"
    version = _call(_CREATE_RULESET, 0, 0, _VERSION)
    if version < 0:
        if ctypes.get_errno() == errno.EOPNOTSUPP:
            return 0, "Landlock is switched off in this kernel"
        if ctypes.get_errno() == errno.ENOSYS:
            return 0, "the kernel has no Landlock"
        return 0, f"Landlock may not be used here ({os.strerror(ctypes.get_errno())})"
    if writes and version < _REFER_ABI:
        return 0, f"Landlock {version} forbids the renames by which TensorFlow saves"
    return version, ""


def _restrict_files(version: int, confinement: Confinement, scratch: str | None) -> None:
    handled = 0
    for abi, rights in _HANDLED_BY_ABI.items():
        handled |= rights if abi <= version else 0
    attributes = [handled]
    if version >= _NET_ABI:
        attributes.append(_NET)
    if version >= _SCOPE_ABI:
        attributes.append(_SCOPED)
    packed = struct.pack(f"={len(attributes)}Q", *attributes)
    ruleset = check(_call(_CREATE_RULESET, packed, len(packed), 0))
    try:
        for path, rights in _rules(confinement, scratch):
            _permit(ruleset, path, rights & handled)
        check(_call(_RESTRICT_SELF, ruleset, 0))
    finally:
        os.close(ruleset)


def _rules(confinement: Confinement, scratch: str | None) -> Iterator[tuple[str, int]]:
    """Paths, and the rights on each and on what is below it."""
    for path in (*_SYSTEM_FILES, *_LIBRARIES, *_loader_path(), *_python()):
        yield path, _READ
    yield _NULL, _READ_FILE | _WRITE_FILE
    entries = tuple(dict.fromkeys(os.path.abspath(entry) for entry in (*sys.path, *confinement.imports)))
    for entry in entries:
        yield from _import_rules(entry)
    last, before = _prepared_packages()
    for path in dict.fromkeys((*before, *_loaded_packages(last))):
        if not path.startswith(tuple(entry.rstrip(os.sep) + os.sep for entry in entries)):
            yield path, _READ
    for path in confinement.read:
        yield path, _READ
    for path in confinement.names:
        yield path, _READ_DIR
    for path in confinement.write:
        yield path, _WRITE
    if scratch is not None:
        yield scratch, _WRITE | _MAKE_SYM


def _loader_path() -> Sequence[str]:
    """Where the dynamic loader looks first (ld.so(8)); relative entries are nobody's intention."""
    return [entry for entry in os.environ.get("LD_LIBRARY_PATH", "").split(":") if os.path.isabs(entry)]


def _python() -> Iterator[str]:
    """What belongs to this Python, and is not in `sys.path`."""
    for prefix in {sys.prefix, sys.base_prefix, sys.exec_prefix, sys.base_exec_prefix}:
        yield from (os.path.join(prefix, name) for name in ("lib", "lib64", "pyvenv.cfg"))
    # Keras' own settings: where the file is there and may not be read, its import fails. Where the home cannot be
    # written it takes /tmp (keras/src/backend/config.py).
    for home in (os.environ.get("KERAS_HOME", "~/.keras"), "/tmp/.keras"):
        yield os.path.join(os.path.expanduser(home), "keras.json")


def _loaded_packages(last: str | None = None) -> Iterator[str]:
    """Directories of packages, this one among them, some of which `sys.path` does not lead to.

    Args:
      last: take only those that were imported after this module; all where it is not there.
    """
    for name in tuple(itertools.takewhile(lambda name: name != last, reversed(sys.modules))):
        if "." not in name:
            yield from getattr(sys.modules.get(name), "__dict__", {}).get("__path__") or ()


def prepare() -> None:
    """Looks at `sys.path` and the modules once for all forks of this process, each of which would do it again.

    A fork that looked at thousands of modules would be given a copy of the memory of each.
    """
    for entry in dict.fromkeys(map(os.path.abspath, sys.path)):
        _import_rules(entry)
    _prepared_packages()


@functools.cache
def _prepared_packages() -> tuple[str | None, tuple[str, ...]]:
    """The module that was imported last when this was first asked, and the packages that were there."""
    return next(reversed(sys.modules), None), tuple(_loaded_packages())


@functools.cache
def _import_rules(entry: str) -> tuple[tuple[str, int], ...]:
    return tuple(_rules_of(entry))


def _rules_of(entry: str) -> Iterator[tuple[str, int]]:
    """The rights on an entry of `sys.path`. One that holds a home has only its modules, packages and names readable."""
    home = os.path.realpath(os.path.expanduser("~"))
    real = os.path.realpath(entry)
    holds_home = os.path.commonpath([real, home]) == real
    yield entry, _READ_DIR if holds_home else _READ
    with contextlib.suppress(OSError):
        for found in os.scandir(entry):
            if (holds_home or found.is_symlink()) and _is_code(found.path):
                yield found.path, _READ
            elif found.name.isidentifier() and found.is_dir():
                first = os.path.join(found.path, _PACKAGE)
                if os.path.islink(first):  # Some installers make environments of links, file by file.
                    yield os.path.dirname(os.path.realpath(first)), _READ


def _is_code(path: str) -> bool:
    return path.endswith((".py", ".so", ".pth", ".libs")) or os.path.isfile(os.path.join(path, _PACKAGE))


def _permit(ruleset: int, path: str, rights: int) -> None:
    """Adds a rule; a path that does not exist, or that this process cannot reach, needs none."""
    try:
        handle = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except (OSError, ValueError):
        return
    try:
        if not stat.S_ISDIR(os.fstat(handle).st_mode):
            rights &= _ON_FILES
        if rights:
            rule = struct.pack("=Qi", rights, handle)
            check(_call(_ADD_RULE, ruleset, _PATH_BENEATH, rule, 0))
    finally:
        os.close(handle)
