"""`python -m migrate` and the console script `migrate`."""

from __future__ import annotations

import sys

from migrate.cli import main


def run() -> None:
    """Runs the program and exits with its code."""
    sys.exit(main(sys.argv))


# The child processes of multiprocessing import this module again and must not run the program again.
if __name__ == "__main__":
    run()
