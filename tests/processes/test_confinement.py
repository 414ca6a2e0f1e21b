"""confinement.py: each rule in a fork of its own, and what a model could do if every check before it were wrong."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import fcntl
import importlib.util
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import struct
import sys
import tempfile
import threading
import time
import types
from collections.abc import Callable, Iterator

import pytest

import migrate
from migrate import codec
from migrate.errors import InternalError
from migrate.graph import contract
from migrate.keras_loader.request import Request
from migrate.model import confined_steps
from migrate.processes import confinement, seccomp
from migrate.processes.confinement import ConfinedJob, Confinement, confine, in_force
from migrate.processes.forks import Runner
from migrate.records import Confined, Converted, Kind, ModelReport, Options, Report
from migrate.report.json import to_document
from migrate.report.text import render
from migrate.sources.discover import place_of
from migrate.sources.keras_source import read_keras
from migrate.sources.read import files_of
from migrate.sources.sandbox import guarded
from migrate.sources.saved_model import read_saved_model
from migrate.verify import record_golden, record_keras_golden
from migrate.verify.calls import Golden
from tests import confined_jobs, conversions

pytestmark = pytest.mark.process
_HERE = in_force()
_needs_landlock = pytest.mark.skipif(not _HERE.landlock, reason=f"no Landlock here: {_HERE.reason}")
_needs_seccomp = pytest.mark.skipif(not _HERE.seccomp, reason=f"no seccomp here: {_HERE.reason}")
_DONE = "done"


class Place:
    """Directories of a step: a model to read, a staging and a scratch directory to write, and others' files."""

    def __init__(self, root: pathlib.Path) -> None:
        self.model, self.staging, self.scratch, self.other = (
            root / n for n in ("model", "staging", "scratch", "other")
        )
        for directory in (self.model, self.staging, self.scratch, self.other):
            directory.mkdir()
            (directory / "file").write_text("content")
            (directory / "folder").mkdir()

    @property
    def confinement(self) -> Confinement:
        return Confinement((str(self.model),), (), (str(self.staging),))

    def attempt(self, action: Callable[[], object], given: Confinement | None = None) -> str:
        """`done`, or the name of the error that an action ends with in a confined fork."""

        def work() -> str:
            confine(self.confinement if given is None else given, str(self.scratch))
            return _ending(action)

        return _in_fork(work)


def _ending(action: Callable[[], object]) -> str:
    try:
        action()
    except OSError as error:
        return errno.errorcode[error.errno or 0]
    return _DONE


def _in_fork(work: Callable[[], str]) -> str:
    answer, end = os.pipe()
    pid = os.fork()
    if not pid:
        text = "no answer"
        try:
            text = work()
        except BaseException as error:
            text = f"{type(error).__name__}: {error}"
        finally:
            os.write(end, text.encode())
            os._exit(0)
    os.close(end)
    with open(answer, encoding="utf-8") as stream:
        text = stream.read()
    os.waitpid(pid, 0)
    return text


@pytest.fixture
def place(tmp_path: pathlib.Path) -> Place:
    return Place(tmp_path)


# Files

_WRITES = {
    "make a file": lambda p: (p / "new").write_text("x"),
    "overwrite a file": lambda p: (p / "file").write_text("x"),
    "append to a file": lambda p: (p / "file").open("a"),
    "shorten a file": lambda p: os.truncate(p / "file", 1),
    "remove a file": lambda p: (p / "file").unlink(),
    "remove a directory": lambda p: (p / "folder").rmdir(),
    "make a directory": lambda p: (p / "new").mkdir(),
    "rename": lambda p: (p / "file").rename(p / "new"),
    "rename to another directory": lambda p: (p / "file").rename(p / "folder" / "file"),
    "link": lambda p: os.link(p / "file", p / "new"),
    "a symbolic link": lambda p: os.symlink("/", p / "new"),
    "a pipe": lambda p: os.mkfifo(p / "new"),
    "a socket": lambda p: _bound(p / "new"),
    "a device": lambda p: os.mknod(p / "new", 0o600 | 0o020000, os.makedev(1, 3)),
}


