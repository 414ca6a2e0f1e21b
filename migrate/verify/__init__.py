"""Replays the same calls on the old and on the new model, each from disk in its own child process, and
compares.

Importing it starts no TensorFlow; the children do (`replay.py`, `candidate.py`).
"""

from __future__ import annotations

import collections
import dataclasses
import os
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import TypeVar

from migrate.graph.graph import canonical
from migrate.graph.protos import MetaGraphDef, TensorProto
from migrate.keras_loader.request import Request
from migrate.processes.forks import Runner
from migrate.records import Crashed, Failed, JudgedOutput, Judgement, Mismatch, Signature, TimedOut, Verification
from migrate.sources.keras_source import Runtime
from migrate.sources.saved_model_files import WARM_UP
from migrate.sources.source import Source
from migrate.verify.calls import (
    NO_VALUE,
    Answer,
    Call,
    CandidateCalls,
    Fingerprint,
    Further,
    Golden,
    NamedRuns,
    SparseValue,
    Trained,
)
from migrate.verify.compare import (
    Comparison,
    compare_calls,
    compare_optimised,
    nondeterministic,
)
from migrate.verify.compare_seeded import compare_seeded
from migrate.verify.compare_state import compare_state
from migrate.verify.compare_surface import (
    FurtherComparison,
    compare_further,
    compare_keras_surface,
    compare_remade,
    compare_surface,
    compare_training,
    lost_gradients,
)
from migrate.verify.compare_tables import compare_tables
from migrate.verify.contract import PATH as CONTRACT
from migrate.verify.differences import mismatch
from migrate.verify.dtypes import FLOATS
from migrate.verify.given import load_calls, load_requests
from migrate.verify.golden import load_golden, save_golden
from migrate.verify.looped_draws import LOOPED
from migrate.verify.losses import ENDLESS, Lost, run_past_losses
from migrate.verify.mapped_constants import hollowed
from migrate.verify.messages import (
    OPTIMISED,
    PATHS,
    AlteredJob,
    CandidateJob,
    CandidateResult,
    GoldenJob,
    KerasGoldenJob,
    OptimisedJob,
    SeededCalls,
    Training,
)
from migrate.verify.object_graph import CALL
from migrate.verify.requests import as_fed, synthesise

__all__ = [
    "Call",
    "CandidateCalls",
    "Comparison",
    "Golden",
    "SparseValue",
    "ask_altered",
    "ask_optimised",
    "compare_calls",
    "load_calls",
    "load_golden",
    "record_golden",
    "record_keras_golden",
    "replay_candidate",
    "save_golden",
    "synthesise",
]

Ending = Crashed | TimedOut | Failed
"""What may come in the place of a result."""

Part = TypeVar("Part")

# Run in a child; importing them here would bring numpy and more.
_MODULE = "migrate.verify.replay"
_KERAS_MODULE = "migrate.verify.keras_replay"
_CANDIDATE = "migrate.verify.candidate"

PROBING_SHARE = 0.5
"""What of a child's time is for finding calls; the rest is for replaying what was found."""


DRAWN = "in TF1 it draws from one random sequence with other signatures"
"""Why no value of an output can be compared in calls of several signatures in turn."""

NOT_ASKED = "no call asks for it"
"""Why no value of an output was compared, where the user's calls ask for others."""

TF1 = "tf1"
"""TensorFlow 1.15.5 as a judge, see `records.Judgement`."""

RANDOM = "the source itself answers differently from run to run"
"""Why no value of an output can be compared, whatever it is called with."""

_NO_FEEDS: Mapping[str, TensorProto] = {}


_DEFINED: Mapping[tuple[str, str], str] = {}


def _serialized(feeds: Mapping[str, TensorProto]) -> dict[str, bytes]:
    return {tensor: value.SerializeToString() for tensor, value in feeds.items()}


