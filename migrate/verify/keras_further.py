"""What is asked of a Keras model after its calls: gradients, and calls with other values in its weights.

TensorFlow starts here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from migrate.keras_loader.model import Loaded, plain, weights
from migrate.verify.arrays import as_array, fingerprint
from migrate.verify.calls import Answer, Array, Call, Fingerprint, Further
from migrate.verify.further import alterable, altered, chosen_calls
from migrate.verify.gradients import tape_gradients
from migrate.verify.sessions import answer_to


def held_by(loaded: Loaded) -> dict[str, Fingerprint]:
    """What the model's weights hold now, in Keras' order."""
    return {name: fingerprint(as_array(value.numpy())) for name, value in weights(loaded.model).items()}


def trainable_of(loaded: Loaded) -> tuple[str, ...]:
    """Names of the weights that Keras trains."""
    trained = {id(plain(variable)) for variable in loaded.model.trainable_variables}
    return tuple(name for name, variable in weights(loaded.model).items() if id(variable) in trained)


def ask_keras_further(
    tf: Any,
    loaded: Loaded,
    calls: Sequence[Call],
    answers: Sequence[Answer],
    repeated: Sequence[Call] | None,
    ask: Callable[[Call], Mapping[str, Any]],
    has_gradients: bool,
) -> Further:
    """Asks a loaded Keras model after its calls.

    Args:
      tf: the module.
      loaded: the model.
      calls: those that were made.
      answers: to them.
      repeated: those that are made again; None for the ones that `further.chosen_calls` takes.
      ask: makes a call, for tensors.
      has_gradients: whether gradients are asked for.
    """
    chosen = chosen_calls(calls, answers) if repeated is None else tuple(repeated)
    variables = weights(loaded.model)
    trained: dict[str, tuple[str, ...]] = {}
    gradients: dict[str, Mapping[str, Array]] = {}
    names = trainable_of(loaded)
    for call in chosen if has_gradients and names else ():
        try:
            wanted = {name: variables[name] for name in names}
            gradients[call.signature] = tape_gradients(tf, lambda call=call: ask(call), wanted)  # type: ignore[misc]
        except Exception:
            continue  # Keras has no gradient of it, either.
        trained[call.signature] = names
    now = held_by(loaded)
    others = alterable(now, now)
    for name in others:
        variables[name].assign(altered(tf, variables[name].read_value()))

    def arrays(call: Call) -> Mapping[str, Array]:
        return {name: as_array(tensor.numpy()) for name, tensor in ask(call).items()}

    found = tuple(answer_to(arrays, call) for call in chosen)
    return Further("", None, tuple((name,) for name in others), chosen, found, trained, gradients)
