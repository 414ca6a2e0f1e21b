"""What could be called in a graph without signatures: its placeholders, and the tensors that nothing consumes."""

from __future__ import annotations

import re
from array import array
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import accumulate

from migrate.graph.dtypes import base_name
from migrate.graph.nodes import nodes_by_name, numbered, reachable
from migrate.graph.op_table import PLACEHOLDERS
from migrate.graph.output_dtypes import functions_of, output_dtypes
from migrate.graph.protos import DataType, FunctionDef, MetaGraphDef, NodeDef, is_stored, may_propose
from migrate.records import GivenSignature

_MAX_PROPOSALS = 3
_MAX_OUTPUTS = 12
_MAX_COMPARED = 200
"""Of more outputs than these, the last ones are looked at: each takes a walk over the graph."""
_MAX_LEVELS = 50
"""Parts of a name that may be needed to tell it from the others."""
# An input pipeline's last op: what it gives can be fed in its place.
_PIPELINES = re.compile(r"IteratorGetNext|OneShotIterator|Queue(Dequeue|DequeueMany|DequeueUpTo)(V2)?\Z|ReaderRead")
# Whoever only looks at a tensor does not use it up.
_ONLOOKERS = re.compile(r".*Summary(V2)?\Z|Assert\Z|Print(V2)?\Z|NoOp\Z|CheckNumerics\Z|Shape(N)?\Z|Size\Z")
_NO_OUTPUTS = re.compile(
    r"Variable(V2)?\Z|VarHandleOp|Const\Z|Placeholder|Assign|Resource|Apply|Scatter|Save|Restore|ShardedFilename|Merge"
    r"|Switch\Z|Enter\Z|NextIteration|LoopCond|Ref[A-Z]|Queue|Reader|Iterator|.*Dataset|Initialize|.*Apply"
    r"|Lookup.*(Insert|Import)"
)
_GRADIENTS = re.compile(r"(.*/)?gradients(_\d+)?/")
"""The scope in which `tf.gradients` puts its nodes (gradients_impl.py); nobody calls for them."""
_GRADIENTS_PART = re.compile(r"gradients(_\d+)?\Z")
_ARITHMETIC = frozenset({"Add", "AddN", "AddV2", "Cast", "Div", "DivNoNan", "Identity", "Mul", "RealDiv"})
_UNFIT_DTYPES = frozenset({"resource", "variant"})


def propose(meta_graph: MetaGraphDef) -> tuple[GivenSignature, ...]:
    """Signatures that the graph could be given, best first.

    The tensors of a proposal depend on the same placeholders, and no other tensor that depends on exactly these uses
    them: so a training graph gives its predictions, which need no labels, apart from its loss, which does. The best
    proposal is the one that uses the most weights and the fewest inputs.
    """
    if not may_propose(meta_graph):
        return ()
    graph_def = meta_graph.graph_def
    nodes = _nodes(meta_graph)
    savers = meta_graph.saver_def.filename_tensor_name.partition(":")[0]
    cut = {
        node.name
        for node in nodes.values()
        if (node.op in PLACEHOLDERS or _PIPELINES.match(node.op)) and node.name != savers and not _is_prefix(node)
    }
    sources = sorted({t for node in nodes.values() for t in _inputs_of(node) if t.partition(":")[0] in cut}, key=_place)
    numbers = numbered(nodes)
    reached = _behind(nodes, numbers, sources, cut)
    weights = _weights(nodes)
    groups: dict[int, list[str]] = {}
    for tensor in _last(nodes, numbers, reached, functions_of(graph_def.library), bool(sources)):
        groups.setdefault(reached[numbers[tensor.partition(":")[0]]], []).append(tensor)
    givers = _givers_of(meta_graph, nodes)
    worth = {
        bits: reachable((tensor.partition(":")[0] for tensor in tensors), givers.get) & weights.keys()
        for bits, tensors in groups.items()
    }
    losses = _losses(meta_graph, nodes)
    for_training = {bits: all(t.partition(":")[0] in losses for t in tensors) for bits, tensors in groups.items()}
    ranked = sorted(groups, key=lambda bits: (for_training[bits], -len(worth[bits]), bits.bit_count(), bits))
    if any(worth.values()):
        ranked = [bits for bits in ranked if worth[bits]]
    proposals = []
    for number, bits in enumerate(ranked[:_MAX_PROPOSALS]):
        outputs = _telling(givers, groups[bits][-_MAX_COMPARED:], weights)[-_MAX_OUTPUTS:]
        inputs = [tensor for position, tensor in enumerate(sources) if bits >> position & 1]
        key = "serving_default" if number == 0 else f"signature_{number + 1}"
        proposals.append(GivenSignature(key, _named(inputs), _named(outputs)))
    return tuple(proposals)


def _is_own(name: str) -> bool:
    """Whether a name is one of TensorFlow's (node_def_util.cc), and no gradient's: one with a colon is a tensor's."""
    return bool(name) and not _GRADIENTS.match(name) and ":" not in name


