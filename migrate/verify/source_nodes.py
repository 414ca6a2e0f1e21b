"""The nodes of a source by the names that a candidate has for them. No TensorFlow."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

from migrate.graph.contract import tensor_names
from migrate.graph.function_calls import callees, is_lowered
from migrate.graph.op_table import load_op_table, may_call, unavailable
from migrate.graph.protos import FunctionDef, MetaGraphDef, NodeDef
from migrate.verify.bodies import bodies
from migrate.verify.lowered_flow import lowered_functions
from migrate.verify.used_nodes import PREFIX

_EXPORTERS = re.compile(r"(?:Const|Identity|IdentityN|NoOp|(?:Stateful)?PartitionedCall)(?:_\d+)?")
_NUMBER = re.compile(r"_\d+$")


def is_exporters(name: str) -> bool:
    """Whether a name is one that TensorFlow's exporter gives to nodes of its own, where no other node has it.

    Example:
      >>> is_exporters("Identity_1"), is_exporters("read")
      (True, False)
    """
    return bool(_EXPORTERS.fullmatch(name))


class SourceNodes:
    """The nodes of a source's graphs and functions.

    Attributes:
      fed: names of the nodes that signatures feed.
      functions: by name.
    """

    def __init__(self, graphs: Iterable[MetaGraphDef]) -> None:
        """Reads them."""
        self._by_name: dict[str, list[NodeDef]] = {}
        self.fed: set[str] = set()
        self.functions: dict[str, FunctionDef] = {}
        self._lowered: set[tuple[str, tuple[str, ...]]] = set()
        for graph in graphs:
            functions = {function.signature.name: function for function in graph.graph_def.library.function}
            self.functions.update(functions)
            self._note_lowered(graph.graph_def.node, functions)
            for _, _, nodes in bodies(graph):
                for node in nodes:
                    self._by_name.setdefault(node.name, []).append(node)
            for signature in graph.signature_def.values():
                for info in signature.inputs.values():
                    self.fed.update(tensor.partition(":")[0] for tensor in tensor_names(info))

    def _note_lowered(self, nodes: Iterable[NodeDef], functions: Mapping[str, FunctionDef]) -> None:
        bodies = [functions[name].node_def for name in lowered_functions(nodes, functions) if name in functions]
        self._lowered |= {_key(node) for each in (nodes, *bodies) for node in each if is_lowered(node)}

    def is_lowered(self, node: NodeDef) -> bool:
        """Whether a v1 Session makes Switches and Merges of a node, and runs of it what is needed."""
        return _key(node) in self._lowered

    def named(self, name: str) -> Sequence[NodeDef]:
        """The nodes that one of a candidate's functions may call so: several where functions of the source do."""
        return [node for own in self.names(name) for node in self._by_name[own]]

    def names(self, name: str) -> Sequence[str]:
        """What the source may call the node that a candidate calls so; nothing where it has none.

        TensorFlow adds a number to the name of a node that one of the function's outputs has (graph_to_functiondef.cc).
        """
        own = name.removeprefix(PREFIX)
        numberless = _NUMBER.sub("", own)
        exact = [each for each in dict.fromkeys((name, own)) if each in self._by_name]
        if numberless == own or numberless not in self._by_name or (not exact and self.is_replaced(name)):
            return exact
        return [*exact, numberless]

    def is_replaced(self, name: str) -> bool:
        """Whether a name is below that of a node in whose place a conversion puts others.

        These are ops of refs and those that TensorFlow 2 does not have, and calls, in whose place the bodies may be.
        """
        own = name.removeprefix(PREFIX)
        above = (own[: match.start()] for match in re.finditer("/", own))
        return any(is_replaceable(node.op) for place in above for node in self._by_name.get(place, ()))


def _key(node: NodeDef) -> tuple[str, tuple[str, ...]]:
    """Tells nodes of one name by their functions."""
    return node.name, tuple(callees(node))


def is_replaceable(op: str) -> bool:
    """Whether a conversion may put other ops in an op's place: where TensorFlow 2 lacks it, of refs, of calls."""
    known = load_op_table().get(op)
    return known is None or known.has_ref or may_call(op) or unavailable(op) is not None
