"""Metrics of a model that TF 1.x compiled, as TF 1.x understood and called them.

tf_keras decides what `accuracy` means from the first targets, and when it loads a model it takes outputs for targets:
a model with a sparse loss gets another metric than it had. TF 1.x decided by the loss and the output's shape, and its
names have the output's (tensorflow/python/keras/engine/training_utils.py of 1.15, get_metric_function). TF 2.0 and 2.1
did the same under the names that the user gave.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

_ACCURACY, _CROSSENTROPY = ("accuracy", "acc"), ("crossentropy", "ce")
_SPARSE = ("sparse_categorical_crossentropy", "SparseCategoricalCrossentropy")
_KEYS = ("metrics", "weighted_metrics")
_BINARY = ("binary_crossentropy", "BinaryCrossentropy")


def named_as_in_tf1(
    training: Mapping[str, Any],
    outputs: Mapping[str, int | None],
    full_name: Callable[[str], str | None],
    keeps_names: bool,
) -> dict[str, Any]:
    """A training config in which each metric is a function with the name that TF 1.x gave it.

    Args:
      training: `training_config` of an HDF5 file.
      outputs: last dimension of each of the model's outputs, by name.
      full_name: gives the name of a metric's function, such as `mean_absolute_error` for `mae`; None where it is not a
        function of Keras.
      keeps_names: whether a metric is called as the user called it, which TF 2.0 began with.
    """
    losses = _losses(training.get("loss"), tuple(outputs))
    given = {key: _metrics(training[key], tuple(outputs)) for key in _KEYS if training.get(key)}
    named: dict[str, list[list[Any]]] = {key: [] for key in given}
    taken: set[str] = set()
    for place, ((name, size), loss) in enumerate(zip(outputs.items(), losses, strict=True)):
        prefix = f"{name}_" if len(outputs) > 1 else ""
        for key, metrics in given.items():
            weighted = "weighted_" if key == "weighted_metrics" and not keeps_names else ""
            own = [_metric(m, _kind(loss, size), weighted, full_name, keeps_names) for m in metrics[place]]
            named[key].append([_prefixed(metric, prefix, taken) for metric in own])
    return {**training, **named}


def _losses(value: Any, outputs: Sequence[str]) -> list[Any]:
    """The loss of each output."""
    if isinstance(value, Mapping) and "class_name" not in value:
        return [value.get(name) for name in outputs]
    if isinstance(value, list):
        return value if len(value) == len(outputs) else [None] * len(outputs)
    return [value] * len(outputs)


def _metrics(value: Any, outputs: Sequence[str]) -> list[list[Any]]:
    """The metrics of each output: given by its name, by its place, or for all outputs alike."""
    if isinstance(value, Mapping) and "class_name" not in value:
        found = [value.get(name, []) for name in outputs]
    elif isinstance(value, list) and len(value) == len(outputs) and any(isinstance(own, list) for own in value):
        found = value
    else:
        found = [value] * len(outputs)
    return [own if isinstance(own, list) else [] if own is None else [own] for own in found]


def _kind(loss: Any, size: int | None) -> str:
    name = loss.get("class_name") if isinstance(loss, Mapping) else loss
    if size == 1 or name in _BINARY:
        return "binary"
    return "sparse_categorical" if name in _SPARSE else "categorical"


def _metric(metric: Any, kind: str, weighted: str, full_name: Callable[[str], str | None], keeps_names: bool) -> Any:
    """A metric as Keras serialises it."""
    if isinstance(metric, Mapping):
        config = metric.get("config")
        if not isinstance(config, Mapping) or not isinstance(config.get("name"), str):
            return metric
        return {**metric, "config": {**config, "name": f"{weighted}{config['name']}"}}
    if metric in _ACCURACY:
        return _function(f"{weighted}{metric if keeps_names else 'acc'}", f"{kind}_accuracy")
    if metric in _CROSSENTROPY:
        return _function(f"{weighted}{metric if keeps_names else 'ce'}", f"{kind}_crossentropy")
    full = full_name(metric) if isinstance(metric, str) else None
    return metric if full is None else _function(f"{weighted}{metric if keeps_names else full}", full)


def _prefixed(metric: Any, prefix: str, taken: set[str]) -> Any:
    """A metric with its output's name, and with a number where that is taken."""
    config = metric.get("config") if isinstance(metric, Mapping) else None
    if not isinstance(config, Mapping) or not isinstance(config.get("name"), str):
        return metric
    name, number = f"{prefix}{config['name']}", 0
    while name in taken:
        number += 1
        name = f"{prefix}{config['name']}_{number}"
    taken.add(name)
    return {**metric, "config": {**config, "name": name}}


def _function(name: str, function: str) -> dict[str, Any]:
    return {"class_name": "MeanMetricWrapper", "config": {"name": name, "dtype": "float32", "fn": function}}
