from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from migrate.sources.keras_config import (
    build_dtype,
    build_shape,
    inputs,
    is_subclassed,
    is_unbuilt,
    layers,
    outputs,
    unnamed_outputs,
)


def _layer(class_name, name, **config):
    return {"class_name": class_name, "config": {"name": name, **config}}


def _model(class_name, *entries, **config):
    return {"class_name": class_name, "config": {"name": "model", "layers": list(entries), **config}}


_A = _layer("InputLayer", "a", batch_input_shape=[None, 3], dtype="int32")
_B = _layer("InputLayer", "b", batch_shape=[None, None])
_D = _layer("Dense", "d", units=2)
_FUNCTIONAL = _model("Functional", _A, _B, _D, input_layers=[["b", 0, 0], ["a", 0, 0]], output_layers=[["d", 0, 0]])


def test_layers_are_found_in_models_in_models():
    inner = _model("Sequential", _A, _D)
    found = layers(_model("Sequential", inner, _layer("ReLU", "r")))
    assert [(layer.name, layer.class_name) for layer in found] == [("a", "InputLayer"), ("d", "Dense"), ("r", "ReLU")]
    assert found[1].config == {"name": "d", "units": 2}
    # Keras 2.1 and before: the layers of a Sequential model are its config. Keras 1 had the name beside the config.
    assert [layer.name for layer in layers({"config": [_D, {"class_name": "Dense", "name": "e"}]})] == ["d", "e"]


@pytest.mark.parametrize("config", [{}, {"config": 3}, {"config": {"layers": 3}}, {"config": [3, 4]}])
def test_a_config_of_another_form_has_no_layers(config):
    assert (layers(config), inputs(config), outputs(config), unnamed_outputs(config)) == ((), {}, (), ())


def test_the_ends_of_a_functional_model():
    assert inputs(_FUNCTIONAL) == {"b": ("float32", (None, None)), "a": ("int32", (None, 3))}
    assert list(inputs(_FUNCTIONAL)) == ["b", "a"]
    assert outputs(_FUNCTIONAL) == ("d",)
    alone = _model("Functional", _A, _D, input_layers=["a", 0, 0], output_layers={"x": ["d", 0, 0]})
    assert (list(inputs(alone)), outputs(alone), unnamed_outputs(alone)) == (["a"], ("d",), ())


def test_the_ends_of_a_sequential_model():
    assert inputs(_model("Sequential", _A, _D)) == {"a": ("int32", (None, 3))}
    first = _layer("Dense", "first", batch_input_shape=[None, 4])
    assert inputs(_model("Sequential", first, _D)) == {"first_input": ("float32", (None, 4))}
    assert inputs(_model("Sequential", _D)) == {"d_input": ("float32", None)}
    assert outputs(_model("Sequential", first, _D)) == ("d",)


def test_outputs_that_keras_names_at_each_load():
    nameless = {"class_name": "Add", "name": "add_7", "config": {}}
    functional = _model("Functional", _A, nameless, output_layers=[["a", 0, 0], ["add_7", 0, 0]])
    assert unnamed_outputs(functional) == ("add_7",)
    assert unnamed_outputs(_model("Sequential", nameless, _D)) == ()
    assert unnamed_outputs(_model("Sequential", _D, nameless)) == ("add_7",)
    assert unnamed_outputs(_model("Sequential", {"class_name": "Add", "config": {}})) == ("Add",)


def _built(shape, **config):
    return {"class_name": "Mine", "config": config, "build_config": {"input_shape": shape}}


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        ([2, 3], {"input_1": (None, 3)}),
        ([[None, 3], [5, None]], {"input_1": (None, 3), "input_2": (None, None)}),
        ({"b": [None, 3], "a": [None]}, {"a": (None,), "b": (None, 3)}),
        ([[[None, 3]]], {}),
        ([-1, 3], {}),
        ([True], {}),
        ([], {}),
        ("x", {}),
    ],
)
def test_the_inputs_that_a_subclassed_model_was_built_with(shape, expected):
    assert {name: dims for name, (_, dims) in inputs(_built(shape)).items()} == expected
    assert list(inputs(_built(shape))) == list(expected)


def test_where_the_build_shape_is():
    assert build_shape({"config": {"build_input_shape": [None, 2]}}) == [None, 2]
    assert build_shape({"config": {"build_input_shape": [1]}, "build_config": {"input_shape": [2]}}) == [2]
    assert build_shape({"config": 1, "build_config": 2}) is None


@pytest.mark.parametrize(
    ("dtype", "expected"),
    [
        ("float64", "float64"),
        ({"config": {"name": "float64"}}, "float64"),
        ("mixed_float16", ""),
        ({"config": 1}, ""),
        (None, ""),
    ],
)
def test_a_policy_of_float64_takes_no_other_floats(dtype, expected):
    assert build_dtype({"config": {"dtype": dtype}}) == expected
    (found,) = inputs(_built([None, 2], dtype=dtype)).values()
    assert found == (expected or "float32", (None, 2))


@pytest.mark.parametrize(
    ("config", "subclassed", "unbuilt"),
    [
        (_FUNCTIONAL, False, False),
        (_model("Sequential", _A, _D), False, False),
        (_model("Sequential", _D), False, True),
        (_model("Sequential", _D, build_input_shape=[None, 3]), False, False),
        (_built([None, 3]), True, False),
        (_built(None), True, False),
        ({"class_name": "Mine", "config": {}}, True, True),
    ],
)
def test_models_that_say_too_little(config, subclassed, unbuilt):
    assert (is_subclassed(config), is_unbuilt(config)) == (subclassed, unbuilt)


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-1, 3) | st.sampled_from(["a", "Dense", "Sequential", "float64"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["class_name", "config", "layers", "name", "input_layers", "output_layers", "build_config"]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@settings(max_examples=25)
@given(st.dictionaries(st.sampled_from(["class_name", "config", "build_config"]), _JSON))
def test_no_config_is_a_bug(config):
    for name, (dtype, shape) in inputs(config).items():
        assert isinstance(name, str) and isinstance(dtype, str)
        assert shape is None or all(dim is None or isinstance(dim, int) for dim in shape)
    assert all(isinstance(name, str) for name in (*outputs(config), *unnamed_outputs(config)))
    assert not (is_unbuilt(config) and inputs(config) and is_subclassed(config))
