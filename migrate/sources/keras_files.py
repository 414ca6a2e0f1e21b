"""Joins the files of one Keras model: an architecture (JSON, YAML) and its weights are separate files."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Mapping, Sequence

from migrate.errors import InputError, first_few
from migrate.escapes import flag
from migrate.records import Kind
from migrate.sources.boundary import Boundary
from migrate.sources.checkpoint_files import INDEX, latest_name
from migrate.sources.files import open_stream
from migrate.sources.keras_source import KerasFiles, kind_of_hdf5, load_architecture
from migrate.sources.location import Form, FormOf, Location
from migrate.sources.not_a_model import describe_stray
from migrate.sources.sniff import is_v1_checkpoint

_TEXTS = (".json", ".yaml", ".yml")
_HEAD_BYTES = 1 << 12
_NUMBER = re.compile(r"\d+(?:\.\d+)?")


def whole_files(place: Location) -> KerasFiles:
    """A model that is one file."""
    return KerasFiles(place.path, place.file, place.file)


def hdf5_files(place: Location, architecture: str | None, form_of: FormOf) -> KerasFiles:
    """An HDF5 file: a whole model, or weights and the architecture beside them; see `read.files_of`."""
    kind = kind_of_hdf5(place.file)
    if not kind:
        raise InputError(f"{place.file}: an HDF5 file that is not Keras's (no model_config, no layer_names)")
    if kind is Kind.KERAS_H5_MODEL:
        return whole_files(place)
    found = architecture or _architecture_beside(place.file, place.boundary, form_of)
    unfit = "" if found else unfit_beside(place.file, place.boundary, form_of)
    return KerasFiles(place.path, found, place.file, unfit=unfit)


def checkpoint_files(place: Location, architecture: str | None, root: str | None, form_of: FormOf) -> KerasFiles | None:
    """A checkpoint and the architecture beside it; see `read.files_of`."""
    checkpoint = place.checkpoint or place.path
    found = (
        ""
        if is_v1_checkpoint(checkpoint)
        else architecture or _architecture_beside(checkpoint, place.boundary, form_of)
    )
    return KerasFiles(place.path, found, checkpoint, place.others, root) if found else None


def check_architecture(file: str, form_of: FormOf) -> None:
    """Looks at the file that `--architecture` names, before any model is read.

    Raises:
      InputError: it is no architecture by itself; the message says why.
    """
    if form_of(file) is not Form.KERAS_JSON:
        raise InputError(
            f"--architecture={file}: no JSON or YAML of a Keras model (Model.to_json, to_yaml): {_fault(file)}"
        )
    load_architecture(file)


def unfit_beside(weights: str, boundary: Boundary | None, form_of: FormOf) -> str:
    """Says what is wrong with the files beside weights that have the names of architectures and are none, or nothing.

    Args:
      weights: the file of weights or the checkpoint's prefix, without an architecture beside it.
      boundary: where files may be; None for anywhere.
      form_of: recognises a file.
    """
    forms = _forms(os.path.dirname(weights) or os.curdir, boundary, form_of)
    files = [file for file, form in forms.items() if form in (None, Form.STRAY) and file.endswith(_TEXTS)]
    more = f"; so are {len(files) - 1} more" if len(files) > 1 else ""
    return f"{os.path.basename(files[0])} beside them: {_fault(files[0])}{more}" if files else ""


def _fault(file: str) -> str:
    """Why a file is no architecture."""
    try:
        with open_stream(file) as stream:
            stray = describe_stray(stream.read(_HEAD_BYTES))
        if stray:
            return stray
        load_architecture(file)
    except InputError as error:
        return str(error).removeprefix(f"{file}: ")
    except OSError as error:
        return f"cannot be read ({error.strerror})"
    return "is not a Keras architecture"


def _forms(folder: str, boundary: Boundary | None, form_of: FormOf) -> dict[str, Form | None]:
    """Form of each file of a directory, by path. A link that leads out of the model is left out, and not opened.

    Raises:
      InputError: the directory may not be listed.
    """
    try:
        names = sorted(os.listdir(folder))
    except OSError as error:
        raise InputError(f"{folder}: cannot be listed ({error.strerror}), so what is beside it is not known") from None
    files = filter(os.path.isfile, (os.path.join(folder, name) for name in names))
    return {file: form_of(file) for file in files if boundary is None or boundary.holds(os.path.realpath(file))}


def _architectures(forms: Mapping[str, Form | None]) -> list[str]:
    """Files that hold an architecture; of several that hold the same one, the first.

    Args:
      forms: form of each file by path.
    """
    return distinct_architectures([file for file, form in forms.items() if form is Form.KERAS_JSON])


def distinct_architectures(files: Sequence[str]) -> list[str]:
    """Files that hold an architecture; of several that hold the same one, the first.

    Args:
      files: paths of files that look like architectures; one that cannot be read is taken for one of its own.
    """
    if len(files) < 2:
        return list(files)
    first: dict[str, str] = {}
    for file in files:
        first.setdefault(_digest(file), file)
    return list(first.values())


def _digest(file: str) -> str:
    """A digest of the architecture in a file, in whatever form; the file's name where it cannot be read."""
    try:
        whole = load_architecture(file)
    except InputError:
        return file
    content = json.dumps([whole.get("class_name"), whole.get("config")], sort_keys=True)
    return hashlib.sha256(content.encode()).hexdigest()


