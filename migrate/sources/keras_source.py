"""Keras files: HDF5 models, `.keras` archives, a JSON architecture with its weights. Starts no Keras, no TensorFlow.

Which Keras wrote a file decides which one loads it: Keras 1 and 2 (also as `tf.keras`) live on as the package tf_keras,
Keras 3 is the package keras.
"""

from __future__ import annotations

import contextlib
import dataclasses
import enum
import itertools
import json
import os
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from migrate.errors import InputError, first_line
from migrate.frozen import frozen
from migrate.records import Kind
from migrate.sources.archive import DAMAGE, open_member, open_zip
from migrate.sources.bundle import read_bundle
from migrate.sources.checkpoint_files import INDEX, OBJECT_GRAPH_KEY
from migrate.sources.files import digest_of, open_stream, read_file
from migrate.sources.hdf5 import StoredTensor, datasets, elements, has_entry, import_h5py, is_in_file, open_hdf5
from migrate.sources.sandbox import guarded
from migrate.sources.sniff import HDF5_MAGIC, ZIP_MAGIC

WEIGHTED_LAYER = "layer_with_weights-"  # tf_keras/src/engine/functional.py, _layer_checkpoint_dependencies
_COUNTERS = ("save_counter/.ATTRIBUTES/VARIABLE_VALUE",)
_METRICS = "keras_api/metrics/"  # tf_keras/src/saving/legacy/saved_model/constants.py
# Saved beside a model's weights in the layout of Keras 3 (saving_lib.py): what only training needs.
_NO_WEIGHTS = ("optimizer/", "metrics/", "compile_metrics/", "seed_generators/")
# An architecture is text of a few megabytes at most; what claims more is none, and takes 25 times as much in memory.
_MAX_JSON_BYTES = 1 << 24
_HEAD_BYTES = 1 << 12
_WEIGHTS = "model.weights.h5"
_MAX_DEPTH = 150
"""Models in models in models have some forty levels; what walks a config calls itself for each."""
# Keras' own bounds for a member of an archive (keras/src/saving/saving_lib.py, _reject_zip_bomb).
_BOMB_BYTES = 1 << 28
_BOMB_RATIO = 100


class Weights(enum.Enum):
    """The form of a model's weights."""

    HDF5 = "hdf5"
    """Layer groups with an attribute `weight_names` (hdf5_format.py); also inside a whole HDF5 model."""
    HDF5_V3 = "hdf5_v3"
    """`vars/0`, `vars/1` below the path of each object (saving_lib.py)."""
    OBJECTS = "objects"
    """A TensorFlow checkpoint with an object graph, from `Model.save_weights` or tf.train.Checkpoint."""
    NAMES = "names"
    """A TensorFlow checkpoint by variable name, from tf.train.Saver."""
    MISSING = "missing"


class Runtime(enum.Enum):
    """The package that loads a file."""

    TF_KERAS = "tf_keras"
    KERAS = "keras"


@frozen
class KerasFiles:
    """Where the parts of one Keras model are.

    Attributes:
      path: the file or directory that the user names.
      architecture: the HDF5 file, `.keras` archive or JSON file that holds the model's config; empty for a file of
        weights alone.
      weights: path of the file with the weights, prefix of the checkpoint, or empty.
      others: weights of other steps, which were left aside.
      root: the attribute of the checkpoint's root object that the user says the model is; None for the one that has
        layers.
      unfit: of weights without an architecture, what is wrong with the files beside them that are called like one.
    """

    path: str
    architecture: str
    weights: str
    others: tuple[str, ...] = ()
    root: str | None = None
    unfit: str = ""


@frozen
class KerasSource:
    """A Keras model as it is on the disk.

    Attributes:
      files: where it is.
      kind: what it is.
      runtime: which Keras wrote it.
      keras_version: as the file says, or empty (Keras 1.0 and before said nothing).
      backend: as the file says, or empty.
      config: the model's config, `{"class_name": ..., "config": ...}`; empty for weights alone.
      training: the optimizer, loss and metrics (`training_config` or `compile_config`); empty where there are none.
      form: of the weights.
      weights: what is stored for the model.
      optimizer: what is stored for its optimizer.
      links: HDF5 names that lead to another file.
      groups: names of the layers that an HDF5 file lists, in Keras' order; empty for every other form.
      roots: of a checkpoint by object, the paths of attributes that lead to a model of Keras; an empty path is the root
        object itself.
      has_empty_layers: whether layers have a place in the file, and no weights are stored in it.
      sha256: of the file with the architecture, or of the weights where there is none.
    """

    files: KerasFiles
    kind: Kind
    runtime: Runtime
    keras_version: str
    backend: str
    config: Mapping[str, Any]
    training: Mapping[str, Any]
    form: Weights
    weights: tuple[StoredTensor, ...]
    optimizer: tuple[StoredTensor, ...]
    links: tuple[str, ...]
    sha256: str
    roots: tuple[str, ...] = ()
    has_empty_layers: bool = False
    groups: tuple[str, ...] = ()

    @property
    def root(self) -> str | None:
        """Where in a checkpoint by object the model is; None where that is not known."""
        if self.files.root is not None:
            return self.files.root if self.files.root in self.roots else None
        return "" if "" in self.roots or not self.roots else self.roots[0] if len(self.roots) == 1 else None


