"""Gradients that were the exporter's Python: a warning, an error where one is taken, and TensorFlow's own on demand."""

from __future__ import annotations

import json
import pathlib
import pickle

import pytest

import migrate
from migrate.records import Converted, Options, Severity
from tests.conversions import run_child

_EXPORT = """
import sys
import tensorflow as tf

v1 = tf.compat.v1
v1.disable_v2_behavior()


@tf.RegisterGradient("Hundredfold")
def hundredfold(op, gradient):
    return gradient * 100


def overridden(name):
    def build(z):
        with v1.get_default_graph().gradient_override_map({"Tanh": name}):
            return tf.tanh(z)
    return build


def custom(z):
    @tf.custom_gradient
    def triple(a):
        return a * 3, lambda gradient: gradient * 50

    return triple(z)


BUILDS = {
    "overridden": overridden("Hundredfold"),
    "of_another_op": overridden("Identity"),
    "that_needs_its_op": overridden("Sigmoid"),
    "custom": custom,
    "none": tf.tanh,
}
for name, build in BUILDS.items():
    with tf.Graph().as_default(), v1.Session() as session:
        x = v1.placeholder(tf.float32, [2], name="x")
        w = v1.get_variable("w", initializer=[0.5, 0.25], use_resource=False)
        y = tf.identity(build(x * w), name="y")
        session.run(v1.global_variables_initializer())
        v1.saved_model.simple_save(session, sys.argv[1] + "/" + name, {"x": x}, {"y": y})
"""

_DIFFERENTIATE = """
import json, os, sys
import tensorflow as tf

if sys.argv[2] == "registered":
    @tf.RegisterGradient("Hundredfold")
    def hundredfold(op, gradient):
        return gradient * 100
if sys.argv[2] == "same numbers":
    # What a process that has custom gradients of its own may have registered under the exporter's number.
    for number in range(1000):
        try:
            tf.RegisterGradient(f"CustomGradient-{number}")(lambda op, *gradients: gradients)
        except KeyError:
            pass
found = {}
for name in sorted(n for n in os.listdir(sys.argv[1]) if not n.startswith(".")):
    model = tf.saved_model.load(os.path.join(sys.argv[1], name))
    ways = {"call": model, "signature": lambda x: model.signatures["serving_default"](x=x)["y"]}
    for way, function in ways.items():
        try:
            with tf.GradientTape() as tape:
                y = function(tf.constant([1.0, 2.0]))
            found[f"{name} {way}"] = tape.gradient(y, model.vars["w"]).numpy().tolist()
        except LookupError:
            found[f"{name} {way}"] = "LookupError"
print(json.dumps(found))
"""

_X, _W = (1.0, 2.0), (0.5, 0.25)
_TANH = 0.46211715726  # tanh(0.5), for both elements.
_PLAIN = {
    "overridden": [x * (1 - _TANH**2) for x in _X],
    "of_another_op": list(_X),
    "that_needs_its_op": [x * _TANH * (1 - _TANH) for x in _X],
    "custom": [x * 3 for x in _X],
    "none": [x * (1 - _TANH**2) for x in _X],
}
_LOST = ("overridden", "custom")


@pytest.fixture(scope="module")
def work(tmp_path_factory):
    work = tmp_path_factory.mktemp("gradients")
    run_child(["-c", _EXPORT, str(work / "old")])
    for name, plain in (("default", False), ("plain", True)):
        report = migrate.convert(str(work / "old"), str(work / name), Options(plain_gradients=plain))
        (work / f"{name}.report").write_bytes(pickle.dumps(report))
    return work


def _model(work, options, name):
    models = pickle.loads((work / f"{options}.report").read_bytes()).models
    return next(model for model in models if pathlib.Path(model.source).name == name)


def _gradients(work, options, way):
    printed = run_child(["-c", _DIFFERENTIATE, str(work / options), way])
    return json.loads(printed.splitlines()[-1])


@pytest.mark.slow
@pytest.mark.tensorflow
@pytest.mark.parametrize("name", sorted(_PLAIN))
def test_audit_and_convert_say_which_gradients_are_lost(work, name):
    model = _model(work, "default", name)
    assert isinstance(model.outcome, Converted), model
    found = {finding.code: finding for finding in model.findings}
    assert ("custom-gradient-lost" in found) is (name in _LOST)
    if name in _LOST:
        assert found["custom-gradient-lost"].severity is Severity.WARNING
        assert "--plain_gradients" in found["custom-gradient-lost"].hint
        (audited,) = migrate.audit(str(work / "old" / name)).models
        assert "custom-gradient-lost" in {finding.code for finding in audited.findings}


@pytest.mark.slow
@pytest.mark.tensorflow
@pytest.mark.parametrize("way", ["", "same numbers"])
def test_a_lost_gradient_is_an_error_and_never_another_ones(work, way):
    found = _gradients(work, "default", way)
    for name, expected in _PLAIN.items():
        for answer in (found[f"{name} call"], found[f"{name} signature"]):
            assert answer == ("LookupError" if name in _LOST else pytest.approx(expected, rel=1e-5)), name


@pytest.mark.slow
@pytest.mark.tensorflow
def test_who_registers_it_again_has_it_again(work):
    found = _gradients(work, "default", "registered")
    assert found["overridden call"] == found["overridden signature"] == [x * 100 for x in _X]
    assert found["custom call"] == "LookupError"


@pytest.mark.slow
@pytest.mark.tensorflow
def test_plain_gradients_are_tensorflows_own(work):
    found = _gradients(work, "plain", "registered")
    for name, expected in _PLAIN.items():
        model = _model(work, "plain", name)
        assert isinstance(model.outcome, Converted), model
        assert ("custom-gradient-replaced" in {f.code for f in model.findings}) is (name in _LOST)
        provenance = json.loads((work / "plain" / name / "assets.extra" / "migration.json").read_text())
        assert provenance["options"]["plain_gradients"] is True
        assert found[f"{name} call"] == pytest.approx(expected, rel=1e-5), name
        assert found[f"{name} signature"] == pytest.approx(expected, rel=1e-5), name
