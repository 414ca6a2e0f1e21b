"""The files of a candidate beside its graph: assets, what is kept in assets.extra, and what nobody put there."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator

from migrate.errors import InputError
from migrate.graph.protos import MetaGraphDef
from migrate.records import Mismatch
from migrate.sources.bundle import read_bundle
from migrate.sources.files import digest_of
from migrate.sources.saved_model_files import KERAS_METADATA_FILE, WARM_UP
from migrate.verify.differences import mismatch
from migrate.verify.keras_metadata import ROOT, layer_differences, normalised, objects_of

_OWN_FILES = frozenset({"migration.json"})
_EXTRA = "assets.extra"
_ASSETS = "assets"
_GRAPHS = ("saved_model.pb", "saved_model.pbtxt", "saved_model.cpb")
"""A loader takes one of them, and not each loader takes the same."""
_TENSORFLOWS = re.compile(
    r"saved_model\.pb|saved_model\.pbtxt|fingerprint\.pb|keras_metadata\.pb|"
    r"variables/variables\.(index|data-\d{5}-of-\d{5})|assets\.extra/migration\.json"
)
"""Files that TensorFlow, Keras or a conversion writes."""

_SHARD = re.compile(r"variables/variables\.data-(\d{5})-of-(\d{5})")


def asset_differences(before: str, directory: str, new: MetaGraphDef, path: str) -> Iterator[Mismatch]:
    """An asset is the source's file of that name, or another one of its files where the name was taken.

    Args:
      before: the source's directory of assets.
      directory: the candidate.
      new: the candidate's.
      path: of the differences, see `records.Mismatch`.
    """
    known: dict[str, set[str]] = {}
    for file in sorted({asset.filename for asset in new.asset_file_def}):
        copy, old = os.path.join(directory, _ASSETS, file), os.path.join(before, file)
        shown = os.path.join(_ASSETS, file)
        if os.path.normpath(shown).split(os.sep)[0] != _ASSETS or os.path.isabs(file):
            yield mismatch("asset-differs", path, "its name leads out of assets/", "", shown)
            continue
        if not os.path.isfile(copy):
            yield mismatch("asset-lost", path, "the candidate does not have this file", "", shown)
            continue
        if os.path.isfile(old) and digest_of(old) == digest_of(copy):
            continue
        if not known:
            for at, _, names in os.walk(before):
                for name in names:
                    known.setdefault(digest_of(os.path.join(at, name)), set()).add(name)
        sources = known.get(digest_of(copy), set())
        if os.path.isfile(old) or not sources:
            yield mismatch("asset-differs", path, "this file differs", "", shown)
        elif not any(_is_named_after(os.path.basename(file), name) for name in sources):
            reason = f"the source calls this file {min(sources)!r}"
            yield mismatch("asset-differs", path, reason, "", shown)


def _is_named_after(name: str, source: str) -> bool:
    """Whether a name is the source's, or one with a number, as it gets where it is taken (`vocab.txt_1`)."""
    stem, ending = os.path.splitext(source)
    return re.fullmatch(rf"{re.escape(source)}(_\d+)?|{re.escape(stem)}_\d+{re.escape(ending)}", name) is not None


def extra_differences(before: str, directory: str, path: str) -> Iterator[Mismatch]:
    """What clients and servers keep beside a model, warm-up requests first of all, is there byte for byte.

    Args:
      before: the source's `assets.extra`.
      directory: the candidate.
      path: of the differences, see `records.Mismatch`.
    """
    after = os.path.join(directory, _EXTRA)
    for folder, _, files in sorted(os.walk(before)):
        for file in sorted(files):
            name = os.path.relpath(os.path.join(folder, file), before)
            if name in _OWN_FILES:
                continue
            copy = os.path.join(after, name)
            shown = os.path.join(_EXTRA, name)
            if not os.path.isfile(copy):
                yield mismatch("extra-file-missing", path, "the candidate does not have this file", "", shown)
            elif digest_of(os.path.join(folder, file)) != digest_of(copy):
                yield mismatch("extra-file-differs", path, "this file differs", "", shown)
    if os.path.exists(os.path.join(after, WARM_UP)) and not os.path.exists(os.path.join(before, WARM_UP)):
        # A model server makes these calls before it serves, and does not serve where one fails.
        shown = os.path.join(_EXTRA, WARM_UP)
        yield mismatch("extra-file-added", path, "the source has no such file", "", shown)


