"""Subclassed and unbuilt Keras models: what Keras can call is converted, judged by Keras, and the rest is refused."""

from __future__ import annotations

import pathlib

import pytest

import migrate
from migrate.records import Converted, Options, Refused
from tests.conversions import ROOT, run_child

LAYERS = str(ROOT / "testdata")
GIVEN = Options(custom_objects=("keras_models:Net", "keras_models:Pair", "keras_models:Inside"))

_MAKE = """
import sys, numpy as np, keras_models
from keras_models import k
x = np.random.RandomState(1).uniform(-1, 1, [2, 4]).astype("float32")
def sequential():
    return k.Sequential([k.layers.Dense(3)])
models = {name: keras_models.Net(name="model") for name in ("net", "compiled", "unbuilt", "declared")}
models.update(pair=keras_models.Pair(name="model"), inside=keras_models.Inside(name="model"))
models.update(sequential=sequential(), sequential_built=sequential())
models["net"](x)
models["compiled"].compile("adam", "mse", metrics=["mae"])
models["compiled"].fit(x, np.ones([2, 2], "float32"), verbose=0)
models["declared"].build((None, 4))  # Which builds the layers of Keras 2 alone.
models["pair"]({"y": x[:, :1], "x": x})
models["sequential_built"].build((None, 4))
for name, model in models.items():
    model.save(f"{sys.argv[1]}/{name}.keras")
"""

_JUDGE = """
import sys, numpy as np, tensorflow as tf, keras_models
from keras_models import k
sources, new, *names = sys.argv[1:]
x = np.random.RandomState(2).uniform(-1, 1, [5, 4]).astype("float32")
for name in names:
    source = k.models.load_model(f"{sources}/{name}.keras")
    given = {"x": x, "y": x[:, :1]} if name == "pair" else x
    expected = source.predict(given, verbose=0)
    loaded = tf.saved_model.load(f"{new}/{name}")
    serve = loaded.signatures["serving_default"]
    arguments = sorted(serve.structured_input_signature[1])
    given = given if isinstance(given, dict) else {arguments[0]: given}
    found = serve(**{key: tf.constant(given[key]) for key in arguments})
    expected = expected if isinstance(expected, dict) else {next(iter(found)): expected}
    assert set(found) == set(expected), (name, found, expected)
    for key, value in expected.items():
        np.testing.assert_allclose(found[key].numpy(), value, rtol=1e-6, err_msg=f"{name}: {key}")
    assert len(loaded.trainable_variables) == (2 if name == "sequential_built" else 4), name
"""

BUILT = ("net", "compiled", "pair", "inside", "sequential_built")
CALLED = ("net", "compiled", "pair")


_MAKE_WIDE = """
import sys, numpy as np, keras_models
model = keras_models.Net(name="model", dtype="float64")
model(np.random.RandomState(1).uniform(-1, 1, [2, 4]))
model.save(sys.argv[1])
"""

_JUDGE_WIDE = """
import sys, numpy as np, tensorflow as tf
from keras_models import k
x = tf.constant(np.random.RandomState(2).uniform(-1, 1, [5, 4]))
expected = np.asarray(k.models.load_model(sys.argv[1])(x))
serve = tf.saved_model.load(sys.argv[2]).signatures["serving_default"]
((argument, spec),) = serve.structured_input_signature[1].items()
(found,) = serve(**{argument: x}).values()
np.testing.assert_allclose(found.numpy(), expected, rtol=1e-13)
"""


def _child(keras, code, *arguments):
    return run_child(["-c", code, *arguments], KERAS_MODELS_OF=keras, KERAS_BACKEND="tensorflow", PYTHONPATH=LAYERS)


