"""Batch norm that updates its averages in one branch of a cond and reads them in the other: no handle needs a Merge."""

from __future__ import annotations

import pathlib

import numpy as np
import pytest

import migrate
from migrate.graph.dtypes import dtype_value
from migrate.graph.protos import SavedModel
from migrate.records import Converted, Options

pytestmark = [pytest.mark.tensorflow, pytest.mark.slow]

tf = pytest.importorskip("tensorflow")
v1 = tf.compat.v1

X = np.array([[0.5, -1.0, 2.0], [1.5, 0.25, -0.5]], np.float32)


def _save(path: str, is_fed: bool = True) -> None:
    """As slim.batch_norm does where `is_training` is a tensor (FaceNet), which is an input of the signature or not."""
    v1.disable_control_flow_v2()
    try:
        with tf.Graph().as_default(), v1.Session() as session:
            x = v1.placeholder(tf.float32, [None, 3], name="x")
            training = v1.placeholder(tf.bool, [], name="training")
            averages = {
                name: v1.get_variable(name, initializer=value, trainable=False, use_resource=False)
                for name, value in (("mean", np.float32([0.5, 0.25, -1.0])), ("variance", np.float32([1.0, 2.0, 0.5])))
            }
            beta = v1.get_variable("beta", initializer=np.float32([0.125, 0.0, 0.5]), use_resource=False)

            def updated():
                found = dict(zip(averages, tf.nn.moments(x, [0]), strict=True))
                updates = [v1.assign_sub(v, (v - found[name]) * 0.125) for name, v in averages.items()]
                with tf.control_dependencies(updates):
                    return [tf.identity(value) for value in found.values()]

            mean, variance = v1.cond(training, updated, lambda: [*averages.values()])
            y = tf.nn.batch_normalization(x, mean, variance, beta, None, 1e-3)
            session.run(v1.global_variables_initializer())
            inputs = {"x": x, "training": training} if is_fed else {"x": x}
            signature = v1.saved_model.predict_signature_def(inputs, {"y": y})
            builder = v1.saved_model.Builder(path)
            builder.add_meta_graph_and_variables(session, ["serve"], {"serving_default": signature})
            builder.save()
    finally:
        v1.enable_control_flow_v2()


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    path = str(tmp_path_factory.mktemp("batch_norm") / "source")
    _save(path)
    return path


@pytest.fixture(scope="module", params=["v1", "functional"])
def new(request, source, tmp_path_factory):
    path = str(tmp_path_factory.mktemp(request.param) / "new")
    (model,) = migrate.convert(source, path, Options(control_flow=request.param)).models
    assert isinstance(model.outcome, Converted), model.outcome
    # Calls write, so that no gradient is compared; what the new model cannot differentiate is told nevertheless.
    told = [(finding.code, finding.nodes) for finding in model.findings]
    assert told == ([("gradient-lost", ("beta",))] if request.param == "v1" else [])
    assert model.verification.gradients_compared == 0
    return path


@pytest.fixture(scope="module")
def expected(new):
    signature = tf.saved_model.load(new).signatures["serving_default"]
    return signature(x=tf.constant(X), training=tf.constant(False))["y"]


def test_no_handle_goes_through_a_merge(new):
    graph = SavedModel.FromString(pathlib.Path(new, "saved_model.pb").read_bytes()).meta_graphs[0].graph_def
    nodes = [*graph.node, *(node for function in graph.library.function for node in function.node_def)]
    merges = [node for node in nodes if node.op == "Merge" and node.attr["T"].type == dtype_value("resource")]
    assert not merges


@pytest.mark.parametrize("form", ["v1", "functional"])
def test_freezing_of_the_branch_that_reads(tmp_path, form):
    """TensorFlow freezes no function that writes to a variable, so the branch with the updates is left out."""
    from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

    source, path = str(tmp_path / "source"), str(tmp_path / "new")
    _save(source, is_fed=False)
    options = Options(control_flow=form, feed={"training": False}, verify="none")
    (model,) = migrate.convert(source, path, options).models
    assert isinstance(model.outcome, Converted), model.outcome
    loaded = tf.saved_model.load(path)
    signature = loaded.signatures["serving_default"]
    (found,) = convert_variables_to_constants_v2(signature)(tf.constant(X))
    np.testing.assert_array_equal(found, signature(x=tf.constant(X))["y"])


def test_tflite(new, expected):
    made = tf.lite.TFLiteConverter.from_saved_model(new).convert()
    runner = tf.lite.Interpreter(model_content=made).get_signature_runner("serving_default")
    np.testing.assert_allclose(runner(x=X, training=np.array(False))["y"], expected, rtol=1e-5)