def _bound(path: pathlib.Path) -> None:
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(str(path))


@pytest.mark.slow
@_needs_landlock
@pytest.mark.parametrize("where", ["model", "other"])
@pytest.mark.parametrize("write", _WRITES)
def test_nothing_outside_is_written(place, write, where):
    assert place.attempt(lambda: _WRITES[write](getattr(place, where))) in ("EACCES", "EPERM", "EXDEV")
    assert sorted(entry.name for entry in getattr(place, where).iterdir()) == ["file", "folder"]
    assert (getattr(place, where) / "file").read_text() == "content"


_NEVER = ("a pipe", "a socket", "a device", "shorten a file")
"""What a step has no need of, wherever it is. A file that is open is shortened by `ftruncate`."""


@pytest.mark.slow
@_needs_landlock
@pytest.mark.parametrize("where", ["staging", "scratch"])
@pytest.mark.parametrize("write", _WRITES)
def test_the_new_model_and_the_scratch_directory_are_written(place, write, where):
    refused = write in _NEVER or (write, where) == ("a symbolic link", "staging")
    found = place.attempt(lambda: _WRITES[write](getattr(place, where)))
    assert found in ("EACCES", "EPERM") if refused else found == _DONE


@_needs_landlock
def test_a_source_is_not_linked_into_the_new_model(place):
    """Through the link it could be written."""
    assert place.attempt(lambda: os.link(place.model / "file", place.staging / "linked")) == "EXDEV"
    assert place.attempt(lambda: (place.model / "file").rename(place.staging / "taken")) in ("EXDEV", "EACCES")


@_needs_landlock
def test_only_the_model_is_read(place):
    for path in (place.model / "file", place.staging / "file", place.scratch / "file"):
        assert place.attempt(path.read_text) == _DONE
    assert place.attempt(lambda: os.listdir(place.model)) == _DONE
    for path in (place.other / "file", pathlib.Path("/etc/passwd"), pathlib.Path("/etc/hosts")):
        assert place.attempt(path.read_text) == "EACCES"
    for directory in (place.other, place.other.parent, "/", "/etc", os.path.expanduser("~"), tempfile.gettempdir()):
        assert place.attempt(lambda directory=directory: os.listdir(directory)) == "EACCES"


@_needs_landlock
def test_a_link_in_the_model_is_no_way_out(place):
    (place.model / "out").symlink_to(place.other / "file")
    assert place.attempt((place.model / "out").read_text) == "EACCES"


@_needs_landlock
def test_no_other_process_is_read(place):
    parent = os.getpid()
    for name in ("environ", "maps", "mem", "fd"):
        path = f"/proc/{parent}/{name}"
        look = os.listdir if name == "fd" else open
        assert place.attempt(lambda look=look, path=path: look(path)) == "EACCES"
    assert place.attempt(pathlib.Path("/proc/self/maps").read_text) == _DONE


@_needs_landlock
def test_names_alone_may_be_allowed(place):
    given = Confinement((str(place.other / "file"),), (str(place.other),))
    (place.other / "secret").write_text("x")
    assert place.attempt(lambda: os.listdir(place.other), given) == _DONE
    assert place.attempt((place.other / "file").read_text, given) == _DONE
    assert place.attempt((place.other / "secret").read_text, given) == "EACCES"


@_needs_landlock
def test_python_and_its_libraries_still_work(place):
    def use() -> None:
        import colorsys  # noqa: F401 (a module that nobody has imported yet)
        import sqlite3  # noqa: F401 (one that loads a library)

        pathlib.Path(os.devnull).write_text("x")
        with open("/dev/urandom", "rb") as random:
            random.read(1)
        time.localtime()
        with tempfile.TemporaryFile(dir=place.scratch) as file:
            file.write(b"x")

    assert place.attempt(use) == _DONE


