"""The objects of a SavedModel. No TensorFlow."""

from __future__ import annotations

import dataclasses

import pytest

from migrate.export.function_defs import Function, Tensor, vector
from migrate.export.saved_objects import Call, Signature, object_graph, spec_name
from migrate.graph.dtypes import dtype_value
from tests.export.test_function_defs import variable

FLOAT = Tensor(dtype_value("float32"), vector(3))
W, B = variable("layer/w"), dataclasses.replace(variable("b"), trainable=False)


def _function(name, arguments, count=1):
    return Function(name, dict.fromkeys(arguments, FLOAT), (FLOAT,) * count, (B, W), (), True)


def _signature(key, arguments, results):
    return Signature(
        key,
        _function(f"body_{key}", [f"argument_{n}" for n in range(len(arguments))], len(results)),
        _function(f"function_{key}", arguments, len(results)),
        _function(f"wrapper_{key}", arguments, len(results)),
        tuple(results),
    )


def _children(graph, number=0):
    return {child.local_name: child.node_id for child in graph.nodes[number].children}


def test_variables_have_a_place_by_name_and_one_in_each_list():
    graph = object_graph([W, B], [_signature("s", ["x"], ["y"])], None)
    root = _children(graph)
    by_name = _children(graph, root["vars"])
    assert list(by_name) == ["layer/w", "b"]
    assert list(_children(graph, root["variables"]).values()) == list(by_name.values())
    assert _children(graph, root["trainable_variables"]) == {"0": by_name["layer/w"]}
    saved = graph.nodes[by_name["b"]].variable
    assert (saved.name, saved.trainable, saved.dtype, saved.shape) == ("b", False, B.dtype, B.shape)
    assert "__call__" not in root and "_default_save_signature" not in root


def test_a_function_is_bound_to_the_variables_that_it_captures():
    graph = object_graph([W, B], [_signature("s", ["x"], ["y"])], None)
    by_name = _children(graph, _children(graph)["vars"])
    for name in ("body_s", "wrapper_s"):
        assert [*graph.concrete_functions[name].bound_inputs] == [by_name["b"], by_name["layer/w"]]
    assert "function_s" not in graph.concrete_functions  # Nothing in the object graph is it.


def test_a_signature_of_one_tensor_takes_it_without_its_name():
    graph = object_graph([W, B], [_signature("one", ["x"], ["y"]), _signature("two", ["a", "b"], ["y"])], None)
    wrappers = _children(graph, _children(graph)["signatures"])
    saved = {key: graph.nodes[number].bare_concrete_function for key, number in wrappers.items()}
    assert {key: s.allowed_positional_arguments for key, s in saved.items()} == {"one": 1, "two": 0}
    assert [*saved["two"].argument_keywords] == ["a", "b"]


@pytest.mark.parametrize(
    ("labels", "results", "taken", "given"),
    [
        (None, None, "tensor_spec_value", "tensor_spec_value"),
        (("x",), ("y",), "dict_value", "dict_value"),
    ],
)
def test_call_takes_a_tensor_or_a_dict(labels, results, taken, given):
    signature = _signature("s", ["x"], ["y"])
    call = Call("s", _function("call", ["x"]), labels, results)
    graph = object_graph([W, B], [signature], call)
    root = _children(graph)
    assert graph.nodes[root["__call__"]].bare_concrete_function.concrete_function_name == "call"
    assert graph.nodes[root["_default_save_signature"]].bare_concrete_function.concrete_function_name == "function_s"
    described = graph.concrete_functions["call"]
    positional, _ = described.canonicalized_input_signature.tuple_value.values
    assert positional.tuple_value.values[0].WhichOneof("kind") == taken
    assert described.output_signature.WhichOneof("kind") == given


def test_a_result_that_is_an_argument_keeps_its_name():
    signature = dataclasses.replace(_signature("s", ["x"], ["y", "z"]), passed={1: "argument_0"})
    graph = object_graph([W, B], [signature], None)
    results = graph.concrete_functions["body_s"].output_signature.list_value.values
    assert [result.tensor_spec_value.name for result in results] == ["tensor_0", "argument_0"]


def test_a_name_that_differs_from_the_arguments_is_the_users():
    assert spec_name(["inputs", "X"], "X") == "X"
    assert spec_name(["X"], "X") == "x"
