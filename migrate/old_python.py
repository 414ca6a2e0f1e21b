"""Says in one line that Python is too old, before a module is imported that such a Python cannot read.

Every Python from 2.7 on can read this module. `pip install` refuses such a Python by itself; this is for a checkout.
"""

import sys

LEAST = (3, 10)


def reason(version):  # type: ignore[no-untyped-def]
    """Why a Python is too old, in a line; None where it is not.

    Args:
      version: its version, as `sys.version_info` has it.

    Example:
      >>> reason((3, 7, 16))
      'needs Python 3.10 or later, and this is Python 3.7; for example: python3.11 -m venv .venv'
      >>> reason((3, 10, 0)) is None
      True
    """
    if tuple(version[:2]) >= LEAST:
        return None
    found = (LEAST[0], LEAST[1], version[0], version[1])
    return "needs Python %d.%d or later, and this is Python %d.%d; for example: python3.11 -m venv .venv" % found  # noqa: UP031


def check(version, arguments):  # type: ignore[no-untyped-def]
    """Ends `python -m migrate` with the reason; any other import fails with it.

    Args:
      version: see `reason`.
      arguments: `sys.argv`, which is ["-m", ...] while Python looks for the package of `-m`, and in Python 2
        ["-c", ...].

    Raises:
      ImportError: Python is too old.
    """
    found = reason(version)  # type: ignore[no-untyped-call]
    if found is None:
        return
    if arguments[:1] == (["-c"] if version[0] == 2 else ["-m"]):
        sys.stderr.write("migrate: " + found + "\n")
        sys.exit(2)
    raise ImportError("migrate " + found)


check(sys.version_info, sys.argv)  # type: ignore[no-untyped-call]