@_needs_landlock
def test_a_home_that_is_in_the_import_path_is_not_readable(place, monkeypatch):
    """Its modules are; a package's own directory is that package's."""
    home = place.other
    (home / "layers.py").write_text("X = 1")
    (home / "package").mkdir()
    (home / "package" / "__init__.py").write_text("")
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.syspath_prepend(str(home))
    for path, expected in (("layers.py", _DONE), ("package/__init__.py", _DONE), ("file", "EACCES")):
        assert place.attempt((home / path).read_text) == expected
    assert place.attempt(lambda: __import__("layers")) == _DONE


@_needs_landlock
@pytest.mark.parametrize("when", ["prepared later", "prepared before", "prepared for modules that are gone"])
def test_packages_that_sys_path_does_not_lead_to_are_read(place, monkeypatch, when):
    """This package may be one, and so is what `pip install -e` finds with a hook of its own."""
    confinement._prepared_packages.cache_clear()
    if when == "prepared before":
        confinement.prepare()
    if when == "prepared for modules that are gone":
        with monkeypatch.context() as patched:
            patched.setitem(sys.modules, "gone", types.ModuleType("gone"))
            confinement.prepare()
    monkeypatch.setattr(confinement.sys, "path", [p for p in sys.path if pathlib.Path(p or ".") != conversions.ROOT])
    package = types.ModuleType("hooked")
    package.__path__ = [str(place.other)]
    monkeypatch.setitem(sys.modules, "hooked", package)
    assert place.attempt((place.other / "file").read_text) == _DONE
    assert place.attempt(pathlib.Path(confinement.__file__).read_text) == _DONE


@_needs_landlock
@pytest.mark.parametrize("how", ["by directory", "by file"])
def test_an_environment_that_is_made_of_links_is_read(place, monkeypatch, how):
    """Packages are found behind them; what else a link beside them leads to is not."""
    store, environment = place.other / "store" / "layers", place.other.parent / "environment"
    store.mkdir(parents=True)
    environment.mkdir()
    for name in ("__init__.py", "inner.py"):
        (store / name).write_text("X = 1")
    if how == "by directory":
        (environment / "layers").symlink_to(store)
    else:
        (environment / "layers").mkdir()
        for name in ("__init__.py", "inner.py"):
            (environment / "layers" / name).symlink_to(store / name)
    (environment / "data").symlink_to(place.other)
    monkeypatch.syspath_prepend(str(environment))
    assert place.attempt(lambda: importlib.import_module("layers.inner")) == _DONE
    assert place.attempt((environment / "data" / "file").read_text) == "EACCES"


@_needs_landlock
@pytest.mark.parametrize("variable", ["HOME", "KERAS_HOME"])
def test_of_a_home_the_settings_of_keras_are_read(place, monkeypatch, variable):
    """Keras does not start where they are there and may not be read."""
    folder = place.other / ".keras"
    folder.mkdir()
    (folder / "keras.json").write_text("{}")
    (folder / "token").write_text("secret")
    monkeypatch.delenv("KERAS_HOME", raising=False)
    monkeypatch.setenv(variable, str(folder if variable == "KERAS_HOME" else place.other))
    assert place.attempt((folder / "keras.json").read_text) == _DONE
    assert place.attempt((folder / "token").read_text) == "EACCES"


@_needs_landlock
def test_what_a_confined_process_starts_is_confined(place):
    def start() -> None:
        found = _in_fork(lambda: _ending((place.other / "file").read_text))
        raise OSError(getattr(errno, found), found)

    assert place.attempt(start) == "EACCES"


# System calls

_LIBC = ctypes.CDLL(None, use_errno=True)


def _system_call(name: str, *arguments: int) -> None:
    calls = seccomp.CALLS[os.uname().machine]
    number = {**calls.denied, **calls.own, "prlimit": calls.prlimit, "socketpair": calls.socketpair}[name]
    _raw(number, *arguments)


def _raw(number: int, *arguments: int) -> None:
    if _LIBC.syscall(ctypes.c_long(number), *(ctypes.c_long(a) for a in arguments)) < 0:
        raise OSError(ctypes.get_errno(), "refused")


def _run_from_memory() -> None:
    program = os.memfd_create("program")
    with open("/bin/true" if os.path.exists("/bin/true") else "/usr/bin/true", "rb") as file:
        os.write(program, file.read())
    os.execve(program, ["true"], {})


