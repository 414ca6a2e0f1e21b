"""Where a MetaGraphDef has dangerous ops, whether or not a signature reaches them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence, Set
from typing import Protocol

from migrate.checks.side_effects import TABLE_FILLS, dangerous_effect, may_be_dangerous
from migrate.graph import contract
from migrate.graph.nodes import behind, companions, named_functions
from migrate.graph.op_table import added_ops, may_call
from migrate.graph.protos import MetaGraphDef, NodeDef
from migrate.records import DangerousOp, Signature

MAIN = "main graph"
INIT = "init op"
RESTORE = "restore graph"
SAVE = "save graph"
_OBJECTS = "object graph"
_NOWHERE = ""
_UNREAD = "unread"

_STANDARD: Mapping[str, frozenset[str]] = {
    INIT: TABLE_FILLS,
    _OBJECTS: TABLE_FILLS,
    RESTORE: frozenset({"Restore", "RestoreSlice", "RestoreV2"}),
    SAVE: frozenset({"MergeV2Checkpoints", "Save", "SaveSlices", "SaveV2"}),
}
"""What each place has such ops for: tables are filled from assets, variables are saved and restored."""


class Reader(Protocol):
    """The nodes of the main graph by name, with what is known of them (`rewrite.graph.Nodes`)."""

    @property
    def by_op(self) -> Mapping[str, Sequence[str]]:
        """Names of the nodes of each op, in the graph's order."""

    def __contains__(self, name: object) -> bool: ...

    def __getitem__(self, name: str) -> NodeDef: ...

    def needed(self, fed: Collection[str], fetches: Iterable[str]) -> Collection[str]:
        """Names of the nodes that one call runs.

        Args:
          fed: full names of tensors.
          fetches: full names of tensors.
        """


def find_dangerous_ops(
    meta_graph: MetaGraphDef, reader: Reader, signatures: Sequence[Signature] | None = None
) -> tuple[DangerousOp, ...]:
    """Lists the dangerous ops of a MetaGraphDef by place: the main graph, the init op, the saver, each function.

    Args:
      meta_graph: the source.
      reader: knows its main graph.
      signatures: its own, where they have been read (`contract.signatures`).

    Returns:
      One record for each op and place, in the order of places, then of ops.
    """
    graph = meta_graph.graph_def
    bodies = {function.signature.name: function.node_def for function in graph.library.function}
    suspects = _Suspects(bodies)
    main = suspects.of(reader)
    inside = {name: found for name, body in bodies.items() if (found := suspects.among(body))}
    if not main and not inside:
        return ()
    places = _places(meta_graph, reader, contract.signatures(meta_graph) if signatures is None else signatures)
    tags = tuple(sorted(meta_graph.meta_info_def.tags))
    records = []
    runs = {node.name: _runs(node.name, places) for node, _ in main}
    for place in (*places, _NOWHERE):
        here = [(node, effect) for node, effect in main if place in runs[node.name]]
        for (op, effect), names in _by_op(here).items():
            standard = op in _STANDARD.get(place, ())
            records.append(DangerousOp(op, effect, place or MAIN, names, bool(place), standard, tags))
    reached = _functions_of_places(meta_graph, places, bodies) if inside else {}
    for name in sorted(inside):
        callers = [place for place, functions in reached.items() if name in functions]
        for (op, effect), names in _by_op(inside[name]).items():
            standard = _is_standard(op, callers)
            records.append(DangerousOp(op, effect, f"function {name}", names, bool(callers), standard, tags))
    return tuple(records)


def _runs(name: str, places: Mapping[str, Collection[str]]) -> Sequence[str]:
    """The places that run a node of the main graph."""
    return [place for place, names in places.items() if name in names] or [_NOWHERE]


def _by_op(nodes: Iterable[tuple[NodeDef, str]]) -> Mapping[tuple[str, str], tuple[str, ...]]:
    """Names of dangerous nodes by op and effect, in the order of these."""
    found: dict[tuple[str, str], list[str]] = {}
    for node, effect in nodes:
        found.setdefault((node.op, effect), []).append(node.name)
    return {key: tuple(names) for key, names in sorted(found.items())}


def _is_standard(op: str, places: Sequence[str]) -> bool:
    """Whether an op is in a function for what each of the places is there for; an object alone is called by anybody."""
    named = [place for place in places if place != _OBJECTS]
    return bool(named) and all(op in _STANDARD.get(place, ()) for place in places)


