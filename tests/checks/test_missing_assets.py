from __future__ import annotations

import pytest
from google.protobuf import text_format

from migrate.checks.missing_assets import leave_out_needless
from migrate.graph import contract
from migrate.graph.protos import AssetFileDef, MetaGraphDef, copied
from migrate.records import Severity


def _model(*more: str) -> MetaGraphDef:
    """`name` holds the path of an asset, and the signature computes `y` of `x`."""
    nodes = ('name: "name" op: "Const"', 'name: "x" op: "Placeholder"', 'name: "y" op: "Neg" input: "x"', *more)
    text = "\n".join(f"node {{ {node} }}" for node in nodes)
    meta_graph = text_format.Parse(f"graph_def {{ {text} }}", MetaGraphDef())
    meta_graph.signature_def["s"].outputs["y"].name = "y:0"
    meta_graph.asset_file_def.add(filename="vocab.txt").tensor_info.name = "name:0"
    return meta_graph


_INTO_A_VARIABLE = ('name: "v" op: "VariableV2"', 'name: "set" op: "Assign" input: "v" input: "copy"')
_COPY = 'name: "copy" op: "Identity" input: "name"'


def test_an_asset_that_is_there_stays(tmp_path):
    (tmp_path / "vocab.txt").touch()
    model = _model()
    result, found = leave_out_needless(model, str(tmp_path))
    assert (result is model, found) == (True, ())


@pytest.mark.parametrize(
    "more",
    [
        ('name: "table" op: "InitializeTableFromTextFileV2" input: "t" input: "name"',),
        ('name: "t" op: "SomeOp" input: "name"',),
        (_COPY, *_INTO_A_VARIABLE, 'name: "read" op: "ReadFile" input: "v"'),
        ('name: "copy" op: "Identity" input: "name"', 'name: "read" op: "ReadFile" input: "copy:0"'),
    ],
)
def test_a_missing_asset_that_an_op_may_open_stays(more, tmp_path):
    model = _model(*more)
    result, found = leave_out_needless(model, str(tmp_path))
    assert (result is model, found) == (True, ())


def test_a_missing_asset_that_a_signature_depends_on_stays(tmp_path):
    model = _model(_COPY)
    model.signature_def["s"].outputs["path"].name = "copy:0"
    assert leave_out_needless(model, str(tmp_path)) == (model, ())


@pytest.mark.parametrize(
    "more",
    [
        (),
        (_COPY,),
        (_COPY, *_INTO_A_VARIABLE),
        (_COPY, *_INTO_A_VARIABLE, 'name: "save" op: "SaveV2" input: "v"'),
        ('name: "later" op: "SomeOp" input: "^name"',),
    ],
)
def test_a_missing_asset_that_nothing_opens_is_left_out(more, tmp_path):
    model = _model(*more)
    before = copied(model)
    result, (finding,) = leave_out_needless(model, str(tmp_path))
    assert (finding.code, finding.severity, finding.nodes) == ("asset-missing", Severity.WARNING, ("vocab.txt",))
    assert str(tmp_path / "vocab.txt") in finding.message
    assert contract.assets(result) == ()
    assert result.graph_def == model.graph_def
    assert model == before


def test_one_of_two_assets_in_the_collection_of_older_models(tmp_path):
    model = _model('name: "other" op: "Const"', 'name: "t" op: "SomeOp" input: "other"')
    del model.asset_file_def[:]
    for tensor, file in (("name:0", "vocab.txt"), ("other:0", "other.txt")):
        packed = model.collection_def["saved_model_assets"].any_list.value.add()
        asset = AssetFileDef(filename=file)
        asset.tensor_info.name = tensor
        packed.Pack(asset)
    damaged = model.collection_def["saved_model_assets"].any_list.value.add()
    damaged.type_url, damaged.value = packed.type_url, b"\xff"
    result, (finding,) = leave_out_needless(model, str(tmp_path))
    assert finding.nodes == ("vocab.txt",)
    assert contract.assets(result) == (("other:0", "other.txt"),)
    # What cannot be read is not what was left out; another check tells of it.
    assert damaged in result.collection_def["saved_model_assets"].any_list.value
