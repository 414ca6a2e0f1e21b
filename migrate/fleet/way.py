"""The steps that differ from form to form, where the way itself is the same."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

from migrate.records import ModelReport, Verification
from migrate.verify import Ending
from migrate.verify.calls import Golden


@dataclasses.dataclass(frozen=True)
class Way:
    """How one source answers, becomes a TF2 SavedModel, and is compared with one. Each step is a child process.

    Attributes:
      path: what the user calls the source.
      golden: takes the source's answers.
      export: builds the new model in a directory that is not there yet, and adds to the report what has become of it.
      replay: makes the calls again on the model in a directory, and compares.
    """

    path: str
    golden: Callable[[], Golden | Ending]
    export: Callable[[str, ModelReport], ModelReport | Ending]
    replay: Callable[[Golden, str], Verification | Ending]
