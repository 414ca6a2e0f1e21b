"""`migrate record MODEL`: golden answers as a file, or the program that records them with TensorFlow 1."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from migrate import api
from migrate.cli.exit_codes import GOOD
from migrate.cli.options import options
from migrate.cli.output import check_standard_output, put, say
from migrate.errors import UsageError

if TYPE_CHECKING:
    from absl.flags import FlagValues


def record(operands: Sequence[str], values: FlagValues) -> int:
    """Writes what a model answers to a file."""
    if values.print_script:
        if operands or values.output:
            raise UsageError("--print_script prints a program for another machine, and takes no model and no --output")
        check_standard_output()
        return put(api.recorder_script())
    if not operands or not values.output:
        raise UsageError(
            "record takes a model and --output: migrate record MODEL --output=golden.npz; or --print_script alone"
        )
    for line in api.record(operands[0], values.output, options(values), progress=lambda text: say(f"migrate: {text}")):
        say(line)
    return GOOD
