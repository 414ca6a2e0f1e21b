from __future__ import annotations

import pytest

from migrate.graph.contract import (
    INIT_KEY,
    TABLES_KEY,
    TRAIN_KEY,
    asset_tensor,
    assets,
    has_signatures,
    init_key,
    init_ops,
    shape_of,
    signatures,
    tensor_spec,
    trainable,
)
from migrate.graph.protos import AssetFileDef, MetaGraphDef, TensorInfo, TensorShapeProto, VariableDef
from migrate.records import Signature, TensorSpec


def _asset(tensor: str, file: str) -> AssetFileDef:
    made = AssetFileDef(filename=file)
    made.tensor_info.name = tensor
    return made


def test_shapes():
    dims = [TensorShapeProto.Dim(size=size) for size in (2, -1, 0)]
    assert shape_of(TensorShapeProto(dim=dims)) == (2, None, 0)
    assert shape_of(TensorShapeProto()) == ()
    assert shape_of(TensorShapeProto(unknown_rank=True)) is None


def test_tensors_of_each_encoding():
    shape = TensorShapeProto(dim=[TensorShapeProto.Dim(size=3)])
    assert tensor_spec(TensorInfo(name="x:0", dtype=1, tensor_shape=shape)) == TensorSpec("x:0", "float32", (3,))
    assert tensor_spec(TensorInfo(name="x:0", dtype=101)) == TensorSpec("x:0", "float32", None)
    sparse = TensorInfo(dtype=7)
    sparse.coo_sparse.values_tensor_name = "v:0"
    sparse.coo_sparse.indices_tensor_name = "i:0"
    sparse.coo_sparse.dense_shape_tensor_name = "s:0"
    assert tensor_spec(sparse) == TensorSpec("", "string", None, "coo_sparse", ("v:0", "i:0", "s:0"))
    composite = TensorInfo(dtype=3)
    for name in ("a:0", "b:0"):
        composite.composite_tensor.components.add(name=name)
    assert tensor_spec(composite) == TensorSpec("", "int32", None, "composite", ("a:0", "b:0"))


def test_signatures_are_those_that_clients_call_by_their_keys():
    meta_graph = MetaGraphDef()
    for key in (INIT_KEY, TRAIN_KEY):
        meta_graph.signature_def[key].outputs[key].name = "op"
    assert not has_signatures(meta_graph) and signatures(meta_graph) == ()
    for key in ("b", "a"):
        meta_graph.signature_def[key].method_name = "m"
        meta_graph.signature_def[key].inputs["z"].name = "z:0"
        meta_graph.signature_def[key].inputs["x"].name = "x:0"
    assert has_signatures(meta_graph)
    found = signatures(meta_graph)
    spec = {name: TensorSpec(f"{name}:0", "invalid", None) for name in "xz"}
    assert found == (Signature("a", "m", spec, {}), Signature("b", "m", spec, {}))
    assert list(found[0].inputs) == ["x", "z"]


def test_the_init_op_is_named_in_the_first_place_that_has_one():
    meta_graph = MetaGraphDef()
    assert init_key(meta_graph) is None and init_ops(meta_graph) == ()
    meta_graph.collection_def["saved_model_main_op"].node_list.SetInParent()  # It is there and names none.
    assert init_key(meta_graph) is None
    for key, nodes in (
        (TABLES_KEY, ("tables", "tables:0", "more")),
        ("legacy_init_op", ("legacy",)),
        ("saved_model_main_op", ("main:0",)),
    ):
        meta_graph.collection_def[key].node_list.value.extend(nodes)
        assert init_key(meta_graph) == key
        assert init_ops(meta_graph) == tuple(dict.fromkeys(name.partition(":")[0] for name in nodes))
    meta_graph.signature_def[INIT_KEY].outputs["another"].name = "no"
    assert init_ops(meta_graph) == ("main",)
    meta_graph.signature_def[INIT_KEY].outputs[INIT_KEY].name = "init:0"
    assert init_key(meta_graph) == INIT_KEY and init_ops(meta_graph) == ("init",)


@pytest.mark.parametrize(("written", "tensor"), [("a", "a:0"), ("a:0", "a:0"), ("a:1", "a:1")])
def test_the_tensor_of_an_asset(written, tensor):
    assert asset_tensor(_asset(written, "f")) == tensor


def test_assets_are_listed_or_packed_in_the_collection():
    meta_graph = MetaGraphDef()
    assert assets(meta_graph) == ()
    packed = meta_graph.collection_def["saved_model_assets"].any_list.value
    packed.add().Pack(_asset("a", "words.txt"))
    packed.add().Pack(VariableDef(variable_name="no asset"))
    damaged = packed.add()
    damaged.Pack(AssetFileDef())
    damaged.value = b"\x0a\xff"
    assert assets(meta_graph) == (("a:0", "words.txt"),)
    meta_graph.asset_file_def.append(_asset("b:0", "other.txt"))
    assert assets(meta_graph) == (("b:0", "other.txt"),)


def test_trainable_variables_are_named_as_their_nodes():
    meta_graph = MetaGraphDef()
    assert trainable(meta_graph) == frozenset() and not meta_graph.collection_def
    listed = meta_graph.collection_def["trainable_variables"].bytes_list.value
    listed.extend([VariableDef(variable_name="w:0").SerializeToString(), b"\x0a\xff", b""])
    listed.append(VariableDef(variable_name="scope/b:0").SerializeToString())
    assert trainable(meta_graph) - {""} == {"w", "scope/b"}