def record_golden(
    nursery: Runner,
    source: Source,
    meta_graph: MetaGraphDef,
    signatures: Sequence[Signature],
    inputs: str | None = None,
    timeout_seconds: float = 600.0,
    feeds: Mapping[str, TensorProto] = _NO_FEEDS,
    full: bool = False,
    constants: bool | str = False,
    training: Training | None = None,
    kept: Mapping[str, Collection[str]] | None = None,
) -> Golden | Ending:
    """Takes the source's answers, before it is converted.

    Args:
      nursery: makes the child process.
      source: where the model's files are.
      meta_graph: its MetaGraphDef to be called.
      signatures: those to call, in the order in which to call them.
      inputs: path of the user's calls (`load_calls`), or None to synthesise them.
      timeout_seconds: limit for the child process.
      feeds: what each call feeds beside its inputs, by full tensor name.
      full: whether all is taken that `levels.FULL` compares.
      constants: which constants of the source may be variables of the new model, see `records.Options.variables`.
      training: what a TF1 Hub module has for training.
      kept: the tensor names that the new model keeps, see `named_runs.fitting`; None for all of them.

    Returns:
      the golden answers. A signature that the source does not answer is in `Golden.skipped`; only a
      source that cannot be loaded is `Failed`.

    Raises:
      InputError: the file `inputs` cannot be read or does not fit the signatures.
    """
    try:
        plain, notes = job_with_requests(
            source, meta_graph, signatures, inputs, timeout_seconds * PROBING_SHARE, feeds, kept, in_file=True
        )
    except ValueError as error:  # over 2 GB, the limit of a protocol buffer
        return Failed(f"the MetaGraphDef cannot be handed to a child process: {error}")
    job = dataclasses.replace(plain, full=full, constants=constants, training=training)
    result = _answered(nursery, _MODULE, job, timeout_seconds)
    return dataclasses.replace(result, notes=(*notes, *result.notes)) if isinstance(result, Golden) else result


def golden_job(
    source: Source,
    meta_graph: MetaGraphDef,
    signatures: Sequence[Signature],
    calls: tuple[Call, ...],
    seconds: float,
    feeds: Mapping[str, TensorProto] = _NO_FEEDS,
) -> GoldenJob:
    """A job that asks a source for its answers alone; arguments as in `record_golden`."""
    return GoldenJob(
        source.saved_model,
        meta_graph.SerializeToString(),
        tuple(signatures),
        source.checkpoint,
        source.assets_dir,
        calls,
        seconds,
        _serialized(feeds),
    )


def _in_file(
    source: Source,
    meta_graph: MetaGraphDef,
    signatures: Sequence[Signature],
    calls: tuple[Call, ...],
    seconds: float,
    feeds: Mapping[str, TensorProto],
) -> GoldenJob:
    """The same for a child of TensorFlow 2, which reads large constants from the source's file."""
    graph, held = hollowed(meta_graph, source.file, source.boundary) or (meta_graph, None)
    return dataclasses.replace(golden_job(source, graph, signatures, calls, seconds, feeds), held=held)


def job_with_requests(
    source: Source,
    meta_graph: MetaGraphDef,
    signatures: Sequence[Signature],
    inputs: str | None,
    seconds: float,
    feeds: Mapping[str, TensorProto],
    kept: Mapping[str, Collection[str]] | None,
    in_file: bool = False,
) -> tuple[GoldenJob, tuple[str, ...]]:
    """A `golden_job` with the user's calls and the model's own requests; arguments as in `record_golden`.

    With `in_file` the job is for TensorFlow 2, whose child reads large constants from the source's file.

    Returns:
      The job, and a line for each request that is not made.

    Raises:
      InputError: as `record_golden`.
      ValueError: the MetaGraphDef is over 2 GB.
    """
    fed = as_fed(signatures, meta_graph)
    calls, given = load_requests(inputs, fed) if inputs is not None else ((), ())
    make = _in_file if in_file else golden_job
    job = make(source, meta_graph, signatures, calls, seconds, feeds)
    if not given and not os.path.lexists(os.path.join(source.extra_dir, WARM_UP)):
        return job, ()
    # What few models have is imported where it is.
    from migrate.verify.named_runs import fitting
    from migrate.verify.warm_up import read_warm_up

    found = read_warm_up(source.extra_dir, fed, source.boundary)
    runs, notes = fitting((*found.runs, *given), kept)
    return dataclasses.replace(job, own=found.requests, runs=runs), (*found.notes, *notes)


