"""The program that forks for every job: `python -m migrate.server MODULE... [--ahead MODULE...]`.

It imports the first modules and serves the parent (`children.py`) as `serving.py` has it. Those that are to be there
ahead of need are imported by a fork of it meanwhile.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from migrate.ahead import AHEAD, started
from migrate.serving import serve


def main(argv: Sequence[str]) -> int:
    """The server."""
    # The lines are the parent's alone: nothing that TensorFlow prints may come between them.
    answers = os.dup(1)
    os.dup2(2, 1)
    modules = list(argv[1:])
    if AHEAD in modules:
        place = modules.index(AHEAD)
        with started(modules[place + 1 :]) as ended:
            serve(modules[:place], answers, ended)
    else:
        serve(modules, answers)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))
