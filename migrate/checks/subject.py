"""What a check looks at: a model of which it is known what each call runs."""

from __future__ import annotations

import functools
from collections.abc import Callable, Collection, Iterable

from migrate.frozen import frozen
from migrate.graph.nodes import Located, locate
from migrate.graph.protos import MetaGraphDef, NodeDef
from migrate.records import Finding, Options, Shape
from migrate.sources.source import Source


@frozen
class Wanted:
    """One tensor that the restore graph reads.

    Attributes:
      variable: name of the variable that it fills.
      key: its key in the checkpoint.
      slice_spec: empty, or the part of it as RestoreV2 spells it (`10 4 0,4:0,4`).
      dtype: TensorFlow's name of the variable's dtype; None where its value is computed of what is read.
      shape: static shape of the variable; None where the value is computed or unknown.
    """

    variable: str
    key: str
    slice_spec: str
    dtype: str | None
    shape: Shape


@frozen
class Subject:
    """A model and what is needed of it.

    Attributes:
      source: its files.
      meta_graph: the MetaGraphDef that is converted.
      nodes: the nodes that loading or a call of a signature runs.
      called: gives the nodes that calls alone run; None where loading runs none.
      variables: how many variables the new model has.
      wanted: what fills variables as it is in the checkpoint.
      is_restored: whether a variable gets its value from the checkpoint, as it is or computed.
      options: what the user wants.
    """

    source: Source
    meta_graph: MetaGraphDef
    nodes: Collection[NodeDef]
    called: Callable[[], Collection[NodeDef]] | None
    variables: int
    wanted: tuple[Wanted, ...]
    is_restored: bool
    options: Options

    @functools.cached_property
    def located(self) -> Collection[Located]:
        """The nodes that are needed, those in the bodies of functions among them."""
        return locate(self.nodes, self.meta_graph.graph_def.library)

    @property
    def functions(self) -> frozenset[str]:
        """Names of the graph's functions."""
        return frozenset(function.signature.name for function in self.meta_graph.graph_def.library.function)


Check = Callable[[Subject], Iterable[Finding]]
"""Looks at a model and says what it finds."""