_STAGED_CHANGES = {
    "chmod": lambda p: os.chmod(p, 0o777),
    "fchmod": lambda p: os.fchmod(os.open(p, os.O_RDONLY), 0o777),
    "chown": lambda p: os.chown(p, os.getuid(), os.getgid()),
    "lchown": lambda p: os.lchown(p, os.getuid(), os.getgid()),
    "fchown": lambda p: os.fchown(os.open(p, os.O_RDONLY), os.getuid(), os.getgid()),
    "utime": lambda p: os.utime(p, (1, 1)),
    "futimens": lambda p: os.utime(os.open(p, os.O_RDONLY), (1, 1)),
    "setxattr": lambda p: os.setxattr(p, "user.x", b"x"),
    "removexattr": lambda p: os.removexattr(p, "user.x"),
    "flags": lambda p: fcntl.ioctl(os.open(p, os.O_RDONLY), 0x40086602, struct.pack("=q", 0)),
}


@_needs_seccomp
@pytest.mark.parametrize("where", ["model", "staging", "other"])
@pytest.mark.parametrize("change", _STAGED_CHANGES)
def test_no_mode_owner_time_or_attribute_is_changed(place, change, where):
    file = getattr(place, where) / "file"
    before = os.stat(file)
    given = Confinement((str(place.model), str(place.other)), (), (str(place.staging),))
    assert place.attempt(lambda: _STAGED_CHANGES[change](file), given) == "EPERM"
    after = os.stat(file)
    assert (before.st_mode, before.st_uid, before.st_mtime_ns) == (after.st_mode, after.st_uid, after.st_mtime_ns)


@_needs_seccomp
@pytest.mark.parametrize("family", ["AF_INET", "AF_INET6", "AF_UNIX", "AF_NETLINK", "AF_PACKET", "AF_VSOCK"])
def test_no_socket_is_opened(place, family):
    number = getattr(socket, family)
    assert (
        place.attempt(lambda: socket.socket(number, socket.SOCK_RAW if number == 17 else socket.SOCK_DGRAM)) == "EPERM"
    )


@_needs_seccomp
def test_pairs_of_sockets_are_opened(place):
    assert place.attempt(socket.socketpair) == _DONE
    assert place.attempt(lambda: socket.socketpair(socket.AF_INET)) == "EPERM"


@_needs_seccomp
@pytest.mark.parametrize(
    "start",
    [lambda: os.execv("/bin/sh", ["sh", "-c", ":"]), _run_from_memory],
    ids=["a program", "one in memory"],
)
def test_no_program_is_started(place, start):
    given = Confinement(("/bin", "/usr/bin"), (), ())
    assert place.attempt(start, given) in ("EPERM", "EACCES")


@_needs_seccomp
@pytest.mark.parametrize(
    "reach",
    {
        "kill": lambda parent: os.kill(parent, 0),
        "killpg": lambda parent: os.killpg(os.getpgid(parent), 0),
        "everybody": lambda parent: os.kill(-1, 0),
        "tgkill": lambda parent: _system_call("tgkill", parent, parent, 0),
        "tkill": lambda parent: _system_call("tkill", parent, 0),
        "sigqueue": lambda parent: _system_call("rt_sigqueueinfo", parent, 0, 0),
        "pidfd": lambda parent: _system_call("pidfd_send_signal", 0, 0, 0, 0),
        "ptrace": lambda parent: _system_call("ptrace", 16, parent, 0, 0),
        "read its memory": lambda parent: _system_call("process_vm_readv", parent, 0, 0, 0, 0, 0),
        "write its memory": lambda parent: _system_call("process_vm_writev", parent, 0, 0, 0, 0, 0),
        "take its files": lambda parent: _system_call("pidfd_getfd", 0, 0, 0),
        "its limits": lambda parent: _system_call("prlimit", parent, 0, 0, 0),
    }.items(),
    ids=lambda item: item[0],
)
def test_no_other_process_is_reached(place, reach):
    parent = os.getpid()
    assert place.attempt(lambda: reach[1](parent)) == "EPERM"


