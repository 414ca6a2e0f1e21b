"""What `accuracy` means in a model of tf_keras that was not evaluated yet."""

from __future__ import annotations

import pytest

pytestmark = pytest.mark.tensorflow

pytest.importorskip("tensorflow")
keras = pytest.importorskip("tf_keras")

from migrate.keras_loader.resolve import Resolved, resolve_metrics  # noqa: E402 (starts TensorFlow)


def _own_loss(y_true, y_pred):
    return keras.losses.mean_squared_error(y_true, y_pred)


def _model(size, loss, metrics=("accuracy",), **given):
    model = keras.Sequential([keras.Input([3]), keras.layers.Dense(size, name="a")])
    model.compile("sgd", loss, list(metrics), **given)
    return model


def _metric(model):
    return [metric._fn.__name__ for metric in model.compiled_metrics.metrics if hasattr(metric, "_fn")]


@pytest.mark.parametrize(
    ("size", "loss", "metric"),
    [
        (3, "sparse_categorical_crossentropy", "sparse_categorical_accuracy"),
        (3, keras.losses.SparseCategoricalCrossentropy(), "sparse_categorical_accuracy"),
        (3, "categorical_crossentropy", "categorical_accuracy"),
        (1, "binary_crossentropy", "binary_accuracy"),
        (1, _own_loss, "binary_accuracy"),
    ],
)
def test_the_loss_says_what_the_targets_are_like(size, loss, metric):
    model = _model(size, loss)
    assert resolve_metrics(model, model.output) == Resolved()
    assert _metric(model) == [metric]


def test_a_loss_that_takes_several_kinds_of_targets_is_an_assumption():
    model = _model(3, "binary_crossentropy")
    assert resolve_metrics(model, model.output) == Resolved(assumed=("'accuracy' of 'a' (binary_crossentropy)",))
    assert _metric(model) == ["categorical_accuracy"]


def test_a_metric_that_nothing_explains_is_dropped():
    model = _model(3, _own_loss, ["accuracy", "mae"])
    found = resolve_metrics(model, model.output)
    assert found == Resolved(dropped=("'accuracy' of 'a' (its loss '_own_loss' is not Keras' own)",))
    assert _metric(model) == ["mean_absolute_error"]


def test_what_is_not_compiled_or_was_evaluated_stays_as_it_is():
    model = keras.Sequential([keras.Input([3]), keras.layers.Dense(3)])
    assert resolve_metrics(model, model.output) == Resolved()
    model = _model(3, "binary_crossentropy")
    resolve_metrics(model, model.output)
    assert resolve_metrics(model, model.output) == Resolved()


def test_a_loss_for_another_output_is_told():
    with pytest.raises(ValueError, match="other"):
        model = _model(3, {"other": "mse"})
        resolve_metrics(model, model.output)