def _unsure(golden: Golden) -> frozenset[tuple[int, str]]:
    """The outputs on which the source contradicts itself in one of the calls that are not ordinary, by its position."""
    more = zip(golden.calls, golden.answers, golden.again, strict=True)
    return frozenset(
        (number, output)
        for number, (call, first, again) in enumerate(more)
        if number >= golden.ordinary
        for _, output in nondeterministic((call,), (first,), (again,))
    )


def record_keras_golden(
    nursery: Runner, request: Request, inputs: str | None = None, timeout_seconds: float = 600.0, full: bool = False
) -> Golden | Ending:
    """Takes the predictions of a Keras model, before it is exported.

    Args:
      nursery: makes the child process.
      request: what to load, and what may be run for it.
      inputs: path of the user's calls (`load_calls`), or None to synthesise them.
      timeout_seconds: limit for the child process.
      full: whether all is taken that `levels.FULL` compares.

    Returns:
      the golden answers; their variables are the loaded model's.
    """
    job = KerasGoldenJob(request, inputs, timeout_seconds * PROBING_SHARE, full=full)
    return _answered(nursery, _KERAS_MODULE, job, timeout_seconds)


def _answered(nursery: Runner, module: str, job: GoldenJob | KerasGoldenJob, timeout_seconds: float) -> Golden | Ending:
    """The golden answers, without the calls that end or block a process."""

    def run(lost: tuple[Lost, ...], seconds: float) -> Golden | Ending:
        this: Golden | Ending = nursery.run(
            "golden", module, dataclasses.replace(job, lost=lost), Golden | Failed, seconds
        )
        return this

    result = run_past_losses(run, timeout_seconds)
    # The types of a result's parts alone do not say that they fit each other.
    if isinstance(result, Golden) and not len(result.calls) == len(result.answers) == len(result.again):
        return Crashed("golden", 0, "its answers are not to the calls that it has made")
    if isinstance(result, Crashed) and result.exit_code in ENDLESS:
        return Failed(f"a call of the source never ends: {ENDLESS[result.exit_code]}; give calls that do with --inputs")
    return result


def ask_optimised(
    nursery: Runner,
    source: Source,
    meta_graph: MetaGraphDef,
    signatures: Sequence[Signature],
    golden: Golden,
    timeout_seconds: float,
    feeds: Mapping[str, TensorProto] = _NO_FEEDS,
) -> tuple[Answer, ...] | Ending:
    """Makes the golden calls to the source once more, with the graph optimiser on; arguments as in `record_golden`."""
    job = _in_file(source, meta_graph, signatures, _chosen(golden, golden.calls), timeout_seconds, feeds)
    return _asked_again(nursery, OptimisedJob(job), len(job.calls), timeout_seconds)


def ask_altered(
    nursery: Runner,
    source: Source,
    meta_graph: MetaGraphDef,
    signatures: Sequence[Signature],
    golden: Golden,
    constants: Sequence[str],
    timeout_seconds: float,
    feeds: Mapping[str, TensorProto] = _NO_FEEDS,
) -> tuple[Answer, ...] | Ending:
    """Makes the calls of `golden.further` to the source with other values in its variables and in some constants.

    Args:
      nursery: makes the child process.
      source: see `record_golden`.
      meta_graph: see there.
      signatures: see there.
      golden: the source's answers.
      constants: names of the constants.
      timeout_seconds: see there.
      feeds: see there.
    """
    job = _in_file(source, meta_graph, signatures, golden.further.calls, timeout_seconds, feeds)
    asked = AlteredJob(job, golden.further.altered, tuple(constants))
    return _asked_again(nursery, asked, len(job.calls), timeout_seconds)


