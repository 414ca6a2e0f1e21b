"""`migrate inputs MODEL`: a file with calls to begin with."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from migrate import api
from migrate.cli.options import options
from migrate.cli.output import check_standard_output, put, say

if TYPE_CHECKING:
    from absl.flags import FlagValues


def inputs(operands: Sequence[str], values: FlagValues) -> int:
    """Prints a template of the calls that `--inputs` takes."""
    check_standard_output()
    return put(api.inputs(operands[0], options(values), progress=lambda line: say(f"migrate: {line}")))
