"""A fleet beyond one machine: an Apache Beam pipeline in which a DoFn converts one model.

The DoFn does what a thread of `run.py` does, with the same child processes. Its journal has one file per model, because
no file system of many machines appends: `NEWTREE/.migrate/models/DIGEST.json`, written before the model is reported. A
bundle that Beam tries again finds its models done. Sources, list, new tree and journal are on any file system that Beam
knows; a model that is not on a local path is brought to the worker's disk, and its new model is brought back with
saved_model.pb last, so that no reader takes half of it for a model.

No Beam is imported before a pipeline is run: it is an extra (`pip install 'tf1-migrate[beam]'`).
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import hashlib
import io
import os
import posixpath
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from migrate.errors import InputError
from migrate.export.provenance import rename_source, source_of
from migrate.export.publish import check_destination
from migrate.fleet.journal import DIRECTORY, Entry, Journal, from_line, open_journal, to_line
from migrate.fleet.memory import Known, told
from migrate.fleet.model_options import decide, tables_of, with_config
from migrate.fleet.remote import is_remote
from migrate.fleet.selection import Task, select
from migrate.fleet.worker import Look, look, work
from migrate.model.messages import PRELOAD
from migrate.processes.nursery import Nursery
from migrate.records import (
    Converted,
    Failed,
    GivenLibrary,
    Kind,
    ModelOptions,
    ModelReport,
    Options,
    Report,
    Unchanged,
    outcome_name,
)
from migrate.regular_files import open_regular, replace
from migrate.sources.discover import find_models

if TYPE_CHECKING:
    from apache_beam.pvalue import PCollection

_RUNNERS = {"DaskRunner": "apache_beam.runners.dask.dask_runner.DaskRunner"}
"""Runners that Beam knows by their full names only."""
_MODELS = "models"
_LIST = ".txt"
_SAVED_MODEL = "saved_model.pb"
_CHUNK_BYTES = 1 << 24
_PLAIN = "uncompressed"  # apache_beam.io.filesystem.CompressionTypes; by default names ending in .gz are compressed.


def convert_with_beam(source: str, tree: str, options: Options) -> Report:
    """Converts a tree, or the models that a list names, on a runner of Beam.

    Args:
      source: a tree on a file system that all workers see, or a text file with a model's path a line.
      tree: directory of the new tree.
      options: `runner` and `beam_options` say where the work is done.

    Returns:
      One `ModelReport` a model, from the journal.

    Raises:
      InputError: Beam is not installed, there is no model, or another run of this machine writes to the tree.
    """
    if options.dry_run or options.fail_fast:
        raise InputError("--dry_run and --fail_fast are for one machine; leave them out, or leave out --runner")
    pipeline = _pipeline([f"--runner={_RUNNERS.get(options.runner or '', options.runner)}", *options.beam_options])
    if source.endswith(_LIST):
        tasks = _listed(source, tree)
        if options.config is not None:
            tables = tables_of(options.config, {task.path: task.name for task in tasks})
            tasks = tuple(dataclasses.replace(task, tables=tables[task.path]) for task in tasks)
    else:
        tasks = _found(source, tree, options)
    with _held(tree) as journal:
        _run(pipeline, tasks, tree, options)
        models = []
        for task in tasks:
            entry = Models(tree).get(task.name)
            if entry is None:
                raise InputError(f"{tree}: Beam has ended without {task.name}; the same command continues from here")
            if journal is not None and journal.get(task.name) != entry:
                journal.add(entry)
            models.append(entry.report)
    return Report(tuple(models))


def _pipeline(arguments: Sequence[str]) -> Any:
    """An empty pipeline with Beam's options, the runner among them.

    Raises:
      InputError: Beam is not installed, or does not take the options.
    """
    beam = _beam()
    from apache_beam.options.pipeline_options import PipelineOptions

    words = io.StringIO()
    try:
        # Beam's parser writes its usage, of some hundred lines, and ends the process.
        with contextlib.redirect_stderr(words):
            parsed = PipelineOptions(list(arguments))
            parsed.get_all_options()  # A runner looks at its own only when it runs.
            return beam.Pipeline(options=parsed)
    except SystemExit:
        reason = words.getvalue().strip().rpartition("error: ")[2]
    except (ValueError, ImportError, AttributeError, NotImplementedError) as error:
        reason = str(error)
    raise InputError(f"Beam does not take {' '.join(arguments)}: {' '.join(reason.split())}")


def _run(pipeline: Any, tasks: Sequence[Task], tree: str, options: Options) -> None:
    """Runs the pipeline to its end. What became of the models is in the tree's journal alone."""
    beam = _beam()
    with pipeline:
        converted(pipeline | "models" >> beam.Create(list(tasks)), tree, options)