def _asked_again(
    nursery: Runner, job: OptimisedJob | AlteredJob, calls: int, timeout_seconds: float
) -> tuple[Answer, ...] | Ending:
    """The source's answers to calls that it has answered before, one each."""
    result: tuple[Answer, ...] | Ending = nursery.run(
        "golden", _MODULE, job, tuple[Answer, ...] | Failed, timeout_seconds
    )
    if isinstance(result, tuple) and len(result) != calls:
        return Crashed("golden", 0, "its answers are not to the calls that were made")
    return result


def replay_candidate(
    nursery: Runner,
    golden: Golden,
    candidate_path: str,
    max_ulps: int = 0,
    timeout_seconds: float = 600.0,
    undefined: Mapping[tuple[str, str], str] = _DEFINED,
    optimised: Callable[[], Sequence[Answer] | Ending] | None = None,
    side_effects: bool = False,
    failing: Collection[str] = (),
    full: bool = False,
    undefined_tensors: Collection[str] = (),
    altered: Callable[[Sequence[str]], Sequence[Answer] | Ending] | None = None,
) -> Verification | Ending:
    """Replays the golden calls on a candidate, in both ways in which users load it, and compares.

    Args:
      nursery: makes the child process.
      golden: the source's answers.
      candidate_path: directory of the TF2 SavedModel.
      max_ulps: how far apart floats may be; 0 is bit for bit.
      timeout_seconds: limit for the child process.
      undefined: (signature, output) pairs that are compared on names, dtypes and shapes alone, with the reason.
      optimised: gives the source's answers with the graph optimiser on (`ask_optimised`). It is called where the
        optimised candidate is far from what the source answers without: the optimiser may have done that to both.
      side_effects: whether the candidate's signatures may have effects outside the process.
      failing: keys of signatures to which the source has no answer.
      full: whether all is asked that `levels.FULL` compares.
      undefined_tensors: the same as `undefined` by full names, for runs that name tensors.
      altered: gives the source's answers with other values in constants (`ask_altered`), of which it takes the names.
        It is called where the candidate has variables of them.

    Returns:
      what was compared and what differs; a candidate that cannot be loaded is `Failed`.
    """
    undefined = {**dict.fromkeys(golden.looped, LOOPED), **undefined}
    # Keras is asked eagerly.
    inline = golden.loader not in [runtime.value for runtime in Runtime]
    seeded = tuple(SeededCalls(part.signature, part.calls, part.draws) for part in golden.seeded) if full else ()
    job = CandidateJob(
        candidate_path,
        golden.calls,
        side_effects,
        inline,
        full,
        seeded=seeded,
        further=_asked(golden.further),
        trained=_trained(golden.training),
        ordered=() if inline else tuple(golden.variables),
        runs=golden.named.runs,
        once=golden.once,
        refused=golden.refused,
        writes=bool(golden.held.writers),
        moved=tuple(node for name in golden.moved for node in golden.held.names.get(name, (name,))),
        tables=bool(golden.tables),
        constants=_remakable(golden) if altered is not None else (),
        keras=golden.keras.asked if golden.keras is not None else None,
    )

    left_out: list[Lost] = []

    def run(lost: tuple[Lost, ...], seconds: float) -> CandidateResult | Ending:
        left_out[:] = lost
        # A lost call is a mismatch; what is asked beside the calls would cost the process in the same way.
        if lost:
            asked = dataclasses.replace(
                job, lost=lost, seeded=(), further=Further(), trained=Trained(), constants=(), keras=None
            )
        else:
            asked = job
        this: CandidateResult | Ending = nursery.run("candidate", _CANDIDATE, asked, CandidateResult | Failed, seconds)
        return this

    result = run_past_losses(run, timeout_seconds)
    if left_out:
        golden = dataclasses.replace(golden, seeded=(), further=Further(), training=None, keras=None)
    if not isinstance(result, CandidateResult):
        return result
    chosen = _chosen(golden, range(len(golden.calls)))
    wanted = {path: len(chosen) if path == OPTIMISED else len(golden.calls) for path in PATHS}
    found = {path: len(answers) for path, answers in result.answers.items()}
    if found != wanted or len(result.named) != len(golden.named.runs):
        return Crashed("candidate", 0, "its answers are not to the calls that were made")
    same_counted = len(result.further.counted) == len(golden.further.counted)
    if len(result.further.answers) != len(golden.further.calls) or not same_counted:
        return Crashed("candidate", 0, "its further answers are not to the calls that were made")
    if golden.training is not None and len(result.training.answers) != len(golden.training.calls):
        return Crashed("candidate", 0, "its answers in training are not to the calls that were made")
    is_tf1_alone = golden.tf1.judges == (TF1,)
    bounds = golden.tf1.bounds if is_tf1_alone else None
    by_path = [
        compare_calls(
            golden.calls, golden.answers, golden.again, answers, path, max_ulps, undefined, golden.once, bounds
        )
        for path, answers in result.answers.items()
        if path != OPTIMISED
    ]
    mismatches = tuple(m for comparison in by_path for m in comparison.mismatches)
    by_seed = compare_seeded(
        golden.seeded, result.seeded, max_ulps, [k for k, why in undefined.items() if why not in (DRAWN, LOOPED)]
    )
    mismatches += tuple(m for comparison in by_seed for m in comparison.mismatches)
    named = _compare_named(golden.named, result.named, max_ulps, undefined_tensors, bounds)
    mismatches += tuple(m for comparison in named for m in comparison.mismatches)
    calls, first, again = _chosen(golden, golden.calls), _chosen(golden, golden.answers), _chosen(golden, golden.again)
    far = compare_optimised(calls, first, again, result.answers[OPTIMISED], OPTIMISED, undefined)
    if far and optimised is not None:
        answers = optimised()
        if not isinstance(answers, Crashed | TimedOut | Failed):
            shaky = nondeterministic(calls, first, again) | frozenset(undefined)
            both = compare_optimised(calls, answers, answers, result.answers[OPTIMISED], OPTIMISED, shaky)
            far = tuple(m for m in far if (m.call, m.output) in {(b.call, b.output) for b in both})
    mismatches += tuple(dataclasses.replace(m, call=chosen[m.call]) for m in far)
    variables = compare_state(_defined(golden, undefined), result.state, not inline)
    shaky = nondeterministic(calls, first, again) | frozenset(undefined)
    has_call = CALL in result.surface.attributes
    further = compare_further(golden, result.further, result.state, shaky, has_call, max_ulps)
    remade: tuple[Mismatch, ...] | str = ()
    if result.further.remade and altered is not None:
        expected = altered(result.further.remade)
        remade = (
            compare_remade(golden, expected, result.further, shaky, has_call, max_ulps)
            if isinstance(expected, tuple)
            else f"the source gave no answers with other values in its constants: {expected}"
        )
    training = compare_training(golden, result.training, result.state, max_ulps)
    keras = _keras(golden, result, max_ulps)
    lost = {**further.lost, **training.lost, **keras.lost}
    if result.has_gradients and inline:
        mismatches += lost_gradients(
            lost, {**result.further.lost, **dict.fromkeys(training.lost, result.training.lost)}
        )
        lost = {}
    elif not result.has_gradients:
        # No gradient was computed of these in TF1, so that where others have gradients this is no fault.
        lost |= {key: names for key, names in golden.further.written.items() if key in result.further.lost}
    # First, for a wrong variable explains wrong outputs.
    mismatches = (
        *variables.mismatches,
        *compare_tables(_defined_tables(golden, undefined), result.state.tables),
        *(_surface(golden, result, inline) if full and not left_out else ()),
        *mismatches,
        *further.mismatches,
        *(remade if isinstance(remade, tuple) else ()),
        *training.mismatches,
        *keras.mismatches,
    )
    if result.stale:
        reason = f"{', '.join(result.stale)} of it are not of the files beside it"
        mismatches = (mismatch("fingerprint-stale", CONTRACT, reason, "", "fingerprint.pb"), *mismatches)
    every = (*by_path, *by_seed)
    telling = [c for c in every if c.values or c.mismatches]
    return Verification(
        calls=sum(1 for answer in golden.answers if not answer.error),
        compared=sum(c.compared for c in (*every, *named)),
        values=sum(c.values for c in every),
        bitwise_equal=bool(telling) and all(c.bitwise_equal for c in telling),
        max_abs_difference=max((c.max_abs_difference for c in every), default=0.0),
        max_ulps=max((c.max_ulps for c in every), default=0),
        variables_compared=variables.compared,
        gradients_compared=further.gradients + training.gradients + keras.gradients,
        lost_gradients=lost,
        nondeterministic=tuple(sorted({name for c in by_path for name in c.nondeterministic})),
        mismatches=mismatches,
        skipped=dict(golden.skipped),
        outputs=tuple(output for c in every for output in c.outputs),
        seeded=tuple(sorted({f"{o.signature}/{o.output}" for c in by_seed for o in c.outputs})),
        subnormal=sum(c.subnormal for c in every),
        unverified={
            **_unverified(golden, by_path, by_seed, variables.unverified, undefined, failing),
            **({"variables": remade} if isinstance(remade, str) else {}),
        },
        coverage=golden.coverage,
        judgement=_judged(golden, result.answers, undefined),
    )