def _architecture_beside(weights: str, boundary: Boundary | None, form_of: FormOf) -> str:
    found = _architectures(_forms(os.path.dirname(weights) or os.curdir, boundary, form_of))
    if len(found) > 1:
        raise InputError(
            f"{weights}: has {len(found)} Keras architectures beside it ({_listed(found)}); say which is its own, for "
            f"example {flag('architecture', found[0]) or '--architecture=FILE'}"
        )
    return found[0] if found else ""


def config_files(place: Location, given: str | None, root: str | None, form_of: FormOf) -> KerasFiles:
    """An architecture and the weights beside it; see `read.files_of`."""
    folder = os.path.dirname(place.file) or os.curdir
    forms = _forms(folder, place.boundary, form_of)
    indexes = [f[: -len(INDEX)] for f in forms if f.endswith(INDEX)]
    stored = [f for f, form in forms.items() if f not in indexes and form is Form.HDF5] + indexes
    # The same file may be spelt in two ways: `model.json`, `./model.json`.
    is_given = given is not None and os.path.realpath(given) == os.path.realpath(place.file)
    others = [] if is_given else [f for f in _architectures(forms) if not os.path.samefile(f, place.file)]
    if len(others) == 1 and _digest(others[0]) == _digest(place.file):
        others = []  # `_architectures` gives one of several files that hold the same.
    if others and stored:
        raise InputError(
            f"{folder}: has {len(others) + 1} Keras architectures ({_listed([place.file, *others])}), and weights of "
            "one of them; pass the weights, with --architecture=FILE"
        )
    weights, left = _chosen(place.file, folder, stored) if stored else ("", ())
    # A whole model beside its architecture knows more than that: the optimizer, and who wrote it.
    whole = os.path.isfile(weights) and kind_of_hdf5(weights) is Kind.KERAS_H5_MODEL
    return KerasFiles(place.path, weights if whole else place.file, weights, left, root)


def _chosen(architecture: str, folder: str, stored: Sequence[str]) -> tuple[str, tuple[str, ...]]:
    """The weights to take, and those of other steps.

    Raises:
      InputError: their names are not those of steps of one training.
    """
    latest = os.path.join(folder, latest_name(folder))
    if len(stored) > 1:
        stored = _usable(stored, latest) or stored
    if latest not in stored:
        steps = _steps([os.path.basename(file) for file in stored])
        if steps is None:
            raise InputError(
                f"{architecture}: {len(stored)} files of weights are beside it ({_listed(stored)}); pass the one that "
                "you want"
            )
        latest = max(zip(steps, stored, strict=True))[1]
    return latest, tuple(file for file in stored if file != latest)


def _usable(stored: Sequence[str], latest: str) -> list[str]:
    """Weights of Keras among files, and damaged ones that would be a step of the same training.

    Of those the last may be one that an older step must not silently replace.
    """
    found, damaged = [], []
    for file in stored:
        try:
            if not os.path.isfile(file) or kind_of_hdf5(file):
                found.append(file)
        except InputError:
            damaged.append(file)
    together = [file for file in stored if file in {*found, *damaged}]
    is_step = latest in damaged or _steps([os.path.basename(file) for file in together]) is not None
    return together if found and is_step else found


def _steps(names: Sequence[str]) -> list[float] | None:
    """The first number of each name in which the names differ; None where they differ in more than numbers.

    A callback writes `cp-0010.ckpt`, or `weights.05-0.23.h5` with the epoch before the loss.
    """
    if len(names) == 1:
        return [0.0]
    if len({_NUMBER.sub("#", name) for name in names}) > 1:
        return None
    columns = zip(*(map(float, _NUMBER.findall(name)) for name in names), strict=True)
    return next((list(column) for column in columns if len(set(column)) > 1), None)


def _listed(files: Sequence[str]) -> str:
    return first_few([os.path.basename(file) for file in files], 3)
