"""Which outputs and weights of a Keras model random numbers reach in training."""

from __future__ import annotations

import types

import pytest

pytestmark = pytest.mark.tensorflow

tf = pytest.importorskip("tensorflow")
tf_keras = pytest.importorskip("tf_keras")

from migrate.records import Signature, TensorSpec  # noqa: E402
from migrate.verify.keras_draws import drawn  # noqa: E402


def _drawn(*layers):
    x = tf_keras.Input([4], name="x")
    y = x
    for layer in layers:
        y = layer(y)
    model = tf_keras.Model(x, [y, tf_keras.layers.Dense(2, name="plain")(x)])
    signature = Signature(
        "s",
        "",
        {"x": TensorSpec("x:0", "float32", (None, 4))},
        {name: TensorSpec(f"{name}:0", "float32", None) for name in ("first", "second")},
    )
    found = drawn(types.SimpleNamespace(model=model, signature=signature, given=x))
    return sorted(found.outputs), sorted(found.weights)


_NORMAL = ("normal/moving_mean", "normal/moving_variance")


@pytest.mark.parametrize(
    ("layers", "expected"),
    [
        (("normal",), ([], [])),
        (("drop",), (["first"], [])),
        # What is drawn after a layer does not reach its means, and what is drawn before it does.
        (("normal", "drop"), (["first"], [])),
        (("drop", "normal"), (["first"], [*_NORMAL])),
        (("noise", "normal"), (["first"], [*_NORMAL])),
    ],
)
def test_what_random_numbers_reach(layers, expected):
    made = {
        "normal": tf_keras.layers.BatchNormalization(name="normal"),
        "drop": tf_keras.layers.Dropout(0.5, seed=3),
        "noise": tf_keras.layers.GaussianNoise(0.5),
    }
    assert _drawn(*(made[name] for name in layers)) == expected


def test_what_cannot_be_traced_is_all_drawn():
    class Odd(tf_keras.layers.Layer):
        def call(self, inputs, training=False):
            if training:
                raise ValueError("no")
            return inputs

    outputs, weights = _drawn(Odd(), tf_keras.layers.Dense(1, name="dense"))
    assert outputs == ["first", "second"]
    assert "dense/kernel" in weights
