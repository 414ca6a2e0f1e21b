"""What a v1 Session saves of a candidate, read from its graph. No TensorFlow."""

from __future__ import annotations

import pytest
from google.protobuf import text_format

from migrate.graph.protos import MetaGraphDef, TrackableObjectGraph
from migrate.verify.saver import saver_differences, stored_name_differences

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


def _stored(*names):
    """The object graph of a checkpoint whose root has `vars`, and in it variables that Savers know by names."""
    graph = TrackableObjectGraph()
    graph.nodes.add().children.add(local_name="vars", node_id=1)
    graph.nodes.add()
    for number, name in enumerate(names):
        graph.nodes[1].children.add(local_name="vw"[number], node_id=len(graph.nodes))
        value = graph.nodes.add().attributes.add(name="VARIABLE_VALUE", full_name=name)
        value.checkpoint_key = f"vars/{'vw'[number]}/.ATTRIBUTES/VARIABLE_VALUE"
    return graph


def _objects(holder="vars"):
    meta_graph = MetaGraphDef()
    nodes = meta_graph.object_graph_def.nodes
    nodes.add().children.add(local_name=holder, node_id=1)
    nodes.add()
    for name in "vw":
        nodes[1].children.add(local_name=name, node_id=len(nodes))
        nodes.add().variable.name = name
    return meta_graph


@pytest.mark.parametrize(
    ("names", "told"), [(("v", "w"), []), (("", "w"), []), (("w", "v"), ["v", "w"]), (("v", "other"), ["w"])]
)
def test_a_saver_of_tf1_finds_each_variable_by_its_name(monkeypatch, names, told):
    monkeypatch.setattr("migrate.verify.saver.read_stored_objects", lambda prefix: _stored(*names))
    found = list(stored_name_differences(_objects(), "prefix", "contract"))
    assert [m.output for m in found] == told and {m.code for m in found} <= {"saver-differs"}


def test_another_exporter_calls_its_variables_as_it_likes(monkeypatch):
    monkeypatch.setattr("migrate.verify.saver.read_stored_objects", lambda prefix: _stored("a", "b"))
    assert list(stored_name_differences(_objects("weights"), "prefix", "contract")) == []
    assert list(stored_name_differences(MetaGraphDef(), "prefix", "contract")) == []


def test_without_a_checkpoint_no_name_is_another_one(tmp_path):
    assert list(stored_name_differences(_objects(), str(tmp_path / "variables"), "contract")) == []
