"""`python -m migrate` and the console script `migrate`."""

from __future__ import annotations

import gc
import os
import sys

from migrate.errors import starved
from migrate.processes.interpreter import leave_working_directory

_OBJECTS = 100_000  # Python's own 700 has the collector walk the modules a hundred times while they are imported


def run() -> None:
    """Runs the program and ends the process with its code.

    The process ends at once, as mypy's `hard_exit` does: taking modules and protos apart one by one costs an audit a
    fifth of its time. What has to be put away is put away by `main`, in `with` blocks.
    """
    gc.set_threshold(_OBJECTS)
    try:
        _occupy()
        leave_working_directory()
        from migrate.cli import main  # After that, for it imports more of the standard library.

        code = main(sys.argv)
    except (MemoryError, SystemError, OSError, ImportError) as error:
        code = _tell(error)
    except KeyboardInterrupt:  # While the program was still being imported.
        code = 130
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:  # None where the process was started without one
            stream.flush()
    os._exit(code)


def _tell(error: BaseException) -> int:
    """Says in a line what the program lacks that cannot even start, or not even tell it; gives the exit code."""
    lack = starved(error)
    if lack is None:
        raise error
    import contextlib

    with contextlib.suppress(OSError):
        os.write(2, f"migrate: {lack}\n".encode())
    return 2


def _occupy() -> None:
    """Opens the standard streams that this process was started without (`>&-`) on nothing.

    The next file that is opened would else be standard output to every library, and to every child.
    """
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDONLY if descriptor == 0 else os.O_WRONLY)  # It takes the lowest that is free.


# The child processes of multiprocessing import this module again and must not run the program again.
if __name__ == "__main__":
    run()
