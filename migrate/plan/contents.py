"""What is in resources that TensorFlow 2 does not have: trees, and boundaries of buckets.

A restore op of TensorFlow 1 fills them from the checkpoint. No call that is converted changes them, so what is there
once the model is loaded is a constant. The node that makes the handle of a tree becomes a Const of the serialized tree,
which the rule of the op that reads it takes apart; of a quantile stream the node that reads it becomes constants.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from migrate.errors import InputError
from migrate.frozen import frozen
from migrate.graph import contract
from migrate.graph.dtypes import dtype_value
from migrate.graph.graph import Graph, Nodes, attribute, canonical, control_inputs, prune, split, unique_name
from migrate.graph.nodes import behind, giver
from migrate.graph.protos import MetaGraphDef, NodeDef, TensorProto, copied
from migrate.plan.resource_kinds import RESOURCES, STREAM, Kind, Read
from migrate.plan.restore import RESTORES, reads_checkpoint, string_at
from migrate.records import Finding, refusal
from migrate.rewrite.malformed import find_broken, find_cycle
from migrate.rewrite.rules.table import TABLE

_FLOAT, _INT64, _STRING = (dtype_value(name) for name in ("float32", "int64", "string"))
_PASSES = frozenset({"Identity"})


@frozen
class Contents:
    """A MetaGraphDef in which what is in such resources is constants.

    Attributes:
      meta_graph: the source itself where there are none.
      findings: refusals: what is needed and not known.
    """

    meta_graph: MetaGraphDef
    findings: tuple[Finding, ...] = ()


class _UnknownError(Exception):
    """The content of a resource is not known; the message says why."""


def with_contents(meta_graph: MetaGraphDef, nodes: Nodes, read: Read) -> Contents:
    """Puts constants in the place of resources that calls only read.

    Args:
      meta_graph: the source; it is not changed.
      nodes: its nodes.
      read: gives tensors of the checkpoint.
    """
    if nodes.by_op.keys().isdisjoint(RESOURCES):
        return Contents(meta_graph)
    restore = _restore(meta_graph, nodes)
    if isinstance(restore, Finding):
        return Contents(meta_graph)  # Which is refused when the restore op is read.
    work = _Work(meta_graph, nodes, restore, read)
    findings = []
    for handles in work.resources():
        try:
            work.settle(handles)
        except (_UnknownError, InputError) as error:
            findings.append(_refusal(handles, str(error)))
    result = copied(meta_graph)
    del result.graph_def.node[:]
    result.graph_def.node.extend(new for node in meta_graph.graph_def.node for new in work.now(node))
    return Contents(result, tuple(findings))


def _restore(meta_graph: MetaGraphDef, nodes: Nodes) -> Graph | Finding | None:
    """What the restore op runs; None without one, a refusal where it is broken."""
    target = split(canonical(meta_graph.saver_def.restore_op_name))[0]
    if not meta_graph.saver_def.restore_op_name or target not in nodes:
        return None
    run = prune(nodes, "the restore op", {}, (), (target,))
    return find_broken(run, TABLE) or find_cycle(run) or run.graph


def _refusal(handles: Sequence[NodeDef], why: str) -> Finding:
    return refusal(
        "resource-content-unknown",
        f"what is in the {handles[0].op} {handles[0].name!r} cannot be made a constant: {why}",
        tuple(handle.name for handle in handles),
        "export the model for prediction alone, with its checkpoint",
    )


class _Work:
    """The changes to one graph."""

    def __init__(self, meta_graph: MetaGraphDef, nodes: Nodes, restore: Graph | None, read: Read) -> None:
        self._nodes, self._restore, self._read = nodes, restore, read
        self._filename = canonical(meta_graph.saver_def.filename_tensor_name)
        outputs = [t for s in contract.signatures(meta_graph) for spec in s.outputs.values() for t in spec.tensors]
        self._called = behind(nodes, outputs)
        self._init = behind(nodes, contract.init_ops(meta_graph))
        self._users = _users(nodes)
        self._in_functions = {node.op for f in meta_graph.graph_def.library.function for node in f.node_def}
        self._made: dict[str, tuple[NodeDef, ...]] = {}
        self._names = {*nodes}

    def resources(self) -> Iterator[Sequence[NodeDef]]:
        """The nodes that make a handle, those of one resource together."""
        found: dict[object, list[NodeDef]] = {}
        for op in RESOURCES:
            for name in self._nodes.by_op.get(op, ()):
                node = self._nodes[name]
                # ResourceHandleOp (resource_mgr.h) takes the shared_name literally.
                key = (op, attribute(node, "container").s, attribute(node, "shared_name").s)
                found.setdefault(key, []).append(node)
        return iter(found.values())

    def now(self, node: NodeDef) -> Iterable[NodeDef]:
        """What takes a node's place."""
        return self._made.get(node.name, (node,))

    def settle(self, handles: Sequence[NodeDef]) -> None:
        """Makes constants of a resource that some call reads, and leaves out what fills it.

        Raises:
          InputError: the checkpoint cannot be read.
          _UnknownError: what is in it is not known.
        """
        kind = RESOURCES[handles[0].op]
        if kind.handle in self._in_functions:
            raise _UnknownError("a function makes its handle, too")
        users = [self._nodes[name] for handle in handles for name in self._users.get(handle.name, ())]
        restored = self._restore.wires.keys() if self._restore is not None else ()
        for user in users:
            known = (kind.creates, kind.fills, *kind.reads, kind.stamps)
            if user.op not in known and (user.name in self._called or user.name in self._init):
                raise _UnknownError(f"{user.op} {user.name!r} uses it in another way than to predict")
            if user.op == kind.fills and (user.name in self._called or user.name in self._init):
                raise _UnknownError(f"{user.op} {user.name!r} fills it outside of the restore op")
            if user.op == kind.creates and user.name in self._called:
                raise _UnknownError(f"a call makes it, in {user.op} {user.name!r}")
        fills = [user for user in users if user.op == kind.fills and user.name in restored]
        creates = [user for user in users if user.op == kind.creates and user.name in {*self._init, *restored}]
        if any(user.name in self._called for user in users):
            content = self._content(kind, fills, creates)
            stamped = [user for user in users if user.op == kind.stamps]
            self._read_all(kind, handles, users, content[1:] if kind.stamps else content)
            for user in stamped:
                self._made[user.name] = (self._stamp(user, content[0]),)
        for user in (*fills, *creates):
            nothing = NodeDef(name=user.name, op="NoOp")
            if user in creates:
                nothing.input.extend(f"^{name}" for name in control_inputs(user))
            self._made[user.name] = (nothing,)

    def _content(self, kind: Kind, fills: Sequence[NodeDef], creates: Sequence[NodeDef]) -> Sequence[TensorProto]:
        """The tensors that fill a resource, behind the stamp where that may be asked for."""
        if not kind.first:
            raise _UnknownError("no rule reads it")
        first = kind.first - bool(kind.stamps)
        if len(fills) > 1:
            raise _UnknownError(f"{fills[0].name!r} and {fills[1].name!r} both fill it")
        if fills:
            return [self._restored(tensor) for tensor in self._nodes.wire(fills[0].name).data[first:]]
        # Where there is one already, another one is not made.
        found = [[self._constant(t) for t in self._nodes.wire(c.name).data[first:]] for c in creates]
        if not found or any(other != found[0] for other in found):
            raise _UnknownError("the restore op does not fill it, and the init op makes none, or several")
        if kind.handle.startswith(STREAM):
            raise _UnknownError("it has no boundaries when the model is loaded")
        return found[0]

    def _constant(self, tensor: str) -> TensorProto:
        node = giver(self._nodes, tensor, _PASSES)
        if node is None or node.op != "Const":
            raise _UnknownError(f"{tensor!r} is no constant")
        value: TensorProto = attribute(node, "value").tensor
        return value

    def _restored(self, tensor: str) -> TensorProto:
        """What the restore op reads of the checkpoint."""
        assert self._restore is not None
        graph = self._restore
        for _ in range(len(graph.wires)):
            name, output = split(tensor)
            wire = graph.wires[name]
            if wire.op not in _PASSES:
                break
            tensor = wire.data[0]
        if wire.op not in RESTORES or not reads_checkpoint(graph, name, self._filename):
            raise _UnknownError(f"{wire.op} {name!r} is between it and the checkpoint")
        key = string_at(graph.nodes[split(wire.data[1])[0]], output)
        spec = "" if wire.op == "Restore" else string_at(graph.nodes[split(wire.data[2])[0]], output)
        if key is None or spec != "":
            raise _UnknownError(f"{wire.op} {name!r} takes computed names, or a slice")
        return self._read(key)

    def _read_all(
        self, kind: Kind, handles: Sequence[NodeDef], users: Sequence[NodeDef], content: Sequence[TensorProto]
    ) -> None:
        if kind.handle.startswith(STREAM):
            for user in users:
                if user.op in kind.reads:
                    self._made[user.name] = tuple(self._boundaries(user, content))
            return
        if len(content) != 1 or content[0].dtype != _STRING or content[0].tensor_shape.dim:
            raise _UnknownError("it is filled with something else than one string")
        for handle in handles:
            self._made[handle.name] = (_const(handle.name, content[0], control_inputs(handle)),)

    def _stamp(self, user: NodeDef, value: TensorProto) -> NodeDef:
        if value.dtype != _INT64 or value.tensor_shape.dim:
            raise _UnknownError("its stamp is no number of 64 bits")
        return _const(user.name, value, control_inputs(user))

    def _boundaries(self, user: NodeDef, content: Sequence[TensorProto]) -> Iterator[NodeDef]:
        """Each feature's boundaries as a vector (core/kernels/boosted_trees/quantile_ops.cc)."""
        count = attribute(user, "num_features").i
        if count != len(content) or any(proto.dtype != _FLOAT for proto in content):
            raise _UnknownError(f"{user.op} {user.name!r} takes other boundaries than there are")
        waits = control_inputs(user)
        last = NodeDef(name=user.name, op="IdentityN")
        for number, proto in enumerate(content):
            name = unique_name(f"{user.name}/boundaries_{number}", self._names)
            self._names.add(name)
            last.input.append(name)
            last.attr["T"].list.type.append(_FLOAT)
            yield _const(name, proto, waits)
        last.input.extend(f"^{name}" for name in waits)
        yield last


def _users(nodes: Nodes) -> Mapping[str, Sequence[str]]:
    """The nodes that take a handle, by the node that makes it; what hands it on is a user of it."""
    found: dict[str, list[str]] = {}
    handles = {name for op in RESOURCES for name in nodes.by_op.get(op, ())}
    for name in nodes:
        for tensor in nodes.wire(name).data:
            source = split(tensor)[0]
            if source in handles:
                found.setdefault(source, []).append(name)
    return found


def _const(name: str, value: TensorProto, waits: Sequence[str]) -> NodeDef:
    node = NodeDef(name=name, op="Const", input=[f"^{wait}" for wait in waits])
    node.attr["dtype"].type = value.dtype
    node.attr["value"].tensor.CopyFrom(value)
    return node
