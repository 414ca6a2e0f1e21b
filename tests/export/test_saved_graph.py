"""The main graph of a SavedModel. No TensorFlow."""

from __future__ import annotations

import itertools

from migrate.export.saved_graph import add_main_graph, checkpoint_key, tracked
from migrate.export.saved_objects import object_graph
from migrate.graph.protos import MetaGraphDef, TrackableObjectGraph
from tests.export.test_function_defs import ATTRIBUTES
from tests.export.test_saved_objects import B, W, _signature

KEYS = {"layer/w": checkpoint_key("layer/w")}
"""`b` has no value."""


def _written(*signatures):
    meta_graph = MetaGraphDef()
    meta_graph.object_graph_def.CopyFrom(object_graph([W, B], signatures, None))
    add_main_graph(meta_graph, [W, B], KEYS, signatures, itertools.count(7), ATTRIBUTES, False)
    return meta_graph, {node.name: node for node in meta_graph.graph_def.node}


def test_a_signature_is_a_call_with_placeholders_and_handles():
    meta_graph, nodes = _written(_signature("serving default", ["x"], ["y"]), _signature("a", ["x"], ["y", "z"]))
    definition = meta_graph.signature_def["serving default"]
    call = nodes[definition.outputs["y"].name.partition(":")[0]]
    assert call.attr["f"].func.name == "wrapper_serving default"
    assert definition.inputs["x"].name == "serving_default_x:0"
    assert list(call.input) == ["serving_default_x", "b", "layer/w"]
    assert [nodes[name].op for name in call.input] == ["Placeholder", "VarHandleOp", "VarHandleOp"]
    outputs = meta_graph.signature_def["a"].outputs
    assert [outputs[name].name for name in ("y", "z")] == ["StatefulPartitionedCall:0", "StatefulPartitionedCall:1"]
    assert call.name == "StatefulPartitionedCall_1"  # Signatures come in the order of their keys.


def test_a_saver_has_the_variables_that_have_a_value():
    meta_graph, nodes = _written(_signature("s", ["x"], ["y"]))
    saver = meta_graph.saver_def
    save, restore = nodes[saver.save_tensor_name.removesuffix(":0")], nodes[saver.restore_op_name]
    assert list(save.input) == ["saver_filename", "layer/w", "Const"]
    assert list(restore.input) == ["saver_filename", "layer/w"]
    library = {function.signature.name for function in meta_graph.graph_def.library.function}
    assert library == {"__inference__traced_save_7", "__inference__traced_restore_8"}
    graph = TrackableObjectGraph.FromString(nodes["Const"].attr["value"].tensor.string_val[0])
    with_keys = {a.full_name: a.checkpoint_key for node in graph.nodes for a in node.attributes}
    assert with_keys == KEYS
    root = {child.local_name: child.node_id for child in graph.nodes[0].children}
    holds = {name: graph.nodes[number].has_checkpoint_values.value for name, number in root.items()}
    assert [name for name, value in holds.items() if value] == ["vars", "variables", "trainable_variables"]
    assert graph.nodes[0].has_checkpoint_values.value


def test_a_checkpoint_calls_variables_as_the_source_does():
    meta_graph, _ = _written(_signature("s", ["x"], ["y"]))
    graph = tracked(meta_graph, [W, B], {"layer/w": "old/w"}, KEYS)
    assert [a.full_name for node in graph.nodes for a in node.attributes] == ["old/w"]
    assert not any(node.HasField("has_checkpoint_values") for node in graph.nodes)


def test_a_key_has_no_slash_of_the_name():
    assert checkpoint_key("a.b/c") == "vars/a..b.Sc/.ATTRIBUTES/VARIABLE_VALUE"
