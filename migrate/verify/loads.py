"""Sessions on a source: as few as show what fresh ones would.

TensorFlow starts here, and every import of it stands inside a function.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

from migrate.graph.graph import canonical
from migrate.graph.protos import MetaGraphDef
from migrate.verify.load_source import Load, is_pruned, may_be_unpruned, source_loader
from migrate.verify.memory import LARGE, let_go
from migrate.verify.messages import GoldenJob
from migrate.verify.purity import has_initialisation, is_pure
from migrate.verify.sessions import fresh_session


class Loads:
    """Loads a source again where somebody could tell.

    Where calls change nothing, one load answers all of them; where loading does no more than restore variables, another
    load answers the same. One load is held at a time: it may be large.

    Args:
      tf: the module.
      job: the source.

    Attributes:
      loader: name of the loader that takes it, see `source_loader`.
      load: that loader.
      pruned: see `sessions.session_config`.
      is_pure: whether no call changes anything.
      is_refilled: whether variables got their values back by the restore op alone (see `let_alter`).

    Raises:
      UnsafeError, Exception: see `source_loader`.
    """

    def __init__(self, tf: Any, job: GoldenJob) -> None:
        self._tf, self._job = tf, job
        self._is_large = len(job.meta_graph) >= LARGE
        self._held = contextlib.ExitStack()
        self._session: Any = None
        self._is_used = False
        self._is_altered = False
        self.is_refilled = False
        self.pruned = True
        self.loader, self.load = source_loader(tf, job, self._open)
        if may_be_unpruned(job):
            self.close()
            self.pruned = is_pruned(tf, job, self.load)
        meta_graph = MetaGraphDef.FromString(job.meta_graph)
        outputs = (tensor for s in job.signatures for spec in s.outputs.values() for tensor in spec.tensors)
        self.is_pure = is_pure(meta_graph, map(canonical, outputs))
        self._loads_alike = not has_initialisation(meta_graph)
        self._saver = meta_graph.saver_def

    def __enter__(self) -> Loads:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @contextlib.contextmanager
    def session(self, other: bool = False) -> Iterator[Any]:
        """A Session that answers as one in which the source has just been loaded does.

        Args:
          other: it must show what another load answers.
        """
        if self._is_altered:
            self._refill()
        is_fresh = self._session is not None and not self._is_used
        if not is_fresh and (self._session is None or not self.is_pure or (other and not self._loads_alike)):
            self._open(self.load)
        self._is_used = True
        yield self._session

    def let_alter(self) -> None:
        """Says that the variables were given other values.

        Where loading does no more than to run the restore op, running it once more is another load, and the graph,
        whose import takes longest, is there already.
        """
        can_refill = self.is_pure and self._loads_alike and self._saver.restore_op_name and self._job.checkpoint
        if can_refill and not self._is_large:
            self._is_altered = True
        else:
            self.close()

    def _refill(self) -> None:
        self._is_altered = False
        try:
            self._session.run(self._saver.restore_op_name, {self._saver.filename_tensor_name: self._job.checkpoint})
            self.is_refilled = True
        except Exception:  # It is another one that loading runs.
            self.close()

    def _open(self, load: Load) -> None:
        self.close()
        try:
            self._session = self._held.enter_context(fresh_session(self._tf, pruned=self.pruned))
            self._is_used = False
            load(self._tf, self._session, self._job)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Gives back what is held; the graph of a Session that is held is the one that new ops go to."""
        self._session = None
        self._is_altered = self.is_refilled = False
        self._held.close()
        let_go(self._is_large, is_eager=False)
