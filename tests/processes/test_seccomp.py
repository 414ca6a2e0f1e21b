"""The filter, for processors that this machine does not have; test_confinement.py puts it on."""

from __future__ import annotations

import os
import pathlib
import re
import struct

import pytest

from migrate.processes.seccomp import CALLS, program_of


def _judge(machine: str, number: int, *arguments: int, architecture: int | None = None) -> str:
    """What the filter says of a call, by a machine of four instructions (linux/filter.h)."""
    calls = CALLS[machine]
    program = program_of(calls, pid=77)
    steps = [struct.unpack_from("=HBBI", program, at) for at in range(0, len(program), 8)]
    wanted = calls.architecture if architecture is None else architecture
    data = struct.pack("=iIQ6Q", number, wanted, 0, *(a & (1 << 64) - 1 for a in (*arguments, *[0] * 6)[:6]))
    at, held = 0, 0
    while True:
        code, yes, no, value = steps[at]
        at += 1
        if code == 0x20:
            held = struct.unpack_from("=I", data, value)[0]
        elif code == 0x15:
            at += yes if held == value else no
        elif code == 0x35:
            at += yes if held >= value else no
        else:
            return {0x7FFF0000: "allow", 0x00050001: "EPERM", 0x80000000: "kill"}[value]


@pytest.mark.parametrize("machine", sorted(CALLS))
def test_the_filter_of_each_processor(machine):
    calls = CALLS[machine]
    for number in calls.denied.values():
        assert _judge(machine, number) == "EPERM"
    for number in calls.own.values():
        assert [_judge(machine, number, pid) for pid in (77, 76, 0, -1)] == ["allow", "EPERM", "EPERM", "EPERM"]
    assert [_judge(machine, calls.prlimit, pid) for pid in (0, 77, 76)] == ["allow", "allow", "EPERM"]
    assert [_judge(machine, calls.socketpair, family) for family in (1, 2)] == ["allow", "EPERM"]
    assert [_judge(machine, calls.ioctl, 3, cmd) for cmd in (0x5401, 0x40086602)] == ["allow", "EPERM"]
    assert _judge(machine, 0x40000000) == "EPERM"
    assert _judge(machine, calls.socketpair, 1, architecture=0x40000003) == "kill"
    conditional = {*calls.own.values(), calls.prlimit, calls.socketpair}
    others = set(range(500)) - set(calls.denied.values()) - conditional
    assert {_judge(machine, number) for number in others} == {"allow"}


_HEADERS = {
    "x86_64": ("/usr/include/x86_64-linux-gnu/asm/unistd_64.h", "/usr/include/asm/unistd_64.h"),
    "aarch64": ("/usr/include/asm-generic/unistd.h",),
}


@pytest.mark.parametrize("machine", sorted(_HEADERS))
def test_the_numbers_are_those_of_the_kernels_headers(machine):
    header = next(filter(os.path.exists, _HEADERS[machine]), None)
    if header is None:
        pytest.skip("the kernel's headers are not installed")
    pattern = r"#define __NR(?:3264)?_(\w+)\s+(\d+)"
    known = {name: int(n) for name, n in re.findall(pattern, pathlib.Path(header).read_text())}
    calls = CALLS[machine]
    named = {**calls.denied, **calls.own, "prlimit64": calls.prlimit, "socketpair": calls.socketpair}
    named |= {"ioctl": calls.ioctl, "seccomp": calls.seccomp}
    newer = {"fchmodat2", "setxattrat", "removexattrat", "open_tree_attr", "file_setattr"}
    assert {name for name in named if name not in known} <= newer
    assert {name: n for name, n in named.items() if known.get(name, n) != n} == {}
