"""The child's side for a Keras source: golden answers are what the loaded Keras model predicts, op by op.

The model is called eagerly and outside of training, as `Model.predict` calls it, but with neither `tf.function` nor XLA
in between: nothing of what the export makes is used.
"""

from __future__ import annotations

import dataclasses
import itertools
import time
import zlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from migrate.errors import InputError
from migrate.graph.protos import MetaGraphDef
from migrate.keras_loader.model import Loaded, ask, load
from migrate.keras_loader.request import Request
from migrate.processes.forks import count
from migrate.records import Failed, Signature
from migrate.sources.keras_config import unnamed_outputs
from migrate.sources.keras_source import Runtime
from migrate.verify.arrays import as_array, fingerprint
from migrate.verify.calls import (
    Answer,
    Array,
    Call,
    Fingerprint,
    Further,
    Golden,
    Held,
    KerasAsked,
    KerasGolden,
    KerasShown,
    SparseValue,
)
from migrate.verify.compare import contradictions, nondeterministic
from migrate.verify.further import settled
from migrate.verify.given import load_calls
from migrate.verify.keras_alone import Alone, layers_alone
from migrate.verify.keras_draws import Drawn, drawn
from migrate.verify.keras_facts import (
    STEPS,
    agreed_layers,
    ask_called,
    flagged_of,
    layers_of,
    metrics_of,
    nested_names,
    optimizer_of,
    takes_mode,
)
from migrate.verify.keras_further import ask_keras_further, held_by, trainable_of
from migrate.verify.keras_graph import path_of
from migrate.verify.keras_wider import Chosen, choose, facts_of, trace, vocabularies
from migrate.verify.losses import Attempts, uncalled, without
from migrate.verify.messages import KerasGoldenJob
from migrate.verify.probe import MORE_RUNS, Attempt, probe
from migrate.verify.replay import agreed, twice
from migrate.verify.requests import synthesise
from migrate.verify.sessions import Asker, answer_to, answers_to, configure_eager


def run(job: KerasGoldenJob) -> Golden | Failed:
    """Takes the golden answers: finds calls, then replays them on freshly loaded models."""
    configure_eager(tf)
    try:
        full = job.full and not unnamed_outputs(job.request.source.config)
        loaded = load(job.request, with_optimizer=job.full)
        signature = loaded.signature
        runtime = job.request.source.runtime
        told = KerasShown()
        if job.full:
            layers = layers_of(loaded, runtime) if full else {}
            held = {**optimizer_of(loaded, runtime), **metrics_of(loaded, runtime)}
            told = KerasShown(layers, held, flagged_of(loaded))
        variables, trained = held_by(loaded), trainable_of(loaded)
        skipped: dict[str, str] = {}
        fewer: tuple[str, ...] = ()
        attempts, asking, chosen = Attempts(job.lost), _Asking(loaded), Chosen()
        deadline = time.monotonic() + job.seconds
        if job.inputs is not None:
            calls = load_calls(job.inputs, [signature])
            if calls:
                answer_to(asking, calls[0])
        else:
            calls, reason = _accepted(loaded, asking, deadline, attempts)
            calls, fewer = _affordable(calls, asking)
            if calls and not asking.is_slow:
                chosen = _wider(loaded, calls, deadline, attempts)
                count(0, 0)
            skipped = {} if calls else {signature.key: reason}
        calls, once, lost = without(calls, chosen.calls, job.lost)
        skipped |= uncalled(lost, {signature.key} - {*skipped}, calls)
        sequence, end = (*twice(calls), *once), 2 * len(calls)
        # A fresh model each time: one with state answers the second call otherwise, and probing has changed it.
        is_compiled = asking.compiled is not None
        own = job.request.custom_objects or job.request.trust
        draws = drawn(loaded) if full and takes_mode(loaded, runtime) else Drawn(frozenset(), frozenset())
        if own and drawn(loaded).computed != draws.computed:
            draws = dataclasses.replace(draws, computed={})  # Code of the user's, which makes another graph each time.
        parts = layers_alone(loaded, runtime) if full and not own else Alone({}, ())
        steady = [name for name in signature.outputs if name not in draws.outputs]
        traced = chosen.answers(once)
        first, left, further, shown = _replay(
            job.request, sequence, is_compiled, full, full, steady=steady, ordinary=end, traced=traced
        )
        others = _more(sequence, first, end, is_compiled, traced)
        again, other, same, shown_again = _replay(
            job.request, sequence, is_compiled, full, repeated=further.calls, steady=steady, more=others
        )
        runs, states = [again], [other]
        stateful = nondeterministic(calls, first[:end:2], first[1:end:2])
        if stateful or nondeterministic(sequence[:end], first[:end], again[:end]):
            more = [_replay(job.request, sequence, is_compiled) for _ in range(MORE_RUNS)]
            runs += [answers for answers, _, _, _ in more]
            states += [values for _, values, _, _ in more]
        if traced:
            runs.append((*first[:end], *traced))
        again = contradictions(first, runs)
    except InputError as error:
        return Failed(str(error))
    keras = None
    if job.full:
        keras = _compared(loaded, told, shown, shown_again, further.calls, runtime, draws, steady, others, parts)
    notes = (*attempts.notes, *fewer, *lost)
    how = COMPILED.format(seconds=asking.seconds) if is_compiled else ""
    return Golden(
        sequence,
        first,
        again,
        skipped,
        variables,
        runtime.value,
        tf.__version__,
        agreed(left, states),
        notes,
        held=Held(trainable=trained),
        further=settled(further, same),
        how=how,
        once=len(once),
        keras=keras,
    )


