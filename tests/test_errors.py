from __future__ import annotations

import errno
import resource

import pytest

from migrate.errors import (
    InputError,
    InternalError,
    InterruptedRunError,
    UsageError,
    count_words,
    first_few,
    first_line,
    starved,
)


class _Told(Exception):
    message = "told apart"


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (ValueError("one\ntwo"), "one"),
        (ValueError("\n  \n one \n"), "one"),
        (ValueError(), ""),
        (ValueError("Graph execution error:\n\nDetected at node x\n\nNode: 'x'\nbad shape"), "bad shape"),
        (ValueError("Graph execution error:\n"), "Graph execution error:"),
        (ValueError("x" * 400), "x" * 300),
        (_Told("text"), "told apart"),
    ],
)
def test_the_line_that_tells_the_cause(error, line):
    assert first_line(error) == line


@pytest.mark.parametrize(("most", "expected"), [(1, "a, ..."), (2, "a, b"), (3, "a, b")])
def test_a_few_names(most, expected):
    assert first_few(["a", "b"], most) == expected


def _caused(error, cause):
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (MemoryError(), "not enough memory"),
        (OSError(errno.EMFILE, ""), "ulimit -n"),
        (OSError(errno.ENFILE, ""), "on this machine"),
        (OSError(errno.ENOMEM, ""), "not enough memory"),
        (BlockingIOError(errno.EAGAIN, ""), "ulimit -u"),
        (RuntimeError("can't start new thread"), "ulimit -u"),
        (ImportError("libx.so: cannot open shared object file: Error 24"), "ulimit -n"),
        (ImportError("libx.so: failed to map segment from shared object"), "not enough memory"),
        (TypeError("Couldn't parse file content!"), "not enough memory"),
        (_caused(ValueError(), _caused(InputError(), MemoryError())), "not enough memory"),
    ],
)
def test_what_the_machine_lacks(error, says):
    assert says in starved(error)


def test_what_was_raised_while_memory_was_short():
    try:
        try:
            raise MemoryError
        except MemoryError:
            raise KeyError("x")  # noqa: B904 - it is the context that counts
    except KeyError as error:
        assert "not enough memory" in starved(error)


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ENOSPC, ""),
        OSError("can't start new thread"),
        ValueError("out of memory"),
        ImportError("no module named x"),
        InputError(),
    ],
)
def test_any_other_error(error):
    assert starved(error) is None


@pytest.mark.parametrize("limit", [resource.RLIM_INFINITY, 1 << 30])
def test_a_function_of_c_without_an_exception_where_memory_is_limited(limit, monkeypatch):
    monkeypatch.setattr(resource, "getrlimit", lambda which: (limit, limit))
    assert (starved(SystemError()) is None) is (limit == resource.RLIM_INFINITY)


def test_a_bug_of_ours_is_none_of_the_users_and_an_interrupt_passes_by_what_catches_exceptions():
    assert issubclass(UsageError, InputError)
    assert not issubclass(InternalError, InputError)
    assert not issubclass(InterruptedRunError, Exception)
    assert issubclass(InterruptedRunError, KeyboardInterrupt)


def test_a_number_of_things():
    assert [count_words(n, "model") for n in (0, 1, 2)] == ["0 models", "1 model", "2 models"]
    assert count_words(2, "box", "es") == "2 boxes"
