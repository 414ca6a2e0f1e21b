"""The way of a model through the house: audit, convert, validate.

Nothing slow is imported before a function is called.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from migrate.errors import InputError, UsageError
from migrate.records import ModelOptions, Options, Report, Unreadable

if TYPE_CHECKING:
    from migrate.config_writer import Written
    from migrate.events import Event
    from migrate.fleet.model_options import Decision

_DEFAULTS = Options()


def audit(
    path_or_paths: str | Sequence[str],
    options: Options = _DEFAULTS,
    *,
    progress: Callable[[str], None] | None = None,
) -> Report:
    """Says what models are and whether they can be converted. Starts no TensorFlow and writes nothing.

    A remote path (`gs://...`) is copied to this machine first, by TensorFlow in a child process.

    Args:
      path_or_paths: directories, each a model or a tree of models.
      options: those of models and of trees count; `jobs` more than one has that many processes work side by side.
      progress: told which model is being read.

    Returns:
      One `ModelReport` a model; its outcome is `Convertible`, `AlreadyTF2`, `Refused` or `Unreadable`. For one that is
      refused, what audit proposes was tried: `proposed` is what makes it convertible.

    Raises:
      InputError: a path does not exist, is a file, or holds no model; or the config is wrong.
    """
    paths = [path_or_paths] if isinstance(path_or_paths, str) else list(path_or_paths)
    say = _silent if progress is None else progress
    if not any("://" in path for path in paths):
        return _flags_used(_audit(paths, options, say), options)
    from migrate.fleet.remote import brought, named

    with brought(tuple(paths)) as here:
        found = _flags_used(_audit(list(here.values()), options, say), options)
        return named(found, {local: path for path, local in here.items()})


def _audit(paths: Sequence[str], options: Options, say: Callable[[str], None]) -> Report:
    from migrate.fleet.audits import audit_fleet

    if options.architecture is not None:
        from migrate.sources.keras_files import check_architecture

        check_architecture(options.architecture)
    return Report(audit_fleet(paths, options, say))


def _has_partial_flags(options: Options) -> bool:
    """Whether flags are about a part of some models, so that `_flags_used` may find that there is none."""
    return bool(options.feeds or options.architecture is not None or options.checkpoint_root)


def _flags_used(report: Report, options: Options) -> Report:
    """Gives the report back, unless a flag about a part of some models is about none of them.

    Raises:
      UsageError: no model has a tensor that `options.feeds` names, is weights that `options.architecture` is for, or
        has the checkpoint by object that `options.checkpoint_root` is about.
    """
    codes = {finding.code for model in report.models for finding in model.findings}
    unread = any(isinstance(model.outcome, Unreadable) for model in report.models)
    if options.architecture is not None and report.models and not unread and "keras-architecture" not in codes:
        raise UsageError("--architecture: no model here is Keras weights without an architecture in their own file")
    if options.checkpoint_root and report.models and not unread and "keras-checkpoint-root" not in codes:
        raise UsageError("--checkpoint_root: no model here is a Keras architecture with a checkpoint by object")
    for feed in options.feeds:
        lacking = [
            finding
            for model in report.models
            for finding in model.findings
            if finding.code == "feed-tensor-missing" and finding.nodes == (feed.tensor,)
        ]
        if len(lacking) < len(report.models) or not report.models:
            continue
        near = next((f"; {finding.hint}" for finding in lacking if finding.hint), "")
        raise UsageError(f"--feed: no model here has the tensor {feed.tensor!r}{near}")
    return report


def convert(
    source: str,
    destination: str,
    options: Options = _DEFAULTS,
    *,
    progress: Callable[[Event], None] | None = None,
) -> Report:
    """Converts a TF1 SavedModel, or every one in a tree, to a TF2 SavedModel.

    Args:
      source: a model, or a tree of models; only read.
      destination: directory of the new model, or of the tree in which `source` is mirrored. With `options.all_tags` a
        model with several MetaGraphDefs becomes a directory with one model for each, named by its tags joined by `_`.
      options: see `records.Options`.
      progress: told what is being done; threads call it, one at a time for `Finished`.

    Returns:
      One `ModelReport` a model, whatever became of it: its outcome is `Converted`, `Unchanged`, `Unreadable`,
      `Refused`, `Mismatched`, `Failed`, `Crashed` or `TimedOut`; with `options.dry_run` as `audit` gives it. What an
      earlier run has done in the same tree, and what has not changed since, is not done again (`skipped`).

    Raises:
      InputError: the source holds no model, or the destination cannot be written.
    """
    listen = _silent if progress is None else progress
    _check_calls(source, _of_one(source, options))
    if _has_partial_flags(options) and options.runner is None:
        audit(source, options)  # Before anything is written.
    if options.runner is None and ("://" in source or "://" in destination):
        from migrate.fleet.remote import convert_remote

        return convert_remote(source, destination, options, listen)
    from migrate.fleet.run import convert_fleet

    return convert_fleet(source, destination, options, listen)


def validate(
    candidate: str,
    *,
    against: str,
    options: Options = _DEFAULTS,
    progress: Callable[[str], None] | None = None,
) -> Report:
    """Replays calls on a source and on a candidate, each loaded from disk, and compares the answers.

    Args:
      candidate: directory of a TF2 SavedModel, of this package's making or not.
      against: directory of the TF1 SavedModel whose answers are golden.
      options: `tags`, `inputs`, `max_ulps`, `allow_side_effects` and `timeout_seconds` count.
      progress: told what is being done.

    Returns:
      One `ModelReport`; its outcome is `Validated` when the candidate gives the golden answers.

    Raises:
      InputError: either path holds no single model.
    """
    from migrate.children import Nursery
    from migrate.fleet.jobs import validate_model
    from migrate.fleet.remote import brought, named
    from migrate.sources.discover import find_models

    say = _silent if progress is None else progress
    options = _of_one(against, options)
    _check_calls(against, options)
    if _has_partial_flags(options):
        audit(against, options)  # Before anything runs.
    with brought((candidate, against)) as here:
        for path, local in here.items():
            if find_models(local) != (local.rstrip(os.sep) or os.sep,):
                raise InputError(f"{path}: holds a tree of models; validate takes one model on each side")
        with Nursery() as nursery:
            found = validate_model(here[candidate], here[against], options, nursery, say)
        return named(Report((found,)), {local: path for path, local in here.items()})


def _of_one(source: str, options: Options) -> Options:
    """The options with what the config says of a model that is given alone; as they are for a tree.

    Raises:
      InputError: the config is wrong, or has nothing for the model.
    """
    if options.config is None or "://" in source or options.runner is not None:
        return options
    from migrate.fleet.model_options import decide, tables_of
    from migrate.sources.discover import find_models

    if find_models(source) != (source.rstrip(os.sep) or os.sep,):
        return options
    (tables,) = tables_of(options.config, {source: os.curdir}).values()
    return decide(options, tables, ModelOptions()).options


def options_of_models(source: str, options: Options = _DEFAULTS, *, journal: str | None = None) -> tuple[Decision, ...]:
    """Says which options apply to each model, and where each comes from; reads no model.

    Args:
      source: a model, or a tree of models.
      options: of the command; `config` names a migrate.toml.
      journal: the new tree whose journal may remember options, or None.

    Returns:
      One `Decision` for each model that the options choose.

    Raises:
      InputError: there is no model, or the config is wrong.
    """
    from migrate.fleet.audits import decisions

    return decisions(source, options, journal)


def write_config(paths: str | Sequence[str], report: Report, file: str) -> Written:
    """Adds to a migrate.toml what audit proposes; what is there already stays as it is.

    Args:
      paths: what was audited, a model or tree each.
      report: what `audit` has said of them.
      file: made where it is not there.

    Returns:
      What was added, and which tables are for no model any more.

    Raises:
      InputError: the file cannot be read or written, or cannot be added to.
    """
    from migrate.config_writer import add_proposals
    from migrate.sources.discover import find_models

    given = [paths] if isinstance(paths, str) else list(paths)
    return add_proposals(file, report, {path: find_models(path) for path in given})


def _check_calls(source: str, options: Options) -> None:
    """Reads the user's calls before any model: what is wrong with them is told at once, not by each model.

    Raises:
      InputError: they cannot be read, or do not fit the one model at `source`.
    """
    if options.inputs is None:
        return
    from migrate.verify.given import check_calls

    check_calls(options.inputs, None)
    if "://" in source or options.runner is not None:
        return
    from migrate.sources.discover import find_models

    if find_models(source) != (source.rstrip(os.sep) or os.sep,):
        return
    from migrate.fleet.study import audit_model
    from migrate.records import Convertible

    report = audit_model(source, options)
    if isinstance(report.outcome, Convertible) and report.meta_graphs and not options.all_tags:
        check_calls(options.inputs, report.meta_graphs[0].signatures)  # The one that is converted.


def write_report(report: Report, directory: str) -> tuple[str, ...]:
    """Writes a report as files: report.json, junit.xml, report.sarif and report.html.

    Args:
      report: what `audit`, `convert` or `validate` has given; with `Options.details` it shows more.
      directory: made where it is not there; files of an earlier report are replaced.

    Returns:
      The paths of the files.

    Raises:
      InputError: they cannot be written.
    """
    from migrate.report.files import write_files
    from migrate.report.json import to_document

    return write_files(to_document(report), directory)


def render_report(directory: str, *, progress: Callable[[str], None] | None = None) -> tuple[str, ...]:
    """Makes the files of a report again; reads no model.

    Args:
      directory: of a report, made again from its report.json; or a tree that `convert` has written, whose journal is
        shown in `.migrate/report` below it.
      progress: told of what could not be read.

    Returns:
      The paths of the files.

    Raises:
      InputError: there is no report.json and no journal, or it is damaged or none of this version's.
    """
    from migrate.fleet import journal
    from migrate.report.files import JSON_FILE, read_document, write_files

    if not os.path.lexists(os.path.join(directory, JSON_FILE)):
        found = journal.read_journal(directory)
        done, damage = found.reports(), journal.damage(directory, found)
        if damage and not done:
            raise InputError(damage)
        if damage and progress is not None:
            progress(damage)
        if done:
            return write_report(Report(done), journal.report_directory(directory))
    return write_files(read_document(directory), directory)


def check_report_directory(directory: str) -> None:
    """Makes a directory for a report before the work that is to be reported.

    Raises:
      InputError: it cannot be made or written to.
    """
    from migrate.report.files import prepare

    prepare(directory)


def _silent(_: object) -> None:
    """Takes progress lines where nobody asked for them."""