def _replay(
    request: Request,
    calls: Sequence[Call],
    is_compiled: bool,
    full: bool = False,
    has_gradients: bool = False,
    repeated: Sequence[Call] | None = None,
    steady: Sequence[str] = (),
    ordinary: int = 0,
    more: Sequence[Call] | None = None,
    traced: Sequence[Answer] = (),
) -> tuple[tuple[Answer, ...], Mapping[str, Fingerprint], Further, KerasShown]:
    """The answers of a fresh model; where it is compiled, the first one is still an eager call's."""
    loaded = load(request, with_optimizer=False)
    layers = layers_of(loaded, request.source.runtime) if full else {}
    askers = itertools.chain((_eager(loaded),), itertools.repeat(_compiled(loaded) if is_compiled else _eager(loaded)))
    answers = answers_to(lambda call: next(askers)(call), calls)
    left = held_by(loaded)
    if not full:
        return answers, left, Further(), KerasShown()
    further = ask_keras_further(
        tf, loaded, calls[:ordinary], answers[:ordinary], repeated, lambda call: _tensors(loaded, call), has_gradients
    )
    call = further.calls[0] if further.calls else None
    runtime = request.source.runtime
    trainable = trainable_of(loaded) if takes_mode(loaded, runtime) else ()
    others = _more(calls, answers, ordinary, is_compiled, traced) if more is None else more
    shown = ask_called(loaded, runtime, call, lambda call: _given(loaded, call), is_compiled, steady, trainable, others)
    return answers, left, further, dataclasses.replace(shown, layers=layers)


_MOST_MORE = 8
"""How many calls that are not ordinary are made of `__call__`, too."""


