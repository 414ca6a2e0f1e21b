"""Makes the calls of a golden file on a candidate, and compares its answers within bounds (`bounds.py`).

Importing it starts no TensorFlow; the child does (`candidate.py`).
"""

from __future__ import annotations

import collections
import dataclasses
from collections.abc import Collection, Iterable, Mapping, Sequence

from migrate.frozen import frozen
from migrate.processes.forks import Runner
from migrate.records import Crashed, Failed, GoldenFile, Mismatch, NearOutput, OutputDifference, TimedOut, Verification
from migrate.verify import dtypes
from migrate.verify.bounds import Closeness, close
from migrate.verify.calls import REFUSALS, Answer, Array
from migrate.verify.compare import ROUNDING, compare_optimised, show
from migrate.verify.differences import mismatch
from migrate.verify.golden import Recorded
from migrate.verify.losses import Lost, run_past_losses
from migrate.verify.messages import OPTIMISED, PATHS, CandidateJob, CandidateResult

_CANDIDATE = "migrate.verify.candidate"
_RANDOM = "the model of the golden file answers differently from run to run"
_NOT_ASKED = "no answer of the golden file has it"
_NO_CALL = "the golden file has no call of it"
_DEFINED: Mapping[tuple[str, str], str] = {}


@frozen
class Bounds:
    """How far floats may be off; see `bounds.close`."""

    absolute: float
    relative: float


def replay_recorded(
    nursery: Runner,
    recorded: Recorded,
    file: str,
    candidate_path: str,
    wanted: Mapping[str, Collection[str]],
    bounds: Bounds,
    timeout_seconds: float = 600.0,
    side_effects: bool = False,
    undefined: Mapping[tuple[str, str], str] = _DEFINED,
) -> Verification | Crashed | TimedOut | Failed:
    """Replays the calls on a candidate, in both ways in which users load it, and compares.

    Args:
      nursery: makes the child process.
      recorded: the golden answers.
      file: where they are from, for the report.
      candidate_path: directory of the TF2 SavedModel.
      wanted: names of the outputs that must be compared, by signature key.
      bounds: how far floats may be off.
      timeout_seconds: limit for the child process.
      side_effects: whether the candidate's signatures may have effects outside the process.
      undefined: (signature, output) pairs that are compared on names, dtypes and shapes alone, with the reason.

    Returns:
      what was compared and what differs; nothing of it is about anything but the calls. A candidate that cannot be
      loaded is `Failed`.
    """
    job = CandidateJob(candidate_path, recorded.calls, side_effects)

    def run(lost: tuple[Lost, ...], seconds: float) -> CandidateResult | Crashed | TimedOut | Failed:
        less = dataclasses.replace(job, lost=lost)
        this: CandidateResult | Crashed | TimedOut | Failed = nursery.run(
            "candidate", _CANDIDATE, less, CandidateResult | Failed, seconds
        )
        return this

    result = run_past_losses(run, timeout_seconds)
    if not isinstance(result, CandidateResult):
        return result
    if {path: len(answers) for path, answers in result.answers.items()} != dict.fromkeys(PATHS, len(recorded.calls)):
        return Crashed("candidate", 0, "its answers are not to the calls that were made")
    return compared(recorded, file, result.answers, wanted, bounds, undefined)


