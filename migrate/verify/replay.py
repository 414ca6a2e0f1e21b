"""The child's side for a source: loads it from the disk, makes the calls, writes down the answers.

TensorFlow starts here, and every import of it stands inside a function.
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any

from migrate.frozen import frozen
from migrate.graph.graph import canonical
from migrate.graph.protos import MetaGraphDef
from migrate.records import Failed, Signature
from migrate.verify.calls import (
    Answer,
    Array,
    Call,
    Fingerprint,
    Further,
    Golden,
)
from migrate.verify.compare import contradictions, nondeterministic
from migrate.verify.further import (
    alter,
    alterable,
    altered,
    ask_further,
    chosen_calls,
    counting,
    default_of,
    repeated,
    settled,
    thresholds_of,
)
from migrate.verify.load_source import Load, fixed_feeds, run_init_ops, source_loader
from migrate.verify.loading import UnsafeError
from migrate.verify.loads import Loads
from migrate.verify.looped_draws import looped_outputs
from migrate.verify.losses import Attempts, uncalled, without
from migrate.verify.messages import AlteredJob, GoldenJob, OptimisedJob, step_failed
from migrate.verify.named_runs import loaded_source
from migrate.verify.named_runs import source_answers as named_answers
from migrate.verify.own_requests import own_calls
from migrate.verify.probe import MORE_RUNS, REPLAYS, Accepted, accepted_calls
from migrate.verify.seeded import source_answers
from migrate.verify.seeds import seeded_ops
from migrate.verify.sessions import (
    answers_to,
    configure_eager,
    feeds_of,
    fetches_for,
    fetches_of,
    fresh_session,
    run_session,
)
from migrate.verify.source_state import Watch, source_reader, watch
from migrate.verify.table_contents import session_tables
from migrate.verify.training import golden_training


def twice(calls: Iterable[Call]) -> tuple[Call, ...]:
    """Every call two times in a row: a stateful model answers the second one otherwise."""
    return tuple(call for call in calls for _ in range(2))


def golden(job: GoldenJob) -> Golden | Failed:
    """Takes the golden answers: finds calls, then replays them in two (or more) fresh sessions."""
    import tensorflow as tf

    configure_eager(tf)
    try:
        loads = Loads(tf, job)
    except UnsafeError as error:
        return Failed(f"the source was not loaded: {error}")
    except Exception as error:
        return step_failed(error, "TensorFlow cannot load the source")
    with loads:
        return _golden(tf, job, loads)


def _golden(tf: Any, job: GoldenJob, loads: Loads) -> Golden | Failed:
    attempts = Attempts(job.lost)
    own, notes = _own_calls(tf, job, loads, attempts) if job.own else ((), ())
    named, more = named_answers(job.runs, loaded_source(tf, job, loads.load, loads.pruned), attempts)
    found = Accepted(job.calls) if job.calls else accepted_calls(tf, job, loads, attempts)
    skipped = {key: why for key, why in found.skipped.items() if key not in {call.signature for call in own}}
    # A user's calls go by their numbers in reports.
    calls = (*found.calls, *own) if job.calls else (*own, *found.calls)
    asked = {call.signature for call in calls}
    calls, wider, lost = without(calls, found.wider, job.lost)
    sequence, end = (*twice(calls), *wider), 2 * len(calls)
    signatures = {s.key: s for s in job.signatures}

    watches: list[Watch] = []

    def look(session: Any, fixed: Mapping[str, Array]) -> Watch:
        if not watches:
            watches.append(watch(tf, session, job, fixed))
        return watches[0]

    def replay(inline: bool, asks: Asks = _NOTHING_MORE) -> tuple[tuple[Answer, ...], State, Further]:
        # The runs after the first one are to show what other loads answer.
        session = loads.session(other=not inline)
        result = _replay_source(tf, job, session, sequence, inline, look=look, asks=asks, ordinary=end)
        if asks.further:
            loads.let_alter()
        return result

    # In two orders of execution: an output that depends on which of two unordered ops comes first shows itself. One
    # pair of runs may miss it by chance; so a model that does so, or that merely has state, is run more often.
    first, state, further = replay(True, Asks(further=job.full, gradients=job.full))
    again, other, same = replay(False, Asks(further=job.full, calls=repeated(further)))
    if loads.is_refilled and other.before != state.before:  # The restore op is not all that loading does.
        loads.close()
        again, other, same = replay(False, Asks(further=job.full, calls=repeated(further)))
    runs, states = [again], [other]
    stateful = nondeterministic(calls, first[:end:2], first[1:end:2])
    if stateful or nondeterministic(sequence[:end], first[:end], runs[0][:end]):
        for _ in range(MORE_RUNS):
            again, other, _ = replay(False)
            runs.append(again)
            states.append(other)
    loads.close()
    again = contradictions(first, runs)
    before = agreed(state.before, [other.before for other in states])
    midway = agreed(state.midway, [other.midway for other in states])
    left = agreed(state.left, [other.left for other in states])
    if job.calls:
        skipped = {key: "no call was given" for key in signatures if key not in asked}
    skipped |= uncalled(lost, {*signatures} - {*skipped}, calls)
    try:
        training = (
            golden_training(tf, job, further.called[0] if further.called is not None else None) if job.full else None
        )
    except UnsafeError as error:
        return Failed(f"the source's training graph was not loaded: {error}")
    except Exception as error:
        return step_failed(error, "TensorFlow cannot load the source's training graph")

    def afresh(seeded: GoldenJob, own: Sequence[Call], inline: bool) -> tuple[Answer, ...]:
        return _replay_source(tf, seeded, _loaded(tf, seeded, loads.load, pruned=loads.pruned), own, inline)[0]

    looped = _looped(job)
    shaky = nondeterministic(sequence[:end], first[:end], again[:end]) | {*looped}
    seeded = source_answers(job, sequence[:end], shaky, afresh) if job.full else ()
    return Golden(
        sequence,
        first,
        again,
        skipped,
        before,
        loads.loader,
        tf.__version__,
        left,
        (*notes, *more, *attempts.notes, *lost),
        seeded,
        watches[0].held,
        settled(further, same),
        training,
        named,
        once=len(wider),
        coverage=found.coverage,
        midway=midway,
        tables=agreed(state.tables, [other.tables for other in states] if watches[0].writers else []),
        looped=looped,
        unasked=unasked(job.signatures, calls),
    )


def unasked(signatures: Sequence[Signature], calls: Sequence[Call]) -> tuple[tuple[str, str], ...]:
    """The (signature, output) pairs of signatures that are called, for which no call asks."""
    found: list[tuple[str, str]] = []
    for signature in signatures:
        own = [call for call in calls if call.signature == signature.key]
        names = fetches_of(signature.outputs) if own else ()
        found += [(signature.key, name) for name in names if not any(call.asks_for(name) for call in own)]
    return tuple(found)


def _looped(job: GoldenJob) -> tuple[tuple[str, str], ...]:
    """The (signature, output) pairs of `looped_outputs`."""
    if not any(op.encode() in job.meta_graph for op in seeded_ops()):  # As most are: the graph is not parsed for it.
        return ()
    meta_graph = MetaGraphDef.FromString(job.meta_graph)
    found = []
    for signature in job.signatures:
        outputs = {name: canonical(tensor) for name, tensor in fetches_of(signature.outputs).items()}
        fed = [canonical(tensor) for spec in signature.inputs.values() for tensor in spec.tensors]
        names = looped_outputs(meta_graph, outputs, [*fed, *job.feeds])
        found += [(signature.key, name) for name in outputs if name in names]
    return tuple(found)


def _own_calls(tf: Any, job: GoldenJob, loads: Loads, attempts: Attempts) -> tuple[tuple[Call, ...], tuple[str, ...]]:
    signatures = {signature.key: signature for signature in job.signatures}
    with loads.session() as session:
        fixed = fixed_feeds(tf, session, job)

        def ask(call: Call) -> Mapping[str, Array]:
            signature = signatures[call.signature]
            feeds = {**fixed, **feeds_of(call.inputs, signature.inputs)}
            return run_session(tf, session, fetches_for(call, signature.outputs), feeds, job.seconds)

        return own_calls(job, ask, attempts, REPLAYS)


@frozen
class State:
    """What variables hold.

    Attributes:
      before: before the calls.
      midway: see `calls.Golden`.
      left: after the calls.
      tables: what lookup tables hold after the ordinary calls; nothing in a further run where no call changes one.
    """

    before: Mapping[str, Fingerprint] = dataclasses.field(default_factory=dict)
    midway: Mapping[str, Fingerprint] = dataclasses.field(default_factory=dict)
    left: Mapping[str, Fingerprint] = dataclasses.field(default_factory=dict)
    tables: Mapping[str, Fingerprint] = dataclasses.field(default_factory=dict)


def agreed(first: Mapping[str, Fingerprint], others: Iterable[Mapping[str, Fingerprint]]) -> dict[str, Fingerprint]:
    """What all runs say alike."""
    others = list(others)
    return {name: value for name, value in first.items() if all(other.get(name) == value for other in others)}


def optimised(job: OptimisedJob) -> tuple[Answer, ...] | Failed:
    """What the source answers with the graph optimiser on."""
    import tensorflow as tf

    configure_eager(tf)
    source = dataclasses.replace(job.source, is_optimised=True)
    try:
        _, load = source_loader(tf, source)
    except UnsafeError as error:
        return Failed(f"the source was not loaded: {error}")
    except Exception as error:
        return step_failed(error, "TensorFlow cannot load the source")
    session = _loaded(tf, source, load, optimised=True)
    return _replay_source(tf, source, session, source.calls, inline=True, optimised=True)[0]


def with_altered(job: AlteredJob) -> tuple[Answer, ...] | Failed:
    """What the source answers with other values in some variables and constants."""
    import tensorflow as tf

    configure_eager(tf)
    signatures = {s.key: s for s in job.source.signatures}
    try:
        _, load = source_loader(tf, job.source)
        with _loaded(tf, job.source, load) as session:
            fixed = fixed_feeds(tf, session, job.source)
            alter(tf, session, (group[0] for group in job.variables))
            tensors = {f"{name}:0": session.graph.get_tensor_by_name(f"{name}:0") for name in job.constants}
            fed = session.run({name: altered(tf, tensor) for name, tensor in tensors.items()})

            def ask(call: Call) -> Mapping[str, Array]:
                signature = signatures[call.signature]
                feeds = {**fed, **fixed, **feeds_of(call.inputs, signature.inputs)}
                return run_session(tf, session, fetches_for(call, signature.outputs), feeds)

            return answers_to(ask, job.source.calls)
    except UnsafeError as error:
        return Failed(f"the source was not loaded: {error}")
    except Exception as error:
        return step_failed(error, "the source cannot be asked with other weights")


@contextlib.contextmanager
def _loaded(tf: Any, job: GoldenJob, load: Load, optimised: bool = False, pruned: bool = True) -> Iterator[Any]:
    """A fresh Session on a source."""
    with fresh_session(tf, optimised, pruned) as session:
        load(tf, session, job)
        yield session


@frozen
class Asks:
    """What is asked of a source after its calls.

    Attributes:
      further: see `calls.Further`.
      gradients: also gradients.
      calls: those that are made again; None for the ones that `further.chosen_calls` takes.
    """

    further: bool = False
    gradients: bool = False
    calls: tuple[Call, ...] | None = None


_NOTHING_MORE = Asks()


def _behind_identities(tf: Any, graph: Any, fetches: Mapping[str, str]) -> dict[str, str]:
    return {name: tf.identity(graph.get_tensor_by_name(canonical(tensor))).name for name, tensor in fetches.items()}


def _replay_source(
    tf: Any,
    job: GoldenJob,
    opened: AbstractContextManager[Any],
    calls: Sequence[Call],
    inline: bool,
    optimised: bool = False,
    look: Callable[[Any, Mapping[str, Array]], Watch] | None = None,
    asks: Asks = _NOTHING_MORE,
    ordinary: int = 0,
) -> tuple[tuple[Answer, ...], State, Further]:
    """Answers to calls, in order, from a fresh session on the source; with `look` also what its variables hold."""
    signatures = {s.key: s for s in job.signatures}
    with opened as session:
        fixed = fixed_feeds(tf, session, job)
        fetches = {key: fetches_of(signature.outputs) for key, signature in signatures.items()}
        if optimised:
            # The optimiser leaves what is fetched as it is; in the new model an output is a function's inner node.
            fetches = {key: _behind_identities(tf, session.graph, names) for key, names in fetches.items()}

        def ask(call: Call) -> Mapping[str, Array]:
            feeds = {**fixed, **feeds_of(call.inputs, signatures[call.signature].inputs)}
            asked = {name: tensor for name, tensor in fetches[call.signature].items() if call.asks_for(name)}
            return run_session(tf, session, asked, feeds, inline=inline)

        if look is None:
            return answers_to(ask, calls), State(), Further()
        watched = look(session, fixed)
        read = source_reader(tf, session, watched)
        before = read()
        are_read = watched.tables and (inline or watched.writers)
        read_tables = session_tables(tf, session, watched.tables) if are_read else dict
        midway: dict[str, Fingerprint] = {}
        tables: dict[str, Fingerprint] = {}

        def pause() -> None:
            midway.update(read() if watched.writers else before)
            tables.update(read_tables())

        answers = answers_to(ask, calls, pause=(ordinary, pause))
        left = read() if watched.writers else before
        state = State(before, midway, left, tables if ordinary < len(calls) else read_tables())
        if not asks.further or watched.layout is not None:
            return answers, state, Further()

        def tensors(call: Call) -> tuple[Mapping[str, str], Mapping[str, Array]]:
            return fetches[call.signature], {**fixed, **feeds_of(call.inputs, signatures[call.signature].inputs)}

        counters = {name: watched.held.names[name] for name in sorted(counting(before, midway or left))}
        more = ask_further(
            tf,
            session,
            ask,
            [
                call
                for call in (chosen_calls(calls[:ordinary], answers[:ordinary]) if asks.calls is None else asks.calls)
                if call.signature not in watched.drawing
            ],
            default_of(signatures),
            {name: watched.held.names[name] for name in alterable(before, midway or left)},
            watched.trained if asks.gradients else {},
            tensors,
            lambda copy: run_init_ops(tf, copy, job),
            read if watched.writers else None,
            counters,
            thresholds_of(MetaGraphDef.FromString(job.meta_graph)) if counters else (),
            watched.written if asks.gradients else {},
        )
        return answers, state, more


def run(job: GoldenJob | OptimisedJob | AlteredJob) -> Golden | tuple[Answer, ...] | Failed:
    """Does a job, in the process that was made for it."""
    if isinstance(job, AlteredJob):
        return with_altered(job)
    return optimised(job) if isinstance(job, OptimisedJob) else golden(job)
