"""install.py: what can go wrong, in a line each. A made wheel; the real one is in tests/product/test_tf1_runtime.py."""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import subprocess
import zipfile

import pytest

from migrate.errors import InputError
from migrate.records import Crashed, Failed, TimedOut
from migrate.tf1_runtime import install, place
from migrate.tf1_runtime.layout import FRAMEWORK, RUNTIME
from migrate.tf1_runtime.trial import FoundOps, OpsJob, Tried
from tests.tf1_runtime.test_weaken import library

_LIBRARY = library([("PyX", 1, 0)])
_CONTRIB = "tensorflow_core/contrib/text/python/ops/_skip_gram_ops.so"
_FILES = {
    FRAMEWORK: b"framework",
    RUNTIME: _LIBRARY,
    _CONTRIB: b"ops",
    "tensorflow_core/contrib/text/__init__.py": b"never unpacked",
    "tensorflow_core/contrib/../../../escaped.so": b"never unpacked",
    "tensorflow_core/python/_tf_stack.so": b"never unpacked",
}


@pytest.fixture(autouse=True)
def _cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(install, "reason_against", lambda: None)


class _Children:
    """Gives results in the place of the children that run the runtime."""

    def __init__(self, *results):
        self.results = list(results)
        self.jobs = []

    def __call__(self, **_):
        return self

    def run(self, step, module, job, kind, seconds):
        self.jobs.append(job)
        return self.results.pop(0)


@pytest.fixture
def wheel(tmp_path, monkeypatch):
    """Makes a wheel of some files, whose digest is the one that is expected."""

    def make(files=_FILES, is_expected=True):
        path = tmp_path / "made.whl"
        with zipfile.ZipFile(path, "w") as archive:
            for name, data in files.items():
                archive.writestr(name, data)
        if is_expected:
            monkeypatch.setattr(install, "SHA256", hashlib.sha256(path.read_bytes()).hexdigest())
            monkeypatch.setattr(place, "SHA256", install.SHA256)
        return str(path)

    return make


@pytest.fixture
def children(monkeypatch):
    """Gives the children's results."""

    def give(*results):
        made = _Children(*results)
        monkeypatch.setattr(install, "FreshInterpreters", made)
        monkeypatch.setattr(install, "Confining", lambda runner, confinement: runner)
        return made

    return give


_OPS = FoundOps({"Abs": ("T",), "SkipGramX": ()}, {"SkipGramX": _CONTRIB})
_GOOD = (_OPS, Tried("1.15.5"))


def _reason(wheel, **arguments):
    with pytest.raises(InputError) as error:
        install.install(wheel, print, **arguments)
    assert "\n" not in str(error.value)
    assert not [name for name in os.listdir(place.cache_directory()) if name.startswith(".")]
    return str(error.value)


def test_it_is_installed_and_removed(wheel, children, capsys):
    made = children(*_GOOD)
    found = install.install(wheel(), print)
    assert place.find() == found and found.libraries == 1 and found.ops == 2
    unpacked = [os.path.join(folder, file) for folder, _, files in os.walk(found.directory) for file in files]
    assert sorted(os.path.relpath(path, found.directory) for path in unpacked) == sorted(
        [FRAMEWORK, RUNTIME, _CONTRIB, place.FACTS, place.OPS]
    )
    assert isinstance(made.jobs[0], OpsJob) and made.jobs[0].libraries == (_CONTRIB,)
    assert place.ops_of(found.directory)["SkipGramX"].library == _CONTRIB
    with open(os.path.join(found.directory, RUNTIME), "rb") as file:
        assert file.read() != _LIBRARY
    assert "answers as it should" in capsys.readouterr().out
    assert install.remove() == found.directory and place.find() is None
    assert os.listdir(place.cache_directory()) == [] and install.remove() is None


@pytest.mark.parametrize("umask", [0, 0o002])
def test_a_generous_umask_gives_nobody_the_right_to_write(umask, wheel, children):
    """As of the many systems on which each user has a group of the same name."""
    children(*_GOOD)
    path = wheel()
    earlier = os.umask(umask)
    try:
        os.makedirs(os.path.dirname(place.cache_directory()), mode=0o700)
        found = install.install(path, print)
    finally:
        os.umask(earlier)
    assert place.find() == found
    everything = [
        os.path.join(top, name) for top, folders, files in os.walk(found.directory) for name in folders + files
    ]
    assert not [path for path in everything if os.stat(path).st_mode & 0o022]


