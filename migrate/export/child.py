"""The program of the child process that exports: `python -m migrate.export.child JOBFILE`."""

from __future__ import annotations

import os
import pickle
import sys
from collections.abc import Sequence

# The job's classes live in a module of their own, since those of __main__ cannot be unpickled by the parent.
from migrate.export.job import run


def main(argv: Sequence[str]) -> int:
    """Reads a pickled `ExportJob` from the file `argv[1]`; the answer appears beside it, whole or not at all."""
    with open(argv[1], "rb") as file:
        job = pickle.load(file)
    result = run(job)
    with open(argv[1] + ".partial", "wb") as file:
        pickle.dump(result, file)
    os.replace(argv[1] + ".partial", argv[1] + ".result")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))
