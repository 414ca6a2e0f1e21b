"""What the processes of a command have ready beside TensorFlow: libraries of ops that the user gives.

A server imports modules before its first fork. An entry `MODULE:ARGUMENT` has it call `MODULE.load(ARGUMENT)` as well.
A module of this package that has a function `prepare` does in it, once all are imported, what each fork would do first.
"""

from __future__ import annotations

import contextlib
import importlib
from collections.abc import Iterable, Iterator, Sequence
from contextvars import ContextVar
from types import ModuleType

TENSORFLOW = ("tensorflow",)
"""The modules that are imported before the first fork, by default."""

_MARK = ":"
_OWN = f"{__name__.partition('.')[0]}."

_GIVEN: ContextVar[tuple[str, ...]] = ContextVar("given", default=())
"""The entries that every process with TensorFlow loads, in a context."""


def entry(module: str, argument: str) -> str:
    """An entry that calls a module's `load`."""
    return f"{module}{_MARK}{argument}"


def loads(entries: Iterable[str]) -> frozenset[str]:
    """Those of the entries that load something."""
    return frozenset(each for each in entries if _MARK in each)


@contextlib.contextmanager
def preloading(entries: Sequence[str]) -> Iterator[None]:
    """Within it every new server that imports TensorFlow loads these entries, too."""
    token = _GIVEN.set(tuple(entries))
    try:
        yield
    finally:
        _GIVEN.reset(token)


def with_given(modules: Sequence[str]) -> tuple[str, ...]:
    """Modules for a server, and the entries of this context where TensorFlow is among the modules."""
    return (*modules, *(_GIVEN.get() if {*TENSORFLOW} <= {*modules} else ()))


def load_all(given: Iterable[str]) -> None:
    """Imports modules and loads entries; those of this package are prepared once all are there."""
    modules = [_load(entry) for entry in given]
    for module in modules:
        prepare = getattr(module, "prepare", None)
        if prepare is not None and module.__name__.startswith(_OWN):
            prepare()


def _load(given: str) -> ModuleType:
    name, _, argument = given.partition(_MARK)
    module = importlib.import_module(name)
    if argument:
        module.load(argument)
    return module
