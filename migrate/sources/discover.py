"""Finds models on the disk by what is there.

A SavedModel is recognised by the file names that TensorFlow itself goes by, and its directory is not searched any
further. In every other directory the content of each file says what it is.
"""

from __future__ import annotations

import errno
import functools
import os
import re
from collections.abc import Callable, Sequence

from migrate.errors import InputError
from migrate.sources.boundary import Boundary
from migrate.sources.checkpoint_files import DATA_FILE, INDEX, META, STATE_FILE, V1_SHARD, latest_name
from migrate.sources.files import read_file
from migrate.sources.forms import ENDS, ENDS_OF_STRAYS, ENDS_OF_UNREADABLE, form_of
from migrate.sources.location import Form, Location
from migrate.sources.not_a_model import describe_stray
from migrate.sources.parse import PROTO_LIMIT_BYTES
from migrate.sources.saved_model_files import CHUNKED_SAVED_MODEL_FILE, OWN_FOLDERS, SAVED_MODEL_FILES

_STEP = r"-(\d+)$"


def is_one_model(path: str, models: Sequence[str]) -> bool:
    """Whether a path is a model itself and no tree of models, by what `find_models` gives for it.

    Example:
      >>> is_one_model("testdata/models/counter/", find_models("testdata/models/counter/"))
      True
    """
    return tuple(models) == (_without_slash(path),)


def find_models(path: str) -> tuple[str, ...]:
    """Finds the models that a path means.

    Links to directories are followed, except those to a directory that contains the tree itself. Each real directory is
    searched once, and it is reported under its own name rather than a link's where both are in the tree.

    Args:
      path: a model's directory, file or checkpoint prefix, or a tree of models.

    Returns:
      `path` itself when it is one model, else every model below it, sorted: by directory where it is the only one
      there, by file or prefix where others are beside or below it. A directory below that cannot be listed is among
      them.

    Raises:
      InputError: nothing is there, a file is no model, the directory cannot be listed, or no model is in it.

    Example:
      >>> find_models("testdata/forms/saver_steps")
      ('testdata/forms/saver_steps',)
    """
    if os.path.isdir(path):
        return _models_below(path)
    file = _File(path)
    is_there = os.path.lexists(path)
    if not is_there and file.prefix_place is None:
        near = _near(path)
        advice = f"did you mean {' or '.join(near)}?" if near else "pass a model or a tree of models"
        raise InputError(f"{path}: no such file or directory; {advice}")
    if is_there and not os.path.exists(path) and describe_stray(os.readlink(path).encode()) is None:
        raise InputError(f"{path}: a link that leads nowhere ({os.path.realpath(path)})")
    _recognised(file)
    return (path,)


def place_of(path: str) -> Location:
    """Says where the one model is that a path means.

    Args:
      path: a directory with one model, a file, or a checkpoint's prefix.

    Raises:
      InputError: it is none, or the directory holds several.

    Example:
      >>> place_of("testdata/forms/saver_steps").checkpoint
      'testdata/forms/saver_steps/model.ckpt-5'
    """
    if not os.path.isdir(path):
        return _recognised(_File(path))
    names, _, _ = _list(path)
    if _is_saved_model(names):
        return Location(Form.SAVED_MODEL, path, path)
    places = _places(_Folder(_without_slash(path), names))
    if not places:
        raise InputError(f"{path}: no model in this directory")
    if len(places) > 1:
        listed = ", ".join(os.path.basename(place.path) for place in places[:5])
        raise InputError(f"{path}: holds {len(places)} models ({listed}); pass one of them")
    return places[0]


# A tree


