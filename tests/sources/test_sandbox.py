from __future__ import annotations

import os
import signal

import pytest

from migrate.errors import InputError, InternalError
from migrate.processes.confinement import in_force
from migrate.sources import sandbox
from migrate.sources.sandbox import guarded


def _raising(error):
    def read():
        raise error

    return read


def test_the_value_comes_back_and_nothing_else():
    seen = []
    assert guarded("FILE", lambda: seen.append(1) or (1, "a"), tuple[int, str]) == (1, "a")
    assert seen == []


@pytest.mark.parametrize(
    ("raised", "kind", "says"),
    [
        (InputError("FILE: no good"), InputError, "FILE: no good"),
        (OSError("no number"), OSError, "[Errno 0] no number"),
        (KeyError("k"), InternalError, "KeyError: 'k'"),
        (UnicodeError("u"), InternalError, "UnicodeError: u"),
    ],
)
def test_what_the_reader_raises_is_raised_here(raised, kind, says):
    with pytest.raises(kind) as caught:
        guarded("FILE", _raising(raised), int)
    assert (type(caught.value), str(caught.value)) == (kind, says)


def test_an_error_of_the_system_keeps_its_number_and_file():
    with pytest.raises(FileNotFoundError) as caught:
        guarded("FILE", _raising(FileNotFoundError(2, "No such file", "/x")), int)
    assert (caught.value.errno, caught.value.strerror, caught.value.filename) == (2, "No such file", "/x")


@pytest.mark.parametrize(
    ("end", "says"),
    [
        (lambda: os.kill(os.getpid(), signal.SIGSEGV), r"its reader crashes \(SIGSEGV\)"),
        (lambda: os.kill(os.getpid(), signal.SIGKILL), "reading it takes more than 3 s"),
        (lambda: os._exit(1), "its reader fails without a message"),
        (_raising(MemoryError()), "takes more than 1,024 MB of memory"),
        (_raising(SystemExit(0)), "its reader fails without a message"),
        (lambda: "text", "gives no valid result"),
    ],
)
def test_how_it_ends_is_said_of_the_file(end, says):
    with pytest.raises(InputError, match=f"^FILE: damaged: .*{says}"):
        guarded("FILE", end, int)


def test_no_more_comes_back_than_an_answer_may_have(monkeypatch):
    monkeypatch.setattr(sandbox.codec, "MOST_JSON_BYTES", 100)
    with pytest.raises(InputError, match=r"^FILE: damaged"):
        guarded("FILE", lambda: "x" * 1000, str)


def test_only_the_files_that_are_named_are_read(tmp_path):
    if not in_force().landlock:
        pytest.skip("no Landlock")
    for name in ("model", "other", "key"):
        (tmp_path / name).write_text(name)

    def read():
        return [_content(tmp_path / name) for name in ("model", "other", "key")]

    path, other = str(tmp_path / "model"), str(tmp_path / "other")
    assert guarded(path, read, list[str]) == ["model", "refused", "refused"]
    assert guarded(path, read, list[str], others=(other,)) == ["model", "other", "refused"]


def _content(path):
    try:
        return path.read_text()
    except PermissionError:
        return "refused"
