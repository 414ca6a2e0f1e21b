"""What TF 1.15 and TF 2.1 call the metrics of a model that they load: recorded from both."""

from __future__ import annotations

import pytest

from migrate.keras_loader.metrics import named_as_in_tf1

_FULL = {"mae": "mean_absolute_error"}
_OUTPUTS = {"a": 1, "b": 3}


def _object(name):
    return {"class_name": "AUC", "config": {"name": name, "dtype": "float32"}}


_TRAINING = {
    "loss": ["binary_crossentropy", "sparse_categorical_crossentropy"],
    "metrics": {"a": [_object("a_auc"), "accuracy"], "b": ["acc"]},
    "weighted_metrics": {"b": [_object("b_wm"), "mae", "accuracy"], "a": "accuracy"},
}


@pytest.mark.parametrize(
    ("keeps_names", "metrics", "weighted"),
    [
        (
            False,
            [["a_a_auc", "a_acc"], ["b_acc"]],
            [["a_weighted_acc"], ["b_weighted_b_wm", "b_weighted_mean_absolute_error", "b_weighted_acc"]],
        ),
        (True, [["a_a_auc", "a_accuracy"], ["b_acc"]], [["a_accuracy_1"], ["b_b_wm", "b_mae", "b_accuracy"]]),
    ],
)
def test_names(keeps_names, metrics, weighted):
    found = named_as_in_tf1(_TRAINING, _OUTPUTS, _FULL.get, keeps_names)
    assert [[m["config"]["name"] for m in own] for own in found["metrics"]] == metrics
    assert [[m["config"]["name"] for m in own] for own in found["weighted_metrics"]] == weighted
    assert found["metrics"][1][0]["config"]["fn"] == "sparse_categorical_accuracy"
    assert found["metrics"][0][1]["config"]["fn"] == "binary_accuracy"


@pytest.mark.parametrize("keeps_names", [False, True])
def test_a_model_with_one_output_has_no_prefix(keeps_names):
    found = named_as_in_tf1({"loss": "mse", "metrics": ["mae", _object("auc")]}, {"a": 1}, _FULL.get, keeps_names)
    names = [metric["config"]["name"] for metric in found["metrics"][0]]
    assert names == ["mae" if keeps_names else "mean_absolute_error", "auc"]
    assert "weighted_metrics" not in found


def test_a_metric_of_the_users_stays_as_it_is():
    found = named_as_in_tf1({"loss": "mse", "metrics": ["mine"]}, {"a": 1}, _FULL.get, True)
    assert found["metrics"] == [["mine"]]
