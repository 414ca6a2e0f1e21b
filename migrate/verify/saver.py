"""Whether a v1 Session that saves a candidate writes each variable under the key that it is restored from.

The values that a Session restores are compared with the source's; what it saves is read from the files alone.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

from google.protobuf.message import DecodeError

from migrate.errors import InputError
from migrate.frozen import frozen
from migrate.graph.protos import FunctionDef, MetaGraphDef, NodeDef
from migrate.records import Mismatch
from migrate.sources.stored_objects import read_stored_objects
from migrate.verify.differences import mismatch
from migrate.verify.object_graph import VARS, children, named, stored_names

CODE = "saver-differs"
_CALLS = frozenset({"PartitionedCall", "StatefulPartitionedCall"})
_FIRST_TENSOR = 3
"""Inputs of SaveV2 and RestoreV2 before the tensors: prefix, names, slices (io_ops.cc)."""
_MOST_STEPS = 64


def saver_differences(new: MetaGraphDef, path: str) -> Iterator[Mismatch]:
    """Compares what a candidate's save op writes with what its restore op reads, where both are read from the graph.

    Args:
      new: the candidate's.
      path: of the differences, see `records.Mismatch`.
    """
    main = {node.name: node for node in new.graph_def.node}
    functions = {function.signature.name: function for function in new.graph_def.library.function}
    saver = new.saver_def
    restored = dict(_restored(_called(main, functions, saver.restore_op_name)))
    saved = dict(_saved(_called(main, functions, saver.save_tensor_name)))
    if not restored or not saved:
        return
    for key, handle in sorted(restored.items()):
        if key not in saved:
            yield mismatch(CODE, path, f"a Session does not save the entry {key!r}, which it restores", "", handle)
        elif saved[key] != handle:
            reason = f"a Session saves {saved[key] or 'no variable'!r} as {key!r}, from which it restores {handle!r}"
            yield mismatch(CODE, path, reason, "", handle)


def stored_name_differences(new: MetaGraphDef, prefix: str, path: str) -> Iterator[Mismatch]:
    """Variables that TF1's Saver, which goes by names, restores from the entry of another one.

    Args:
      new: the candidate's.
      prefix: of its checkpoint.
      path: of the differences, see `records.Mismatch`.
    """
    graph = new.object_graph_def
    if not graph.nodes or VARS not in children(graph, 0):
        return  # Another exporter's, which may call its variables as it likes.
    try:
        stored = stored_names(graph, read_stored_objects(prefix))
    except (InputError, OSError, DecodeError, ValueError):
        return  # A checkpoint that cannot be read gives no values, either.
    for name, place in named(graph).items():
        found = stored.get(place.node, "")
        if found not in ("", name):
            yield mismatch(CODE, path, f"a Saver of TF1 takes its entry in the checkpoint for {found!r}", "", name)


@frozen
class _Call:
    """A call of a function in the main graph.

    Attributes:
      main: nodes of the main graph by name.
      node: the node that calls.
      function: what is called.
      nodes: its nodes by name.
    """

    main: Mapping[str, NodeDef]
    node: NodeDef
    function: FunctionDef
    nodes: Mapping[str, NodeDef]

    def handle(self, name: str) -> str:
        """The VarHandleOp of the main graph whose handle or value a tensor of the function is, or empty."""
        arguments = [argument.name for argument in self.function.signature.input_arg]
        given = name
        for _ in range(_MOST_STEPS):
            if given in arguments:
                return self._outer(self.node.input[arguments.index(given)])
            node = self.nodes.get(given.partition(":")[0])
            if node is None or node.op not in ("Identity", "ReadVariableOp") or not node.input:
                return ""
            given = node.input[0]
        return ""

    def _outer(self, name: str) -> str:
        for _ in range(_MOST_STEPS):
            node = self.main.get(name.partition(":")[0])
            if node is None:
                return ""
            if node.op == "VarHandleOp":
                return node.name
            if node.op not in ("Identity", "ReadVariableOp") or not node.input:
                return ""
            name = node.input[0]
        return ""

    def constant(self, name: str) -> list[str] | None:
        """The strings of a constant, in the function or given to it."""
        arguments = [argument.name for argument in self.function.signature.input_arg]
        if name in arguments:
            node = self.main.get(self.node.input[arguments.index(name)].partition(":")[0])
        else:
            node = self.nodes.get(name.partition(":")[0])
        if node is None or node.op != "Const":
            return None
        tensor = node.attr["value"].tensor
        count = math.prod(dim.size for dim in tensor.tensor_shape.dim)
        values = [value.decode(errors="replace") for value in tensor.string_val]
        # The last one stands for all that are left out (tensor.proto).
        return [*values, *values[-1:] * (count - len(values))]


def _called(main: Mapping[str, NodeDef], functions: Mapping[str, FunctionDef], target: str) -> _Call | None:
    node = main.get(target.partition(":")[0])
    for _ in range(_MOST_STEPS):
        if node is None or node.op in _CALLS:
            break
        node = main.get(node.input[0].lstrip("^").partition(":")[0]) if node.input else None
    function = functions.get(node.attr["f"].func.name) if node is not None else None
    if node is None or function is None:
        return None
    return _Call(main, node, function, {inner.name: inner for inner in function.node_def})


def _saved(call: _Call | None) -> Iterator[tuple[str, str]]:
    for node in () if call is None else call.nodes.values():
        names = call.constant(node.input[1]) if call is not None and node.op == "SaveV2" else None
        if call is not None and names is not None:
            for key, given in zip(names, node.input[_FIRST_TENSOR:], strict=False):
                yield key, call.handle(given)


def _restored(call: _Call | None) -> Iterator[tuple[str, str]]:
    """Those alone that are assigned to a variable."""
    if call is None:
        return
    for node in call.nodes.values():
        if node.op != "AssignVariableOp":
            continue
        given = node.input[1]
        for _ in range(_MOST_STEPS):
            source = call.nodes.get(given.partition(":")[0])
            if source is None or source.op != "Identity":
                break
            given = source.input[0]
        handle = call.handle(node.input[0])
        if source is not None and source.op == "RestoreV2" and handle:
            names, number = call.constant(source.input[1]), int(given.rpartition(":")[2] or 0)
            if names is not None and number < len(names):
                yield names[number], handle
