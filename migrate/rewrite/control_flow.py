"""v1 control flow over refs becomes the same control flow over resource handles."""

from __future__ import annotations

from migrate.records import Finding, refusal
from migrate.rewrite import ops
from migrate.rewrite.graph import as_input, data_inputs
from migrate.rewrite.rule import DT_RESOURCE, Edit, Rule, Scope, replaced, with_values
from migrate.sources.protos import NodeDef


def _handles(node: NodeDef, op: str) -> range:
    """Positions of the inputs that a control flow op passes on."""
    return range(len(data_inputs(node))) if op == "Merge" else range(1)


def _ref(node: NodeDef, scope: Scope) -> Edit | Finding | None:
    op = ops.REF_CONTROL_FLOW[node.op]
    positions = _handles(node, op)
    for position in positions:
        share = scope.share(data_inputs(node)[position])
        if share is None or not share.is_ref:
            return refusal(
                "ref-is-fed",
                f"{scope.aliases.run.key}: {node.op} needs a ref at {data_inputs(node)[position]!r}, "
                "but no variable leads to it",
                (node.name,),
                "a v1 Session cannot run this call either; drop the signature with --drop_signatures",
            )
    edit = with_values(node, scope, op, positions)
    assert edit is not None  # The op changes.
    edit.nodes[-1].attr["T"].type = DT_RESOURCE
    return edit


def _plain(node: NodeDef, scope: Scope) -> Edit | Finding | None:
    share = scope.share(f"{node.name}:0")
    if share is None or not share.certain:
        return with_values(node, scope, node.op)
    steps = [step for step in share.steps if len(data_inputs(scope.aliases.run.graph.nodes[step])) > 1]
    if steps:
        return refusal(
            "reshape-in-control-flow",
            f"{scope.aliases.run.key}: {node.op} {node.name!r} passes a reshaped variable on that the same call writes",
            (node.name, *steps),
            "the shape would have to travel through the control flow with it; ask for this case",
        )
    inputs = [as_input(scope.handle(data_inputs(node)[p])) for p in _handles(node, node.op)]
    extra: tuple[NodeDef, ...] = ()
    if node.op == "Switch":
        name, extra = scope.value(node, 1)
        inputs.append(name)
    result = replaced(node, node.op, inputs)
    result.attr["T"].type = DT_RESOURCE
    return Edit((*extra, result))


REF = Rule(frozenset(ops.REF_CONTROL_FLOW), _ref)
PLAIN = Rule(ops.CONTROL_FLOW, _plain)
