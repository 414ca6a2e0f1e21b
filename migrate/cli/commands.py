"""The commands that read models: flags and operands in, a report on standard output, an exit code."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from typing import TYPE_CHECKING

from migrate import api
from migrate.cli.config import check_written, mention_configs, put_audit
from migrate.cli.exit_codes import GOOD, NOT_GOOD
from migrate.cli.flags import INFO, WARNINGS
from migrate.cli.options import options
from migrate.cli.output import check_standard_output, columns, put, say, wants_color
from migrate.cli.progress import Progress, progress, start_logging
from migrate.cli.reporting import check_security_form, put_report, put_security
from migrate.errors import InputError, UsageError
from migrate.levels import NONE
from migrate.records import Report

if TYPE_CHECKING:
    from absl.flags import FlagValues

    from migrate.events import Event

_Call = Callable[[Progress], Report]


def audit(operands: Sequence[str], values: FlagValues) -> int:
    """`migrate audit PATH...`."""
    if values.security:
        check_security_form(values.format)
    check_written(operands, values)
    show = put_security if values.security else put_audit(operands, values)
    return _reported(
        operands,
        values,
        False,
        lambda tell: api.audit(operands, options=options(values), progress=tell),
        show,
        operands,
    )


def convert(operands: Sequence[str], values: FlagValues) -> int:
    """`migrate convert SOURCE DESTINATION`."""
    source, destination = operands
    return _reported(
        operands,
        values,
        True,
        lambda tell: api.convert(source, destination, options=options(values), progress=tell),
        sources=(source,),
    )


def validate(operands: Sequence[str], values: FlagValues) -> int:
    """`migrate validate CANDIDATE --against=SOURCE`."""
    if not values.against and not values.golden:
        raise UsageError(
            "validate needs --against=SOURCE or --golden=FILE: migrate validate CANDIDATE --against=SOURCE"
        )
    if values.verify == NONE:
        raise UsageError("validate compares, so --noverify leaves it nothing to do; the least is --verify=replay")
    (candidate,) = operands
    return _reported(
        operands,
        values,
        True,
        lambda tell: api.validate(
            candidate, against=values.against or None, options=options(values), progress=tell, journal=values.report
        ),
        sources=(values.against,) if values.against else (),
        apart_from=(candidate, *([values.against] if values.against else [])),
    )


def report(operands: Sequence[str], values: FlagValues) -> int:
    """`migrate report DIRECTORY`: makes every form of a report again, or compares it with an earlier one."""
    if values.against is not None:
        return _compared(operands[0], values)
    if values["format"].present:
        raise UsageError("report writes files, and prints only what --against compares")
    files = api.render_report(operands[0], progress=lambda line: say(f"migrate: {line}"))
    say(f"the report is in {', '.join(files)}")
    return GOOD


def _compared(new: str, values: FlagValues) -> int:
    from migrate.report.comparison import dumps, render

    check_standard_output()
    changes = api.compare_reports(new, against=values.against, progress=lambda line: say(f"migrate: {line}"))
    shown = dumps(changes) if values.format == "json" else render(changes, columns(), wants_color())
    return put(shown, NOT_GOOD if any(change.kind == "worse" for change in changes) else GOOD)


def _mentioning(mention: Callable[[], None], tell: Progress) -> Callable[[Event], None]:
    """Calls `mention` when the first event comes: the models are found then, and reading them may take long."""

    def listen(event: Event) -> None:
        mention()
        if tell is not None:
            tell(event)

    return listen


def _reported(
    operands: Sequence[str],
    values: FlagValues,
    lines: bool,
    call: _Call,
    show: Callable[[Report, str, bool], int] = put_report,
    sources: Sequence[str] = (),
    apart_from: Sequence[str] = (),
) -> int:
    check_standard_output()
    if values.verbosity != WARNINGS:
        start_logging(values.verbosity)
    if values.report is not None:
        api.check_report_directory(values.report, apart_from)
    logged = values.verbosity >= INFO
    mention = mention_configs(sources, values)
    with nullcontext(None) if values.quiet and not logged else progress(logged, lines) as tell:
        found = call(tell if mention is None else _mentioning(mention, tell))
    if mention is not None:
        mention()
    if not found.models:
        raise InputError(f"no model was found in {', '.join(operands)}")
    if values.report is not None:
        files = api.write_report(found, values.report)
        if not values.quiet:
            say(f"the report is in {', '.join(files)}")
    return show(found, values.format, values.quiet)