def _models_below(path: str) -> tuple[str, ...]:
    """The models in a directory and below it, see `find_models`."""
    root = _without_slash(path)
    listed = _list(root)
    if _is_saved_model(listed[0]):
        return (root,)
    top = os.path.realpath(root)
    models: list[str] = []
    alone: dict[str, str] = {}
    seen: set[str] = set()
    # Links come last: a directory that is in the tree as well keeps its own name.
    pending: list[tuple[str, str]] = [(root, top)]
    later: list[str] = []
    while pending or later:
        folder, real = pending.pop() if pending else _followed(later.pop())
        if real in seen or (seen and Boundary((real,)).holds(top)):
            continue  # A link upwards leads to all that is beside the tree; one to `/` to the whole machine.
        seen.add(real)
        try:
            names, folders, links = listed if folder == root else _list(folder)
        except InputError:
            models.append(folder)  # Reading it says why it cannot be listed; the others are found all the same.
            continue
        if _is_saved_model(names):
            models.append(folder)
            folders, links = _without_own(folders), _without_own(links)
        else:
            places = _places(_Folder(folder, names))
            if len(places) == 1:
                alone[folder] = places[0].path
            else:
                models += [place.path for place in places]
        pending += _real(folders, real)
        later += links
        later.sort(reverse=True)
    if not models and not alone:
        searched = "1 directory" if len(seen) == 1 else f"{len(seen):,} directories"
        raise InputError(
            f"{path}: no model in this tree; {searched} searched; pass a directory with SavedModels, frozen graphs, "
            "checkpoints with their .meta files, or Keras files"
        )
    # A directory that is one model and holds others would, converted, be a model around models.
    parents = _parents((*models, *alone), root)
    models += [file if folder in parents else folder for folder, file in alone.items()]
    return tuple(sorted(models))


def _without_own(folders: Sequence[str]) -> list[str]:
    return [folder for folder in folders if os.path.basename(folder) not in OWN_FOLDERS]


def _parents(paths: Sequence[str], root: str) -> set[str]:
    """All directories of a tree that paths are below of."""
    parents: set[str] = set()
    for path in paths:
        parent = os.path.dirname(path)
        while parent not in parents and len(parent) >= len(root):
            parents.add(parent)
            parent = os.path.dirname(parent)
    return parents


def _real(folders: Sequence[str], parent: str) -> list[tuple[str, str]]:
    """Directories and their real paths, given their parent's: asking for each would cost the square of its depth."""
    return [(folder, os.path.join(parent, os.path.basename(folder))) for folder in folders]


def _followed(link: str) -> tuple[str, str]:
    return link, os.path.realpath(link)


def _without_slash(path: str) -> str:
    return path.rstrip(os.sep) or os.sep


# A file, or a checkpoint's prefix


class _Folder:
    """A directory in which each file is opened once, however often its form is asked for."""

    def __init__(self, path: str, names: frozenset[str] | None = None) -> None:
        """Begins.

        Args:
          path: of the directory.
          names: of its files, where it has been listed.
        """
        self.path = path
        self._names = names
        self._forms: dict[str, Form | None] = {}

    def join(self, name: str) -> str:
        """Path of a file."""
        return os.path.join(self.path, name)

    def form(self, name: str) -> Form | None:
        """Form of a file."""
        if name not in self._forms:
            self._forms[name] = form_of(self.join(name))
        return self._forms[name]

    def has(self, name: str) -> bool:
        """Whether something of a name is there."""
        return (self._names is not None and name in self._names) or os.path.lexists(self.join(name))

    @functools.cached_property
    def names(self) -> Sequence[str]:
        """Names of the files; of a directory that was not listed before, of all that is in it."""
        if self._names is not None:
            return sorted(self._names)
        try:
            return os.listdir(self.path or os.curdir)
        except OSError:
            return []


class _File:
    """A path that is no directory: a file, or a prefix that several files have in common."""

    def __init__(self, path: str) -> None:
        """Begins."""
        self.path = path
        folder, self.name = os.path.split(path)
        # With the slashes that the user has written: `os.path.split` leaves them out.
        self.folder = _Folder(path[: len(path) - len(self.name)] or folder)

    @functools.cached_property
    def prefix_place(self) -> Location | None:
        """The model of a checkpoint's prefix, or of its index or a data file of it."""
        stem = re.sub(DATA_FILE, "", self.name)
        if stem != self.name or self.folder.form(self.name) is Form.TABLE:
            stem = stem.removesuffix(INDEX)
        prefix = self.folder.join(stem)
        checkpoint = _checkpoint(self.folder, stem)
        if self.folder.form(stem + META) is Form.META_GRAPH:
            return Location(Form.META_GRAPH, prefix, prefix + META, checkpoint or prefix)
        if checkpoint is None:
            return None
        return Location(Form.TABLE, prefix, prefix + INDEX if os.path.exists(prefix + INDEX) else prefix, checkpoint)


