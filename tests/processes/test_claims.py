"""claims.py: directories that a process claims."""

from __future__ import annotations

import os
import threading

from migrate.processes.claims import claim, clear_leftovers


def test_a_directory_is_not_cleared_away_while_it_is_claimed(tmp_path):
    """Another migrate clears away what nobody has claimed, also between the making of a directory and its lock."""
    stop = threading.Event()

    def clear():
        while not stop.is_set():
            clear_leftovers(str(tmp_path), "job-")

    threads = [threading.Thread(target=clear) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(500):
            with claim("job-", str(tmp_path)) as directory:
                assert os.path.isdir(directory)
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert not os.listdir(tmp_path)