@_needs_seccomp
def test_its_own_process_is_reached(place):
    assert place.attempt(lambda: os.kill(os.getpid(), 0)) == _DONE
    assert place.attempt(lambda: _system_call("tgkill", os.getpid(), os.getpid(), 0)) == _DONE
    assert place.attempt(lambda: _system_call("prlimit", 0, 0, 0, 0)) == _DONE
    assert place.attempt(lambda: signal.raise_signal(signal.SIGCONT)) == _DONE


@_needs_seccomp
@pytest.mark.parametrize("name", sorted(seccomp.CALLS.get(os.uname().machine, seccomp.CALLS["x86_64"]).denied))
def test_each_call_that_is_denied_is_denied(place, name):
    """With arguments for which it would fail in another way, where it failed at all."""
    assert place.attempt(lambda: _system_call(name, -1, 0, 0, 0, 0, 0)) == "EPERM"


@_needs_seccomp
def test_the_same_calls_by_the_numbers_of_x32_are_denied(place):
    if os.uname().machine != "x86_64":
        pytest.skip("x86-64 has them")
    assert place.attempt(lambda: _raw(0x40000000 + 41, 2, 1, 0)) == "EPERM"


@_needs_seccomp
def test_no_new_privileges(place):
    def look() -> None:
        text = pathlib.Path("/proc/self/status").read_text()
        assert re.search(r"NoNewPrivs:\s*1", text)
        assert re.search(r"Seccomp:\s*2", text)

    assert place.attempt(look) == _DONE


# Kernels that this machine does not have