def _recognised(file: _File) -> Location:
    """The model at a path that is no directory.

    Raises:
      InputError: there is none.
    """
    for recognise in _RECOGNISERS:
        place = recognise(file)
        if place is not None:
            return place
    raise InputError(
        f"{file.path}: not a model (no GraphDef, MetaGraphDef, checkpoint, Keras file or archive); pass a model, or a "
        "directory with models"
    )


def _refuse_file_of_saved_model(file: _File) -> None:
    """Refuses a file that belongs to a directory.

    Raises:
      InputError: it does.
    """
    if file.name in (*SAVED_MODEL_FILES, CHUNKED_SAVED_MODEL_FILE):
        folder = os.path.dirname(file.path) or os.curdir
        raise InputError(f"{file.path}: a file; pass the directory that holds it: {folder}")


def _with_checkpoint(file: _File) -> Location | None:
    return file.prefix_place


def _by_content(file: _File) -> Location | None:
    """A model that is one file, by its form.

    Raises:
      InputError: it is a SavedModel's file under another name.
    """
    path, form = file.path, file.folder.form(file.name)
    if form is None:
        return Location(Form.STRAY, path, path) if file.name.endswith(ENDS_OF_STRAYS) else None
    if form is Form.SAVED_MODEL:
        raise InputError(f"{path}: a SavedModel's file alone; pass its directory, with it as saved_model.pb")
    if form is Form.META_GRAPH:
        stem = file.name.removesuffix(META)
        return Location(form, path, path, _checkpoint(file.folder, stem) or file.folder.join(stem))
    if form is Form.TABLE:
        stem = re.sub(DATA_FILE, "", file.name).removesuffix(INDEX)
        return Location(form, path, path, _checkpoint(file.folder, stem) or path)
    return Location(form, path, path)


_RECOGNISERS: tuple[Callable[[_File], Location | None], ...] = (
    _refuse_file_of_saved_model,
    # Before the content: a prefix may be a file itself, a V1 checkpoint, and have a graph beside it.
    _with_checkpoint,
    _by_content,
)


def _checkpoint(folder: _Folder, stem: str) -> str | None:
    """What a restore op is fed with to read a checkpoint of which any part is there, or None."""
    prefix = folder.join(stem)
    if folder.has(stem + INDEX) or folder.form(stem) is Form.TABLE:
        return prefix
    for name in folder.names:
        rest = name.removeprefix(stem)
        if rest != name or not stem:
            if re.fullmatch(DATA_FILE, rest):
                return prefix
            shard = re.fullmatch(V1_SHARD, rest)
            if shard:
                return f"{prefix}-?????-of-{shard[1]}"
    return None


def _near(path: str) -> list[str]:
    """Names like a path's last one in its directory, checkpoints by their prefixes."""
    import difflib

    folder, name = os.path.split(path.rstrip(os.sep))
    stems = {re.sub(DATA_FILE, "", n).removesuffix(META).removesuffix(INDEX) for n in _Folder(folder).names}
    return difflib.get_close_matches(name, sorted(stems - {""}), n=3)


# The files of a directory that is no SavedModel


