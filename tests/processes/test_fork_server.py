"""A server that forks for every job, in a fork of the test's process: nothing heavy is imported."""

from __future__ import annotations

import contextlib
import os
import pickle
import socket
import tempfile
from typing import Any

import pytest

from migrate import codec
from migrate.processes import fork_server
from migrate.processes.answers import Answers
from migrate.processes.forks import JobFiles, fork
from tests.waiting import PATIENCE_SECONDS

_MODULE = "tests.processes.test_fork_server"


def run(job):
    """What a job of these tests does."""
    os.write(1, b"printed")
    if job == "exit":
        os._exit(7)
    if job == "raise":
        raise ValueError("in the job")
    return [job, os.getpid()]


@pytest.fixture(scope="module")
def server():
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with JobFiles() as place:
        descriptor = theirs.fileno()
        pid, end = fork(lambda: fork_server.serve((), descriptor) or 0, place.directory, place.output, (descriptor,))
        theirs.close()
        with ours:
            yield ours
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0  # It ends when its socket does.
        os.close(end)


def _asked(server, job):
    """The exit code of a job, its process, its result and what it has printed."""
    with JobFiles() as place, tempfile.TemporaryFile() as file:
        file.write(pickle.dumps(job))
        file.flush()
        with contextlib.closing(Answers(fork_server.ask(server, _MODULE, file.fileno(), place, None))) as found:
            pid = found.pid(PATIENCE_SECONDS)
            found.end(PATIENCE_SECONDS)
        printed = os.pread(place.output, 1 << 16, 0)
        result = codec.read(Any, place.result) if os.fstat(place.result).st_size else None
    return found.code, pid, result, printed


def test_a_job_has_a_process_of_its_own_and_gives_its_result(server):
    (code, pid, result, printed), (_, other, _, _) = _asked(server, "first"), _asked(server, "second")
    assert (code, result, printed) == (0, ["first", pid], b"printed")
    assert len({pid, other, os.getpid()}) == 3


@pytest.mark.parametrize(("job", "code"), [("exit", 7), ("raise", 1)])
def test_a_job_that_fails_has_its_own_code_and_the_next_one_is_well(server, job, code):
    found, _, result, printed = _asked(server, job)
    assert (found, result) == (code, None)
    assert printed.startswith(b"printed")
    assert _asked(server, "next")[0] == 0


def test_a_server_that_is_gone_is_told():
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    theirs.close()
    with ours, JobFiles() as place, tempfile.TemporaryFile() as file:
        before = os.listdir("/proc/self/fd")
        with pytest.raises(OSError):
            fork_server.ask(ours, _MODULE, file.fileno(), place, None)
        assert len(os.listdir("/proc/self/fd")) == len(before)  # No pipe is left open.
