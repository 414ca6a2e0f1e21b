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
import os
import stat
import struct
import sys
import tempfile
from collections.abc import Iterator, Sequence
from typing import Any

from migrate.errors import InternalError
from migrate.frozen import frozen
from migrate.processes.forks import Runner, Running
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

# linux/seccomp.h, linux/filter.h, linux/audit.h
_SET_MODE_FILTER, _GET_ACTION_AVAIL = 1, 2
_RET_ALLOW, _RET_ERRNO, _RET_KILL = 0x7FFF0000, 0x00050000, 0x80000000
_LOAD, _JUMP_EQUAL, _JUMP_AT_LEAST, _RETURN = 0x20, 0x15, 0x35, 0x06
_AT_NUMBER, _AT_ARCHITECTURE, _AT_ARGUMENTS = 0, 4, 16
_X32 = 0x40000000  # asm/unistd.h: the same calls once more, by other numbers


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
    filters, reason = _seccomp()
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
    filters, _ = _seccomp()
    if landlock or filters:
        _check(_libc().prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
    if landlock:
        _restrict_files(landlock, confinement, scratch)
    if filters:
        _restrict_calls(_CALLS[os.uname().machine])


@functools.cache
def _libc() -> Any:
    return ctypes.CDLL(None, use_errno=True)


def _call(number: int, *arguments: Any) -> int:
    wide = (a if isinstance(a, (bytes, ctypes.Array, ctypes.Structure)) else ctypes.c_long(a) for a in arguments)
    return int(_libc().syscall(ctypes.c_long(number), *wide))


def _check(result: int) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"the process cannot be confined: {os.strerror(number)}")
    return result


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
    ruleset = _check(_call(_CREATE_RULESET, packed, len(packed), 0))
    try:
        for path, rights in _rules(confinement, scratch):
            _permit(ruleset, path, rights & handled)
        _check(_call(_RESTRICT_SELF, ruleset, 0))
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
    for path in _loaded_packages():
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


def _loaded_packages() -> Iterator[str]:
    """Directories of packages, this one among them, some of which `sys.path` does not lead to."""
    for name, module in tuple(sys.modules.items()):
        if "." not in name:
            yield from getattr(module, "__dict__", {}).get("__path__") or ()


def prepare() -> None:
    """Looks at the entries of `sys.path` once for all forks of this process, each of which would do it again."""
    for entry in dict.fromkeys(map(os.path.abspath, sys.path)):
        _import_rules(entry)


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
            _check(_call(_ADD_RULE, ruleset, _PATH_BENEATH, rule, 0))
    finally:
        os.close(handle)


# System calls


@frozen
class _Calls:
    """Numbers of system calls on one kind of processor.

    Attributes:
      architecture: AUDIT_ARCH_* (linux/audit.h).
      seccomp: the call that sets the filter.
      denied: whatever their arguments are.
      own: those that name a process in their first argument, and may name this one alone.
      prlimit: may name this process, also as 0.
      socketpair: may make pairs of AF_UNIX alone.
      ioctl: may not change attributes.
    """

    architecture: int
    seccomp: int
    denied: dict[str, int]
    own: dict[str, int]
    prlimit: int
    socketpair: int
    ioctl: int


# The same number everywhere (asm-generic/unistd.h, from Linux 5.1 on).
_EVERYWHERE = {
    "pidfd_send_signal": 424,
    "io_uring_setup": 425,
    "io_uring_enter": 426,
    "io_uring_register": 427,
    "open_tree": 428,
    "move_mount": 429,
    "fsopen": 430,
    "fsconfig": 431,
    "fsmount": 432,
    "fspick": 433,
    "pidfd_getfd": 438,
    "process_madvise": 440,
    "mount_setattr": 442,
    "quotactl_fd": 443,
    "process_mrelease": 448,
    "fchmodat2": 452,
    "setxattrat": 463,
    "removexattrat": 466,
    "open_tree_attr": 467,
    "file_setattr": 469,
}

