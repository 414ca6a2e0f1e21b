"""A job that belongs to an attacker: what it writes is data to its parent, and it can write for itself alone."""

from __future__ import annotations

import contextlib
import json
import os
import pathlib
import pickle
import stat
import tempfile
import threading
import time
from typing import Any

import numpy as np
import pytest

from migrate.codec import _MAGIC
from migrate.events import called
from migrate.processes import forks, job_files
from migrate.processes.forks import Forks
from migrate.processes.nursery import Nursery
from migrate.processes.warm_import import WarmImport, place
from migrate.records import Crashed, Failed, Finding, Kind, ModelReport, Severity, Unreadable
from migrate.verify.calls import Answer
from tests.conversions import ROOT

pytestmark = pytest.mark.process

_MODULE = "tests.product.test_untrusted_children"


class Payload:
    """A pickle that runs a program when it is read."""

    def __init__(self, mark: str) -> None:
        self.mark = mark

    def __reduce__(self):
        return os.system, (f"touch {self.mark}",)


def run(job):
    """What the child does."""
    kind, *rest = job
    match kind:
        case "open":
            return _open_descriptors()
        case "environment":
            return [name for name in (forks.SAY, forks.AHEAD_PLACE) if os.environ.get(name)]
        case "value":
            return rest[0]
        case "step":  # A job that has jobs of its own.
            return Forks().run("step", _MODULE, rest[0], Any, 30)
        case "ahead count":
            with WarmImport(place(), counted=lambda call, calls: forks.say(called(call, calls))) as runner:
                return runner.run("step", _MODULE, ("count", rest[0]), Any, 30)
        case "ahead":
            with WarmImport(place()) as runner:
                return runner.run("step", _MODULE, rest[0], Any, 30)
        case "bytes":
            _write_everywhere(rest[0])
        case "pickle":
            _write_everywhere(pickle.dumps(Payload(rest[0])))
        case "sparse":
            for descriptor in _writable():
                with contextlib.suppress(OSError):
                    os.ftruncate(descriptor, 1 << 42)
        case "forge":
            for text in (b"exit 0\n", b"2 exit 0\n", b"1 exit 0\n", b"pid 1\n"):
                for descriptor in _numbers():
                    with contextlib.suppress(OSError):
                        os.write(descriptor, text)
            pathlib.Path(rest[0]).touch()
            time.sleep(60)
        case "wait":
            while not os.path.exists(rest[0]):
                time.sleep(0.02)
            return "waited"
        case "say":
            for line in rest[0]:
                forks.say(line)
        case "count":
            for call, go in enumerate(rest[0], 1):
                forks.count(call, len(rest[0]))
                while not os.path.exists(go):
                    time.sleep(0.02)
            return "counted"
        case "offset":
            for descriptor in _writable():
                with contextlib.suppress(OSError):
                    os.lseek(descriptor, rest[0], os.SEEK_SET)
            return "moved"
        case "say raw":
            os.write(int(os.environ[forks.SAY]), rest[0])
            return "said"
    os._exit(0)


def _numbers():
    return [int(name) for name in os.listdir("/proc/self/fd")]


def _open_descriptors():
    """What each descriptor is, without its number in the kernel."""
    found = []
    for number in sorted(_numbers()):
        with contextlib.suppress(OSError):  # That of the listing itself.
            mode = os.fstat(number).st_mode
            kinds = {stat.S_ISFIFO: "pipe", stat.S_ISSOCK: "socket", stat.S_ISREG: "file", stat.S_ISCHR: "device"}
            found.append(next((name for test, name in kinds.items() if test(mode)), "else"))
    return found


def _writable():
    return [number for number in _numbers() if number > 2]


def _write_everywhere(data):
    for descriptor in _writable():
        with contextlib.suppress(OSError):
            os.write(descriptor, data)


@pytest.fixture(scope="module")
def light():
    """Children that have not imported TensorFlow."""
    with Nursery(preload=("time", "numpy", _MODULE), path=(ROOT,)) as nursery:
        yield nursery


def _ask(nursery, *job, kind=Any, seconds=120, say=None):
    return nursery.run("golden", _MODULE, job, kind, seconds, say)


