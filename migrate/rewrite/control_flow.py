"""v1 control flow over refs becomes the same control flow over resource handles."""

from __future__ import annotations

from migrate.records import Finding, refusal
from migrate.rewrite import ops
from migrate.rewrite.aliases import producer
from migrate.rewrite.graph import as_input, data_inputs
from migrate.rewrite.mixed import mixed
from migrate.rewrite.rule import DT_RESOURCE, Edit, Rule, Scope, not_a_ref, replaced, with_values
from migrate.sources.protos import NodeDef


def _handles(node: NodeDef, op: str) -> range:
    """Positions of the inputs that a control flow op passes on."""
    return range(len(data_inputs(node))) if op == "Merge" else range(1)


def _ref(node: NodeDef, scope: Scope) -> Edit | Finding | None:
    op = ops.REF_CONTROL_FLOW[node.op]
    positions = _handles(node, op)
    problem = not_a_ref(node, scope, positions)
    if problem is not None:
        return problem
    for consumer, _ in scope.aliases.run.graph.consumers.get(f"{node.name}:0", ()):
        merged = scope.share(f"{consumer}:0")
        if scope.aliases.run.graph.nodes[consumer].op == "Merge" and not (merged and merged.is_followed):
            return refusal(
                "ref-loop-variable",
                f"{scope.aliases.run.key}: the loop variable at {consumer!r} is a variable's ref in one iteration "
                "and a value in others",
                (node.name, consumer),
                "start the loop from variable.read_value()",
            )
    edit = with_values(node, scope, op, positions)
    assert edit is not None  # The op changes.
    edit.nodes[-1].attr["T"].type = DT_RESOURCE
    return edit


def _plain(node: NodeDef, scope: Scope) -> Edit | Finding | None:
    share = scope.share(f"{node.name}:0")
    if share is None or not share.is_followed:
        return with_values(node, scope, node.op)
    nodes = scope.aliases.run.graph.nodes
    steps = [s for s in share.steps if any(nodes[producer(t)].op != "Const" for t in data_inputs(nodes[s])[1:])]
    if steps:
        return refusal(
            "reshape-in-control-flow",
            f"{scope.aliases.run.key}: {node.op} {node.name!r} passes a variable on that the same call writes, "
            "reshaped to a computed shape",
            (node.name, *steps),
            "reshape it to a constant shape, or please open an issue",
        )
    if share.mixed:
        return mixed(node, scope)
    inputs = [as_input(scope.handle(data_inputs(node)[p])) for p in _handles(node, node.op)]
    extra: tuple[NodeDef, ...] = ()
    if node.op == "Switch":
        name, extra = scope.value(node, 1)
        inputs.append(name)
    result = replaced(node, node.op, inputs)
    result.attr["T"].type = DT_RESOURCE
    return Edit((*extra, result))


REF = Rule(frozenset(ops.REF_CONTROL_FLOW), _ref)
PLAIN = Rule(ops.CONTROL_FLOW, _plain, follows=True)
