"""Filters the system calls of a process (docs.kernel.org/userspace-api/seccomp_filter.html)."""

from __future__ import annotations

import ctypes
import errno
import os
import struct
import sys
from collections.abc import Sequence

from migrate.frozen import frozen
from migrate.processes.libc import check, libc

# linux/seccomp.h, linux/filter.h, linux/audit.h
_SET_MODE_FILTER, _GET_ACTION_AVAIL = 1, 2
_RET_ALLOW, _RET_ERRNO, _RET_KILL = 0x7FFF0000, 0x00050000, 0x80000000
_LOAD, _JUMP_EQUAL, _JUMP_AT_LEAST, _RETURN = 0x20, 0x15, 0x35, 0x06
_AT_NUMBER, _AT_ARCHITECTURE, _AT_ARGUMENTS = 0, 4, 16
_X32 = 0x40000000  # asm/unistd.h: the same calls once more, by other numbers


@frozen
class Calls:
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

CALLS = {
    "x86_64": Calls(
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
    "aarch64": Calls(
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


def is_available() -> tuple[bool, str]:
    """Whether system calls can be filtered, and why not."""
    if sys.platform != "linux":
        return False, "seccomp is for Linux"
    machine = os.uname().machine
    calls = CALLS.get(machine)
    if calls is None or struct.calcsize("P") != 8 or sys.byteorder != "little":
        return False, f"the system calls of {machine} are not known"
    action = ctypes.c_uint32(_RET_ERRNO)
    if libc().syscall(ctypes.c_long(calls.seccomp), ctypes.c_long(_GET_ACTION_AVAIL), 0, ctypes.byref(action)):
        return False, f"the kernel has no seccomp filters ({os.strerror(ctypes.get_errno())})"
    return True, ""


def restrict() -> None:
    """Filters the system calls of this process for good.

    Raises:
      OSError: the kernel does not do it.
    """
    calls = CALLS[os.uname().machine]
    program = program_of(calls, os.getpid())
    filters = ctypes.create_string_buffer(program, len(program))

    class Program(ctypes.Structure):
        _fields_ = (("length", ctypes.c_ushort), ("filters", ctypes.c_void_p))

    given = Program(len(program) // 8, ctypes.addressof(filters))
    check(libc().syscall(ctypes.c_long(calls.seccomp), ctypes.c_long(_SET_MODE_FILTER), 0, ctypes.byref(given)))


def program_of(calls: Calls, pid: int) -> bytes:
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