class _Suspects:
    """Finds the dangerous nodes of a graph and of its functions; they have few ops, and many nodes."""

    def __init__(self, functions: Mapping[str, object]) -> None:
        self._functions = functions
        self._judged: dict[str, bool] = {}

    def of(self, reader: Reader) -> list[tuple[NodeDef, str]]:
        """The dangerous nodes of the main graph, with their effects."""
        by_op = reader.by_op
        return _with_effects(reader[name] for op in self._dangerous(by_op.keys()) for name in by_op[op])

    def among(self, nodes: Sequence[NodeDef]) -> list[tuple[NodeDef, str]]:
        """The dangerous nodes of a function, with their effects."""
        nodes = nodes[:]  # A slice is one list; to iterate asks the proto for each node.
        ops = [node.op for node in nodes]
        dangerous = self._dangerous(set(ops))
        return _with_effects(node for op, node in zip(ops, nodes, strict=True) if op in dangerous) if dangerous else []

    def _dangerous(self, ops: Set[str]) -> Set[str]:
        judged = self._judged
        for op in ops - judged.keys():
            judged[op] = op not in self._functions and (op in added_ops() or may_be_dangerous(op) is not None)
        return {op for op in ops if judged[op]}


def _with_effects(nodes: Iterable[NodeDef]) -> list[tuple[NodeDef, str]]:
    return [(node, effect) for node in nodes if (effect := _effect(node)) is not None]


def _effect(node: NodeDef) -> str | None:
    """What makes a node dangerous to whoever opens the model, who may not have been given the libraries of the user."""
    return _UNREAD if node.op in added_ops() else dangerous_effect(node)


def _places(meta_graph: MetaGraphDef, reader: Reader, signatures: Sequence[Signature]) -> dict[str, Collection[str]]:
    """Names of the nodes that each place runs."""
    called: set[str] = set()
    for signature in signatures:
        fed = {_full(tensor) for spec in signature.inputs.values() for tensor in spec.tensors}
        fetched = [_full(tensor) for spec in signature.outputs.values() for tensor in spec.tensors]
        called.update(reader.needed(fed, fetched))
    saver = meta_graph.saver_def
    return {
        MAIN: called,
        INIT: behind(reader, contract.init_ops(meta_graph)),
        RESTORE: behind(reader, [saver.restore_op_name]),
        SAVE: behind(reader, [saver.save_tensor_name]),
    }


def _full(tensor: str) -> str:
    return tensor if ":" in tensor else tensor + ":0"


def _functions_of_places(
    meta_graph: MetaGraphDef, places: Mapping[str, Collection[str]], bodies: Mapping[str, Sequence[NodeDef]]
) -> dict[str, frozenset[str]]:
    """Names of the functions that each place calls, directly or not; the objects of a TF2 SavedModel are one more."""
    callers = [node for node in meta_graph.graph_def.node if node.op in bodies or may_call(node.op)]
    library = meta_graph.graph_def.library
    calls = {name: _calls(body, bodies) for name, body in bodies.items()}
    for name, others in companions(library).items():
        calls.setdefault(name, set()).update(others)
    roots = {
        place: {name for node in callers if node.name in names for name in _calls([node], bodies)}
        for place, names in places.items()
    }
    roots[_OBJECTS] = set(meta_graph.object_graph_def.concrete_functions)
    roots[INIT] |= _initializers(meta_graph)
    return {place: frozenset(_closure(names, calls)) for place, names in roots.items()}


def _initializers(meta_graph: MetaGraphDef) -> set[str]:
    """Names of the functions with which a TF2 SavedModel fills its tables (tensorflow/python/saved_model/load.py)."""
    nodes = meta_graph.object_graph_def.nodes
    children = {
        child.node_id
        for node in nodes
        for child in node.children
        if child.local_name in ("_initializer", "_initialize")
    }
    return {name for i in children if 0 <= i < len(nodes) for name in nodes[i].function.concrete_functions}


def _calls(nodes: Iterable[NodeDef], bodies: Mapping[str, object]) -> set[str]:
    found: set[str] = set()
    for node in nodes:
        op = node.op
        if op in bodies or may_call(op):
            found.add(op)
            found.update(named_functions(node))
    return found & bodies.keys()


def _closure(roots: Iterable[str], calls: Mapping[str, set[str]]) -> Iterator[str]:
    found = set(roots)
    pending = [*found]
    for name in pending:  # grows while it is read
        yield name
        fresh = calls.get(name, set()) - found
        found |= fresh
        pending += sorted(fresh)
