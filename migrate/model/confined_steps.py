"""What the steps of one model may touch, by the model's files and the user's options."""

from __future__ import annotations

import dataclasses
import importlib.util
import os
import re
from collections.abc import Iterable, Iterator

from migrate.keras_loader.request import Request
from migrate.processes.confinement import Confinement, Confining
from migrate.processes.forks import Runner
from migrate.processes.fresh import FreshInterpreters
from migrate.records import Options
from migrate.sources.boundary import Boundary, boundary_of
from migrate.sources.saved_model_files import SAVED_MODEL_OWN
from migrate.sources.source import Source
from migrate.tf1_runtime.place import VARIABLES

_OF_A_CHECKPOINT = re.compile(r"(\.index|\.data-\d{5}-of-\d{5})?")
_V1_SHARD = "-?????-of-"


def exporting(runner: Runner, source: Source, staged: str) -> Runner:
    """Runs a step that reads a source and writes a new model."""
    return _writing(runner, _source(source), staged)


def asking(runner: Runner, source: Source, options: Options) -> Runner:
    """Runs a step that asks a source; free, where the user allows side effects."""
    return runner if options.allow_side_effects else Confining(runner, _source(source))


def replaying(runner: Runner, candidate: str, options: Options) -> Runner:
    """Runs a step that asks a new model; free, where the user allows side effects."""
    if options.allow_side_effects:
        return runner
    return Confining(runner, Confinement(tuple(_with_links(_saved_model(candidate), boundary_of(candidate)))))


def asking_tf1(source: Source, options: Options, runtime: str) -> Runner:
    """Runs a step that asks a source in TensorFlow 1.15.5; free, where the user allows side effects.

    Args:
      source: the model.
      options: see `records.Options`.
      runtime: directory of the runtime.
    """
    runner = FreshInterpreters(options.memory_limit_bytes, variables=VARIABLES)
    if options.allow_side_effects:
        return runner
    found = _source(source)
    return Confining(runner, dataclasses.replace(found, read=(*found.read, runtime)))


def exporting_keras(runner: Runner, request: Request, staged: str) -> Runner:
    """Runs a step that loads a Keras file and writes a new model."""
    return _writing(runner, _keras(request), staged)


def asking_keras(runner: Runner, request: Request, options: Options) -> Runner:
    """Runs a step that asks a Keras file's model; free, where the user allows side effects."""
    if options.allow_side_effects:
        return runner
    found = _keras(request)
    given = () if options.inputs is None else (os.path.abspath(options.inputs),)
    return Confining(runner, dataclasses.replace(found, read=(*found.read, *given)))


def _writing(runner: Runner, found: Confinement, staged: str) -> Runner:
    # Data files beside it may be hard links to the source's: writing to them would be writing to those.
    os.mkdir(staged)
    return Confining(runner, dataclasses.replace(found, write=(staged,)))


def _source(source: Source) -> Confinement:
    read = [source.file, source.assets_dir]
    if source.saved_model is not None:
        read += _saved_model(source.saved_model)
    folders: tuple[str, ...] = ()
    if source.checkpoint is not None:
        read += _checkpoint(source.checkpoint)
        folders = (os.path.dirname(source.checkpoint) or os.curdir,)
    return Confinement(
        tuple(map(os.path.abspath, _with_links(read, source.boundary))), tuple(map(os.path.abspath, folders))
    )


def _keras(request: Request) -> Confinement:
    files = request.source.files
    read = [files.architecture, files.weights, *_modules(request.custom_objects)]
    folders: tuple[str, ...] = ()
    if files.weights and not os.path.isfile(files.weights):
        read += _checkpoint(files.weights)
        folders = (os.path.dirname(files.weights) or os.curdir,)
    return Confinement(
        tuple(map(os.path.abspath, filter(None, read))),
        tuple(map(os.path.abspath, folders)),
        imports=(os.getcwd(),) if request.custom_objects else (),
    )


def _modules(custom_objects: Iterable[str]) -> Iterator[str]:
    """Where the user's modules are found; an import hook (`pip install -e`) may know more places than `sys.path`."""
    for entry in custom_objects:
        try:
            spec = importlib.util.find_spec(entry.partition(":")[0].partition(".")[0])
        except (ImportError, ValueError, AttributeError):
            continue  # The step says what is wrong with it.
        if spec is not None:
            yield from spec.submodule_search_locations or ()
            if spec.origin is not None and os.path.isabs(spec.origin):
                yield spec.origin


def _saved_model(directory: str) -> list[str]:
    return [os.path.join(os.path.abspath(directory), name) for name in SAVED_MODEL_OWN]


def _checkpoint(prefix: str) -> list[str]:
    """The files of a checkpoint, and not those beside it that only begin with the same letters."""
    folder, name = os.path.split(prefix)
    pattern = re.escape(name).replace(re.escape("?"), r"\d") if _V1_SHARD in name else re.escape(name)
    matches = re.compile(pattern + _OF_A_CHECKPOINT.pattern).fullmatch
    try:
        found = [entry for entry in os.listdir(folder or os.curdir) if matches(entry)]
    except OSError:
        return []
    return [os.path.join(folder, entry) for entry in found]


def _with_links(paths: Iterable[str], boundary: Boundary | None) -> Iterator[str]:
    """Paths, and what links below them lead to where the boundary allows it; audit has refused the others."""
    for path in paths:
        yield path
        for folder, folders, files in os.walk(path):
            below = (os.path.join(folder, name) for name in (*folders, *files))
            targets = (os.path.realpath(entry) for entry in below if os.path.islink(entry))
            yield from (real for real in targets if boundary is None or boundary.holds(real))
