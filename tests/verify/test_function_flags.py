"""Flags of functions and calls say what the bodies do. No TensorFlow."""

from __future__ import annotations

import pytest

from migrate.graph.protos import MetaGraphDef
from migrate.verify.function_flags import function_flag_differences, unawaited_differences

_FLAGGED = "_read_only_resource_inputs"


def _export():
    """`f` writes its first resource and reads its second one, `g` only computes, and `h` calls `f`."""
    graph = MetaGraphDef()
    f, g, h = (graph.graph_def.library.function.add() for _ in range(3))
    f.signature.name, g.signature.name, h.signature.name = "f", "g", "h"
    for function in (f, h):
        function.signature.is_stateful = True
        function.signature.input_arg.add(name="written", type=20)
        function.signature.input_arg.add(name="read", type=20)
    f.node_def.add(name="add", op="AssignAddVariableOp", input=["written", "value:value:0"])
    f.node_def.add(name="value", op="ReadVariableOp", input=["read"])
    g.node_def.add(name="add", op="AddV2", input=["x", "x"])
    call = h.node_def.add(name="call", op="StatefulPartitionedCall", input=["written", "read"])
    call.attr["f"].func.name = "f"
    call.attr[_FLAGGED].list.i.append(1)
    main = graph.graph_def.node
    first = main.add(name="first", op="StatefulPartitionedCall", input=["v", "w"])
    first.attr["f"].func.name = "h"
    first.attr[_FLAGGED].list.i.append(1)
    main.add(name="second", op="PartitionedCall", input=["x"]).attr["f"].func.name = "g"
    branch = main.add(name="branch", op="StatelessIf", input=["p", "x"])
    branch.attr["then_branch"].func.name = branch.attr["else_branch"].func.name = "g"
    return graph


def _library(graph):
    return {function.signature.name: function for function in graph.graph_def.library.function}


def _no_state(graph):
    _library(graph)["f"].signature.is_stateful = False


def _no_state_around(graph):
    _library(graph)["h"].signature.is_stateful = False


def _state(graph):
    _library(graph)["g"].signature.is_stateful = True


def _stateless_call(graph):
    graph.graph_def.node[0].op = "PartitionedCall"


def _stateless_branch(graph):
    graph.graph_def.node[2].attr["else_branch"].func.name = "f"


def _read_alone(graph):
    graph.graph_def.node[0].attr[_FLAGGED].list.i.append(0)


def _read_alone_within(graph):
    _library(graph)["h"].node_def[0].attr[_FLAGGED].list.i.append(0)


_OF_FUNCTIONS = [_no_state, _no_state_around, _read_alone, _read_alone_within]
_OF_CALLS = [_stateless_call, _stateless_branch]


def _codes(source, new):
    return [found.code for found in function_flag_differences(source, new, "contract")]


def test_an_ordinary_export_has_no_difference():
    assert _codes([], _export()) == []


@pytest.mark.parametrize("edit", _OF_FUNCTIONS + _OF_CALLS)
def test_a_flag_that_a_body_contradicts_is_told(edit):
    new = _export()
    edit(new)
    assert _codes([_export()], new) == _codes([], new) == ["run-setting-differs"]


@pytest.mark.parametrize("edit", _OF_CALLS)
def test_a_call_that_the_source_has_is_none(edit):
    source, new = _export(), _export()
    edit(source)
    edit(new)
    assert _codes([source], new) == []


def test_a_function_may_say_that_it_has_state_where_it_has_none():
    new = _export()
    _state(new)
    assert _codes([], new) == []


def test_an_op_that_nobody_knows_may_have_state_or_not():
    new = _export()
    _library(new)["g"].node_def.add(name="other", op="OpOfAUser")
    assert _codes([], new) == []
    _state(new)
    assert _codes([], new) == []


def _awaited():
    """`f` writes its argument through an Identity and gives what it reads then; `h` calls `f`."""
    graph = _export()
    f, h = _library(graph)["f"], _library(graph)["h"]
    f.node_def.add(name="handle", op="Identity", input=["written"])
    f.node_def[0].input[0] = "handle:output:0"
    f.node_def.add(name="seen", op="ReadVariableOp", input=["handle:output:0", "^add"])
    f.ret["y"] = "seen:value:0"
    f.control_ret["seen"] = "seen"
    h.node_def.add(name="NoOp", op="NoOp", input=["^call"])
    h.control_ret["NoOp"] = "NoOp"
    for name in ("f", "h"):
        graph.object_graph_def.concrete_functions[name].bound_inputs[:] = [5, 6]
    return graph


def _told(source, new):
    return [(found.code, found.output) for found in unawaited_differences(source, new, "contract")]


def test_a_later_call_waits_for_what_a_function_writes():
    assert _told(MetaGraphDef(), _awaited()) == []
    new = _awaited()
    del _library(new)["f"].control_ret["seen"]
    assert _told(MetaGraphDef(), new)[0] == ("effect-not-awaited", "add")
    new = _awaited()
    _library(new)["h"].control_ret["NoOp"] = "of no node"
    assert _told(MetaGraphDef(), new) == [("effect-not-awaited", "call")]


def test_it_waits_for_reads_of_what_is_written_somewhere():
    new = _awaited()
    new.graph_def.library.function.add().CopyFrom(_library(new)["f"])
    reader = new.graph_def.library.function[-1]
    reader.signature.name = "reader"
    del reader.node_def[:]
    reader.control_ret.clear()
    reader.node_def.add(name="get", op="ReadVariableOp", input=["written"])
    reader.ret["y"] = "get:value:0"
    saved = new.object_graph_def.concrete_functions["reader"]
    saved.bound_inputs[:] = [5, 6]
    assert _told(MetaGraphDef(), new) == [("effect-not-awaited", "get")]
    saved.bound_inputs[:] = [6, 5]
    assert _told(MetaGraphDef(), new) == []
    reader.ret.clear()
    saved.bound_inputs[:] = [5, 6]
    assert _told(MetaGraphDef(), new) == []
    reader.ret["y"] = "get:value:0"
    reader.control_ret["get"] = "get"
    saved.bound_inputs[:] = [5, 6]
    assert _told(MetaGraphDef(), new) == []


def test_what_a_function_has_for_itself_needs_no_wait():
    new = _awaited()
    f = _library(new)["f"]
    f.node_def.add(name="own", op="TensorArrayV3", input=["n"])
    f.node_def.add(name="put", op="TensorArrayWriteV3", input=["own:handle:0", "i", "x", "own:flow:0"])
    assert _told(MetaGraphDef(), new) == []


def test_a_tf2_model_has_functions_of_its_own():
    source, new = MetaGraphDef(), _awaited()
    source.object_graph_def.nodes.add()
    _library(new)["f"].control_ret.clear()
    assert _told(source, new) == []
