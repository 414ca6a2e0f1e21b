"""v1 control flow over refs becomes the same control flow over resource handles."""

from __future__ import annotations

from migrate.graph.graph import as_input, data_inputs
from migrate.graph.protos import NodeDef
from migrate.records import Finding, refusal
from migrate.rewrite.aliases import producer
from migrate.rewrite.new_nodes import DT_RESOURCE, Edit, replaced
from migrate.rewrite.op_facts import EVERY, Gives, Op
from migrate.rewrite.rule import Rule
from migrate.rewrite.rules.maybe_aliased import mixed_control_flow
from migrate.rewrite.scope import Scope, with_twin, with_values


def _ref(node: NodeDef, scope: Scope) -> Edit | Finding:
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
    edit = with_twin(node, scope)
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
        return mixed_control_flow(node, scope)
    passed = data_inputs(node) if node.op == "Merge" else data_inputs(node)[:1]
    inputs = [as_input(scope.handle(tensor)) for tensor in passed]
    extra: tuple[NodeDef, ...] = ()
    if node.op == "Switch":
        name, extra = scope.value(node, 1)
        inputs.append(name)
    result = replaced(node, node.op, inputs)
    result.attr["T"].type = DT_RESOURCE
    return Edit((*extra, result))


def _passes_ref(twin: str) -> Op:
    return Op(twin, refs=range(1), gives=Gives.REF)


REF = Rule(
    "ref_control_flow",
    {
        "RefEnter": _passes_ref("Enter"),
        "RefExit": _passes_ref("Exit"),
        "RefIdentity": _passes_ref("Identity"),
        "RefMerge": Op("Merge", refs=range(EVERY), gives=Gives.EITHER),
        "RefNextIteration": _passes_ref("NextIteration"),
        "RefSwitch": Op("Switch", fewest=2, refs=range(1), gives=Gives.REF, outputs=2),
        "DebugGradientRefIdentity": _passes_ref("Identity"),
    },
    _ref,
    needs_refs=True,
)
"""Ops that pass refs on; each twin passes any dtype on (control_flow_ops.cc: both share their kernels)."""
PLAIN = Rule(
    "control_flow",
    dict.fromkeys(("Enter", "Exit", "NextIteration"), Op(gives=Gives.BUFFER))
    | {"Merge": Op(gives=Gives.EITHER), "Switch": Op(fewest=2, gives=Gives.BUFFER, outputs=2)},
    _plain,
    always=False,
)
"""The plain control flow ops: each gives its input's buffer on (control_flow_ops.cc: `context->set_output`)."""
