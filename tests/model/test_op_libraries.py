"""Libraries of ops that the user gives: what a child process says of them, and what is in force then."""

from __future__ import annotations

import dataclasses
import hashlib
import pathlib

import pytest

from migrate.errors import InputError
from migrate.graph.op_table import added_ops
from migrate.model import op_libraries
from migrate.model.op_libraries import check_same, libraries_in_force
from migrate.processes.preloaded import TENSORFLOW, loads, with_given
from migrate.records import Crashed, Failed, GivenLibrary, Options, TimedOut
from tests.op_library import compiled

_CRASHING = "#include <stdlib.h>\n__attribute__((constructor)) static void start(void) { abort(); }\n"
_OF_ANOTHER = (
    "void _ZN10tensorflow7nothingEv(void);\n"
    "__attribute__((constructor)) static void start(void) { _ZN10tensorflow7nothingEv(); }\n"
)


def _in_force(options):
    with libraries_in_force(options) as found:
        return found, dict(added_ops()), loads(with_given(TENSORFLOW))


def test_without_a_library_no_process_is_asked():
    options = Options()
    assert _in_force(options) == (options, {}, frozenset())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (Options(op_library="absent.so"), "--op_library=absent.so: no such file"),
        (Options(op_library="/"), "--op_library=/: no such file"),
        (Options(import_module="a/b"), "--import_module=a/b: expected the name of a Python module"),
    ],
)
def test_what_cannot_be_a_library_is_named_before_a_process_starts(options, message, monkeypatch):
    monkeypatch.setattr(op_libraries, "Nursery", None)
    with pytest.raises(InputError, match=message) as error:
        _in_force(options)
    assert "\n" not in str(error.value)


class _Nursery:
    """Says of each library what it was told to."""

    answers: tuple[object, ...] = ()

    def __init__(self):
        self.asked = []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def run(self, step, module, job, kind, seconds):
        self.asked.append(job.entries)
        return self.answers[len(self.asked) - 1]


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (Failed("cannot be loaded: ImportError: no\x1b"), r"--import_module=b: cannot be loaded: ImportError: no\\x1b"),
        (Crashed("load", -11, ""), "--import_module=b: the process crashed when it was loaded .SIGSEGV."),
        (Crashed("load", 3, ""), "crashed when it was loaded .exit code 3."),
        (TimedOut("load", 1.0), "was not loaded within --timeout"),
    ],
)
def test_of_several_libraries_the_one_at_fault_is_named(answer, words, monkeypatch):
    monkeypatch.setattr(op_libraries, "Nursery", _Nursery)
    good = GivenLibrary("import_module", "a", "1", "00", ())
    monkeypatch.setattr(_Nursery, "answers", (good, answer))
    with pytest.raises(InputError, match=words) as error:
        _in_force(Options(import_module=("a", "b")))
    assert "\n" not in str(error.value)
    assert with_given(TENSORFLOW) == TENSORFLOW and not added_ops()


def test_another_machine_must_have_the_same_library(monkeypatch):
    monkeypatch.setattr(op_libraries, "Nursery", _Nursery)
    here = GivenLibrary("import_module", "a", "1", "00", ())
    monkeypatch.setattr(_Nursery, "answers", (here,))
    options = Options(import_module="a", libraries=(here,))
    check_same(options)
    for other in ({"version": "2"}, {"sha256": "11"}):
        with pytest.raises(InputError, match="--import_module=a: is another one here"):
            check_same(dataclasses.replace(options, libraries=(dataclasses.replace(here, **other),)))


@pytest.mark.tensorflow
def test_what_a_library_registers(tmp_path):
    path = compiled(tmp_path, "halve")
    options, ops, entries = _in_force(Options(op_library=(path, path)))
    (library,) = options.libraries
    assert (library.flag, library.name, library.version) == ("op_library", path, "")
    assert library.sha256 == hashlib.sha256(pathlib.Path(path).read_bytes()).hexdigest()
    assert [op.name for op in library.ops] == ["MigrateHalve", "MigrateUnmade"] == sorted(ops)
    halve, unmade = library.ops
    assert (halve.on_cpu, halve.is_stateful, halve.dtypes, halve.outputs) == (True, False, "float32", (("y", ""),))
    assert (unmade.on_cpu, unmade.is_stateful, unmade.dtypes) == (False, True, "N*float32")
    assert len(entries) == 1


@pytest.mark.tensorflow
def test_a_library_that_cannot_be_used_is_one_line(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "text.so").write_text("this is no library")
    (tmp_path / "raising.py").write_text("raise RuntimeError('no\\nluck')")
    (tmp_path / "empty.py").write_text("")
    loading = f"import tensorflow as tf\ntf.load_op_library({compiled(tmp_path, 'halve')!r})\n"
    (tmp_path / "starting.py").write_text(loading + "tf.constant(1)\n")
    cases = {
        "op_library": {
            "text.so": "cannot be loaded: NotFoundError: .*text.so",
            compiled(tmp_path, "crashing", _CRASHING): "the process crashed when it was loaded .SIGABRT.",
            compiled(tmp_path, "another", _OF_ANOTHER): "it was built for another TensorFlow than 2",
            compiled(tmp_path, "none", "int nothing;\n"): "registers no op that TensorFlow does not have",
        },
        "import_module": {
            "absent_module": "cannot be loaded: ModuleNotFoundError",
            "raising": "cannot be loaded: RuntimeError: no",
            "empty": "registers no op that TensorFlow does not have",
            "starting": "starts TensorFlow's runtime when it is loaded",
        },
    }
    for flag, names in cases.items():
        for name, words in names.items():
            with pytest.raises(InputError, match=words) as error:
                _in_force(Options(**{flag: name}))
            assert "\n" not in str(error.value)
