"""The nodes of a candidate that have names of its source's: each is the same op, with the same attributes and inputs.

An attribute may say what shows in rare calls alone: how much of a JPEG must be there, which text a pattern matches, how
a bound is rounded. So may an edge in a branch that no call takes. Nodes keep their names in the functions of a
converted model; what is new there has names of its own, and is not compared here. No TensorFlow.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Hashable, Iterable, Iterator, Mapping, Sequence

from migrate.graph.attr_defaults import encoded, encoded_defaults, has_functions
from migrate.graph.dtypes import dtype_value
from migrate.graph.graph import data_inputs
from migrate.graph.op_table import PLACEHOLDERS, load_op_table, unavailable
from migrate.graph.protos import MetaGraphDef, NodeDef
from migrate.records import Mismatch
from migrate.verify.bodies import bodies
from migrate.verify.differences import mismatch
from migrate.verify.used_nodes import PREFIX, used_nodes

_CODE = "node-differs"
_CALLS = frozenset({"PartitionedCall", "StatefulPartitionedCall"})
_EXPORTERS = re.compile(r"(?:Const|Identity|IdentityN|NoOp|(?:Stateful)?PartitionedCall)(?:_\d+)?")
"""Names that TensorFlow's exporter gives to nodes of its own, in functions where no other node has them."""
_FLOW = frozenset({"Enter", "Exit", "LoopCond", "Merge", "NextIteration", "Switch"})
"""Control flow of v1, which branches that are decided lose, and which may become functions."""
_ARRAY, _LIST = "TensorArray", "TensorList"
_FOR_FLOW = frozenset({"Const", "Identity", "If", "ReadVariableOp", "StatelessIf", "StatelessWhile", "While"})
_FOR_FED = frozenset({"Const", "Identity"})
_ELSEWHERE = frozenset({"Const", "VarHandleOp", *PLACEHOLDERS})
"""Ops whose attributes are compared by other checks, or say nothing: names, shapes, the values of constants."""
_NOT_COMPARED = frozenset({"container", "shared_name", "output_shapes", "config_proto", "config", "executor_type"})
"""Attributes that are compared by other checks, or say nothing."""
_NO_VALUES = frozenset({"parallel_iterations", "swap_memory"})
"""Attributes for the runtime."""
_HANDLES = tuple(("type", dtype_value(name)) for name in ("resource", "variant"))


def node_differences(source: Collection[MetaGraphDef], new: MetaGraphDef, path: str) -> Iterator[Mismatch]:
    """Nodes of a candidate that differ from the source's node of their name in op, attributes or inputs.

    Args:
      source: the source's MetaGraphDefs; in a TF2 SavedModel a name may be that of nodes of several functions.
      new: the candidate's.
      path: of the differences, see `records.Mismatch`.
    """
    if any(graph.object_graph_def.nodes for graph in source):
        return
    known = _Known(source)
    arguments = {where: frozenset(names) for where, names, _ in bodies(new)}
    for used in used_nodes(new):
        if not used.has_names:
            continue
        for node in used.nodes:
            if reason := known.differs(node, arguments.get(used.where, frozenset())):
                yield mismatch(_CODE, path, f"{reason} ({used.where})", "", node.name)


