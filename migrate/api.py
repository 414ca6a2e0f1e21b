"""The Python API: audit, convert, validate and the functions beside them.

Nothing slow is imported before a function is called.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from migrate.errors import InputError, UsageError
from migrate.events import Began, Called, Finished, Listener, Warned, event_of
from migrate.records import ModelOptions, Options, Report, Unreadable

if TYPE_CHECKING:
    from migrate.config_writer import Written
    from migrate.fleet.model_options import Decision
    from migrate.report.comparison import Change

Path = str | os.PathLike[str]

_DEFAULTS = Options()


def audit(
    path_or_paths: Path | Sequence[Path],
    options: Options = _DEFAULTS,
    *,
    progress: Listener | None = None,
) -> Report:
    """Reports what models are and whether they can be converted. Starts no TensorFlow and writes nothing.

    A remote path (`gs://...`) is copied to this machine first, by TensorFlow in a child process.

    Args:
      path_or_paths: directories, each a model or a tree of models.
      options: those of models and of trees are used; `jobs` is the number of processes that work in parallel.
      progress: called with the model that is being read, and with its result.

    Returns:
      One `ModelReport` per model; its outcome is `Convertible`, `AlreadyTF2`, `Refused` or `Unreadable`. For a refused
      model, audit tries its proposals: `proposed` holds those that make it convertible.

    Raises:
      InputError: a path does not exist or holds no model; or the config is wrong.

    Example:
      >>> report = audit("testdata/models/vocabulary")
      >>> report
      <Report: 1 model: 1 convertible>
      >>> [signature.key for signature in report.models[0].meta_graphs[0].signatures]
      ['labels', 'serving_default']
    """
    given = [path_or_paths] if isinstance(path_or_paths, (str, os.PathLike)) else path_or_paths
    paths = [os.fspath(path) for path in given]
    listen = _silent if progress is None else progress
    with _libraries(options) as options:
        if not any("://" in path for path in paths):
            return _flags_used(_audit(paths, options, listen), options)
        from migrate.fleet.remote import brought, named

        with brought(tuple(paths)) as here:
            found = _flags_used(_audit(list(here.values()), options, listen), options)
            return named(found, {local: path for path, local in here.items()})


def _libraries(options: Options) -> contextlib.AbstractContextManager[Options]:
    """See `model.op_libraries.libraries_in_force`; most commands have none."""
    if not (options.op_library or options.import_module):
        return contextlib.nullcontext(options)
    from migrate.model.op_libraries import libraries_in_force

    return libraries_in_force(options)


def _audit(paths: Sequence[str], options: Options, listen: Listener) -> Report:
    from migrate.fleet.audits import audit_fleet

    if options.architecture is not None:
        from migrate.sources.forms import form_of
        from migrate.sources.keras_files import check_architecture

        check_architecture(options.architecture, form_of)
    return Report(audit_fleet(paths, options, listen), whole_tree=options.takes_all and len(paths) == 1)


def _has_partial_flags(options: Options) -> bool:
    """Whether flags are about a part of some models, so that `_flags_used` may find that there is none."""
    return bool(options.feed or options.architecture is not None or options.checkpoint_root)


def _flags_used(report: Report, options: Options) -> Report:
    """Gives the report back, unless a flag about a part of some models is about none of them.

    Raises:
      UsageError: no model has a tensor that `options.feed` names, is weights that `options.architecture` is for, or
        has the checkpoint by object that `options.checkpoint_root` is about.
    """
    codes = {finding.code for model in report.models for finding in model.findings}
    unread = any(isinstance(model.outcome, Unreadable) for model in report.models)
    if options.architecture is not None and report.models and not unread and "keras-architecture" not in codes:
        raise UsageError("--architecture: no model here is Keras weights without an architecture in their own file")
    if options.checkpoint_root and report.models and not unread and "keras-checkpoint-root" not in codes:
        raise UsageError("--checkpoint_root: no model here is a Keras architecture with a checkpoint by object")
    for feed in options.feed:
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
    source: Path,
    destination: Path,
    options: Options = _DEFAULTS,
    *,
    progress: Listener | None = None,
) -> Report:
    """Converts a TF1 SavedModel, or every one in a tree, to a TF2 SavedModel.

    Args:
      source: a model, or a tree of models; only read.
      destination: directory of the new model, or of the tree in which `source` is mirrored. With `options.all_tags` a
        model with several MetaGraphDefs becomes a directory with one model for each, named by its tags joined by `_`.
      options: see `records.Options`.
      progress: told what is being done; threads call it, one at a time for `Finished`.

    Returns:
      One `ModelReport` per model, whatever became of it: its outcome is `Converted`, `Unchanged`, `Unreadable`,
      `Refused`, `Mismatched`, `Failed`, `Crashed` or `TimedOut`; with `options.dry_run` as `audit` gives it. What an
      earlier run has done in the same tree, and what has not changed since, is not done again (`skipped`).

    Raises:
      InputError: the source holds no model, or the destination cannot be written.

    Example:
      >>> report = convert("testdata/models/vocabulary", new / "vocabulary")
      >>> report.models[0].outcome, report.models[0].verification.passed
      (Converted(), True)
    """
    listen = _silent if progress is None else progress
    with _libraries(options) as options:
        return _convert(os.fspath(source), os.fspath(destination), options, listen)


def _convert(source: str, destination: str, options: Options, listen: Listener) -> Report:
    chosen = _of_one(source, options)
    _check_calls(source, chosen)
    _check_golden(source, chosen)
    if _has_partial_flags(options) and options.runner is None:
        audit(source, options)  # Before anything is written.
    if options.runner is not None:
        from migrate.fleet.beam import convert_with_beam

        return convert_with_beam(source, destination, options)
    if "://" in source or "://" in destination:
        from migrate.fleet.remote import convert_remote

        return convert_remote(source, destination, options, listen)
    from migrate.fleet.run import convert_fleet

    return convert_fleet(source, destination, options, listen)


def validate(
    candidate: Path,
    *,
    against: Path | None = None,
    options: Options = _DEFAULTS,
    progress: Listener | None = None,
    journal: Path | None = None,
) -> Report:
    """Makes the same calls on a source and on a candidate, each loaded from disk, and compares the answers.

    Args:
      candidate: directory of a TF2 SavedModel, made by this package or not; or a tree of them.
      against: directory of the model whose answers are golden, or a tree of them. A candidate is compared with the
        source that has the same path in its tree. None where `options.golden` has the answers.
      options: `tags`, `inputs`, `max_ulps`, `allow_side_effects` and `timeout` count, and what was asked for when the
        candidate was converted (`signature`, `feed`, `drop_signatures`, `keep_tensor_names`, `variables`), which is a
        difference otherwise; of trees also `jobs`, `include`, `exclude`, `only_latest_version`, `fail_fast` and
        `memory_limit_bytes`.
      progress: told what is being done; threads call it, one at a time for `Finished`.
      journal: directory that records which pairs of trees were compared, so that the same command continues where an
        earlier one ended and skips pairs that have not changed; None records nothing.

    Returns:
      One `ModelReport` for each pair; its outcome is `Validated` when the candidate gives the golden answers.

    Raises:
      InputError: a path holds no model, one is a model and the other a tree, or the trees have no model in common.

    Example:
      >>> validate(new / "vocabulary", against="testdata/models/vocabulary")
      <Report: 1 model: 1 validated>
    """
    listen = _silent if progress is None else progress
    candidate = os.fspath(candidate)
    with _libraries(options) as options:
        if against is None:
            return _validate_with_golden(candidate, options, listen)
        return _validate(
            candidate, os.fspath(against), options, listen, None if journal is None else os.fspath(journal)
        )


def _validate(candidate: str, against: str, options: Options, listen: Listener, journal: str | None) -> Report:
    from migrate.fleet.remote import brought, named
    from migrate.model.jobs import validate_model
    from migrate.model.messages import ValidateJob
    from migrate.processes.nursery import Nursery
    from migrate.sources.discover import find_models, is_one_model

    options = _of_one(against, options)
    _check_calls(against, options)
    _check_golden(against, options)
    if _has_partial_flags(options):
        audit(against, options)  # Before anything runs.
    with brought((candidate, against)) as here:
        trees = [path for path, local in here.items() if not is_one_model(local, find_models(local))]
        if len(trees) == 1:
            raise InputError(
                f"{trees[0]}: holds a tree of models, and the other side is one model; give two trees or two models"
            )
        if trees:
            if any("://" in path for path in trees):
                raise InputError(f"{trees[0]}: trees are validated on this machine; copy both here")
            from migrate.fleet.validation import validate_fleet

            if journal is not None:
                check_report_directory(journal, (candidate, against))
            return validate_fleet(candidate, against, options, listen, journal)
        listen(Began(1, 1))

        def say(text: str) -> None:
            listen(event_of(0, candidate, text))

        def counted(call: int, calls: int) -> None:
            listen(Called(0, candidate, call, calls))

        with Nursery(counted=counted) as nursery:
            found = validate_model(ValidateJob(here[candidate], here[against], options), nursery, say)
        report = named(Report((found,)), {local: path for path, local in here.items()})
        listen(Finished(0, report.models[0], 1, 1))
        return report


@contextlib.contextmanager
def keep_warm() -> Iterator[None]:
    """Within it, `convert` and `validate` start TensorFlow once, not once for each call.

    For notebooks, services and tests, which convert one model after another. The process that has TensorFlow imported
    ends with the block. A change of the environment or of the working directory between two calls starts a new one.

    Example:
      >>> with keep_warm():
      ...     first = convert("testdata/models/alias", new / "alias", Options(verify="none"))
      ...     second = convert("testdata/models/cond", new / "cond", Options(verify="none"))
      >>> first.ok and second.ok
      True
    """
    from migrate.processes.keep_warm import keep_warm as kept

    with kept():
        yield


def _validate_with_golden(candidate: str, options: Options, listen: Listener) -> Report:
    """Compares one candidate with `options.golden` alone."""
    from migrate.fleet.remote import brought, named
    from migrate.model.jobs import validate_with_golden
    from migrate.processes.nursery import Nursery
    from migrate.sources.discover import find_models, is_one_model

    if options.golden is None:
        raise UsageError("validate needs `against`, or `options.golden`")
    _check_level(options)
    with brought((candidate,)) as here:
        if not is_one_model(here[candidate], find_models(here[candidate])):
            raise InputError(f"{candidate}: holds a tree of models; a golden file is of one model")
        listen(Began(1, 1))
        with Nursery(counted=lambda call, calls: listen(Called(0, candidate, call, calls))) as nursery:
            found = validate_with_golden(
                here[candidate], options, nursery, lambda text: listen(event_of(0, candidate, text))
            )
        report = named(Report((found,)), {local: path for path, local in here.items()})
        listen(Finished(0, report.models[0], 1, 1))
        return report


def _check_golden(source: str, options: Options) -> None:
    """Reads the golden file before anything is written, so that what is wrong with it is wrong use.

    Raises:
      UsageError: `source` is not one model, or nothing is to be replayed.
      InputError: it is no golden file, or one of another model.
    """
    if options.golden is None:
        return
    _check_level(options)
    if options.runner is not None or options.all_tags:
        raise UsageError("--golden has the answers of one model; it cannot be used with --runner or --all_tags")
    if "://" in source:
        return  # When it is here.
    from migrate.model.jobs import check_golden
    from migrate.processes.forks import Forks
    from migrate.sources.discover import find_models, is_one_model

    if not is_one_model(source, find_models(source)):
        raise UsageError(
            f"--golden has the answers of one model, and {source} is a tree of models; name a file for each of them in "
            "migrate.toml"
        )
    check_golden(source, options, Forks())


def _check_level(options: Options) -> None:
    from migrate.levels import REPLAY, reaches

    if not reaches(options.verify, REPLAY):
        raise UsageError(f"--golden makes calls, --verify={options.verify} makes none; the least is --verify=replay")


def _of_one(source: str, options: Options) -> Options:
    """The options, with the config applied to a single model; unchanged for a tree.

    Raises:
      InputError: the config is wrong, or has nothing for the model.
    """
    if options.config is None or "://" in source or options.runner is not None:
        return options
    from migrate.fleet.model_options import decide, tables_of
    from migrate.sources.discover import find_models, is_one_model

    if not is_one_model(source, find_models(source)):
        return options
    (tables,) = tables_of(options.config, {source: os.curdir}).values()
    return decide(options, tables, ModelOptions()).options


def options_of_models(
    source: Path, options: Options = _DEFAULTS, *, journal: Path | None = None
) -> tuple[Decision, ...]:
    """Reports which options apply to each model, and where each comes from; reads no model.

    Args:
      source: a model, or a tree of models.
      options: of the command; `config` names a migrate.toml.
      journal: the converted tree whose journal may hold options, or None.

    Returns:
      One `Decision` for each model that the options choose.

    Raises:
      InputError: there is no model, or the config is wrong.
    """
    from migrate.fleet.audits import decisions

    return decisions(os.fspath(source), options, None if journal is None else os.fspath(journal))


def write_config(paths: Path | Sequence[Path], report: Report, file: Path) -> Written:
    """Adds audit's proposals to a migrate.toml; existing entries are not changed.

    Args:
      paths: what was audited, a model or tree each.
      report: the result of `audit`.
      file: created if it does not exist.

    Returns:
      What was added, and which tables match no model any more.

    Raises:
      InputError: the file cannot be read or written, or cannot be added to.

    Example:
      >>> from tempfile import TemporaryDirectory
      >>> folder, models = TemporaryDirectory(), "testdata/models/unfed_training"
      >>> written = write_config(models, audit(models), os.path.join(folder.name, "migrate.toml"))
      >>> os.listdir(folder.name)
      ['migrate.toml']
    """
    from migrate.config_writer import add_proposals
    from migrate.sources.discover import find_models

    given = [os.fspath(path) for path in ([paths] if isinstance(paths, (str, os.PathLike)) else paths)]
    return add_proposals(os.fspath(file), report, {path: find_models(path) for path in given})


def _check_calls(source: str, options: Options) -> None:
    """Reads the user's calls before any model, so that an error in them is reported once rather than per model.

    Raises:
      InputError: they cannot be read, or do not fit the one model at `source`.
    """
    if options.inputs is None:
        return
    from migrate.verify.given import check_calls

    check_calls(options.inputs, None)
    if "://" in source or options.runner is not None:
        return
    from migrate.sources.discover import find_models, is_one_model

    if not is_one_model(source, find_models(source)):
        return
    from migrate.model.study import study
    from migrate.records import Convertible
    from migrate.verify.requests import as_fed

    with study(source, options) as studied:
        if studied.graph is not None and isinstance(studied.report.outcome, Convertible) and not options.all_tags:
            signatures = studied.report.meta_graphs[0].signatures  # The one that is converted.
            check_calls(options.inputs, as_fed(signatures, studied.graph.judged))


def record(
    model: Path, output: Path, options: Options = _DEFAULTS, *, progress: Listener | None = None
) -> tuple[str, ...]:
    """Records what a model answers here, as a file for `Options.golden` on another machine.

    Args:
      model: a model of any form that can be converted, or a TF2 SavedModel; it is only read.
      output: the file to write, a `.npz` without pickles.
      options: `inputs`, `timeout`, `allow_side_effects`, and those that say how the model is read.
      progress: called with what was not recorded.

    Returns:
      what was written, a line each.

    Raises:
      InputError: the model cannot be read, gives no answers here, or the file cannot be written.

    Example:
      >>> record("testdata/models/simple_save", new / "golden.npz")[0]
      '...golden.npz: 10 calls of 1 signature, answered by TensorFlow ...'
    """
    from migrate.fleet.remote import brought
    from migrate.model.recording import record as recorded_by
    from migrate.processes.nursery import Nursery
    from migrate.sources.discover import find_models, is_one_model

    listen = _silent if progress is None else progress
    model, output = os.fspath(model), os.fspath(output)
    if not output.endswith(".npz"):
        raise UsageError(f"--output={output}: golden answers are a .npz file; give it that ending")
    if os.path.realpath(output).startswith(os.path.realpath(model) + os.sep):
        raise UsageError(f"--output={output}: is inside of the model, which is only read")
    with _libraries(options) as options, brought((model,)) as here, Nursery() as nursery:
        if not is_one_model(here[model], find_models(here[model])):
            raise InputError(f"{model}: holds a tree of models; record takes one model")
        found = recorded_by(here[model], output, options, nursery)
    for key, why in found.skipped.items():
        listen(Warned(f"signature {key!r} is not recorded: {why}"))
    for note in found.notes:
        listen(Warned(f"not recorded: {note}"))
    signatures = len({call.signature for call in found.calls})
    told = "1 signature" if signatures == 1 else f"{signatures} signatures"
    return (f"{output}: {len(found.calls)} calls of {told}, answered by {found.by}",)


def recorder_script() -> str:
    """The program that records golden answers on a machine with TensorFlow 1.4 or later, in one file.

    Example:
      >>> "legacy" in recorder_script()
      True
    """
    import importlib.resources

    return importlib.resources.files("migrate.verify").joinpath("legacy_recorder.py").read_text("utf-8")


def inputs(model: Path, options: Options = _DEFAULTS, *, progress: Listener | None = None) -> str:
    """Makes a file of calls to start from: one call per signature, with dtypes, shapes and example values.

    Args:
      model: a model; its graph is read and not run.
      options: `tags`, `signature`, `feed` and `take_proposals` are used.
      progress: called with the reason for each signature that is left out.

    Returns:
      The text of a JSON file that `Options.inputs` takes as it is (docs/inputs.md).

    Raises:
      InputError: the path holds no single model, or the model has no signature that could be called.

    Example:
      >>> import json
      >>> json.loads(inputs("testdata/models/vocabulary"))[0]["inputs"]
      {'ids': [3]}
    """
    from migrate.fleet.remote import brought
    from migrate.model.inputs_template import template_of
    from migrate.sources.discover import find_models, is_one_model

    listen = _silent if progress is None else progress
    model = os.fspath(model)
    with _libraries(options) as options, brought((model,)) as here:
        if not is_one_model(here[model], find_models(here[model])):
            raise InputError(f"{model}: holds a tree of models; inputs takes one model")
        text, left_out = template_of(here[model], options)
    for key, reason in left_out.items():
        listen(Warned(f"signature {key!r} is left out: {reason}"))
    return text


def write_report(report: Report, directory: Path) -> tuple[str, ...]:
    """Writes a report as files: report.json, junit.xml, report.sarif and report.html.

    Args:
      report: the result of `audit`, `convert` or `validate`; with `Options.details` it shows more.
      directory: created if it does not exist; files of an earlier report are replaced.

    Returns:
      The paths of the files.

    Raises:
      InputError: they cannot be written.

    Example:
      >>> from tempfile import TemporaryDirectory
      >>> folder = TemporaryDirectory()
      >>> [os.path.basename(file) for file in write_report(audit("testdata/models/counter"), folder.name)]
      ['report.json', 'junit.xml', 'report.sarif', 'report.html']
    """
    from migrate.report.files import write_files
    from migrate.report.json import to_document

    return write_files(to_document(report), os.fspath(directory))


def render_report(directory: Path, *, progress: Listener | None = None) -> tuple[str, ...]:
    """Makes the files of a report again; reads no model.

    Args:
      directory: of a report, made again from its report.json; or a tree that `convert` has written, whose journal is
        shown in `.migrate/report` below it.
      progress: told of what could not be read.

    Returns:
      The paths of the files.

    Raises:
      InputError: there is no report.json and no journal, or it is damaged or was written by another version.

    Example:
      >>> from tempfile import TemporaryDirectory
      >>> folder = TemporaryDirectory()
      >>> write_report(audit("testdata/models/counter"), folder.name) == render_report(folder.name)
      True
    """
    from migrate.fleet.journal import report_directory
    from migrate.report.files import write_files

    directory = os.fspath(directory)
    document, of_journal = _read_report(directory, _silent if progress is None else progress)
    return write_files(document, report_directory(directory) if of_journal else directory)


def _read_report(directory: str, listen: Listener) -> tuple[dict[str, Any], bool]:
    """The document of a report, or of a tree's journal; and whether it is the journal's."""
    from migrate.fleet import journal
    from migrate.report.files import JSON_FILE, read_document
    from migrate.report.json import to_document

    if not os.path.lexists(os.path.join(directory, JSON_FILE)):
        found = journal.read_journal(directory)
        done, damage = found.reports(), journal.damage(directory, found)
        if damage and not done:
            raise InputError(damage)
        if damage:
            listen(Warned(damage))
        if done:
            return to_document(Report(done)), True
    return read_document(directory), False


def compare_reports(new: Path, *, against: Path, progress: Listener | None = None) -> tuple[Change, ...]:
    """Compares two reports: which models became better, worse or are new; reads no model.

    Args:
      new: directory of a report, or a tree that `convert` has written.
      against: the same, of the earlier one.
      progress: told of what could not be read.

    Returns:
      One `Change` for each model, the worst first.

    Raises:
      InputError: one of the two is no report.

    Example:
      >>> from tempfile import TemporaryDirectory
      >>> old, new = TemporaryDirectory(), TemporaryDirectory()
      >>> for folder, options in ((old, Options()), (new, Options(take_proposals=True))):
      ...     files = write_report(audit("testdata/models/unfed_training", options=options), folder.name)
      >>> [change.kind for change in compare_reports(new.name, against=old.name)]
      ['better']
    """
    from migrate.report.comparison import compare

    listen = _silent if progress is None else progress
    return compare(_read_report(os.fspath(new), listen)[0], _read_report(os.fspath(against), listen)[0])


def check_report_directory(directory: str, apart_from: Sequence[str] = ()) -> None:
    """Creates the directory of a report before the work begins.

    Args:
      directory: its path.
      apart_from: directories in which nothing may be written.

    Raises:
      InputError: it cannot be created or written to, or is inside one of `apart_from`.
    """
    from migrate.report.files import prepare

    for other in apart_from:
        if _is_in(directory, other):
            raise InputError(f"{directory}: is in {other}, in which nothing is written; choose another --report")
    prepare(directory)


def _is_in(path: str, folder: str) -> bool:
    try:
        real, root = os.path.realpath(path), os.path.realpath(folder)
    except ValueError:  # Not a path; the function that opens it reports that.
        return False
    return real == root or real.startswith(root.rstrip(os.sep) + os.sep)


def _silent(_: object) -> None:
    """Ignores progress."""
