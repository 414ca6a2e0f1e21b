"""What a signature's inputs and outputs are called in the function that TF2's users call."""

from __future__ import annotations

import pytest

from migrate.graph.protos import MetaGraphDef
from migrate.verify.signature_functions import can_be_argument, identifier, signature_functions, signature_names


def _model(inputs, arguments, outputs, results, *, sparse=(), between=None) -> MetaGraphDef:
    """A signature `f`: inputs by tensor name, in the order of the call, and outputs by number of the call's output."""
    graph = MetaGraphDef()
    signature = graph.signature_def["f"]
    nodes = graph.graph_def.node
    call = nodes.add(name="call", op="StatefulPartitionedCall")
    call.attr["f"].func.name = "wrapper"
    for tensor in dict.fromkeys(inputs.values()):
        nodes.add(name=tensor.partition(":")[0], op="Placeholder")
    for tensor in inputs.values():
        if between:
            nodes.add(name=f"{tensor[:-2]}/handed_on", op=between, input=[tensor[:-2]])
        call.input.append(f"{tensor[:-2]}/handed_on" if between else tensor)
    call.input.extend(["variable", "^init"])
    for name, tensor in inputs.items():
        if name not in sparse:
            signature.inputs[name].name = tensor
    for name, number in outputs.items():
        signature.outputs[name].name = f"call:{number}"
    objects = graph.object_graph_def.nodes
    root, signatures, function = objects.add(), objects.add(), objects.add()
    root.children.add(local_name="signatures", node_id=1)
    signatures.children.add(local_name="f", node_id=2)
    function.bare_concrete_function.concrete_function_name = "wrapper"
    function.bare_concrete_function.argument_keywords.extend(arguments)
    fields = graph.object_graph_def.concrete_functions["wrapper"].output_signature.dict_value.fields
    for name in results:
        fields[name].tensor_spec_value.name = name
    return graph


@pytest.mark.parametrize(
    ("inputs", "arguments", "expected"),
    [
        ({"x": "x:0", "y": "y:0"}, ["x", "y"], {"x": "x", "y": "y"}),
        # The position in the call says which argument it is, not the name.
        ({"x": "x:0", "class": "c:0"}, ["x", "input_class"], {"x": "x", "class": "input_class"}),
        ({"image/encoded": "i:0"}, ["image_encoded"], {"image/encoded": "image_encoded"}),
        ({"X": "a:0", "x": "b:0"}, ["X_", "x"], {"X": "X_", "x": "x"}),
        # Two inputs of one tensor: each keeps its name, in whatever order the call takes them.
        ({"a": "t:0", "b": "t:0"}, ["b", "a"], {"a": "a", "b": "b"}),
        ({"class": "t:0", "b": "t:0"}, ["b", "input_class"], {"class": "input_class", "b": "b"}),
    ],
)
@pytest.mark.parametrize("between", [None, "Identity", "IdentityN"])
def test_arguments_are_paired_by_their_position_in_the_call(inputs, arguments, expected, between):
    graph = _model(inputs, arguments, {"y": 0}, ["y"], between=between)
    assert signature_names(graph)["f"].arguments == expected


def test_an_input_that_the_call_does_not_take_is_no_argument():
    graph = _model({"x": "x:0"}, ["x"], {"y": 0}, ["y"])
    graph.signature_def["f"].inputs["gone"].name = "gone:0"
    assert signature_names(graph)["f"].arguments == {"x": "x", "gone": None}


def test_results_are_the_sorted_keys_of_the_dict():
    graph = _model({}, [], {"b": 0, "other": 1}, ["b", "a"])
    graph.signature_def["f"].outputs["again"].name = "call:1"
    # `a` is the first of the sorted keys, and `b` is called so.
    assert signature_names(graph)["f"].results == {"b": "b", "other": "b", "again": "b"}


def test_a_sparse_tensor_is_three_dense_ones():
    inputs = {"i": "i:0", "v": "v:0", "d": "d:0"}
    graph = _model(inputs, ["s_indices", "s_values", "s_shape"], {}, ["o_d", "o_i", "o_v"], sparse=inputs)
    for info, tensors in (
        (graph.signature_def["f"].inputs["s"], ("i:0", "v:0", "d:0")),
        (graph.signature_def["f"].outputs["o"], ("call:1", "call:2", "call:0")),
    ):
        sparse = info.coo_sparse
        sparse.indices_tensor_name, sparse.values_tensor_name, sparse.dense_shape_tensor_name = tensors
    names = signature_names(graph)["f"]
    assert names.arguments == {"s": {"indices": "s_indices", "values": "s_values", "dense_shape": "s_shape"}}
    assert names.results == {"o": {"indices": "o_i", "values": "o_v", "dense_shape": "o_d"}}


@pytest.mark.parametrize("damage", ["no objects", "no signatures", "another kind", "a child that is not there"])
def test_a_model_without_the_objects_has_no_names(damage):
    graph = _model({"x": "x:0"}, ["x"], {"y": 0}, ["y"])
    objects = graph.object_graph_def.nodes
    if damage == "no objects":
        graph.ClearField("object_graph_def")
    elif damage == "no signatures":
        del objects[0].children[:]
    elif damage == "another kind":
        objects[2].user_object.identifier = "other"
    else:
        objects[1].children[0].node_id = 99
    assert signature_functions(graph) == {} == signature_names(graph)


def test_identities_in_a_circle_end():
    graph = _model({"x": "x:0"}, ["x"], {"y": 0}, ["y"])
    node = graph.graph_def.node[1]
    node.op = "Identity"
    node.input.append("x")
    assert signature_names(graph)["f"].arguments == {"x": "x"}


_NAMES = [
    "x",
    "image/encoded",
    "1st",
    "class",
    "self",
    "naïve",
    "größe",
    "with space",
    "Upper-Case.dot",
    "out:0",
    "_",
    "%",
]


@pytest.mark.parametrize("name", _NAMES)
def test_an_argument_that_python_can_take_keeps_its_name(name):
    assert can_be_argument(name, ["other"]) is (name not in ("class", "self", "naïve", "größe"))
    assert not can_be_argument(name, [name.upper()])


@pytest.mark.tensorflow
@pytest.mark.private_api
@pytest.mark.parametrize("name", _NAMES)
def test_an_identifier_is_what_tensorflow_makes_of_a_name(name):
    from tensorflow.core.function.polymorphism.function_type import sanitize_arg_name

    assert identifier(name) == sanitize_arg_name(name)
