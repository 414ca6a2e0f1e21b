"""The program that forks for every job: its arguments are `MODULE... --ahead MODULE... --path DIRECTORY...`.

It imports the first modules and serves the parent (`nursery.py`), whose socket is its standard input, by
`fork_server.py`. The modules of `--ahead` are imported by a fork of it meanwhile (`warm_import.py`).
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from migrate.processes.deep_calls import with_room
from migrate.processes.fork_server import serve
from migrate.processes.forks import tell
from migrate.processes.warm_import import started

AHEAD = "--ahead"
PATH = "--path"
_ASKED = 0


def main(arguments: Sequence[str]) -> int:
    """The server."""
    return with_room(_serve)(arguments)


def _serve(arguments: Sequence[str]) -> int:
    first, second = arguments.index(AHEAD), arguments.index(PATH)
    modules, later = arguments[:first], arguments[first + 1 : second]
    sys.path[:0] = arguments[second + 1 :]
    try:
        if later:
            with started(later) as ahead:
                serve(modules, _ASKED, ahead.ended, ahead.lend)
        else:
            serve(modules, _ASKED)
    except Exception as error:
        tell(error)
        return 1
    return 0
