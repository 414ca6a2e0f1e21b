"""Room for deep calls: one piece of memory for the frames of all calls below a function.

Since Python 3.11 the frames of a thread are in pieces of 16 KiB, and a piece is mapped when a call needs it and
unmapped when that call returns (`push_chunk` and `_PyThreadState_PopFrame` in CPython's `Python/pystate.c`). Calls that
cross the end of a piece again and again, as imports do, pay for it each time: `import tensorflow` maps some 10,000.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

# A frame gets a piece that holds it, doubled from 16 KiB: 1 MiB for 70,000 words of 8 bytes. What the frame itself does
# not touch costs no memory, and over 400 KiB of the piece remain for the frames of other calls.
_FRAME_WORDS = 70_000


def with_room(function: Callable[[Sequence[str]], int]) -> Callable[[Sequence[str]], int]:
    """A function that calls another one, whose frames and those below it share one piece of memory.

    Example: `with_room(main)(sys.argv)`.
    """

    def call(arguments: Sequence[str]) -> int:
        return function(arguments)

    call.__code__ = call.__code__.replace(co_stacksize=_FRAME_WORDS)
    return call