class _Kernel:
    """Stands for the kernel's Landlock: of some ABI, or none."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, abi: int, reason: int = 0) -> None:
        self.handled: tuple[int, ...] = ()
        self.rules: list[tuple[int, int]] = []
        self.restricted = False

        def call(number: int, *arguments: object) -> int:
            if number == 444 and arguments[-1] == 1:
                if not abi:
                    ctypes.set_errno(reason)
                    return -1
                return abi
            if number == 444:
                assert arguments[1] == len(arguments[0])
                self.handled = struct.unpack(f"={len(arguments[0]) // 8}Q", arguments[0])
                return os.open(os.devnull, os.O_RDONLY)
            if number == 445:
                self.rules.append(struct.unpack("=Qi", arguments[2]))
                return 0
            assert number == 446
            self.restricted = True
            return 0

        monkeypatch.setattr(confinement, "_call", call)


@pytest.mark.parametrize(
    ("abi", "expected"),
    [
        (1, (0x1FFF,)),
        (2, (0x3FFF,)),
        (3, (0x7FFF,)),
        (4, (0x7FFF, 3)),
        (5, (0xFFFF, 3)),
        (6, (0xFFFF, 3, 3)),
        (7, (0xFFFF, 3, 3)),
        (9, (0xFFFF, 3, 3)),
    ],
)
def test_each_abi_is_asked_for_what_it_has(monkeypatch, place, abi, expected):
    kernel = _Kernel(monkeypatch, abi)
    assert confinement._landlock(writes=False) == (abi, "")
    confinement._restrict_files(abi, place.confinement, str(place.scratch))
    assert kernel.restricted
    assert kernel.handled == expected
    assert kernel.rules
    assert not any(rights & ~expected[0] for rights, _ in kernel.rules)  # Else the kernel refuses the rule.


def test_an_abi_without_renames_is_not_for_steps_that_write(monkeypatch):
    _Kernel(monkeypatch, 1)
    assert in_force(writes=False).landlock == 1
    found = in_force(writes=True)
    assert (found.landlock, found.reason) == (0, "Landlock 1 forbids the renames by which TensorFlow saves")


@pytest.mark.parametrize(
    ("reason", "expected"),
    [
        (errno.ENOSYS, "the kernel has no Landlock"),
        (errno.EOPNOTSUPP, "Landlock is switched off in this kernel"),
        (errno.EPERM, "Landlock may not be used here (Operation not permitted)"),
    ],
)
def test_a_kernel_without_landlock_is_told(monkeypatch, reason, expected):
    _Kernel(monkeypatch, 0, reason)
    found = in_force()
    assert (found.landlock, found.reason) == (0, expected)


@_needs_seccomp
def test_without_landlock_the_calls_are_still_filtered(monkeypatch, place):
    _Kernel(monkeypatch, 0, errno.ENOSYS)
    assert place.attempt((place.other / "file").read_text) == _DONE
    assert place.attempt(socket.socket) == "EPERM"


def test_another_system_is_not_confined(monkeypatch, place):
    monkeypatch.setattr(confinement.sys, "platform", "darwin")
    found = in_force()
    assert (found.landlock, found.seccomp) == (0, False)
    assert found.reason
    assert place.attempt((place.other / "file").read_text) == _DONE


def test_another_processor_is_not_confined_by_seccomp(monkeypatch):
    monkeypatch.setattr(seccomp, "CALLS", {})
    found = in_force()
    assert not found.seccomp
    assert "are not known" in found.reason


# Misuse


def test_a_process_with_threads_is_not_half_confined(place):
    def work() -> str:
        stop = threading.Event()
        threading.Thread(target=stop.wait, daemon=True).start()
        with pytest.raises(InternalError, match="threads"):
            confine(place.confinement)
        return _DONE

    assert _in_fork(work) == _DONE


def test_a_job_without_a_scratch_directory_of_its_own_is_not_run(monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", None)
    with pytest.raises(InternalError, match="scratch"):
        confinement.run(ConfinedJob("tests.confined_jobs", confined_jobs.Job("x", ()), Confinement()))


# HDF5


@_needs_landlock
def test_what_reads_hdf5_reads_the_model_alone(place):
    model, other = place.model / "file", place.other / "file"
    assert guarded(str(model), model.read_text, str) == "content"
    with pytest.raises(PermissionError):
        guarded(str(model), other.read_text, str)
    with pytest.raises(PermissionError):
        guarded(str(model), lambda: (place.other / "new").write_text("x"), int)
    assert guarded(str(model), other.read_text, str, (str(other),)) == "content"


@_needs_seccomp
def test_what_reads_hdf5_opens_no_socket(place):
    with pytest.raises(PermissionError):
        guarded(str(place.model / "file"), socket.socket, int)


# The report


def _report(found: Confined | None) -> Report:
    return Report((ModelReport("m", "out", Kind.TF1_SAVED_MODEL, Converted(), confinement=found),))


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (Confined(7, True), "confinement Landlock 7, seccomp"),
        (Confined(0, True, "the kernel has no Landlock"), "seccomp (the kernel has no Landlock)"),
        (Confined(0, False, "seccomp is for Linux"), "not confined (seccomp is for Linux)"),
        (
            Confined(4, True, lifted=("verification",)),
            "Landlock 4, seccomp; lifted for verification by --allow_side_effects",
        ),
    ],
)
def test_the_report_says_what_is_on(found, expected):
    assert expected in " ".join(render(_report(found), 200).split())
    assert to_document(_report(found))["models"][0]["confinement"] == {
        "landlock": found.landlock,
        "seccomp": found.seccomp,
        "reason": found.reason,
        "lifted": found.lifted,
    }


def test_the_record_survives_a_journal_and_an_older_one_is_read():
    model = _report(Confined(7, True, "", ("verification",))).models[0]
    encoded = json.loads(json.dumps(codec.encode(model)))
    assert codec.decode(ModelReport, encoded) == model
    del encoded["confinement"]
    assert codec.decode(ModelReport, encoded).confinement is None
    assert "confinement" not in render(_report(None), 100)


# Attacks


@pytest.fixture(scope="module")
def listener() -> Iterator[tuple[int, list[object]]]:
    """A port, and who has connected to it."""
    found: list[object] = []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            with contextlib.suppress(OSError):
                while True:
                    connection, address = server.accept()
                    connection.close()
                    found.append(address)

        threading.Thread(target=serve, daemon=True).start()
        yield server.getsockname()[1], found
        with contextlib.suppress(OSError):
            server.shutdown(socket.SHUT_RDWR)


@pytest.fixture
def victim(tmp_path: pathlib.Path, listener: tuple[int, list[object]]) -> tuple[str, ...]:
    """Other people's files, a model, a port of somebody who must not be called, and a library to load."""
    other, model = tmp_path / "other", tmp_path / "model"
    (other / "checkpoint").mkdir(parents=True)
    (other / "secret").write_text("secret 7\n")
    shutil.copytree(conversions.MODELS / "vocabulary", model)
    for file in (model / "variables").iterdir():
        shutil.copy(file, other / "checkpoint" / file.name.replace("variables", "part"))
    library = other / "library.so"
    shutil.copy(importlib.util.find_spec("_ctypes").origin, library)
    return str(other), str(model), str(listener[0]), str(library)


