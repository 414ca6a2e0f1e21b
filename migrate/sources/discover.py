"""Finds models on the disk, by what lies there.

A SavedModel is told by the file names that TensorFlow itself goes by, and its directory is not looked into any
further. In every other directory the first bytes of each file say what it is.
"""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Sequence

from migrate.errors import InputError
from migrate.frozen import frozen
from migrate.sources.boundary import Boundary
from migrate.sources.files import read_file
from migrate.sources.leveldb import is_table
from migrate.sources.parse import PROTO_LIMIT_BYTES
from migrate.sources.sniff import Form, form_of
from migrate.sources.strays import describe_stray
from migrate.sources.watch import Watch

# tensorflow/cc/saved_model/constants.h; the order is that of TensorFlow's loaders.
SAVED_MODEL_FILES = ("saved_model.pb", "saved_model.pbtxt")
CHUNKED_SAVED_MODEL_FILE = "saved_model.cpb"
"""A SavedModel over 2 GB, split by tensorflow/tools/proto_splitter; it is not read here."""

_MODEL_OWN_FOLDERS = frozenset({"variables", "assets", "assets.extra"})
_STATE_FILE = "checkpoint"
"""Where tf.train.Saver notes which checkpoint is the latest (checkpoint_management.py)."""
_STATE_PATH = rb'^\s*model_checkpoint_path:\s*"((?:[^"\\]|\\.)*)"'
_STEP = r"-(\d+)$"
_DATA_FILE = r"\.data-\d{5}-of-\d{5}$"
_V1_SHARD = r"-\d{5}-of-(\d{5})$"
_V1_PATTERN = r"-\?{5}-of-\d{5}$"
_META, _INDEX = ".meta", ".index"
_NAMED_LIKE_MODELS = (".pb", ".pbtxt", ".meta", ".h5", ".hdf5", ".keras")
"""What lies in the place of a file of such a name is told: whoever put it there took it for a model's."""
_MODELS_ALONE = (".pb", ".h5", ".hdf5", ".keras")
"""Names that others hardly use: a file of such a name that cannot be read is told as well."""


@frozen
class Place:
    """Where one model lies.

    Attributes:
      form: what `file` is; for a checkpoint without a graph `Form.TABLE`.
      path: what it is called in a report when other models lie beside it.
      file: the file that says what the model is.
      checkpoint: what a restore op is fed with, or None.
      others: prefixes of other checkpoints that the same graph could be filled from, in the same directory.
      unpacked: the temporary directory that an archive was unpacked into, or None.
      boundary: where its files may be; None for anywhere.
      watch: over the audit that reads it; None for the bounds that are set by default.
    """

    form: Form
    path: str
    file: str
    checkpoint: str | None = None
    others: tuple[str, ...] = ()
    unpacked: str | None = None
    boundary: Boundary | None = None
    watch: Watch | None = None


def is_one_model(path: str, models: Sequence[str]) -> bool:
    """Whether a path is a model itself and no tree of models, by what `find_models` gives for it."""
    return tuple(models) == (path.rstrip(os.sep) or os.sep,)


