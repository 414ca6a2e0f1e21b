"""What other modules ask of the ops that rules claim, derived from THE TABLE.

What is known of an op is on its rule (`rule.Op`), and what TensorFlow's kernel does in the table of ops
(`graph/ops.tsv`); `describe` shows both.
"""

from __future__ import annotations

from collections.abc import Mapping

from migrate.graph.op_table import describe as describe_kernel
from migrate.rewrite.op_facts import Gives, Op
from migrate.rewrite.refusals import MADE_BY, REFUSED, why_refused
from migrate.rewrite.rules import control_flow, resource_handles, variables
from migrate.rewrite.rules.table import TABLE

OPS: Mapping[str, Op] = TABLE.ops

VARIABLES = frozenset(variables.VARIABLE.ops)
WRITES: Mapping[str, str] = {name: op.twin for name, op in OPS.items() if op.writes and op.twin}
"""Ops that write the variables behind their refs, with the op that writes those behind handles."""
WRITTEN_REFS = frozenset(name for name in WRITES if OPS[name].gives is Gives.REF)
"""Those that give the ref on."""
STRICT_REFS = frozenset(variables.STRICT.ops)
"""Ops that take a ref, write nothing and give no ref."""
REF_CONTROL_FLOW = frozenset(control_flow.REF.ops)
"""Ops that pass refs on."""
CONTROL_FLOW = frozenset(control_flow.PLAIN.ops)
HANDLES: Mapping[str, str] = {name: op.twin for name, op in resource_handles.HANDLE.ops.items()}
"""Ops that give a string-ref handle to a resource, with the op that gives the same as DT_RESOURCE."""
OTHER_HANDLES = frozenset(name for name, op in OPS.items() if op.gives is Gives.STEP_HANDLE)
"""Other ops that give a string handle: to a queue that is a resource already, to what lives for one step."""

NAMED_RESOURCES = frozenset(HANDLES.values()) | {
    "BoostedTreesEnsembleResourceHandleOp",
    "BoostedTreesQuantileStreamResourceHandleOp",
    "IteratorV2",
    "MutableDenseHashTableV2",
    "MutexV2",
    "TensorForestTreeResourceHandleOp",
}
"""Ops that make or find a resource by (container, shared_name).

Each becomes one captured object of the new model: `tf.saved_model.load` gives the same shared_name another suffix in
every function (function_deserialization.py, fix_node_def), so nodes in two functions would not meet.
"""


def describe(op: str) -> str:
    """All that is known of an op, one fact per line.

    >>> print(describe("Assign"))  # doctest: +ELLIPSIS
    Assign
      registered  2.15, 2.21
      ...
      rule        write
      twin        AssignVariableOp
      ...
    """
    lines = [describe_kernel(op)]
    rule = TABLE.rules.get(op)
    if rule is not None:
        known, plain = rule.ops[op], Op()
        lines.append(f"  {'rule':11} {rule.name}")
        for name in Op.__dataclass_fields__:
            value = getattr(known, name)
            if value != getattr(plain, name):
                lines.append(f"  {name:11} {_shown(value)}")
    elif op in REFUSED or op in MADE_BY:
        lines.append(f"  {'refused':11} {why_refused(op)}")
    return "\n".join(lines)


def _shown(value: object) -> str:
    if isinstance(value, range):
        return f"inputs from {value.start}" if value.stop > 100 else ", ".join(map(str, value))
    return value.value if isinstance(value, Gives) else str(value)