def test_it_replaces_another_one(wheel, children):
    children(*_GOOD, *_GOOD)
    path = wheel()
    first = install.install(path, print)
    assert install.install(path, print) == first == place.find()
    assert os.listdir(place.cache_directory()) == ["tensorflow-1.15.5"]


@pytest.mark.parametrize(
    "results",
    [
        (Failed("no such symbol"),),
        (Crashed("trial", -4, "Illegal instruction"),),
        (_OPS, TimedOut("trial", 300.0)),
        (_OPS, Failed("it answers 1 to the model")),
    ],
    ids=["failed", "crashed", "timed out", "wrong answer"],
)
def test_one_that_does_not_run_here_leaves_the_earlier_one(wheel, children, results):
    children(*_GOOD, *results)
    path = wheel()
    earlier = install.install(path, print)
    assert "does not run on this machine" in _reason(path)
    assert place.find() == earlier


def test_no_such_file():
    assert "no such file" in _reason("nowhere.whl") and "no such file" in _reason("")
    assert "is no file" in _reason(os.curdir)


def test_another_file(wheel):
    reason = _reason(wheel(is_expected=False))
    assert place.SHA256 in reason and "fetch it again" in reason


def test_no_wheel(tmp_path, monkeypatch):
    path = tmp_path / "broken.whl"
    path.write_bytes(b"PK\3\4 and no more")
    monkeypatch.setattr(install, "SHA256", hashlib.sha256(path.read_bytes()).hexdigest())
    assert "not a wheel, or damaged" in _reason(str(path))


def test_a_wheel_without_the_runtime(wheel):
    assert "lacks" in _reason(wheel({FRAMEWORK: b""}))


def test_a_runtime_that_is_no_library(wheel):
    assert "not an ELF file" in _reason(wheel({**_FILES, RUNTIME: b"text"}))


def test_another_version(wheel, children):
    children(_OPS, Tried("1.15.4"))
    assert "holds TensorFlow 1.15.4, not 1.15.5" in _reason(wheel())


def test_no_space_is_told_before_anything_is_unpacked(wheel, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(10, 9, 1))
    assert "are free; make room" in _reason(wheel())


def test_no_space_in_the_middle(wheel, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(shutil, "copyfileobj", full)
    assert "no space is left for the runtime" in _reason(wheel())


def test_a_file_that_may_not_be_so_large(wheel, monkeypatch):
    def full(*_):
        raise OSError(errno.EFBIG, "File too large")

    monkeypatch.setattr(install.shutil, "copyfileobj", full)
    assert "raise the limit (ulimit -f)" in _reason(wheel())


def test_a_cache_that_others_may_write(wheel):
    os.makedirs(place.cache_directory())
    os.chmod(place.cache_directory(), 0o777)
    assert "others than you may write there" in _reason(wheel())


@pytest.mark.parametrize(
    ("stderr", "told"),
    [
        ("ERROR: Could not find a version\nERROR: No matching distribution found", "No matching distribution found"),
        ("/usr/bin/python: No module named pip", "this Python has no pip"),
        ("ERROR: Could not install packages due to an OSError: [Errno 28] No space left on device", "no space is left"),
    ],
)
def test_a_wheel_that_cannot_be_fetched(monkeypatch, stderr, told):
    done = subprocess.CompletedProcess((), 1, "", stderr)
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: done)
    assert told in _reason(None)


def test_pip_is_given_the_digest(monkeypatch, children, wheel):
    children(*_GOOD)
    path = wheel()
    wanted = []

    def fetch(command, cwd, **_):
        with open(command[-1], encoding="utf-8") as file:
            wanted.append(file.read())
        shutil.copy(path, os.path.join(cwd, place.WHEEL))
        return subprocess.CompletedProcess(command, 0, "", "")

    monkeypatch.setattr(subprocess, "run", fetch)
    install.install(None, print)
    assert wanted == [f"tensorflow==1.15.5 --hash=sha256:{install.SHA256}\n"]


def test_another_machine(monkeypatch):
    monkeypatch.setattr(install, "reason_against", lambda: "it is for Linux")
    with pytest.raises(InputError, match="it is for Linux"):
        install.install(None, print)
