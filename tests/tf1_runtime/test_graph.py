"""graph.py: what TensorFlow 1.15.5 is given of a graph. No TensorFlow."""

from __future__ import annotations

import pytest
from google.protobuf import text_format

from migrate.graph.protos import GraphDef, MetaGraphDef
from migrate.tf1_runtime.graph import NotTakenError, Op, prepared
from migrate.tf1_runtime.restore import add_restore_ops

_OPS = {
    "Placeholder": Op(frozenset({"dtype", "shape"})),
    "Const": Op(frozenset({"dtype", "value"})),
    "MatMul": Op(frozenset({"T", "transpose_a", "transpose_b"})),
    "VarHandleOp": Op(frozenset({"container", "shared_name", "dtype", "shape"})),
    "Identity": Op(frozenset({"T"})),
    "Gather": Op(frozenset(), "contrib/gather.so"),
    "PartitionedCall": Op(frozenset({"Tin", "Tout", "f"})),
}


def _prepared(text, *wanted):
    meta_graph = MetaGraphDef()
    text_format.Parse(text, meta_graph.graph_def)
    found = prepared(meta_graph, wanted, _OPS)
    return found, {node.name: node for node in GraphDef.FromString(found.graph_def).node}


def test_what_is_not_behind_the_wanted_nodes_is_left_out():
    text = """
      node { name: "x" op: "Placeholder" }
      node { name: "y" op: "Identity" input: "x:0" input: "^z" }
      node { name: "z" op: "Const" }
      node { name: "other" op: "Newest" input: "y" }
      versions { producer: 1645 min_consumer: 12 }
    """
    found, nodes = _prepared(text, "y:0")
    assert sorted(nodes) == ["x", "y", "z"] and found.libraries == ()
    assert GraphDef.FromString(found.graph_def).versions.producer == 1645
    assert found.ops == {"x": "Placeholder", "y": "Identity", "z": "Const"}


def test_an_attribute_of_later_releases_goes_where_it_has_their_default():
    _, nodes = _prepared('node { name: "y" op: "MatMul" attr { key: "grad_a" value { b: false } } }', "y")
    assert not nodes["y"].attr


def test_an_attribute_that_says_something_does_not():
    with pytest.raises(NotTakenError, match="MatMul has no attribute 'grad_a'"):
        _prepared('node { name: "y" op: "MatMul" attr { key: "grad_a" value { b: true } } }', "y")


def test_an_attribute_that_no_table_knows():
    with pytest.raises(NotTakenError, match="no attribute 'strange'"):
        _prepared('node { name: "y" op: "Identity" attr { key: "strange" value { b: false } } }', "y")


def test_marks_for_people_and_private_ones():
    text = """
      node { name: "v" op: "VarHandleOp"
        attr { key: "debug_name" value { s: "v" } }
        attr { key: "allowed_devices" value { list {} } }
        attr { key: "_mine" value { b: true } }
        attr { key: "_output_shapes" value { list { shape { dim { size: 7 } } } } } }
    """
    _, nodes = _prepared(text, "v")
    assert set(nodes["v"].attr) == {"_mine"}


def test_clusters_and_colocation():
    text = """
      node { name: "x" op: "Const" device: "/job:ps/task:3/device:CPU:0"
        attr { key: "_class" value { list { s: "loc:@gone" } } } }
      node { name: "y" op: "Identity" input: "x"
        attr { key: "_class" value { list { s: "loc:@gone" s: "loc:@x" } } } }
    """
    _, nodes = _prepared(text, "y")
    assert nodes["x"].device == "/device:CPU:0" and not nodes["x"].attr
    assert list(nodes["y"].attr["_class"].list.s) == [b"loc:@x"]


def test_an_op_that_is_not_there():
    with pytest.raises(NotTakenError, match=r"^it has no op ParseExampleV2$"):
        _prepared('node { name: "y" op: "ParseExampleV2" }', "y")


def test_an_op_library():
    found, _ = _prepared('node { name: "y" op: "Gather" }', "y")
    assert found.libraries == ("contrib/gather.so",)


def test_functions_that_are_called():
    text = """
      node { name: "y" op: "PartitionedCall" attr { key: "f" value { func { name: "outer" } } } }
      library {
        function { signature { name: "outer" }
          node_def { name: "a" op: "inner" } arg_attr { key: 0 value {} } }
        function { signature { name: "inner" }
          node_def { name: "b" op: "Gather" } }
        function { signature { name: "other" }
          node_def { name: "c" op: "Newest" } }
      }
    """
    found, _ = _prepared(text, "y")
    functions = GraphDef.FromString(found.graph_def).library.function
    assert [f.signature.name for f in functions] == ["inner", "outer"] and not any(f.arg_attr for f in functions)
    assert found.libraries == ("contrib/gather.so",)


def test_restore_ops_of_a_graph_without_one():
    meta_graph = MetaGraphDef()
    text_format.Parse(
        """
        node { name: "ref" op: "VariableV2" attr { key: "dtype" value { type: DT_FLOAT } } }
        node { name: "part" op: "VarHandleOp" attr { key: "dtype" value { type: DT_INT64 } } }
        node { name: "x" op: "Const" }
        """,
        meta_graph.graph_def,
    )
    variables = meta_graph.collection_def["variables"].bytes_list.value
    from migrate.graph.protos import VariableDef

    part = VariableDef(variable_name="part:0")
    text_format.Parse('full_name: "whole" full_shape: 10 full_shape: 4 var_offset: [6, 0] var_shape: [4, 4]',
                      part.save_slice_info_def)  # fmt: skip
    for definition in (VariableDef(variable_name="ref:0"), part, VariableDef(variable_name="x:0")):
        variables.append(definition.SerializeToString())
    variables.append(b"\xff")
    assert len(add_restore_ops(meta_graph)) == 2
    nodes = {node.name: node for node in meta_graph.graph_def.node}
    assert list(nodes["migrate_restores_1_slices"].attr["value"].tensor.string_val) == [b"10 4 6,4:0,4"]
    assert list(nodes["migrate_restores_1_names"].attr["value"].tensor.string_val) == [b"whole"]
    assert [nodes[f"migrate_restores_{n}"].op for n in (0, 1)] == ["Assign", "AssignVariableOp"]