# Finding


def kind_of_hdf5(file: str) -> Kind | None:
    """Whether an HDF5 file is a whole model of Keras, weights alone, or neither (None)."""
    import_h5py()
    kind: Kind | None = guarded(file, lambda: _kind_within(file), Kind)
    return kind


def _kind_within(file: str) -> Kind | None:
    with open_hdf5(file) as content:
        if "model_config" in content.attrs:
            return Kind.KERAS_H5_MODEL
        if "layer_names" in content.attrs or has_entry(content, "model_weights") or _has_v3_layout(content):
            return Kind.KERAS_H5_WEIGHTS
    return None


def _has_v3_layout(content: Any) -> bool:
    return has_entry(content, "layers") or has_entry(content, "_layer_checkpoint_dependencies")


def _is_config(content: Any) -> bool:
    return isinstance(content, dict) and isinstance(content.get("class_name"), str) and "config" in content


# Reading


def read_keras(files: KerasFiles) -> KerasSource:
    """Reads all that can be known of a model without loading it.

    Raises:
      InputError: a file is damaged, or is something else than its neighbours say.
    """
    # Here, because a fork of a fork would have to be allowed what the parser of YAML needs.
    config = load_architecture(files.architecture) if _is_yaml(files.architecture) else None
    if not os.path.isfile(files.weights):
        return _read(files, config)  # No weights, or a checkpoint: nothing of HDF5.
    import_h5py()
    others = (files.architecture, _metadata(files))
    held = _held_bytes(files.weights)
    source: KerasSource = guarded(files.weights, lambda: _read(files, config), KerasSource, others, held)
    return source


def _held_bytes(file: str) -> int | None:
    """Bytes of the weights in a `.keras` archive, as it says; None for what is none, or is damaged."""
    try:
        if zipfile.is_zipfile(file):
            with open_zip(file) as archive:
                return archive.getinfo(_WEIGHTS).file_size
    except (InputError, OSError, *DAMAGE):
        pass  # Reading it says what is wrong.
    return None


def load_architecture(file: str) -> Mapping[str, Any]:
    """The config in a file with a model's architecture.

    Raises:
      InputError: it cannot be read, or is none.
    """
    if _is_yaml(file):
        from migrate.sources.keras_yaml import parse_yaml  # Few models have one.

        with contextlib.suppress(ImportError):
            import yaml  # noqa: F401
        text = read_file(file, _MAX_JSON_BYTES)
        config = guarded(file, lambda: parse_yaml(file, text), Any)
    else:
        config = _load_json(file)
    if not _is_config(config):
        raise InputError(f"{file}: is not a Keras architecture (no class_name, no config)")
    found: Mapping[str, Any] = config
    return found


def _is_yaml(file: str) -> bool:
    """Whether an architecture is there, and is no JSON, HDF5 or archive."""
    if not file:
        return False
    try:
        with open_stream(file) as stream:
            head = stream.read(_HEAD_BYTES)
    except OSError as error:
        raise InputError(f"{file}: cannot be read ({error.strerror})") from None
    return not head.startswith((HDF5_MAGIC, ZIP_MAGIC)) and not head.lstrip().startswith(b"{")


def _read(files: KerasFiles, config: Mapping[str, Any] | None = None) -> KerasSource:
    if not files.architecture:
        with open_hdf5(files.weights) as content:
            version, backend = _attribute(content, "keras_version"), _attribute(content, "backend")
            source = _source(files, Kind.KERAS_H5_WEIGHTS, version, backend, {}, {})
            return _with_hdf5(source, content)
    with open(files.architecture, "rb") as stream:
        start = stream.read(len(HDF5_MAGIC))
    if start == HDF5_MAGIC:
        return _read_hdf5(files)
    if start.startswith(ZIP_MAGIC):
        return _read_archive(files)
    return _read_text(files, load_architecture(files.architecture) if config is None else config)


def _read_hdf5(files: KerasFiles) -> KerasSource:
    with open_hdf5(files.architecture) as content:
        config = _json_attribute(files.architecture, content, "model_config")
        training = _json_attribute(files.architecture, content, "training_config")
        version, backend = _attribute(content, "keras_version"), _attribute(content, "backend")
        source = _source(files, Kind.KERAS_H5_MODEL, version, backend, config, training)
        return _with_hdf5(source, content)