@pytest.mark.slow
@pytest.mark.tensorflow
@pytest.mark.sampled(2)
@pytest.mark.parametrize("keras", ["tf_keras", "keras"])
def test_what_keras_can_call_is_converted_and_the_rest_is_refused(keras, tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", LAYERS, prepend=":")
    monkeypatch.setenv("KERAS_MODELS_OF", keras)
    (tmp_path / "old").mkdir()
    _child(keras, _MAKE, str(tmp_path / "old"))
    report = migrate.convert(str(tmp_path / "old"), str(tmp_path / "new"), GIVEN)
    reports = {pathlib.Path(model.source).stem: model for model in report.models}
    audited = {pathlib.Path(m.source).stem: m for m in migrate.audit(str(tmp_path / "old"), GIVEN).models}
    built = (*BUILT, "declared") if keras == "tf_keras" else BUILT
    for name in built:
        assert isinstance(reports[name].outcome, Converted), reports[name]
        assert reports[name].verification.bitwise_equal
    for name in reports.keys() - set(built):
        assert isinstance(reports[name].outcome, Refused), reports[name]
        assert reports[name].findings[0].code == "keras-not-built"
        assert not (tmp_path / "new" / name).exists()
    for name in CALLED:
        # What audit says is what the new model has.
        (told,) = [f.message for f in audited[name].findings if f.code == "keras-build-shape"]
        assert told.endswith(
            "as float32, or where its class does not take that as int32, int64, string: the file names no dtype"
        )
        assert audited[name].keras.signature.inputs.keys() == reports[name].keras.signature.inputs.keys()
    assert "keras-optimizer-kept" in [f.code for f in reports["compiled"].findings]
    _child(keras, _JUDGE, str(tmp_path / "old"), str(tmp_path / "new"), *built)


@pytest.mark.slow
@pytest.mark.tensorflow
def test_a_model_of_float64_takes_float64(tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", LAYERS, prepend=":")
    monkeypatch.setenv("KERAS_MODELS_OF", "keras")
    file = str(tmp_path / "wide.keras")
    _child("keras", _MAKE_WIDE, file)
    (audited,) = migrate.audit(file, GIVEN).models
    (report,) = migrate.convert(file, str(tmp_path / "new"), GIVEN).models
    assert isinstance(report.outcome, Converted), report
    for model in (audited, report):
        assert [spec.dtype for spec in model.keras.signature.inputs.values()] == ["float64"]
    (told,) = [f.message for f in report.findings if f.code == "keras-build-shape"]
    assert "float64, the model's own dtype" in told
    _child("keras", _JUDGE_WIDE, file, str(tmp_path / "new"))


_MAKE_OTHERS = """
import sys, tensorflow as tf, keras_models
given = {"words": tf.constant(["a", "b"]), "ids": tf.constant([1, 2]), "x": tf.ones([2, 3])}
models = {"words": keras_models.Words(name="model"), "ids": keras_models.Ids(name="model")}
for name, model in models.items():
    model(given[name])
models["mixed"] = keras_models.Mixed(name="model")
models["mixed"](given)
for name in sys.argv[2:]:
    models[name].save(f"{sys.argv[1]}/{name}.keras")
"""

_JUDGE_OTHERS = """
import sys, numpy as np, tensorflow as tf
from keras_models import k
given = {"words": tf.constant(["b", "c", "a"]), "ids": tf.constant([0, 3, 2]), "x": 2 * tf.ones([3, 3])}
old, new, *names = sys.argv[1:]
for name in names:
    taken = given if name == "mixed" else given[name]
    source = k.models.load_model(f"{old}/{name}.keras")
    source(taken)
    if hasattr(source, "quantize"):  # Keras 3 restores weights that there are before the first call.
        source.load_weights(f"{old}/{name}.keras")
    expected = np.asarray(source(taken))
    serve = tf.saved_model.load(f"{new}/{name}").signatures["serving_default"]
    arguments = serve.structured_input_signature[1]
    (found,) = serve(**{key: given.get(key, given.get(name)) for key in arguments}).values()
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-6, err_msg=name)
"""

# Keras 2 itself loads no built model that takes integers alone.
_OTHERS = {"keras": ("words", "ids", "mixed"), "tf_keras": ("words",)}


@pytest.mark.slow
@pytest.mark.tensorflow
@pytest.mark.sampled(3)
@pytest.mark.parametrize("keras", list(_OTHERS))
def test_a_model_that_takes_no_floats_takes_what_keras_calls_it_on(keras, tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", LAYERS, prepend=":")
    monkeypatch.setenv("KERAS_MODELS_OF", keras)
    (tmp_path / "old").mkdir()
    _child(keras, _MAKE_OTHERS, str(tmp_path / "old"), *_OTHERS[keras])
    options = Options(custom_objects=("keras_models:Words", "keras_models:Ids", "keras_models:Mixed"))
    dtypes = {}
    for name in _OTHERS[keras]:
        (report,) = migrate.convert(
            str(tmp_path / "old" / f"{name}.keras"), str(tmp_path / "new" / name), options
        ).models
        assert isinstance(report.outcome, Converted), report
        assert report.verification.bitwise_equal
        assert report.verification.values
        dtypes[name] = {key: spec.dtype for key, spec in report.keras.signature.inputs.items()}
    taken = {
        "words": {"input_1": "string"},
        "ids": {"input_1": "int32"},
        "mixed": {"ids": "int32", "words": "string", "x": "float32"},
    }
    assert dtypes == {name: taken[name] for name in _OTHERS[keras]}
    _child(keras, _JUDGE_OTHERS, str(tmp_path / "old"), str(tmp_path / "new"), *_OTHERS[keras])
