"""Flags of functions and of their calls that contradict the bodies. No TensorFlow.

TensorFlow decides by them what it may fold, share, leave out or run in another order (function.cc, constant_folding.cc,
auto_control_deps.py), so a wrong one shows in some surroundings and not in a plain call.
"""

from __future__ import annotations

import functools
from collections.abc import Collection, Iterable, Iterator, Mapping

from migrate.graph.function_calls import PARTITIONED, callees
from migrate.graph.graph import data_inputs
from migrate.graph.nodes import behind
from migrate.graph.op_table import load_op_table
from migrate.graph.protos import FunctionDef, MetaGraphDef, NodeDef
from migrate.records import Mismatch
from migrate.verify.bodies import bodies
from migrate.verify.differences import mismatch

_CODE = "run-setting-differs"
_STATELESS_CALLS = frozenset({"PartitionedCall", "StatelessCase", "StatelessIf", "StatelessWhile"})
_READ_ONLY = "_read_only_resource_inputs"
"""Of a call: the inputs that are resources which its function only reads (auto_control_deps_utils.py)."""


def function_flag_differences(source: Iterable[MetaGraphDef], new: MetaGraphDef, path: str) -> Iterator[Mismatch]:
    """Flags of a candidate that its functions' bodies contradict.

    Args:
      source: the source's MetaGraphDefs, which may have such a flag themselves.
      new: the candidate's.
      path: of the differences, see `records.Mismatch`.
    """
    library = _Library(new)
    for name, function in library.functions.items():
        # One that says so without need is run as often as it is called, which every function may be.
        if library.is_stateful(name) and not function.signature.is_stateful:
            yield mismatch(_CODE, path, "the function has ops with state, and says that it has none", "", name)
    known = {node.name for graph in source for node in _hiding(graph, _Library(graph))}
    for node in _hiding(new, library):
        if node.name not in known:
            yield mismatch(_CODE, path, f"{node.op} calls a function that has ops with state", "", node.name)
    for _, _, nodes in bodies(new):
        for node in nodes:
            if node.op in PARTITIONED and _READ_ONLY in node.attr:
                written = library.written(node.attr["f"].func.name)
                if not written.isdisjoint(node.attr[_READ_ONLY].list.i):
                    reason = "the call says that it only reads a resource which its function writes"
                    yield mismatch(_CODE, path, reason, "", node.name)


def unawaited_differences(source: MetaGraphDef, new: MetaGraphDef, path: str) -> Iterator[Mismatch]:
    """Reads and writes of a function that a later call does not wait for.

    In a function of TF2 one call waits for another one's control outputs alone, whatever else it computes. Of resources
    that no function writes this does not matter.

    Args:
      source: the source's; a TF2 SavedModel has functions of its own.
      new: the candidate's.
      path: of the differences, see `records.Mismatch`.
    """
    if source.object_graph_def.nodes:
        return
    library = _Library(new)
    names = [name for name in sorted(new.object_graph_def.concrete_functions) if name in library.functions]
    written = {library.bound(name)[at] for name in names for at in library.written(name) if at in library.bound(name)}
    for name in names:
        users = library.users(name, [at for at, held in library.bound(name).items() if held in written])
        if not users:
            continue
        function = library.functions[name]
        nodes = {node.name: node for node in function.node_def}
        awaited = behind(nodes, function.control_ret.values())
        run = awaited | behind(nodes, function.ret.values())
        for user in users:
            # A read that nothing takes is no part of a call.
            if user.name not in awaited and (user.name in run or library.writes(user)):
                yield mismatch("effect-not-awaited", path, f"no control output of {name!r} is behind it", "", user.name)
                break


_HANDED_ON = frozenset({"Enter", "Exit", "Identity", "Merge", "NextIteration", "Switch"})


def _origin(nodes: Mapping[str, NodeDef], taken: str) -> str:
    """The node or argument that a tensor comes from, behind those that hand their first input on."""
    seen: set[str] = set()
    name = taken.partition(":")[0]
    while name in nodes and name not in seen and nodes[name].op in _HANDED_ON and nodes[name].input:
        seen.add(name)
        name = nodes[name].input[0].lstrip("^").partition(":")[0]
    return name


