"""Settings by which TensorFlow runs a function are the source's. No TensorFlow."""

from __future__ import annotations

import pytest

from migrate.graph.data_protos import ConfigProto
from migrate.graph.protos import MetaGraphDef
from migrate.verify.run_settings import run_setting_differences


def _export() -> MetaGraphDef:
    graph = MetaGraphDef()
    call = graph.graph_def.node.add(name="call", op="StatefulPartitionedCall")
    config = ConfigProto(allow_soft_placement=True)
    config.experimental.SetInParent()
    call.attr["config_proto"].s = config.SerializeToString()
    call.attr["executor_type"].s = b""
    function = graph.graph_def.library.function.add()
    function.signature.name = "f"
    function.attr["_construction_context"].s = b"kEagerRuntime"
    function.attr["_input_shapes"].list.SetInParent()
    function.node_def.add(name="inner", op="PartitionedCall").attr["config_proto"].s = b""
    graph.object_graph_def.nodes.add().function.concrete_functions.append("f")
    return graph


def _config(graph):
    graph.graph_def.node[0].attr["config_proto"].s = b"\xff\xffgarbage"


def _inner_config(graph):
    graph.graph_def.library.function[0].node_def[0].attr["config_proto"].s = b"\xff"


def _optimised(graph):
    config = ConfigProto(allow_soft_placement=True)
    config.graph_options.rewrite_options.auto_mixed_precision_cpu = 1
    graph.graph_def.node[0].attr["config_proto"].s = config.SerializeToString()


def _executor(graph):
    graph.graph_def.node[0].attr["executor_type"].s = b"nonsense"


def _compiled_call(graph):
    graph.graph_def.node[0].attr["_XlaMustCompile"].b = True


def _compiled_function(graph):
    graph.graph_def.library.function[0].attr["_XlaMustCompile"].b = True


def _taken_for(graph):
    graph.graph_def.library.function[0].attr["_implements"].s = b"other"


def _unknown_attribute(graph):
    graph.graph_def.library.function[0].attr["_of_a_later_release"].i = 1


def _gradient(graph):
    graph.graph_def.library.gradient.add(function_name="f", gradient_func="g")


def _jit(graph):
    graph.object_graph_def.nodes[0].function.function_spec.jit_compile = 1


_OF_CALLS = [_config, _inner_config, _optimised, _executor]
_OF_FUNCTIONS = [_compiled_call, _compiled_function, _taken_for, _unknown_attribute, _gradient, _jit]


def _codes(sources, new):
    return [found.code for found in run_setting_differences(sources, new, "contract")]


def test_an_ordinary_export_has_no_difference():
    assert _codes([MetaGraphDef()], _export()) == []
    assert _codes([], _export()) == []


@pytest.mark.parametrize("edit", _OF_CALLS + _OF_FUNCTIONS)
def test_a_setting_that_the_source_does_not_have_is_told(edit):
    new = _export()
    edit(new)
    assert _codes([MetaGraphDef()], new) == ["run-setting-differs"]


@pytest.mark.parametrize("edit", _OF_FUNCTIONS)
def test_one_that_the_source_has_is_none(edit):
    source, new = _export(), _export()
    edit(source)
    edit(new)
    assert _codes([source], new) == []


@pytest.mark.parametrize("edit", _OF_CALLS)
def test_what_keeps_a_call_from_running_is_told_of_a_keras_file_too(edit):
    new = _export()
    edit(new)
    assert _codes([], new) == ["run-setting-differs"]


@pytest.mark.parametrize("edit", _OF_FUNCTIONS)
def test_a_keras_file_may_have_compiled_functions(edit):
    new = _export()
    edit(new)
    assert _codes([], new) == []


def test_the_options_of_a_call_may_be_the_sources():
    source, new = _export(), _export()
    _optimised(source)
    _optimised(new)
    assert _codes([source], new) == []
