"""Nodes that say how a gradient goes through them, in a candidate and in its source.

They compute what an Identity computes, so neither calls nor the proof of values see them: StopGradient gives no
gradient, PreventGradient an error (array_grad.py), and the attribute `_gradient_op_type` names another gradient
(ops.py, `get_gradient_function`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from migrate.graph.dtypes import dtype_value
from migrate.graph.op_table import load_op_table
from migrate.graph.protos import MetaGraphDef, NodeDef
from migrate.graph.undifferentiated import undifferentiated
from migrate.records import Mismatch
from migrate.verify.bodies import bodies
from migrate.verify.differences import mismatch

_STOPS = frozenset({"PreventGradient", "StopGradient"})
_UNDIFFERENTIATED = frozenset({"Enter", "Switch", "TensorArrayV3"})
_LISTS = frozenset({"TensorListFromTensor", "TensorListReserve"})
_STRING = dtype_value("string")
_CALLS = frozenset({"PartitionedCall", "StatefulPartitionedCall"})
"""The loader sets the gradient of the function that they call (function_deserialization.py)."""
_OVERRIDE = "_gradient_op_type"
_LOST = b"LostCustomGradient-"
"""May begin a name that tf.custom_gradient has made, so that no other process has a function under it."""


def gradient_mark_differences(source: Iterable[MetaGraphDef], new: MetaGraphDef, path: str) -> Iterator[Mismatch]:
    """Compares them by the names of nodes, which a conversion keeps. A mark that the user had removed is none.

    Args:
      source: the source's, and its training graph's.
      new: the candidate's.
      path: of the differences, see `records.Mismatch`.
    """
    before: dict[str, set[tuple[str, bytes]]] = {}
    ends: set[str] = set()
    for graph in source:
        ends |= undifferentiated(graph)
        for _, _, nodes in bodies(graph):
            for node in nodes:
                before.setdefault(node.name, set()).add(_mark(node))
    stops = {name for name, marks in before.items() if all(stop for stop, _ in marks)}
    for where, _, nodes in bodies(new):
        for node in nodes:
            known = before.get(node.name)
            stop, override = _mark(node)
            if known is None:
                continue
            is_end = stop == "StopGradient" and node.name in ends
            if stop and not is_end and stop not in {one for one, _ in known}:
                reason = f"{where} has {stop} where the source has none: no gradient goes through it"
                yield mismatch("gradient-mark-differs", path, reason, "", node.name)
            elif node.op == "Identity" and node.name in stops and not node.name.startswith("Identity"):
                reason = f"{where} has Identity where the source stops the gradient"
                yield mismatch("gradient-mark-differs", path, reason, "", node.name)
            elif override and _written(override) not in {one for _, one in known}:
                reason = f"{where} names the gradient {override.decode(errors='replace')!r}, and the source does not"
                yield mismatch("gradient-mark-differs", path, reason, "", node.name)


def has_gradients(new: MetaGraphDef) -> bool:
    """Whether TensorFlow differentiates a candidate as it does TF1's graph, so that a lost gradient is a fault.

    It does not differentiate v1 control flow in a function (control_flow_state.py has no state of it there), a
    TensorArray in a function of its own, a function that hands on a TensorList of strings (concrete_function.py wants
    zeros of them), or a node whose custom gradient is not in the model.
    """
    return not any(_is_undifferentiated(node) for _, _, nodes in bodies(new) for node in nodes)


def _is_undifferentiated(node: NodeDef) -> bool:
    if node.op in _UNDIFFERENTIATED:
        return True
    if node.op in _LISTS and node.attr["element_dtype"].type == _STRING:
        return True
    override = node.attr[_OVERRIDE].s.decode("utf-8", "replace") if _OVERRIDE in node.attr else ""
    return bool(override) and override not in load_op_table() and node.op not in _CALLS


def _written(override: bytes) -> bytes:
    """What a source calls the gradient that a candidate names."""
    return override.removeprefix(b"Lost") if override.startswith(_LOST) else override


def _mark(node: NodeDef) -> tuple[str, bytes]:
    """The op if it stops a gradient, and the gradient that the node names; both may be empty."""
    override = node.attr[_OVERRIDE].s if _OVERRIDE in node.attr else b""
    return (node.op if node.op in _STOPS else "", override)
