"""Convert and validate as one sequence of `Steps`, the same for every form. Every ending is a value."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

from migrate.errors import InputError
from migrate.export.publish import staging
from migrate.frozen import frozen
from migrate.graph.contract import signatures
from migrate.model.steps import Steps, Taking
from migrate.model.study import timed
from migrate.model.verdict import Calls, compared, forgiven, judge, made_of, not_run, risk_of, unverified
from migrate.processes.confinement import in_force
from migrate.records import (
    Converted,
    Failed,
    Mismatched,
    ModelReport,
    Options,
    Signature,
    Unverified,
    Validated,
)
from migrate.sources.saved_model import read_saved_model
from migrate.verify import Ending
from migrate.verify.calls import Golden

Progress = Callable[[str], None]
"""Takes one line that says what is being done now."""


@frozen
class Work:
    """What the steps of one model share.

    Attributes:
      steps: these.
      options: see `records.Options`.
      progress: told what is being done.
      seconds: how long each step has taken; it grows.
      calls: makes a file with calls to begin with, see `inputs_template.calls_of`.
    """

    steps: Steps
    options: Options
    progress: Progress
    seconds: dict[str, float]
    calls: Calls


def validate(work: Work, base: ModelReport, candidate: str) -> ModelReport:
    """Replays the source's answers on a candidate.

    Args:
      work: what to do.
      base: what audit says of the source.
      candidate: directory of the new model.
    """
    options = work.options
    risk = risk_of(base, options)
    if risk:
        return dataclasses.replace(base, outcome=Failed(f"not run: {risk.message}; allow it with --allow_side_effects"))
    lifted = ("verification",) if options.allow_side_effects else ()
    base = dataclasses.replace(base, confinement=in_force(writes=False, lifted=lifted))
    golden = _golden(work)
    if not isinstance(golden, Golden):
        return dataclasses.replace(base, outcome=golden, seconds=work.seconds)
    base = dataclasses.replace(base, findings=(*base.findings, *forgiven(golden), *made_of(candidate, work.steps)))
    work.progress("replaying the calls")
    base, outcome = _replayed(work, base, golden, candidate)
    if options.details:
        base = dataclasses.replace(base, converted_signatures=_signatures(candidate))
    return dataclasses.replace(base, outcome=outcome or Validated(), seconds=work.seconds)


def convert(work: Work, base: ModelReport, destination: str, finish: Callable[[str], None]) -> ModelReport:
    """Makes the new model, and publishes it where it answers as the source does.

    Args:
      work: what to do.
      base: what audit says of the source.
      destination: directory that the new model is to have.
      finish: publishes what was built in a directory.
    """
    options = work.options
    lifted = ("verification",) if options.verify and options.allow_side_effects else ()
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
        if golden is not None:
            work.progress("replaying the calls on the new model")
            base, trouble = _replayed(work, base, golden, staged)
            if trouble is not None and not (isinstance(trouble, Unverified) and options.allow_unverified):
                return dataclasses.replace(base, outcome=trouble)
        if options.details:
            base = dataclasses.replace(base, converted_signatures=_signatures(staged))
        with timed(work.seconds, "publish"):
            finish(staged)
    return dataclasses.replace(base, outcome=Converted())


def _golden(work: Work) -> Golden | Ending:
    work.progress("taking golden answers")
    with timed(work.seconds, "golden"):
        return work.steps.golden()


def _asked(
    work: Work, base: ModelReport, taking: Taking | None
) -> tuple[ModelReport, Golden | Ending | Unverified | None]:
    """The source's answers before its conversion: None where they are not asked for; or how the conversion ends."""
    options = work.options
    if not options.verify:
        return base, None
    risk = risk_of(base, options)
    if risk:
        base = dataclasses.replace(base, findings=(not_run(risk), *base.findings))
        return base, None if options.allow_unverified else Unverified("the model was not run")
    answers = _golden(work)
    if isinstance(answers, Golden):
        return dataclasses.replace(base, findings=(*base.findings, *forgiven(answers))), answers
    # TensorFlow says that bytes are wrong; the checksums say of which variable.
    damage = taking.damage() if isinstance(answers, Failed) and taking is not None else None
    return base, damage or answers


def _replayed(
    work: Work, base: ModelReport, golden: Golden, directory: str
) -> tuple[ModelReport, Mismatched | Unverified | Ending | None]:
    """The report with what calls show of a new model, and the outcome where that is no success."""
    with timed(work.seconds, "candidate"):
        result = compared(work.steps, golden, directory, work.options)
    outcome, verification = judge(result)
    findings = base.findings
    if isinstance(outcome, Unverified):
        findings = (*findings, unverified(outcome, verification, base, work.options, work.calls))
    return dataclasses.replace(base, findings=findings, verification=verification), outcome


def _signatures(path: str) -> tuple[Signature, ...] | None:
    """The signatures of a model on the disk, for the report alone."""
    try:
        return signatures(read_saved_model(path).meta_graphs[0])
    except InputError:
        return None