def converted(tasks: PCollection[Task], tree: str, options: Options) -> PCollection[str]:
    """Converts a PCollection of `Task`s; gives the name of each one's outcome, for pipelines of your own."""
    beam = _beam()
    outcomes: Any = (
        tasks | "spread" >> beam.Reshuffle() | "convert" >> beam.FlatMap(convert_task, tree=tree, options=options)
    )
    return outcomes


def convert_task(task: Task, tree: str, options: Options) -> Iterator[str]:
    """Converts one model, unless the tree's journal knows that it is done; gives the name of its outcome."""
    models = Models(tree)
    entry = models.get(task.name)
    known = Known()
    with tempfile.TemporaryDirectory(prefix="migrate-beam-") as scratch:
        try:
            here = _brought(task, scratch)
            found = look(here, entry)
            decision = decide(options, task.tables, found.remembered)
            report = known.done(found, decision)
            if report is None:
                report = work(found, decision.options, _nursery(options), _silent)
                if here != task and isinstance(report.outcome, (Converted, Unchanged)):
                    rename_source(here.destination, task.path)
                    _send(here.destination, task.destination, options.overwrite or found.ours)
        except (OSError, InputError, ValueError) as error:  # Beam's for a file system that it does not know.
            found, decision = Look(task, entry, None, ours=False), decide(options, task.tables, ModelOptions())
            report = ModelReport(task.path, task.destination, Kind.UNKNOWN, Failed(str(error)))
        if not report.skipped:
            report = dataclasses.replace(report, source=task.path, destination=task.destination)
            models.add(known.entry(found, decision, told(report, decision)))
        elif changed := known.expected_otherwise(found, decision):
            models.add(changed)
    yield outcome_name(report.outcome)


class Models:
    """The journal of a tree on which many machines work: one file per model."""

    def __init__(self, tree: str) -> None:
        self._directory = _join(tree, DIRECTORY, _MODELS)

    def get(self, name: str) -> Entry | None:
        """What is known of a model; a file that cannot be read tells nothing."""
        file = self._file(name)
        try:
            if is_remote(file):
                with _files().open(file, compression_type=_PLAIN) as stream:
                    return from_line(stream.read())
            with os.fdopen(open_regular(file, os.O_RDONLY), "rb") as stream:
                return from_line(stream.read())
        except (OSError, ValueError):
            return None

    def add(self, entry: Entry) -> None:
        """Puts a model's file in its place, whole."""
        file = self._file(entry.name)
        if is_remote(file):
            with _files().create(file, compression_type=_PLAIN) as stream:
                stream.write(to_line(entry))
            return
        os.makedirs(self._directory, exist_ok=True)
        replace(file, to_line(entry))

    def _file(self, name: str) -> str:
        return _join(self._directory, hashlib.sha256(name.encode(errors="surrogateescape")).hexdigest() + ".json")


def _found(source: str, tree: str, options: Options) -> tuple[Task, ...]:
    if is_remote(source):
        raise InputError(f"{source}: a tree on a remote file system; name its models in a text file, a path a line")
    models = find_models(source)
    tasks = with_config(select(source, models, tree, options), {source: models}, options)
    if tasks[0].name == os.curdir:
        raise InputError(f"{source}: one model; --runner is for trees and lists of models")
    if not is_remote(tree):
        check_destination(source, _join(tree, "model"), overwrite=True, tree=tree)
    return tuple(dataclasses.replace(t, path=_absolute(t.path), destination=_absolute(t.destination)) for t in tasks)


def _listed(file: str, tree: str) -> tuple[Task, ...]:
    """The models of a list: a path a line, or a path, a tab and its name in the new tree."""
    try:
        if is_remote(file):
            with _files().open(file) as stream:
                text = stream.read().decode()
        else:
            with open(file, encoding="utf-8") as stream:
                text = stream.read()
    except OSError as error:
        raise InputError(f"{file}: cannot be read ({error})") from error
    tasks = []
    for line in text.splitlines():
        path, _, name = line.partition("\t")
        if path.strip():
            name = name or path.partition("://")[2] or path
            name = name.strip("/")
            tasks.append(Task(name, _absolute(path.rstrip("/")), _absolute(_join(tree, name))))
    if not tasks:
        raise InputError(f"{file}: an empty list; write a model's path in each line")
    return tuple(tasks)


