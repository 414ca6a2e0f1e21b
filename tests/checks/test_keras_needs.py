"""What a config would import or run, told without loading it."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from migrate.checks.keras_needs import Needs, needs, training_needs
from migrate.sources.keras_source import Runtime

_BOTH = pytest.mark.parametrize("runtime", list(Runtime))


def _layer(**entries):
    layer = {"class_name": "Dense", "config": {"name": "dense", "units": 2, "activation": "relu"}, **entries}
    return {"class_name": "Sequential", "config": {"name": "sequential", "layers": [layer]}}


@_BOTH
@pytest.mark.parametrize(
    "config",
    [
        _layer(),
        _layer(module="keras.layers", registered_name=None),
        _layer(config={"kernel_initializer": {"class_name": "GlorotUniform", "config": {"seed": None}}}),
        _layer(config={"function": {"class_name": "function", "config": "relu", "module": "builtins"}}),
        _layer(config={"batch_input_shape": {"class_name": "__tuple__", "items": [None, 3]}}),
    ],
)
def test_what_is_keras_own_needs_nothing(config, runtime):
    found = needs(config, runtime)
    assert (found.custom, found.code, found.foreign) == ((), (), ())


@_BOTH
@pytest.mark.parametrize(
    ("entries", "name"),
    [
        ({"class_name": "Scale"}, "Scale"),
        ({"class_name": "Custom>Scale"}, "Custom>Scale"),
        ({"class_name": "Dense", "module": "os", "registered_name": None}, "os.Dense"),
        ({"class_name": "Dense", "module": "os", "registered_name": "Dense"}, "Dense"),
        ({"class_name": "Dense", "registered_name": "Custom>Dense"}, "Custom>Dense"),
        ({"class_name": "system", "module": "keras.utils"}, "system"),
        ({"config": {"activation": "my_swish"}}, "my_swish"),
        ({"config": {"recurrent_activation": "my_swish"}}, "my_swish"),
        ({"config": {"function": "system", "function_type": "function", "module": "os"}}, "system"),
        ({"config": {"f": {"class_name": "function", "config": "get_file", "module": "keras.utils"}}}, "get_file"),
        ({"config": {"f": {"class_name": "function", "config": "load_model", "module": "keras.models"}}}, "load_model"),
        ({"config": {"f": {"class_name": "function", "config": "relu", "module": "subprocess"}}}, "relu"),
        ({"config": {"f": {"class_name": "__typespec__", "module": "os", "spec_name": "x"}}}, "__typespec__"),
        ({"build_config": {"class_name": "Popen", "module": "subprocess", "config": {}}}, "Popen"),
    ],
)
def test_what_is_not_keras_own_is_named(entries, name, runtime):
    assert needs(_layer(**entries), runtime).custom == (name,)


@_BOTH
@pytest.mark.parametrize(
    "entries",
    [
        {
            "class_name": "Lambda",
            "config": {"name": "dense", "function": ["4wE", None, None], "function_type": "lambda"},
        },
        {"config": {"name": "dense", "output_shape": ["4wE", None, None], "output_shape_type": "lambda"}},
        {"config": {"name": "dense", "f": {"class_name": "__lambda__", "config": {"value": "4wE"}}}},
        {"config": {"name": "dense", "layers": [[{"x": {"class_name": "__lambda__", "module": "builtins"}}]]}},
    ],
)
def test_bytecode_is_found_wherever_it_lies(entries, runtime):
    assert needs(_layer(**entries), runtime).code == ("dense",)


@_BOTH
@pytest.mark.parametrize("name", ["TFSMLayer", "TorchModuleWrapper", "JaxLayer"])
def test_foreign_layers_are_none_of_the_users(name, runtime):
    found = needs(_layer(class_name=name), runtime)
    assert (found.foreign, found.custom) == (("dense",), ())


def test_training_is_read_like_a_layer():
    training = {
        "optimizer": "adam",
        "loss": "mse",
        "metrics": {"out": ["accuracy", {"class_name": "AUC", "config": {}}]},
    }
    assert training_needs(training, Runtime.TF_KERAS) == Needs()
    training = {"optimizer": "mine", "loss": ["mse", "my_loss"], "metrics": {"out": "my_metric"}}
    assert training_needs(training, Runtime.TF_KERAS) == Needs(custom=("my_loss", "my_metric", "mine"))


@_BOTH
def test_each_need_is_told_once_with_its_layer(runtime):
    vocabulary = {"name": "words", "vocabulary": "/etc/passwd"}
    layers = [{"class_name": "StringLookup", "config": vocabulary}, {"class_name": "Mine", "config": {}}]
    found = needs({"class_name": "Sequential", "config": {"layers": [*layers, *layers]}}, runtime)
    assert found == Needs(custom=("Mine",), files=("words: vocabulary='/etc/passwd'",))
    listed = {"class_name": "StringLookup", "config": {**vocabulary, "vocabulary": ["a"]}}
    assert needs(listed, runtime) == Needs()


@pytest.mark.parametrize("class_name", [None, 3, ["Dense"], {"class_name": "Dense"}])
def test_a_class_that_is_no_name_is_not_harmless(class_name):
    (found,) = needs({"class_name": class_name, "config": {}}, Runtime.KERAS).custom[:1]
    assert found.startswith("a class_name that is no string: ")


def test_a_call_of_an_op_layer_is_judged():
    def layer(function):
        return _layer(class_name="TFOpLambda", config={"name": "op", "function": function})

    assert needs(layer("nn.relu"), Runtime.TF_KERAS) == Needs()
    assert needs(layer("io.read_file"), Runtime.TF_KERAS) == Needs(calls=("op: tf.io.read_file",))


_JSON = st.recursive(
    st.none() | st.booleans() | st.sampled_from(["Dense", "relu", "function", "keras", "builtins", "mine", "lambda"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["class_name", "config", "module", "registered_name", "fn", "a", "a_type", "compile_config"]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@settings(max_examples=40)
@given(_JSON)
def test_no_config_is_a_bug_and_what_surrounds_it_hides_nothing(config):
    found = needs(config, Runtime.TF_KERAS)
    assert needs([{"x": config}], Runtime.TF_KERAS) == found
