"""Who answers for a source: TensorFlow 2, TensorFlow 1.15.5 itself, or both."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Sequence

from migrate.errors import InputError, first_few
from migrate.frozen import frozen
from migrate.plan.resource_kinds import ON_GPU_ALONE
from migrate.processes.confinement import in_force
from migrate.records import Confined, Failed, Finding, Judgement, Options, Severity
from migrate.tf1_runtime.place import VERSION, Runtime, find, reason_against
from migrate.verify import TF1, Ending
from migrate.verify.calls import NO_KERNEL, Golden, Tf1Judge

TF2 = "tf2"
BOTH = (TF2, TF1)

_INSTALL = f"TensorFlow {VERSION} is not installed; migrate runtime install"


@frozen
class Judges:
    """Who is asked.

    Attributes:
      names: `tf2`, `tf1`, or both.
      runtime: of TensorFlow 1.15.5, where it is asked.
      is_asked_for: whether the user has named TensorFlow 1; if so it must answer.
      confined: whether its process is confined.
      reason: why `auto` does not ask it although it may be installed, or why TensorFlow 1 answers alone; or empty.
    """

    names: tuple[str, ...] = (TF2,)
    runtime: Runtime | None = None
    is_asked_for: bool = False
    confined: bool = True
    reason: str = ""


def judges(options: Options, is_listed: bool) -> Judges | Failed:
    """Who answers for a TF1 graph on this machine.

    Args:
      options: see `records.Options`.
      is_listed: whether all that the graph does is on the list of what may be run without being asked for.
    """
    return chosen(options.judge, is_listed, options.allow_side_effects, in_force(writes=False), reason_against(), find)


def chosen(
    judge: str,
    is_listed: bool,
    side_effects: bool,
    confined: Confined,
    unsupported: str | None,
    installed: Callable[[], Runtime | None],
) -> Judges | Failed:
    """The same, of facts.

    TensorFlow 1.15.5 has known memory errors, and no fix will come. So it is asked for what anybody's model may do only
    where its process is confined; the user decides elsewhere.

    Args:
      judge: `Options.judge`.
      is_listed: see `judges`.
      side_effects: `Options.allow_side_effects`, which lifts confinement.
      confined: what confines children on this machine.
      unsupported: why this machine cannot run TensorFlow 1.15.5, or None.
      installed: gives the runtime that is installed.
    """
    if judge == TF2:
        return Judges()
    is_asked_for = judge != "auto"
    try:
        runtime = installed() if unsupported is None else None
    except InputError as error:
        return Failed(f"--judge={judge}: {error}") if is_asked_for else Judges(reason=str(error))
    if runtime is None:
        return Failed(f"--judge={judge}: {unsupported or _INSTALL}") if is_asked_for else Judges()
    is_confined = bool(confined.landlock) and confined.seccomp and not side_effects
    if not is_asked_for and not is_listed:
        return Judges(reason="the model has ops that are run only where they are allowed")
    if not is_asked_for and not is_confined:
        why = "--allow_side_effects lifts confinement" if side_effects else confined.reason
        return Judges(reason=f"its process would not be confined ({why})")
    return Judges((TF1,) if judge == TF1 else BOTH, runtime, is_asked_for, is_confined)


def tf2_lacks(ops: Sequence[str]) -> str:
    """Why TensorFlow 2 answers nothing for a model, in a line.

    Args:
      ops: what the model runs and TensorFlow 2 does not have, or has for a GPU alone.
    """
    on_gpu = [op for op in ops if op in ON_GPU_ALONE]
    if not on_gpu:
        return f"TensorFlow 2 has no {first_few(ops, 3)}"
    return f"{first_few(on_gpu, 3)} run{'s' if len(on_gpu) == 1 else ''} on a GPU alone"


def unasked(options: Options, ops: Sequence[str], is_listed: bool) -> Finding | None:
    """Says that nobody on this machine can be asked for a source that TensorFlow 2 does not run.

    Args:
      options: see `records.Options`.
      ops: what the model runs and TensorFlow 2 does not have.
      is_listed: see `judges`.

    Returns:
      None where somebody can, or where the user has asked for somebody by name who must answer.
    """
    found = judges(options, is_listed)
    if isinstance(found, Failed) or found.is_asked_for:
        return None
    if not ON_GPU_ALONE.isdisjoint(ops):
        return _not_run(ops, "and no child process has one", _OTHER_MACHINE)
    if found.runtime is not None:
        return None
    if options.judge == TF2:
        why, hint = "and nobody else is asked (--judge=tf2)", "ask TensorFlow 1.15.5 with --judge=auto"
    elif found.reason:
        why, hint = f"and TensorFlow {VERSION} is not asked: {found.reason}", "ask it with --judge=tf1"
    else:
        why, hint = f"and {reason_against() or f'TensorFlow {VERSION} is not installed'}", _hint()
    return _not_run(ops, why, hint)


def unanswered(ops: Sequence[str], reason: str) -> Finding:
    """Says that TensorFlow 1 does not take a source that TensorFlow 2 does not run.

    Args:
      ops: what the model runs and TensorFlow 2 does not have.
      reason: what TensorFlow 1 says, in a line.
    """
    return _not_run(ops, f"and {reason}", _OTHER_MACHINE)


def _not_run(ops: Sequence[str], why: str, hint: str) -> Finding:
    message = f"the model was not run: {tf2_lacks(ops)}, {why}"
    hint = f"{hint}, or publish it unverified with --allow_unverified"
    return Finding("unverified", Severity.WARNING, message, tuple(ops), hint)


_OTHER_MACHINE = "compare with answers of its own machine (--golden)"


def _hint() -> str:
    """What lets TensorFlow 1 answer where it is not installed."""
    return f"{_OTHER_MACHINE}{'' if reason_against() else f', or {_SAY_INSTALL}'}"


_SAY_INSTALL = f"install TensorFlow {VERSION} with `migrate runtime install`"


def install_hint(judgement: Judgement, reasons: Iterable[str], options: Options) -> str:
    """What to do where TensorFlow 2 has no kernel for a model and TensorFlow 1 could answer; or empty.

    Args:
      judgement: who has answered.
      reasons: why something was not compared.
      options: see `records.Options`.
    """
    is_reason = any(NO_KERNEL in reason for reason in reasons)
    if not is_reason or TF1 in judgement.judges or judgement.reason or options.judge != "auto" or reason_against():
        return ""
    return f"{_SAY_INSTALL}, which has the kernel"


def without_a_graph(answers: Golden | Ending, options: Options, what: str) -> Golden | Ending:
    """Says that TensorFlow 1.15.5 was not asked for something that it does not load, where the user wants it to answer.

    Args:
      answers: of another judge.
      options: see `records.Options`.
      what: what it is, as the subject of a sentence.
    """
    if options.judge not in (TF1, "both") or not isinstance(answers, Golden):
        return answers
    return dataclasses.replace(answers, tf1=Tf1Judge(reason=f"{what} is no graph of TensorFlow 1"))