def _read_archive(files: KerasFiles) -> KerasSource:
    path = files.architecture
    try:
        with open_zip(path) as archive:
            _check_members(path, archive)
            config = _member(path, archive, "config.json")
            metadata = _member(path, archive, "metadata.json")
            if not _is_config(config):
                raise InputError(f"{path}: its config.json is not a Keras config (no class_name, no config)")
            version = str(metadata.get("keras_version", "")) if isinstance(metadata, dict) else ""
            source = _source(files, Kind.KERAS_V3, version, "", config, config.get("compile_config"))
            if _WEIGHTS not in archive.namelist():
                raise InputError(f"{path}: has no {_WEIGHTS}, so the model has no weights")
            with open_member(path, archive, _WEIGHTS) as stream, open_hdf5(path, stream) as content:
                return _with_hdf5(source, content, is_v3=True)
    except (OSError, *DAMAGE) as error:
        raise InputError(f"{path}: cannot be read as a .keras archive: {first_line(error)}") from None


def _read_text(files: KerasFiles, config: Mapping[str, Any]) -> KerasSource:
    version, backend = str(config.get("keras_version") or ""), str(config.get("backend") or "")
    beside = _metadata(files)
    if not version and os.path.isfile(beside):
        with contextlib.suppress(InputError, AttributeError):
            version = str(_load_json(beside).get("keras_version", ""))
    source = _source(files, Kind.KERAS_JSON, version, backend, config, config.get("compile_config"))
    if not files.weights:
        return source
    if os.path.exists(files.weights + INDEX) and not os.path.isfile(files.weights):
        return _with_checkpoint(source)
    with open_hdf5(files.weights) as content:
        return _with_hdf5(source, content)


def _metadata(files: KerasFiles) -> str:
    """The file beside an architecture in which Keras 3 says of which version it is."""
    return os.path.join(os.path.dirname(files.architecture), "metadata.json") if files.architecture else ""


def _source(
    files: KerasFiles, kind: Kind, version: str, backend: str, config: Mapping[str, Any], training: Any
) -> KerasSource:
    # Loss and optimizer stand apart: a model whose loss nobody has any more still predicts.
    config = {key: value for key, value in config.items() if key != "compile_config"}
    return KerasSource(
        files,
        kind,
        _runtime(version, config),
        version,
        backend,
        config,
        training if isinstance(training, Mapping) else {},
        Weights.MISSING,
        (),
        (),
        (),
        digest_of(files.architecture or files.weights),
    )


def _runtime(version: str, config: Mapping[str, Any]) -> Runtime:
    """Keras 3 says so; its `Model.to_json` does not, but writes `batch_shape` where Keras 2 has `batch_input_shape`."""
    if version:
        major = version.split(".")[0]
        return Runtime.KERAS if major.isdigit() and int(major) >= 3 else Runtime.TF_KERAS
    return Runtime.KERAS if "module" in config and _mentions(config, "batch_shape") else Runtime.TF_KERAS


def _mentions(value: Any, key: str) -> bool:
    if isinstance(value, Mapping):
        return key in value or any(_mentions(inner, key) for inner in value.values())
    return isinstance(value, list) and any(_mentions(inner, key) for inner in value)


def _with_hdf5(source: KerasSource, content: Any, is_v3: bool = False) -> KerasSource:
    """Adds the facts of an open HDF5 file."""
    links: list[str] = []
    tensors = list(datasets(content, "", links, set()))
    if is_v3 or _has_v3_layout(content):
        optimizer = tuple(t for t in tensors if t.name.startswith("optimizer/"))
        weights = tuple(t for t in tensors if not t.name.startswith(_NO_WEIGHTS))
        form = Weights.HDF5_V3
        own = [name for name in content if not f"{name}/".startswith((*_NO_WEIGHTS, "vars/"))]
        source = dataclasses.replace(source, has_empty_layers=bool(own) and not weights)
    else:
        optimizer = tuple(_below(tensors, "optimizer_weights/"))
        whole = has_entry(content, "model_weights")
        weights = tuple(_below(tensors, "model_weights/")) if whole else tuple(tensors)
        form = Weights.HDF5
        source = dataclasses.replace(source, groups=_groups(content))
    return dataclasses.replace(source, form=form, weights=weights, optimizer=optimizer, links=tuple(links))


def _groups(content: Any) -> tuple[str, ...]:
    """What Keras loads weights by: the attribute `layer_names`, in parts where it is long (hdf5_format.py)."""
    holder = content["model_weights"] if is_in_file(content, "model_weights") else content
    whole = "layer_names" in holder.attrs
    parts = itertools.takewhile(holder.attrs.__contains__, map("layer_names{}".format, itertools.count()))
    names = ["layer_names"] if whole else list(parts)
    values = [value for name in names for value in elements(holder.attrs[name])]
    return tuple(v.decode("utf-8", "surrogateescape") if isinstance(v, bytes) else str(v) for v in values)


