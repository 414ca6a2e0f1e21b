"""What a rule may ask while it looks at a node, and the edits that most rules propose."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable

from migrate.frozen import frozen
from migrate.graph.graph import Wire, as_input, data_inputs, split, unique_name
from migrate.graph.protos import NodeDef
from migrate.records import Finding, refusal
from migrate.rewrite.aliases import Aliases, Share, producer
from migrate.rewrite.new_nodes import DT_RESOURCE, Edit, new_node, replaced
from migrate.rewrite.op_facts import Op


@frozen
class Scope:
    """What a rule may ask while it looks at a node of a run. Nothing here changes anything."""

    aliases: Aliases
    _reads: dict[str, tuple[str, tuple[NodeDef, ...]]] = dataclasses.field(default_factory=dict)

    def wire(self, node: NodeDef) -> Wire:
        """Op and inputs of a node of the source."""
        return self.aliases.run.graph.wires[node.name]

    def op(self, node: NodeDef) -> Op:
        """What the rule that claims a node's op knows of it."""
        return self.aliases.facts.ops[node.op]

    def unique(self, name: str) -> str:
        """A node name that the source graph does not use."""
        return unique_name(name, self.aliases.run.graph.nodes)

    def share(self, tensor: str) -> Share | None:
        """What the rewrite must follow of a tensor's sharing, see `Aliases.follows`."""
        return self.aliases.follows(tensor)

    def handle(self, tensor: str) -> str:
        """Full name of the DT_RESOURCE tensor which stands for a ref or alias in the new graph."""
        name = producer(tensor)
        op = self.aliases.facts.ops.get(self.aliases.run.graph.wires[name].op)
        if op is not None and op.carried:
            return self.unique(f"{name}/ref") + ":0"
        return tensor

    def carrier(self, node: NodeDef, handle: str) -> NodeDef:
        """The node behind `handle` for a node that gives no handle itself: the handle again, once the node ran."""
        return new_node("Identity", self.unique(f"{node.name}/ref"), [as_input(handle), f"^{node.name}"], T=DT_RESOURCE)

    def value(self, node: NodeDef, position: int) -> tuple[str, tuple[NodeDef, ...]]:
        """How a node gets the value of one of its data inputs in the new graph.

        Args:
          node: a node of the source.
          position: of the data input.

        Returns:
          The input as a NodeDef writes it, and the nodes that it needs: for a variable that the run writes, a
          read of its own under the node's control inputs and after its other data inputs; else the one read
          that serves all.
        """
        wire = self.wire(node)
        taken = wire.data
        tensor = taken[position]
        if tensor not in self.aliases.followed:
            return as_input(tensor), ()
        share = self.aliases.shares[tensor]
        if not self.aliases.is_written(share):
            return self.shared_read(tensor)
        waits: list[str] = []
        if wire.op not in ("Merge", "NextIteration", "Enter", "Exit"):
            waits = [f"^{name}" for name in wire.controls]
            for other in taken:
                if other != tensor:
                    waits.append(f"^{producer(self.followed(other))}")
        first = taken.index(tensor)
        return self.read(tensor, share, f"{node.name}/in{first}", waits)

    def both(self, tensor: str) -> tuple[str, str]:
        """Full names of the handle and of the value as which the rewrite carries a mixed tensor."""
        name, output = split(tensor)
        return self.unique(f"{name}/as_handle") + f":{output}", self.unique(f"{name}/as_value") + f":{output}"

    def followed(self, tensor: str) -> str:
        """The tensor that arrives when `tensor` would have: the handle where the rewrite carries one."""
        share = self.share(tensor)
        return self.handle(tensor) if share is not None and share.certain else tensor

    def shared_read(self, tensor: str) -> tuple[str, tuple[NodeDef, ...]]:
        """The one read of a ref that serves all its consumers, where the run writes no such variable."""
        if tensor in self._reads:
            return self._reads[tensor]
        name, output = split(tensor)
        share = self.aliases.shares[tensor]
        suffix = f"_{output}" if output else ""
        read = new_node(
            "ReadVariableOp",
            self.unique(f"{name}/Read{suffix}/ReadVariableOp"),
            [as_input(self.handle(tensor))],
            dtype=share.dtype,
        )
        self._reads[tensor] = read.name, (read,)
        return self._reads[tensor]

    def read(self, tensor: str, share: Share, prefix: str, waits: Iterable[str]) -> tuple[str, tuple[NodeDef, ...]]:
        """A read of what `tensor` shows, after `waits` (control inputs), with its reshaping done again."""
        handle = self.both(tensor)[0] if share.mixed else self.handle(tensor)
        controls = [wait for wait in dict.fromkeys(waits) if wait[1:] != producer(handle)]
        node = new_node(
            "ReadVariableOp",
            self.unique(f"{prefix}/ReadVariableOp"),
            [as_input(handle), *controls],
            dtype=share.dtype,
        )
        nodes = [node]
        for place, step in enumerate(share.steps):
            source = self.aliases.run.graph.nodes[step]
            again = NodeDef()
            again.CopyFrom(source)
            again.name = self.unique(f"{prefix}/step_{place}")
            del again.input[:]
            again.input.append(nodes[-1].name)
            for number, operand in enumerate(data_inputs(source)[1:]):
                made_by = self.aliases.run.graph.nodes[producer(operand)]
                if made_by.op == "Const":
                    # One of its own: the read may be in another frame or branch than the reshaping did.
                    copy = NodeDef()
                    copy.CopyFrom(made_by)
                    copy.name = self.unique(f"{again.name}/operand_{number}")
                    del copy.input[:]
                    copy.input.append(f"^{node.name}")
                    nodes.append(copy)
                    again.input.append(copy.name)
                else:
                    again.input.append(as_input(operand))
            nodes.append(again)
        if share.mixed:
            either = [nodes[-1].name, as_input(self.both(tensor)[1])]
            dtype = nodes[-1].attr["type"].type if nodes[-1].op == "Bitcast" else share.dtype
            merge = new_node("Merge", self.unique(f"{prefix}/either"), either, T=dtype)
            merge.attr["N"].i = 2
            nodes.append(merge)
        return nodes[-1].name, tuple(nodes)


