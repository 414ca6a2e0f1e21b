"""What the rewrite changes, small enough to draw; made where `records.Options.details` asks for it."""

from __future__ import annotations

from migrate.frozen import frozen


@frozen
class SketchNode:
    """One node of a sketch: its name (cut to 200 characters), its op, and whether the rewrite touched it."""

    name: str
    op: str
    changed: bool


@frozen
class SketchGraph:
    """A few nodes of a graph and the edges between them: (from, to, is a control edge), by position in `nodes`."""

    nodes: tuple[SketchNode, ...]
    edges: tuple[tuple[int, int, bool], ...]


@frozen
class Sketch:
    """What the rewrite of one run has changed, small enough to draw.

    Attributes:
      run: which run it is, as messages name it (`signature 'predict'`, `the init op`).
      changed: nodes that were changed, added or taken out.
      ops: (op, such nodes before, such nodes after) of those, sorted by op.
      before: some of them with their neighbours in the source.
      after: the same part of the rewritten graph.
    """

    run: str
    changed: int
    ops: tuple[tuple[str, int, int], ...]
    before: SketchGraph
    after: SketchGraph
