"""Ref variables become resource variables; what wrote or read them follows."""

from __future__ import annotations

from migrate.records import Finding
from migrate.rewrite import ops
from migrate.rewrite.aliases import identity
from migrate.rewrite.graph import as_input, data_inputs
from migrate.rewrite.mixed import mixed
from migrate.rewrite.rule import DT_RESOURCE, Edit, Rule, Scope, new_node, not_a_ref, replaced, with_values
from migrate.sources.protos import NodeDef


def _variable(node: NodeDef, scope: Scope) -> Edit:
    # VarHandleOp takes shared_name literally, where VariableV2 falls back on its own name.
    result = NodeDef(name=node.name, op="VarHandleOp", input=node.input, device=node.device)
    result.attr["dtype"].type = node.attr["dtype"].type
    result.attr["shape"].CopyFrom(node.attr["shape"])
    result.attr["container"].s = node.attr["container"].s
    result.attr["shared_name"].s = node.attr["shared_name"].s or node.name.encode()
    root = identity(node)
    for writer in scope.aliases.writers.get(root, ()):
        if changes_shape(scope.aliases.run.graph.nodes[writer]):
            result.attr["shape"].shape.Clear()
            result.attr["shape"].shape.unknown_rank = True
    return Edit((result,))


def changes_shape(node: NodeDef) -> bool:
    """Whether a node is an Assign that may give its variable another shape."""
    return node.op == "Assign" and "validate_shape" in node.attr and not node.attr["validate_shape"].b


def _write(node: NodeDef, scope: Scope) -> Edit | Finding:
    twin = ops.WRITES[node.op]
    problem = not_a_ref(node, scope, range(twin.refs))
    if problem is not None:
        return problem
    edit = with_values(node, scope, twin.op, range(twin.refs))
    assert edit is not None  # The op changes.
    *extra, write = edit.nodes
    for old, new in twin.renamed:
        write.attr[new].CopyFrom(write.attr[old])
        del write.attr[old]
    for name in twin.dropped:
        if name in write.attr:
            del write.attr[name]
    if node.op == "Assign":
        write.attr["validate_shape"].b = not changes_shape(node)
    if twin.gives_ref:
        extra_carrier = [scope.carrier(node, scope.handle(data_inputs(node)[0]))]
    else:
        extra_carrier = []
    return Edit((*extra, write, *extra_carrier))


def _strict(node: NodeDef, scope: Scope) -> Edit | Finding | None:
    problem = not_a_ref(node, scope, range(1))
    if problem is not None:
        return problem
    result = replaced(node, ops.STRICT_REFS[node.op], [as_input(scope.handle(data_inputs(node)[0]))])
    del result.attr["dtype"]
    return Edit((result,))


def _identity(node: NodeDef, scope: Scope) -> Edit | Finding | None:
    tensor = data_inputs(node)[0]
    share = scope.share(tensor)
    if share is not None and share.mixed:
        return mixed(node, scope)
    if share is None or not share.certain:
        return None
    handle = as_input(scope.handle(tensor))
    if scope.aliases.is_written(share):
        return Edit((_on_handle(node, "Identity", [handle]),))
    result = NodeDef(name=node.name, op="ReadVariableOp", device=node.device)
    result.input.append(handle)
    result.input.extend(name for name in node.input if name.startswith("^"))
    result.attr["dtype"].type = share.dtype
    return Edit((result,))


def _reshape(node: NodeDef, scope: Scope) -> Edit | Finding | None:
    share = scope.share(data_inputs(node)[0])
    if share is not None and share.mixed:
        return mixed(node, scope)
    if share is None or not share.certain or not scope.aliases.is_written(share):
        return with_values(node, scope, node.op)
    # The reshaping happens after each read; here only the handle passes, when the node would have run.
    first, *others = data_inputs(node)
    waits = [f"^{scope.followed(other).partition(':')[0]}" for other in others]
    result = _on_handle(node, "Identity", [as_input(scope.handle(first)), *waits])
    return Edit((result,))


def _effect(node: NodeDef, scope: Scope) -> Edit | Finding | None:
    first = data_inputs(node)[0]
    share = scope.share(first)
    if share is not None and share.mixed:
        return mixed(node, scope)
    edit = with_values(node, scope, node.op)
    if edit is None or share is None or not share.certain or not scope.aliases.is_written(share):
        return edit
    return Edit((*edit.nodes, scope.carrier(node, scope.handle(first))))


def _on_handle(node: NodeDef, op: str, inputs: list[str]) -> NodeDef:
    result = new_node(op, node.name, inputs, T=DT_RESOURCE)
    result.device = node.device
    result.input.extend(name for name in node.input if name.startswith("^"))
    return result


VARIABLE = Rule(ops.VARIABLES, _variable)
WRITE = Rule(frozenset(ops.WRITES), _write)
STRICT = Rule(frozenset(ops.STRICT_REFS), _strict)
IDENTITY = Rule(ops.IDENTITIES, _identity, follows=True)
RESHAPE = Rule(ops.RESHAPES, _reshape, follows=True)
EFFECT = Rule(ops.EFFECTS, _effect, follows=True)
