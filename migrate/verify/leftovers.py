"""What of TF1 or of the machine that exported it is left in a candidate's graph: ref ops and device pins.

Every function counts, called or not: what nothing calls today is called tomorrow.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from migrate.graph.dtypes import REF
from migrate.graph.op_table import load_ref_ops
from migrate.graph.protos import FunctionDef, MetaGraphDef, NodeDef, OpDef
from migrate.records import Mismatch
from migrate.verify.bodies import bodies
from migrate.verify.differences import mismatch


def ref_differences(new: MetaGraphDef, path: str) -> Iterator[Mismatch]:
    """Ops and dtypes of refs in a candidate: TensorFlow 2 loses what a ref op writes.

    Args:
      new: the candidate's.
      path: of the differences, see `records.Mismatch`.
    """
    ref_ops = load_ref_ops()
    for where, _, nodes in bodies(new):
        for node in nodes:
            if node.op in ref_ops or _has_ref(node):
                yield mismatch("ref-op-left", path, f"{node.op} in {where} works on a ref", "", node.name)
                break
    for function in new.graph_def.library.function:
        if any(argument.is_ref or argument.type > REF for argument in _arguments(function)):
            name = function.signature.name
            yield mismatch("ref-op-left", path, f"the function {name!r} takes or gives a ref", "", name)


def _has_ref(node: NodeDef) -> bool:
    return any(value.type > REF or any(dtype > REF for dtype in value.list.type) for value in node.attr.values())


def _arguments(function: FunctionDef) -> Iterator[OpDef.ArgDef]:
    yield from function.signature.input_arg
    yield from function.signature.output_arg


def device_differences(source: MetaGraphDef, new: MetaGraphDef, path: str) -> Iterator[Mismatch]:
    """Pins of a candidate to a device that the source does not ask for, and that not every machine has.

    Args:
      source: the source's.
      new: the candidate's.
      path: of the differences, see `records.Mismatch`.
    """
    known = {pin for _, _, nodes in bodies(source) for node in nodes for pin in _pins(node)}
    for where, _, nodes in bodies(new):
        for node in nodes:
            if not known.issuperset(_pins(node)):
                reason = f"{where} pins it to {node.device!r}, and the source pins nothing so"
                yield mismatch("device-pinned", path, reason, "", node.name)
                break


_FIRST_CPU: Mapping[str, frozenset[str]] = {
    "job": frozenset({"localhost"}),
    "replica": frozenset({"0"}),
    "task": frozenset({"0"}),
    "device": frozenset({"cpu", "cpu:0", "cpu:*"}),
}
"""Parts of a device's name that every process has."""


def _pins(node: NodeDef) -> set[str]:
    """The parts of a node's device that not every process has, in one spelling."""
    if not node.device:
        return set()
    found = set()
    for part in node.device.lower().split("/"):
        # `/cpu:0` is the old form of `/device:CPU:0` (core/util/device_name_utils.cc).
        kind, _, value = part.partition(":")
        if kind not in _FIRST_CPU and part:
            kind, value = "device", part
        if part and value not in _FIRST_CPU[kind]:
            found.add(f"{kind}:{re.sub(r':0$', '', value)}")
    return found