def _more(
    calls: Sequence[Call], answers: Sequence[Answer], ordinary: int, is_slow: bool, traced: Sequence[Answer]
) -> tuple[Call, ...]:
    """The calls that `__call__` is asked as well: those that the model answers, none of a slow one.

    Args:
      calls: those that were made.
      answers: to them.
      ordinary: how many of the first are ordinary ones, each made twice.
      is_slow: whether the model is.
      traced: what the traced model answers to the others: where that is something else, Python code decides, and no
        SavedModel answers so.
    """
    if is_slow:
        return ()
    first = [call for call, answer in zip(calls[:ordinary:2], answers[:ordinary:2], strict=True) if not answer.error]
    rest = zip(calls[ordinary:], answers[ordinary:], traced, strict=False)
    same = [c for c, one, other in rest if not (one.error or other.error) and _are_same(one.outputs, other.outputs)]
    return (*first, *same[:_MOST_MORE])


def _compared(
    loaded: Loaded,
    told: KerasShown,
    first: KerasShown,
    again: KerasShown,
    calls: Sequence[Call],
    runtime: Runtime,
    draws: Drawn,
    steady: Sequence[str],
    more: Sequence[Call],
    parts: Alone,
) -> KerasGolden:
    """What the model has shown, without what another load of it contradicts.

    Args:
      loaded: the model, compiled where it can be.
      told: what it said of itself.
      first: what another load has shown.
      again: the same of one more.
      calls: the one that both were called with, or none.
      runtime: what loaded them.
      draws: what random numbers reach in training.
      steady: the outputs that they do not reach.
      more: further calls, made as for prediction.
      parts: what its layers compute alone.
    """
    call = calls[0] if calls else None
    asks_training = call is not None and takes_mode(loaded, runtime)
    predicted = first.predicted
    if predicted is not None and again.predicted is not None:
        predicted = _agreed(predicted, again.predicted)
    trained = [_agreed(answer, other) for answer, other in zip(first.trained, again.trained, strict=True)]
    left = {name: value for name, value in first.states.items() if again.states.get(name) == value}
    shown = dataclasses.replace(
        told,
        layers=agreed_layers(told.layers, first.layers),
        losses=first.losses if first.losses == again.losses else None,
        predicted=predicted,
        trained=tuple(
            dataclasses.replace(a, outputs={n: v for n, v in a.outputs.items() if n not in draws.outputs})
            for a in trained
        ),
        states={name: value for name, value in left.items() if name not in draws.weights},
        gradients=_agreed_gradients(first.gradients, again.gradients),
        more=tuple(_agreed(answer, other) for answer, other in zip(first.more, again.more, strict=True)),
        computed=draws.computed,
        penalties=draws.penalties,
        alone=parts.computed,
        beside=parts.beside,
    )
    places = {name: number for number, name in enumerate(held_by(loaded))}
    known = predicted.outputs if predicted is not None else {}
    answered = [answer.outputs for answer in (*first.trained, *again.trained)]
    asked = KerasAsked(
        tuple(shown.layers),
        tuple(told.optimizer),
        call,
        nested_names(loaded, runtime) if call is not None else "",
        tuple(loaded.signature.outputs),
        STEPS if asks_training else 0,
        tuple(name for name in sorted(draws.outputs & known.keys()) if _never(answered, name, known[name])),
        tuple(steady) if asks_training else (),
        {name: places[name] for name in shown.gradients},
        tuple(more) if call is not None else (),
        tuple(sorted({path_of(name) for name in parts.computed})),
    )
    return KerasGolden(asked, shown)


def _agreed_gradients(first: Mapping[str, Array], again: Mapping[str, Array]) -> dict[str, Array]:
    """Gradients that two loads give alike; none where one of them has fewer."""
    if first.keys() != again.keys():
        return {}
    return {name: value for name, value in first.items() if np.array_equal(value, again[name], equal_nan=True)}


def _never(answered: Sequence[Mapping[str, Array]], name: str, value: Array) -> bool:
    """Whether no answer has a value."""
    return all(name in found and fingerprint(found[name]) != fingerprint(value) for found in answered)


def _agreed(answer: Answer, again: Answer) -> Answer:
    """An answer without the outputs that another one contradicts."""
    shaky = nondeterministic([Call("", {})], [answer], [again])
    return dataclasses.replace(answer, outputs={n: v for n, v in answer.outputs.items() if ("", n) not in shaky})


