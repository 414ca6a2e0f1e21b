"""Calls that cross the end of a piece of frames again and again."""

from __future__ import annotations

import subprocess
import sys

import pytest

_PROGRAM = """
import resource, sys
from migrate.processes.deep_calls import with_room

def leaf(a=0, b=0, c=0, d=0):
    return a

def deep(depth):
    if depth:
        deep(depth - 1)
    for _ in range(50):
        leaf()

def faults(arguments):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    deep(700)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

print(faults([]), with_room(faults)([]))
"""


@pytest.mark.skipif(sys.version_info < (3, 11), reason="before 3.11 each frame is an object of its own")
def test_frames_share_one_piece_of_memory() -> None:
    # 700 frames fill some pieces of 16 KiB; at the end of each, 50 calls map a new one and drop it.
    done = subprocess.run([sys.executable, "-c", _PROGRAM], capture_output=True, text=True, check=True)
    without, with_room = map(int, done.stdout.split())
    assert with_room * 4 < without
