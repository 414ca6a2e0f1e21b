"""Libraries of ops that the user gives: asked about in a child process once in a command, and in force in it."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import signal
from collections.abc import Iterator

from migrate.errors import InputError
from migrate.escapes import visible
from migrate.export.op_libraries import LIBRARY, MODULE, LoadJob, entry_of
from migrate.graph.op_table import with_ops
from migrate.processes.nursery import Nursery
from migrate.processes.preloaded import preloading
from migrate.records import Crashed, Failed, GivenLibrary, Options

_MODULE = "migrate.export.op_libraries"


@contextlib.contextmanager
def libraries_in_force(options: Options) -> Iterator[Options]:
    """Within it every process that runs a model loads the libraries which the options name, and audit knows their ops.

    Args:
      options: see `records.Options`; `libraries` may be filled by an outer call or another process.

    Yields:
      The options, with what the libraries register.

    Raises:
      InputError: a library is missing, cannot be loaded or registers nothing.
    """
    if not (options.op_library or options.import_module):
        yield options
        return
    if not options.libraries:
        files = tuple(map(os.path.abspath, options.op_library))  # Other processes may be in other directories.
        options = dataclasses.replace(options, op_library=files, libraries=_asked(options))
    with preloading(_entries(options.libraries)), with_ops(op for lib in options.libraries for op in lib.ops):
        yield options


def check_same(options: Options) -> None:
    """Checks that this machine has the libraries that another one was asked about.

    Raises:
      InputError: one is missing here, or is another one.
    """
    for there, here in zip(options.libraries, _asked(options), strict=True):
        if (there.sha256, there.version) != (here.sha256, here.version):
            raise InputError(
                f"--{here.flag}={visible(here.name)}: is another one here than where the command was given"
            )


def _asked(options: Options) -> tuple[GivenLibrary, ...]:
    """Has a child process load the libraries, one after the other, so that a crash is known to be one's."""
    given = [(LIBRARY, _file(path)) for path in dict.fromkeys(options.op_library)]
    given += [(MODULE, _module(name)) for name in dict.fromkeys(options.import_module)]
    entries: list[str] = []
    found = []
    with preloading(()), Nursery() as nursery:
        for flag, name in given:
            entries.append(entry_of(flag, name))
            kind = GivenLibrary | Failed
            result = nursery.run("load", _MODULE, LoadJob(tuple(entries)), kind, options.timeout)
            if not isinstance(result, GivenLibrary):
                raise InputError(f"--{flag}={visible(name)}: {_fault(result)}")
            found.append(result)
    return tuple(found)


def _entries(libraries: tuple[GivenLibrary, ...]) -> tuple[str, ...]:
    return tuple(entry_of(library.flag, library.name) for library in libraries)


def _file(path: str) -> str:
    full = os.path.abspath(path)
    if not os.path.isfile(full):
        raise InputError(f"--{LIBRARY}={visible(path)}: no such file; pass a shared library of this machine")
    return full


def _module(name: str) -> str:
    if not all(part.isidentifier() for part in name.split(".")):
        raise InputError(f"--{MODULE}={visible(name)}: expected the name of a Python module, such as tensorflow_text")
    return name


def _fault(result: object) -> str:
    """Why a library cannot be used, in a line."""
    if isinstance(result, Failed):
        return visible(result.reason)
    if isinstance(result, Crashed):
        code = result.exit_code
        by = f" ({signal.Signals(-code).name})" if code < 0 else f" (exit code {code})"
        return f"the process crashed when it was loaded{by}; was it built for another TensorFlow?"
    return "was not loaded within --timeout"
