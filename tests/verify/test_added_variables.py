"""Variables that a candidate has and its source does not. No TensorFlow."""

from __future__ import annotations

import pytest

from migrate.graph.protos import MetaGraphDef
from migrate.verify.added_variables import added_differences


def _graph(*nodes, bodies=()):
    """A source of nodes that are (name, op) or (name, op, inputs), and functions of such nodes."""
    graph = MetaGraphDef()
    for name, op, *inputs in nodes:
        _filled(graph.graph_def.node.add(name=name, op=op), inputs)
    for function, body in bodies:
        made = graph.graph_def.library.function.add()
        made.signature.name = function
        for name, op, *inputs in body:
            _filled(made.node_def.add(name=name, op=op), inputs)
    return graph


def _filled(node, inputs):
    node.input.extend(inputs[0] if inputs else ())
    if node.op == "Const":
        tensor = node.attr["value"].tensor
        tensor.dtype = 1
        tensor.tensor_shape.dim.add(size=2)
        tensor.tensor_content = bytes(8)


def _candidate(*names, holder="vars"):
    graph = MetaGraphDef()
    objects = graph.object_graph_def.nodes
    objects.add().user_object.identifier = "_generic_user_object"
    objects[0].children.add(local_name=holder, node_id=1)
    objects.add().user_object.identifier = "trackable_dict_wrapper"
    for name in names:
        objects[1].children.add(local_name=name, node_id=len(objects))
        objects.add().variable.name = name
    return graph


def _told(source, candidate, asked=False):
    found = list(added_differences([source], candidate, asked, "contract"))
    assert {m.code for m in found} <= {"variable-added"}
    return [m.output for m in found]


_CONSTANT = _graph(("c", "Const"), ("y", "Mul", ["c", "c"]))


@pytest.mark.parametrize(
    ("source", "names"),
    [
        (_graph(("v", "VariableV2")), ["v"]),
        (_graph(("v", "VarHandleOp"), ("c", "Const")), ["v"]),
        # A function's body is put in the place of its call, or has its own names.
        (_graph(("call", "f"), bodies=[("f", [("scratch", "VariableV2")])]), ["call/scratch"]),
        (_graph(("call", "f"), bodies=[("f", [("scratch", "VarHandleOp")])]), ["scratch", "call_1/scratch"]),
        # A graph that was frozen while it trained.
        (_graph(("m", "Const"), ("w", "AssignSub", ["m", "y"])), ["m"]),
        (_graph(("m", "Const"), ("i", "Identity", ["m"]), ("w", "Assign", ["i", "y"])), ["m"]),
        (_graph(("m", "Const"), ("s", "Switch", ["m", "p"]), ("r", "ReadVariableOp", ["s:1"])), ["m"]),
        (_graph(("m", "Const"), ("s", "RefSwitch", ["m", "p"])), ["m"]),
        (_CONSTANT, []),
    ],
)
def test_a_variable_of_the_source_is_none_that_was_added(source, names):
    assert _told(source, _candidate(*names)) == []


@pytest.mark.parametrize(
    ("source", "names", "told"),
    [
        (_CONSTANT, ["c"], ["c"]),
        (_CONSTANT, ["other"], ["other"]),
        (_graph(("v", "VariableV2"), ("c", "Const")), ["v", "c"], ["c"]),
        (_graph(("call", "f"), ("c", "Const"), bodies=[("f", [("scratch", "VariableV2")])]), ["c", "xscratch"], None),
        # What writes reads its second input.
        (_graph(("v", "VariableV2"), ("c", "Const"), ("w", "Assign", ["v", "c"])), ["c"], ["c"]),
        (_graph(("r", "RefSwitch"), ("g", "ResourceGather", ["v", "c"]), ("c", "Const")), ["c"], ["c"]),
    ],
)
def test_one_that_nobody_asked_for_is_told(source, names, told):
    assert _told(source, _candidate(*names)) == (names if told is None else told)


def test_constants_may_be_variables_where_that_was_asked_for():
    assert _told(_CONSTANT, _candidate("c"), True) == []
    assert _told(_CONSTANT, _candidate("c", "other"), True) == ["other"]
    # It is not large.
    assert _told(_CONSTANT, _candidate("c"), "large") == ["c"]
    large = _graph(("c", "Const"))
    large.graph_def.node[0].attr["value"].tensor.tensor_content = bytes(1 << 20)
    assert _told(large, _candidate("c"), "large") == []


def test_another_exporter_calls_its_variables_as_it_likes():
    assert _told(_CONSTANT, _candidate("kernel", holder="weights")) == []
    source = _graph(("c", "Const"))
    source.object_graph_def.nodes.add()
    assert _told(source, _candidate("kernel")) == []
    assert _told(_CONSTANT, MetaGraphDef()) == []
