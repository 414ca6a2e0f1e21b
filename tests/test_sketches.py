from __future__ import annotations

import pickle

from migrate import codec
from migrate.sketches import Sketch, SketchGraph, SketchNode

_NODES = (SketchNode("v", "VariableV2", True), SketchNode("y", "Identity", False))
_SKETCH = Sketch(
    "signature 's'",
    2,
    (("VariableV2", 1, 0), ("VarHandleOp", 0, 1)),
    SketchGraph(_NODES, ((0, 1, False),)),
    SketchGraph((), ()),
)


def test_a_sketch_goes_between_processes_as_it_is():
    assert codec.from_json(Sketch, codec.to_json(_SKETCH)) == _SKETCH
    assert pickle.loads(pickle.dumps(_SKETCH)) == _SKETCH


def test_edges_are_by_position():
    graph = _SKETCH.before
    assert [(graph.nodes[a].name, graph.nodes[b].name) for a, b, _ in graph.edges] == [("v", "y")]
