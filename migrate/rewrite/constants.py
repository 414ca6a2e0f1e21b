"""Constant weights become variables, so that a frozen model can be fine-tuned again.

Or large constants do, whatever they are, so that the graph gets small: what they hold is in the checkpoint then.

Freezing puts a Const in the place of each variable and leaves the Identity that read it. What a Const was is told by
where its value goes: the operand of a MatMul that a trained variable takes in TF1's layers is a weight, the mean of a
batch normalisation is a statistic. Names say nothing here. A Const that nothing tells apart stays one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from migrate.errors import count_words
from migrate.frozen import frozen
from migrate.graph.contract import tensor_names
from migrate.graph.dtypes import dtype_value
from migrate.graph.graph import data_inputs, unique_name
from migrate.graph.nodes import giver
from migrate.graph.protos import MetaGraphDef, NodeDef, TensorProto, VariableDef
from migrate.made_variables import LEAST_BYTES
from migrate.records import Finding, Severity
from migrate.rewrite import ops
from migrate.rewrite.aliases import identity

WEIGHTS: Mapping[str, tuple[int, ...]] = {
    "MatMul": (0, 1),
    "BatchMatMul": (0, 1),
    "BatchMatMulV2": (0, 1),
    "BatchMatMulV3": (0, 1),
    "SparseTensorDenseMatMul": (3,),
    "Conv2D": (1,),
    "Conv3D": (1,),
    "Conv2DBackpropInput": (1,),
    "Conv3DBackpropInputV2": (1,),
    "DepthwiseConv2dNative": (1,),
    "Dilation2D": (1,),
    "BiasAdd": (1,),
    "BiasAddV1": (1,),
    "Gather": (0,),
    "GatherV2": (0,),
    "GatherNd": (0,),
    "FusedBatchNorm": (1, 2),
    "FusedBatchNormV2": (1, 2),
    "FusedBatchNormV3": (1, 2),
    "BatchNormWithGlobalNormalization": (3, 4),
}
"""Positions at which TF1's layers have a trained variable. Each of these ops has a gradient for them."""

STATISTICS: Mapping[str, tuple[int, ...]] = {
    "FusedBatchNorm": (3, 4),
    "FusedBatchNormV2": (3, 4),
    "FusedBatchNormV3": (3, 4),
    "BatchNormWithGlobalNormalization": (1, 2),
}
"""Positions of moving means and variances: variables that no gradient trains."""

_LINEAR = frozenset(op for op in WEIGHTS if "Mat" in op or op.startswith(("Conv", "Depthwise", "Dilation")))
_KEEPS_VALUES = frozenset({"Identity", "Reshape", "Squeeze"})
"""What may be between a layer's product and the addition of its bias."""
_READS = frozenset(
    {"Identity", "FakeQuantWithMinMaxArgs", "FakeQuantWithMinMaxVars", "FakeQuantWithMinMaxVarsPerChannel"}
)
"""What may be between a weight and its use: the read that freezing leaves, and a quantiser, which has a gradient."""
_DEFAULTS = frozenset({"Identity", "PlaceholderWithDefault"})
_ADDS = frozenset({"Add", "AddV2"})
_ENTRANCES = frozenset({"Enter", "Switch"})
_FLOATS = frozenset(map(dtype_value, ("float32", "float64", "bfloat16", "float16")))


@frozen
class Unfrozen:
    """A MetaGraphDef with variables where it had constant weights.

    Attributes:
      meta_graph: the new one.
      values: what each of the new variables holds, by identity.
      findings: what was not done.
    """

    meta_graph: MetaGraphDef
    values: Mapping[str, TensorProto]
    findings: tuple[Finding, ...]


def unfreeze(meta_graph: MetaGraphDef, large: bool = False) -> Unfrozen:
    """Makes variables of a MetaGraphDef's constant weights; the MetaGraphDef itself is not changed.

    Args:
      meta_graph: which.
      large: instead of the weights, all float constants of `LEAST_BYTES` or more, as variables that are not trained.

    A weight is given a VarHandleOp under its own name and one ReadVariableOp, which all that took the Const now take.
    A Const that a signature feeds or fetches, or that is the default of an input, one that waits for another node (as
    those inside v1 control flow do), and one inside a function's body stay as they are.
    """
    nodes = {node.name: node for node in meta_graph.graph_def.node}
    trainable = {} if large else dict.fromkeys(_constants(nodes, _weights(nodes)), True)
    statistics = dict.fromkeys(_large(nodes.values()) if large else _constants(nodes, _statistics(nodes)), False)
    unclear = trainable.keys() & statistics.keys()
    named = _named(meta_graph, nodes)
    roles = {name: role for name, role in (trainable | statistics).items() if name not in unclear and name not in named}
    chosen = {name: roles[name] for name in nodes if name in roles}
    result = MetaGraphDef()
    for field, value in meta_graph.ListFields():
        if field.name != "graph_def":
            _copy(result, field.name, value)
    result.graph_def.versions.CopyFrom(meta_graph.graph_def.versions)
    result.graph_def.library.CopyFrom(meta_graph.graph_def.library)
    taken = set(nodes)
    shared = {identity(node) for node in nodes.values() if node.op in ops.VARIABLES or node.op == "VarHandleOp"}
    reads: dict[str, str] = {}
    values: dict[str, TensorProto] = {}
    for name, is_trainable in chosen.items():
        reads[name] = unique_name(f"{name}/ReadVariableOp", taken)
        taken.add(reads[name])
        key = unique_name(name, shared)
        shared.add(key)
        values[key] = nodes[name].attr["value"].tensor
        result.graph_def.node.extend(_variable(nodes[name], key, reads[name]))
        _list(result, name, reads[name], is_trainable)
    for node in meta_graph.graph_def.node:
        if node.name in reads:
            continue
        new = result.graph_def.node.add()
        new.CopyFrom(node)
        for position, source in enumerate(node.input):
            if not source.startswith("^") and _producer(source) in reads:
                new.input[position] = reads[_producer(source)]
    return Unfrozen(
        result, values, _large_findings(chosen, meta_graph) if large else _findings(nodes, chosen, meta_graph)
    )