_CALLS = {
    "x86_64": _Calls(
        architecture=0xC000003E,
        seccomp=317,
        denied={
            **_EVERYWHERE,
            # sockets
            "socket": 41,
            "connect": 42,
            "accept": 43,
            "bind": 49,
            "listen": 50,
            "accept4": 288,
            # modes, owners, times, attributes, and sizes by a path (Landlock knows these from its third ABI on)
            "truncate": 76,
            "chmod": 90,
            "fchmod": 91,
            "chown": 92,
            "fchown": 93,
            "lchown": 94,
            "utime": 132,
            "setxattr": 188,
            "lsetxattr": 189,
            "fsetxattr": 190,
            "removexattr": 197,
            "lremovexattr": 198,
            "fremovexattr": 199,
            "utimes": 235,
            "fchownat": 260,
            "futimesat": 261,
            "fchmodat": 268,
            "utimensat": 280,
            # programs
            "execve": 59,
            "execveat": 322,
            "uselib": 134,
            # other processes
            "ptrace": 101,
            "tkill": 200,
            "process_vm_readv": 310,
            "process_vm_writev": 311,
            "kcmp": 312,
            # memory and messages that are shared by number, not by file
            "shmget": 29,
            "shmat": 30,
            "semget": 64,
            "msgget": 68,
            "mq_open": 240,
            "mq_unlink": 241,
            # what the kernel holds, for those who run this as root
            "mknod": 133,
            "modify_ldt": 154,
            "pivot_root": 155,
            "adjtimex": 159,
            "chroot": 161,
            "acct": 163,
            "settimeofday": 164,
            "mount": 165,
            "umount2": 166,
            "swapon": 167,
            "swapoff": 168,
            "reboot": 169,
            "sethostname": 170,
            "setdomainname": 171,
            "iopl": 172,
            "ioperm": 173,
            "init_module": 175,
            "delete_module": 176,
            "quotactl": 179,
            "clock_settime": 227,
            "kexec_load": 246,
            "add_key": 248,
            "request_key": 249,
            "keyctl": 250,
            "mknodat": 259,
            "unshare": 272,
            "perf_event_open": 298,
            "name_to_handle_at": 303,
            "open_by_handle_at": 304,
            "clock_adjtime": 305,
            "setns": 308,
            "finit_module": 313,
            "kexec_file_load": 320,
            "bpf": 321,
            "userfaultfd": 323,
        },
        own={"kill": 62, "rt_sigqueueinfo": 129, "tgkill": 234, "rt_tgsigqueueinfo": 297},
        prlimit=302,
        socketpair=53,
        ioctl=16,
    ),
    "aarch64": _Calls(
        architecture=0xC00000B7,
        seccomp=277,
        denied={
            **_EVERYWHERE,
            "setxattr": 5,
            "lsetxattr": 6,
            "fsetxattr": 7,
            "removexattr": 14,
            "lremovexattr": 15,
            "fremovexattr": 16,
            "mknodat": 33,
            "umount2": 39,
            "mount": 40,
            "pivot_root": 41,
            "truncate": 45,
            "chroot": 51,
            "fchmod": 52,
            "fchmodat": 53,
            "fchownat": 54,
            "fchown": 55,
            "quotactl": 60,
            "utimensat": 88,
            "acct": 89,
            "unshare": 97,
            "kexec_load": 104,
            "init_module": 105,
            "delete_module": 106,
            "clock_settime": 112,
            "ptrace": 117,
            "tkill": 130,
            "reboot": 142,
            "sethostname": 161,
            "setdomainname": 162,
            "settimeofday": 170,
            "adjtimex": 171,
            "mq_open": 180,
            "mq_unlink": 181,
            "msgget": 186,
            "semget": 190,
            "shmget": 194,
            "shmat": 196,
            "socket": 198,
            "bind": 200,
            "listen": 201,
            "accept": 202,
            "connect": 203,
            "add_key": 217,
            "request_key": 218,
            "keyctl": 219,
            "execve": 221,
            "swapon": 224,
            "swapoff": 225,
            "perf_event_open": 241,
            "accept4": 242,
            "name_to_handle_at": 264,
            "open_by_handle_at": 265,
            "clock_adjtime": 266,
            "setns": 268,
            "process_vm_readv": 270,
            "process_vm_writev": 271,
            "kcmp": 272,
            "finit_module": 273,
            "bpf": 280,
            "execveat": 281,
            "userfaultfd": 282,
            "kexec_file_load": 294,
        },
        own={"kill": 129, "tgkill": 131, "rt_sigqueueinfo": 138, "rt_tgsigqueueinfo": 240},
        prlimit=261,
        socketpair=199,
        ioctl=29,
    ),
}

