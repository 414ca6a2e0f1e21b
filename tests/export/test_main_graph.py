"""Tensors of the new main graph under the names that they had in the source. No TensorFlow."""

from __future__ import annotations

from migrate.export.main_graph import give_names
from migrate.graph.protos import MetaGraphDef
from migrate.plan.records import KeptTensor, SignatureTensor

_X, _Y = SignatureTensor("s", "x"), SignatureTensor("s", "y")


def _exported():
    """As TensorFlow writes it: a placeholder, a call, and names of its own."""
    meta_graph = MetaGraphDef()
    given = meta_graph.graph_def.node.add(name="s_x", op="Placeholder")
    given.attr["dtype"].type = 1
    given.attr["shape"].shape.dim.add(size=3)
    meta_graph.graph_def.node.add(name="call", op="PartitionedCall", input=["s_x", "^s_x"])
    signature = meta_graph.signature_def["s"]
    signature.inputs["x"].name, signature.inputs["x"].dtype = "s_x:0", 1
    signature.outputs["y"].name, signature.outputs["y"].dtype = "call:0", 1
    return meta_graph


def _nodes(meta_graph):
    return {node.name: node for node in meta_graph.graph_def.node}


def test_nothing_is_changed_where_nothing_is_kept():
    meta_graph = _exported()
    give_names(meta_graph, {})
    assert meta_graph == _exported()


def test_an_input_and_an_output_have_their_names():
    meta_graph = _exported()
    give_names(meta_graph, {"in:0": KeptTensor((_X,), None), "out:0": KeptTensor((), _Y)})
    nodes = _nodes(meta_graph)
    assert (nodes["in"].op, nodes["in"].attr["shape"].shape.dim[0].size) == ("Placeholder", 3)
    assert (nodes["out"].op, list(nodes["out"].input), nodes["out"].attr["T"].type) == ("Identity", ["call"], 1)
    assert nodes["call"].input[0] == "in"
    signature = meta_graph.signature_def["s"]
    assert (signature.inputs["x"].name, signature.outputs["y"].name) == ("in:0", "out:0")


def test_a_node_of_the_exporters_makes_room():
    meta_graph = _exported()
    meta_graph.graph_def.node[0].attr["_class"].list.s.append(b"loc:@call")
    meta_graph.saver_def.restore_op_name = "call"
    meta_graph.collection_def["ops"].node_list.value.append("call")
    meta_graph.asset_file_def.add().tensor_info.name = "call:1"
    give_names(meta_graph, {"call:0": KeptTensor((), _Y)})
    (renamed,) = [name for name in _nodes(meta_graph) if name.startswith("call/exported")]
    nodes = _nodes(meta_graph)
    assert (nodes["call"].op, list(nodes["call"].input)) == ("Identity", [renamed])
    assert nodes[renamed].op == "PartitionedCall"
    assert list(nodes["s_x"].attr["_class"].list.s) == [b"loc:@" + renamed.encode()]
    assert meta_graph.saver_def.restore_op_name == renamed
    assert list(meta_graph.collection_def["ops"].node_list.value) == [renamed]
    assert meta_graph.asset_file_def[0].tensor_info.name == f"{renamed}:1"


def test_several_outputs_of_one_node():
    meta_graph = _exported()
    give_names(meta_graph, {"split:2": KeptTensor((), _Y), "split:0": KeptTensor((_X,), None)})
    nodes = _nodes(meta_graph)
    split = nodes["split"]
    assert (split.op, list(split.attr["T"].list.type)) == ("IdentityN", [1, 7, 1])
    given, filler, found = split.input
    assert (nodes[given].op, found) == ("Placeholder", "call")
    assert nodes[filler].attr["value"].tensor.string_val[0] == b"split:1 is no tensor of a signature"
    assert meta_graph.signature_def["s"].outputs["y"].name == "split:2"


def test_two_signatures_feed_one_tensor():
    meta_graph = _exported()
    other = meta_graph.graph_def.node.add(name="t_x", op="PlaceholderWithDefault", input=["default"])
    other.attr["dtype"].type = 1
    other.attr["shape"].shape.dim.add(size=-1)
    meta_graph.signature_def["t"].inputs["x"].name = "t_x:0"
    give_names(meta_graph, {"in:0": KeptTensor((_X, SignatureTensor("t", "x")), None)})
    nodes = _nodes(meta_graph)
    assert not {"s_x", "t_x"} & nodes.keys()
    # The one with a default has it for both, and the shape is what both take.
    assert (nodes["in"].op, nodes["in"].attr["shape"].shape.unknown_rank) == ("PlaceholderWithDefault", True)
    assert meta_graph.signature_def["t"].inputs["x"].name == "in:0"


def test_a_part_of_a_sparse_output():
    meta_graph = _exported()
    info = meta_graph.signature_def["s"].outputs["y"]
    info.coo_sparse.values_tensor_name = "call:0"
    info.coo_sparse.indices_tensor_name = "call:1"
    info.coo_sparse.dense_shape_tensor_name = "call:2"
    give_names(meta_graph, {"rows:0": KeptTensor((), SignatureTensor("s", "y", 1))})
    assert _nodes(meta_graph)["rows"].attr["T"].type == 9
    assert list(_nodes(meta_graph)["rows"].input) == ["call:1"]
    assert (info.coo_sparse.indices_tensor_name, info.coo_sparse.values_tensor_name) == ("rows:0", "call:0")
