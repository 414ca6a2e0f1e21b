"""A server that outlives the command for which it was started: TensorFlow is imported once for many commands."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Collection, Iterator, Mapping
from contextvars import ContextVar
from typing import Any, Generic, Protocol, TypeVar

from migrate.frozen import frozen
from migrate.processes.preloaded import loads
from migrate.processes.server import AHEAD, PATH


class Server(Protocol):
    """A server process, as seen by who keeps it.

    Attributes:
      alive: whether it takes jobs.
      wanted: what it was started with.
      surroundings: what it took over from the process that started it, see `surroundings`.
    """

    alive: bool
    wanted: Wanted
    surroundings: Mapping[str, str]

    def close(self) -> None:
        """Ends it."""


S = TypeVar("S", bound=Server)


@frozen
class Wanted:
    """What a server has to be started with; see `Nursery`."""

    preload: tuple[str, ...]
    ahead: tuple[str, ...]
    path: tuple[str, ...]

    def arguments(self) -> tuple[str, ...]:
        """Those of `server.py`."""
        return (*self.preload, AHEAD, *self.ahead, PATH, *self.path)

    def covers(self, other: Wanted) -> bool:
        """Whether a server that was started with this does for the other."""
        wanted = {*other.preload, *other.ahead}
        # A command does not run with the libraries that another one was given.
        return self.path == other.path and not wanted - {*self.preload} and loads(wanted) == loads(self.preload)


class Kept(Generic[S]):
    """A place for one server without work. Who takes it has it alone.

    Args:
      apart_from: see `keep_warm`.
    """

    def __init__(self, apart_from: frozenset[str]) -> None:
        self._apart_from = apart_from
        self._lock = threading.Lock()
        self._server: S | None = None
        self._closed = False

    def take(self, wanted: Wanted) -> S | None:
        """The server, if it does; one that does not is ended, and a new one takes its place later."""
        with self._lock:
            server, self._server = self._server, None
        if server is None:
            return None
        if server.alive and server.wanted.covers(wanted) and not self._changed(server.surroundings):
            return server
        server.close()
        return None

    def give(self, server: S) -> None:
        """Leaves it for the next; one that is there already is ended."""
        with self._lock:
            before, self._server = self._server, None if self._closed else server
            ended = server if self._closed else before
        if ended is not None:
            ended.close()

    def close(self) -> None:
        """Ends the server; one that is given back later is ended then."""
        with self._lock:
            server, self._server, self._closed = self._server, None, True
        if server is not None:
            server.close()

    def _changed(self, before: Mapping[str, str]) -> bool:
        now = surroundings()
        return any(before.get(name) != now.get(name) for name in {*before, *now} - self._apart_from)


KEPT: ContextVar[Kept[Any] | None] = ContextVar("kept", default=None)
"""Where the nurseries of a context leave their server for the next one."""


@contextlib.contextmanager
def keep_warm(apart_from: Collection[str] = ()) -> Iterator[None]:
    """Within it the import of TensorFlow is paid once, not by each call; see `migrate.keep_warm`.

    Args:
      apart_from: environment variables that may change without a new server.
    """
    kept: Kept[Any] = Kept(frozenset(apart_from))
    token = KEPT.set(kept)
    try:
        yield
    finally:
        KEPT.reset(token)
        kept.close()


def surroundings() -> Mapping[str, str]:
    """What a process takes over from the one that starts it: the environment, and the directory as PWD."""
    try:
        return {**os.environ, "PWD": os.getcwd()}
    except FileNotFoundError:  # The directory is gone.
        return dict(os.environ)
