"""What functions say of their arguments and results is what their bodies take and give. No TensorFlow."""

from __future__ import annotations

import pytest

from migrate.graph.protos import MetaGraphDef
from migrate.verify.function_specs import function_differences

_FLOAT, _INT = 1, 3


def _function(said, given, arguments=(_FLOAT,), taken=(_FLOAT,), bound=0):
    graph = MetaGraphDef()
    function = graph.graph_def.library.function.add()
    function.signature.name = "f"
    for number, dtype in enumerate(taken):
        function.signature.input_arg.add(name=f"x{number}", type=dtype)
    for number, dtype in enumerate(given):
        function.signature.output_arg.add(name=f"y{number}", type=dtype)
    saved = graph.object_graph_def.concrete_functions["f"]
    saved.bound_inputs.extend(range(bound))
    both = saved.canonicalized_input_signature.tuple_value
    fields = both.values.add().tuple_value
    fields.SetInParent()
    keywords = both.values.add().dict_value
    for number, dtype in enumerate(arguments):
        keywords.fields[f"x{number}"].tensor_spec_value.dtype = dtype
    for number, dtype in enumerate(said):
        saved.output_signature.dict_value.fields[f"y{number}"].tensor_spec_value.dtype = dtype
    return graph


@pytest.mark.parametrize(
    ("graph", "is_told"),
    [
        (_function([_FLOAT], [_FLOAT]), False),
        (_function([_INT], [_FLOAT]), True),
        # Results are in the order of their keys.
        (_function([_INT, _FLOAT], [_FLOAT, _INT]), True),
        (_function([_FLOAT], [_FLOAT], arguments=(_INT,)), True),
        # A captured variable is no argument.
        (_function([_FLOAT], [_FLOAT], taken=(_FLOAT, 20), bound=1), False),
        # What is not understood is not told.
        (_function([_INT, _INT], [_FLOAT]), False),
    ],
)
def test_what_a_function_says_of_itself(graph, is_told):
    assert [m.code for m in function_differences(graph, "contract")] == ["function-spec-differs"] * is_told


def test_a_composite_result_is_any_number_of_tensors():
    graph = _function([], [_FLOAT])
    graph.object_graph_def.concrete_functions["f"].output_signature.type_spec_value.type_spec_class = 1
    assert list(function_differences(graph, "contract")) == []


def _shaped():
    """`f(a, b)` of two arguments and two results of one dtype, as TensorFlow writes it."""
    graph = _function([_FLOAT, _FLOAT], [_FLOAT, _FLOAT], (_FLOAT, _FLOAT), (_FLOAT, _FLOAT, 20), bound=1)
    function, saved = graph.graph_def.library.function[0], graph.object_graph_def.concrete_functions["f"]
    keywords = saved.canonicalized_input_signature.tuple_value.values[1].dict_value.fields
    sizes = function.attr["_input_shapes"].list
    for number in range(3):
        sizes.shape.add().dim.add(size=number + 2)
    for number in range(2):
        name = f"x{number}"
        function.arg_attr[number].attr["_user_specified_name"].s = name.encode()
        keywords[name].tensor_spec_value.name = name
        keywords[name].tensor_spec_value.shape.dim.add(size=number + 2)
        identity = function.node_def.add(name=f"Identity_{number}", op="Identity")
        identity.attr["_output_shapes"].list.shape.add().dim.add(size=number + 5)
        function.ret[f"y{number}"] = f"Identity_{number}:output:0"
        spec = saved.output_signature.dict_value.fields[f"y{number}"].tensor_spec_value
        spec.name = f"y{number}"
        spec.shape.dim.add(size=number + 5)
    return graph, keywords, saved.output_signature.dict_value.fields


def _swap(first, second):
    kept = type(first).FromString(first.SerializeToString())
    first.CopyFrom(second)
    second.CopyFrom(kept)


def _whole(one, other):
    _swap(one, other)


def _shapes(one, other):
    _swap(one.tensor_spec_value.shape, other.tensor_spec_value.shape)


def _names(one, other):
    one, other = one.tensor_spec_value, other.tensor_spec_value
    one.name, other.name = other.name, one.name


def _wider(one, _):
    one.tensor_spec_value.shape.dim[0].size += 1


def _ranked(one, _):
    one.tensor_spec_value.shape.unknown_rank = True


@pytest.mark.parametrize("edit", [_whole, _shapes, _names, _wider, _ranked])
@pytest.mark.parametrize("results", [False, True])
def test_shapes_and_names_are_those_of_the_body(edit, results):
    graph, arguments, given = _shaped()
    assert list(function_differences(graph, "contract")) == []
    fields, letter = (given, "y") if results else (arguments, "x")
    edit(fields[f"{letter}0"], fields[f"{letter}1"])
    found = [m.code for m in function_differences(graph, "contract")]
    assert found and set(found) == {"function-spec-differs"}


def test_names_that_tensorflow_makes_of_others_are_none():
    graph, arguments, given = _shaped()
    arguments["X0/a"].CopyFrom(arguments["x0"])
    arguments["X0/a"].tensor_spec_value.name = "x0_a"
    del arguments["x0"]
    graph.graph_def.library.function[0].arg_attr[0].attr["_user_specified_name"].s = b"X0/a"
    given["Y0"].CopyFrom(given["y0"])
    del given["y0"]
    assert list(function_differences(graph, "contract")) == []
