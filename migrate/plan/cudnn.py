"""Where the weights of cuDNN's recurrent networks come from: canonical weights, which are known, or cuDNN's own order.

A CudnnRNN takes all its weights in one vector. TensorFlow never says in which order, and the order may change from one
cuDNN to the next, so that contrib's layers save canonical weights, one tensor for each matrix, and make the vector of
them by a CudnnRNNCanonicalToParams when a model is restored. The new graph has an order of its own
(`rewrite/rules/recurrent.py`), in which that op puts them. So each vector that a CudnnRNN takes must have been made so,
nothing else may put one into the variable that holds it, and nothing else may look at it.

The layers of tf.keras 1 put their weights together themselves, in cuDNN's order of a single layer, which is the same
(python/keras/layers/recurrent_v2.py, _canonical_to_params).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence

from migrate.graph import contract
from migrate.graph.graph import Nodes, attribute, canonical, prune, split, unique_name
from migrate.graph.nodes import behind, giver
from migrate.graph.op_table import NETWORKS
from migrate.graph.protos import MetaGraphDef, NodeDef, copied
from migrate.plan.resource_kinds import VECTOR_MAKERS
from migrate.plan.restore import RESTORES
from migrate.rewrite.aliases import identity
from migrate.rewrite.malformed import find_broken, find_cycle
from migrate.rewrite.new_nodes import INT32, constant, new_node
from migrate.rewrite.rules.recurrent import GATES, LAYERS, directions
from migrate.rewrite.rules.table import TABLE

_FIRST = 3
"""Position of the first weight, after the sizes."""
_PARAMS = 3
"""Position of the vector of a CudnnRNN."""
_PASSES = frozenset({"Identity", "ReadVariableOp", "Enter", "RefEnter", "RefIdentity", "Switch", "RefSwitch"})
_ASSIGNS = frozenset({"Assign", "AssignVariableOp"})
_VARIABLES = frozenset({"Variable", "VariableV2", "VarHandleOp"})
_LOOKS = frozenset({"IsVariableInitialized", "VarIsInitializedOp"})
"""Ops that ask nothing of a variable's value."""

Kind = tuple[bytes, int, int]
"""Mode, directions and layers of the weights in a vector."""


def with_known_weights(meta_graph: MetaGraphDef, nodes: Nodes) -> MetaGraphDef:
    """Puts weights in the order of the new graph, and notes which networks take such.

    Args:
      meta_graph: the source; it is not changed.
      nodes: its nodes.

    Returns:
      The source itself where no network takes known weights. A network that does has the attribute `LAYERS`.
    """
    if nodes.by_op.keys().isdisjoint(NETWORKS):
        return meta_graph
    work = _Work(meta_graph, nodes)
    result = copied(meta_graph)
    del result.graph_def.node[:]
    result.graph_def.node.extend(new for node in meta_graph.graph_def.node for new in work.now(node))
    return result


