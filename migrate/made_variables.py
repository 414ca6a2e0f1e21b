"""Which constants become variables of the new model."""

from __future__ import annotations

from collections.abc import Mapping

from migrate.levels import SWITCHES

NONE, WEIGHTS, LARGE = "none", "weights", "large"
VARIABLES = (NONE, WEIGHTS, LARGE)
"""What may be asked for. In `Options` the first two are False and True."""
LEAST_BYTES = 1 << 20
"""What a constant holds at least that becomes a variable for its size alone."""
_VALUES: Mapping[str, bool | str] = {NONE: False, WEIGHTS: True, LARGE: LARGE}


def made_variables(value: object) -> bool | str | None:
    """What `Options.variables` is for a value: one of `VARIABLES`, or what a switch takes; None for any other one.

    Example:
      >>> made_variables("weights"), made_variables(False), made_variables("large"), made_variables("small")
      (True, False, 'large', None)
    """
    if isinstance(value, bool):
        return value
    if not isinstance(value, str):
        return None
    word = value.lower()
    return _VALUES[word] if word in _VALUES else SWITCHES.get(word)