def _nodes(meta_graph: MetaGraphDef) -> Mapping[str, NodeDef]:
    """The nodes that may be called for."""
    if is_stored(meta_graph) and all(map(_is_own, nodes_by_name(meta_graph))):
        return nodes_by_name(meta_graph)
    return {node.name: node for node in meta_graph.graph_def.node if _is_own(node.name)}


def _givers_of(meta_graph: MetaGraphDef, nodes: Mapping[str, NodeDef]) -> Mapping[str, tuple[str, ...]]:
    """Names of the nodes that give what each node takes; worked out again each time for a stored graph."""
    if is_stored(meta_graph):
        from migrate.graph.stored_nodes import Computed

        return Computed(nodes, _givers)
    return {name: _givers(node) for name, node in nodes.items()}


def _losses(meta_graph: MetaGraphDef, nodes: Mapping[str, NodeDef]) -> set[str]:
    """Names of the nodes that give a loss: listed as one, differentiated, or computed of such by arithmetic alone."""
    found: set[str] = set()
    if "losses" in meta_graph.collection_def:  # Asking for a key of a proto's map would make it.
        listed = meta_graph.collection_def["losses"].node_list.value
        found |= {tensor.partition(":")[0] for tensor in listed} & nodes.keys()
    for node in meta_graph.graph_def.node:
        scope, op = _differentiated(node.name)
        # `Fill` is where the gradients begin.
        if op in nodes and f"{scope}Fill" in (tensor.partition(":")[0] for tensor in node.input):
            found.add(op)
    # A loss may be scaled before it is differentiated.
    found = reachable(found, lambda name: _operands(nodes, name))
    # The losses of several replicas are added up.
    users: dict[str, list[str]] = {}
    missing: dict[str, int] = {}
    for name in nodes if found else ():
        operands = _operands(nodes, name)
        missing[name] = len(operands)
        for operand in operands:
            users.setdefault(operand, []).append(name)
    pending = list(found)
    while pending:
        for user in users.get(pending.pop(), ()):
            missing[user] -= 1
            if not missing[user] and user not in found:
                found.add(user)
                pending.append(user)
    return found


def _differentiated(name: str) -> tuple[str, str]:
    """The scope for gradients that a node is in, and the op whose gradient it is part of; "" for both where it is none.

    Example:
      >>> _differentiated("train/gradients_1/loss/mean_grad/Mul")
      ('train/gradients_1/', 'loss/mean')
    """
    inner, _, last = name.rpartition("/")
    if not last or not inner.endswith("_grad"):
        return "", ""
    parts = inner.removesuffix("_grad").split("/")
    scopes = (end for end in range(len(parts) - 1, 0, -1) if _GRADIENTS_PART.match(parts[end - 1]))
    end = next(scopes, len(parts))
    op = "/".join(parts[end:])
    return ("/".join(parts[:end]) + "/", op) if op else ("", "")


def _operands(nodes: Mapping[str, NodeDef], name: str) -> set[str]:
    """What a node of arithmetic computes with, beside constants; nothing for another node."""
    if nodes[name].op not in _ARITHMETIC:
        return set()
    operands = {tensor.partition(":")[0] for tensor in _inputs_of(nodes[name])}
    return {operand for operand in operands if operand in nodes and nodes[operand].op != "Const"}


def _is_prefix(node: NodeDef) -> bool:
    """Whether a placeholder is a saver's: a checkpoint's prefix with a default (tf.train.Saver, since 1.9)."""
    return (
        node.op == "PlaceholderWithDefault"
        and node.attr["dtype"].type == DataType.DT_STRING
        and not node.attr["shape"].shape.dim
    )


_INPUT = re.compile(r"[^^:][^:]*(:[0-9]{1,9})?\Z")
"""A tensor, not a control input and not what a damaged graph has in its place."""


def _inputs_of(node: NodeDef) -> Iterable[str]:
    return (name if ":" in name else f"{name}:0" for name in node.input[:] if _INPUT.match(name))


def _givers(node: NodeDef) -> tuple[str, ...]:
    """Names of the nodes that give what a node takes, each once."""
    return tuple({tensor.partition(":")[0]: None for tensor in _inputs_of(node)})


def _place(tensor: str) -> tuple[str, int]:
    node, _, output = tensor.partition(":")
    return node, int(output)


def _behind(
    nodes: Mapping[str, NodeDef], numbers: Mapping[str, int], sources: list[str], cut: set[str]
) -> Sequence[int]:
    """For each node the sources, as bits, that its value depends on; what a source itself depends on does not count."""
    # The takers of all nodes are in one array: a list for each of them is larger than its node.
    starts: dict[str, list[int]] = {source: [] for source in sources}
    given, taking = array("I"), array("I")
    counts = array("I", [0]) * (len(numbers) + 1)
    for taker, node in enumerate(nodes.values()):
        for tensor in _inputs_of(node) if node.name not in cut else ():
            if tensor in starts:
                starts[tensor].append(taker)
            giver = numbers.get(tensor.partition(":")[0])
            if giver is not None:
                given.append(giver)
                taking.append(taker)
                counts[giver] += 1
    ends = array("I", accumulate(counts))
    takers = array("I", [0]) * len(taking)
    for giver, taker in zip(given, taking, strict=True):
        ends[giver] -= 1  # At last it is where the giver's takers begin.
        takers[ends[giver]] = taker
    ends[-1] = len(takers)
    reached = [0] * len(numbers)
    for position, source in enumerate(sources):
        stack = starts[source]
        while stack:
            current = stack.pop()
            if reached[current] >> position & 1:
                continue
            reached[current] |= 1 << position
            stack.extend(takers[ends[current] : ends[current + 1]])
    return reached


