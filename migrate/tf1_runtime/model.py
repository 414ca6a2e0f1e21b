"""A model in TensorFlow 1.15.5, restored and initialised as TF1's own loaders do. For a child process only."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Iterator, Mapping

import numpy as np

from migrate.graph import contract
from migrate.graph.graph import canonical
from migrate.graph.protos import MetaGraphDef
from migrate.tf1_runtime.c_api import Array, Graph, Library, NotFoundError, Session
from migrate.tf1_runtime.graph import prepared
from migrate.tf1_runtime.place import ops_of
from migrate.tf1_runtime.restore import Restore, add_restore_ops


class Model:
    """A model whose graph TensorFlow 1.15.5 has taken.

    Args:
      directory: of the runtime.
      meta_graph: what is run; it is changed where it has no restore op.
      checkpoint: what its restore op is fed with, or None.
      assets_dir: directory of its assets.
      more: names of nodes or tensors that are run or read beside the signatures.

    Raises:
      NotTakenError, Tf1Error: TensorFlow 1.15.5 does not take it.
    """

    def __init__(
        self,
        directory: str,
        meta_graph: MetaGraphDef,
        checkpoint: str | None,
        assets_dir: str,
        more: Iterable[str] = (),
    ) -> None:
        self._meta_graph = meta_graph
        self._checkpoint = checkpoint
        self._assets_dir = assets_dir
        self._restores: tuple[Restore, ...] = ()
        if checkpoint is not None and not meta_graph.saver_def.restore_op_name:
            self._restores = add_restore_ops(meta_graph)
        restores = (restore.op for restore in self._restores)
        part = prepared(meta_graph, (*_wanted(meta_graph), *restores, *more), ops_of(directory))
        library = Library(directory)
        for path in part.libraries:
            library.load_ops(path)
        self.version = library.version
        self.ops = part.ops
        self.graph = Graph(library, part.graph_def)

    @contextlib.contextmanager
    def session(self, feeds: Mapping[str, Array]) -> Iterator[Session]:
        """A fresh Session with restored variables and filled tables.

        Args:
          feeds: what the init op is fed with beside the paths of assets.

        Raises:
          Tf1Error: TensorFlow 1.15.5 cannot restore or initialise the model.
        """
        session = Session(self.graph)
        try:
            saver = self._meta_graph.saver_def
            if self._checkpoint is not None and self._has(saver.restore_op_name):
                prefix = {canonical(saver.filename_tensor_name): _string(os.fsencode(self._checkpoint))}
                session.run((), prefix, [saver.restore_op_name])
            for restore in self._restores:
                with contextlib.suppress(NotFoundError):  # A variable that the checkpoint does not have.
                    session.run((), {restore.prefix: _string(os.fsencode(self._checkpoint or ""))}, [restore.op])
            init_ops = contract.init_ops(self._meta_graph)
            if init_ops:
                session.run((), {**feeds, **self._assets()}, init_ops)
            yield session
        finally:
            session.close()

    def _has(self, name: str) -> bool:
        return bool(name) and self.graph.has(name.partition(":")[0])

    def _assets(self) -> dict[str, Array]:
        return {
            tensor: _string(os.fsencode(os.path.join(self._assets_dir, file)))
            for tensor, file in contract.assets(self._meta_graph)
            if self._has(tensor)
        }


def _wanted(meta_graph: MetaGraphDef) -> Iterator[str]:
    """What a loader runs and feeds, and what the signatures name."""
    yield from contract.init_ops(meta_graph)
    yield meta_graph.saver_def.restore_op_name
    yield meta_graph.saver_def.filename_tensor_name
    yield from (tensor for tensor, _ in contract.assets(meta_graph))
    for signature in contract.signatures(meta_graph):
        for spec in (*signature.inputs.values(), *signature.outputs.values()):
            yield from spec.tensors


def _string(value: bytes) -> Array:
    found = np.empty((), dtype=object)
    found[()] = value
    return found
