"""What could be called in a graph without signatures: its placeholders, and the tensors that nothing goes on with."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from migrate.checks.tensors import output_dtypes
from migrate.records import GivenSignature
from migrate.sources.dtypes import base_name
from migrate.sources.protos import FunctionDefLibrary, MetaGraphDef, NodeDef

_MAX_PROPOSALS = 3
_MAX_OUTPUTS = 12
_PLACEHOLDERS = frozenset({"Placeholder", "PlaceholderV2", "PlaceholderWithDefault"})
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
_FIRST_GRADIENT = re.compile(r"((?:.*/)?gradients(?:_\d+)?/)(.+)_grad/[^/]+\Z")
"""The scope for gradients, and the op whose gradient a node in it is part of; `Fill` is where the gradients begin."""
_ARITHMETIC = frozenset({"Add", "AddN", "AddV2", "Cast", "Div", "DivNoNan", "Identity", "Mul", "RealDiv"})
_UNFIT_DTYPES = frozenset({"resource", "variant"})


def propose(meta_graph: MetaGraphDef) -> tuple[GivenSignature, ...]:
    """Signatures that the graph could be given, best first.

    The tensors of a proposal depend on the same placeholders, and no other tensor that depends on exactly these uses
    them: so a training graph gives its predictions, which need no labels, apart from its loss, which does. The best
    proposal is the one that uses the most weights and the fewest inputs.
    """
    graph_def = meta_graph.graph_def
    # A name with a colon is none of TensorFlow's (node_def_util.cc), and would be taken for a tensor's.
    nodes = {n.name: n for n in graph_def.node if n.name and not _GRADIENTS.match(n.name) and ":" not in n.name}
    savers = meta_graph.saver_def.filename_tensor_name.partition(":")[0]
    cut = {
        node.name
        for node in nodes.values()
        if (node.op in _PLACEHOLDERS or _PIPELINES.match(node.op)) and node.name != savers and not _is_prefix(node)
    }
    sources = sorted({t for node in nodes.values() for t in _inputs_of(node) if t.partition(":")[0] in cut}, key=_place)
    behind = _behind(nodes, sources, cut)
    weights = _weights(nodes)
    groups: dict[int, list[str]] = {}
    for tensor in _last(nodes, behind, graph_def.library, bool(sources)):
        groups.setdefault(behind[tensor.partition(":")[0]], []).append(tensor)
    worth = {bits: _reached(nodes, tensors) & weights.keys() for bits, tensors in groups.items()}
    losses = _losses(meta_graph, nodes)
    for_training = {bits: all(t.partition(":")[0] in losses for t in tensors) for bits, tensors in groups.items()}
    ranked = sorted(groups, key=lambda bits: (for_training[bits], -len(worth[bits]), bits.bit_count(), bits))
    if any(worth.values()):
        ranked = [bits for bits in ranked if worth[bits]]
    proposals = []
    for number, bits in enumerate(ranked[:_MAX_PROPOSALS]):
        outputs = _telling(nodes, groups[bits], weights)[-_MAX_OUTPUTS:]
        inputs = [tensor for position, tensor in enumerate(sources) if bits >> position & 1]
        key = "serving_default" if number == 0 else f"signature_{number + 1}"
        proposals.append(GivenSignature(key, _named(inputs), _named(outputs)))
    return tuple(proposals)


def _losses(meta_graph: MetaGraphDef, nodes: Mapping[str, NodeDef]) -> set[str]:
    """Names of the nodes that give a loss: listed as one, differentiated, or computed of such by arithmetic alone."""
    found: set[str] = set()
    if "losses" in meta_graph.collection_def:  # Asking for a key of a proto's map would make it.
        listed = meta_graph.collection_def["losses"].node_list.value
        found |= {tensor.partition(":")[0] for tensor in listed} & nodes.keys()
    for node in meta_graph.graph_def.node:
        match = _FIRST_GRADIENT.match(node.name)
        if match and match[2] in nodes and f"{match[1]}Fill" in (tensor.partition(":")[0] for tensor in node.input):
            found.add(match[2])
    pending = list(found)
    while pending:  # A loss may be scaled before it is differentiated.
        for name in _operands(nodes, pending.pop()) - found:
            found.add(name)
            pending.append(name)
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
        and node.attr["dtype"].type == _DT_STRING
        and not node.attr["shape"].shape.dim
    )


_DT_STRING = 7
_INPUT = re.compile(r"[^^:][^:]*(:[0-9]{1,9})?\Z")
"""A tensor, not a control input and not what a damaged graph has in its place."""


def _inputs_of(node: NodeDef) -> Iterable[str]:
    return (name if ":" in name else f"{name}:0" for name in node.input if _INPUT.match(name))


def _place(tensor: str) -> tuple[str, int]:
    node, _, output = tensor.partition(":")
    return node, int(output)


def _behind(nodes: Mapping[str, NodeDef], sources: list[str], cut: set[str]) -> dict[str, int]:
    """For each node the sources, as bits, that its value depends on; what lies behind a source does not count."""
    consumers: dict[str, list[str]] = {}
    for node in nodes.values():
        for tensor in _inputs_of(node):
            consumers.setdefault(tensor, []).append(node.name)
            consumers.setdefault(tensor.partition(":")[0], []).append(node.name)
    reached = dict.fromkeys(nodes, 0)
    for position, source in enumerate(sources):
        stack = list(consumers.get(source, ()))
        while stack:
            current = stack.pop()
            if reached[current] >> position & 1 or current in cut:
                continue
            reached[current] |= 1 << position
            stack.extend(consumers.get(current, ()))
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
    nodes: Mapping[str, NodeDef], behind: Mapping[str, int], library: FunctionDefLibrary, has_sources: bool
) -> list[str]:
    """Tensors with which nothing goes on that depends on the same sources, in graph order."""
    used: set[str] = set()
    partly: set[str] = set()
    for node in nodes.values():
        for tensor in _inputs_of(node):
            source = tensor.partition(":")[0]
            if source in nodes and behind[source] == behind[node.name] and not _ONLOOKERS.match(node.op):
                used.add(tensor)
                partly.add(source)
    found = []
    for node in nodes.values():
        if _NO_OUTPUTS.match(node.op) or _ONLOOKERS.match(node.op) or node.name in partly:
            continue
        if has_sources and not behind[node.name]:
            continue
        dtypes = output_dtypes(node, library) or ()
        found += [f"{node.name}:{i}" for i, dtype in enumerate(dtypes) if base_name(dtype) not in _UNFIT_DTYPES]
    return [tensor for tensor in found if tensor not in used]


def _reached(nodes: Mapping[str, NodeDef], tensors: Iterable[str]) -> set[str]:
    seen: set[str] = set()
    stack = [tensor.partition(":")[0] for tensor in tensors]
    while stack:
        name = stack.pop()
        if name not in seen and name in nodes:
            seen.add(name)
            stack.extend(tensor.partition(":")[0] for tensor in _inputs_of(nodes[name]))
    return seen


def _telling(nodes: Mapping[str, NodeDef], tensors: list[str], weights: Mapping[str, None]) -> list[str]:
    """The tensors without those that need only a part of the weights that another one needs: a loop's state, a size."""
    reached = {tensor: _reached(nodes, [tensor]) & weights.keys() for tensor in tensors}
    return [tensor for tensor in tensors if not any(reached[tensor] < other for other in reached.values())]


def _named(tensors: Iterable[str]) -> tuple[tuple[str, str], ...]:
    """Short names: the last part of the node's, with as many parts before it as tell it from the others."""
    tensors = list(dict.fromkeys(tensors))
    for parts in range(1, 1 + max((tensor.count("/") for tensor in tensors), default=0) + 1):
        names = [_short(tensor, parts, tensors) for tensor in tensors]
        if all(names) and len(set(names)) == len(names):
            return tuple(zip(names, tensors, strict=True))
    return tuple(zip(tensors, tensors, strict=True))  # `a/b` and `a_b`: their own names are never the same.


def _short(tensor: str, parts: int, tensors: list[str]) -> str:
    node, _, output = tensor.partition(":")
    several = sum(other.partition(":")[0] == node for other in tensors) > 1
    return "_".join(node.split("/")[-parts:]) + (f"_{output}" if several or output != "0" else "")
