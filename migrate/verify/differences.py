"""Makes each difference between a candidate and its source: its code says whom it breaks.

The one table of the codes is `findings.md` in this folder; a new code is a new section there.
"""

from __future__ import annotations

from migrate.finding_codes import explanations_of
from migrate.records import Mismatch

UNANSWERING = "candidate-unanswering"
"""Of a candidate that was opened and gave no answers."""


def mismatch(code: str, path: str, reason: str, signature: str = "", output: str = "", call: int = -1) -> Mismatch:
    """A difference; see `records.Mismatch`.

    Args:
      code: a section of `findings.md`.
      path: how the candidate was loaded, or what was read instead.
      reason: what differs, in a line.
      signature: key of the signature, or empty.
      output: the input, output, variable, node or file it is about, or empty.
      call: number of the call, or -1.
    """
    clients = explanations_of("verify")[code].clients
    assert clients is not None, code
    return Mismatch(signature, call, output, path, reason, code, clients)