def find_models(path: str) -> tuple[str, ...]:
    """Finds the models that a path stands for.

    Links to directories are followed, but for those to a directory that the tree itself lies in. Each real directory is
    looked at once, and it is reported under its own name rather than a link's where both lie in the tree.

    Args:
      path: a model's directory, file or checkpoint prefix, or a tree of models.

    Returns:
      `path` itself when it is one model, else every model below it, sorted: by directory where it lies there alone,
      by file or prefix where others lie beside or below it. A directory below that cannot be listed is among them.

    Raises:
      InputError: nothing is there, a file is no model, the directory cannot be listed, or no model is in it.
    """
    if not os.path.lexists(path) and _prefix_place(path) is None:
        near = _near(path)
        there = f"; there is {', '.join(near)}" if near else ""
        raise InputError(f"{path}: no such file or directory; pass a model or a tree of models{there}")
    if os.path.islink(path) and not os.path.exists(path) and describe_stray(os.readlink(path).encode()) is None:
        raise InputError(f"{path}: a link that leads nowhere ({os.path.realpath(path)})")
    if not os.path.isdir(path):
        place_of(path)
        return (path,)
    root = path.rstrip(os.sep) or os.sep
    names, folders, links = _list(root)
    if _is_saved_model(names):
        return (root,)
    models: list[str] = []
    alone: dict[str, str] = {}
    real = os.path.realpath(root)
    top = real
    seen = {real}
    _add_loose(root, names, models, alone)
    # Links come last: what they lead to keeps its own name when it lies in the tree as well.
    pending, later = _real(folders, real), links
    while pending or later:
        folder, real = pending.pop() if pending else _followed(later.pop())
        if real in seen or Boundary((real,)).holds(top):
            continue  # A link upwards leads to all that lies beside the tree; one to `/` to the whole machine.
        seen.add(real)
        try:
            names, folders, links = _list(folder)
        except InputError:
            models.append(folder)  # Reading it says why it cannot be listed; the others are found all the same.
            continue
        if _is_saved_model(names):
            models.append(folder)
            folders = [f for f in folders if os.path.basename(f) not in _MODEL_OWN_FOLDERS]
            links = [f for f in links if os.path.basename(f) not in _MODEL_OWN_FOLDERS]
        else:
            _add_loose(folder, names, models, alone)
        pending += _real(folders, real)
        later += links
        later.sort(reverse=True)
    if not models and not alone:
        raise InputError(f"{path}: no model in this tree (directories searched: {len(seen)})")
    # A directory that is one model and holds others would, converted, be a model around models.
    parents: set[str] = set()
    for model in (*models, *alone):
        parent = os.path.dirname(model)
        while parent not in parents and len(parent) >= len(root):
            parents.add(parent)
            parent = os.path.dirname(parent)
    models += [file if folder in parents else folder for folder, file in alone.items()]
    return tuple(sorted(models))


def _real(folders: Sequence[str], parent: str) -> list[tuple[str, str]]:
    """Directories and their real paths, given their parent's: asking for each would cost the square of its depth."""
    return [(folder, os.path.join(parent, os.path.basename(folder))) for folder in folders]


def _followed(link: str) -> tuple[str, str]:
    return link, os.path.realpath(link)


def _near(path: str) -> list[str]:
    """Names like a path's last one in its directory, checkpoints by their prefixes."""
    import difflib

    folder, name = os.path.split(path.rstrip(os.sep))
    try:
        names = os.listdir(folder or os.curdir)
    except OSError:
        return []
    stems = {re.sub(_DATA_FILE, "", other).removesuffix(_META).removesuffix(_INDEX) for other in names}
    return difflib.get_close_matches(name, sorted(stems - {""}), n=3)


def _add_loose(folder: str, names: frozenset[str], models: list[str], alone: dict[str, str]) -> None:
    places = _places(folder, names)
    if len(places) == 1:
        alone[folder] = places[0].path
    else:
        models.extend(place.path for place in places)


def place_of(path: str) -> Place:
    """Says where the one model lies that a path stands for.

    Args:
      path: a directory with one model, a file, or a checkpoint's prefix.

    Raises:
      InputError: it is none, or the directory holds several.
    """
    if os.path.isdir(path):
        names, _, _ = _list(path)
        if _is_saved_model(names):
            return Place(Form.SAVED_MODEL, path, path)
        places = _places(path.rstrip(os.sep) or os.sep, names)
        if not places:
            raise InputError(f"{path}: no model in this directory")
        if len(places) > 1:
            listed = ", ".join(os.path.basename(place.path) for place in places[:5])
            raise InputError(f"{path}: holds {len(places)} models ({listed}); pass one of them")
        return places[0]
    name = os.path.basename(path)
    if name in (*SAVED_MODEL_FILES, CHUNKED_SAVED_MODEL_FILE):
        raise InputError(f"{path}: a file; pass the directory that holds it: {os.path.dirname(path) or os.curdir}")
    # A prefix may be a file itself: a V1 checkpoint.
    place = _prefix_place(path)
    if place is not None:
        return place
    form = form_of(path)
    if form is None and name.endswith(_NAMED_LIKE_MODELS):
        form = Form.STRAY
    if form is None:
        raise InputError(f"{path}: no model (no GraphDef, MetaGraphDef, checkpoint, Keras file or archive)")
    if form is Form.META_GRAPH:
        prefix = path.removesuffix(_META)
        return Place(form, path, path, _checkpoint(prefix) or prefix)
    if form is Form.SAVED_MODEL:
        raise InputError(f"{path}: a SavedModel's file alone; pass its directory, with it as saved_model.pb")
    if form is Form.TABLE:
        prefix = re.sub(_DATA_FILE, "", path).removesuffix(_INDEX)
        return Place(form, path, path, _checkpoint(prefix) or path)
    return Place(form, path, path)