class _Known:
    """The nodes of the source."""

    def __init__(self, graphs: Iterable[MetaGraphDef]) -> None:
        self._by_name: dict[str, list[NodeDef]] = {}
        self._fed: set[str] = set()
        for graph in graphs:
            for _, _, nodes in bodies(graph):
                for node in nodes:
                    self._by_name.setdefault(node.name, []).append(node)
            for signature in graph.signature_def.values():
                for info in signature.inputs.values():
                    sparse = info.coo_sparse
                    names = (sparse.indices_tensor_name, sparse.values_tensor_name, sparse.dense_shape_tensor_name)
                    self._fed.update(name.partition(":")[0] for name in (info.name, *names))

    def differs(self, node: NodeDef, arguments: Collection[str]) -> str:
        """Why none of the source's nodes of its name is what a node is; empty where one is, or where there are none."""
        named = self._named(node.name)
        if not named or _EXPORTERS.fullmatch(node.name) or node.op in _CALLS:
            return ""
        alike = [one for one in named if one.op == node.op]
        if not alike:
            other = named[0].op
            return "" if any(_may_become(one.op, node.op) for one in named) else f"expected {other}, found {node.op}"
        reasons = [self._of_attributes(one, node) or self._of_inputs(one, node, arguments) for one in alike]
        return reasons[0] if all(reasons) else ""

    def _named(self, name: str) -> list[NodeDef]:
        own = name.removeprefix(PREFIX)
        return [*self._by_name.get(own, ()), *(self._by_name.get(name, ()) if own != name else ())]

    def _of_attributes(self, one: NodeDef, node: NodeDef) -> str:
        if node.op in _ELSEWHERE:
            return ""
        theirs, mine = _attributes(one), _attributes(node)
        for key in sorted(theirs.keys() | mine.keys()):
            # A handle takes the place of what it holds, a list that of an array's flow.
            if theirs.get(key) != mine.get(key) and mine.get(key) not in _HANDLES:
                expected, found = _told(theirs.get(key)), _told(mine.get(key))
                return f"expected {key} of {node.op} to be {expected}, found {found}"
        return ""

    def _of_inputs(self, one: NodeDef, node: NodeDef, arguments: Collection[str]) -> str:
        theirs, mine = _givers(one), _givers(node)
        if len(theirs) != len(mine):
            return f"expected {node.op} to take {len(theirs)} inputs, found {len(mine)}"
        for expected, found in zip(theirs, mine, strict=True):
            is_argument = found in arguments
            if found.removeprefix(PREFIX) == expected or not (is_argument or self._named(found)):
                continue  # What has a name of its own may be anything that a conversion makes.
            if not is_argument or not self._may_be_given(expected):
                what = "an argument" if is_argument else repr(found)
                return f"expected {node.op} to take {expected!r}, found {what}"
        return ""

    def _may_be_given(self, name: str) -> bool:
        """Whether a function takes what a node gives as an argument: inputs, handles, assets, a loop's state."""
        if name in self._fed or name not in self._by_name:
            return True
        return any(_may_be_argument(one.op) for one in self._by_name[name])


def _may_be_argument(op: str) -> bool:
    known = load_op_table().get(op)
    is_given = op == "Const" or op in PLACEHOLDERS or op in _FLOW or op.startswith(_ARRAY)
    return is_given or known is None or known.is_stateful or known.has_ref


def _givers(node: NodeDef) -> Sequence[str]:
    return [name.partition(":")[0] for name in data_inputs(node)]


def _may_become(op: str, new: str) -> bool:
    """Whether another op may be in the place of one: where TensorFlow 2 lacks it, of refs, of what is decided."""
    known = load_op_table().get(op)
    if known is None or known.has_ref or unavailable(op) is not None:
        return True
    is_flow = (op in _FLOW and new in _FOR_FLOW) or (op.startswith(_ARRAY) and new.startswith(_LIST))
    return is_flow or (op in PLACEHOLDERS and new in _FOR_FED) or (op, new) == ("Identity", "ReadVariableOp")


def _attributes(node: NodeDef) -> Mapping[str, Hashable]:
    found = {key: encoded(value) for key, value in node.attr.items() if _is_compared(key) and not has_functions(value)}
    for key, default in encoded_defaults(node.op).items():
        if _is_compared(key):
            found.setdefault(key, default)
    return found


def _is_compared(key: str) -> bool:
    return not key.startswith("_") and key not in _NOT_COMPARED and key not in _NO_VALUES


def _told(value: Hashable) -> str:
    if value is None:
        return "absent"
    text = repr(value[-1]) if isinstance(value, tuple) else repr(value)
    return text if len(text) < 80 else text[:80] + "..."
