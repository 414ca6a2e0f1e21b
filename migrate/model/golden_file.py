"""Golden answers from elsewhere: whether they are of this model, and what they show of a new one."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

from migrate.errors import InputError
from migrate.export.provenance import source_digest
from migrate.model import confined_steps
from migrate.processes.forks import Runner
from migrate.records import Finding, Options, Severity, Signature, Verification
from migrate.sources.boundary import Boundary
from migrate.sources.files import digest_of
from migrate.verify import Ending
from migrate.verify.calls import Call
from migrate.verify.golden import Recorded, RecordedModel, load_golden
from migrate.verify.golden_replay import Bounds, replay_recorded

_DEFINED: Mapping[tuple[str, str], str] = {}
_SHOWN_DIGITS = 12


def read_golden(path: str, signatures: Sequence[Signature]) -> Recorded:
    """Reads a file with golden answers: of a recorder, or a log of a model server.

    Args:
      path: of the file.
      signatures: of the model; a log is read by them.

    Raises:
      InputError: it cannot be read, is damaged, or is no such file.
    """
    if path.endswith(".npz"):
        return load_golden(path)
    from migrate.verify.golden_logs import golden_of_logs

    return golden_of_logs(path, signatures)


def check_source(path: str, recorded: Recorded, digest: str, file: str, boundary: Boundary | None = None) -> None:
    """Says that golden answers are of another model than a source.

    Args:
      path: of the golden file.
      recorded: what it says.
      digest: SHA-256 of the source's file, as `Steps.digest` gives it.
      file: that file.
      boundary: where the source's files may be.

    Raises:
      InputError: they are.
    """
    if recorded.model is None:
        return
    if digest != recorded.model.sha256:
        raise _of_another(path, recorded.model, f"{file} has {digest[:_SHOWN_DIGITS]}...")
    folder = os.path.dirname(file)
    for name, said in recorded.model.files.items():
        beside = os.path.join(folder, name)
        # What a file says may not lead out of the model.
        if os.path.isabs(name) or ".." in name.split("/") or not os.path.isfile(beside):
            continue
        if digest_of(beside, boundary) != said:
            raise InputError(f"{path}: golden answers of another model: its {name} has other bytes than {beside}")


def check_candidate(
    path: str, recorded: Recorded, candidate: str, signatures: Sequence[Signature]
) -> tuple[Finding, ...]:
    """Says that golden answers are of another model than the one that a candidate was made of.

    Args:
      path: of the golden file.
      recorded: what it says.
      candidate: directory of the new model.
      signatures: the candidate's.

    Returns:
      a note, where nothing says of which model they are.

    Raises:
      InputError: they are.
    """
    said = source_digest(candidate)
    if recorded.model is not None and said is not None:
        own = os.path.join(candidate, "saved_model.pb")
        if recorded.model.sha256 not in (said, digest_of(own) if os.path.isfile(own) else said):
            raise _of_another(path, recorded.model, f"{candidate} was made of {said[:_SHOWN_DIGITS]}...")
        return ()
    by_key = {signature.key: signature for signature in signatures}
    for call in recorded.calls:
        wrong = _misfit(call, by_key)
        if wrong:
            raise InputError(f"{path}: golden answers of another model: {wrong}")
    lacking = "the golden file" if recorded.model is None else "the new model"
    message = f"{lacking} does not say which model the answers are of; their signatures and inputs fit"
    return (Finding("golden-model-unknown", Severity.NOTE, message),)


def _misfit(call: Call, by_key: Mapping[str, Signature]) -> str:
    if call.signature not in by_key:
        return f"it calls the signature {call.signature!r}, and this one has {', '.join(sorted(by_key)) or 'none'}"
    inputs = by_key[call.signature].inputs
    if inputs.keys() == call.inputs.keys():
        return ""
    names = [", ".join(sorted(names)) or "nothing" for names in (call.inputs, inputs)]
    return f"it gives {call.signature!r} {names[0]}, and this one takes {names[1]}"


def _of_another(path: str, model: RecordedModel, other: str) -> InputError:
    return InputError(
        f"{path}: golden answers of another model: of a {model.file} with SHA-256 {model.sha256[:_SHOWN_DIGITS]}..., "
        f"and {other}"
    )


def replay(
    recorded: Recorded,
    options: Options,
    nursery: Runner,
    signatures: Iterable[Signature],
    undefined: Mapping[tuple[str, str], str] = _DEFINED,
) -> Callable[[str], Verification | Ending]:
    """Gives what makes the recorded calls to the new model in a directory, and compares.

    Args:
      recorded: the golden answers.
      options: see `records.Options`.
      nursery: makes the child process.
      signatures: those of the new model whose outputs must all be compared.
      undefined: why no value can be compared, by (signature key, output) pairs.
    """
    file = options.golden or ""
    wanted = {signature.key: tuple(signature.outputs) for signature in signatures}

    def run(candidate: str) -> Verification | Ending:
        return replay_recorded(
            confined_steps.replaying(nursery, candidate, options),
            recorded,
            file,
            candidate,
            wanted,
            Bounds(options.max_absolute, options.max_relative),
            options.timeout,
            options.allow_side_effects,
            undefined,
        )

    return run


def without(recorded: Recorded, dropped: Collection[str]) -> Recorded:
    """The answers without those of signatures that the new model is not to have.

    Args:
      recorded: the golden answers.
      dropped: keys of the signatures.
    """
    import dataclasses

    kept = [n for n, call in enumerate(recorded.calls) if call.signature not in dropped]
    if len(kept) == len(recorded.calls):
        return recorded
    return dataclasses.replace(
        recorded,
        calls=tuple(recorded.calls[n] for n in kept),
        answers=tuple(recorded.answers[n] for n in kept),
        again=tuple(recorded.again[n] for n in kept),
    )
