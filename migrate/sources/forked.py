"""A fork of this process that answers through a pipe, started while nothing interrupts the program."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import NoReturn


def fork(work: Callable[[int], NoReturn]) -> tuple[int, int]:
    """Starts a fork. The caller blocks the signals whose handlers raise exceptions, until it has waited for the fork.

    Args:
      work: called in the fork with the end of the pipe that it writes to; it does not return.

    Returns:
      The fork's process id, and the end of the pipe to read from.

    Raises:
      OSError: the system starts no more processes, or opens no more files.
    """
    answer, end = os.pipe()
    try:
        pid = os.fork()
        if not pid:
            os.close(answer)
            work(end)
    except BaseException:
        os.close(answer)
        raise
    finally:
        os.close(end)
    return pid, answer
