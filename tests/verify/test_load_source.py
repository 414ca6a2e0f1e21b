"""What is changed in a graph before it is loaded leniently. No TensorFlow."""

from __future__ import annotations

import pytest

from migrate.graph.protos import MetaGraphDef
from migrate.verify import load_source


@pytest.mark.parametrize(
    ("device", "kept"),
    [
        ("", ""),
        ("/job:worker/replica:0/task:3/device:GPU:0", "/device:GPU:0"),
        ("/job:ps/task:0", ""),
        ("/device:CPU:0", "/device:CPU:0"),
        ("/gpu:1", "/gpu:1"),
    ],
)
def test_a_device_is_on_this_machine(device, kept):
    assert load_source._here(device) == kept


def _graph(fed: list[str]) -> MetaGraphDef:
    """x -> decode -> predict, where each signature feeds one of the tensors."""
    found = MetaGraphDef()
    nodes = found.graph_def.node
    nodes.add(name="x", op="Placeholder").attr["dtype"].type = 7
    nodes.add(name="decode", op="DecodeRaw", input=["x"]).attr["out_type"].type = 1
    nodes.add(name="predict", op="Neg", input=["decode"])
    for number, tensor in enumerate(fed):
        signature = found.signature_def[f"s{number}"]
        signature.inputs["x"].name = tensor
        signature.inputs["x"].dtype = 1
        signature.outputs["y"].name = "predict:0"
    return found


def test_what_every_signature_feeds_becomes_a_placeholder():
    graph = _graph(["decode:0", "decode:0"])
    load_source._cut_where_all_feed(graph)
    decode = graph.graph_def.node[1]
    assert (decode.op, list(decode.input), decode.attr["dtype"].type) == ("Placeholder", [], 1)
    assert load_source._needed(graph) == ["decode", "predict"]


@pytest.mark.parametrize("fed", [["decode:0", "x:0"], []], ids=["one of two", "no signature"])
def test_what_some_signature_computes_stays(fed):
    graph = _graph(fed)
    before = graph.SerializeToString(deterministic=True)
    load_source._cut_where_all_feed(graph)
    assert graph.SerializeToString(deterministic=True) == before


def test_a_node_with_another_output_in_use_stays():
    graph = _graph(["decode:0"])
    graph.graph_def.node.add(name="other", op="Neg", input=["decode:1"])
    load_source._cut_where_all_feed(graph)
    assert graph.graph_def.node[1].op == "DecodeRaw"


def test_sparse_parts_and_loaders_need_their_nodes():
    graph = _graph([])
    sparse = graph.signature_def["s"].inputs["x"].coo_sparse
    sparse.values_tensor_name, sparse.indices_tensor_name = "x:0", "absent:0"
    graph.saver_def.restore_op_name = "predict"
    assert load_source._needed(graph) == ["predict", "x"]
