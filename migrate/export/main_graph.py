"""Gives tensors of the new main graph the names that they had in the source.

The main graph is what a Session runs (Python's, Java's, Go's, C's); `tf.saved_model.load` reads the functions and
leaves it alone. Nothing in a SavedModel but the fields below names its nodes.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from migrate.graph.contract import tensor_names
from migrate.graph.graph import as_input, canonical, split, unique_name
from migrate.graph.protos import DataType, MetaGraphDef, NodeDef, TensorInfo
from migrate.plan.records import KeptTensor, SignatureTensor


def give_names(meta_graph: MetaGraphDef, tensors: Mapping[str, KeptTensor]) -> None:
    """Renames and adds nodes such that each tensor is found under its name.

    Args:
      meta_graph: the new model's, whose signatures have the source's input and output names already; it is changed.
      tensors: what to keep, by full name.
    """
    by_node: dict[str, dict[int, KeptTensor]] = {}
    for tensor, kept in tensors.items():
        name, output = split(tensor)
        by_node.setdefault(name, {})[output] = kept
    _make_room(meta_graph, set(by_node))
    nodes = {node.name: node for node in meta_graph.graph_def.node}
    moved: dict[str, str] = {}
    made = [node for name, outputs in by_node.items() for node in _nodes(meta_graph, nodes, name, outputs, moved)]
    left = [node for node in meta_graph.graph_def.node if canonical(node.name) not in moved]
    for node in left:
        for position, source in enumerate(node.input):
            if not source.startswith("^") and canonical(source) in moved:
                node.input[position] = as_input(moved[canonical(source)])
    new = [NodeDef.FromString(node.SerializeToString()) for node in (*left, *made)]
    del meta_graph.graph_def.node[:]
    meta_graph.graph_def.node.extend(new)
    for tensor, kept in tensors.items():
        for place in kept.feeds:
            _set_tensor(meta_graph.signature_def[place.signature].inputs[place.name], place.part, tensor)
        if kept.given_by is not None:
            place = kept.given_by
            _set_tensor(meta_graph.signature_def[place.signature].outputs[place.name], place.part, tensor)


def _make_room(meta_graph: MetaGraphDef, wanted: set[str]) -> None:
    """Renames nodes of the exporter's that have a name which is wanted, wherever they are named."""
    taken = {node.name for node in meta_graph.graph_def.node} | wanted
    renamed: dict[str, str] = {}
    for node in meta_graph.graph_def.node:
        if node.name in wanted:
            renamed[node.name] = unique_name(f"{node.name}/exported", taken)
            taken.add(renamed[node.name])
            node.name = renamed[node.name]
    if not renamed:
        return

    def new(tensor: str) -> str:
        control, name = tensor.startswith("^"), tensor.lstrip("^")
        node, colon, output = name.partition(":")
        return ("^" if control else "") + renamed.get(node, node) + colon + output

    for node in meta_graph.graph_def.node:
        node.input[:] = [new(source) for source in node.input]
        places = node.attr["_class"].list.s if "_class" in node.attr else []
        for position, place in enumerate(places):
            if place.startswith(b"loc:@"):
                places[position] = b"loc:@" + new(place[5:].decode()).encode()
    for definition in meta_graph.signature_def.values():
        for info in (*definition.inputs.values(), *definition.outputs.values()):
            if info.WhichOneof("encoding") == "coo_sparse":
                for part, tensor in enumerate(tensor_names(info)):
                    _set_tensor(info, part, new(tensor))
            else:
                info.name = new(info.name)
    saver = meta_graph.saver_def
    saver.filename_tensor_name = new(saver.filename_tensor_name)
    saver.save_tensor_name = new(saver.save_tensor_name)
    saver.restore_op_name = new(saver.restore_op_name)
    for file in meta_graph.asset_file_def:
        file.tensor_info.name = new(file.tensor_info.name)
    for collection in meta_graph.collection_def.values():
        collection.node_list.value[:] = [new(name) for name in collection.node_list.value]


