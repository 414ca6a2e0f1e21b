"""Tensors that are a variable's buffer on one way through the graph and a value on another.

A Merge of both (a cond with a read in one branch and arithmetic in the other, a loop variable that starts as a read)
gives a tensor whose buffer a later write changes or not, as the run went. The rewrite carries such a tensor twice,
as the variable's handle and as the value, of which v1 control flow keeps just one alive; a consumer reads the handle,
when that lives, and takes by a Merge of its own what there is. The node itself stays, as what control edges wait for.
"""

from __future__ import annotations

from collections.abc import Iterable

from migrate.graph.control_flow_contexts import ENTERS, NEXT_ITERATIONS
from migrate.graph.dtypes import dtype_value
from migrate.graph.graph import as_input, attribute, control_inputs, data_inputs, split
from migrate.graph.protos import NodeDef
from migrate.records import Finding, refusal
from migrate.rewrite.new_nodes import DT_RESOURCE, Edit, new_node, replaced
from migrate.rewrite.op_facts import Gives
from migrate.rewrite.scope import Scope, with_values


def mixed_control_flow(node: NodeDef, scope: Scope) -> Edit | Finding:
    """The edit for a control flow node whose output is such a tensor."""
    if node.op == "Merge" and _is_read_on_return(node, scope):
        return _loop_merge(node, scope)
    plain = _plain(node, scope)
    if node.op == "Merge":
        return Edit((*plain, *_merge(node, scope)))
    others = plain[-1].input[1:]  # A Switch's predicate, and control inputs.
    return Edit((*plain, *_pair(node, scope, node.op, scope.both(data_inputs(node)[0]), others)))


def mixed(node: NodeDef, scope: Scope) -> Edit:
    """The edit for any other node whose output is such a tensor."""
    plain = _plain(node, scope)
    op = scope.op(node)
    handle, value = scope.both(data_inputs(node)[0])
    waits = [f"^{node.name}"] if op.carried else [f"^{name}" for name in control_inputs(node)]
    if op.gives is not Gives.RESHAPED:
        return Edit((*plain, *_pair(node, scope, "Identity", (handle, value), waits)))
    # The handle passes when the reshaping would have run; each read does the reshaping again.
    others = [name for name in plain[-1].input[1:] if not name.startswith("^")]
    carried, _ = _pair(node, scope, "Identity", (handle, value), [*(f"^{split(o)[0]}" for o in others), *waits])
    reshaped = replaced(node, node.op, [as_input(value), *others])
    reshaped.name = split(scope.both(f"{node.name}:0")[1])[0]
    return Edit((*plain, carried, reshaped))


def _plain(node: NodeDef, scope: Scope) -> tuple[NodeDef, ...]:
    """The node as it stays, and what it needs."""
    edit = with_values(node, scope, node.op)
    return edit.nodes if edit is not None else (node,)


def _pair(
    node: NodeDef, scope: Scope, op: str, inputs: tuple[str, str], others: Iterable[str]
) -> tuple[NodeDef, NodeDef]:
    """The node once for the handle and once for the value."""
    others = list(others)
    made = []
    for tensor, output in zip(inputs, scope.both(f"{node.name}:0"), strict=True):
        new = NodeDef()
        new.CopyFrom(node)
        new.op = op
        new.name = split(output)[0]
        del new.input[:]
        new.input.extend([as_input(tensor), *others])
        made.append(new)
    made[0].attr["T"].type = DT_RESOURCE
    if op != node.op:
        for new, dtype in zip(made, (DT_RESOURCE, scope.aliases.shares[f"{node.name}:0"].dtype), strict=True):
            new.attr.clear()
            new.attr["T"].type = dtype
    return made[0], made[1]


def _is_read_on_return(merge: NodeDef, scope: Scope) -> bool:
    """Whether a Merge takes a NextIteration through a read, which TensorFlow calls a cycle."""
    nodes = scope.aliases.run.graph.nodes
    return any(t in scope.aliases.followed and nodes[split(t)[0]].op in NEXT_ITERATIONS for t in data_inputs(merge))


