"""How much is compared before a new model is published."""

from __future__ import annotations

from collections.abc import Mapping

NONE, PROOF, REPLAY, FULL = "none", "proof", "replay", "full"

LEVELS = (NONE, PROOF, REPLAY, FULL)
"""From the least to the most; each one also does what those before it do."""

MEANINGS: Mapping[str, str] = {
    NONE: "compares nothing",
    PROOF: "proves from the files alone that the new graph computes what the source's does",
    REPLAY: "makes the same calls to both models",
    FULL: "also compares what TF2 code sees, gradients, and random ops under equal seeds",
}
"""What each level does, for help."""

SWITCHES: Mapping[str, bool] = {"true": True, "t": True, "1": True, "false": False, "f": False, "0": False}
"""What the words mean that a switch takes, in lower case."""


def level_of(value: object) -> str | None:
    """The level that a value names: its own name, or what a switch takes; None where it names none.

    Example:
      >>> level_of(True), level_of("replay"), level_of("much")
      ('full', 'replay', None)
    """
    if isinstance(value, str) and value in LEVELS:
        return value
    is_full = SWITCHES.get(value.lower()) if isinstance(value, str) else value
    return (FULL if is_full else NONE) if isinstance(is_full, bool) else None


def reaches(level: str, wanted: str) -> bool:
    """Whether a level does what another one does.

    Example:
      >>> reaches("full", "replay"), reaches("none", "replay")
      (True, False)
    """
    return LEVELS.index(level) >= LEVELS.index(wanted)