def _prefix_place(path: str) -> Place | None:
    """The model of a checkpoint's prefix, or of its index or a data file of it."""
    prefix = re.sub(_DATA_FILE, "", path)
    prefix = prefix.removesuffix(_INDEX) if is_table(path) or prefix != path else prefix
    checkpoint = _checkpoint(prefix)
    if os.path.isfile(prefix + _META) and form_of(prefix + _META) is Form.META_GRAPH:
        return Place(Form.META_GRAPH, prefix, prefix + _META, checkpoint or prefix)
    if checkpoint is None:
        return None
    return Place(Form.TABLE, prefix, prefix + _INDEX if os.path.exists(prefix + _INDEX) else prefix, checkpoint)


def _checkpoint(prefix: str) -> str | None:
    """What a restore op is fed with to read a checkpoint that is there in any part, or None."""
    if os.path.lexists(prefix + _INDEX):
        return prefix
    if os.path.isfile(prefix) and is_table(prefix):
        return prefix
    folder, stem = os.path.split(prefix)
    try:
        names = os.listdir(folder or os.curdir)
    except OSError:
        return None
    for name in names:
        rest = name.removeprefix(stem)
        if rest != name or not stem:
            if re.fullmatch(_DATA_FILE, rest):
                return prefix
            shard = re.fullmatch(_V1_SHARD, rest)
            if shard:
                return f"{prefix}-?????-of-{shard[1]}"
    return None


def _places(folder: str, names: frozenset[str]) -> list[Place]:
    """The models among the files of a directory that is no SavedModel."""
    forms: dict[str, Form] = {}
    for name in sorted(names):
        if name == _STATE_FILE or re.search(_DATA_FILE, name):
            continue
        form = form_of(os.path.join(folder, name))
        if form is None and name.endswith(_MODELS_ALONE):
            form = Form.STRAY
        if form is Form.TABLE and not name.endswith(_INDEX) and _is_foreign_table(os.path.join(folder, name)):
            continue  # LevelDB's own files
        if form is not None:
            forms[name] = form
    by_form: dict[Form, list[str]] = {}
    for name, form in forms.items():
        by_form.setdefault(form, []).append(name)
    places = list(_checkpoints(folder, by_form.get(Form.META_GRAPH, []), by_form.get(Form.TABLE, [])))
    architectures = by_form.get(Form.KERAS_JSON, [])
    if len(architectures) > 1 and (Form.HDF5 in by_form or Form.TABLE in by_form):
        architectures = _distinct(folder, architectures)
    # Weights beside several architectures are the model: reading it says which one has to be chosen.
    has_keras_json = bool(architectures) and (len(architectures) == 1 or not {Form.HDF5, Form.TABLE} & by_form.keys())
    if has_keras_json:
        # The weights beside a configuration are its own.
        places = [place for place in places if place.form is Form.META_GRAPH]
    for name, form in forms.items():
        file = os.path.join(folder, name)
        if form in (Form.META_GRAPH, Form.TABLE):
            continue
        if form is Form.STRAY and not name.endswith(_NAMED_LIKE_MODELS):
            continue
        if form is Form.HDF5 and has_keras_json:
            continue
        if form is Form.KERAS_JSON and not (has_keras_json and name in architectures):
            continue
        if form is Form.ARCHIVE and not _holds_model(file):
            continue
        if form is Form.GRAPH_DEF and places and _has_variables(file):
            continue  # The checkpoint's own graph, as tf.train.write_graph leaves it there.
        places.append(Place(form, file, file))
    return places


