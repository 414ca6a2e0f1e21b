"""`migrate status TREE`: what the journal of a converted tree knows, and what has changed since."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from migrate.cli.exit_codes import GOOD, NOT_GOOD
from migrate.cli.output import check_standard_output, columns, put, say, wants_color

if TYPE_CHECKING:
    from absl.flags import FlagValues


def status(operands: Sequence[str], values: FlagValues) -> int:
    """Shows the status of a tree; the exit code says whether every model is good and as it was."""
    from migrate.fleet.status import dumps, read_status, to_document
    from migrate.report.status import render

    check_standard_output()
    found = read_status(operands[0])
    if found.damage:
        say(f"migrate: {found.damage}")
    code = GOOD if found.ok else NOT_GOOD
    if values.format == "json":
        return put(dumps(found), code)
    return put(render(to_document(found), columns(), wants_color()), code)
