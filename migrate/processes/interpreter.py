r"""How another Python interpreter is started: without taking code from the working directory.

A user converts models in the directory that they are in, so whoever has made the models chooses its files: `pickle.py`
would be the standard library's to a program that looks there first. Python does so for `-m` and `-c`, and for an empty
entry of PYTHONPATH, which `PYTHONPATH=/x:$PYTHONPATH` has where the variable was not set; and before a line of the
program has run it imports `sitecustomize` and `usercustomize`. So the child's PYTHONPATH has neither empty nor relative
entries, and a bootstrap cleans `sys.path` before it imports anything.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence

# `os` is loaded by every interpreter that has a `site`, so it is not looked for. What comes before the standard
# library comes from PYTHONPATH or from how Python was started; what follows it was installed.
_CLEAN = """
def _clean(path, os):
    library = os.path.dirname(os.__file__)
    first = path.index(library) if library in path else len(path)
    try:
        here = os.stat(os.curdir)
    except OSError:
        here = None
    def keep(number, entry):
        if not os.path.isabs(entry):
            return False
        try:
            return number >= first or here is None or not os.path.samestat(os.stat(entry), here)
        except OSError:
            return True
    return [entry for number, entry in enumerate(path) if keep(number, entry)]
"""

# The package is loaded from where the parent has found it, whatever else of this name is installed.
BOOTSTRAP = (
    """
import sys
os = sys.modules["os"]
"""
    + _CLEAN
    + """
sys.path[:] = _clean(sys.path, os)
import importlib.util
_file, _module = sys.argv[1:3]
_spec = importlib.util.spec_from_file_location(
    "migrate", _file, submodule_search_locations=[os.path.dirname(_file)])
sys.modules["migrate"] = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(sys.modules["migrate"])
sys.exit(importlib.import_module(_module).main(sys.argv[3:]))
"""
)


def command(module: str, arguments: Sequence[str]) -> list[str]:
    """The command line for a new interpreter that calls a module's `main(arguments)`.

    Args:
      module: one of this package.
      arguments: handed to it.
    """
    flags = [
        flag
        for flag, given in (
            ("-I", sys.flags.isolated),
            ("-E", sys.flags.ignore_environment and not sys.flags.isolated),
            ("-s", sys.flags.no_user_site and not sys.flags.isolated),
        )
        if given
    ]
    package = os.path.join(os.path.dirname(os.path.dirname(os.path.realpath(__file__))), "__init__.py")
    return [sys.executable, *flags, "-c", BOOTSTRAP, package, module, *arguments]


def environment(variables: Mapping[str, str]) -> dict[str, str]:
    """Environment variables for a new interpreter: PYTHONPATH without relative entries and the working directory."""
    cleaned = {name: value for name, value in variables.items() if name != "PYTHONPATH"}
    entries = [
        os.path.abspath(entry)
        for entry in variables.get("PYTHONPATH", "").split(os.pathsep)
        if entry and not _is_working_directory(entry)
    ]
    return {**cleaned, "PYTHONPATH": os.pathsep.join(entries)} if entries else cleaned


def leave_working_directory() -> None:
    """Takes the working directory out of this interpreter's `sys.path`, as the bootstrap does in a child."""
    names: dict[str, object] = {}
    exec(_CLEAN, names)
    sys.path[:] = names["_clean"](sys.path, os)  # type: ignore[operator]


def _is_working_directory(entry: str) -> bool:
    try:
        return os.path.samefile(entry, os.curdir)
    except OSError:
        return False