def _judged(
    golden: Golden, answers: Mapping[str, Sequence[Answer]], undefined: Mapping[tuple[str, str], str]
) -> Judgement:
    """How far a candidate is from what TensorFlow 1 answers."""
    tf1 = golden.tf1
    outputs: tuple[JudgedOutput, ...] = ()
    if tf1.answers:
        from migrate.verify.compare_tf1 import compare_with_tf1

        end = golden.ordinary
        shaky = nondeterministic(golden.calls[:end], golden.answers[:end], golden.again[:end]) | frozenset(undefined)
        ways = {path: found for path, found in answers.items() if path != OPTIMISED}
        outputs = compare_with_tf1(golden.calls, tf1.answers, ways, tf1.bounds, shaky, _unsure(golden))
    return Judgement(tf1.judges, tf1.reason, tf1.version, tf1.confined, outputs)


def _chosen(golden: Golden, values: Sequence[Part]) -> tuple[Part, ...]:
    """What belongs to the calls that are made with the graph optimiser on, too.

    These are the ordinary ones, and those that the source refuses: the optimiser drops a check that nothing asks for.
    """
    return (*values[: golden.ordinary], *(values[number] for number in golden.refused))


def _asked(further: Further) -> Further:
    """What was asked, without the answers."""
    called = None if further.called is None else (further.called[0], Answer({}))
    states = dict.fromkeys(further.states, NO_VALUE)
    counted_states = dict.fromkeys(further.counted_states, NO_VALUE)
    return dataclasses.replace(
        further,
        called=called,
        answers=(),
        states=states,
        gradients={},
        counted=(),
        counted_states=counted_states,
    )