def not_a_ref(node: NodeDef, scope: Scope) -> Finding | None:
    """A refusal where an op needs a ref at some position and no variable leads there."""
    taken = scope.wire(node).data
    for position in scope.op(node).taken(len(taken)):
        tensor = taken[position]
        share = scope.share(tensor)
        if share is None or not share.is_ref:
            return refusal(
                "ref-is-fed",
                f"{scope.aliases.run.key}: {node.op} needs the variable behind {tensor!r}, "
                "but a value is fed there or no variable leads to it",
                (node.name,),
                "a v1 Session cannot run this call either",
            )
    return None


def with_values(node: NodeDef, scope: Scope, op: str, handles: range = range(0)) -> Edit | None:
    """Proposes `op` in a node's place, with handles at the positions `handles` and values everywhere else.

    Returns:
      None where that is the node as it stands.
    """
    wire = scope.wire(node)
    if op == wire.op and not handles and wire.is_short and scope.aliases.followed.isdisjoint(wire.data):
        return None
    inputs: list[str] = []
    extra: list[NodeDef] = []
    names: dict[str, str] = {}
    for position, tensor in enumerate(wire.data):
        if position in handles:
            inputs.append(as_input(scope.handle(tensor)))
            continue
        if tensor not in names:  # A node may take one tensor very many times.
            names[tensor], nodes = scope.value(node, position)
            extra.extend(nodes)
        inputs.append(names[tensor])
    result = replaced(node, op, inputs)
    if not extra and result == node:
        return None
    return Edit((*extra, result))


def with_twin(node: NodeDef, scope: Scope, twin: str = "") -> Edit:
    """Proposes a node's twin, with handles where the rule knows of refs and values everywhere else.

    Args:
      node: a node of an op that a rule claims.
      scope: of the node.
      twin: another op than the node's; empty for the one that the rule knows.
    """
    known = scope.op(node)
    edit = with_values(node, scope, twin or known.twin, known.taken(len(scope.wire(node).data)))
    assert edit is not None  # The op changes.
    return edit