def compared(
    recorded: Recorded,
    file: str,
    answers: Mapping[str, Sequence[Answer]],
    wanted: Mapping[str, Collection[str]],
    bounds: Bounds,
    undefined: Mapping[tuple[str, str], str] = _DEFINED,
) -> Verification:
    """Compares a candidate's answers with the golden ones.

    Args:
      recorded: the golden answers.
      file: where they are from.
      answers: the candidate's, one a call, by the way in which it was loaded.
      wanted: names of the outputs that must be compared, by signature key.
      bounds: how far floats may be off.
      undefined: (signature, output) pairs that are compared on names, dtypes and shapes alone, with the reason.
    """
    shaky = {**dict.fromkeys(_contradicted(recorded, bounds), _RANDOM), **undefined}
    found = [
        _compared_path(recorded, given, path, bounds, shaky) for path, given in answers.items() if path != OPTIMISED
    ]
    mismatches = [m for one in found for m in one.mismatches]
    if OPTIMISED in answers:
        chosen = [n for n, answer in enumerate(recorded.answers) if not answer.error]
        calls = [recorded.calls[n] for n in chosen]
        first = [recorded.answers[n] for n in chosen]
        given = [_like(answers[OPTIMISED][n], recorded.answers[n], recorded.partial) for n in chosen]
        rounding = max(ROUNDING, bounds.relative)
        far = compare_optimised(calls, first, first, given, f"golden file, {OPTIMISED}", shaky, rounding)
        mismatches += [dataclasses.replace(m, call=chosen[m.call]) for m in far]
    by_output: dict[tuple[str, str], list[Closeness]] = collections.defaultdict(list)
    for one in found:
        for key, closeness in one.results:
            by_output[key].append(closeness)
    outputs = tuple(_near(*key, results) for key, results in by_output.items())
    answered = sum(1 for answer in recorded.answers if not answer.error)
    differing = {(m.signature, m.output) for m in mismatches}
    golden = GoldenFile(
        file,
        recorded.by,
        answered,
        bounds.absolute,
        bounds.relative,
        outputs,
        {**_unasked(recorded, wanted), **_unverified(recorded, outputs, shaky, wanted, differing)},
        (*recorded.notes, *(note for note in found[0].notes)),
    )
    return Verification(
        calls=answered,
        compared=sum(o.calls for o in outputs),
        values=sum(o.values for o in outputs),
        bitwise_equal=bool(outputs) and all(o.equal for o in outputs),
        max_abs_difference=max((o.largest for o in outputs), default=0.0),
        max_ulps=0,
        variables_compared=0,
        nondeterministic=tuple(sorted(f"{key}/{name}" for key, name in shaky)),
        mismatches=tuple(mismatches),
        skipped=dict(recorded.skipped),
        outputs=tuple(
            OutputDifference(o.signature, o.output, "golden file", o.calls, o.values, o.equal, o.largest, 0)
            for o in outputs
        ),
        unverified=dict(golden.unverified),
        golden=golden,
    )


@frozen
class _Compared:
    mismatches: tuple[Mismatch, ...]
    results: tuple[tuple[tuple[str, str], Closeness], ...]
    notes: tuple[str, ...]


def _compared_path(
    recorded: Recorded, answers: Sequence[Answer], path: str, bounds: Bounds, shaky: Collection[tuple[str, str]]
) -> _Compared:
    mismatches: list[Mismatch] = []
    results: list[tuple[tuple[str, str], Closeness]] = []
    notes: list[str] = []
    for number, (call, expected, answer) in enumerate(zip(recorded.calls, recorded.answers, answers, strict=True)):

        def report(code: str, output: str, reason: str, key: str = call.signature, number: int = number) -> None:
            mismatches.append(mismatch(code, f"golden file, {path}", reason, key, output, number))

        if expected.error and expected.error not in REFUSALS:
            # Of the machine, the time or the model's files: says nothing of what is computed.
            notes.append(f"call {number} of {call.signature!r} ended in {expected.error}: {expected.message}")
            continue
        if expected.error or answer.error:
            if bool(expected.error) != bool(answer.error):
                report("ending-differs", "", f"expected {_ending(expected)}, found {_ending(answer)}")
            continue
        found = _like(answer, expected, recorded.partial)
        for name in sorted(frozenset(expected.outputs) | frozenset(found.outputs)):
            if name not in found.outputs:
                report("output-missing", name, "the candidate does not answer this output")
            elif name not in expected.outputs:
                report("output-added", name, "the model of the golden file has no such output")
            else:
                a, b = expected.outputs[name], found.outputs[name]
                if _form(a) != _form(b):
                    if (call.signature, name) not in shaky or _rank(a) != _rank(b):
                        report("answer-form-differs", name, f"expected {_form(a)}, found {_form(b)}")
                elif (call.signature, name) not in shaky:
                    result = close(a, b, bounds.absolute, bounds.relative)
                    results.append(((call.signature, name), result))
                    if result.beyond:
                        report("golden-answer-differs", name, _described(a, b, result))
    return _Compared(tuple(mismatches), tuple(results), tuple(notes))


def _like(found: Answer, expected: Answer, partial: bool) -> Answer:
    """A candidate's answer with those outputs that the golden one may be compared with."""
    if not partial:
        return found
    return Answer({n: v for n, v in found.outputs.items() if n in expected.outputs}, found.error, found.message)


