"""Which models of a tree are converted, and where to."""

from __future__ import annotations

import fnmatch
import glob
import os
from collections.abc import Sequence

from migrate.config import ConfigTable
from migrate.errors import InputError, first_few
from migrate.escapes import flag, visible
from migrate.frozen import frozen
from migrate.model.destination_names import without_suffix
from migrate.records import Finding, Options, Severity
from migrate.sources.discover import is_one_model

_TOLD = 3
"""How many pairs of models with one destination a message names."""


@frozen
class Task:
    """One model to convert.

    Attributes:
      name: its path in the tree, which is also its path in the new tree; `.` for a model that is given alone.
      path: where it lies.
      destination: where the new model goes.
      tags: the tag set to take, where a model has a task for each of several; else the options say.
      tables: what the config says of the model, the most specific table first.
    """

    name: str
    path: str
    destination: str
    tags: frozenset[str] | None = None
    tables: tuple[ConfigTable, ...] = ()


def select(source: str, models: Sequence[str], destination: str, options: Options) -> tuple[Task, ...]:
    """Gives the models of a tree that the options ask for, in order.

    Args:
      source: the tree, or the one model.
      models: paths of all models in it.
      destination: directory of the new tree, or of the one new model.
      options: `include`, `exclude` and `only_latest_version` count, of a tree. With `all_tags` a model with several
        MetaGraphDefs is a task for each, in a directory named by its tags joined by `_`.

    Raises:
      InputError: there are models, and the options leave out all of them, or two would have one destination.
    """
    root = source.rstrip(os.sep) or os.sep
    if is_one_model(source, models):
        alone = (Task(os.curdir, root, destination),)
        return _by_tag_set(alone, options) if options.all_tags else alone
    names = {path: _relative(path, root) for path in models}
    tasks = [Task(name, path, os.path.join(destination, without_suffix(name))) for path, name in names.items()]
    chosen = _chosen(source, tasks, options)
    _check_apart(chosen)
    return _by_tag_set(chosen, options) if options.all_tags else tuple(chosen)


def select_to_read(source: str, models: Sequence[str], options: Options) -> tuple[Task, ...]:
    """As `select`, for models that are only read, which may have any names."""
    root = source.rstrip(os.sep) or os.sep
    if is_one_model(source, models):
        return (Task(os.curdir, root, ""),)
    return tuple(_chosen(source, [Task(_relative(path, root), path, "") for path in models], options))


def _chosen(source: str, tasks: list[Task], options: Options) -> list[Task]:
    chosen = [task for task in tasks if _is_chosen(task.name, options)]
    if options.only_latest_version:
        chosen = _latest(chosen)
    if not chosen:
        raise InputError(
            f"{source}: --include and --exclude leave out all {len(tasks)} models, such as {tasks[0].name}; "
            "a pattern is matched against a model's path in the tree and the directories that lead to it"
        )
    return chosen


def _is_renamed(task: Task) -> bool:
    return without_suffix(task.name) != task.name


def clashes(tasks: Sequence[Task]) -> tuple[tuple[Task, Task], ...]:
    """Pairs of a tree's models, one a Keras file, whose destinations are the same, or one in the other.

    Args:
      tasks: all that would be converted.

    Returns:
      (which one to leave out, the other); without the first ones no two are left that clash.
    """
    owners = {without_suffix(task.name): task for task in tasks}
    found: dict[str, tuple[Task, Task]] = {}
    for task in tasks:
        own = way = without_suffix(task.name)
        while way and owners.get(way, task) is task:
            way = os.path.dirname(way)
        other = owners.get(way, task)
        if other is task or not (_is_renamed(task) or _is_renamed(other)):
            continue
        # One that is in the way of all below it is left out, rather than each of these.
        keeps_other = _is_renamed(task) and (way == own or not _is_renamed(other))
        pair = (task, other) if keeps_other else (other, task)
        found.setdefault(pair[0].name, pair)
    return tuple(found.values())


def exclusion(task: Task) -> str:
    """The flag that leaves out one model of a tree, to copy into a shell."""
    pattern = glob.escape(task.name)
    return flag("exclude", pattern) or f"--exclude={visible(pattern)}"


def shared_destinations(tasks: Sequence[Task]) -> dict[str, Finding]:
    """What audit says of models of a tree that cannot be converted along with another one, by path."""
    return {
        task.path: Finding(
            "destination-shared",
            Severity.WARNING,
            f"the new models of {task.name} and {other.name} would be one directory, or one in the other; convert "
            "takes no tree with both",
            (),
            f"leave it out with {exclusion(task)}, and convert it alone",
        )
        for task, other in clashes(tasks)
    }


def _check_apart(tasks: Sequence[Task]) -> None:
    """Raises InputError where the destination of a Keras file is another model's, or would hold or be in one."""
    found = clashes(tasks)
    if not found:
        return
    listed = first_few(
        [f"{task.path} and {other.path} would both be written to {_outer(task, other)}" for task, other in found], _TOLD
    )
    more = f" ({len(found)} in all)" if len(found) > _TOLD else ""
    flags = " ".join(exclusion(task) for task, _ in found[:_TOLD])
    each = "it" if len(found) == 1 else "each"
    raise InputError(f"{listed}{more}; leave out with {flags} and convert {each} alone")


def _outer(task: Task, other: Task) -> str:
    return min(task.destination, other.destination, key=len)


def _by_tag_set(tasks: Sequence[Task], options: Options) -> tuple[Task, ...]:
    from migrate.model.study import tag_sets  # Rules and checks, which this process has no other use for.

    result = []
    for task in tasks:
        found = tag_sets(task.path, options)
        for tags in found:
            folder = "_".join(sorted(tags)).replace(os.sep, "_") or "no_tags"
            name = os.path.normpath(os.path.join(task.name, folder))
            result.append(Task(name, task.path, os.path.join(task.destination, folder), tags))
        if not found:
            result.append(task)
    return tuple(result)


def _relative(path: str, root: str) -> str:
    return os.path.relpath(path, root)


def _is_chosen(name: str, options: Options) -> bool:
    parts = name.split(os.sep)
    ways = [os.sep.join(parts[: end + 1]) for end in range(len(parts))]

    def matches(patterns: Sequence[str]) -> bool:
        return any(fnmatch.fnmatchcase(way, pattern.rstrip(os.sep)) for way in ways for pattern in patterns)

    return (not options.include or matches(options.include)) and not matches(options.exclude)


def _latest(tasks: Sequence[Task]) -> list[Task]:
    """Leaves out every version but the largest: base_path/model/VERSION, as model servers read it."""
    newest: dict[str, int] = {}
    for task in tasks:
        parent, version = os.path.split(task.name)
        if _is_version(version):
            newest[parent] = max(newest.get(parent, -1), int(version))
    kept = []
    for task in tasks:
        parent, version = os.path.split(task.name)
        if not _is_version(version) or int(version) == newest[parent]:
            kept.append(task)
    return kept


def _is_version(name: str) -> bool:
    # tensorflow_serving, file_system_storage_path_source.cc: the whole name is a non-negative integer.
    return name.isascii() and name.isdigit()
