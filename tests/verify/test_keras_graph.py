"""What a call of a Keras model computes in training, told by its graph. No TensorFlow."""

from __future__ import annotations

import pytest

from migrate.graph.protos import MetaGraphDef, NodeDef, TensorProto
from migrate.verify.keras_graph import alone, computed, computed_alone, computed_in_training, path_of


def _constant(name, value):
    node = NodeDef(name=name, op="Const")
    node.attr["value"].tensor.CopyFrom(TensorProto(dtype=1, float_val=[value]))
    return node


def _node(op, name="", **attributes):
    node = NodeDef(name=name or op.lower(), op=op)
    for key, value in attributes.items():
        if isinstance(value, str):
            node.attr[key].func.name = value
        else:
            node.attr[key].i = value
    return node


def _of(*nodes, **library):
    return computed(nodes, library)


def test_names_and_what_hands_on_say_nothing():
    one = _of(_node("Neg", "a"), _node("Neg", "b"), _node("Identity"), _node("PartitionedCall"), _node("NoOp"))
    assert one == _of(_node("Neg", "c"), _node("Neg", "d"))
    assert list(one.values()) == [2]


def test_calls_are_what_they_call():
    body = [_node("Neg"), _constant("half", 0.5)]
    once = _of(_node("Abs"), *body)
    assert _of(_node("Abs"), _node("StatefulPartitionedCall", f="f"), f=body) == once
    assert _of(_node("Abs"), _node("f"), f=body) == once
    inner = {"f": [_node("PartitionedCall", f="g")], "g": body}
    twice = _of(_node("PartitionedCall", f="f"), _node("PartitionedCall", f="f"), **inner)
    assert twice == {key: 2 * count for key, count in _of(*body).items()}
    assert _of(_node("PartitionedCall", f="nobody's")) == {}


def test_a_function_that_calls_itself_has_an_end():
    assert list(_of(_node("f"), f=[_node("f"), _node("Neg")]).values())


@pytest.mark.parametrize(
    ("one", "other", "is_same"),
    [
        (_constant("a", 0.5), _constant("b", 0.5), True),
        (_constant("a", 0.5), _constant("a", 0.25), False),
        (_node("RandomUniform", seed=1, seed2=2), _node("RandomUniform", seed=3), True),
        (_node("Neg", _mark=1), _node("Neg"), True),
        (_node("Sum", keep_dims=1), _node("Sum"), False),
        (_node("If", then_branch="f"), _node("If", then_branch="g"), True),
        (_node("Neg"), _node("Abs"), False),
    ],
)
def test_attributes_and_constants_tell_nodes_apart(one, other, is_same):
    assert (_of(one) == _of(other)) == is_same


def _called(*traces):
    """A SavedModel whose `__call__` has traces that are (training, nodes)."""
    graph = MetaGraphDef()
    nodes = graph.object_graph_def.nodes
    nodes.add().children.add(local_name="__call__", node_id=1)
    function = nodes.add().function
    for number, (training, body) in enumerate(traces):
        name = f"f{number}"
        function.concrete_functions.append(name)
        made = graph.graph_def.library.function.add()
        made.signature.name = name
        made.node_def.extend(body)
        signature = graph.object_graph_def.concrete_functions[name].canonicalized_input_signature
        arguments = signature.tuple_value.values.add().tuple_value
        arguments.values.add().tensor_spec_value.name = "x"
        arguments.values.add().dict_value.fields["training"].bool_value = training
    return graph


def test_it_is_the_trace_of_training():
    graph = _called((False, [_node("Neg")]), (True, [_node("Abs")]))
    assert computed_in_training(graph) == _of(_node("Abs"))


def test_a_constant_may_be_given_to_it():
    graph = _called((True, [_node("Abs")]))
    graph.object_graph_def.nodes.add().constant.operation = "held"
    graph.object_graph_def.concrete_functions["f0"].bound_inputs.extend([2, 99])
    graph.graph_def.node.add().CopyFrom(_constant("held", 0.5))
    assert computed_in_training(graph) == _of(_node("Abs"), _constant("a", 0.5))


def test_what_is_not_there_computes_nothing():
    assert computed_in_training(MetaGraphDef()) == {}
    assert computed_in_training(_called((False, [_node("Neg")]))) == {}
    lost = _called((True, [_node("Neg")]))
    del lost.graph_def.library.function[:]
    assert computed_in_training(lost) == {}
    plain = MetaGraphDef()
    plain.object_graph_def.nodes.add()
    assert computed_in_training(plain) == {}


def test_layers_have_functions_of_their_own():
    graph = _called((False, [_node("Neg")]), (True, [_node("Abs")]))
    nodes = graph.object_graph_def.nodes
    nodes[0].children.add(local_name="layer-0", node_id=len(nodes))
    layer = nodes.add()
    layer.children.add(local_name="call_and_return_all_conditional_losses", node_id=len(nodes))
    nodes.add().function.concrete_functions.append("f7")
    graph.graph_def.library.function.add().signature.name = "f7"
    graph.graph_def.library.function[-1].node_def.append(_node("Relu"))
    graph.object_graph_def.concrete_functions["f7"].SetInParent()
    layers = computed_alone(graph, ["layer-0", "layer-9"])
    assert layers == {alone("layer-0", "call_and_return_all_conditional_losses", None): _of(_node("Relu"))}
    assert computed_alone(graph, [""]) == {
        alone("", "__call__", False): _of(_node("Neg")),
        alone("", "__call__", True): _of(_node("Abs")),
    }


@pytest.mark.parametrize("path", ["", "layer-1", "layer-1/layer-0"])
def test_a_name_leads_to_its_layer(path):
    assert path_of(alone(path, "__call__", True)) == path