def _distinct(folder: str, architectures: Sequence[str]) -> list[str]:
    """Names of the files that hold Keras architectures; of several that hold the same one, the first."""
    from migrate.sources.keras_files import distinct_architectures

    files = distinct_architectures([os.path.join(folder, name) for name in architectures])
    return [os.path.basename(file) for file in files]


def _holds_model(archive: str) -> bool:
    from migrate.sources.archive import holds_model  # Few trees have an archive, and its libraries take time.

    return holds_model(archive)


def _is_foreign_table(file: str) -> bool:
    from migrate.sources.v1_checkpoint import is_foreign_table

    return is_foreign_table(file)


def _has_variables(file: str) -> bool:
    """Whether a GraphDef holds variables, and so is no model without its checkpoint."""
    try:
        data = read_file(file, PROTO_LIMIT_BYTES)
    except (OSError, InputError):
        return False
    return (
        b"VariableV2" in data or b"VarHandleOp" in data or re.search(rb'Variable["\x12\x1a\x22\x2a]', data) is not None
    )


def _checkpoints(folder: str, metas: list[str], tables: list[str]) -> list[Place]:
    """The models of the checkpoints in a directory: several steps of one are one model."""
    prefixes: dict[str, str] = {}
    for name in tables:
        stem = name.removesuffix(_INDEX) if name.endswith(_INDEX) else re.sub(_V1_SHARD, "", name)
        prefixes.setdefault(stem, _checkpoint(os.path.join(folder, stem)) or os.path.join(folder, name))
    graphs = {name.removesuffix(_META): name for name in metas}
    latest = latest_name(folder)
    groups: dict[str, list[str]] = {}
    for stem in sorted({*prefixes, *graphs}):
        groups.setdefault(re.sub(_STEP, "", stem), []).append(stem)
    if latest in prefixes or latest in graphs:
        groups = {latest: sorted({*prefixes, *graphs})}
    places = []
    for stems in groups.values():
        whole = [stem for stem in stems if stem in prefixes] or stems
        chosen = latest if latest in stems else max(whole, key=_step)
        # Savers write the graph once where they are told to (write_meta_graph=False).
        graph = graphs.get(chosen) or next((graphs[stem] for stem in sorted(stems, key=_step) if stem in graphs), None)
        prefix = os.path.join(folder, chosen)
        others = tuple(os.path.join(folder, stem) for stem in stems if stem != chosen)
        checkpoint = prefixes.get(chosen) or _checkpoint(prefix) or prefix
        if graph is not None:
            places.append(Place(Form.META_GRAPH, prefix, os.path.join(folder, graph), checkpoint, others))
        else:
            places.append(Place(Form.TABLE, prefix, prefix, checkpoint, others))
    return places


def _step(stem: str) -> tuple[int, str]:
    match = re.search(_STEP, stem)
    return (int(match[1]) if match else -1, stem)


def latest_name(folder: str) -> str:
    """Name of the latest checkpoint, as the state file has it, without the directory it was trained in."""
    try:
        match = re.search(_STATE_PATH, read_file(os.path.join(folder, _STATE_FILE), 1 << 20), re.MULTILINE)
    except (OSError, InputError):
        return ""
    if match is None:
        return ""
    path = match[1].decode("utf-8", "replace").replace("\\\\", "\\").replace("\\", "/")
    return re.sub(_V1_PATTERN, "", path.rsplit("/", 1)[-1])


def _is_saved_model(names: frozenset[str]) -> bool:
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
        if files and not os.access(folder, os.X_OK):
            raise PermissionError(errno.EACCES, "its names can be listed, its files cannot be read", folder)
    except OSError as error:
        raise InputError(f"{folder}: cannot be listed ({error.strerror})") from error
    return frozenset(files), folders, links


def _is_dir(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:
        return False
