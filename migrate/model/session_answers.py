"""The answers of a model that a v1 Session can be asked, and the comparison of a candidate with them."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Mapping, Sequence

from migrate.frozen import frozen
from migrate.graph.protos import MetaGraphDef, TensorProto
from migrate.model import confined_steps
from migrate.processes.forks import Runner
from migrate.records import Options, Signature, Verification
from migrate.sources.source import Source
from migrate.verify import Ending, ask_optimised, record_golden, replay_candidate
from migrate.verify.calls import Answer, Golden


@frozen
class SessionAnswers:
    """What is asked.

    Attributes:
      source: the model.
      meta_graph: what the Session loads of it.
      signatures: those that are called.
      variables: checkpoint key and slice of each variable that is compared, by its name in the new model.
      undefined: why no value can be compared, by (signature key, output) pairs.
      feeds: what each call feeds beside its inputs, by full tensor name.
      failing: keys of the signatures whose calls all fail, as in TF1.
    """

    source: Source
    meta_graph: MetaGraphDef
    signatures: Sequence[Signature]
    variables: Mapping[str, tuple[str, str]] = dataclasses.field(default_factory=dict)
    undefined: Mapping[tuple[str, str], str] = dataclasses.field(default_factory=dict)
    feeds: Mapping[str, TensorProto] = dataclasses.field(default_factory=dict)
    failing: Collection[str] = ()

    def golden(self, options: Options, nursery: Runner) -> Golden | Ending:
        """Takes the golden answers.

        Args:
          options: see `records.Options`.
          nursery: makes the child processes.
        """
        return record_golden(
            confined_steps.asking(nursery, self.source, options),
            self.source,
            self.meta_graph,
            self.signatures,
            self.variables,
            options.inputs,
            options.timeout,
            self.feeds,
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
        )
