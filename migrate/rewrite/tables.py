"""Tables, queues, readers and accumulators: a string-ref handle becomes a DT_RESOURCE handle."""

from __future__ import annotations

from migrate.rewrite import ops
from migrate.rewrite.graph import data_inputs
from migrate.rewrite.rule import Edit, Rule, Scope, with_values
from migrate.sources.protos import NodeDef


def _handle(node: NodeDef, scope: Scope) -> Edit | None:
    return with_values(node, scope, ops.HANDLES[node.op])


def _user(node: NodeDef, scope: Scope) -> Edit | None:
    return with_values(node, scope, ops.HANDLE_USERS[node.op], ops.ref_arguments(node.op, len(data_inputs(node))))


HANDLE = Rule(frozenset(ops.HANDLES), _handle)
USER = Rule(frozenset(ops.HANDLE_USERS), _user)
