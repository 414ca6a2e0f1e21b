"""A job in a fork of a server, as its asker sees it. The server is this test, which answers on the job's pipe."""

from __future__ import annotations

import os
import pickle
import socket

import pytest

from migrate.processes.job_files import JobFiles
from migrate.processes.server_channel import ServerChannel, ServerEnd, ServerLostError
from tests.waiting import PATIENCE_SECONDS

_END = ServerEnd(-9, "killed")


class _Server:
    """The other end of the socket; remembers whether it was said to be silent."""

    def __init__(self) -> None:
        self.near, self.far = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.lost: list[bool] = []
        self.descriptors: list[int] = []

    def end(self, is_silent: bool) -> ServerEnd:
        self.lost.append(is_silent)
        return _END

    def asked(self) -> tuple[str, str, object, int]:
        """The module, the directory, the job and the pipe for answers of what was asked."""
        data, found, *_ = socket.recv_fds(self.far, 1 << 14, 5)
        self.descriptors = found
        module, directory = os.fsdecode(data).split("\n")
        with open(found[0], "rb", closefd=False) as file:
            file.seek(0)
            return module, directory, pickle.load(file), found[3]

    def close(self) -> None:
        for descriptor in self.descriptors:
            os.close(descriptor)
        self.near.close()
        self.far.close()


@pytest.fixture
def server():
    found = _Server()
    yield found
    found.close()


@pytest.fixture
def files():
    with JobFiles() as found:
        yield found


class _Answering(ServerChannel):
    """Has the server answer while `start` waits for it."""

    def __init__(self, server: _Server, answers: list[bytes], **arguments) -> None:
        super().__init__(server.near, "a.module", {"job": 1}, server.end, **arguments)
        self._other, self._texts = server, answers

    def _asked(self, job, files, said):
        pipe = super()._asked(job, files, said)
        self.found = self._other.asked()
        for text in self._texts:
            os.write(self.found[3], text)
        return pipe


def test_the_server_is_asked_for_the_job(server, files):
    channel = _Answering(server, [b"pid 4711\n"])
    assert channel.start(files) == 4711
    assert channel.found[:3] == ("a.module", files.directory, {"job": 1})
    assert channel.wait(0.0) is None
    os.write(channel.found[3], b"exit 3\n")
    assert channel.wait(PATIENCE_SECONDS) == 3
    channel.close()
    assert server.lost == []


def test_a_server_that_is_gone_is_lost_before_the_job(server, files):
    server.far.close()
    channel = ServerChannel(server.near, "a.module", {}, server.end)
    with pytest.raises(ServerLostError) as caught:
        channel.start(files)
    assert (caught.value.end, caught.value.started, server.lost) == (_END, False, [False])


def test_a_server_that_does_not_answer_is_lost(server, files):
    channel = _Answering(server, [], start_seconds=0.01)
    with pytest.raises(ServerLostError) as caught:
        channel.start(files)
    channel.close()
    assert (caught.value.started, server.lost) == (False, [True])


def test_a_server_that_dies_before_the_job_is_lost_with_it(server, files):
    channel = _Answering(server, [b"pid 4711\n"])
    channel.start(files)
    os.close(channel.found[3])
    server.descriptors.remove(channel.found[3])
    with pytest.raises(ServerLostError) as caught:
        channel.wait(PATIENCE_SECONDS)
    channel.close()
    assert (caught.value.started, server.lost) == (True, [False])


def test_lines_of_the_job_are_passed_on(server, files):
    said: list[str] = []
    channel = _Answering(server, [b"pid 4711\n"], say=said.append)
    channel.start(files)
    os.write(server.descriptors[4], b"reading\n")
    channel.wait(PATIENCE_SECONDS)
    channel.close()
    assert said == ["reading"]


def test_nothing_is_killed_or_waited_for_before_the_start(server):
    channel = ServerChannel(server.near, "a.module", {}, server.end)
    assert channel.wait(0.0) is None
    channel.kill()
    channel.close()
