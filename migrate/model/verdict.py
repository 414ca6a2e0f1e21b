"""What the calls on a candidate mean for its model, in outcomes and in words."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence

from migrate.checks.side_effects import RISKS
from migrate.errors import count_words, first_few
from migrate.escapes import quoted
from migrate.export.provenance import is_damaged, is_edited, source_digest, source_said
from migrate.levels import FULL, reaches
from migrate.model.file_checks import bounded, candidate_read
from migrate.model.judges import BOTH, install_hint
from migrate.model.proofs import structure_alone, unexplained, with_structure
from migrate.model.steps import DRAWN, UNORDERED, Steps
from migrate.records import (
    Crashed,
    Failed,
    Finding,
    Mismatch,
    Mismatched,
    ModelReport,
    Options,
    Severity,
    Structure,
    TimedOut,
    Unverified,
    Verification,
)
from migrate.verify import RANDOM, Ending
from migrate.verify.calls import Golden
from migrate.verify.compare_surface import GRADIENT, SURFACE
from migrate.verify.contract import PATH as CONTRACT
from migrate.verify.contract import Candidate
from migrate.verify.differences import UNANSWERING, mismatch
from migrate.verify.golden_replay import covered
from migrate.verify.loadable import CODE as UNLOADABLE
from migrate.verify.looped_draws import LOOPED
from migrate.verify.losses import BLOCKS
from migrate.verify.saved_objects import ROOT

Calls = Callable[[ModelReport], tuple[str, Mapping[str, str]]]
"""Makes a file with calls to begin with, see `inputs_template.calls_of`."""

_TEMPLATE_LINES, _TEMPLATE_CHARACTERS = 300, 20_000
"""A larger file with calls is not shown in a report."""
_WHATEVER_IS_CALLED = (DRAWN, LOOPED, UNORDERED, RANDOM)
"""Reasons for which no value is compared, whatever the calls are."""


def compared(
    steps: Steps,
    golden: Golden | None,
    directory: str,
    options: Options,
    broken: tuple[Mismatch, ...] | None = None,
    golden_file: Callable[[str], Verification | Ending] | None = None,
) -> Verification | Ending:
    """What calls show of a candidate, and before it what no call shows.

    A candidate that TensorFlow cannot load is not opened.

    Args:
      steps: of the source.
      golden: its answers; None where it gave none, and there is a golden file.
      directory: the candidate's.
      options: see `records.Options`.
      broken: the result of `contract`; None if it was not asked yet.
      golden_file: compares the candidate with golden answers from elsewhere.

    Raises:
      InputError: the candidate cannot be read.
    """
    broken, structure = _told(steps, directory, options, broken)
    if is_unloadable(broken):
        return without_calls(broken)
    result = _replayed(steps, golden, directory, golden_file)
    if isinstance(result, Verification):
        if reaches(options.verify, FULL):  # The loaded object has told of its attributes itself.
            broken = tuple(m for m in broken if m.code != "attribute-differs" or m.output == ROOT)
        result = dataclasses.replace(result, mismatches=(*broken, *result.mismatches), level=options.verify)
        return with_structure(result, structure)
    if all(difference.is_note for difference in broken):
        return result
    return without_calls((*broken, mismatch(UNANSWERING, CONTRACT, _ended(result))))


def _told(
    steps: Steps, directory: str, options: Options, broken: tuple[Mismatch, ...] | None
) -> tuple[tuple[Mismatch, ...], Structure | None]:
    """What files tell of a candidate that is run: the result of `contract`, unless it is known, and what is proved."""
    with candidate_read(directory, options) as read:
        candidate = Candidate(directory, read.meta_graphs, read.saved_model is not None)
        if broken is None:
            broken = steps.contract(candidate)
    if is_unloadable(broken) or steps.prove is None:
        return broken, None
    with bounded(directory, options):
        structure = steps.prove(candidate, True)
    return unexplained(broken, structure), structure


def _replayed(
    steps: Steps,
    golden: Golden | None,
    directory: str,
    golden_file: Callable[[str], Verification | Ending] | None,
) -> Verification | Ending:
    """What the calls to the source show, those of a golden file, or both."""
    result = steps.replay(golden, directory) if golden is not None else None
    if golden_file is None or isinstance(result, Crashed | TimedOut | Failed):
        assert result is not None
        return result
    near = golden_file(directory)
    return covered(result, near) if result is not None and isinstance(near, Verification) else near


def golden_file_alone(why: Ending | Finding) -> Finding:
    """Says that a source gave no answers here, or was not asked, so that those of the golden file are the only ones."""
    told = _ended(why) if not isinstance(why, Finding) else why.message
    if isinstance(why, Finding) and why.code != "unverified":
        told = f"not run: {told}"
    return Finding(
        "golden-file-alone",
        Severity.WARNING,
        f"the source gave no answers here ({told.rstrip('.')}): the golden file alone says what it answers",
    )


def contract(steps: Steps, directory: str, options: Options) -> tuple[Mismatch, ...]:
    """What no call shows of a candidate, told by its files.

    Raises:
      InputError: the candidate cannot be read.
    """
    with candidate_read(directory, options) as read:
        return steps.contract(Candidate(directory, read.meta_graphs, read.saved_model is not None))


def proved_alone(steps: Steps, directory: str, options: Options) -> Verification | None:
    """What the files show of a candidate whose source was not run; None where the source has no graph.

    Raises:
      InputError: the candidate cannot be read.
    """
    broken = contract(steps, directory, options)
    if is_unloadable(broken):
        return without_calls(broken)
    if steps.prove is None:
        return None
    with candidate_read(directory, options) as read:
        structure = steps.prove(Candidate(directory, read.meta_graphs, read.saved_model is not None), False)
    return dataclasses.replace(structure_alone(structure, options.verify), mismatches=unexplained(broken, structure))


def is_unloadable(broken: Sequence[Mismatch]) -> bool:
    """Whether TensorFlow cannot load a candidate, so that it is not opened."""
    return any(difference.code == UNLOADABLE for difference in broken)


def without_calls(broken: tuple[Mismatch, ...]) -> Verification:
    """What is known of a candidate to which no call was made."""
    return Verification(0, 0, 0, False, 0.0, 0, 0, (), broken, {})


def _ended(ending: Ending) -> str:
    """How a process that asked a candidate has ended, in a few words."""
    match ending:
        case Failed(reason=reason):
            return reason
        case Crashed(exit_code=code):
            return f"the process that opened it died ({f'signal {-code}' if code < 0 else f'exit code {code}'})"
        case TimedOut(seconds=seconds):
            return f"it gave no answers within {seconds:g} seconds"


def judge(
    result: Verification | Ending,
) -> tuple[Mismatched | Unverified | Ending | None, Verification | None]:
    """What a replay means: an outcome other than success, or None."""
    if not isinstance(result, Verification):
        return result, None
    if result.breaking:
        return Mismatched(_differs(result.breaking)), result
    if not result.passed:
        return Unverified(_not_compared(result)), result
    return None, result


def risk_of(report: ModelReport, options: Options) -> Finding | None:
    """Why a model is not run, where the user has not allowed that."""
    if options.allow_side_effects:
        return None
    return next((finding for finding in report.findings if finding.code in RISKS), None)


def made_of(candidate: str, steps: Steps) -> tuple[Finding, ...]:
    """Says that a candidate calls something else its source, or was edited. Nothing that it says is believed."""
    found = []
    if is_damaged(candidate):
        found.append(("it cannot be read", "convert the model again"))
    said = source_digest(candidate)
    digest = steps.digest() if said is not None else None
    if said != digest:
        told = f"it says that the candidate was made of a file of SHA-256 {said}, not {digest}"
        found.append((told, "pass the source that it was made of"))
    source = source_said(candidate)
    others = {key: (source[key], value) for key, value in steps.described.items() if source.get(key, value) != value}
    if others:
        told = ", ".join(f"{key} {theirs!r}, not {ours!r}" for key, (theirs, ours) in others.items())
        found.append((f"it says that the candidate was made of {told}", "pass the source that it was made of"))
    if is_edited(candidate):
        told = "it has the digest of another saved_model.pb: somebody has changed this one"
        found.append((told, "convert the model again, or find out what was changed"))
    return tuple(
        Finding("provenance-differs", Severity.WARNING, f"assets.extra/migration.json: {told}", (), hint)
        for told, hint in found
    )


def not_run(risk: Finding) -> Finding:
    """Says that a model is not run."""
    if risk.code == "unverified":
        return risk
    return Finding(
        "unverified",
        Severity.WARNING,
        f"the model was not run: {risk.message}",
        risk.nodes,
        "run it with --allow_side_effects, or publish it unverified with --allow_unverified",
    )


def lost_gradients(verification: Verification | None) -> tuple[Finding, ...]:
    """Says to which variables the source has gradients, and the new model none."""
    lost = verification.lost_gradients if verification is not None else {}
    names = tuple(dict.fromkeys(name for names in lost.values() for name in names))
    if not names:
        return ()
    message = (
        f"TF1 has gradients from the outputs of {first_few(tuple(map(repr, lost)), 3)} to "
        f"{count_words(len(names), 'variable')} to which the new model has none: {first_few(names, 3)}"
    )
    hint = "inference is the same; to train these variables on, convert the model with --control_flow=functional"
    return (Finding("gradient-lost", Severity.WARNING, message, names[:8], hint),)


def changed_kernels(verification: Verification | None) -> tuple[Finding, ...]:
    """Says where a new model that answers as its source does in TensorFlow 2 is far from what TensorFlow 1 answers."""
    if verification is None or not verification.passed or verification.judgement.judges != BOTH:
        return ()
    beyond = verification.judgement.beyond
    if not beyond:
        return ()
    names = tuple(f"{told.signature}/{told.output}" if told.output else told.signature for told in beyond)
    message = (
        f"TensorFlow {verification.judgement.version} answers differently, beyond the bounds, for {len(names)} of "
        f"{count_words(len(verification.judgement.outputs), 'output')}; {names[0]}: {beyond[0].beyond}"
    )
    hint = "it answers as the source does in TensorFlow 2, whose kernels differ; try it on data that you know"
    return (Finding("kernels-changed", Severity.WARNING, message, names[:8], hint),)


def unverified(
    ending: Unverified, verification: Verification | None, report: ModelReport, options: Options, calls: Calls
) -> Finding:
    """Says what was not compared; with a file of calls to begin with, where other calls may show more."""
    named = verification.unverified if verification is not None else {}
    publish = "publish it as it is with --allow_unverified"
    install = install_hint(verification.judgement, named.values(), options) if verification is not None else ""
    if install:
        return Finding("unverified", Severity.WARNING, ending.reason, tuple(named), f"{install}, or {publish}")
    is_helped = any(what != "variables" and not _is_whatever_is_called(why) for what, why in named.items())
    text = calls(report)[0] if is_helped and options.inputs is None else ""
    if not is_helped and named:
        hint = publish
    elif not text:
        hint = f"give calls of your own with --inputs, or {publish}"
    elif len(text) > _TEMPLATE_CHARACTERS or text.count("\n") > _TEMPLATE_LINES:
        source = quoted(report.source) if report.source.isprintable() else "MODEL"
        hint = f"give calls of your own with --inputs=calls.json (migrate inputs {source} > calls.json), or {publish}"
        text = ""
    else:
        hint = f"give calls of your own with --inputs=calls.json, a file like the one below, or {publish}"
    return Finding("unverified", Severity.WARNING, ending.reason, tuple(named), hint, text)


def _is_whatever_is_called(why: str) -> bool:
    return why in _WHATEVER_IS_CALLED or BLOCKS in why


def not_replayed(golden: Golden) -> tuple[Finding, ...]:
    """Says which calls the source was not asked, or not compared on, beside the signatures that are named as such."""
    notes = [n for n in dict.fromkeys(golden.notes) if not any(n in why for why in golden.skipped.values())]
    more = [f"and {len(notes) - _SHOWN_NOTES} more"] if len(notes) > _SHOWN_NOTES else []
    how = (Finding("golden-compiled", Severity.NOTE, golden.how),) if golden.how else ()
    left_out = (*notes[:_SHOWN_NOTES], *more)
    return (*how, *(Finding("call-not-replayed", Severity.WARNING, f"not replayed: {note}") for note in left_out))


def forgiven(golden: Golden) -> tuple[Finding, ...]:
    """Says that a v1 Session had to be built for a source that TensorFlow's loader refuses."""
    if golden.loader != "lenient":
        return not_replayed(golden)
    return (
        *not_replayed(golden),
        Finding(
            "source-loaded-leniently",
            Severity.NOTE,
            "TensorFlow's own loader refuses the source because of a fault that TF1 ignored; golden answers come from "
            "a v1 Session on its graph, restored and initialised as TF1 did",
        ),
    )