@contextlib.contextmanager
def _held(tree: str) -> Iterator[Journal | None]:
    """Holds a tree on a local path for this run; a remote one cannot be held."""
    if is_remote(tree):
        yield None
        return
    with open_journal(tree) as journal:
        yield journal


def _nursery(options: Options) -> Nursery:
    """One a worker process, which it ends with: not all runners say when a DoFn is done with.

    Raises:
      InputError: a library of ops that the user gives is missing here, or is another one.
    """
    return _made(options.memory_limit_bytes, options.op_library, options.import_module, options.libraries)


@functools.lru_cache(maxsize=1)
def _made(
    memory_limit_bytes: int | None,
    op_library: tuple[str, ...],
    import_module: tuple[str, ...],
    libraries: tuple[GivenLibrary, ...],
) -> Nursery:
    if not libraries:
        return Nursery(PRELOAD, memory_limit_bytes)
    from migrate.model.op_libraries import check_same, libraries_in_force

    options = Options(op_library=op_library, import_module=import_module, libraries=libraries)
    check_same(options)
    with libraries_in_force(options):
        return Nursery(PRELOAD, memory_limit_bytes)


# Remote file systems.


def _brought(task: Task, scratch: str) -> Task:
    """The task on this machine: what is remote of it is copied to, or will be built in, the scratch directory."""
    here = task
    if is_remote(task.path):
        path = os.path.join(scratch, "source")
        _fetch(task.path, path)
        here = dataclasses.replace(here, path=path)
    if is_remote(task.destination):
        path = os.path.join(scratch, "new")
        if _files().exists(_join(task.destination, _SAVED_MODEL)):
            _fetch(task.destination, path)
            if source_of(path) == task.path:
                rename_source(path, os.path.abspath(here.path))
        here = dataclasses.replace(here, destination=path)
    return here


def _fetch(remote: str, local: str) -> None:
    found = _match(remote)
    if not found:
        raise InputError(f"{remote}: nothing is there")
    for metadata in found:
        _copy(metadata.path, os.path.join(local, posixpath.relpath(metadata.path, remote)))


def _match(remote: str) -> list[Any]:
    """FileMetadata of every file below a directory."""
    (result,) = _files().match([_join(remote, "**")])
    return list(result.metadata_list)


def _send(local: str, remote: str, overwrite: bool) -> None:
    """Copies a new model to its remote place; the file by which models are known comes last."""
    if _files().exists(_join(remote, _SAVED_MODEL)):
        if not overwrite:
            raise InputError(f"{remote}: exists already; choose another destination, or replace it with --overwrite")
        # Not the directory: object stores have none, and their file systems differ in what deleting one means.
        _files().delete([metadata.path for metadata in _match(remote)])
    names = [os.path.relpath(os.path.join(folder, f), local) for folder, _, files in os.walk(local) for f in files]
    for name in sorted(names, key=lambda name: name == _SAVED_MODEL):
        with (
            open(os.path.join(local, name), "rb") as source,
            _files().create(_join(remote, name), compression_type=_PLAIN) as target,
        ):
            shutil.copyfileobj(source, target, _CHUNK_BYTES)


def _copy(remote: str, local: str) -> None:
    with _files().open(remote, compression_type=_PLAIN) as source:
        os.makedirs(os.path.dirname(local), exist_ok=True)
        with open(local, "wb") as target:
            shutil.copyfileobj(source, target, _CHUNK_BYTES)


def _join(path: str, *parts: str) -> str:
    return posixpath.join(path, *parts)


def _absolute(path: str) -> str:
    """A path that means the same in every process."""
    return path if is_remote(path) else os.path.abspath(path)


def _files() -> Any:
    _beam()
    from apache_beam.io.filesystems import FileSystems

    return FileSystems


def _beam() -> Any:
    try:
        import apache_beam
    except ImportError as error:
        raise InputError(
            f"--runner needs Apache Beam ({error}): pip install 'tf1-migrate[beam]', or '.[beam]' in a checkout"
        ) from error
    return apache_beam


def _silent(_: str) -> None:
    """A worker's progress is Beam's to show."""