def _nodes(
    meta_graph: MetaGraphDef,
    nodes: Mapping[str, NodeDef],
    name: str,
    outputs: Mapping[int, KeptTensor],
    moved: dict[str, str],
) -> list[NodeDef]:
    """The node that has the kept outputs, with what comes before it; tells in `moved` which tensors it replaces."""
    sources: dict[int, str] = {}
    types: dict[int, int] = {}
    made: list[NodeDef] = []
    alone = set(outputs) == {0}
    for output, kept in outputs.items():
        fed = [_tensor(meta_graph.signature_def[place.signature].inputs, place) for place in kept.feeds]
        placeholders = [nodes[split(tensor)[0]] for tensor in fed]
        moved.update((canonical(tensor), f"{name}:{output}") for tensor in fed)
        if kept.given_by is not None:
            place = kept.given_by
            infos = meta_graph.signature_def[place.signature].outputs
            sources[output] = _tensor(infos, place)
            types[output] = placeholders[0].attr["dtype"].type if placeholders else _dtype(infos[place.name], place)
            continue
        placeholder = _placeholder(placeholders, name if alone else unique_name(f"{name}/fed_{output}", nodes))
        if alone:
            return [placeholder]
        made.append(placeholder)
        sources[output] = placeholder.name
        types[output] = placeholder.attr["dtype"].type
    if alone:
        node = NodeDef(name=name, op="Identity", input=[as_input(sources[0])])
        node.attr["T"].type = types[0]
        return [node]
    return [*made, *_several(name, sources, types, nodes)]


def _placeholder(found: list[NodeDef], name: str) -> NodeDef:
    """One placeholder in the place of several for the same tensor."""
    # One that has a default has it for all: the default is the tensor's, not the signature's.
    first = next((node for node in found if node.op == "PlaceholderWithDefault"), found[0])
    result = NodeDef.FromString(first.SerializeToString())
    result.name = name
    result.attr.pop("_output_shapes", None)
    if any(other.attr["shape"] != result.attr["shape"] for other in found):
        result.attr["shape"].shape.Clear()
        result.attr["shape"].shape.unknown_rank = True
    return result


def _several(name: str, sources: Mapping[int, str], types: Mapping[int, int], taken: Collection[str]) -> list[NodeDef]:
    """A node with several outputs. Those between, which nobody keeps, are a text that no client takes for a value."""
    node = NodeDef(name=name, op="IdentityN")
    made = []
    for output in range(max(sources) + 1):
        if output in sources:
            node.input.append(as_input(sources[output]))
        else:
            filler = NodeDef(name=unique_name(f"{name}/not_kept_{output}", taken), op="Const")
            filler.attr["dtype"].type = DataType.DT_STRING
            filler.attr["value"].tensor.dtype = DataType.DT_STRING
            filler.attr["value"].tensor.tensor_shape.SetInParent()
            filler.attr["value"].tensor.string_val.append(f"{name}:{output} is no tensor of a signature".encode())
            made.append(filler)
            node.input.append(filler.name)
        node.attr["T"].list.type.append(types.get(output, DataType.DT_STRING))
    return [*made, node]


def _tensor(infos: Mapping[str, TensorInfo], place: SignatureTensor) -> str:
    return tensor_names(infos[place.name])[place.part]


def _dtype(info: TensorInfo, place: SignatureTensor) -> int:
    """The dtype of a part of an output: a SparseTensor's indices and dense shape are int64."""
    return DataType.DT_INT64 if place.part else info.dtype


def _set_tensor(info: TensorInfo, part: int, tensor: str) -> None:
    if info.WhichOneof("encoding") == "coo_sparse":
        field = ("values_tensor_name", "indices_tensor_name", "dense_shape_tensor_name")[part]
        setattr(info.coo_sparse, field, tensor)
    else:
        info.name = tensor
