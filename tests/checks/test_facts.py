from __future__ import annotations

from google.protobuf import text_format

from migrate.checks.facts import facts
from migrate.graph.protos import MetaGraphDef, VariableDef
from migrate.records import MetaGraphFacts, VariableFacts

_TF1 = """
meta_info_def { tags: "serve" tags: "gpu" tensorflow_version: "1.15.0" }
graph_def {
  node { name: "v" op: "VariableV2"
    attr { key: "dtype" value { type: DT_FLOAT_REF } }
    attr { key: "shape" value { shape { dim { size: 3 } dim { size: -1 } } } } }
  node { name: "r" op: "VarHandleOp"
    attr { key: "dtype" value { type: DT_INT64 } }
    attr { key: "shape" value { shape { unknown_rank: true } } } }
  node { name: "t" op: "HashTableV2" }
  node { name: "loop" op: "RefEnter" }
  node { name: "switch" op: "Switch" }
  node { name: "a" op: "NoOp" }
  node { name: "b" op: "NoOp" }
  library { function { signature { name: "f" } node_def { name: "inner" op: "Variable" } } }
}
signature_def { key: "s" value { outputs { key: "y" value { name: "a:0" } } } }
asset_file_def { tensor_info { name: "path:0" } filename: "vocab.txt" }
collection_def { key: "legacy_init_op" value { node_list { value: "a" } } }
"""


def _meta_graph(text):
    return text_format.Parse(text, MetaGraphDef())


def test_a_graph_of_tf1():
    meta_graph = _meta_graph(_TF1)
    trainable = VariableDef(variable_name="v:0")
    meta_graph.collection_def["trainable_variables"].bytes_list.value.append(trainable.SerializeToString())
    found = facts(meta_graph, {"v"})
    assert (found.tags, found.tf_version, found.nodes) == (("gpu", "serve"), "1.15.0", 7)
    assert list(found.ops.items()) == [
        ("HashTableV2", 1),
        ("NoOp", 2),
        ("RefEnter", 1),
        ("Switch", 1),
        ("VarHandleOp", 1),
        ("VariableV2", 1),
    ]
    assert found.variables == (
        VariableFacts("v", "float32", (3, None), False, True, True),
        VariableFacts("r", "int64", None, True, False, False),
    )
    assert [signature.key for signature in found.signatures] == ["s"]
    assert (found.tables, found.assets, found.init_ops) == (("t",), ("vocab.txt",), ("a",))
    assert (found.control_flow_nodes, found.functions) == (2, ("f",))


def test_the_variables_of_tf2_are_those_of_its_objects():
    meta_graph = _meta_graph(
        _TF1
        + """
        object_graph_def {
          nodes { user_object { identifier: "root" } }
          nodes { variable { name: "dense/kernel" dtype: DT_HALF trainable: true shape { dim { size: 2 } } } }
          nodes { variable { name: "step" dtype: DT_INT64 shape { } } }
        }"""
    )
    assert facts(meta_graph, ()).variables == (
        VariableFacts("dense/kernel", "float16", (2,), True, True, True),
        VariableFacts("step", "int64", (), True, False, True),
    )


def test_nothing_of_an_empty_graph():
    expected = MetaGraphFacts((), "", 0, {}, (), (), (), (), (), 0, ())
    assert facts(MetaGraphDef(), ()) == expected