def _below(tensors: Sequence[StoredTensor], prefix: str) -> Iterator[StoredTensor]:
    for tensor in tensors:
        if tensor.name.startswith(prefix):
            yield dataclasses.replace(tensor, name=tensor.name[len(prefix) :])


def _with_checkpoint(source: KerasSource) -> KerasSource:
    bundle = read_bundle(source.files.weights)
    objects = OBJECT_GRAPH_KEY in bundle.entries
    tensors = [
        StoredTensor(key, entry.dtype, entry.shape) for key, entry in bundle.entries.items() if key != OBJECT_GRAPH_KEY
    ]
    form = Weights.OBJECTS if objects else Weights.NAMES
    source = dataclasses.replace(source, form=form, roots=_roots(tensors) if objects else ())
    below = f"{source.root}/" if source.root else ""
    starts = ("optimizer/", f"{below}optimizer/")
    slots = {t.name for t in tensors if ".OPTIMIZER_SLOT/" in t.name or t.name.startswith(starts)}
    others = slots.union(_COUNTERS)
    metrics = (_METRICS, f"{below}{_METRICS}")
    weights = tuple(
        t for t in tensors if t.name not in others and t.name.startswith(below) and not t.name.startswith(metrics)
    )
    return dataclasses.replace(source, weights=weights, optimizer=tuple(t for t in tensors if t.name in slots))


def _roots(tensors: Sequence[StoredTensor]) -> tuple[str, ...]:
    """Where in an object graph there are models with layers that have weights, and not those within them."""
    found = {t.name[: t.name.index(WEIGHTED_LAYER)] for t in tensors if WEIGHTED_LAYER in t.name}
    models = {path.removesuffix("/") for path in found if not path or path.endswith("/")}
    return tuple(sorted(models))


# The files


def _attribute(content: Any, name: str) -> str:
    """A string attribute; Keras wrote some on the file, some on the group of the weights."""
    here = name in content.attrs or not is_in_file(content, "model_weights")
    holder = content if here else content["model_weights"]
    value = holder.attrs.get(name, "")
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def _json_attribute(path: str, content: Any, name: str) -> Mapping[str, Any]:
    text = _attribute(content, name)
    if not text:
        return {}
    try:
        value = _from_json(text)
    except ValueError as error:
        raise InputError(f"{path}: its attribute {name} is no JSON: {error}") from None
    if not isinstance(value, dict) or (name == "model_config" and not _is_config(value)):
        raise InputError(f"{path}: its attribute {name} is not a Keras config (no class_name, no config)")
    return value


def _load_json(file: str) -> Any:
    try:
        return _from_json(read_file(file, _MAX_JSON_BYTES))
    except (OSError, ValueError) as error:
        raise InputError(f"{file}: cannot be read as JSON: {error}") from None


def _check_members(path: str, archive: zipfile.ZipFile) -> None:
    """Refuses an archive whose members climb out of the place that they are unpacked to, or swell beyond reason."""
    for info in archive.infolist():
        parts = info.filename.replace("\\", "/").split("/")
        if info.filename.startswith("/") or ".." in parts or ":" in parts[0]:
            raise InputError(f"{path}: its member {info.filename!r} leads out of the archive; it is not opened")
        if info.file_size > _BOMB_BYTES and info.file_size > _BOMB_RATIO * max(info.compress_size, 1):
            raise InputError(f"{path}: its member {info.filename!r} unpacks to {info.file_size:,} bytes; not opened")


def _member(path: str, archive: zipfile.ZipFile, name: str) -> Any:
    if archive.getinfo(name).file_size > _MAX_JSON_BYTES:
        raise InputError(f"{path}: its {name} has {archive.getinfo(name).file_size:,} bytes, which no config has")
    try:
        return _from_json(archive.read(name))
    except ValueError as error:
        raise InputError(f"{path}: its {name} is no JSON: {error}") from None


def _from_json(text: str | bytes) -> Any:
    """The value of a JSON text.

    Raises:
      ValueError: it is none, or has more levels than anything that Keras writes.
    """
    deep = f"more than {_MAX_DEPTH} values within one another"
    try:
        value = json.loads(text)
    except RecursionError:
        raise ValueError(deep) from None
    level = [value]
    for _ in range(_MAX_DEPTH):
        level = [i for v in level if isinstance(v, (dict, list)) for i in (v.values() if isinstance(v, dict) else v)]
        if not level:
            return value
    raise ValueError(deep)
