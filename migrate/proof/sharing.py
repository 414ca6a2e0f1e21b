"""Which tensors of a call may be the buffer of a ref variable, which a later write changes in place.

A read tells what the buffer holds when its consumer runs (see `states`). Here it is what may be kept beyond that: a
resource variable or a queue that is given such a tensor holds the buffer itself, in this call and in later ones.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from migrate.graph.dtypes import base_name
from migrate.graph.op_table import load_op_table
from migrate.graph.protos import AttrValue
from migrate.proof.equations import BRANCHES, CALLS, MAKERS, READS, WRITES
from migrate.proof.program import Flat

_MOST_TURNS = 40
"""Loops in loops: each passes on what the one in it has got."""


def behind_refs(nodes: Sequence[Flat], order: Sequence[int]) -> Collection[int]:
    """Places of the nodes of which an output may be a ref variable's buffer."""
    if not any(_is_ref_maker(node.op) for node in nodes):
        return frozenset()
    found: set[int] = set()
    for _ in range(_MOST_TURNS):
        before = len(found)
        for place in order:
            if place not in found and _may_be(nodes[place], found):
                found.add(place)
        if len(found) == before:
            return found
    return frozenset(order)


def _is_ref_maker(op: str) -> bool:
    return op in MAKERS and MAKERS[op].kind == "ref"


def _may_be(node: Flat, found: Collection[int]) -> bool:
    op = node.op
    if _is_ref_maker(op) or op in BRANCHES or op in CALLS:
        return True  # A function may have a variable of its own.
    if op in READS:
        return False  # What it reads was kept, or was copied.
    if op in WRITES:
        return not WRITES[op].results and any(place in found for place, _ in node.data[: WRITES[op].cells])
    return not copies(op, node.attr) and any(place in found for place, _ in node.data)


def copies(op: str, attr: Mapping[str, AttrValue]) -> bool:
    """Whether no output of a node is the buffer of an input; False where that is not known."""
    info = load_op_table().get(op)
    return info is not None and (info.copies or (op == "Cast" and _converts(attr)))


def _converts(attr: Mapping[str, AttrValue]) -> bool:
    """Whether a Cast is to another dtype in memory (cast_op.cc; a quantized dtype is in memory as its integer)."""
    names = [base_name(attr[key].type) if key in attr else "" for key in ("SrcT", "DstT")]
    return names[0] != names[1] and _PLAIN.issuperset(names)


_PLAIN = frozenset(
    {
        "bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64",
        "bfloat16", "float16", "float32", "float64", "complex64", "complex128",
    }
)  # fmt: skip
