"""What the restore op of TensorFlow 1 puts into resources that TensorFlow 2 does not have: trees and boundaries.

Nothing but the restore op fills such a resource where the conditions here hold, so what a call reads there is what the
checkpoint has. The source is looked at as a graph in which that is a constant; where a condition does not hold, the
resource stays, and nothing that reads it is proved.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence

from migrate.errors import InputError
from migrate.graph import contract
from migrate.graph.dtypes import dtype_value
from migrate.graph.graph import attribute, canonical, data_inputs
from migrate.graph.nodes import behind
from migrate.graph.protos import MetaGraphDef, NodeDef, TensorProto, copied
from migrate.proof.constants import shape_of, strings
from migrate.proof.identity import utf8
from migrate.sources.tensor_values import TensorValues

_STREAM = "BoostedTreesQuantileStreamResource"
_ADDITIVE = "DecisionTreeEnsembleResourceHandleOp"
_STAMP = "TreeEnsembleStampToken"
_INT64 = dtype_value("int64")
_READERS: Mapping[str, Collection[str]] = {
    "BoostedTreesEnsembleResourceHandleOp": ("BoostedTreesPredict",),
    f"{_STREAM}HandleOp": (f"{_STREAM}GetBucketBoundaries",),
    "DecisionTreeResourceHandleOp": ("TreePredictionsV4",),
    "FertileStatsResourceHandleOp": (),
    _ADDITIVE: (
        "GradientTreesPartitionExamples",
        "GradientTreesPrediction",
        "GradientTreesPredictionVerbose",
        _STAMP,
        "TreeEnsembleStats",
    ),
}
"""Op that makes a handle -> the ops that read the resource; none where a prediction needs no such thing."""
_FILLS: Mapping[str, tuple[str, int]] = {
    "BoostedTreesEnsembleResourceHandleOp": ("BoostedTreesDeserializeEnsemble", 2),
    f"{_STREAM}HandleOp": (f"{_STREAM}Deserialize", 1),
    "DecisionTreeResourceHandleOp": ("TreeDeserialize", 1),
    "FertileStatsResourceHandleOp": ("FertileStatsDeserialize", 1),
    _ADDITIVE: ("TreeEnsembleDeserialize", 1),
}
"""The op that fills it, and the first of its inputs that are content (kernels/boosted_trees/resource_ops.cc;
contrib/tensor_forest/kernels/model_ops.cc and stats_ops.cc; contrib/boosted_trees/kernels/model_ops.cc)."""
_CREATES: Mapping[str, tuple[str, int]] = {
    "BoostedTreesEnsembleResourceHandleOp": ("BoostedTreesCreateEnsemble", 2),
    f"{_STREAM}HandleOp": ("BoostedTreesCreateQuantileStreamResource", 0),
    "DecisionTreeResourceHandleOp": ("CreateTreeVariable", 1),
    "FertileStatsResourceHandleOp": ("CreateFertileStatsVariable", 0),
    _ADDITIVE: ("CreateTreeEnsembleVariable", 1),
}
"""The op that makes it where there is none, and does nothing else where there is one; 0: it is made empty."""


def with_contents(meta_graph: MetaGraphDef, values: TensorValues) -> MetaGraphDef:
    """The source as a graph with constants in the place of what such resources hold.

    Args:
      meta_graph: the source; it is not changed.
      values: the tensors of its checkpoint.
    """
    if not any(node.op in _READERS for node in meta_graph.graph_def.node):
        return meta_graph
    return _Graph(meta_graph, values).changed()


class _Graph:
    def __init__(self, meta_graph: MetaGraphDef, values: TensorValues) -> None:
        self._meta_graph, self._values = meta_graph, values
        self._nodes = {node.name: node for node in meta_graph.graph_def.node}
        outputs = [t for s in contract.signatures(meta_graph) for spec in s.outputs.values() for t in spec.tensors]
        self._called = behind(self._nodes, [*outputs, *contract.init_ops(meta_graph)])
        self._by_calls = behind(self._nodes, outputs)
        name = meta_graph.saver_def.restore_op_name
        self._restored = behind(self._nodes, [name] if name else [])
        self._filename = canonical(meta_graph.saver_def.filename_tensor_name)
        self._takers: dict[str, list[NodeDef]] = {}
        for node in self._nodes.values():
            for name in {tensor.partition(":")[0] for tensor in data_inputs(node)}:
                self._takers.setdefault(name, []).append(node)

    def changed(self) -> MetaGraphDef:
        """The graph with constants."""
        functions = {node.op for f in self._meta_graph.graph_def.library.function for node in f.node_def}
        made: dict[str, Sequence[NodeDef]] = {}
        for op in _READERS:
            if op not in functions:
                for handles in self._resources(op):
                    made.update(self._settled(op, handles))
        if not made:
            return self._meta_graph
        result = copied(self._meta_graph)
        del result.graph_def.node[:]
        result.graph_def.node.extend(new for name, node in self._nodes.items() for new in made.get(name, (node,)))
        return result

    def _resources(self, op: str) -> Collection[Collection[str]]:
        found: dict[tuple[bytes, bytes], set[str]] = {}
        for name, node in self._nodes.items():
            if node.op == op:
                found.setdefault((attribute(node, "container").s, attribute(node, "shared_name").s), set()).add(name)
        return found.values()

    def _settled(self, op: str, handles: Collection[str]) -> Mapping[str, Sequence[NodeDef]]:
        """What takes the places of nodes; nothing where a condition does not hold."""
        takers = {node.name: node for handle in handles for node in self._takers.get(handle, ())}
        run = [node for node in takers.values() if node.name in self._called or node.name in self._restored]
        readers = [node for node in run if node.op in _READERS[op]]
        fills = [node for node in run if node.op == _FILLS[op][0]]
        creates = [node for node in run if node.op == _CREATES[op][0]]
        plain = len(readers) + len(fills) + len(creates) == len(run)
        early = any(node.name in self._called for node in fills) or any(n.name in self._by_calls for n in creates)
        if not plain or early or any(node.name in self._restored for node in readers):
            return {}
        made: dict[str, Sequence[NodeDef]] = {node.name: (_nothing(node),) for node in (*fills, *creates)}
        if readers:
            content = self._content(op, fills, creates)
            if content is None:
                return {}
            if op == f"{_STREAM}HandleOp":
                if any(node.attr["num_features"].i != len(content) for node in readers):
                    return {}
                made.update((node.name, tuple(_boundaries(node, content))) for node in readers)
            else:
                if op == _ADDITIVE:
                    if len(content) != 2 or content[0].dtype != _INT64 or shape_of(content[0]) != ():
                        return {}
                    stamps = [node for node in readers if node.op == _STAMP]
                    made.update((node.name, (_const(node, node.name, content[0]),)) for node in stamps)
                    content = content[1:]
                if len(content) != 1 or shape_of(content[0]) != () or strings(content[0], 1) is None:
                    return {}
                made.update((name, (_const(self._nodes[name], name, content[0]),)) for name in handles)
        return made

    def _content(self, op: str, fills: Sequence[NodeDef], creates: Sequence[NodeDef]) -> Sequence[TensorProto] | None:
        if len(fills) == 1:
            found = [self._read(tensor) for tensor in data_inputs(fills[0])[_FILLS[op][1] :]]
            return None if None in found else [each for each in found if each is not None]
        first = _CREATES[op][1]
        if fills or not first or len(creates) != 1:
            return None
        given = [self._nodes.get(tensor.partition(":")[0]) for tensor in data_inputs(creates[0])[first:]]
        return [node.attr["value"].tensor for node in given if node is not None and node.op == "Const"]

    def _read(self, tensor: str) -> TensorProto | None:
        """What a tensor of the restore op has of the checkpoint."""
        name, _, output = tensor.partition(":")
        node = self._nodes.get(name)
        if node is None or node.op != "RestoreV2" or len(data_inputs(node)) != 3 or not output.isdecimal():
            return None
        filename, names, slices = data_inputs(node)
        keys, specs = self._texts(names, int(output)), self._texts(slices, int(output))
        if filename != self._filename or keys is None or specs != b"":
            return None
        key = utf8(keys)
        if key is None:
            return None
        try:
            return self._values.read(key)
        except InputError:
            return None

    def _texts(self, tensor: str, output: int) -> bytes | None:
        """One element of a constant vector of strings."""
        node = self._nodes.get(tensor.partition(":")[0])
        if node is None or node.op != "Const":
            return None
        proto = node.attr["value"].tensor
        shape = shape_of(proto)
        if shape is None or len(shape) != 1 or not output < shape[0] <= _MOST:
            return None
        found = strings(proto, shape[0])
        return None if found is None else found[output]


_MOST = 1 << 20


def _nothing(node: NodeDef) -> NodeDef:
    """A node in the place of one that fills or makes a resource."""
    return NodeDef(name=node.name, op="NoOp")


def _const(beside: NodeDef, name: str, value: TensorProto) -> NodeDef:
    node = NodeDef(name=name, op="Const", input=[each for each in beside.input if each[:1] == "^"])
    node.attr["dtype"].type = value.dtype
    node.attr["value"].tensor.CopyFrom(value)
    return node


def _boundaries(node: NodeDef, content: Sequence[TensorProto]) -> Iterator[NodeDef]:
    last = NodeDef(name=node.name, op="IdentityN", input=[each for each in node.input if each[:1] == "^"])
    for number, value in enumerate(content):
        part = f"{node.name}/=content {number}"
        last.input.insert(number, part)
        last.attr["T"].list.type.append(value.dtype)
        yield _const(node, part, value)
    yield last