def _weights(nodes: Mapping[str, NodeDef]) -> dict[str, None]:
    """Names of variables, and of constants that may be what a frozen variable has become."""
    found: dict[str, None] = {}
    for node in nodes.values():
        is_variable = node.op in ("Variable", "VariableV2", "VarHandleOp")
        dims = node.attr["value"].tensor.tensor_shape.dim if node.op == "Const" else ()
        floating = node.op == "Const" and base_name(node.attr["dtype"].type).startswith(("float", "bfloat"))
        if is_variable or (floating and dims):
            found[node.name] = None
    return found


def _last(
    nodes: Mapping[str, NodeDef],
    numbers: Mapping[str, int],
    reached: Sequence[int],
    library: Mapping[str, FunctionDef],
    has_sources: bool,
) -> list[str]:
    """Tensors with which nothing goes on that depends on the same sources, in graph order."""
    used = bytearray(len(numbers))
    ops = {node.op for node in nodes.values()}
    onlookers = {op for op in ops if _ONLOOKERS.match(op)}
    without_outputs = {op for op in ops if _NO_OUTPUTS.match(op)} | onlookers
    for number, node in enumerate(nodes.values()):
        if node.op in onlookers:
            continue
        for tensor in _inputs_of(node):
            source = numbers.get(tensor.partition(":")[0])
            if source is not None and reached[source] == reached[number]:
                used[source] = 1
    found = []
    for number, (name, node) in enumerate(nodes.items()):
        if node.op in without_outputs or used[number] or (has_sources and not reached[number]):
            continue
        dtypes = output_dtypes(node, library) or ()
        found += [f"{name}:{i}" for i, dtype in enumerate(dtypes) if base_name(dtype) not in _UNFIT_DTYPES]
    return found


def _telling(givers: Mapping[str, tuple[str, ...]], tensors: list[str], weights: Mapping[str, None]) -> list[str]:
    """The tensors without those that need only a part of the weights that another one needs: a loop's state, a size."""
    if len(tensors) < 2:
        return tensors
    needing = _needing(givers, [tensor.partition(":")[0] for tensor in tensors])
    every = (1 << len(tensors)) - 1
    # For each tensor, as bits, those that need all the weights that it needs.
    covering = [every] * len(tensors)
    for bits in {needing[weight] for weight in weights if weight in needing}:
        for position in range(len(tensors)):
            if bits >> position & 1:
                covering[position] &= bits
    found = []
    for position, tensor in enumerate(tensors):
        others = (other for other in range(len(tensors)) if covering[position] >> other & 1)
        if all(covering[other] >> position & 1 for other in others):
            found.append(tensor)
    return found


def _needing(givers: Mapping[str, tuple[str, ...]], names: list[str]) -> dict[str, int]:
    """For each node that some of these depend on, as bits, which of them do."""
    after: dict[str, None] = {}  # Each node after those that it takes from, but for the back edges of loops.
    seen: set[str] = set()
    stack = [(name, False) for name in names]
    while stack:
        name, is_left = stack.pop()
        if is_left:
            after[name] = None
        elif name in givers and name not in seen:
            seen.add(name)
            stack.append((name, True))
            stack += [(giver, False) for giver in givers[name]]
    rank = {name: number for number, name in enumerate(after)}
    found = dict.fromkeys(after, 0)
    for position, name in enumerate(names):
        if name in found:
            found[name] |= 1 << position
    order = list(reversed(after))
    grown = True
    while grown:  # Once more for what a back edge brings, and never for a graph without loops.
        grown = False
        for name in order:
            for giver in givers[name]:
                if giver in found and found[name] & ~found[giver]:
                    found[giver] |= found[name]
                    grown = grown or rank[giver] > rank[name]
    return found


def _named(tensors: Iterable[str]) -> tuple[tuple[str, str], ...]:
    """Short names: the last part of the node's, with as many parts before it as tell it from the others."""
    tensors = list(dict.fromkeys(tensors))
    outputs = Counter(tensor.partition(":")[0] for tensor in tensors)
    levels = max((tensor.count("/") for tensor in tensors), default=0)
    for parts in range(1, 2 + min(levels, _MAX_LEVELS)):
        names = [_short(tensor, parts, outputs) for tensor in tensors]
        if all(names) and len(set(names)) == len(names):
            return tuple(zip(names, tensors, strict=True))
    return tuple(zip(tensors, tensors, strict=True))  # `a/b` and `a_b`: their own names are never the same.


def _short(tensor: str, parts: int, outputs: Mapping[str, int]) -> str:
    node, _, output = tensor.partition(":")
    return "_".join(node.split("/")[-parts:]) + (f"_{output}" if outputs[node] > 1 or output != "0" else "")