_SHOWN, _SHOWN_NOTES = 3, 5


def _some(names: Sequence[str]) -> str:
    """The first names, and how many more there are."""
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more


def _not_compared(result: Verification) -> str:
    """Of what no value was compared, the first of them with the reason."""
    named = _some([f"{what!r} ({why})" for what, why in result.unverified.items()])
    if result.values:
        return f"nothing differs, and no value was compared of {named}"
    # Of a model that was run, the signatures that take no call are told in `skipped`.
    if result.structure is not None and not result.calls and not result.skipped and result.unverified:
        return f"the model was not run, and it is not proved of {named}"
    return f"no value was compared: {named or 'every signature is one that no TF1 Session answers'}"


def _differs(mismatches: Sequence[Mismatch]) -> str:
    """What of the contract is broken, the wrong variables, since they explain wrong outputs, and how many answers."""
    contract = [m for m in mismatches if m.path == CONTRACT]
    rest = [m for m in mismatches if m.path != CONTRACT]
    of_model = [mismatch for mismatch in rest if not mismatch.signature and mismatch.call < 0]
    tables = list(dict.fromkeys(repr(m.output) for m in of_model if m.code == "table-differs"))
    variables = [repr(m.output) for m in of_model if m.path != SURFACE and m.code != "table-differs"]
    variables = list(dict.fromkeys(variables))
    attributes = list(dict.fromkeys(m.output for m in of_model if m.path == SURFACE))
    answers = len({(m.call, m.output) for m in rest if m.signature or m.call >= 0 if m.path != GRADIENT})
    gradients = len({(m.signature, m.output) for m in rest if m.path == GRADIENT})
    named = [
        f"the {what if len(names) == 1 else f'{what}s'} {_some(names)}"
        for what, names in (("variable", variables), ("table", tables), ("attribute", attributes))
        if names
    ]
    counted = [count_words(n, what) for what, n in (("answer", answers), ("gradient", gradients)) if n]
    values = " and ".join([*named, *counted])
    is_one = len(variables) + len(tables) + len(attributes) + answers + gradients == 1
    told = [f"{values} {'differs' if is_one else 'differ'} from the source's"] if values else []
    if contract:
        more = f" and {len(contract) - 1} more" if len(contract) > 1 else ""
        told.insert(0, f"clients of the source cannot rely on it: {_place(contract[0])}{contract[0].reason}{more}")
    return "; ".join(told)


def _place(mismatch: Mismatch) -> str:
    places = [f"signature {mismatch.signature!r}"] if mismatch.signature else []
    places += [repr(mismatch.output)] if mismatch.output else []
    return f"{', '.join(places)}: " if places else ""
