"""Convert and validate as one sequence of `Steps`, the same for every form. Every ending is a value."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

from migrate.errors import InputError
from migrate.export.publish import staging
from migrate.frozen import frozen
from migrate.graph.contract import signatures
from migrate.levels import PROOF, REPLAY, reaches
from migrate.model.steps import Steps, Taking
from migrate.model.study import timed
from migrate.model.verdict import (
    Calls,
    changed_kernels,
    compared,
    contract,
    forgiven,
    golden_file_alone,
    is_unloadable,
    judge,
    lost_gradients,
    made_of,
    not_run,
    proved_alone,
    risk_of,
    unverified,
    without_calls,
)
from migrate.processes.confinement import in_force
from migrate.records import (
    Converted,
    Failed,
    Finding,
    Mismatch,
    Mismatched,
    ModelReport,
    Options,
    Signature,
    Unverified,
    Validated,
    Verification,
)
from migrate.sources.saved_model import read_saved_model
from migrate.verify import Ending
from migrate.verify.calls import Golden

Progress = Callable[[str], None]
"""Takes one line that says what is being done now."""

GoldenFile = Callable[[str], Verification | Ending]
"""Makes the calls of a golden file to the model in a directory, and compares; see `golden_file.replay`."""


@frozen
class Work:
    """What the steps of one model share.

    Attributes:
      steps: these.
      options: see `records.Options`.
      progress: told what is being done.
      seconds: how long each step has taken; it grows.
      calls: makes a file with calls to begin with, see `inputs_template.calls_of`.
      golden_file: compares a new model with golden answers from elsewhere; None where none were given.
    """

    steps: Steps
    options: Options
    progress: Progress
    seconds: dict[str, float]
    calls: Calls
    golden_file: GoldenFile | None = None


def validate(work: Work, base: ModelReport, candidate: str) -> ModelReport:
    """Replays the source's answers on a candidate; at the level `proof`, compares the files of both alone.

    Args:
      work: what to do.
      base: what audit says of the source.
      candidate: directory of the new model.
    """
    options = work.options
    if not reaches(options.verify, REPLAY):
        base = dataclasses.replace(base, findings=(*base.findings, *made_of(candidate, work.steps)))
        return _by_proof(work, base, candidate)
    risk = risk_of(base, options)
    if risk and work.golden_file is None:
        return dataclasses.replace(base, outcome=Failed(f"not run: {risk.message}; allow it with --allow_side_effects"))
    if work.steps.unasked is not None and work.golden_file is None:
        return _by_proof(work, base, candidate)
    risk = risk or work.steps.unasked
    broken = contract(work.steps, candidate, options)
    if is_unloadable(broken):  # Before the source is asked, which takes longer.
        outcome, verification = judge(without_calls(broken))
        return dataclasses.replace(base, outcome=outcome or Validated(), verification=verification)
    lifted = ("verification",) if options.allow_side_effects else ()
    base = dataclasses.replace(base, confinement=in_force(writes=False, lifted=lifted))
    answers = _golden(work) if risk is None else risk
    golden = answers if isinstance(answers, Golden) else None
    if isinstance(answers, Finding) and work.golden_file is None:
        return _by_proof(work, base, candidate)
    if not isinstance(answers, Golden):
        if work.golden_file is None:
            assert not isinstance(answers, Finding)
            return dataclasses.replace(base, outcome=answers, seconds=work.seconds)
        base = dataclasses.replace(base, findings=(*base.findings, golden_file_alone(answers)))
    base = dataclasses.replace(
        base, findings=(*base.findings, *(forgiven(golden) if golden else ()), *made_of(candidate, work.steps))
    )
    work.progress("replaying the calls")
    base, outcome = _replayed(work, base, golden, candidate, broken)
    if options.details:
        base = dataclasses.replace(base, converted_signatures=_signatures(candidate))
    return dataclasses.replace(base, outcome=outcome or Validated(), seconds=work.seconds)


def _by_proof(work: Work, base: ModelReport, candidate: str) -> ModelReport:
    """The report of a candidate that is not run."""
    work.progress("proving the new graph")
    base, told = _proved(work, base, candidate)
    return dataclasses.replace(base, outcome=told or Validated(), seconds=work.seconds)


def convert(work: Work, base: ModelReport, destination: str, finish: Callable[[str], None]) -> ModelReport:
    """Makes the new model, and publishes it where it answers as the source does.

    Args:
      work: what to do.
      base: what audit says of the source.
      destination: directory that the new model is to have.
      finish: publishes what was built in a directory.
    """
    options = work.options
    lifted = ("verification",) if reaches(options.verify, REPLAY) and options.allow_side_effects else ()
    base = dataclasses.replace(base, confinement=in_force(lifted=lifted), seconds=work.seconds)
    with staging(destination) as staged, work.steps.begin(staged) as taking:
        base, golden = _asked(work, base, taking)
        if golden is not None and not isinstance(golden, Golden):
            return dataclasses.replace(base, outcome=golden)
        work.progress("converting")
        with timed(work.seconds, "export"):
            exported = work.steps.export(staged, base, taking)
        if not isinstance(exported, ModelReport):
            return dataclasses.replace(base, outcome=exported)
        base = exported
        trouble = None
        if golden is not None or work.golden_file is not None:
            work.progress("replaying the calls on the new model")
            base, trouble = _replayed(work, base, golden, staged)
        elif reaches(options.verify, PROOF):
            work.progress("proving the new graph")
            base, trouble = _proved(work, base, staged)
        if trouble is not None and not (isinstance(trouble, Unverified) and options.allow_unverified):
            return dataclasses.replace(base, outcome=trouble)
        if options.details:
            base = dataclasses.replace(base, converted_signatures=_signatures(staged))
        with timed(work.seconds, "publish"):
            finish(staged)
    return dataclasses.replace(base, outcome=Converted())


def _golden(work: Work) -> Golden | Ending | Finding:
    work.progress("taking golden answers")
    with timed(work.seconds, "golden"):
        return work.steps.golden()


def _asked(
    work: Work, base: ModelReport, taking: Taking | None
) -> tuple[ModelReport, Golden | Ending | Unverified | None]:
    """The source's answers before its conversion: None where they are not asked for; or how the conversion ends."""
    options = work.options
    if not reaches(options.verify, REPLAY):
        return base, None
    risk = risk_of(base, options) or work.steps.unasked
    answers = _golden(work) if risk is None else risk
    if isinstance(answers, Finding):
        risk = answers
    if risk and work.golden_file is not None:
        # What the candidate would run is judged once more where it is opened.
        return dataclasses.replace(base, findings=(*base.findings, golden_file_alone(risk))), None
    if risk:
        if work.steps.prove is not None:
            return base, None  # What it does is told from its graph.
        base = dataclasses.replace(base, findings=(not_run(risk), *base.findings))
        return base, None if options.allow_unverified else Unverified("the model was not run")
    assert not isinstance(answers, Finding)
    if isinstance(answers, Golden):
        return dataclasses.replace(base, findings=(*base.findings, *forgiven(answers))), answers
    # TensorFlow says that bytes are wrong; the checksums say of which variable.
    damage = taking.damage() if isinstance(answers, Failed) and taking is not None else None
    if damage is None and work.golden_file is not None:
        return dataclasses.replace(base, findings=(*base.findings, golden_file_alone(answers))), None
    return base, damage or answers


