"""Replays the same calls on the old and on the new model, each from disk in its own child process, and
compares.

Importing it starts no TensorFlow; the children do (`replay.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence

from migrate.export.request import Request
from migrate.graph.protos import MetaGraphDef, TensorProto
from migrate.processes.forks import Runner
from migrate.records import Crashed, Failed, Mismatch, Signature, TimedOut, Verification
from migrate.sources.keras_source import Runtime
from migrate.sources.source import Source
from migrate.verify.calls import Answer, Call, CandidateCalls, Golden, SparseValue
from migrate.verify.compare import (
    Comparison,
    compare_calls,
    compare_optimised,
    compare_states,
    compare_variables,
    nondeterministic,
)
from migrate.verify.contract import PATH as CONTRACT
from migrate.verify.given import load_calls
from migrate.verify.golden import load_golden, save_golden
from migrate.verify.messages import (
    OPTIMISED,
    PATHS,
    CandidateJob,
    CandidateResult,
    GoldenJob,
    KerasGoldenJob,
    OptimisedJob,
)
from migrate.verify.requests import as_fed, synthesise

__all__ = [
    "Call",
    "CandidateCalls",
    "Comparison",
    "Golden",
    "SparseValue",
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

_MODULE = "migrate.verify.replay"  # Run in the child; importing it here would bring numpy and more.

# The rest of a child's time is for replaying what was found.
_PROBING_SHARE = 0.5


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
    variables: Mapping[str, tuple[str, str]],
    inputs: str | None = None,
    timeout_seconds: float = 600.0,
    feeds: Mapping[str, TensorProto] = _NO_FEEDS,
) -> Golden | Ending:
    """Takes the source's answers, before it is converted.

    Args:
      nursery: makes the child process.
      source: where the model's files are.
      meta_graph: its MetaGraphDef to be called.
      signatures: those to call, in the order in which to call them.
      variables: (checkpoint key, RestoreV2 slice spec or "") by variable name.
      inputs: path of the user's calls (`load_calls`), or None to synthesise them.
      timeout_seconds: limit for the child process.
      feeds: what each call feeds beside its inputs, by full tensor name.

    Returns:
      the golden answers. A signature that the source does not answer is in `Golden.skipped`; only a
      source that cannot be loaded is `Failed`.

    Raises:
      InputError: the file `inputs` cannot be read or does not fit the signatures.
    """
    calls = load_calls(inputs, as_fed(signatures, meta_graph)) if inputs is not None else ()
    try:
        serialized = meta_graph.SerializeToString()
    except ValueError as error:  # over 2 GB, the limit of a protocol buffer
        return Failed(f"the MetaGraphDef cannot be handed to a child process: {error}")
    job = GoldenJob(
        source.saved_model,
        serialized,
        tuple(signatures),
        source.checkpoint,
        source.assets_dir,
        calls,
        dict(variables),
        timeout_seconds * _PROBING_SHARE,
        _serialized(feeds),
    )
    return _sound(nursery.run("golden", _MODULE, job, Golden | Failed, timeout_seconds))


def record_keras_golden(
    nursery: Runner, request: Request, inputs: str | None = None, timeout_seconds: float = 600.0
) -> Golden | Ending:
    """Takes the predictions of a Keras model, before it is exported.

    Args:
      nursery: makes the child process.
      request: what to load, and what may be run for it.
      inputs: path of the user's calls (`load_calls`), or None to synthesise them.
      timeout_seconds: limit for the child process.

    Returns:
      the golden answers; their variables are the loaded model's.
    """
    job = KerasGoldenJob(request, inputs, timeout_seconds * _PROBING_SHARE)
    return _sound(nursery.run("golden", "migrate.verify.keras_replay", job, Golden | Failed, timeout_seconds))


def _sound(result: Golden | Ending) -> Golden | Ending:
    """A result whose parts fit each other; the types of the parts alone do not say so."""
    if isinstance(result, Golden) and not len(result.calls) == len(result.answers) == len(result.again):
        return Crashed("golden", 0, "its answers are not to the calls that it has made")
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
    job = GoldenJob(
        source.saved_model,
        meta_graph.SerializeToString(),
        tuple(signatures),
        source.checkpoint,
        source.assets_dir,
        golden.calls,
        {},
        timeout_seconds,
        _serialized(feeds),
    )
    result: tuple[Answer, ...] | Ending = nursery.run(
        "golden", _MODULE, OptimisedJob(job), tuple[Answer, ...] | Failed, timeout_seconds
    )
    if isinstance(result, tuple) and len(result) != len(golden.calls):
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
) -> Verification | Ending:
    """Replays the golden calls on a candidate, in both ways in which users load it, and compares.

    Args:
      nursery: makes the child process.
      golden: the source's answers.
      candidate_path: directory of the TF2 SavedModel. Where `assets.extra/migration.json` is in it, its
        `arguments`, `results` and `variables` say which argument, result and checkpoint key stands for which
        of the source's names.
      max_ulps: how far apart floats may be; 0 is bit for bit.
      timeout_seconds: limit for the child process.
      undefined: (signature, output) pairs that are compared on names, dtypes and shapes alone, with the reason.
      optimised: gives the source's answers with the graph optimiser on (`ask_optimised`). It is called where the
        optimised candidate is far from what the source answers without: the optimiser may have done that to both.
      side_effects: whether the candidate's signatures may have effects outside the process.
      failing: keys of signatures to which the source has no answer.

    Returns:
      what was compared and what differs; a candidate that cannot be loaded is `Failed`.
    """
    # Keras is asked eagerly.
    inline = golden.loader not in [runtime.value for runtime in Runtime]
    left = () if undefined else tuple(golden.states)
    job = CandidateJob(candidate_path, golden.calls, tuple(golden.variables), left, side_effects, inline)
    result: CandidateResult | Ending = nursery.run("candidate", _MODULE, job, CandidateResult | Failed, timeout_seconds)
    if not isinstance(result, CandidateResult):
        return result
    if result.answers.keys() != PATHS or any(len(a) != len(golden.calls) for a in result.answers.values()):
        return Crashed("candidate", 0, "its answers are not to the calls that were made")
    by_path = [
        compare_calls(golden.calls, golden.answers, golden.again, answers, path, max_ulps, undefined)
        for path, answers in result.answers.items()
        if path != OPTIMISED
    ]
    mismatches = tuple(m for comparison in by_path for m in comparison.mismatches)
    far = compare_optimised(golden.calls, golden.answers, golden.again, result.answers[OPTIMISED], OPTIMISED, undefined)
    if far and optimised is not None:
        answers = optimised()
        if not isinstance(answers, Crashed | TimedOut | Failed):
            shaky = nondeterministic(golden.calls, golden.answers, golden.again) | frozenset(undefined)
            both = compare_optimised(golden.calls, answers, answers, result.answers[OPTIMISED], OPTIMISED, shaky)
            far = tuple(m for m in far if (m.call, m.output) in {(b.call, b.output) for b in both})
    mismatches += far
    if result.variables is not None:
        # First, for a wrong variable explains wrong outputs.
        mismatches = (*compare_variables(golden.variables, result.variables, "checkpoint"), *mismatches)
    mismatches = (*compare_states(golden.states, result.states), *mismatches)
    if result.stale:
        reason = f"{', '.join(result.stale)} of it are not of the files beside it"
        mismatches = (Mismatch("", -1, "fingerprint.pb", CONTRACT, reason), *mismatches)
    return Verification(
        calls=sum(1 for answer in golden.answers if not answer.error),
        compared=sum(c.compared for c in by_path),
        values=sum(c.values for c in by_path),
        bitwise_equal=all(c.bitwise_equal for c in by_path),
        max_abs_difference=max((c.max_abs_difference for c in by_path), default=0.0),
        max_ulps=max((c.max_ulps for c in by_path), default=0),
        variables_compared=len(golden.variables) if result.variables is not None else 0,
        nondeterministic=tuple(sorted({name for c in by_path for name in c.nondeterministic})),
        mismatches=mismatches,
        skipped=dict(golden.skipped),
        outputs=tuple(output for c in by_path for output in c.outputs),
        unverified=_unverified(golden, by_path, result.variables is not None, undefined, failing),
    )


def _unverified(
    golden: Golden,
    by_path: Sequence[Comparison],
    has_variables: bool,
    undefined: Mapping[tuple[str, str], str],
    failing: Collection[str],
) -> dict[str, str]:
    """Of what no value was compared, and why; see `records.Verification`."""
    found = {key: why for key, why in golden.skipped.items() if key not in failing}
    counted = [{(o.signature, o.output) for o in c.outputs if o.values} for c in by_path]
    shaky = nondeterministic(golden.calls, golden.answers, golden.again)
    answered: dict[str, dict[str, None]] = {}
    for call, answer in zip(golden.calls, golden.answers, strict=True):
        answered.setdefault(call.signature, {}).update(dict.fromkeys(answer.outputs))
    for key, outputs in answered.items():
        if not outputs:
            found[key] = "every call of it ended in an error"
        for name in outputs:
            if all((key, name) in values for values in counted):
                continue
            if (key, name) in undefined:
                why = undefined[key, name]
            elif (key, name) in shaky:
                why = RANDOM
            else:
                why = "every answer was empty"
            found[f"{key}/{name}"] = why
    if golden.variables and not has_variables:
        found["variables"] = "the new model does not say which of its variables is which (assets.extra/migration.json)"
    return found
