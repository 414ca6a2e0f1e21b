"""The exit codes of the program, and what each one means."""

from __future__ import annotations

GOOD = 0
NOT_GOOD = 1
WRONG_USE = 2
BUG = 3
INTERRUPTED = 130  # 128 + SIGINT, as shells have it

MEANINGS = (
    (GOOD, "every model is good"),
    (NOT_GOOD, "the command worked, and some model cannot be converted or does not answer as its source does"),
    (WRONG_USE, "wrong use, or the limits of memory or open files are too low; one line says what to do"),
    (BUG, "a bug of migrate, with a traceback"),
    (INTERRUPTED, "interrupted; the models that are finished stay"),
)
"""Of the program, and of the commands that judge models."""

WORKED = ((GOOD, "the command worked"), *MEANINGS[2:4], (INTERRUPTED, "interrupted"))
"""Of commands that judge no model."""

COMPARED = (
    (GOOD, "the command worked; with --against, no model is worse"),
    (NOT_GOOD, "with --against, some model is worse"),
    *WORKED[1:],
)
SHOWN = ((GOOD, "the command worked"), (NOT_GOOD, "show: nothing is installed that can be used"), *WORKED[1:])
