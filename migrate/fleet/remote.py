"""Models on other file systems: copied here, worked on, and copied back. `beam` does so model by model."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import tempfile
from collections.abc import Iterator, Mapping

from migrate.errors import InputError
from migrate.events import Listener
from migrate.export.provenance import rename_source
from migrate.export.remote_copy import Copied, CopyJob
from migrate.fleet.run import convert_fleet
from migrate.processes.claims import claim, clear_leftovers
from migrate.processes.nursery import Nursery
from migrate.records import Converted, Failed, Options, Report, Unchanged

_PREFIX = "migrate-remote-"
_A_DAY = 24 * 3600.0


def is_remote(path: str) -> bool:
    """Whether a path names a file system by a scheme, as TensorFlow's do (core/platform/path.cc, ParseURI)."""
    return "://" in path


@contextlib.contextmanager
def brought(paths: tuple[str, ...]) -> Iterator[Mapping[str, str]]:
    """Copies what is remote into a scratch directory, which goes when the block ends.

    Yields:
      For each path where it lies on this machine.

    Raises:
      InputError: a path does not exist, or cannot be copied.
    """
    if not any(map(is_remote, paths)):
        yield {path: path for path in paths}
        return
    with _scratch() as scratch, Nursery() as nursery:
        here = {}
        for number, path in enumerate(paths):
            here[path] = path
            if is_remote(path):
                # The last name is what files are known by.
                here[path] = os.path.join(scratch, str(number), os.path.basename(path.rstrip("/")))
                _copy(nursery, CopyJob(path.rstrip("/"), here[path], overwrite=True))
        yield here


def convert_remote(source: str, destination: str, options: Options, listen: Listener) -> Report:
    """`convert_fleet` where the source, the destination or both are remote. A remote tree keeps no journal.

    Raises:
      InputError: as there, or something cannot be copied.
    """
    with brought((source,)) as here, _scratch() as scratch:
        new = os.path.join(scratch, "new") if is_remote(destination) else destination
        if here[source] != source and options.checkpoint == "auto":
            options = dataclasses.replace(options, checkpoint="link")  # The copy is ours, and goes when all is done.
        report = convert_fleet(here[source], new, options, listen)
        names = {here[source]: source, new: destination}
        made = [m for m in report.models if isinstance(m.outcome, (Converted, Unchanged)) and m.destination]
        for model in made:
            if isinstance(model.outcome, Converted):
                rename_source(str(model.destination), _named(model.source, names))
        if new != destination and made and not options.dry_run:
            with Nursery() as nursery:
                for model in made:
                    target = _named(str(model.destination), names)
                    _copy(nursery, CopyJob(str(model.destination), target, options.overwrite))
        return named(report, names)


@contextlib.contextmanager
def _scratch() -> Iterator[str]:
    """A directory that goes when the block ends; the next one clears away what a killed process left."""
    parent = tempfile.gettempdir()
    clear_leftovers(parent, _PREFIX)
    with claim(_PREFIX, parent) as directory:
        yield directory


def named(report: Report, names: Mapping[str, str]) -> Report:
    """A report with the users' paths in the place of those in a scratch directory."""
    return dataclasses.replace(
        report,
        models=tuple(
            dataclasses.replace(
                model,
                source=_named(model.source, names),
                destination=None if model.destination is None else _named(model.destination, names),
            )
            for model in report.models
        ),
    )


def _named(path: str, names: Mapping[str, str]) -> str:
    for here, name in names.items():
        if path == here or path.startswith(here + os.sep):
            return name.rstrip("/") + path[len(here) :]
    return path


def _copy(nursery: Nursery, job: CopyJob) -> None:
    result: object = nursery.run("copy", "migrate.export.remote_copy", job, Copied | Failed, _A_DAY)
    if not isinstance(result, Copied):
        raise InputError(getattr(result, "reason", f"{job.source}: cannot be copied: {result}"))