class _Work:
    """The changes to one graph."""

    def __init__(self, meta_graph: MetaGraphDef, nodes: Nodes) -> None:
        self._nodes = nodes
        self._names = {*nodes}
        self._restored = _restored(meta_graph, nodes)
        self._kinds = {name: _kind(nodes[name]) for op in VECTOR_MAKERS for name in nodes.by_op.get(op, ())}
        self._dropped: set[str] = set()
        self._layers: dict[str, int] = {}
        outputs = [t for s in contract.signatures(meta_graph) for spec in s.outputs.values() for t in spec.tensors]
        self._fetched = {split(canonical(tensor))[0] for tensor in outputs}
        self._users = _users(nodes, behind(nodes, outputs))
        variables = dict(self._variables())
        for op in NETWORKS:
            for name in nodes.by_op.get(op, ()):
                layers = self._of(nodes[name], variables)
                if layers:
                    self._layers[name] = layers

    def now(self, node: NodeDef) -> Iterator[NodeDef]:
        """What takes a node's place."""
        if node.op in NETWORKS:
            result = NodeDef.FromString(node.SerializeToString())
            result.attr.pop(LAYERS, None)
            if node.name in self._layers:
                result.attr[LAYERS].i = self._layers[node.name]
            yield result
        elif self._kinds.get(node.name) is not None:
            yield from self._joined(node)
        elif node.name in self._dropped:
            yield NodeDef(name=node.name, op="NoOp")
        else:
            yield node

    def _of(self, node: NodeDef, variables: Mapping[str, Kind | None]) -> int:
        """How many layers a network has whose weights are known; 0 for another one."""
        taken = self._nodes.wire(node.name).data
        if len(taken) <= _PARAMS:
            return 0
        source = giver(self._nodes, taken[_PARAMS], _PASSES)
        if source is None:
            return 0
        mode, ways = attribute(node, "rnn_mode").s or b"lstm", directions(node)
        if source.op == "ConcatV2":
            # One layer has a weight and a bias of the input and of the state for each gate.
            is_single = attribute(source, "N").i == 4 * GATES.get(mode, 0) and ways == 1
            return 1 if is_single and self._is_in_order(source) else 0
        kind = self._kinds.get(source.name)
        if source.op in _VARIABLES:
            kind = variables.get(identity(source))
        is_known = kind is not None and kind[:2] == (mode, ways) and self._is_networks_alone(source.name)
        return kind[2] if kind is not None and is_known else 0

    def _is_networks_alone(self, source: str) -> bool:
        """Whether no call looks at a vector but in networks, to which its order means something."""
        stack, seen = [source], {source}
        while stack:
            name = stack.pop()
            if name in self._fetched:
                return False
            for user, position in self._users.get(name, ()):
                op = self._nodes.wire(user).op
                if op in _PASSES and user not in seen:
                    seen.add(user)
                    stack.append(user)
                elif op not in _PASSES | _LOOKS and not (op in NETWORKS and position == _PARAMS):
                    return False
        return True

    def _is_in_order(self, node: NodeDef) -> bool:
        """Whether all that is joined are vectors, along the first axis."""
        *parts, axis = self._nodes.wire(node.name).data
        made = giver(self._nodes, axis, frozenset())
        if made is None or made.op != "Const" or any(attribute(made, "value").tensor.int_val):
            return False
        sources = [giver(self._nodes, tensor, frozenset()) for tensor in parts]
        return all(source is not None and source.op == "Reshape" for source in sources)

    def _variables(self) -> Iterator[tuple[str, Kind | None]]:
        """The variables that hold vectors of weights, and what these are of; None where something else is written."""
        assigns: dict[str, list[tuple[str, Kind | None]]] = {}
        for op in _ASSIGNS:
            for name in self._nodes.by_op.get(op, ()):
                taken = self._nodes.wire(name).data
                variable = giver(self._nodes, taken[0], _PASSES) if len(taken) > 1 else None
                if variable is not None and variable.op in _VARIABLES:
                    made = giver(self._nodes, taken[1], frozenset({"Identity"}))
                    kind = self._kinds.get(made.name) if made is not None else None
                    assigns.setdefault(identity(variable), []).append((name, kind))
        for root, found in assigns.items():
            kinds = {kind for name, kind in found if kind is not None and name in self._restored}
            if len(kinds) != 1:
                continue
            # A saver has the vector itself, too, and restores both in any order: they are the same weights.
            others = {name for name, kind in found if kind is None}
            plain = {name for name in others if name in self._restored and self._is_read(name)}
            if others - plain or {kind for _, kind in found} - kinds - {None}:
                yield root, None
                continue
            self._dropped |= plain
            yield root, next(iter(kinds))

    def _is_read(self, name: str) -> bool:
        made = giver(self._nodes, self._nodes.wire(name).data[1], frozenset({"Identity"}))
        return made is not None and made.op in RESTORES

    def _joined(self, node: NodeDef) -> Iterator[NodeDef]:
        """All weights and biases one after another."""
        parts = []
        for number, tensor in enumerate(self._nodes.wire(node.name).data[_FIRST:]):
            beside = split(tensor)[0]
            form = constant(self._name(f"{node.name}/form_{number}"), [-1], [beside])
            yield form
            flat = new_node("Reshape", self._name(f"{node.name}/flat_{number}"), [tensor, form.name], Tshape=INT32)
            flat.attr["T"].CopyFrom(attribute(node, "T"))
            yield flat
            parts.append(flat.name)
        axis = constant(self._name(f"{node.name}/axis"), 0, parts[:1])
        yield axis
        result = new_node("ConcatV2", node.name, [*parts, axis.name], Tidx=INT32)
        result.input.extend(text for text in node.input if text.startswith("^"))
        result.attr["T"].CopyFrom(attribute(node, "T"))
        result.attr["N"].i = len(parts)
        yield result

    def _name(self, name: str) -> str:
        found = unique_name(name, self._names)
        self._names.add(found)
        return found


def _users(nodes: Nodes, called: Collection[str]) -> Mapping[str, Sequence[tuple[str, int]]]:
    """The nodes of calls that take something of a node, and at which position."""
    found: dict[str, list[tuple[str, int]]] = {}
    for name in called:
        for position, tensor in enumerate(nodes.wire(name).data):
            found.setdefault(split(tensor)[0], []).append((name, position))
    return found


def _kind(node: NodeDef) -> Kind | None:
    """Mode, directions and layers of the weights that are put together; None where that is not known."""
    mode, ways = attribute(node, "rnn_mode").s or b"lstm", directions(node)
    count = attribute(node, VECTOR_MAKERS[node.op]).i
    one = 2 * GATES.get(mode, 0) * ways
    is_plain = attribute(node, "num_proj").i == 0 and attribute(node, "input_mode").s in (b"", b"linear_input")
    taken = sum(not text.startswith("^") for text in node.input)
    if not one or count % one or not count or not is_plain or taken != _FIRST + 2 * count:
        return None
    return mode, ways, count // one


def _restored(meta_graph: MetaGraphDef, nodes: Nodes) -> frozenset[str]:
    """Names of the nodes that the restore op runs."""
    target = split(canonical(meta_graph.saver_def.restore_op_name))[0]
    if not meta_graph.saver_def.restore_op_name or target not in nodes:
        return frozenset()
    run = prune(nodes, "the restore op", {}, (), (target,))
    return frozenset() if find_broken(run, TABLE) or find_cycle(run) else frozenset(run.graph.nodes)