def _replayed(
    work: Work, base: ModelReport, golden: Golden | None, directory: str, broken: tuple[Mismatch, ...] | None = None
) -> tuple[ModelReport, Mismatched | Unverified | Ending | None]:
    """The report with what calls show of a new model, and the outcome where that is no success."""
    with timed(work.seconds, "candidate"):
        result = compared(work.steps, golden, directory, work.options, broken, work.golden_file)
    outcome, verification = judge(result)
    findings = (*base.findings, *lost_gradients(verification), *changed_kernels(verification))
    if isinstance(outcome, Unverified):
        findings = (*findings, unverified(outcome, verification, base, work.options, work.calls))
    return dataclasses.replace(base, findings=findings, verification=verification), outcome


def _proved(
    work: Work, base: ModelReport, directory: str
) -> tuple[ModelReport, Mismatched | Unverified | Ending | None]:
    """The same of a model that is not run: what the files show of it."""
    options = work.options
    with timed(work.seconds, "proof"):
        result = proved_alone(work.steps, directory, options)
    risk = (risk_of(base, options) or work.steps.unasked) if reaches(options.verify, REPLAY) else None
    if result is None:
        return base, Unverified("the source has no graph, of which something could be proved") if risk is None else None
    outcome, verification = judge(result)
    findings = base.findings
    if isinstance(outcome, Unverified) and risk is not None:
        findings = (not_run(risk), *findings)
    elif isinstance(outcome, Unverified):
        findings = (*findings, unverified(outcome, verification, base, options, work.calls))
    return dataclasses.replace(base, findings=findings, verification=verification), outcome


def _signatures(path: str) -> tuple[Signature, ...] | None:
    """The signatures of a model on the disk, for the report alone."""
    try:
        return signatures(read_saved_model(path).meta_graphs[0])
    except InputError:
        return None
