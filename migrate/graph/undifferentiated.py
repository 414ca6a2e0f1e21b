"""The loops through which TF1 gives no gradient: of `tf.while_loop(back_prop=False)`, as map_fn and scan make too.

The graph does not say it. It is in the WhileContextDef of the loop in a MetaGraphDef's collections
(`WhileContext.to_proto`, control_flow_ops.py), and the gradient of an Exit asks for it (`_ExitGrad`,
control_flow_grad.py).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from google.protobuf.message import DecodeError

from migrate.graph.protos import MetaGraphDef

_LOOPS, _CONDS = "while_context", "cond_context"


def undifferentiated(meta_graph: MetaGraphDef) -> frozenset[str]:
    """Names of the Exits of such loops, in loops and conds too; a context that cannot be read tells of none.

    Example: {"while/Exit", "while/Exit_1"} for a loop of two variables.
    """
    if not any(key in meta_graph.collection_def for key in (_LOOPS, _CONDS)):
        return frozenset()
    from migrate.graph.data_protos import CondContextDef, WhileContextDef  # Few models have loops.

    found: set[str] = set()
    for key, kind in ((_LOOPS, WhileContextDef), (_CONDS, CondContextDef)):
        packed = meta_graph.collection_def[key].bytes_list.value if key in meta_graph.collection_def else ()
        for serialized in packed:
            try:
                context = kind.FromString(serialized)
            except DecodeError:
                continue
            found.update(_exits(context))
    return frozenset(found)


def _exits(outermost: Any) -> Iterator[str]:
    pending = [outermost]
    for context in pending:  # grows while it is read
        if context.DESCRIPTOR.name == "WhileContextDef" and not context.back_prop:
            yield from (name.partition(":")[0] for name in context.loop_exit_names)
        for nested in context.nested_contexts:
            pending.append(nested.while_ctxt if nested.HasField("while_ctxt") else nested.cond_ctxt)
