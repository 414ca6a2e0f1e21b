"""Runs a command, and says what it and all processes that it has started take.

    python -m benchmarks.tree COMMAND...

prints JSON: seconds by the wall, seconds of processors, and the peak of the memory of all processes together in
megabytes, each page that several share counted once (proc(5), Pss).
"""

from __future__ import annotations

import contextlib
import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Iterator

_POLL_SECONDS = 0.1


def family(pid: int) -> Iterator[int]:
    """A process and all below it."""
    yield pid
    with contextlib.suppress(OSError):
        for task in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{task}/children", encoding="ascii") as file:
                for child in file.read().split():
                    yield from family(int(child))


def proportional_bytes(pid: int) -> int:
    """A process's share of memory; 0 where it has ended."""
    with contextlib.suppress(OSError), open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as file:
        for line in file:
            if line.startswith("Pss:"):
                return int(line.split()[1]) << 10
    return 0


def main(command: list[str]) -> int:
    """Runs the command, which must end with 0."""
    start, peak = time.perf_counter(), 0
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while process.poll() is None:
        peak = max(peak, sum(map(proportional_bytes, family(process.pid))))
        time.sleep(_POLL_SECONDS)
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    seconds, processor = time.perf_counter() - start, usage.ru_utime + usage.ru_stime
    print(json.dumps({"seconds": seconds, "processor": processor, "megabytes": peak / (1 << 20)}))
    return process.returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