def _remakable(golden: Golden) -> tuple[str, ...]:
    """Constants of which the candidate may have variables; none where calls change state, which a load forgets."""
    if golden.held.writers or not golden.further.calls:
        return ()
    return tuple(name for name, value in golden.held.constants.items() if value.dtype in FLOATS)


def _trained(training: Trained | None) -> Trained:
    """What was asked of a training graph, without the answers."""
    if training is None:
        return Trained()
    return Trained(calls=training.calls, asked=training.asked, losses_asked=training.losses_asked)


def _keras(golden: Golden, result: CandidateResult, max_ulps: int) -> FurtherComparison:
    if golden.keras is None:
        return FurtherComparison((), 0, {})
    from migrate.verify.compare_keras import compare_keras

    return compare_keras(golden, golden.keras, result, max_ulps)


def _surface(golden: Golden, result: CandidateResult, is_graph: bool) -> tuple[Mismatch, ...]:
    """A TF2 SavedModel as the source has attributes of its own."""
    if not is_graph:
        return compare_keras_surface(golden, result.surface, result.state)
    is_tf1 = bool(golden.held.names or not golden.variables)
    return compare_surface(golden, result.surface, result.state) if is_tf1 else ()


def _defined(golden: Golden, undefined: Mapping[tuple[str, str], str]) -> Golden:
    """The answers without those states that TF1 may not define.

    Where an output has no defined answer, or a call that may change variables fails half way, what the source leaves
    unchanged is compared alone.
    """
    states = _defined_states(golden, golden.states, golden.answers, bool(undefined))
    midway = _defined_states(golden, golden.midway, golden.answers[: golden.ordinary], bool(undefined))
    return dataclasses.replace(golden, states=states, midway=midway)