def _producer(tensor: str) -> str:
    """Name of the node that gives a tensor, which functions name by output (`node:output:0`)."""
    return tensor.partition(":")[0]


def _copy(target: MetaGraphDef, field: str, value: object) -> None:
    # A map, a repeated field or a message: each knows how to take over another of its kind.
    getattr(target, field).MergeFrom(value)


def _weights(nodes: Mapping[str, NodeDef]) -> Iterable[str]:
    """Full names of the tensors that are where a trained weight is."""
    for node in nodes.values():
        taken = data_inputs(node)
        yield from (taken[position] for position in WEIGHTS.get(node.op, ()) if position < len(taken))
        if node.op in _ADDS and len(taken) == 2:
            for one, other in (taken, taken[::-1]):
                if _is_linear(nodes, one):
                    yield other
    shifts = {_producer(shift) for _, _, shift in _offsets(nodes)}
    for scale in _inverse_deviations(nodes):
        for product in _consumers(nodes, scale, "Mul"):
            if product.name not in shifts:
                yield from (tensor for tensor in data_inputs(product) if _producer(tensor) != scale)
    for offset, _, _ in _offsets(nodes):
        yield offset


def _statistics(nodes: Mapping[str, NodeDef]) -> Iterable[str]:
    for node in nodes.values():
        taken = data_inputs(node)
        yield from (taken[position] for position in STATISTICS.get(node.op, ()) if position < len(taken))
    for scale in _inverse_deviations(nodes):
        yield data_inputs(nodes[_producer(data_inputs(nodes[scale])[0])])[0]
    for _, mean, _ in _offsets(nodes):
        yield mean


def _inverse_deviations(nodes: Mapping[str, NodeDef]) -> list[str]:
    """Names of the nodes `rsqrt(variance + epsilon)` of tf.nn.batch_normalization (nn_impl.py), epsilon a scalar."""
    found = []
    for node in nodes.values():
        if node.op != "Rsqrt" or not data_inputs(node):
            continue
        total = nodes.get(_producer(data_inputs(node)[0]))
        if total is None or total.op not in _ADDS or len(data_inputs(total)) != 2:
            continue
        epsilon = nodes.get(_producer(data_inputs(total)[1]))
        if epsilon is not None and epsilon.op == "Const" and not epsilon.attr["value"].tensor.tensor_shape.dim:
            found.append(node.name)
    return found


def _offsets(nodes: Mapping[str, NodeDef]) -> list[tuple[str, str, str]]:
    """(offset, mean, their product with the scale) of each `offset - mean * scale` of tf.nn.batch_normalization."""
    scales = set(_inverse_deviations(nodes))
    scales |= {product.name for scale in scales for product in _consumers(nodes, scale, "Mul")}
    found = []
    for node in nodes.values():
        if node.op != "Sub" or len(data_inputs(node)) != 2:
            continue
        offset, shift = data_inputs(node)
        product = nodes.get(_producer(shift))
        if product is None or product.op != "Mul":
            continue
        mean = [tensor for tensor in data_inputs(product) if _producer(tensor) not in scales]
        if len(mean) == 1:
            found.append((offset, mean[0], shift))
    return found


def _consumers(nodes: Mapping[str, NodeDef], name: str, op: str) -> list[NodeDef]:
    return [n for n in nodes.values() if n.op == op and any(_producer(tensor) == name for tensor in data_inputs(n))]


def _is_linear(nodes: Mapping[str, NodeDef], tensor: str) -> bool:
    """Whether a tensor is a layer's product, to which a bias is added."""
    node = giver(nodes, tensor, _KEEPS_VALUES)
    return node is not None and node.op in _LINEAR