# What a child holds.


def test_a_job_has_no_descriptor_but_its_own(light):
    """Standard input, output and error; the file of the result; the pipe for lines."""
    assert _ask(light, "open") == ["device", "file", "file", "file", "pipe"]


@pytest.mark.tensorflow
def test_a_step_has_no_descriptor_but_its_own(light):
    """It has no lines to say."""
    assert _ask(light, "step", ("open",)) == ["device", "file", "file", "file"]


def test_a_step_of_the_fork_that_imports_ahead_has_no_descriptor_but_its_own(cold):
    """The pipe is the one by whose end the server knows that all steps are gone."""
    with Nursery((_MODULE,), ahead=(_MODULE,), path=(ROOT,)) as nursery:
        assert _ask(nursery, "ahead", ("open",)) == ["device", "file", "file", "file", "pipe"]


def test_a_job_beside_others_has_none_of_theirs(light, tmp_path):
    others = [threading.Thread(target=_ask, args=(light, "wait", str(tmp_path / "go"))) for _ in range(3)]
    for thread in others:
        thread.start()
    assert _ask(light, "open") == ["device", "file", "file", "file", "pipe"]
    (tmp_path / "go").touch()
    for thread in others:
        thread.join()


@pytest.mark.tensorflow
def test_what_names_a_descriptor_is_not_in_the_environment_of_a_step(light):
    assert _ask(light, "environment") == [forks.SAY]
    assert _ask(light, "step", ("environment",)) == []


def test_a_job_cannot_answer_for_another_or_for_itself(light, tmp_path):
    """Lines like the server's, on every descriptor that it has."""
    found = []
    other = threading.Thread(target=lambda: found.append(_ask(light, "wait", str(tmp_path / "go"))))
    other.start()
    forger = threading.Thread(target=lambda: found.append(_ask(light, "forge", str(tmp_path / "forged"), seconds=3)))
    forger.start()
    while not (tmp_path / "forged").exists():
        time.sleep(0.02)
    assert found == []
    forger.join()
    (tmp_path / "go").touch()
    other.join()
    assert [type(ending).__name__ for ending in found] == ["TimedOut", "str"]
    assert _ask(light, "value", 1) == 1


# At which call a child is.


class _Counted:
    """Takes what is counted, and lets the job go on once it was heard."""

    def __init__(self, folder):
        self.heard = []
        self.gates = [str(folder / str(number)) for number in range(3)]

    def __call__(self, call, calls):
        self.heard.append((call, calls))
        pathlib.Path(self.gates[call - 1]).touch()


def test_the_count_of_a_step_arrives(tmp_path):
    counted = _Counted(tmp_path)
    with Nursery((_MODULE,), path=(ROOT,), counted=counted) as nursery:
        assert _ask(nursery, "count", counted.gates) == "counted"
    assert counted.heard == [(1, 3), (2, 3), (3, 3)]


def test_the_count_of_a_step_in_a_fork_of_its_parent_arrives(tmp_path):
    counted = _Counted(tmp_path)
    running = Forks(counted=counted).begin("step", _MODULE, ("count", counted.gates), Any, 30)
    assert running.result() == "counted"
    running.stop()
    assert counted.heard == [(1, 3), (2, 3), (3, 3)]


def test_the_count_of_a_step_of_the_fork_that_imports_ahead_arrives(cold, tmp_path):
    gates = [str(tmp_path / str(number)) for number in range(3)]
    heard = []

    def say(line):
        heard.append(line)
        pathlib.Path(gates[len(heard) - 1]).touch()

    with Nursery((_MODULE,), ahead=(_MODULE,), path=(ROOT,)) as nursery:
        assert _ask(nursery, "ahead count", gates, say=say) == "counted"
    assert heard == ["call 1 of 3", "call 2 of 3", "call 3 of 3"]


_MARK = 1 << 39


_NO_COUNTS = (
    0,
    1,
    1 << 20,
    _MARK - 1,
    _MARK,
    _MARK + 1,
    _MARK + (3 << 15),
    _MARK + (3 << 15) + 4,
    _MARK + (1 << 30) + 1,
)