def _files(*directories: str) -> dict[str, tuple[int, bytes]]:
    """Every file below some directories: mode and content."""
    found = (p for d in directories for p in sorted(pathlib.Path(d).rglob("*")))
    return {str(p): (p.stat().st_mode, p.read_bytes() if p.is_file() else b"") for p in found}


_UNANSWERED = ("debug_grpc",)
"""What goes on for ever where it reaches somebody, and where it does not."""


def _attack(runner: Runner, name: str, victim: tuple[str, ...]) -> str:
    return str(runner.run("attack", "tests.confined_jobs", confined_jobs.Job(name, victim), str, 120))


@pytest.mark.slow
@_needs_landlock
@_needs_seccomp
@pytest.mark.tensorflow
@pytest.mark.parametrize("name", confined_jobs.ATTACKS)
def test_no_attack_reaches_out_of_a_confined_child(nursery, victim, listener, name):
    """The same step carries out each of them where it is free: so none of these tests passes by mistake."""
    before, called = _files(*victim[:2]), len(listener[1])
    source = read_saved_model(victim[1])
    found = _attack(confined_steps.asking(nursery, source, Options()), name, victim)
    assert not found.startswith("done"), found
    assert _files(*victim[:2]) == before
    assert len(listener[1]) == called
    if name not in _UNANSWERED:
        free = _attack(confined_steps.asking(nursery, source, Options(allow_side_effects=True)), name, victim)
        assert free.startswith("done") or _files(*victim[:2]) != before or len(listener[1]) > called, free


@pytest.mark.slow
@_needs_landlock
@_needs_seccomp
@pytest.mark.tensorflow
@pytest.mark.parametrize("name", confined_jobs.ATTACKS)
def test_what_exports_is_confined_whatever_the_user_allows(nursery, victim, listener, tmp_path, name):
    before, called = _files(*victim[:2]), len(listener[1])
    staged = tmp_path / "staging" / "model"
    staged.parent.mkdir()
    (staged.parent / "weights").write_text("weights")
    found = _attack(confined_steps.exporting(nursery, read_saved_model(victim[1]), str(staged)), name, victim)
    assert not found.startswith("done"), found
    assert _files(*victim[:2]) == before
    assert len(listener[1]) == called


@_needs_landlock
@pytest.mark.tensorflow
def test_what_exports_writes_the_new_model_and_nothing_beside_it(nursery, victim, tmp_path):
    """Beside it may lie hard links to the source's data files."""
    staged = tmp_path / "staging" / "model"
    staged.parent.mkdir()
    runner = confined_steps.exporting(nursery, read_saved_model(victim[1]), str(staged))
    beside = _attack(runner, "python_write", (str(staged.parent), *victim[1:]))
    assert beside.startswith("PermissionError"), beside
    assert _attack(runner, "python_write", (str(staged), *victim[1:])).startswith("done")


