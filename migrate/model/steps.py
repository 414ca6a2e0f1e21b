"""The steps of a conversion that differ from form to form."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager

from migrate.export.weights import Weights
from migrate.frozen import frozen
from migrate.processes.forks import Running
from migrate.records import Failed, Mismatch, ModelReport, Verification
from migrate.verify import Ending
from migrate.verify.calls import Golden
from migrate.verify.contract import Candidate

DRAWN = "in TF1 it draws from one random sequence with other signatures"
UNORDERED = "TF1 gives it no defined answer"
"""Reasons for which the values of an output are not compared."""


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
    """

    path: str
    golden: Callable[[], Golden | Ending]
    begin: Callable[[str], AbstractContextManager[Taking | None]]
    export: Callable[[str, ModelReport, Taking | None], ModelReport | Ending]
    replay: Callable[[Golden, str], Verification | Ending]
    contract: Callable[[Candidate], tuple[Mismatch, ...]]
    digest: Callable[[], str]