def _hiding(graph: MetaGraphDef, library: _Library) -> Iterator[NodeDef]:
    """Nodes of ops without state that call functions with state."""
    for _, _, nodes in bodies(graph):
        for node in nodes:
            if node.op in _STATELESS_CALLS and any(library.is_stateful(name) for name in callees(node)):
                yield node


class _Library:
    """The functions of a MetaGraphDef, and what their bodies do."""

    def __init__(self, graph: MetaGraphDef) -> None:
        self.functions: Mapping[str, FunctionDef] = {
            function.signature.name: function for function in graph.graph_def.library.function
        }
        self._objects = graph.object_graph_def.concrete_functions
        self._written: dict[str, frozenset[int]] = {}
        self._used: dict[tuple[str, int], bool] = {}

    @functools.cached_property
    def _stateful(self) -> Mapping[str, bool | None]:
        table = load_op_table()

        def of(node: NodeDef) -> bool | None:
            if node.op in self.functions:
                return bool(self.functions[node.op].signature.is_stateful)
            return table[node.op].is_stateful if node.op in table else None

        found: dict[str, bool | None] = {}
        for name, function in self.functions.items():
            flags = {of(node) for node in function.node_def}
            found[name] = True if True in flags else None if None in flags else False
        return found

    def is_stateful(self, name: str) -> bool | None:
        """Whether a function has an op with state, as TensorFlow's exporter says it; None where that is not known."""
        return self._stateful.get(name)

    def bound(self, name: str) -> Mapping[int, int]:
        """The objects that a function captures, by the position of the argument."""
        captured = self._objects[name].bound_inputs[:] if name in self._objects else ()
        first = len(self.functions[name].signature.input_arg) - len(captured)
        return {first + number: held for number, held in enumerate(captured)}

    def users(self, name: str, positions: Collection[int]) -> list[NodeDef]:
        """The nodes of a function that read or write what is given to it at some positions."""
        if name not in self.functions or not positions:
            return []
        function = self.functions[name]
        nodes = {node.name: node for node in function.node_def}
        chosen = {argument.name for at, argument in enumerate(function.signature.input_arg) if at in positions}
        return [
            node
            for node in function.node_def
            if node.op not in _HANDED_ON
            and any(
                _origin(nodes, tensor) in chosen and self._is_used(node, at)
                for at, tensor in enumerate(data_inputs(node))
            )
        ]

    def _is_used(self, node: NodeDef, at: int) -> bool:
        """Whether a node reads or writes an input, unless it hands it to a function that does neither."""
        if node.op not in PARTITIONED:
            return True
        called = node.attr["f"].func.name
        if (called, at) not in self._used:
            self._used[called, at] = False  # For one that calls itself.
            self._used[called, at] = bool(self.users(called, [at]))
        return self._used[called, at]

    def written(self, name: str) -> frozenset[int]:
        """The positions of a function's arguments that its body writes, of those that ops take as they are."""
        if name not in self.functions:
            return frozenset()
        if name not in self._written:
            self._written[name] = frozenset()  # For one that calls itself.
            function = self.functions[name]
            nodes = {node.name: node for node in function.node_def}
            positions = {argument.name: number for number, argument in enumerate(function.signature.input_arg)}
            self._written[name] = frozenset(
                positions[_origin(nodes, taken)]
                for node in function.node_def
                for number, taken in enumerate(data_inputs(node))
                if number in self._written_by(node) and _origin(nodes, taken) in positions
            )
        return self._written[name]

    def writes(self, node: NodeDef) -> bool:
        """Whether a node writes what it takes."""
        return bool([*self._written_by(node)])

    def _written_by(self, node: NodeDef) -> Iterable[int]:
        if node.op in PARTITIONED:
            return self.written(node.attr["f"].func.name)
        table = load_op_table()
        return table[node.op].writes if node.op in table else ()
