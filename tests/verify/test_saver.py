"""What a v1 Session saves of a candidate, read from its graph. No TensorFlow."""

from __future__ import annotations

from google.protobuf import text_format

from migrate.graph.protos import MetaGraphDef
from migrate.verify.saver import saver_differences

_KEYS = 'attr {{ key: "value" value {{ tensor {{ tensor_shape {{ dim {{ size: 2 }} }} {values} }} }} }}'


def _names(name, *values):
    listed = " ".join(f'string_val: "{value}"' for value in values)
    return f'node_def {{ name: "{name}" op: "Const" {_KEYS.format(values=listed)} }}'


def _meta_graph(saved=("v", "w"), keys=("kv", "kw"), op="ReadVariableOp"):
    reads = "".join(f'node_def {{ name: "r{n}" op: "{op}" input: "{n}" }}' for n in "vw")
    first, second = saved
    call = 'attr {{ key: "f" value {{ func {{ name: "{}" }} }} }} input: "p" input: "v:0" input: "w:0"'
    arguments = 'input_arg { name: "p" } input_arg { name: "v" } input_arg { name: "w" }'
    text = f"""
    graph_def {{
      node {{ name: "v" op: "VarHandleOp" }} node {{ name: "w" op: "VarHandleOp" }}
      node {{ name: "p" op: "Placeholder" }}
      node {{ name: "call_s" op: "StatefulPartitionedCall" {call.format("save")} }}
      node {{ name: "save" op: "Identity" input: "call_s:0" }}
      node {{ name: "restore" op: "StatefulPartitionedCall" {call.format("restore")} }}
      library {{
        function {{ signature {{ name: "save" {arguments} }} {reads} {_names("names", *keys)}
          node_def {{ name: "s" op: "SaveV2" input: "p" input: "names:output:0" input: "slices"
            input: "r{first}:value:0" input: "r{second}:value:0" }} }}
        function {{ signature {{ name: "restore" {arguments} }} {_names("names", "kv", "kw")}
          node_def {{ name: "r" op: "RestoreV2" input: "p" input: "names:output:0" input: "slices" }}
          node_def {{ name: "i" op: "Identity" input: "r:tensors:1" }}
          node_def {{ name: "a" op: "AssignVariableOp" input: "v" input: "r:tensors:0" }}
          node_def {{ name: "b" op: "AssignVariableOp" input: "w" input: "i:output:0" }} }}
      }} }}
    saver_def {{ save_tensor_name: "save:0" restore_op_name: "restore" }}
    """
    return text_format.Parse(text, MetaGraphDef())


def _found(**changes):
    return [(m.output, m.reason) for m in saver_differences(_meta_graph(**changes), "contract")]


def test_each_variable_is_saved_as_it_is_restored():
    assert _found() == []


def test_variables_that_are_saved_under_each_others_keys():
    (first, _), (second, _) = _found(saved=("w", "v"))
    assert (first, second) == ("v", "w")


def test_an_entry_that_is_not_saved():
    ((name, reason),) = _found(keys=("kv", "other"))
    assert name == "w" and "does not save the entry 'kw'" in reason


def test_a_value_that_is_no_variables():
    assert [name for name, _ in _found(op="Neg")] == ["v", "w"]


def test_without_a_saver_there_is_nothing_to_compare():
    assert list(saver_differences(MetaGraphDef(), "contract")) == []