COMPILED = (
    "an eager call of the Keras model takes {seconds:.1f} seconds; one such call is among the golden answers, and the "
    "others are made through tf.function, which gives the same bits for the first one"
)
"""How the golden answers of a slow model are taken."""

_EAGER_SECONDS = 30.0
"""How long the eager calls of a model may take together, before it is compiled or called less often."""
_REPLAYED = 2 * (2 + 1)
"""How often a call is made at least: while calls are looked for, and twice in each of two runs."""
_USUAL_CALLS = 8


class _Asking:
    """Asks a loaded model: eagerly, and through tf.function once an eager call has turned out to be slow.

    Attributes:
      seconds: how long an eager call takes; 0 before the first one is answered.
      compiled: asks through tf.function; None where that is not needed, or gives other bits.
    """

    def __init__(self, loaded: Loaded) -> None:
        self._loaded = loaded
        self.seconds = 0.0
        self.compiled: Asker | None = None

    @property
    def is_slow(self) -> bool:
        """Whether all eager calls together take too long."""
        return self.seconds * _REPLAYED * _USUAL_CALLS > _EAGER_SECONDS

    def __call__(self, call: Call) -> Mapping[str, Array]:
        if self.compiled is not None:
            return self.compiled(call)
        found, seconds = self._timed(call)
        if not self.seconds:
            self.seconds = seconds
            if self.is_slow:
                # The first call of a process takes longer than the others.
                self.seconds = min(seconds, self._timed(call)[1])
            if self.is_slow:
                compiled = _compiled(self._loaded)
                other = answer_to(compiled, call)
                if not other.error and _are_same(found, other.outputs):
                    self.compiled = compiled
        return found

    def _timed(self, call: Call) -> tuple[Mapping[str, Array], float]:
        start = time.monotonic()
        return _eager(self._loaded)(call), time.monotonic() - start


def _are_same(found: Mapping[str, Array], other: Mapping[str, Array]) -> bool:
    """Whether two answers have the same bits."""
    return found.keys() == other.keys() and all(fingerprint(v) == fingerprint(other[n]) for n, v in found.items())


def _affordable(calls: tuple[Call, ...], asking: _Asking) -> tuple[tuple[Call, ...], tuple[str, ...]]:
    """Fewer calls, and a line that says so, of a slow model that tf.function does not answer for."""
    most = max(1, int(_EAGER_SECONDS / (asking.seconds * _REPLAYED))) if asking.seconds else len(calls)
    if asking.compiled is not None or not asking.is_slow or len(calls) <= most:
        return calls, ()
    why = f"an eager call takes {asking.seconds:.1f} seconds, and tf.function gives other bits"
    return calls[:most], (f"{len(calls) - most} of {len(calls)} calls: {why}",)


def _eager(loaded: Loaded) -> Asker:
    return lambda call: _ask(loaded, call)


def _compiled(loaded: Loaded) -> Asker:
    """Asks through tf.function, without XLA and (see `configure_eager`) without the graph optimiser."""
    function = tf.function(lambda inputs: ask(loaded, inputs))
    return lambda call: _arrays(function(_given(loaded, call)))


def _ask(loaded: Loaded, call: Call) -> Mapping[str, Array]:
    return _arrays(_tensors(loaded, call))


def _arrays(outputs: Mapping[str, Any]) -> Mapping[str, Array]:
    return {name: as_array(tensor.numpy()) for name, tensor in outputs.items()}


def _tensors(loaded: Loaded, call: Call) -> Mapping[str, Any]:
    return ask(loaded, _given(loaded, call))


def _given(loaded: Loaded, call: Call) -> dict[str, Any]:
    inputs = {}
    for name, value in call.inputs.items():
        if isinstance(value, SparseValue):
            raise TypeError(f"input {name!r} takes no sparse tensor")
        inputs[name] = tf.constant(value, dtype=loaded.signature.inputs[name].dtype)
    return inputs