_AF_UNIX = 1
_CHANGES_ATTRIBUTES = (0x40086602, 0x401C5820)
"""linux/fs.h, FS_IOC_SETFLAGS and FS_IOC_FSSETXATTR: a descriptor that was opened to read is enough for them."""


def _seccomp() -> tuple[bool, str]:
    """Whether system calls can be filtered, and why not."""
    if sys.platform != "linux":
        return False, "seccomp is for Linux"
    machine = os.uname().machine
    calls = _CALLS.get(machine)
    if calls is None or struct.calcsize("P") != 8 or sys.byteorder != "little":
        return False, f"the system calls of {machine} are not known"
    action = ctypes.c_uint32(_RET_ERRNO)
    if _libc().syscall(ctypes.c_long(calls.seccomp), ctypes.c_long(_GET_ACTION_AVAIL), 0, ctypes.byref(action)):
        return False, f"the kernel has no seccomp filters ({os.strerror(ctypes.get_errno())})"
    return True, ""


def _restrict_calls(calls: _Calls) -> None:
    program = _program(calls, os.getpid())
    filters = ctypes.create_string_buffer(program, len(program))

    class Program(ctypes.Structure):
        _fields_ = (("length", ctypes.c_ushort), ("filters", ctypes.c_void_p))

    given = Program(len(program) // 8, ctypes.addressof(filters))
    _check(_libc().syscall(ctypes.c_long(calls.seccomp), ctypes.c_long(_SET_MODE_FILTER), 0, ctypes.byref(given)))


def _program(calls: _Calls, pid: int) -> bytes:
    """The filter, in the kernel's classic BPF; no jump is longer than a few steps."""
    deny = _step(_RETURN, _RET_ERRNO | errno.EPERM)
    allow = _step(_RETURN, _RET_ALLOW)
    number = _step(_LOAD, _AT_NUMBER)

    def judge(call: int, argument: int, values: Sequence[int], listed: bytes, others: bytes) -> bytes:
        """Looks at the lower half of an argument: the kernel takes these for 32 bits."""
        tests = b"".join(_step(_JUMP_EQUAL, value, 0, 1) + listed for value in values)
        body = _step(_LOAD, _AT_ARGUMENTS + 8 * argument) + tests + others
        return _step(_JUMP_EQUAL, call, 0, len(body) // 8) + body

    steps = [_step(_LOAD, _AT_ARCHITECTURE), _step(_JUMP_EQUAL, calls.architecture, 1, 0), _step(_RETURN, _RET_KILL)]
    steps += [number, _step(_JUMP_AT_LEAST, _X32, 0, 1), deny]
    for denied in calls.denied.values():
        steps += [_step(_JUMP_EQUAL, denied, 0, 1), deny]
    steps += [judge(call, 0, (pid,), allow, deny) for call in calls.own.values()]
    steps += [judge(calls.prlimit, 0, (0, pid), allow, deny)]
    steps += [judge(calls.socketpair, 0, (_AF_UNIX,), allow, deny)]
    steps += [judge(calls.ioctl, 1, _CHANGES_ATTRIBUTES, deny, allow)]
    return b"".join([*steps, allow])


def _step(code: int, value: int, if_true: int = 0, if_false: int = 0) -> bytes:
    return struct.pack("=HBBI", code, if_true, if_false, value)