def _constants(nodes: Mapping[str, NodeDef], tensors: Iterable[str]) -> list[str]:
    """Names of the constants behind tensors that can be variables."""
    found = []
    for tensor in tensors:
        node = giver(nodes, tensor, _READS)
        if node is not None and _is_weight(node) and not any(name.startswith("^") for name in node.input):
            found.append(node.name)
    return found


def _large(nodes: Iterable[NodeDef]) -> list[str]:
    """Names of the constants that are large."""
    return [node.name for node in nodes if _is_large(node) and not node.input]


def _is_large(node: NodeDef) -> bool:
    return _is_weight(node) and len(node.attr["value"].tensor.tensor_content) >= LEAST_BYTES


def _is_weight(node: NodeDef) -> bool:
    """Whether a node is a float constant of one dimension at least, with something in it."""
    if node.op != "Const" or node.attr["dtype"].type not in _FLOATS:
        return False
    sizes = [dim.size for dim in node.attr["value"].tensor.tensor_shape.dim]
    return bool(sizes) and 0 not in sizes


def _named(meta_graph: MetaGraphDef, nodes: Mapping[str, NodeDef]) -> set[str]:
    """Names of the nodes that signatures feed or fetch, and of the constants that are the defaults of inputs."""
    tensors: list[str] = []
    for definition in meta_graph.signature_def.values():
        for info in (*definition.inputs.values(), *definition.outputs.values()):
            tensors += tensor_names(info)
    found = {_producer(tensor) for tensor in tensors if tensor}
    inputs = (nodes[name] for name in found if name in nodes)
    defaults = [giver(nodes, node.name, _DEFAULTS) for node in inputs if node.op == "PlaceholderWithDefault"]
    return found | {node.name for node in defaults if node is not None}


def _variable(constant: NodeDef, shared_name: str, read: str) -> tuple[NodeDef, NodeDef]:
    tensor = constant.attr["value"].tensor
    handle = NodeDef(name=constant.name, op="VarHandleOp", device=constant.device)
    handle.attr["dtype"].type = tensor.dtype
    handle.attr["shape"].shape.CopyFrom(tensor.tensor_shape)
    handle.attr["container"].s = b""
    handle.attr["shared_name"].s = shared_name.encode()
    value = NodeDef(name=read, op="ReadVariableOp", input=[constant.name], device=constant.device)
    value.attr["dtype"].type = tensor.dtype
    return handle, value


def _list(meta_graph: MetaGraphDef, name: str, read: str, is_trainable: bool) -> None:
    """Lists a variable in the collections where TF1 looked for it."""
    definition = VariableDef(
        variable_name=f"{name}:0", snapshot_name=f"{read}:0", is_resource=True, trainable=is_trainable
    ).SerializeToString()
    for key in ("variables", "trainable_variables") if is_trainable else ("variables",):
        meta_graph.collection_def[key].bytes_list.value.append(definition)


def _findings(
    nodes: Mapping[str, NodeDef], chosen: Mapping[str, bool], meta_graph: MetaGraphDef
) -> tuple[Finding, ...]:
    """A warning about weights that no variable can be made of."""
    passed = _READS | _ENTRANCES
    held = {
        node.name: None
        for tensor in _weights(nodes)
        if (node := giver(nodes, tensor, passed)) is not None and _is_weight(node) and node.name not in chosen
    }
    for function in meta_graph.graph_def.library.function:
        body = {node.name: node for node in function.node_def}
        for node in body.values():
            taken = data_inputs(node)
            for position in WEIGHTS.get(node.op, ()):
                source = giver(body, taken[position], _READS) if position < len(taken) else None
                if source is not None and _is_weight(source):
                    held[f"{function.signature.name}/{source.name}"] = None
    return _stay(tuple(held), "constant weight", so="so nothing trains them")


def _large_findings(chosen: Mapping[str, bool], meta_graph: MetaGraphDef) -> tuple[Finding, ...]:
    """A warning about large constants that stay constants."""
    held = [node.name for node in meta_graph.graph_def.node if _takes_room(node) and node.name not in chosen]
    for function in meta_graph.graph_def.library.function:
        held += [f"{function.signature.name}/{node.name}" for node in function.node_def if _takes_room(node)]
    return _stay(tuple(held), "large constant", "not of floats that are stored as bytes")


def _takes_room(node: NodeDef) -> bool:
    """Whether a node is a constant that is large in the graph, whatever its values are and however they are stored."""
    if node.op != "Const":
        return False
    tensor = node.attr["value"].tensor
    return (len(tensor.tensor_content) or tensor.ByteSize()) >= LEAST_BYTES


def _stay(held: tuple[str, ...], what: str, which: str = "", so: str = "") -> tuple[Finding, ...]:
    if not held:
        return ()
    where = ["in v1 control flow or a function's body", "named by a signature", *([which] if which else [])]
    message = f"no variable replaces {count_words(len(held), what)} {', '.join(where[:-1])}, or {where[-1]}"
    return (Finding("weight-stays-constant", Severity.WARNING, message + (f", {so}" if so else ""), held),)
