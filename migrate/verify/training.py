"""What a TF1 Hub module has for training, asked on the source and on a candidate.

TF1's users took the training graph, ran the collection UPDATE_OPS beside their own step, and added the collection
REGULARIZATION_LOSSES to their loss; a candidate has `__call__(inputs, training=True)` and `regularization_losses`.
TensorFlow starts here, and every import of it stands inside a function.
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from migrate.errors import first_line
from migrate.graph import contract
from migrate.graph.graph import canonical
from migrate.graph.protos import MetaGraphDef
from migrate.verify.arrays import as_array, fingerprint
from migrate.verify.calls import Array, Call, Trained
from migrate.verify.candidate_state import Layout, loaded_values, loaded_variables
from migrate.verify.compare import contradictions, nondeterministic
from migrate.verify.gradients import session_gradients, tape_gradients
from migrate.verify.load_source import fixed_feeds, source_loader
from migrate.verify.mapped_constants import op_of
from migrate.verify.messages import GoldenJob, TrainedAnswers
from migrate.verify.sessions import answer_to, feeds_of, fetches_of, fresh_session, run_session
from migrate.verify.source_state import tensors
from migrate.verify.variables import bodies_draw, may_draw, needed, reader, trainable, variables_of

_UPDATES, _LOSSES = "update_ops", "regularization_losses"  # tf.compat.v1.GraphKeys
_STEPS = 2
"""How often the call is made: what a step leaves shows in the next one."""


def golden_training(tf: Any, job: GoldenJob, call: Call | None) -> Trained | None:
    """Asks the training graph of a source, in two fresh sessions.

    Args:
      tf: the module.
      job: the source's; None is given back where it has no training graph.
      call: of the signature that `__call__` answers, or None where there is none.
    """
    if job.training is None:
        return None
    own = dataclasses.replace(job, meta_graph=job.training.meta_graph)
    _, load = source_loader(tf, own)
    asked = call if job.training.has_call else None
    first = _train(tf, own, load, asked, True)
    again = _train(tf, own, load, asked, False)
    shaky = nondeterministic(first.calls, first.answers, contradictions(first.answers, [again.answers]))
    answers = tuple(
        dataclasses.replace(a, outputs={n: v for n, v in a.outputs.items() if (c.signature, n) not in shaky})
        for c, a in zip(first.calls, first.answers, strict=True)
    )
    states = {name: value for name, value in first.states.items() if again.states.get(name) == value}
    gradients = {} if shaky else first.gradients
    return dataclasses.replace(
        first,
        answers=answers,
        states=states,
        gradients=gradients,
        asked=() if shaky else first.asked,
        has_losses=job.training.has_losses,
        losses_asked=first.losses_asked if job.training.has_losses else (),
    )


def _train(
    tf: Any, job: GoldenJob, load: Callable[[Any, Any, GoldenJob], None], call: Call | None, inline: bool
) -> Trained:
    meta_graph = MetaGraphDef.FromString(job.meta_graph)
    signatures = {s.key: s for s in contract.signatures(meta_graph)}
    with fresh_session(tf) as session:
        load(tf, session, job)
        fixed = fixed_feeds(tf, session, job)
        names = variables_of(session.graph)
        first = {name: group[0] for group in names.values() for name in group}
        trained = trainable(meta_graph)
        held = tuple(name for name, group in names.items() if not trained.isdisjoint(group))
        values = _losses(session, meta_graph, fixed)
        untrained = Trained(
            names=names,
            trainable=held,
            losses=tuple(map(fingerprint, values.values())),
            losses_asked=held if values and inline else (),
        )

        def with_losses(trained: Trained) -> Trained:
            if not trained.losses_asked:
                return trained
            groups = {name: names[name] for name in held}
            try:
                fetches = {name: name for name in values}
                found = session_gradients(tf, session, fetches, values, groups, fixed, is_sum=True)
            except Exception:
                return dataclasses.replace(trained, losses_asked=())  # TensorFlow 1 has no gradient of it, either.
            return dataclasses.replace(trained, loss_gradients=found)

        if call is None or call.signature not in signatures:
            return with_losses(untrained)
        signature = signatures[call.signature]
        fetches = fetches_of(signature.outputs)
        feeds = {**fixed, **feeds_of(call.inputs, signature.inputs)}
        updates = list(_updates(session, meta_graph, tensors(signature.inputs), fixed))
        targets = [*tensors(signature.outputs), *updates]
        runs = needed(session, targets, tensors(signature.inputs), fixed)
        if may_draw(map(op_of, runs), bodies_draw(meta_graph.graph_def.library)):
            return with_losses(untrained)
        used = dict.fromkeys(first[op.name] for op in runs if op.name in first)
        read = reader(tf, session, used)
        before = read()

        def ask(_: Call) -> Mapping[str, Array]:
            options = tf.compat.v1.RunOptions(inter_op_thread_pool=-1 if inline else 0)
            found, _ = session.run((fetches, updates), feeds, options=options)
            return {name: as_array(found[name]) for name in fetches}

        calls = (call,) * _STEPS
        answers = tuple(answer_to(ask, call) for call in calls)
        states = read()
        asked = tuple(name for name in held if name in used) if inline else ()
        gradients: Mapping[str, Array] = {}
        try:
            outputs = run_session(tf, session, fetches, feeds, inline=inline)
            groups = {name: names[name] for name in asked}
            gradients = session_gradients(tf, session, fetches, outputs, groups, feeds) if asked else {}
        except Exception:
            asked = ()  # TensorFlow 1 has no gradient of it, either.
        return with_losses(
            dataclasses.replace(
                untrained, calls=calls, answers=answers, before=before, states=states, asked=asked, gradients=gradients
            )
        )


def _collection(meta_graph: MetaGraphDef, key: str) -> list[str]:
    if key not in meta_graph.collection_def:
        return []
    return list(dict.fromkeys(meta_graph.collection_def[key].node_list.value))


def _updates(session: Any, meta_graph: MetaGraphDef, fed: Sequence[str], fixed: Mapping[str, Array]) -> Iterator[str]:
    """Names of the update ops that a call of a signature can run: they need no input of another one."""
    existing = {operation.name for operation in session.graph.get_operations()}
    for name in _collection(meta_graph, _UPDATES):
        node = canonical(name).partition(":")[0]
        if node in existing:
            behind = needed(session, [node], fed, fixed)
            if not any(op.type in ("Placeholder", "PlaceholderV2") for op in behind if f"{op.name}:0" not in fed):
                yield node


def _losses(session: Any, meta_graph: MetaGraphDef, fixed: Mapping[str, Array]) -> dict[str, Array]:
    """The values of the losses that depend on no input, before any call, by tensor name."""
    found = {}
    for name in _collection(meta_graph, _LOSSES):
        with contextlib.suppress(Exception):
            found[name] = as_array(session.run(canonical(name), dict(fixed)))
    return found


def train_candidate(
    tf: Any,
    layout: Layout,
    loaded: Any,
    trained: Trained,
    ask: Callable[[Call], Mapping[str, Any]],
) -> TrainedAnswers:
    """Makes the same calls of a candidate with `training=True`.

    Args:
      tf: the module.
      layout: of its variables.
      loaded: a fresh load of it.
      trained: what the source was asked.
      ask: calls it with `training=True`, for tensors.
    """

    def arrays(call: Call) -> Mapping[str, Array]:
        return {name: as_array(tensor.numpy()) for name, tensor in ask(call).items()}

    answers = tuple(answer_to(arrays, call) for call in trained.calls)
    left = loaded_values(layout, loaded)
    objects = loaded_variables(layout, loaded)
    of_losses: Mapping[str, Array] = {}
    with contextlib.suppress(Exception):  # What has no gradient is reported as lost.
        held = {n: objects[layout.names[n]] for n in trained.losses_asked if n in layout.names}
        of_losses = _loss_gradients(tf, loaded, held)
    chosen = {name: objects[layout.names[name]] for name in trained.asked if name in layout.names}
    if not chosen or not trained.calls:
        return TrainedAnswers(answers, left, loss_gradients=of_losses)
    try:
        gradients = tape_gradients(tf, lambda: ask(trained.calls[0]), chosen)
    except Exception as error:
        return TrainedAnswers(answers, left, {}, f"{type(error).__name__}: {first_line(error)}", of_losses)
    return TrainedAnswers(answers, left, gradients, loss_gradients=of_losses)


def _loss_gradients(tf: Any, loaded: Any, variables: Mapping[str, Any]) -> dict[str, Array]:
    """Gradients of the sum of a candidate's regularization losses."""
    losses = list(getattr(loaded, _LOSSES, ()))
    if not losses or not variables:
        return {}
    return tape_gradients(tf, lambda: {str(n): loss() for n, loss in enumerate(losses)}, variables, is_sum=True)
