"""Ops that do more than compute: what each node may do, and which of it a call, loading or restoring runs.

An op is harmless where the table of ops says so, or where an attribute makes it so (`effects`); any other one is
dangerous, and so is an op that the table does not have.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Container, Sequence

from migrate.checks import effects
from migrate.checks.effects import HARMLESS, UNKNOWN
from migrate.checks.subject import Subject
from migrate.graph.nodes import Located, by_op, labels, locate, show_counts
from migrate.graph.op_table import beyond_the_table, load_op_table
from migrate.graph.protos import NodeDef
from migrate.records import Finding, Severity

TABLE_FILLS = frozenset({"InitializeTableFromTextFile", "InitializeTableFromTextFileV2"})
"""Ops with which an init op reads its assets."""


def dangerous_effect(node: NodeDef) -> str | None:
    """What a node may do that makes it dangerous, see `effects.effect_of`; None for a harmless one."""
    if may_be_dangerous(node.op) is None:
        return None
    effect = effects.effect_of(node)
    return None if effect in HARMLESS else effect


def may_be_dangerous(op: str) -> str | None:
    """The same, whatever the node's attributes are."""
    effect = effects.effect(op)
    return None if effect in HARMLESS else effect


RISKS = frozenset(
    {"acts-on-process", "effect-unknown", "python-op", "touches-files", "touches-network", "uses-accelerator"}
)
"""Findings with which a model is not run unless the user says so."""


def check(subject: Subject) -> tuple[Finding, ...]:
    """See `find_side_effects`."""
    by_calls = subject.called
    if by_calls is None:
        return find_side_effects(subject.located, subject.functions)
    library = subject.meta_graph.graph_def.library
    return find_side_effects(subject.located, subject.functions, lambda: locate(by_calls(), library))


def find_side_effects(
    nodes: Collection[Located], functions: Container[str] = (), called: Callable[[], Collection[Located]] | None = None
) -> tuple[Finding, ...]:
    """Finds nodes that do more than compute, draw random numbers, keep state and print.

    Such a model answers as its surroundings do; replaying its calls would touch them. What runs Python is
    `python_ops.find_python_ops`'s.

    Args:
      nodes: the nodes that a loader runs and those that a call of a signature runs.
      functions: names of the graph's functions, which nodes may have as their op.
      called: gives the latter alone, where a loader runs any: what fills a table is dangerous among these only.

    Returns:
      At most one warning for each code.
    """
    suspects = _suspects(nodes, functions)
    if called is not None and any(located.node.op in TABLE_FILLS for located in suspects):
        by_calls = {(located.where, located.node.name) for located in called()}
        suspects = [
            located
            for located in suspects
            if located.node.op not in TABLE_FILLS or (located.where, located.node.name) in by_calls
        ]
    found: dict[str, list[Located]] = {}
    for located in suspects:
        effect = dangerous_effect(located.node)
        if effect is not None:
            found.setdefault(effect, []).append(located)
    files = [*found.get("reads-files", ()), *found.get("writes-files", ())]
    unknown = [*found.get("unread", ()), *found.get(UNKNOWN, ())]
    return (
        *_warn("touches-files", "reads or writes files", files),
        *_warn("touches-network", "talks to other processes or machines", found.get("network")),
        *_warn("acts-on-process", "ends the process, changes it or runs other code than graphs", found.get("process")),
        *_warn("uses-accelerator", "configures accelerators or exchanges data with them", found.get("device")),
        *_warn("effect-unknown", "runs ops whose effects this version does not know", unknown),
    )


def _suspects(nodes: Collection[Located], functions: Container[str]) -> list[Located]:
    """The nodes whose op may be dangerous; a graph has few ops, and many nodes."""
    every = {located.node.op for located in nodes}
    ops = {op for op in every if op not in functions and may_be_dangerous(op) is not None}
    return [located for located in nodes if located.node.op in ops] if ops else []


def _warn(code: str, what: str, found: Sequence[Located] | None) -> tuple[Finding, ...]:
    if not found:
        return ()
    counts = {op: len(group) for op, group in by_op(found).items()}
    beyond = "" if counts.keys() <= load_op_table().keys() else f"; {beyond_the_table()}"
    return (
        Finding(
            code,
            Severity.WARNING,
            f"The model {what} when it is called: {show_counts(counts)}{beyond}.",
            labels(found),
            "Verification calls it only with --allow_side_effects.",
        ),
    )
