"""The steps of a conversion that differ from form to form."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager

from migrate.export.weights import Weights
from migrate.frozen import frozen
from migrate.processes.forks import Running
from migrate.records import Failed, Finding, Mismatch, ModelReport, Structure, Verification
from migrate.verify import DRAWN as DRAWN
from migrate.verify import Ending
from migrate.verify.calls import Golden
from migrate.verify.contract import Candidate

UNORDERED = "TF1 gives it no defined answer"
"""Why the values of an output are not compared."""


@frozen
class Taking:
    """The weights that are being taken over.

    Attributes:
      weights: which, and where to.
      running: brings their bytes along; None where there is nothing left to do.
    """

    weights: Weights
    running: Running | None

    def damage(self) -> Failed | None:
        """Waits for the bytes; what was found wrong with them."""
        done = None if self.running is None else self.running.result()
        return done if isinstance(done, Failed) else None


@frozen
class Steps:
    """How one source answers, becomes a TF2 SavedModel, and is compared with one. Each step is a child process.

    Attributes:
      path: what the user calls the source.
      golden: takes the source's answers.
      begin: begins beside the other steps what needs no TensorFlow; its value is for `export`, its end stops it. It
        takes the directory of the new model, which is not there yet.
      export: builds the new model in that directory, and adds to the report what has become of it.
      replay: makes the calls again on the model in a directory, and compares.
      contract: what clients rely on and a candidate does not keep.
      digest: hexadecimal SHA-256 of the source's file, as a new model's provenance has it.
      prove: what is proved of a candidate's structure, which is run as well or not; None where the source has no graph.
      undefined: why no value can be compared, by (signature key, output) pairs.
      described: what a new model's provenance says of the source beside its digest and its path.
      unasked: why nobody on this machine can be asked for the source; None where somebody can.
    """

    path: str
    golden: Callable[[], Golden | Ending | Finding]
    begin: Callable[[str], AbstractContextManager[Taking | None]]
    export: Callable[[str, ModelReport, Taking | None], ModelReport | Ending]
    replay: Callable[[Golden, str], Verification | Ending]
    contract: Callable[[Candidate], tuple[Mismatch, ...]]
    digest: Callable[[], str]
    prove: Callable[[Candidate, bool], Structure] | None = None
    described: Mapping[str, object] = dataclasses.field(default_factory=dict)
    undefined: Mapping[tuple[str, str], str] = dataclasses.field(default_factory=dict)
    unasked: Finding | None = None
