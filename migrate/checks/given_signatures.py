"""Signatures that are not in the model: as the flag `--signature` gives them, and as audit proposes them.

NAME:inputs=a=x:0,b=y:0;outputs=scores=s:0;method=tensorflow/serving/predict
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence

from migrate.graph.contract import RESERVED_KEYS
from migrate.graph.graph import split
from migrate.graph.nodes import nodes_by_name
from migrate.graph.output_dtypes import functions_of, missing_tensor, output_dtypes
from migrate.graph.protos import FunctionDef, MetaGraphDef, NodeDef, TensorInfo, TensorShapeProto
from migrate.records import Finding, GivenSignature, refusal

_NEAR = 3
_MANY_NODES = 20_000
"""Beyond these, near matches are looked for among the names that share a last part only."""


def add_signatures(
    meta_graph: MetaGraphDef, given: Sequence[GivenSignature], overwrite: bool = False
) -> tuple[Finding, ...]:
    """Adds signatures to a MetaGraphDef in its place: a copy takes as much memory again.

    Args:
      meta_graph: the source, which is changed.
      given: what to add.
      overwrite: whether a signature may take the place of one of the same name.

    Returns:
      Nothing, or refusals, and then nothing was added: a tensor is not there, is nothing that can be fed or fetched, or
      the model, or another one that is given, has this name.
    """
    if not given:
        return ()
    nodes = nodes_by_name(meta_graph)
    functions = functions_of(meta_graph.graph_def.library)
    added = MetaGraphDef()
    findings: list[Finding] = []
    for signature in given:
        if signature.key in added.signature_def:
            message = f"two of the signatures that were given have the name {signature.key!r}"
            findings.append(refusal("signature-exists", message, (), "give one of them another name"))
            continue
        exists = signature.key in meta_graph.signature_def
        if (exists and not overwrite) or signature.key in RESERVED_KEYS:
            findings.append(
                refusal(
                    "signature-exists",
                    f"the model has a signature {signature.key!r} already",
                    (),
                    "give the new one another name"
                    + ("" if signature.key in RESERVED_KEYS else ", or --overwrite_signatures, to have it replaced"),
                )
            )
            continue
        definition = added.signature_def[signature.key]
        definition.method_name = signature.method_name
        for infos, pairs in ((definition.inputs, signature.inputs), (definition.outputs, signature.outputs)):
            for name, tensor in pairs:
                info = _tensor_info(nodes, functions, tensor)
                if isinstance(info, TensorInfo):
                    infos[name].CopyFrom(info)
                else:
                    message = f"signature {signature.key!r}: {name!r} names {info}"
                    near = near_tensors(tensor, nodes)
                    hint = f"near matches: {', '.join(near)}" if near else "migrate audit lists what could be meant"
                    findings.append(refusal("signature-tensor-missing", message, (tensor,), hint))
    if not findings:
        for key in added.signature_def:
            meta_graph.signature_def.pop(key, None)
        meta_graph.MergeFrom(added)
    return tuple(findings)


def _tensor_info(nodes: Mapping[str, NodeDef], functions: Mapping[str, FunctionDef], tensor: str) -> TensorInfo | str:
    missing = missing_tensor(tensor, nodes, functions)
    if missing:
        return f"the tensor {tensor!r}, {missing}"
    name, output = split(tensor)
    node = nodes[name]
    dtypes = output_dtypes(node, functions)
    if dtypes is None:
        return f"{tensor!r}, of the op {node.op}, which TensorFlow 2 does not have"
    if output >= len(dtypes):
        return f"{tensor!r}, but {node.op} {name!r} does not say how many outputs it gives"
    info = TensorInfo(name=tensor, dtype=dtypes[output])
    info.tensor_shape.CopyFrom(_shape(node, output))
    return info


def _shape(node: NodeDef, output: int) -> TensorShapeProto:
    """What a placeholder or an iterator says of a shape; of other nodes nothing is known for certain."""
    if node.op.startswith("IteratorGetNext") and output < len(node.attr["output_shapes"].list.shape):
        given: TensorShapeProto = node.attr["output_shapes"].list.shape[output]
        return given
    if node.op.startswith("Placeholder") and output == 0 and "shape" in node.attr:
        shape: TensorShapeProto = node.attr["shape"].shape
        # Before graph version 24, one without dimensions took any shape (array_ops.cc, "Placeholder").
        if shape.dim or node.op != "Placeholder":
            return shape
    return TensorShapeProto(unknown_rank=True)


def near_tensors(tensor: str, nodes: Mapping[str, NodeDef], likely: Iterable[str] = ()) -> list[str]:
    """Tensors that a user may have meant.

    Args:
      tensor: what the graph does not have.
      nodes: of the graph, by name.
      likely: names of the nodes to look at where the graph has too many to look at all.
    """
    name = tensor.partition(":")[0]
    last = name.rsplit("/", 1)[-1]
    same_end = [node for node in nodes if node.rsplit("/", 1)[-1] == last]
    close = difflib.get_close_matches(name, likely if len(nodes) > _MANY_NODES else nodes, n=_NEAR)
    return [f"{node}:0" for node in dict.fromkeys((*same_end[:_NEAR], *close)) if node != name]
