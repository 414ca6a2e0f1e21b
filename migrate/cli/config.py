"""`migrate.toml` on the command line: what of it is mentioned, written, and shown."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from migrate import api
from migrate.cli.exit_codes import GOOD, NOT_GOOD
from migrate.cli.options import options
from migrate.cli.output import check_standard_output, columns, put, say, wants_color
from migrate.cli.reporting import put_report
from migrate.errors import UsageError, count_words
from migrate.escapes import quoted
from migrate.records import Report

if TYPE_CHECKING:
    from absl.flags import FlagValues


def config(operands: Sequence[str], values: FlagValues) -> int:
    """`migrate config MODELS [NEW]`: shows which options apply to which model."""
    check_standard_output()
    if len(operands) > 2:
        raise UsageError(f"config takes MODELS and perhaps NEW, not {', '.join(map(repr, operands))}")
    journal = operands[1] if len(operands) > 1 else None
    decisions = api.options_of_models(operands[0], options(values), journal=journal)
    mention = mention_configs(operands[:1], values)
    if mention is not None:
        mention()
    from migrate.report.options_text import to_json, to_text

    shown = to_json if values.format == "json" else to_text
    return put(shown({decision.model: decision.origins for decision in decisions}, values.config))


def mention_configs(sources: Sequence[str], values: FlagValues) -> Callable[[], None] | None:
    """Gives what says of a migrate.toml that it is not read, once: it may be a stranger's.

    It is to be called when models are read, and not before an error. None where there is no such file, or a flag names
    a config.
    """
    from migrate.config import unread_configs

    named = values.config is not None or values.flag_values_dict().get("write_config") is not None
    unread = [] if named else list(unread_configs(sources))

    if not unread:
        return None

    def mention() -> None:
        while unread:
            path = unread.pop(0)
            say(f"migrate: {path} is not read; --config={quoted(path)} reads it")

    return mention


def check_written(operands: Sequence[str], values: FlagValues) -> None:
    """Says before the work what is wrong with the file that audit is to add to.

    Raises:
      InputError: it is no config, or the models are not on this machine.
    """
    if values.write_config is None:
        return
    from migrate.config import read_config

    if any("://" in path for path in operands):
        raise UsageError("--write_config is for models on this machine, whose names in their trees it needs")
    if os.path.lexists(values.write_config):
        read_config(values.write_config)


def put_audit(operands: Sequence[str], values: FlagValues) -> Callable[[Report, str, bool], int]:
    """What shows an audit: it adds to a config what was proposed, and shows many models as a plan."""

    def show(report: Report, form: str, quiet: bool) -> int:
        if values.write_config is not None:
            _write(operands, report, values.write_config)
        if form != "text" or len(report.models) == 1 or (quiet and not values.summary):
            return put_report(report, form, quiet)
        from migrate.report.audit_text import render_audit

        shown = render_audit(
            report, columns(), wants_color(), summary_only=values.summary, details=values.details and not values.summary
        )
        return put(shown, GOOD if report.ok else NOT_GOOD)

    return show


def _write(operands: Sequence[str], report: Report, file: str) -> None:
    written = api.write_config(operands, report, file)
    told = "there was nothing to add"
    if written.added:
        told = f"options of {count_words(len(written.added), 'table')} were added"
    if written.blocked:
        are = "is in it as a comment" if written.blocked == 1 else "are in it as comments"
        told += f"; {count_words(written.blocked, 'blocked model')} {are}"
    say(f"migrate: {written.path}: {told}")
    for pattern in written.unmatched:
        say(f"migrate: {written.path}: no model matches {pattern!r} any more")
