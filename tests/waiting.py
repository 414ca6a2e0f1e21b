"""What tests wait for: events, however long a machine takes for them; and what they count: steps, not seconds."""

from __future__ import annotations

import contextlib
import os
import pathlib
import signal
import sys
import time
from collections.abc import Callable
from typing import Any

PATIENCE_SECONDS = 280.0
"""When a test gives up on what should have happened. It measures nothing, and is below pytest's own limit."""


def wait_until(happened: Callable[[], Any]) -> Any:
    """Waits until `happened` gives something true, and gives that."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not (found := happened()):
        if time.monotonic() > deadline:
            raise TimeoutError("what the test waits for has not happened")
        time.sleep(0.005)
    return found


def gone(pid: int) -> bool:
    """Whether a process has ended; a zombie has."""
    with contextlib.suppress(OSError):
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] in "ZX"
    return True


def children() -> set[int]:
    """The processes that this one has started and not waited for; the server that tests share is one."""
    found: set[int] = set()
    for task in pathlib.Path("/proc/self/task").iterdir():
        found.update(map(int, (task / "children").read_text().split()))
    return found


def written(file: pathlib.Path) -> str:
    """The text of a file, once it is there."""
    return wait_until(lambda: file.exists() and file.read_text())


def hang() -> None:
    """Never comes back: for a process that is to be killed or timed out."""
    while True:
        signal.pause()


def interruptible() -> None:
    """Gives a child the disposition of SIGINT that a terminal gives it; for `preexec_fn`.

    A shell that is not interactive starts what is in the background with SIGINT ignored, and children inherit that.
    """
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def steps(run: Callable[[], Any]) -> int:
    """How many lines of Python and calls of C functions something takes: the same on every machine."""
    count = 0

    def trace(frame: Any, event: str, argument: Any) -> Any:
        nonlocal count
        count += 1
        return trace

    def profile(frame: Any, event: str, argument: Any) -> None:
        nonlocal count
        count += event == "c_call"

    before, profiled = sys.gettrace(), sys.getprofile()
    sys.settrace(trace)
    sys.setprofile(profile)
    try:
        run()
    finally:
        sys.setprofile(profiled)
        sys.settrace(before)
    return count


def write_pid(file: str | pathlib.Path) -> None:
    """Says in a file which process this is; the file appears whole."""
    partial = f"{file}.partial"
    pathlib.Path(partial).write_text(str(os.getpid()))
    os.replace(partial, file)