def keras_metadata_differences(directory: str, path: str) -> Iterator[Mismatch]:
    """What keeps `load_model` from taking a candidate for a Keras model.

    Args:
      directory: the candidate.
      path: of the differences, see `records.Mismatch`.
    """
    file_name = os.path.join(directory, KERAS_METADATA_FILE)
    if not os.path.isfile(file_name):
        yield mismatch("keras-metadata-missing", path, "the candidate does not have this file", "", KERAS_METADATA_FILE)
        return
    with open(file_name, "rb") as file:
        data = file.read()
    try:
        root = json.loads(next(text for _, path, _, text in objects_of(data) if path == ROOT))
    except (ValueError, IndexError, StopIteration, RecursionError):
        root = None
    if not isinstance(root, dict):
        reason = "it does not describe a Keras model, so load_model cannot read it"
        yield mismatch("keras-metadata-damaged", path, reason, "", KERAS_METADATA_FILE)


def changed_metadata(source: str, directory: str, is_same_release: bool, path: str) -> Iterator[Mismatch]:
    """What `load_model` makes otherwise of a candidate whose source has a keras_metadata.pb of its own.

    Args:
      source: the source's directory.
      directory: the candidate.
      is_same_release: whether one release of TensorFlow has written both.
      path: of the differences, see `records.Mismatch`.
    """
    try:
        wanted, found = (_texts(os.path.join(folder, KERAS_METADATA_FILE)) for folder in (source, directory))
    except (OSError, ValueError, IndexError, RecursionError):
        return  # Nothing to compare with, or see `keras_metadata_differences`.
    for name, reason in layer_differences(wanted, found, is_same_release):
        yield mismatch("keras-metadata-differs", path, reason, "", f"{KERAS_METADATA_FILE}: {name}")


def _texts(file_name: str) -> dict[str, str]:
    with open(file_name, "rb") as file:
        objects = {path: (kind, text) for _, path, kind, text in objects_of(file.read())}
    return {path: normalised(kind, text.decode()) for path, (kind, text) in objects.items()}


def _shards(directory: str) -> str:
    """How many data files a candidate's checkpoint has, as their names say it; "" where it cannot be read."""
    try:
        return f"{read_bundle(os.path.join(directory, 'variables', 'variables')).num_shards:05d}"
    except InputError:
        return ""


def unknown_files(source: str, directory: str, new: MetaGraphDef, path: str) -> Iterator[Mismatch]:
    """Files that neither a conversion writes nor the source has.

    Args:
      source: the source's directory, or a file.
      directory: the candidate.
      new: the candidate's.
      path: of the differences, see `records.Mismatch`.
    """
    graphs = [name for name in _GRAPHS if os.path.lexists(os.path.join(directory, name))]
    if len(graphs) > 1:
        reason = f"the candidate has its graph twice ({', '.join(graphs)}), and loaders differ in which they take"
        yield mismatch("graph-file-added", path, reason, "", graphs[1])
    own = {os.path.join(_ASSETS, asset.filename) for asset in new.asset_file_def}
    shards = _shards(directory)
    for folder, _, files in sorted(os.walk(directory)):
        for file in sorted(files):
            name = os.path.relpath(os.path.join(folder, file), directory)
            if name in own or name in _GRAPHS:
                continue
            shard = _SHARD.fullmatch(name)
            if _TENSORFLOWS.fullmatch(name) and (shard is None or not shards or shard[1] < shard[2] == shards):
                continue
            if name != os.path.join(_EXTRA, WARM_UP) and not os.path.exists(os.path.join(source, name)):
                yield mismatch("file-added", path, "neither the source nor a conversion has this file", "", name)


def is_copy(source: str, candidate: str) -> bool:
    """Whether all files of two directories are the same byte for byte, the provenance of a conversion aside.

    Args:
      source: the source's directory.
      candidate: the candidate's.
    """
    names = [_files_below(directory) for directory in (source, candidate)]
    if not names[0] or names[0] != names[1]:
        return False
    pairs = [(os.path.join(source, name), os.path.join(candidate, name)) for name in sorted(names[0])]
    try:
        same_sizes = all(os.path.getsize(old) == os.path.getsize(new) for old, new in pairs)
        return same_sizes and all(digest_of(old) == digest_of(new) for old, new in pairs)
    except (InputError, OSError):
        return False


def _files_below(directory: str) -> set[str]:
    found = {
        os.path.relpath(os.path.join(folder, file), directory)
        for folder, _, files in os.walk(directory)
        for file in files
    }
    return found - {os.path.join(_EXTRA, name) for name in _OWN_FILES}
