"""`python -m migrate` and the console script `migrate`."""

from __future__ import annotations

import gc
import os
import sys

from migrate.interpreter import leave_working_directory

_OBJECTS = 100_000  # Python's own 700 has the collector walk the modules a hundred times while they are imported


def run() -> None:
    """Runs the program and ends the process with its code.

    The process ends at once, as mypy's `hard_exit` does: taking modules and protos apart one by one costs an audit a
    fifth of its time. What has to be put away is put away by `main`, in `with` blocks.
    """
    gc.set_threshold(_OBJECTS)
    leave_working_directory()
    from migrate.cli import main  # After that, for it imports more of the standard library.

    code = main(sys.argv)
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:  # None where the process was started without one
            stream.flush()
    os._exit(code)


# The child processes of multiprocessing import this module again and must not run the program again.
if __name__ == "__main__":
    run()
