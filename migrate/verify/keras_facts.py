"""What a loaded Keras model says of itself beside its answers: its layers, its optimizer, its penalties.

TensorFlow starts here.
"""

from __future__ import annotations

import contextlib
import importlib
import json
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any

import tensorflow as tf

from migrate.keras_loader.model import Loaded, ask, optimizer_variables, takes_training, weights
from migrate.sources.keras_source import Runtime
from migrate.verify.arrays import as_array, fingerprint
from migrate.verify.calls import Array, Call, Fingerprint, KerasShown
from migrate.verify.gradients import training_gradients
from migrate.verify.keras_metadata import METRICS, TRAINING, is_same, normalised, slot_path
from migrate.verify.sessions import answer_to

STEPS = 2
"""How often the call with `training=True` is made: what a step leaves shows in the next one."""


def layers_of(loaded: Loaded, runtime: Runtime) -> dict[str, str]:
    """What Keras 2 writes of each layer into `keras_metadata.pb`, by its path from the root; nothing for Keras 3."""
    if runtime is not Runtime.TF_KERAS:
        return {}
    # Private: Keras writes these texts, and `load_model` reads them. The two scopes are those of Model.save.
    legacy = importlib.import_module("tf_keras.src.saving.legacy.serialization")
    utils = importlib.import_module("tf_keras.src.saving.legacy.saved_model.utils")
    layer_class = importlib.import_module("tf_keras").layers.Layer
    with legacy.SharedObjectSavingScope(), utils.keras_option_scope(True):
        return {
            path: normalised(found._object_identifier, found._tracking_metadata)
            for path, found in tracked(loaded.model, "")
            if isinstance(found, layer_class)
        }


def agreed_layers(first: Mapping[str, str], again: Mapping[str, str]) -> dict[str, str]:
    """The texts that another load of the model gives as well; that one is not compiled."""
    return {path: text for path, text in first.items() if is_same(text, again.get(path, ""), (TRAINING,))}


def tracked(root: Any, name: str) -> Iterator[tuple[str, Any]]:
    """(path, object) of all that an object tracks, nearest first."""
    queue = [(name, root)]
    seen = {id(root)}
    for path, found in queue:
        yield path, found
        for child_name, child in tf.train.TrackableView(found).children(found).items():
            if id(child) not in seen:
                seen.add(id(child))
                queue.append((f"{path}/{child_name}" if path else child_name, child))


def optimizer_of(loaded: Loaded, runtime: Runtime) -> dict[str, Fingerprint]:
    """What the variables of the model's optimizer hold, by where they are in a new model."""
    optimizer = getattr(loaded.model, "optimizer", None)
    if optimizer is None or (runtime is Runtime.KERAS and not loaded.optimizer):
        return {}
    if runtime is Runtime.KERAS:
        found = {f"optimizer_variables/{n}": v for n, v in enumerate(optimizer_variables(loaded.model))}
    else:
        found = {path: v for path, v in tracked(optimizer, "optimizer") if isinstance(v, tf.Variable)}
        found |= dict(_slots(optimizer, list(weights(loaded.model).values())))
    return {path: fingerprint(as_array(variable.numpy())) for path, variable in found.items()}


def metrics_of(loaded: Loaded, runtime: Runtime) -> dict[str, Fingerprint]:
    """What the variables of the model's metrics hold, by where they are in a new model; Keras 3 writes none."""
    found = {}
    metrics = loaded.model.metrics if runtime is Runtime.TF_KERAS else ()
    for number, metric in enumerate(metrics):
        for path, held in tracked(metric, f"{METRICS}/{number}"):
            if isinstance(held, tf.Variable):
                found[path] = fingerprint(as_array(held.numpy()))
    return found


def _slots(optimizer: Any, variables: list[Any]) -> Iterator[tuple[str, Any]]:
    """The slots of an optimizer of TensorFlow 2.10 and before; later ones have none."""
    for name in optimizer.get_slot_names() if hasattr(optimizer, "get_slot_names") else ():
        for number, variable in enumerate(variables):
            with contextlib.suppress(KeyError):  # A variable that was never trained has no slots.
                yield slot_path(number, name), optimizer.get_slot(variable, name)


def flagged_of(loaded: Loaded) -> tuple[str, ...]:
    """Names of the weights whose variables say that they are trainable, whatever their layers say."""
    return tuple(name for name, variable in weights(loaded.model).items() if variable.trainable)


def losses_of(loaded: Loaded, runtime: Runtime) -> tuple[Fingerprint, ...]:
    """The values of the model's weight penalties now."""
    model = loaded.model
    if runtime is Runtime.KERAS:
        found = [v.regularizer(v) for v in model.trainable_variables if v.regularizer is not None]
    else:
        # Private: `losses` has those of the latest call as well.
        found = [loss() for layer in model._flatten_layers() for loss in layer._callable_losses]
    values = [as_array(tf.convert_to_tensor(loss).numpy()) for loss in found if loss is not None]
    return tuple(map(fingerprint, values))


def nested_names(loaded: Loaded, runtime: Runtime) -> str:
    """How `__call__` of a new model takes its inputs, as JSON with their names in the place of tensors."""
    names = list(loaded.signature.inputs)
    if runtime is Runtime.KERAS:
        return json.dumps(names[0] if len(names) == 1 else {name: name for name in names})
    skeleton = tf.nest.map_structure(lambda _: 0, loaded.given)
    return json.dumps(tf.nest.pack_sequence_as(skeleton, names))


def takes_mode(loaded: Loaded, runtime: Runtime) -> bool:
    """Whether `__call__` of a new model takes `training`."""
    return runtime is Runtime.KERAS or takes_training(loaded.model)


def ask_called(
    loaded: Loaded,
    runtime: Runtime,
    call: Call | None,
    given: Callable[[Call], Mapping[str, Any]],
    compiled: bool,
    steady: Collection[str] = (),
    trainable: Sequence[str] = (),
    more: Sequence[Call] = (),
) -> KerasShown:
    """Calls a model once as for prediction, then as for training.

    Args:
      loaded: the model, whose weights have other values by now.
      runtime: what loaded it.
      call: one that it answers, or None.
      given: a call's tensors.
      compiled: whether it is called through tf.function.
      steady: the outputs of which gradients are taken, see `KerasAsked.steady`.
      trainable: names of the weights to which they are.
      more: calls that are made as for prediction, too.
    """
    losses = losses_of(loaded, runtime)
    if call is None:
        return KerasShown(losses=losses)

    def tensors(training: bool) -> Callable[[Call], Mapping[str, Any]]:
        def function(inputs: Mapping[str, Any]) -> Mapping[str, Any]:
            return ask(loaded, inputs, training)

        used = tf.function(function) if compiled else function
        return lambda call: used(given(call))

    def asking(training: bool) -> Callable[[Call], Mapping[str, Array]]:
        used = tensors(training)
        return lambda call: {name: as_array(tensor.numpy()) for name, tensor in used(call).items()}

    predict = asking(False)
    predicted, further = answer_to(predict, call), tuple(answer_to(predict, one) for one in more)
    train = asking(True)
    trained = tuple(answer_to(train, call) for _ in range(STEPS if takes_mode(loaded, runtime) else 0))
    variables = weights(loaded.model)
    left = {name: fingerprint(as_array(value.numpy())) for name, value in variables.items()}
    wanted = {name: variables[name] for name in trainable}
    gradients = training_gradients(tf, lambda: tensors(True)(call), steady, wanted)
    return KerasShown(
        losses=losses, predicted=predicted, trained=trained, states=left, gradients=gradients, more=further
    )