@pytest.fixture(scope="module")
def attackers(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """SavedModels that write, read and delete, one when it is restored, the other when it is called."""
    root = tmp_path_factory.mktemp("attackers")
    conversions.run_child(["-m", "tests.confined_graphs", str(root), str(root / "other")])
    return root


class _Unjudging:
    """Runs steps without the checks that they make themselves."""

    def __init__(self, runner: Runner) -> None:
        self._runner = runner

    def run(self, step: str, module: str, job: object, kind: object, timeout_seconds: float) -> object:
        assert module == "migrate.verify.replay"
        return self._runner.run(step, "tests.confined_jobs", confined_jobs.Unjudged(job), kind, timeout_seconds)


@_needs_landlock
@pytest.mark.tensorflow
@pytest.mark.parametrize("free", [False, True], ids=["confined", "allowed"])
@pytest.mark.parametrize("when", ["restored", "called"])
def test_golden_answers_of_a_model_that_nobody_has_judged(nursery, attackers, victim, when, free):
    """The step is asked for directly, and looks at nothing, as if every table called each op harmless."""
    other, model = attackers / "other", attackers / when
    shutil.rmtree(other, ignore_errors=True)
    shutil.copytree(victim[0], other)
    before = _files(str(other), str(model))
    source = read_saved_model(str(model))
    (meta_graph,) = source.meta_graphs
    runner = _Unjudging(confined_steps.asking(nursery, source, Options(allow_side_effects=free)))
    found = record_golden(runner, source, meta_graph, contract.signatures(meta_graph), timeout_seconds=120)
    assert (_files(str(other), str(model)) != before) is free
    assert ("secret 7" in repr(found)) is (free and when == "called")


@pytest.mark.slow
@_needs_landlock
@_needs_seccomp
@pytest.mark.tensorflow
@pytest.mark.parametrize("free", [False, True], ids=["confined", "allowed"])
def test_keras_models_with_code_of_the_users(nursery, victim, listener, tmp_path, free):
    other, _, port, _ = victim
    file = tmp_path / "keras" / "model.h5"
    file.parent.mkdir()
    conversions.run_child(["-m", "tests.confined_layers", str(file), f"{other}/pwned", port])
    before, called = _files(other), len(listener[1])
    source = read_keras(files_of(place_of(str(file))))
    request = Request(source, ("tests.confined_layers:Writer",), trust=False)
    runner = confined_steps.asking_keras(nursery, request, Options(allow_side_effects=free))
    found = record_keras_golden(runner, request, None, 120)
    assert isinstance(found, Golden), found
    assert found.answers
    assert (_files(other) == before) is not free
    assert (len(listener[1]) == called) is not free


@pytest.mark.tensorflow
def test_the_report_of_a_conversion(tmp_path):
    model = conversions.MODELS / "simple_save"
    (report,) = migrate.convert(str(model), str(tmp_path / "new")).models
    assert report.confinement == in_force()
    (report,) = migrate.convert(str(model), str(tmp_path / "free"), Options(allow_side_effects=True)).models
    assert report.confinement == in_force(lifted=("verification",))
    (report,) = migrate.validate(str(tmp_path / "new"), against=str(model)).models
    assert report.confinement == in_force(writes=False)
    (report,) = migrate.audit(str(model)).models
    assert report.confinement is None


_PAGE = conversions.ROOT / "docs" / "security.md"
_TEST = re.compile(r"`(tests/\S+\.py)`|`(test_\w+)(?:\[[^`]*\])?`")


def test_the_tests_that_the_documentation_names_are_there():
    rows = [line for line in _PAGE.read_text().splitlines() if line.startswith("| ") and "`test_" in line]
    assert len(rows) > 20
    for row in rows:
        for cell in row.split("|"):
            file = "tests/processes/test_confinement.py"
            for path, name in _TEST.findall(cell):
                file = path or file
                code = (conversions.ROOT / file).read_text()
                assert not name or f"def {name}(" in code, f"{file} has no {name}"


def test_each_attack_of_the_documentation_has_a_test():
    text = _PAGE.read_text()
    assert "TODO" not in text
    assert not re.sub("<!-- (made by tools/compare_scanners.py|end) -->", "", text).count("<!--")
    table = text[text.index("## Attack classes") : text.index("## Which graphs are too large")]
    rows = [line for line in table.splitlines() if line.startswith("| ")][1:]
    same = None
    for row in rows:
        _, attack, first, its, second, others, _ = (cell.strip() for cell in row.split("|"))
        assert bool(first) == ("`test_" in its), attack
        assert bool(second) == ("`test_" in others or others == "the same"), attack
        assert same or others != "the same", attack
        same = others or same
