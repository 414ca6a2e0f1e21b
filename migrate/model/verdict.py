"""What the calls on a candidate mean for its model, in outcomes and in words."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence

from migrate.checks.side_effects import RISKS
from migrate.escapes import quoted
from migrate.export.provenance import source_digest
from migrate.model.file_checks import candidate_read
from migrate.model.steps import DRAWN, UNORDERED, Steps
from migrate.records import Finding, Mismatch, Mismatched, ModelReport, Options, Severity, Unverified, Verification
from migrate.verify import RANDOM, Ending
from migrate.verify.calls import Golden
from migrate.verify.contract import PATH as CONTRACT
from migrate.verify.contract import Candidate

Calls = Callable[[ModelReport], tuple[str, Mapping[str, str]]]
"""Makes a file with calls to begin with, see `inputs_template.calls_of`."""

_TEMPLATE_LINES, _TEMPLATE_CHARACTERS = 300, 20_000
"""A larger file with calls is not shown in a report."""
_WHATEVER_IS_CALLED = (DRAWN, UNORDERED, RANDOM)
"""Reasons for which no value is compared, whatever the calls are."""


def compared(steps: Steps, golden: Golden, directory: str, options: Options) -> Verification | Ending:
    """What calls show of a candidate, and before it what no call shows.

    Raises:
      InputError: the candidate cannot be read.
    """
    result = steps.replay(golden, directory)
    if not isinstance(result, Verification):
        return result
    with candidate_read(directory, options) as read:
        broken = steps.contract(Candidate(directory, read.meta_graphs))
    return dataclasses.replace(result, mismatches=(*broken, *result.mismatches))


def judge(
    result: Verification | Ending,
) -> tuple[Mismatched | Unverified | Ending | None, Verification | None]:
    """What a replay means: an outcome other than success, or None."""
    if not isinstance(result, Verification):
        return result, None
    if result.mismatches:
        return Mismatched(_differs(result.mismatches)), result
    if not result.passed:
        return Unverified(_not_compared(result)), result
    return None, result


def risk_of(report: ModelReport, options: Options) -> Finding | None:
    """Why a model is not run, where the user has not allowed that."""
    if options.allow_side_effects:
        return None
    return next((finding for finding in report.findings if finding.code in RISKS), None)


def made_of(candidate: str, steps: Steps) -> tuple[Finding, ...]:
    """Says that a candidate calls another file its source. Nothing else that it says of itself is believed."""
    said = source_digest(candidate)
    digest = steps.digest() if said is not None else None
    if said == digest:
        return ()
    message = f"assets.extra/migration.json says that the candidate was made of a file of SHA-256 {said}, not {digest}"
    return (Finding("provenance-differs", Severity.WARNING, message, (), "pass the source that it was made of"),)


def not_run(risk: Finding) -> Finding:
    """Says that a model is not run."""
    return Finding(
        "unverified",
        Severity.WARNING,
        f"the model was not run: {risk.message}",
        risk.nodes,
        "run it with --allow_side_effects, or publish it unverified with --allow_unverified",
    )


def unverified(
    ending: Unverified, verification: Verification | None, report: ModelReport, options: Options, calls: Calls
) -> Finding:
    """Says what was not compared; with a file of calls to begin with, where other calls may show more."""
    named = verification.unverified if verification is not None else {}
    publish = "publish it as it is with --allow_unverified"
    is_helped = any(what != "variables" and why not in _WHATEVER_IS_CALLED for what, why in named.items())
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


def forgiven(golden: Golden) -> tuple[Finding, ...]:
    """Says that a v1 Session had to be built for a source that TensorFlow's loader refuses."""
    if golden.loader != "lenient":
        return ()
    return (
        Finding(
            "source-loaded-leniently",
            Severity.NOTE,
            "TensorFlow's own loader refuses the source for what TF1 forgave; golden answers come from a v1 Session on "
            "its graph, restored and initialised as TF1 did",
        ),
    )


_SHOWN = 3


def _some(names: Sequence[str]) -> str:
    """The first names, and how many more there are."""
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more


def _not_compared(result: Verification) -> str:
    """Of what no value was compared, the first of them with the reason."""
    named = _some([f"{what!r} ({why})" for what, why in result.unverified.items()])
    if result.values:
        return f"nothing differs, and no value was compared of {named}"
    return f"no value was compared: {named or 'every signature is one that no TF1 Session answers'}"


def _differs(mismatches: Sequence[Mismatch]) -> str:
    """What of the contract is broken, the wrong variables, since they explain wrong outputs, and how many answers."""
    contract = [m for m in mismatches if m.path == CONTRACT]
    rest = [m for m in mismatches if m.path != CONTRACT]
    variables = [repr(mismatch.output) for mismatch in rest if not mismatch.signature and mismatch.call < 0]
    answers = len({(m.call, m.output) for m in rest if m.signature or m.call >= 0})
    named = f"the variable(s) {_some(variables)}" if variables else ""
    values = " and ".join(filter(None, [named, f"{answers} answer(s)" if answers else ""]))
    told = [f"{values} differ from the source's"] if values else []
    if contract:
        more = f" and {len(contract) - 1} more" if len(contract) > 1 else ""
        told.insert(0, f"clients of the source cannot rely on it: {_place(contract[0])}{contract[0].reason}{more}")
    return "; ".join(told)


def _place(mismatch: Mismatch) -> str:
    places = [f"signature {mismatch.signature!r}"] if mismatch.signature else []
    places += [repr(mismatch.output)] if mismatch.output else []
    return f"{', '.join(places)}: " if places else ""
