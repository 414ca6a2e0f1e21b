"""The answers of a model that a v1 Session can be asked, and the comparison of a candidate with them."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Mapping, Sequence

from migrate.frozen import frozen
from migrate.graph.graph import canonical
from migrate.graph.protos import MetaGraphDef, TensorProto
from migrate.levels import FULL, reaches
from migrate.model import confined_steps
from migrate.model.judges import Judges, judges, tf2_lacks, unanswered, unasked, without_a_graph
from migrate.processes.forks import Runner
from migrate.records import Failed, Finding, Options, Signature, Verification
from migrate.sources.source import Source
from migrate.tf1_runtime.place import Runtime
from migrate.verify import (
    PROBING_SHARE,
    TF1,
    Ending,
    ask_altered,
    ask_optimised,
    golden_job,
    job_with_requests,
    record_golden,
    replay_candidate,
)
from migrate.verify.calls import NO_KERNEL, Answer, Golden, Tf1Judge
from migrate.verify.messages import Tf1Answers, Training
from migrate.verify.tf1 import Tf1Source, ask_tf1, golden_of_tf1, tf1_failed, tf1_words


@frozen
class SessionAnswers:
    """What is asked.

    Attributes:
      source: the model.
      meta_graph: what the Session loads of it.
      signatures: those that are called.
      undefined: why no value can be compared, by (signature key, output) pairs.
      feeds: what each call feeds beside its inputs, by full tensor name.
      failing: keys of the signatures whose calls all fail, as in TF1.
      training: what a TF1 Hub module has for training.
      kept: the tensor names that the new model keeps, see `named_runs.fitting`; None for all of them.
      is_tf1: whether it is a model of TensorFlow 1.
      is_listed: whether all that it does is on the list of what may be run without being asked for.
      lacking: ops that it runs and TensorFlow 2 does not have.
    """

    source: Source
    meta_graph: MetaGraphDef
    signatures: Sequence[Signature]
    undefined: Mapping[tuple[str, str], str] = dataclasses.field(default_factory=dict)
    feeds: Mapping[str, TensorProto] = dataclasses.field(default_factory=dict)
    failing: Collection[str] = ()
    training: Training | None = None
    kept: Mapping[str, Collection[str]] | None = None
    is_tf1: bool = False
    is_listed: bool = False
    lacking: Sequence[str] = ()

    def golden(self, options: Options, nursery: Runner) -> Golden | Ending | Finding:
        """Takes the golden answers.

        Args:
          options: see `records.Options`.
          nursery: makes the child processes.

        Returns:
          A Finding where nobody on this machine can answer, which shows only once TensorFlow 1 has looked at the model.
        """
        if not self.is_tf1:
            return without_a_graph(self._by_tf2(options, nursery), options, "a model of TensorFlow 2")
        found = judges(options, self.is_listed)
        if isinstance(found, Failed):
            return found
        if found.runtime is None:
            return self._by_tf2_alone(found, options, nursery)
        if found.names == (TF1,):
            return self._by_tf1(found, found.runtime, options)
        if self.lacking:
            alone = self._by_tf1(_alone(found, tf2_lacks(self.lacking)), found.runtime, options)
            if isinstance(alone, Failed) and not found.is_asked_for:
                return unanswered(self.lacking, alone.reason)
            return alone
        answers = self._by_tf2(options, nursery)
        reason = _unable(answers)
        if reason:
            # Where it cannot either, what TensorFlow 2 says is what is known of the model.
            other = self._by_tf1(_alone(found, reason), found.runtime, options)
            if isinstance(other, Golden) and other.calls:
                return other
        return answers if not isinstance(answers, Golden) else self._by_both(answers, found, found.runtime, options)

    def unasked(self, options: Options) -> Finding | None:
        """Why nobody on this machine can be asked, see `judges.unasked`; None where somebody can."""
        return unasked(options, self.lacking, self.is_listed) if self.lacking else None

    def _by_tf2_alone(self, found: Judges, options: Options, nursery: Runner) -> Golden | Ending:
        if self.lacking:
            return Failed(tf2_lacks(self.lacking))
        answers = self._by_tf2(options, nursery)
        return (
            dataclasses.replace(answers, tf1=Tf1Judge(reason=found.reason)) if isinstance(answers, Golden) else answers
        )

    def _by_both(self, answers: Golden, found: Judges, runtime: Runtime, options: Options) -> Golden | Ending:
        """The answers of TensorFlow 2 with those of TensorFlow 1 beside them, where it answers."""
        judge = Tf1Judge(bounds=(options.max_absolute, options.max_relative))
        runner = confined_steps.asking_tf1(self.source, options, runtime.directory)
        source = golden_job(self.source, self.meta_graph, self.signatures, (), options.timeout, self.feeds)
        result = ask_tf1(runner, Tf1Source(runtime.directory, source), answers.calls, options.timeout)
        if isinstance(result, Tf1Answers):
            judge = dataclasses.replace(
                judge, judges=found.names, version=result.version, confined=found.confined, answers=result.answers
            )
        elif found.is_asked_for:
            return tf1_failed(result)
        else:
            judge = dataclasses.replace(judge, reason=tf1_words(result))
        return dataclasses.replace(answers, tf1=judge)

    def _by_tf1(self, found: Judges, runtime: Runtime, options: Options) -> Golden | Ending:
        """The answers of TensorFlow 1 alone."""
        seconds = options.timeout * PROBING_SHARE
        source, notes = job_with_requests(
            self.source, self.meta_graph, self.signatures, options.inputs, seconds, self.feeds, self.kept
        )
        runner = confined_steps.asking_tf1(self.source, options, runtime.directory)
        result = golden_of_tf1(runner, Tf1Source(runtime.directory, source), options.timeout)
        if not isinstance(result, Golden):
            return tf1_failed(result)
        judge = Tf1Judge(
            found.names,
            found.reason,
            version=result.tf_version,
            confined=found.confined,
            answers=result.answers,
            bounds=(options.max_absolute, options.max_relative),
        )
        return dataclasses.replace(result, tf1=judge, notes=(*notes, *result.notes))

    def _by_tf2(self, options: Options, nursery: Runner) -> Golden | Ending:
        return record_golden(
            confined_steps.asking(nursery, self.source, options),
            self.source,
            self.meta_graph,
            self.signatures,
            options.inputs,
            options.timeout,
            self.feeds,
            reaches(options.verify, FULL),
            options.variables,
            self.training,
            self.kept,
        )

    def replay(self, golden: Golden, candidate: str, options: Options, nursery: Runner) -> Verification | Ending:
        """Makes the same calls of a candidate, and compares.

        Args:
          golden: of `golden`.
          candidate: directory of a SavedModel.
          options: see `records.Options`.
          nursery: makes the child processes.
        """

        def optimised() -> Sequence[Answer] | Ending:
            return ask_optimised(
                confined_steps.asking(nursery, self.source, options),
                self.source,
                self.meta_graph,
                self.signatures,
                golden,
                options.timeout,
                self.feeds,
            )

        def altered(constants: Sequence[str]) -> Sequence[Answer] | Ending:
            return ask_altered(
                confined_steps.asking(nursery, self.source, options),
                self.source,
                self.meta_graph,
                self.signatures,
                golden,
                constants,
                options.timeout,
                self.feeds,
            )

        return replay_candidate(
            confined_steps.replaying(nursery, candidate, options),
            golden,
            candidate,
            options.max_ulps,
            options.timeout,
            self.undefined,
            optimised,
            options.allow_side_effects,
            self.failing,
            reaches(options.verify, FULL),
            self._undefined_tensors(),
            altered,
        )

    def _undefined_tensors(self) -> frozenset[str]:
        """Full names of the tensors of which no value can be compared."""
        undefined = {(key, part.partition("/")[0]) for key, part in self.undefined} | {*self.undefined}
        return frozenset(
            canonical(tensor)
            for signature in self.signatures
            for name, spec in signature.outputs.items()
            if (signature.key, name) in undefined
            for tensor in spec.tensors
        )


def _alone(found: Judges, reason: str) -> Judges:
    """TensorFlow 1 as the only judge, since TensorFlow 2 cannot answer."""
    return dataclasses.replace(found, names=(TF1,), reason=reason)


def _unable(answers: Golden | Ending) -> str:
    """Why TensorFlow 2 cannot answer for a model, or for one of its signatures, whatever the call; or empty."""
    if isinstance(answers, Failed):
        return answers.reason.partition("\n")[0]
    if not isinstance(answers, Golden):
        return ""
    told = (*answers.skipped.values(), *(answer.message for answer in answers.answers if answer.error))
    found = next((text[text.index(NO_KERNEL) :] for text in told if NO_KERNEL in text), "")
    return f"TensorFlow 2: {found.partition(' used by ')[0]}" if found else ""
