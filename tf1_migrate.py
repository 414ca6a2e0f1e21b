"""Starts the program, unless another package named `migrate` is in the place of this one.

sqlalchemy-migrate, for one, installs a package of this name. The command would then run its code, or fail in it, and
nobody would know why.
"""

from __future__ import annotations

import sys


def run() -> None:
    """What the commands `migrate` and `tf1-migrate` run."""
    try:
        import migrate

        ours = getattr(migrate, "DISTRIBUTION", None) == "tf1-migrate"
        place = getattr(migrate, "__file__", None) or next(iter(migrate.__path__))
    except ImportError as error:
        if error.name is None or error.name.partition(".")[0] != "migrate":
            raise
        ours, place = False, str(error)
    if not ours:
        sys.stderr.write(
            f"migrate: another package named 'migrate' is in the place of tf1-migrate ({place!r}); sqlalchemy-migrate "
            "installs one; install tf1-migrate in an environment of its own\n"
        )
        sys.exit(2)
    from migrate.__main__ import run as program

    program()


if __name__ == "__main__":
    run()
