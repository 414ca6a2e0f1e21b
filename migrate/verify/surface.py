"""What clients in Python have of a candidate beside its signatures: the attributes of a Reusable SavedModel.

These are `__call__`, `vars`, `variables`, `trainable_variables` and `regularization_losses`
(tensorflow.org/hub/reusable_saved_models). TensorFlow starts here, and every import of it stands inside a function.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from migrate.errors import first_line
from migrate.verify.arrays import as_array, fingerprint
from migrate.verify.calls import Answer, Array, Call, Further, SparseValue
from migrate.verify.candidate_state import Layout, loaded_values, loaded_variables
from migrate.verify.further import altered, counting_calls, repeated
from migrate.verify.gradients import tape_gradients
from migrate.verify.messages import FurtherAnswers, Surface
from migrate.verify.object_graph import ATTRIBUTES, CALL, children
from migrate.verify.sessions import answer_to

Asker = Callable[[Call], Mapping[str, Any]]


def surface_of(graph: Any, layout: Layout, loaded: Any) -> Surface:
    """Reads the attributes of a loaded candidate.

    Args:
      graph: its SavedObjectGraph.
      layout: of its variables.
      loaded: what tf.saved_model.load gave.
    """
    has = frozenset(children(graph, 0)) if graph.nodes else frozenset()
    root = graph.nodes[0].user_object.identifier if graph.nodes else ""
    by_object = {id(variable): path for path, variable in loaded_variables(layout, loaded).items()}
    lists = {
        name: tuple(by_object.get(id(variable), "") for variable in getattr(loaded, name))
        for name in ("variables", "trainable_variables")
        if name in has
    }
    losses = []
    for loss in getattr(loaded, "regularization_losses", ()) if "regularization_losses" in has else ():
        losses.append(fingerprint(as_array(loss().numpy())))
    found = loaded_variables(layout, loaded)
    return Surface(
        root,
        tuple(name for name in (*ATTRIBUTES, CALL) if name in has),
        {path: variable.name.partition(":")[0] for path, variable in found.items()},
        tuple(path for path, variable in found.items() if variable.trainable),
        lists.get("variables", ()),
        lists.get("trainable_variables", ()),
        tuple(losses),
    )


def tensors_for(tf: Any, function: Any, arguments: Mapping[str, Array]) -> dict[str, Any]:
    """Arguments of a loaded signature function as eager tensors of the dtypes that it takes, by name."""
    specs = function.structured_input_signature[1]
    return {
        name: tf.constant(value, dtype=specs[name].dtype if name in specs else None)
        for name, value in arguments.items()
    }


def caller(
    tf: Any,
    loaded: Any,
    arguments: Callable[[Call], Mapping[str, Array]],
    renamed: Callable[[str, Mapping[str, Any]], Mapping[str, Any]],
    **given: bool,
) -> Asker:
    """Asks `__call__` as a user in Python does: one input as it is, several as a dict by name; the same for the result.

    Args:
      tf: the module.
      loaded: what tf.saved_model.load gave.
      arguments: a call's values by argument name.
      renamed: results under the source's output names, by the signature's key.
      given: further arguments.
    """

    def ask(call: Call) -> Mapping[str, Any]:
        function = loaded.signatures[call.signature]
        tensors = tensors_for(tf, function, arguments(call))
        if not any(isinstance(value, SparseValue) for value in call.inputs.values()):
            by_argument = {next(iter(arguments(Call(call.signature, {n: v}))), None): n for n, v in call.inputs.items()}
            tensors = {by_argument[argument]: tensor for argument, tensor in tensors.items()}
        taken = [] if not tensors else [next(iter(tensors.values()))] if len(tensors) == 1 else [tensors]
        produced = loaded(*taken, **given)
        if not isinstance(produced, Mapping):
            (name,) = function.structured_outputs
            produced = {name: produced}
        return renamed(call.signature, produced)

    return ask


def arrays_of(ask: Asker) -> Callable[[Call], Mapping[str, Array]]:
    """The same with arrays in the place of eager tensors."""
    return lambda call: {name: as_array(tensor.numpy()) for name, tensor in ask(call).items()}


def answer_further(
    tf: Any,
    loaded: Any,
    layout: Layout,
    further: Further,
    ask: Asker,
    ask_call: Asker | None,
    ordered: Sequence[str] = (),
    constants: Sequence[str] = (),
) -> FurtherAnswers:
    """Asks a loaded candidate what the source was asked after its calls (`further.ask_further`).

    Args:
      tf: the module.
      loaded: what tf.saved_model.load gave, after the calls.
      layout: of its variables.
      further: what is asked.
      ask: asks a signature, for tensors.
      ask_call: asks `__call__`, or None where the candidate has none.
      ordered: names of a Keras model's weights, in the order of the root's list of variables.
      constants: names of constants of the source that may be variables of the candidate.
    """
    objects = loaded_variables(layout, loaded)
    paths = dict(zip(ordered, layout.order, strict=False)) if ordered else layout.names
    by_name = {name: objects[path] for name, path in paths.items() if path in objects}
    called = None
    if further.called is not None:
        call = further.called[0]
        called = answer_to(arrays_of(ask_call or ask), call)
    gradients: dict[str, Mapping[str, Array]] = {}
    lost: dict[str, str] = {}
    through_call: Mapping[str, Array] = {}
    for call in repeated(further):
        names = further.trained.get(call.signature, ())
        if not names:
            continue
        chosen = {name: by_name[name] for name in names if name in by_name}
        try:
            gradients[call.signature] = tape_gradients(tf, functools.partial(ask, call), chosen)
        except Exception as error:
            lost[call.signature] = f"{type(error).__name__}: {first_line(error)}"
        if call.signature == further.default and ask_call is not None:
            with contextlib.suppress(Exception):  # What has no gradient is reported as lost.
                through_call = tape_gradients(tf, functools.partial(ask_call, call), chosen)
    for group in further.altered:
        variable = next((by_name[name] for name in group if name in by_name), None)
        if variable is not None:
            variable.assign(altered(tf, variable.read_value()))

    def asked() -> tuple[Answer, ...]:
        answers: list[Answer] = []
        for number, call in enumerate(further.calls):
            is_call = further.called is not None and number == len(further.calls) - 1
            answers.append(answer_to(arrays_of(ask_call or ask) if is_call else arrays_of(ask), call))
        return tuple(answers)

    answers = asked()
    states = loaded_values(layout, loaded) if further.states else {}
    counting = [by_name[name] for group in further.counters for name in group if name in by_name]
    counted: list[Answer] = []
    for number in further.thresholds:
        for variable in counting:
            variable.assign(tf.constant(number - 1, variable.dtype))
        counted += [answer_to(arrays_of(ask), call) for call in counting_calls(further)]
    counted_states = loaded_values(layout, loaded) if further.counted_states else {}
    remade = tuple(name for name in constants if name in by_name)
    for name in remade:
        by_name[name].assign(altered(tf, by_name[name].read_value()))
    with_remade = asked() if remade else ()
    return FurtherAnswers(
        called,
        answers,
        gradients,
        lost | _without_gradients(tf, further, by_name, ask),
        through_call,
        states,
        tuple(counted),
        counted_states,
        remade,
        with_remade,
    )


def _without_gradients(tf: Any, further: Further, by_name: Mapping[str, Any], ask: Asker) -> dict[str, str]:
    """Why signatures that write variables have no gradients. The last that is asked: nothing is compared after it."""
    found: dict[str, str] = {}
    for call in repeated(further):
        chosen = {name: by_name[name] for name in further.written.get(call.signature, ()) if name in by_name}
        if not chosen or answer_to(arrays_of(ask), call).error:
            continue
        try:
            tape_gradients(tf, functools.partial(ask, call), chosen)
        except Exception as error:
            found[call.signature] = f"{type(error).__name__}: {first_line(error)}"
    return found