def _places(folder: _Folder) -> list[Location]:
    """The models among the files of a directory."""
    forms = {name: form for name in folder.names if (form := _form_in_tree(folder, name)) is not None}
    metas, tables = ([n for n, f in forms.items() if f is form] for form in (Form.META_GRAPH, Form.TABLE))
    places = _of_checkpoints(folder, metas, tables)
    architectures = [name for name, form in forms.items() if form is Form.KERAS_JSON]
    has_weights = not {Form.HDF5, Form.TABLE}.isdisjoint(forms.values())
    if len(architectures) > 1 and has_weights:
        architectures = _distinct(folder, architectures)
    # Weights beside several architectures are the model: reading it says which one has to be chosen.
    is_keras = bool(architectures) and (len(architectures) == 1 or not has_weights)
    if is_keras:
        # The weights beside a configuration are its own.
        places = [place for place in places if place.form is Form.META_GRAPH]
        forms = {name: form for name, form in forms.items() if form is not Form.HDF5}
    forms = {n: f for n, f in forms.items() if f is not Form.KERAS_JSON or (is_keras and n in architectures)}
    for name, form in forms.items():
        if form not in (Form.META_GRAPH, Form.TABLE) and not _is_no_model(folder, name, form, bool(places)):
            places.append(Location(form, folder.join(name), folder.join(name)))
    return places


def _distinct(folder: _Folder, architectures: Sequence[str]) -> list[str]:
    """Names of the files that hold Keras architectures; of several that hold the same one, the first."""
    from migrate.sources.keras_files import distinct_architectures

    return [os.path.basename(file) for file in distinct_architectures([folder.join(name) for name in architectures])]


def _form_in_tree(folder: _Folder, name: str) -> Form | None:
    """Form of a file that is found rather than named by the user; None where it is no model's."""
    if name == STATE_FILE or re.search(DATA_FILE, name):
        return None
    form = folder.form(name)
    if form is None and name.endswith(ENDS_OF_UNREADABLE):
        return Form.STRAY
    if form is Form.STRAY and not name.endswith(ENDS_OF_STRAYS):
        return None
    if form is Form.TABLE and not name.endswith(INDEX) and _is_foreign_table(folder.join(name)):
        return None  # LevelDB's own files
    return form


def _is_no_model(folder: _Folder, name: str, form: Form, is_beside_others: bool) -> bool:
    """Whether a file that has a model's form is an archive without models, or another model's own graph."""
    if form is Form.ARCHIVE:
        from migrate.sources.archive import holds_name  # Few trees have an archive, and its libraries take time.

        return not holds_name(folder.join(name), ENDS)
    # The checkpoint's own graph, as tf.train.write_graph leaves it there.
    return form is Form.GRAPH_DEF and is_beside_others and _has_variables(folder.join(name))


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


def _of_checkpoints(folder: _Folder, metas: Sequence[str], tables: Sequence[str]) -> list[Location]:
    """The models of the checkpoints in a directory: several steps of one are one model."""
    prefixes: dict[str, str] = {}
    for name in tables:
        stem = name.removesuffix(INDEX) if name.endswith(INDEX) else re.sub(V1_SHARD, "", name)
        prefixes.setdefault(stem, _checkpoint(folder, stem) or folder.join(name))
    graphs = {name.removesuffix(META): name for name in metas}
    groups: dict[str, list[str]] = {}
    for stem in sorted({*prefixes, *graphs}):
        groups.setdefault(re.sub(_STEP, "", stem), []).append(stem)
    latest = latest_name(folder.path) if groups else ""
    if latest in prefixes or latest in graphs:
        groups = {latest: sorted({*prefixes, *graphs})}
    places = []
    for stems in groups.values():
        whole = [stem for stem in stems if stem in prefixes] or stems
        chosen = latest if latest in stems else max(whole, key=_step)
        # Savers write the graph once where they are told to (write_meta_graph=False).
        graph = graphs.get(chosen) or next((graphs[stem] for stem in sorted(stems, key=_step) if stem in graphs), None)
        prefix = folder.join(chosen)
        others = tuple(folder.join(stem) for stem in stems if stem != chosen)
        checkpoint = prefixes.get(chosen) or _checkpoint(folder, chosen) or prefix
        if graph is not None:
            places.append(Location(Form.META_GRAPH, prefix, folder.join(graph), checkpoint, others))
        else:
            places.append(Location(Form.TABLE, prefix, prefix, checkpoint, others))
    return places


def _step(stem: str) -> tuple[int, str]:
    match = re.search(_STEP, stem)
    return (int(match[1]) if match else -1, stem)


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