@pytest.mark.parametrize("offset", [*_NO_COUNTS, (1 << 43) - 1])
def test_an_offset_that_is_no_count_is_none(offset):
    with job_files.JobFiles() as place:
        os.lseek(place.result, offset, os.SEEK_SET)
        assert place.count() is None


def test_a_step_that_moves_every_offset_gives_its_result(light):
    for offset in (1, _MARK + (3 << 15) + 2, 1 << 43):
        assert _ask(light, "offset", offset) == "moved"
        running = Forks().begin("step", _MODULE, ("offset", offset), Any, 30)
        assert running.result() == "moved"
        running.stop()


def test_counts_out_of_bounds_are_not_said(tmp_path, monkeypatch):
    with open(tmp_path / "file", "wb") as file:
        monkeypatch.setenv(forks.COUNT, str(file.fileno()))
        for call, calls in ((0, 3), (4, 3), (-1, 3), (1, 1 << 15)):
            forks.count(call, calls)
            assert os.lseek(file.fileno(), 0, os.SEEK_CUR) == 0


# What a child says.


def test_lines_of_a_job_are_bounded_and_have_nothing_that_a_terminal_obeys(light):
    heard = []
    _ask(light, "say", ["reading", "a\x1b[2Jb\x07\r\u202e", "x" * 10_000, "\x9b31m\udcff"], say=heard.append)
    assert heard[:2] == ["reading", "a\ufffd[2Jb\ufffd \ufffd"]
    assert all(character.isprintable() for line in heard for character in line)
    assert len(heard) == 4 and max(map(len, heard)) == 500


def test_what_is_no_line_is_cut_and_ends(light):
    heard = []
    assert _ask(light, "say raw", b"\xff\x00" * 20_000, say=heard.append) == "said"
    assert all(len(line) <= 500 and line.isprintable() for line in heard)


def test_the_last_words_have_nothing_that_a_terminal_obeys():
    with tempfile.TemporaryFile() as file:
        file.write(b"one\n\x1b]0;title\x07 two\tthree\n\xff\x00")
        file.flush()
        assert job_files.tail(file.fileno()) == "one\n\ufffd]0;title\ufffd two  three\n\ufffd\ufffd"


# What a child gives.


def test_a_pickle_is_not_read(light, tmp_path):
    ending = _ask(light, "pickle", str(tmp_path / "mark"))
    assert isinstance(ending, Crashed) and "its result is not what was asked for" in ending.stderr_tail
    assert not (tmp_path / "mark").exists()
    pickle.loads(pickle.dumps(Payload(str(tmp_path / "mark"))))
    assert (tmp_path / "mark").exists()  # Or the test above could not fail.


def _file(value, arrays=(), data=b"", length=None):
    text = value if isinstance(value, bytes) else json.dumps({"value": value, "arrays": list(arrays)}).encode()
    return _MAGIC + (len(text) if length is None else length).to_bytes(8, "little") + text + data


_REPORT = {"_": "ModelReport", "source": "a", "destination": None, "kind": {"_": "Kind", "value": "unknown"}}
_BAD = {
    "nothing of ours": b"hello",
    "a header alone": _MAGIC,
    "longer than it is": _file({}, length=1 << 62),
    "no JSON": _file(b"{{{{"),
    "deep": _file(b"[" * 200_000),
    "many": _file(b"[" + b"[]," * 17_000_000 + b"[]]"),
    "no record": _file({"_": "Nothing"}),
    "a function": _file({"_": "shaping"}),
    "another record": _file({"_": "Options"}),
    "a record without fields": _file({"_": "ModelReport"}),
    "a field of another type": _file({**_REPORT, "outcome": "Converted"}),
    "a record in the place of another": _file({**_REPORT, "outcome": {"_": "Options"}}),
    "a field that is unknown": _file({**_REPORT, "outcome": {"_": "Converted", "x": 1}}),
    "a text for a number": _file({**_REPORT, "outcome": {"_": "Converted"}, "bytes": "1"}),
    "no number": _file({**_REPORT, "outcome": {"_": "Converted"}, "bytes": float("nan")}),
    "a number of a thousand digits": _file({**_REPORT, "outcome": {"_": "Converted"}, "bytes": 10**1000}),
    "a truth for a number": _file({**_REPORT, "outcome": {"_": "Converted"}, "bytes": True}),
    "a list as a key": _file({**_REPORT, "outcome": {"_": "Converted"}, "seconds": {"_": "dict", "items": [[[], 1]]}}),
}


