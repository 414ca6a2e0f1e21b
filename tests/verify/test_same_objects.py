"""The objects of a TF2 SavedModel against those of a copy. No TensorFlow."""

from __future__ import annotations

import pytest

from migrate.graph.protos import MetaGraphDef
from migrate.verify.same_objects import object_differences


def _model(*nodes, name="f_1", training=False, trainable=True, inner=(), version="2.21.0"):
    """A SavedModel whose `__call__` has one trace of nodes that are (name, op, input), and a variable."""
    graph = MetaGraphDef()
    graph.meta_info_def.tensorflow_version = version
    objects = graph.object_graph_def
    root = objects.nodes.add()
    root.children.add(local_name="__call__", node_id=1)
    root.children.add(local_name="w", node_id=2)
    objects.nodes.add().function.concrete_functions.append(name)
    objects.nodes.add().variable.trainable = trainable
    objects.concrete_functions[name].canonicalized_input_signature.bool_value = training
    for function, body in ((name, nodes), ("inner", inner)):
        made = graph.graph_def.library.function.add()
        made.signature.name = function
        made.ret["y"] = f"{body[-1][0]}:y:0" if body else "x"
        for each, op, given in body:
            node = made.node_def.add(name=each, op=op, input=[given])
            if op == "PartitionedCall":
                node.attr["f"].func.name = "inner"
    return graph


_NODES = (("a", "Neg", "x"), ("b", "Abs", "a:y:0"))


def _told(source, new):
    return [(m.code, m.output) for m in object_differences(source, new, "contract")]


@pytest.mark.parametrize(
    "new",
    [
        _model(*_NODES),
        # Another export: other names, and other functions within.
        _model(("p", "Neg", "x"), ("q", "Abs", "p:y:0"), name="f_7"),
        _model(("call", "PartitionedCall", "x"), name="f_7", inner=_NODES),
        # Another release may trace another graph.
        _model(("a", "Exp", "x"), version="2.15.1"),
        MetaGraphDef(),
    ],
)
def test_a_copy_and_another_export_are_the_same(new):
    assert _told(_model(*_NODES), new) == []


@pytest.mark.parametrize(
    "new",
    [
        _model(("a", "Neg", "x"), ("b", "Exp", "a:y:0")),
        _model(*_NODES, ("spoil", "Neg", "b:y:0")),
        _model(("a", "Neg", "x"), name="f_7"),
        # The nodes of a copy are connected as they were.
        _model(("a", "Neg", "b:y:0"), ("b", "Abs", "x")),
        _model(*_NODES, training=True),
    ],
)
def test_a_function_that_differs_is_told(new):
    assert _told(_model(*_NODES), new) == [("function-differs", "__call__")]


def test_a_variable_that_is_not_trained_is_told():
    assert _told(_model(*_NODES), _model(*_NODES, trainable=False)) == [("variable-form-differs", "w")]


def test_a_model_of_tf1_has_no_objects():
    assert _told(MetaGraphDef(), _model(*_NODES)) == []
