"""What `accuracy` and `crossentropy` mean in a model that tf_keras has loaded and not yet evaluated.

tf_keras decides by the shapes of the first targets (engine/compile_utils.py, MetricsContainer). When it saves a model
that has seen none it takes outputs for targets, and a model with a sparse loss gets another metric than it had. Here it
decides by targets of the shape that each output's loss takes.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any

import tensorflow as tf

from migrate.frozen import frozen

_BY_TARGETS = ("accuracy", "acc", "crossentropy", "ce")


@frozen
class Resolved:
    """What became of metrics whose meaning Keras takes from the targets.

    Attributes:
      dropped: the outputs that no longer have such a metric, since nothing says what their targets are like, with why.
      assumed: the outputs whose metric is right only for targets of the output's own shape, with their losses.
    """

    dropped: tuple[str, ...] = ()
    assumed: tuple[str, ...] = ()


def resolve_metrics(model: Any, outputs: Any) -> Resolved:
    """Builds the loss and the metrics of a compiled model, as its first batch would.

    Args:
      model: a Model of tf_keras; one that is not compiled, or whose metrics are built, stays as it is.
      outputs: the Keras tensors that come out of it, nested as it gives them.

    Raises:
      ValueError: its loss or its metrics are for other outputs than it has.
    """
    losses, metrics = getattr(model, "compiled_loss", None), getattr(model, "compiled_metrics", None)
    if losses is None or metrics is None or metrics.built:
        return Resolved()
    if not losses.built:
        losses.build(outputs)
    flat = tf.nest.flatten(outputs)
    known = [_target(output, loss) for output, loss in zip(flat, losses._losses, strict=True)]
    names = [f"{name!r}" for name in metrics._output_names or [str(place + 1) for place in range(len(flat))]]
    dropped: dict[str, str] = {}
    assumed: dict[str, str] = {}
    choose = metrics._get_metric_object  # Private, as is all that follows; Keras has nothing else for it.

    def chosen(metric: Any, target: Any, output: Any) -> Any:
        if str(metric).lower() in _BY_TARGETS:
            place = next(place for place, (own, _, _) in enumerate(known) if own is target)
            _, fault, assumption = known[place]
            if fault:
                dropped[f"{metric!r} of {names[place]}"] = fault
                return None
            if assumption:
                assumed[f"{metric!r} of {names[place]}"] = assumption
        return choose(metric, target, output)

    targets = tf.nest.pack_sequence_as(outputs, [target for target, _, _ in known])
    metrics._get_metric_object = chosen
    try:
        metrics.build(outputs, targets)
    finally:
        del metrics._get_metric_object
    _by_place(losses, outputs, model.output_names)
    return Resolved(*(tuple(f"{name} ({why})" for name, why in found.items()) for found in (dropped, assumed)))


def _target(output: Any, loss: Any) -> tuple[tf.TensorSpec, str, str]:
    """What the targets of an output are like, or why that is not known, or the loss that does not hold them to it."""
    own = importlib.import_module("tf_keras").losses
    shape = tf.TensorShape(output.shape)
    spec = tf.TensorSpec(shape)
    if shape.rank is None or shape.rank == 0 or shape[-1] is None:
        return spec, "the output's last dimension is not known", ""
    if shape[-1] == 1:
        return spec, "", ""  # A binary metric, whatever the targets.
    if loss is None:
        return spec, "the output has no loss", ""
    function = getattr(loss, "fn", None)
    if any(not getattr(part, "__module__", "").startswith("tf_keras.") for part in (type(loss), function)):
        return spec, f"its loss {loss.name!r} is not Keras' own", ""
    if function is own.sparse_categorical_crossentropy:
        return tf.TensorSpec(shape[:-1]), "", ""
    if function in (own.categorical_crossentropy, getattr(own, "categorical_focal_crossentropy", None)):
        return spec, "", ""  # Both refuse targets of any other shape.
    return spec, "", loss.name


def _by_place(losses: Any, outputs: Any, names: list[str] | None) -> None:
    """Gives losses by the keys of a dict of outputs in the order of the outputs, as load_model of SavedModels asks."""
    if not isinstance(outputs, Mapping):
        return
    for attribute in ("_user_losses", "_user_loss_weights"):
        given = getattr(losses, attribute)
        if isinstance(given, Mapping) and not set(given) <= set(names or ()):
            setattr(losses, attribute, [given.get(key) for key in sorted(outputs)])