@pytest.mark.parametrize("data", _BAD.values(), ids=_BAD)
def test_a_result_of_another_kind_is_a_crash(data, light):
    ending = _ask(light, "bytes", data, kind=ModelReport)
    assert isinstance(ending, Crashed)
    assert "its result is not what was asked for" in ending.stderr_tail
    assert len(ending.stderr_tail) < 1000


_ANSWER = {"_": "Answer", "outputs": {"_": "dict", "items": [["x", {"_": "array", "number": 0}]]}}
_BAD_ARRAYS = {
    "none": _file(_ANSWER),
    "objects": _file(_ANSWER, [["object", [1], 8]], bytes(8)),
    "numpy's name of objects": _file(_ANSWER, [["O", [1], 8]], bytes(8)),
    "a dtype of numpy's that no tensor has": _file(_ANSWER, [["datetime64[s]", [1], 8]], bytes(8)),
    "a list as a dtype": _file(_ANSWER, [[[["f", "O"]], [1], 8]], bytes(8)),
    "a negative size": _file(_ANSWER, [["float32", [-1], 4]], bytes(4)),
    "sizes below zero whose product is not": _file(_ANSWER, [["float32", [-1, -1], 4]], bytes(4)),
    "a size that is no number": _file(_ANSWER, [["float32", [float("nan")], 4]], bytes(4)),
    "a size that is a fraction": _file(_ANSWER, [["float32", [1.0], 4]], bytes(4)),
    "a huge size": _file(_ANSWER, [["float32", [1 << 60], 4]], bytes(4)),
    "no bytes and a huge size": _file(_ANSWER, [["float32", [0, 1 << 62], 0]]),
    "sizes whose product overflows": _file(_ANSWER, [["float32", [1 << 40] * 4, 0]]),
    "fewer bytes": _file(_ANSWER, [["float32", [2], 8]], bytes(4)),
    "more bytes": _file(_ANSWER, [["float32", [1], 4]], bytes(8)),
    "another size than the shape's": _file(_ANSWER, [["float32", [1], 8]], bytes(8)),
    "a thousand dimensions": _file(_ANSWER, [["float32", [1] * 1000, 4]], bytes(4)),
    "strings of negative length": _file(_ANSWER, [["string", [2], 16]], np.array([-1, 1]).tobytes()),
    "strings that are not there": _file(_ANSWER, [["string", [1 << 40], 8]], bytes(8)),
    "strings of a huge length": _file(_ANSWER, [["string", [1], 8]], np.array([1 << 60]).tobytes()),
}


@pytest.mark.parametrize("data", _BAD_ARRAYS.values(), ids=_BAD_ARRAYS)
def test_an_array_that_is_none_is_a_crash(data, light):
    ending = _ask(light, "bytes", data, kind=Answer | Failed)
    assert isinstance(ending, Crashed)
    assert "its result is not what was asked for" in ending.stderr_tail


def test_a_file_of_terabytes_is_not_read(light):
    ending = _ask(light, "sparse")
    assert isinstance(ending, Crashed) and "the most that is read" in ending.stderr_tail


def test_a_result_that_cannot_be_data_is_a_crash(light):
    ending = _ask(light, "value", {1, 2})
    assert isinstance(ending, Crashed) and "TypeError: a value of type set" in ending.stderr_tail


def test_a_sound_result_comes_back_as_it_was(light):
    report = ModelReport(
        "a\udcff", None, Kind.KERAS_V3, Unreadable("b"), (Finding("c", Severity.NOTE, "d", ("e",)),), seconds={"f": 1.5}
    )
    assert _ask(light, "value", report, kind=ModelReport) == report
