"""The commands that read models: flags and operands in, a report on standard output, an exit code."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING

from migrate import api
from migrate.cli.config import check_written, mention_configs, put_audit
from migrate.cli.exit_codes import GOOD
from migrate.cli.flags import INFO, WARNINGS
from migrate.cli.forms import put_report, put_security
from migrate.cli.options import options
from migrate.cli.output import check_standard_output, say
from migrate.cli.progress import Progress, fleet_progress, progress, start_logging
from migrate.errors import InputError, UsageError
from migrate.records import Report

if TYPE_CHECKING:
    from absl.flags import FlagValues

_Call = Callable[[Progress], Report]


def audit(operands: Sequence[str], values: FlagValues) -> int:
    """`migrate audit PATH...`."""
    mention_configs(operands, values)
    check_written(operands, values)
    show = put_security if values.security else put_audit(operands, values)
    return _reported(
        operands, values, progress, lambda tell: api.audit(operands, options=options(values), progress=tell), show
    )


def convert(operands: Sequence[str], values: FlagValues) -> int:
    """`migrate convert SOURCE DESTINATION`."""
    source, destination = operands
    mention_configs((source,), values)
    return _reported(
        operands,
        values,
        fleet_progress,
        lambda tell: api.convert(source, destination, options=options(values), progress=tell),
    )


def validate(operands: Sequence[str], values: FlagValues) -> int:
    """`migrate validate CANDIDATE --against=SOURCE`."""
    if not values.against:
        raise UsageError("validate needs --against: migrate validate CANDIDATE --against=SOURCE")
    (candidate,) = operands
    mention_configs((values.against,), values)
    return _reported(
        operands,
        values,
        progress,
        lambda tell: api.validate(candidate, against=values.against, options=options(values), progress=tell),
    )


def report(operands: Sequence[str], values: FlagValues) -> int:
    """`migrate report DIRECTORY`: makes every form of a report again, and prints none itself."""
    files = api.render_report(operands[0], progress=lambda line: say(f"migrate: {line}"))
    say(f"the report is in {', '.join(files)}")
    return GOOD


def _reported(
    operands: Sequence[str],
    values: FlagValues,
    shown: Callable[[bool], AbstractContextManager[Progress]],
    call: _Call,
    show: Callable[[Report, str], int] = put_report,
) -> int:
    check_standard_output()
    if values.verbosity != WARNINGS:
        start_logging(values.verbosity)
    if values.report is not None:
        api.check_report_directory(values.report)
    with shown(values.verbosity >= INFO) as tell:
        found = call(tell)
    if not found.models:
        raise InputError(f"no model was found in {', '.join(operands)}")
    if values.report is not None:
        say(f"the report is in {', '.join(api.write_report(found, values.report))}")
    return show(found, values.format)
