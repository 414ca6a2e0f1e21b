"""Gradients of variables that loops in loops, and branches in loops, read: a loaded model has those of TF1."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest

import migrate
from migrate.records import Converted, Options

pytestmark = pytest.mark.tensorflow

tf = pytest.importorskip("tensorflow")
v1 = tf.compat.v1

from tests.control_flow import control_flow  # noqa: E402
from tests.rewrite import flow_packs  # noqa: E402
from tests.rewrite.flow_programs import Compute, Cond, Look, Loop, Program, Write  # noqa: E402

_CALLS = ((0.5, -0.25), (2.0, 0.5))


def _twice(*body: Any) -> Loop:
    return Loop(held=False, times=2, depends=False, start=0, body=body, result=0, parallel=10)


def _program(*statements: Any) -> Program:
    return Program(statements, fetched=(0,), calls=_CALLS)


_WEIGHT, _OTHER, _TANH = Compute("weight", 0, 0), Compute("weight", 0, 2), Compute("tanh", 0, 0)
_PROGRAMS = (
    _program(_twice(_twice(_WEIGHT))),
    _program(_twice(_twice(_OTHER), _TANH)),
    _program(_twice(_twice(_twice(_OTHER)), _TANH)),
    _program(_twice(Cond(False, 0, (_twice(_WEIGHT),), (), (0, 0, 0, 0)))),
    _program(_twice(Cond(False, 0, (_WEIGHT,), (), (0, 0, 0, 0)))),
)


def test_ref_variables() -> None:
    """TF1 reads them outside of the loops."""
    found = flow_packs.outcomes(_PROGRAMS, both=False)
    assert [(each.code, each.gradients) for each in found] == [("equal", 4)] * len(_PROGRAMS)
    assert not any(each.not_proved for each in found)


def test_a_state_that_one_branch_in_a_loop_reads() -> None:
    """The other writes it, so that both take its handle; of the loop in it no gradient comes."""
    looks = Cond(False, 0, (Look(direct=False),), (Write("Assign", 0), _WEIGHT), (0, 1, 0, 1))
    program = _program(_WEIGHT, _twice(Cond(False, 1, (looks, _TANH), (Look(direct=True), _WEIGHT), (0, 1, 0, 1))))
    (found,) = flow_packs.outcomes([program], both=False)
    assert found.code == "equal" and found.gradients


def _loop(body: Callable[[Any], Any], x: Any) -> Any:
    return v1.while_loop(lambda i, _: i < 2, lambda i, y: (i + 1, body(y)), [0, x])[1]


def _branches(y: Any, then: Callable[[], Any], other: Callable[[], Any]) -> Any:
    return v1.cond(tf.reduce_sum(y) > 0, then, other)


def _resources(x: Any) -> Mapping[str, Any]:
    """By a name, what reads a variable of its own through a handle that came into a loop."""
    own = {name: v1.get_variable(name, initializer=np.array([1.5, -0.5]), use_resource=True) for name in _NAMES}
    inner, deep, one, gathered, looped, point, chosen, rows, points = own.values()
    return {
        "inner": _loop(lambda y: _loop(lambda z: z * inner.read_value(), y), x),
        "deep": _loop(lambda y: _loop(lambda z: _loop(lambda u: tf.tanh(u * deep.read_value()), z), y), x),
        "one": _loop(lambda y: _branches(y, lambda: y * one.read_value(), lambda: y + 1), x),
        "gathered": _loop(lambda y: _branches(y, lambda: y * tf.gather(gathered, [1, 0]), lambda: y + 1), x),
        "looped": _loop(
            lambda y: _branches(y, lambda: _loop(lambda z: z * looped.read_value(), y), lambda: y + 1),
            x,
        ),
        "point": _loop(lambda y: y * tf.gather_nd(point, [[1], [0]]), x),
        "chosen": _branches(x, lambda: x * tf.gather_nd(chosen, [[1], [0]]), lambda: x + 1),
        "rows": _loop(lambda y: _loop(lambda z: z * tf.gather(rows, [1, 1]), y), x),
        "points": _loop(lambda y: _loop(lambda z: z * tf.gather_nd(points, [[1], [0]]), y), x),
    }


_MORE = {
    # Four times a factor of 1.5 or -0.5 each.
    "rows": lambda x: [0.0, 4 * (-0.5) ** 3 * x.sum()],
    "points": lambda x: [4 * 1.5**3 * x[1], 4 * (-0.5) ** 3 * x[0]],
}
"""Of these TF1 has no gradient: it fails when it is computed."""
_NAMES = ("inner", "deep", "one", "gathered", "looped", "point", "chosen", "rows", "points")


def test_resource_variables(tmp_path: Any) -> None:
    """They are read where they are used."""
    source = str(tmp_path / "source")
    with tf.Graph().as_default(), v1.Session() as session:
        x = v1.placeholder(tf.float64, [2], "x")
        with control_flow():
            outputs = _resources(x)
        session.run(v1.global_variables_initializer())
        builder = v1.saved_model.Builder(source)
        define = v1.saved_model.signature_def_utils.predict_signature_def
        signatures = {name: define({"x": x}, {"y": y}) for name, y in outputs.items()}
        builder.add_meta_graph_and_variables(session, ["serve"], signatures)
        builder.save()
    (model,) = migrate.convert(source, str(tmp_path / "new"), Options(control_flow="functional", timeout=200)).models
    assert isinstance(model.outcome, Converted), (model.outcome, model.verification)
    assert model.verification is not None
    assert model.verification.gradients_compared == len(_NAMES) - len(_MORE)
    loaded = tf.saved_model.load(str(tmp_path / "new"))
    variables = {variable.name.partition(":")[0]: variable for variable in loaded.variables}
    x = np.array([0.5, -0.25])
    for name, expected in _MORE.items():
        with tf.GradientTape() as tape:
            y = loaded.signatures[name](x=tf.constant(x))["y"]
        np.testing.assert_allclose(tf.convert_to_tensor(tape.gradient(y, variables[name])), expected(x), rtol=1e-12)
    (model,) = migrate.convert(source, str(tmp_path / "v1"), Options(timeout=200)).models
    assert isinstance(model.outcome, Converted), (model.outcome, model.verification)
