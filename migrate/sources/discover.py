"""Finds SavedModels on the disk."""

from __future__ import annotations

import os

from migrate.errors import InputError

# tensorflow/cc/saved_model/constants.h; the order is that of TensorFlow's loaders.
SAVED_MODEL_FILES = ("saved_model.pb", "saved_model.pbtxt")
CHUNKED_SAVED_MODEL_FILE = "saved_model.cpb"
"""A SavedModel over 2 GB, split by tensorflow/tools/proto_splitter; it is not read here."""

_MODEL_OWN_FOLDERS = frozenset({"variables", "assets", "assets.extra"})


def find_models(path: str) -> tuple[str, ...]:
    """Finds the models that a path stands for.

    Links to directories are followed, each real directory is looked at once, and a directory is reported
    under its own name rather than a link's where both lie in the tree.

    Args:
      path: a model, or a tree of models.

    Returns:
      `path` itself when it holds a SavedModel, else every directory below it that holds one, sorted.

    Raises:
      InputError: nothing is there, it is a file, a directory cannot be listed, or no model is in it.
    """
    if not os.path.lexists(path):
        raise InputError(f"{path}: no such file or directory; pass a SavedModel directory or a tree of them")
    if not os.path.exists(path):
        raise InputError(f"{path}: a link that leads nowhere ({os.path.realpath(path)})")
    if not os.path.isdir(path):
        raise InputError(_advice_for_a_file(path))
    root = path.rstrip(os.sep) or os.sep
    names, folders, links = _list(root)
    if _is_model(names):
        return (root,)
    models = []
    seen = {os.path.realpath(root)}
    # Links come last: what they lead to keeps its own name when it lies in the tree as well.
    pending, later = folders, links
    while pending or later:
        folder = pending.pop() if pending else later.pop()
        real = os.path.realpath(folder)
        if real in seen:
            continue
        seen.add(real)
        names, folders, links = _list(folder)
        if _is_model(names):
            models.append(folder)
            folders = [f for f in folders if os.path.basename(f) not in _MODEL_OWN_FOLDERS]
            links = [f for f in links if os.path.basename(f) not in _MODEL_OWN_FOLDERS]
        pending += folders
        later += links
        later.sort(reverse=True)
    if not models:
        raise InputError(
            f"{path}: no SavedModel in this tree (no saved_model.pb or saved_model.pbtxt; "
            f"directories searched: {len(seen)})"
        )
    return tuple(sorted(models))


def _is_model(names: frozenset[str]) -> bool:
    # A chunked model is found as well, so that reading it can say what is wrong with it.
    return any(name in names for name in (*SAVED_MODEL_FILES, CHUNKED_SAVED_MODEL_FILE))


def _list(folder: str) -> tuple[frozenset[str], list[str], list[str]]:
    """Names of the files, paths of the directories and paths of the links to directories in a directory."""
    files: set[str] = set()
    folders: list[str] = []
    links: list[str] = []
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                # is_dir() follows a link, and raises where links lead round in a circle.
                if not _is_dir(entry):
                    files.add(entry.name)
                elif entry.is_symlink():
                    links.append(entry.path)
                else:
                    folders.append(entry.path)
    except OSError as error:
        raise InputError(f"{folder}: cannot be listed ({error.strerror})") from error
    return frozenset(files), folders, links


def _is_dir(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:
        return False


def _advice_for_a_file(path: str) -> str:
    name = os.path.basename(path)
    if name in SAVED_MODEL_FILES:
        return f"{path}: a file; pass the directory that holds it: {os.path.dirname(path) or os.curdir}"
    if name.endswith((".pb", ".pbtxt")):
        return f"{path}: a file (a frozen graph?); pass a SavedModel directory, one that holds a saved_model.pb"
    return f"{path}: a file; pass a SavedModel directory, one that holds a saved_model.pb, or a tree of them"
