"""A rewritten run as a GraphDef that TensorFlow's importer takes into a function body."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable, Mapping

from migrate.rewrite import Rewritten, ops
from migrate.rewrite.aliases import identity
from migrate.rewrite.graph import PLACEHOLDERS
from migrate.sources.protos import FunctionDef, GraphDef, NodeDef

_STALE = ("_class", "_output_shapes")
# A function runs where its caller is: job, replica and task name a cluster that is gone; the device type may matter.
_DEVICE_TYPE = re.compile(r"(?:^|/)(?:device:)?(cpu|gpu|tpu)(?::(\d+|\*))?$", re.IGNORECASE)


@dataclasses.dataclass(frozen=True)
class Importable:
    """What the importer needs.

    Attributes:
      graph_def: the nodes, less handles and fed placeholders.
      variables: name of each variable handle node that is left out -> identity of its variable.
      resources: name of each other handle node that is left out -> identity of its resource.
    """

    graph_def: GraphDef
    variables: Mapping[str, str]
    resources: Mapping[str, str]


def importable(run: Rewritten, functions: Iterable[FunctionDef], producer: int) -> Importable:
    """Prepares a run for `tf.graph_util.import_graph_def`.

    Handles and placeholders are left out because the importer's `input_map` puts captures and arguments in their
    place. Attributes go that TensorFlow takes for truth although nobody kept them true: `_output_shapes` (stale in
    real models, and the importer believes it) and `_class` (may name a node that is no longer there).
    """
    graph_def = GraphDef()
    graph_def.versions.producer = producer
    graph_def.library.function.extend(functions)
    for function in graph_def.library.function:
        for node in function.node_def:
            _clean(node)
    fed = set(run.run.feeds.values())
    variables = {name: identity(node) for name, node in run.graph.nodes.items() if node.op == "VarHandleOp"}
    resources = {name: identity(node) for name, node in run.graph.nodes.items() if node.op in ops.NAMED_RESOURCES}
    left_out = {*variables, *resources, *fed}
    for name, node in run.graph.nodes.items():
        if name in left_out:
            continue
        new = graph_def.node.add()
        new.CopyFrom(node)
        if any(i.startswith("^") and i[1:] in left_out for i in node.input):
            kept = [i for i in node.input if not (i.startswith("^") and i[1:] in left_out)]
            del new.input[:]
            new.input.extend(kept)
        _clean(new)
    return Importable(graph_def, variables, resources)


def _clean(node: NodeDef) -> None:
    for key in _STALE:
        if key in node.attr:
            del node.attr[key]
    node.device = device_type(node.device)
    if node.op in PLACEHOLDERS and "shape" not in node.attr:
        node.attr["shape"].shape.unknown_rank = True


def device_type(device: str) -> str:
    """What is left of a device string: its type and number (`/device:GPU:0`), without job, replica and task."""
    found = _DEVICE_TYPE.search(device)
    if not found:
        return ""
    number = found.group(2)
    return f"/device:{found.group(1).upper()}" + (f":{number}" if number else "")
