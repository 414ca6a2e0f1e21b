"""The C library, for what Python does not offer."""

from __future__ import annotations

import ctypes
import functools
import os
from typing import Any


@functools.cache
def libc() -> Any:
    """The library that this process is linked with."""
    return ctypes.CDLL(None, use_errno=True)


def check(result: int) -> int:
    """What a call gives.

    Raises:
      OSError: it has failed.
    """
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"the process cannot be confined: {os.strerror(number)}")
    return result


def give_back() -> None:
    """Gives the system back what this process has freed: the C library may keep it for what comes next."""
    trim = getattr(libc(), "malloc_trim", None)  # GNU's alone.
    if trim is not None:
        trim(ctypes.c_size_t(0))
