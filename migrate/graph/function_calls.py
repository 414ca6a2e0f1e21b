"""Ops that run functions of the graph's library, and which functions each one runs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from migrate.graph.protos import NodeDef

PARTITIONED = frozenset({"PartitionedCall", "StatefulPartitionedCall"})
"""Ops that call the function which their attribute `f` names."""
BRANCHES: Mapping[str, tuple[str, ...]] = {
    **dict.fromkeys(("If", "StatelessIf"), ("then_branch", "else_branch")),
    **dict.fromkeys(("Case", "StatelessCase"), ("branches",)),
    **dict.fromkeys(("While", "StatelessWhile"), ("cond", "body")),
}
"""Functional control flow, with the attributes that name its functions."""
LOOPS = frozenset({"StatelessWhile", "While"})
"""Those of `BRANCHES` that run a function again and again."""
_LOWER = "_lower_using_switch_merge"


def is_lowered(node: NodeDef) -> bool:
    """Whether TensorFlow makes Switch and Merge of a functional If, While or Case before a graph runs."""
    return node.op in BRANCHES and _LOWER in node.attr and node.attr[_LOWER].b


def first_argument(op: str) -> int:
    """The number of the data input that is the first argument of the functions which an op runs.

    Example:
      >>> first_argument("If"), first_argument("While"), first_argument("PartitionedCall")
      (1, 0, 0)
    """
    return 1 if op in BRANCHES and op not in LOOPS else 0


def callees(node: NodeDef) -> Iterator[str]:
    """Names of the functions that a call or a node of functional control flow runs; nothing for another node."""
    if node.op in PARTITIONED:
        if "f" in node.attr:
            yield node.attr["f"].func.name
        return
    for key in BRANCHES.get(node.op, ()):
        if key in node.attr:
            value = node.attr[key]
            yield from [f.name for f in value.list.func] if value.HasField("list") else [value.func.name]
