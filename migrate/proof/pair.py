"""The two models of a proof, where their files are, and what the user has asked for."""

from __future__ import annotations

from collections.abc import Hashable, Mapping

from migrate.frozen import frozen
from migrate.graph import contract
from migrate.graph.graph import canonical
from migrate.graph.protos import MetaGraphDef, NodeDef, TensorProto
from migrate.proof.content import Checkpoint, file_digest
from migrate.proof.contents import with_contents
from migrate.proof.loaded import Objects, read_objects
from migrate.proof.model import Model
from migrate.proof.shared import Shared
from migrate.sources.boundary import Boundary
from migrate.sources.tensor_values import TensorValues


@frozen
class Files:
    """Where a model's files are.

    Attributes:
      checkpoint: what its restore op is given, or None.
      assets_dir: its directory of assets.
      boundary: where its files may be; None for anywhere.
    """

    checkpoint: str | None
    assets_dir: str
    boundary: Boundary | None = None


@frozen
class Asked:
    """What the user has asked for, which a candidate may therefore do.

    Attributes:
      feeds: values of tensors that are the same in every call, by full name.
      dropped: keys of signatures that may be left out.
      train: the training graph of a TF1 Hub module, or None.
      reads_data: whether the candidate's weights are read and their checksums compared; a run of it does so anyway.
    """

    feeds: Mapping[str, TensorProto]
    dropped: frozenset[str] = frozenset()
    train: MetaGraphDef | None = None
    reads_data: bool = False


class Pair:
    """Both models.

    Attributes:
      shared: what the two have in common.
      terms: the same.
      source: the source.
      train: its training graph, or None.
      candidate: the candidate.
      directory: its own.
      objects: its objects.
      replaced: the constants that take the place of tensors of the source.
      stored: the checkpoint of `source` and of `candidate`.
    """

    def __init__(
        self, source: MetaGraphDef, files: Files, candidate: MetaGraphDef, directory: str, asked: Asked
    ) -> None:
        """Reads both models.

        Raises:
          BadModelError: one of them cannot be understood at all.
        """
        self.shared = Shared()
        self.terms = self.shared.terms
        values = TensorValues(files.checkpoint, files.boundary)
        self.source = Model("source", self.shared, with_contents(source, values))
        self.candidate = Model("candidate", self.shared, candidate)
        self.train = Model("source", self.shared, asked.train) if asked.train is not None else None
        self.directory = directory
        self.replaced = {canonical(name): _constant(canonical(name), value) for name, value in asked.feeds.items()}
        prefix = f"{directory}/variables/variables"
        self.objects: Objects = read_objects(candidate, prefix)
        self.stored = {
            "source": Checkpoint(files.checkpoint, files.boundary),
            "candidate": Checkpoint(prefix, reads_data=asked.reads_data),
        }
        self._files = files

    def assets(self, model: Model) -> dict[str, Hashable]:
        """Full name of each tensor that gets the name of an asset -> key of the input, which has the file's digest."""
        folder = self._files.assets_dir if model is self.source else f"{self.directory}/assets"
        boundary = self._files.boundary if model is self.source else None
        found: dict[str, Hashable] = {}
        for tensor, file in contract.assets(model.meta_graph):
            digest = file_digest(f"{folder}/{file}", boundary)
            found[canonical(tensor)] = ("asset", digest) if digest is not None else ("lost asset", model.name, file)
        return found


def _constant(name: str, value: TensorProto) -> NodeDef:
    node = NodeDef(name=name, op="Const")
    node.attr["dtype"].type = value.dtype
    node.attr["value"].tensor.CopyFrom(value)
    return node