def _loop_merge(node: NodeDef, scope: Scope) -> Edit | Finding:
    """A loop's Merge, which takes what the Merge of the handles and the Merge of the values give."""
    taken_by = scope.aliases.run.graph.consumers.get(f"{node.name}:1", ())
    if taken_by:
        return refusal(
            "aliased-buffer-undecided",
            f"{scope.aliases.run.key}: the loop variable {node.name!r} is a variable's buffer in some iterations, and "
            f"{taken_by[0][0]!r} uses its value_index",
            (node.name, taken_by[0][0]),
            "give the loop a copy: variable + 0",
        )
    tensor = f"{node.name}:0"
    *reads, result = scope.read(tensor, scope.aliases.shares[tensor], f"{node.name}/value", ())[1]
    result.name = node.name
    return Edit((*_merge(node, scope), *reads, result))


def _merge(node: NodeDef, scope: Scope) -> list[NodeDef]:
    nodes = scope.aliases.run.graph.nodes
    handles: list[str] = []
    values: list[str] = []
    made: list[NodeDef] = []
    for tensor in data_inputs(node):
        share = scope.share(tensor)
        enter = nodes[split(tensor)[0]]
        if share is None:
            values.append(tensor)
            if enter.op in ENTERS:
                handles.append(_never(enter, scope, made, True))
        elif share.certain:
            handles.append(scope.handle(tensor))
            if enter.op in ENTERS:
                values.append(_never(enter, scope, made, False))
        else:
            handle, value = scope.both(tensor)
            handles.append(handle)
            values.append(value)
    waits = [f"^{name}" for name in control_inputs(node)]
    is_loop = any(nodes[split(tensor)[0]].op in ENTERS for tensor in data_inputs(node))
    for inputs, output, dtype in zip(
        (handles, values), scope.both(f"{node.name}:0"), (DT_RESOURCE, attribute(node, "T").type), strict=True
    ):
        name, given = split(output)[0], [*map(as_input, inputs), *waits]
        if len(inputs) > 1 or is_loop:
            merge = new_node("Merge", name, given, T=dtype)
            merge.attr["N"].i = len(inputs)
        else:
            # TensorFlow's functionaliser takes no Merge of one input.
            merge = new_node("Identity", name, given, T=dtype)
        made.append(merge)
    return made


def _never(enter: NodeDef, scope: Scope, made: list[NodeDef], handle: bool) -> str:
    """A tensor that enters the loop beside `enter` and is dead: a loop's Merge needs an Enter."""
    name = f"{enter.name}/never"
    if handle:
        share = scope.share(f"{next(iter(_loop_merges(enter, scope)))}:0")
        assert share is not None  # The Merge is mixed.
        root = min(share.roots)
        source = next(n for n, known in scope.aliases.identities.items() if known == root)
        dtype = DT_RESOURCE
        after = split(data_inputs(enter)[0])[0]
    else:
        source, extra = scope.value(enter, 0)
        made.extend(extra)
        dtype = scope.aliases.shares[f"{enter.name}:0"].dtype
        after = split(source)[0]
    yes = NodeDef(name=scope.unique(f"{name}/true"), op="Const", input=[f"^{after}"])
    yes.attr["dtype"].type = yes.attr["value"].tensor.dtype = dtype_value("bool")
    yes.attr["value"].tensor.tensor_shape.SetInParent()
    yes.attr["value"].tensor.bool_val.append(True)
    switch = new_node("Switch", scope.unique(f"{name}/switch"), [source, yes.name], T=dtype)
    result = replaced(enter, "Enter", [switch.name])
    result.name = scope.unique(name)
    result.attr["T"].type = dtype
    made.extend((yes, switch, result))
    return result.name


def _loop_merges(enter: NodeDef, scope: Scope) -> list[str]:
    consumers = scope.aliases.run.graph.consumers.get(f"{enter.name}:0", ())
    return [name for name, _ in consumers if scope.aliases.run.graph.nodes[name].op == "Merge"]