def _defined_tables(golden: Golden, undefined: Mapping[tuple[str, str], str]) -> Mapping[str, Fingerprint]:
    """What tables hold, where TF1 defines it: see `_defined`."""
    ordinary = zip(golden.calls[: golden.ordinary], golden.answers, strict=False)
    failed = {call.signature for call, answer in ordinary if answer.error}
    writers = golden.held.writers
    is_defined = writers is not None and not (undefined and writers) and not failed & {*writers}
    return golden.tables if is_defined else {}


def _defined_states(
    golden: Golden, states: Mapping[str, Fingerprint], answers: Sequence[Answer], is_undefined: bool
) -> Mapping[str, Fingerprint]:
    writers = golden.held.writers
    failed = {call.signature for call, answer in zip(golden.calls, answers, strict=False) if answer.error}
    if not is_undefined and not (failed if writers is None else failed & {*writers}):
        return states
    return {name: value for name, value in states.items() if golden.variables.get(name) == value}


def _compare_named(
    golden: NamedRuns,
    found: Sequence[Answer],
    max_ulps: int,
    undefined_tensors: Collection[str],
    bounds: tuple[float, float] | None,
) -> tuple[Comparison, ...]:
    """Compares the answers to runs that name tensors; nothing where there are none."""
    if not golden.runs:
        return ()
    from migrate.verify.named_runs import PATH, as_call

    calls = [as_call(run) for run in golden.runs]
    undefined = {
        (call.signature, tensor)
        for call, run in zip(calls, golden.runs, strict=True)
        for tensor in run.fetches
        if canonical(tensor) in undefined_tensors
    }
    return (compare_calls(calls, golden.answers, golden.again, found, PATH, max_ulps, undefined, bounds=bounds),)


def _unverified(
    golden: Golden,
    by_path: Sequence[Comparison],
    by_seed: Sequence[Comparison],
    variables: str,
    undefined: Mapping[tuple[str, str], str],
    failing: Collection[str],
) -> dict[str, str]:
    """Of what no value was compared, and why; see `records.Verification`."""
    found = {key: why for key, why in golden.skipped.items() if key not in failing}
    found |= {f"{key}/{name}": NOT_ASKED for key, name in golden.unasked if key not in failing}
    counted = [{(o.signature, o.output) for o in c.outputs if o.values} for c in by_path]
    under_seeds = collections.Counter((o.signature, o.output) for c in by_seed for o in c.outputs if o.values)
    end = golden.ordinary
    shaky = nondeterministic(golden.calls[:end], golden.answers[:end], golden.again[:end])
    answered: dict[str, dict[str, None]] = {}
    for call, answer in zip(golden.calls, golden.answers, strict=True):
        answered.setdefault(call.signature, {}).update(dict.fromkeys(answer.outputs))
    for key, outputs in answered.items():
        if not outputs:
            found[key] = "every call of it ended in an error"
        for name in outputs:
            if all((key, name) in values for values in counted) or under_seeds[key, name] == len(counted):
                continue
            if (key, name) in undefined:
                why = undefined[key, name]
            elif (key, name) in shaky:
                why = RANDOM
            else:
                why = "every answer was empty"
            found[f"{key}/{name}"] = why
    if variables:
        found["variables"] = variables
    return found
