"""The initial content of a candidate's tables: each is filled from the source's file, in the way in which it fills its.

A call looks up a few keys; here the whole file counts. The ops that fill tables keep their names, and the file of one
is found by following its path from there: through arguments of functions, and variables that hold a path, to an asset
of the main graph (what a Session loads) and to an asset of the object graph (what Python loads).
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Mapping, Sequence

from migrate.graph.contract import assets
from migrate.graph.function_calls import PARTITIONED
from migrate.graph.graph import data_inputs
from migrate.graph.protos import AssetFileDef, MetaGraphDef, NodeDef
from migrate.records import Mismatch
from migrate.sources.files import digest_of
from migrate.verify.differences import mismatch

_FROM_FILE = frozenset({"InitializeTableFromTextFile", "InitializeTableFromTextFileV2"})
_SETTINGS: Mapping[str, int] = {"key_index": 0, "value_index": 0, "vocab_size": -1, "offset": 0}
"""Attributes of such an op, with their defaults."""
_HANDS_ON = frozenset({"Identity", "PlaceholderWithDefault"})


def table_differences(
    source: MetaGraphDef, source_assets: str, new: MetaGraphDef, new_assets: str, path: str
) -> Iterator[Mismatch]:
    """Compares what tables are filled with.

    Args:
      source: the source's.
      source_assets: its directory of assets.
      new: the candidate's.
      new_assets: its directory of assets.
      path: of the differences, see `records.Mismatch`.
    """
    files = dict(assets(source))
    before = _Graphs(source)
    after = _Graphs(new)
    wanted: dict[str, list[tuple[object, ...]]] = {}
    for scope, node in before.of(_FROM_FILE):
        tensors = before.givers(scope, data_inputs(node)[1])
        paths = {files[tensor] for tensor in tensors if tensor in files} or before.files(scope, data_inputs(node)[1])
        wanted.setdefault(node.name, []).append(_fill(node, source_assets, paths))
    found: dict[str, list[tuple[object, ...]]] = {}
    for scope, node in after.of(_FROM_FILE):
        paths = after.files(scope, data_inputs(node)[1])
        found.setdefault(node.name, []).append(_fill(node, new_assets, paths))
    for name, fills in found.items():
        if name not in wanted:
            continue  # Another exporter's name: calls alone show what the table holds.
        # Functions of their own may have nodes of one name, and a candidate need not have all of them.
        if not set(fills) <= set(wanted[name]) or (len(fills) == len(wanted[name]) and set(fills) != set(wanted[name])):
            reason = "the table is filled from another file than the source's, or in another way"
            yield mismatch("table-differs", path, reason, "", name)


def _fill(node: NodeDef, directory: str, paths: Collection[str]) -> tuple[object, ...]:
    """What a table is filled with: the settings, and the content of the files."""
    settings = tuple(_setting(node, name) for name in (*_SETTINGS, "delimiter"))
    return (*settings, frozenset(_digest(directory, path) for path in paths))


def _setting(node: NodeDef, name: str) -> object:
    if name not in node.attr:
        return _SETTINGS.get(name, b"\t")
    return node.attr[name].s if name == "delimiter" else node.attr[name].i


def _digest(directory: str, file: str) -> str:
    at = os.path.join(directory, file)
    return digest_of(at) if os.path.isfile(at) else ""


class _Graphs:
    """A main graph, the scope "", and its functions, by their names."""

    def __init__(self, graph: MetaGraphDef) -> None:
        self._graph = graph
        self._nodes: dict[str, dict[str, NodeDef]] = {"": {node.name: node for node in graph.graph_def.node}}
        self._arguments: dict[str, list[str]] = {}
        for function in graph.graph_def.library.function:
            name = function.signature.name
            self._nodes[name] = {node.name: node for node in function.node_def}
            self._arguments[name] = [argument.name for argument in function.signature.input_arg]
        self._calls: dict[str, list[tuple[str, NodeDef]]] = {}
        for scope, nodes in self._nodes.items():
            for node in nodes.values():
                if node.op in PARTITIONED and "f" in node.attr:
                    self._calls.setdefault(node.attr["f"].func.name, []).append((scope, node))
        self._assets: dict[str, str] = {_tensor(file): file.filename for file in graph.asset_file_def}

    def of(self, ops: frozenset[str]) -> Iterator[tuple[str, NodeDef]]:
        """The nodes of some ops, each with its scope."""
        for scope, nodes in self._nodes.items():
            yield from ((scope, node) for node in nodes.values() if node.op in ops and len(data_inputs(node)) > 1)

    def givers(self, scope: str, tensor: str) -> set[str]:
        """Full names of the tensors of the main graph that a tensor is handed on from."""
        return {found for found in self._origins(scope, tensor) if not found.startswith(_OBJECT)}

    def files(self, scope: str, tensor: str) -> set[str]:
        """The files that a tensor is the path of, however the model is loaded."""
        found = set()
        for origin in self._origins(scope, tensor):
            if origin in self._assets:
                found.add(self._assets[origin])
            elif origin.startswith(_OBJECT):
                found.add(self._file_of(int(origin.removeprefix(_OBJECT))))
        return found

    def _file_of(self, place: int) -> str:
        """The file of an asset of the object graph."""
        objects, files = self._graph.object_graph_def.nodes, self._graph.asset_file_def
        if not 0 <= place < len(objects) or objects[place].WhichOneof("kind") != "asset":
            return ""
        index = objects[place].asset.asset_file_def_index
        return files[index].filename if 0 <= index < len(files) else ""

    def _origins(self, scope: str, tensor: str) -> set[str]:
        """Where a tensor comes from: tensors of the main graph, and objects."""
        found: set[str] = set()
        seen: set[tuple[str, str]] = set()
        pending = [(scope, tensor)]
        while pending:
            at, name = pending.pop()
            if (at, name) in seen:
                continue
            seen.add((at, name))
            node = self._nodes[at].get(name.partition(":")[0])
            if node is None:
                pending += self._passed(at, name.partition(":")[0], found)
            elif node.op in _HANDS_ON:
                pending += [(at, source) for source in data_inputs(node)[:1]]
            elif node.op == "ReadVariableOp":
                pending += [(at, source) for source in self._assigned(at, data_inputs(node)[:1])]
            elif not at:
                found.add(name)
        return found

    def _passed(self, function: str, argument: str, found: set[str]) -> Sequence[tuple[str, str]]:
        """What is passed to an argument of a function; notes the objects that are bound to it."""
        names = self._arguments.get(function, [])
        if argument not in names:
            return ()
        position = names.index(argument)
        concrete = self._graph.object_graph_def.concrete_functions.get(function)
        if concrete is not None:
            bound = position - (len(names) - len(concrete.bound_inputs))
            if 0 <= bound < len(concrete.bound_inputs):
                found.add(f"{_OBJECT}{concrete.bound_inputs[bound]}")
        return [
            (scope, data_inputs(call)[position])
            for scope, call in self._calls.get(function, ())
            if position < len(data_inputs(call))
        ]

    def _assigned(self, scope: str, handles: Sequence[str]) -> Iterator[str]:
        """What is assigned to the variable of a handle, in the same graph."""
        for node in self._nodes[scope].values():
            if node.op == "AssignVariableOp" and data_inputs(node)[:1] == list(handles):
                yield from data_inputs(node)[1:2]


_OBJECT = "object "


def _tensor(file: AssetFileDef) -> str:
    name = file.tensor_info.name
    return name if ":" in name else f"{name}:0"
