"""What the planting of faults is made of."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

from tools.mutate.candidate import Candidate

Look = Callable[[str], Any]
"""What a client sees of the SavedModel in a directory: plain data. It uses TensorFlow alone, never `migrate`."""

KINDS = {
    "contract": "the SignatureDef and what else a client addresses by name",
    "vouched": "what `assets.extra/migration.json` and the checkpoint's index vouch for",
    "unreached": "data that no ordinary call reaches",
    "rare": "inputs that are rarely made",
    "state": "variables that calls change",
    "surface": "what Python code uses: `__call__`, gradients, variables, Keras",
    "files": "files beside the graph",
    "structure": "nodes and edges of the graph",
}
"""What the faults of each kind are about."""


@dataclasses.dataclass(frozen=True)
class Fault:
    """A fault that can be planted.

    Attributes:
      kind: one of `KINDS`.
      name: unique in its kind.
      base: name of the model whose conversion it is planted in (`bases.BASES`).
      says: what is wrong then, in words.
      edit: plants it.
      look: shows it: what it gives for the planted conversion is not what it gives for the untouched one.
      blind: whether it was written by somebody who had not read the checker.
      harmless: why no client of the model minds, where nothing is to be said of it; else "".
    """

    kind: str
    name: str
    base: str
    says: str
    edit: Callable[[Candidate], None]
    look: Look
    blind: bool = False
    harmless: str = ""

    @property
    def full_name(self) -> str:
        """Its name in reports and on the command line."""
        return f"{self.kind}/{self.name}"


@dataclasses.dataclass(frozen=True)
class Base:
    """A model whose conversion faults are planted in.

    Attributes:
      source: its path below testdata/; below the folder of `testdata/make_planted.py` where it starts with "planted/".
      options: fields of `migrate.Options` with which it is converted and validated.
    """

    source: str
    options: Mapping[str, Any] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class Ended:
    """What became of one fault.

    Attributes:
      fault: its full name.
      proof: "" where the fault is real; else why it does not count.
      verdict: `caught`, `told` (validated, with a finding that the untouched conversion does not have), `missed`,
        `unverified` (as the untouched conversion is, of which some output cannot be compared), or `unproved`.
      outcome: the outcome's name.
      codes: of the differences and findings that the untouched conversion does not have.
      reason: the first of them in words.
      seconds: that validation took.
    """

    fault: str
    proof: str
    verdict: str
    outcome: str = ""
    codes: tuple[str, ...] = ()
    reason: str = ""
    seconds: float = 0.0
