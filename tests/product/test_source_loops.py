"""Gradients of variables that loops in loops of a source with functional control flow read by their handles."""

from __future__ import annotations

import pathlib
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest

import migrate
from migrate.graph.protos import SavedModel
from migrate.records import Converted, Options

pytestmark = [pytest.mark.tensorflow, pytest.mark.slow]

tf = pytest.importorskip("tensorflow")
v1 = tf.compat.v1

from tests.control_flow import control_flow  # noqa: E402

_X, _AT = np.array([0.5, -0.25]), np.array([1, 1], np.int32)


def _loop(body: Callable[[Any], Any], x: Any) -> Any:
    return v1.while_loop(lambda i, _: i < 2, lambda i, y: (i + 1, body(y)), [0, x])[1]


def _nested(body: Callable[[Any], Any], x: Any) -> Any:
    return _loop(lambda y: _loop(body, y), x)


def _cond(y: Any, then: Callable[[], Any], other: Callable[[], Any]) -> Any:
    return v1.cond(tf.reduce_sum(y) > 0, then, other)


def _outputs(x: Any, at: Any) -> Mapping[str, Any]:
    """By a name, what reads a variable of that name."""
    one, two, three, branch, around, rows, points, beside = (
        v1.get_variable(name, initializer=np.array([1.5, -0.5]), use_resource=True) for name in _NAMES
    )
    return {
        "two": _nested(lambda y: y * two.read_value(), x),
        "three": _nested(lambda y: _loop(lambda z: tf.tanh(z * three.read_value()), y), x),
        "one": _loop(lambda y: y * one.read_value(), x),
        "branch": _loop(lambda y: _cond(y, lambda: y * branch.read_value(), lambda: y + 1), x),
        "around": _cond(x, lambda: _nested(lambda y: y * around.read_value(), x), lambda: x),
        "rows": _nested(lambda y: y * tf.gather(rows, at), x),
        "points": _nested(lambda y: y * tf.gather_nd(points, [[1], [0]]), x),
        "beside": _nested(lambda y: y * beside.read_value() + tf.gather(beside, [0, 0]), x) * beside.read_value(),
    }


_NAMES = ("one", "two", "three", "branch", "around", "rows", "points", "beside")


def _without_handle_data(path: str) -> None:
    """TF1 writes none into functions."""
    file = pathlib.Path(path, "saved_model.pb")
    model = SavedModel.FromString(file.read_bytes())
    for function in model.meta_graphs[0].graph_def.library.function:
        for argument in (*function.signature.input_arg, *function.signature.output_arg):
            argument.ClearField("handle_data")
    file.write_bytes(model.SerializeToString())


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Mapping[str, Any]]:
    """A model, and the gradient of each output by the variable of its name, as the graph that was saved gives it."""
    path = str(tmp_path_factory.mktemp("functions") / "source")
    with tf.Graph().as_default(), v1.Session() as session:
        x = v1.placeholder(tf.float64, [2], "x")
        with control_flow(functional=True):
            at = v1.placeholder(tf.int32, [2], "at")
            outputs = _outputs(x, at)
            session.run(v1.global_variables_initializer())
            builder = v1.saved_model.Builder(path)
            define = v1.saved_model.signature_def_utils.predict_signature_def
            fed = {name: {"x": x, "at": at} if name == "rows" else {"x": x} for name in outputs}
            signatures = {name: define(fed[name], {"y": y}) for name, y in outputs.items()}
            builder.add_meta_graph_and_variables(session, ["serve"], signatures)
            builder.save()
            _without_handle_data(path)
            variables = {variable.op.name: variable for variable in v1.global_variables()}
            gradients = {name: v1.gradients(y, variables[name])[0] for name, y in outputs.items()}
            dense = {name: tf.convert_to_tensor(gradient) for name, gradient in gradients.items()}
        with v1.Session() as other:  # One that has run a While takes no gradient of it.
            other.run(v1.global_variables_initializer())
            return path, other.run(dense, {x: _X, at: _AT})


@pytest.mark.parametrize("form", ["v1", "functional"])
def test_gradients_are_those_of_the_source(source: Any, tmp_path: Any, form: str) -> None:
    path, expected = source
    (model,) = migrate.convert(path, str(tmp_path / "new"), Options(control_flow=form, timeout=200)).models
    assert isinstance(model.outcome, Converted), (model.outcome, model.verification)
    assert model.verification is not None
    # TensorFlow has no gradient of ResourceGatherNd in a function that it has loaded.
    assert model.verification.gradients_compared == len(_NAMES) - 1
    loaded = tf.saved_model.load(str(tmp_path / "new"))
    variables = {variable.name.partition(":")[0]: variable for variable in loaded.variables}
    for name in _NAMES:
        with tf.GradientTape() as tape:
            y = loaded.signatures[name](**({"at": tf.constant(_AT)} if name == "rows" else {}), x=tf.constant(_X))["y"]
        gradient = tf.convert_to_tensor(tape.gradient(y, variables[name]))
        np.testing.assert_allclose(gradient, expected[name], rtol=1e-12, err_msg=name)
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"= 2 is not in \[0, 2\)"):
        loaded.signatures["rows"](x=tf.constant(_X), at=tf.constant([0, 2]))
    assert model.verification.structure is not None
    assert not model.verification.structure.not_proved