def _contradicted(recorded: Recorded, bounds: Bounds) -> frozenset[tuple[str, str]]:
    """The (signature, output) pairs on which two runs of the recorded model are further apart than the bounds."""
    return frozenset(
        (call.signature, name)
        for call, first, second in zip(recorded.calls, recorded.answers, recorded.again, strict=True)
        for name in _apart(first, second, bounds)
    )


def _apart(first: Answer, second: Answer, bounds: Bounds) -> Iterable[str]:
    if first is second:
        return ()
    names = frozenset(first.outputs) | frozenset(second.outputs)
    if first.error != second.error:
        return names
    return [
        name
        for name in names
        if name not in first.outputs
        or name not in second.outputs
        or _form(first.outputs[name]) != _form(second.outputs[name])
        or close(first.outputs[name], second.outputs[name], bounds.absolute, bounds.relative).beyond
    ]


def _near(signature: str, output: str, results: Sequence[Closeness]) -> NearOutput:
    return NearOutput(
        signature,
        output,
        len(results),
        sum(r.values for r in results),
        all(r.equal for r in results),
        max(r.largest for r in results),
        max(r.relative for r in results),
    )


def _unverified(
    recorded: Recorded,
    outputs: Sequence[NearOutput],
    shaky: Mapping[tuple[str, str], str],
    keys: Collection[str],
    differing: Collection[tuple[str, str]],
) -> dict[str, str]:
    """Why no value was compared, of signatures and of the outputs that the file has; what differs says so itself."""
    answered: dict[str, dict[str, None]] = {}
    for call, answer in zip(recorded.calls, recorded.answers, strict=True):
        answered.setdefault(call.signature, {}).update(dict.fromkeys(answer.outputs))
    counted = {(o.signature, o.output) for o in outputs if o.values} | {*differing}
    found: dict[str, str] = {}
    for key in keys:
        if key not in answered:
            found[key] = recorded.skipped.get(key, _NO_CALL)
    for key, names in answered.items():
        if not names:
            is_error = any(a.error for c, a in zip(recorded.calls, recorded.answers, strict=True) if c.signature == key)
            found[key] = "every call of it ended in an error" if is_error else "no answer to it has an output"
        for name in names:
            if (key, name) not in counted:
                found[f"{key}/{name}"] = shaky.get((key, name), "every answer was empty")
    return found


def _unasked(recorded: Recorded, wanted: Mapping[str, Collection[str]]) -> dict[str, str]:
    """The outputs that no answer has, of signatures that have answers."""
    known: dict[str, set[str]] = {}
    for call, answer in zip(recorded.calls, recorded.answers, strict=True):
        known.setdefault(call.signature, set()).update(answer.outputs)
    return {
        f"{key}/{name}": _NOT_ASKED
        for key, names in wanted.items()
        if known.get(key)
        for name in names
        # A sparse or composite output is in several parts, as in `sessions.fetches_of`.
        if known[key].isdisjoint((name, f"{name}/indices", f"{name}/0"))
    }


def _described(expected: Array, found: Array, result: Closeness) -> str:
    assert result.first is not None
    said = f"{result.beyond} of {result.values} values differ; at {list(result.first)} expected "
    said += f"{show(expected, result.first)}, found {show(found, result.first)}"
    if expected.dtype.kind in "OSUb":
        return said
    return f"{said}; largest difference {result.largest:g}, {result.relative:.1e} of the largest value in its tensor"


def _form(array: Array) -> str:
    return f"{dtypes.tf_name(array)} {list(array.shape)}"


def _rank(array: Array) -> tuple[str, int]:
    return dtypes.tf_name(array), array.ndim


def _ending(answer: Answer) -> str:
    return f"{answer.error} ({answer.message})" if answer.error else "an answer"


def covered(verification: Verification, golden: Verification) -> Verification:
    """What both comparisons show together: that with the source, and that with the golden file.

    Args:
      verification: of the candidate and its source.
      golden: of `replay_recorded`.
    """
    assert golden.golden is not None
    shown = golden.golden.compared
    lacking = tuple(golden.golden.unverified)
    signatures = {
        key
        for key in {o.signature for o in golden.golden.outputs}
        if not any(what == key or what.startswith(f"{key}/") for what in lacking)
    }
    left = {what: why for what, why in verification.unverified.items() if what not in shown and what not in signatures}
    return dataclasses.replace(
        verification,
        mismatches=(*verification.mismatches, *golden.mismatches),
        unverified=left,
        golden=golden.golden,
    )
