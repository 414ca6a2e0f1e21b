"""What an export takes of TensorFlow beyond its public API: a failure names what a new release has changed."""

from __future__ import annotations

import os

import pytest

pytestmark = [pytest.mark.tensorflow, pytest.mark.private_api]

tf = pytest.importorskip("tensorflow")

from migrate.export import private_apis  # noqa: E402 (starts TensorFlow)


def test_a_variable_is_made_without_a_value():
    variable = private_apis.UninitializedVariable(
        trainable=True, name="scope/v", shape=tf.TensorShape([2]), dtype=tf.float32
    )
    assert (variable.name, variable.shape, variable.dtype, variable.trainable) == ("scope/v:0", [2], tf.float32, True)
    assert variable.assign([1.0, 2.0]).numpy().tolist() == [1.0, 2.0]


def test_an_argument_has_the_name_that_calls_use():
    assert private_apis.sanitize_arg_name("image/encoded") == "image_encoded"
    assert private_apis.sanitize_arg_name("1st") == "arg_1st"


def test_a_model_is_saved_without_its_checkpoint_and_says_where_its_variables_are(tmp_path):
    root = tf.Module()
    root.vars = {"scope/v": tf.Variable(1.0)}
    nodes, paths = private_apis.save_and_return_nodes(
        root, str(tmp_path), signatures=None, options=None, experimental_skip_checkpoint=True
    )
    assert os.path.exists(tmp_path / "saved_model.pb") and not os.path.exists(tmp_path / "variables/variables.index")
    assert nodes[0] is root
    path = private_apis.object_path_to_string(paths[root.vars["scope/v"]])
    assert private_apis.checkpoint_key(path, "VARIABLE_VALUE") == "vars/scope.Sv/.ATTRIBUTES/VARIABLE_VALUE"


def test_a_function_says_which_of_its_variables_it_only_reads():
    read, written = tf.Variable(1.0), tf.Variable(2.0)
    function = tf.function(lambda x: x * read + written.assign_add(x), autograph=False)
    graph = function.get_concrete_function(tf.TensorSpec([], tf.float32, name="x")).graph
    handles = [id(handle) for handle in graph.external_captures]
    found = private_apis.get_read_only_resource_input_indices_graph(graph)
    assert list(found) == [1 + handles.index(id(read.handle))]


def test_a_finished_graph_has_no_defaults_and_says_which_ops_it_has():
    meta_graph = tf.compat.v1.MetaGraphDef()
    node = meta_graph.graph_def.node.add(name="product", op="MatMul")
    for name, value in (("transpose_a", False), ("transpose_b", True)):
        node.attr[name].b = value
    node.attr["T"].type = tf.float32.as_datatype_enum
    private_apis.strip_graph_default_valued_attrs(meta_graph)
    assert sorted(meta_graph.graph_def.node[0].attr) == ["T", "transpose_b"]
    assert [op.name for op in private_apis.stripped_op_list_for_graph(meta_graph.graph_def).op] == ["MatMul"]


def test_an_argument_says_what_the_user_calls_it():
    v1 = tf.compat.v1
    function = v1.wrap_function(lambda x: [x, x + 1.0], [tf.TensorSpec([], tf.float32, name="argument")])
    assert [private_apis.user_specified_name(tensor) for tensor in function.outputs] == ["argument", ""]


def test_a_fingerprint_is_written(tmp_path):
    tf.saved_model.save(tf.Module(), str(tmp_path))
    os.remove(tmp_path / "fingerprint.pb")
    private_apis.write_fingerprint(str(tmp_path))
    assert tf.saved_model.experimental.read_fingerprint(str(tmp_path)).saved_model_checksum