def _accepted(loaded: Loaded, asking: _Asking, deadline: float, attempts: Attempts) -> tuple[tuple[Call, ...], str]:
    """The synthesised calls that the model accepts, or none and why."""

    signature = loaded.signature

    def attempt(call: Call, _: float) -> Attempt:
        refused = attempts.refuses(call)
        if refused:
            return None, refused
        found = answer_to(asking, call)
        if found.error:
            return None, f"no synthesised call is accepted: {found.error}: {found.message}"
        return call, ""

    (candidates,) = synthesise(_placeholders(signature), [signature])
    bounds = _index_bounds(loaded)
    if bounds:
        families = (tuple(_in_bounds(call, bounds) for call in family) for family in candidates.families)
        candidates = dataclasses.replace(candidates, families=families)
    found = probe(candidates, deadline, attempt)
    count(0, 0)
    return found


def _wider(loaded: Loaded, calls: Sequence[Call], deadline: float, attempts: Attempts) -> Chosen:
    """Further calls, see `keras_wider`; none of a model that cannot be traced."""
    signature = loaded.signature

    def asked(function: Callable[[Mapping[str, Any]], Any], call: Call) -> Answer:
        return answer_to(lambda call: _arrays(function(_given(loaded, call))), call)

    try:
        traced = trace(tf, signature, lambda inputs: ask(loaded, inputs), asked)
    except Exception:
        return Chosen()  # The export says why.
    inputs = dict(zip(signature.inputs, tf.nest.flatten(loaded.given), strict=True))
    words, numbers = vocabularies(loaded.model.layers, inputs, lambda layer: tf.nest.flatten(_input(layer)))
    facts = facts_of(signature, traced, _index_bounds(loaded), words, numbers)
    return choose(traced, facts, calls, lambda call: answer_to(_eager(loaded), call), attempts.refuses, deadline)


def _placeholders(signature: Signature) -> MetaGraphDef:
    """A graph of inputs alone, from which calls can be synthesised."""
    meta_graph = MetaGraphDef()
    for spec in signature.inputs.values():
        node = meta_graph.graph_def.node.add(name=spec.name.partition(":")[0], op="Placeholder")
        node.attr["dtype"].type = tf.dtypes.as_dtype(spec.dtype).as_datatype_enum
        node.attr["shape"].shape.CopyFrom(tf.TensorShape(spec.shape).as_proto())
    return meta_graph


def _index_bounds(loaded: Loaded) -> dict[str, int]:
    """How many rows the table has that an input is looked up in; an index beyond them is an error on the CPU."""
    inputs = tf.nest.flatten(loaded.given)
    bounds: dict[str, int] = {}
    for layer in loaded.model.layers:
        rows = getattr(layer, "input_dim", None) or getattr(layer, "num_tokens", None)
        if type(layer).__name__ not in ("Embedding", "CategoryEncoding") or not isinstance(rows, int):
            continue
        for name, tensor in zip(loaded.signature.inputs, inputs, strict=True):
            if any(tensor is given for given in tf.nest.flatten(_input(layer))):
                bounds[name] = min(rows, bounds.get(name, rows))
    return bounds


def _input(layer: Any) -> Any:
    """What goes into a layer; None for one of a subclassed model, which has none outside of a call."""
    try:
        return layer.input
    except (AttributeError, ValueError):
        return None


def _in_bounds(call: Call, bounds: Mapping[str, int]) -> Call:
    inputs = dict(call.inputs)
    for name, rows in bounds.items():
        value = inputs[name]
        if isinstance(value, np.ndarray) and value.any():
            random = np.random.default_rng(zlib.crc32(value.tobytes()))
            inputs[name] = random.integers(0, rows, value.shape).astype(value.dtype)
    return Call(call.signature, inputs)
