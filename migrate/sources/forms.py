"""All forms of models, one row for each: how a file of it is recognised, read, named and called.

A form is what a file is; a kind (`records.Kind`) is what the model in it is. To add a form is to add a row here, its
recogniser in `sniff` and its reader in a module of its own.
"""

from __future__ import annotations

import enum
import glob
import os
import re
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING

from migrate.errors import InputError
from migrate.frozen import frozen
from migrate.records import Kind
from migrate.sources import sniff
from migrate.sources.checkpoint_files import INDEX, META, SHARDED_V1
from migrate.sources.files import check_regular
from migrate.sources.location import Form, Location
from migrate.sources.saved_model_files import CHUNKED_SAVED_MODEL_FILE, SAVED_MODEL_OWN

if TYPE_CHECKING:
    from migrate.sources.keras_source import KerasFiles
    from migrate.sources.source import Source


class Beside(enum.Enum):
    """What else in the same directory may belong to a model that is a file, whatever it is called."""

    NOTHING = "nothing"
    ARCHITECTURE = "architecture"
    ANYTHING = "anything"


@frozen
class Labels:
    """What reports call a kind of model.

    Attributes:
      long: in the text report of one model.
      short: in a column of a table.
      page: in the page report.html and in Markdown.
    """

    long: str
    short: str
    page: str


@frozen
class FormRow:
    """All that is known of a form.

    Attributes:
      form: its name.
      is_form: whether a file has it, by its first and last bytes.
      kinds: what a model of it may be, with what reports call that.
      read: reads a model that is a graph; None for a form that is none by itself.
      keras_files: joins the files of a Keras model; None for a form that holds none.
      own_paths: paths of a model's own files and directories.
      beside: what else may belong to a model.
      ends: how names of such files end.
      ends_of_strays: those of `ends` at which a Git LFS pointer or a web page is reported as a model that is missing.
      ends_of_unreadable: those of `ends_of_strays` that few other files have; they are reported with any content.
    """

    form: Form
    is_form: Callable[[sniff.Head], bool]
    kinds: Mapping[Kind, Labels]
    read: Callable[[Location, str], Source] | None
    keras_files: Callable[[Location, str | None, str | None], KerasFiles | None] | None
    own_paths: Callable[[Location], Iterator[str]]
    beside: Beside = Beside.NOTHING
    ends: tuple[str, ...] = ()
    ends_of_strays: tuple[str, ...] = ()
    ends_of_unreadable: tuple[str, ...] = ()


def form_of(file: str) -> Form | None:
    """Recognises a file by its content. The file is opened once.

    Returns:
      The form, or None for a file that belongs to no model. `Form.STRAY` is a file that replaces another one by mistake
      (a Git LFS pointer, a web page, an empty file, a link to nowhere); only its name says whether that was a model's.

    Example:
      >>> form_of("testdata/forms/frozen/frozen.pb").value
      'GraphDef'
      >>> form_of("testdata/README.md")
    """
    try:
        check_regular(file)
    except (OSError, InputError):
        return Form.STRAY if os.path.lexists(file) and (os.path.islink(file) or not os.path.isdir(file)) else None
    try:
        with open(file, "rb", buffering=0) as stream:
            head = sniff.Head(file, stream)
            return next((row.form for row in FORMS if row.is_form(head)), None)
    except OSError:
        return Form.STRAY if os.path.islink(file) else None


# The readers are imported where they are used: few models need most of them.


def _read_saved_model(place: Location, path: str) -> Source:
    from migrate.sources.saved_model import read_saved_model

    return read_saved_model(place.file, place.boundary, place.watch)


def _read_graph(place: Location, path: str) -> Source:
    from migrate.sources.graph_file import read_graph

    return read_graph(place, path)


def _read_stray(place: Location, path: str) -> Source:
    from migrate.sources.parse import describe_unreadable

    raise InputError(f"{place.file}: {describe_unreadable(place.file, place.boundary)}")


def _whole_keras(place: Location, architecture: str | None, root: str | None) -> KerasFiles:
    from migrate.sources.keras_files import whole_files

    return whole_files(place)


def _keras_of_hdf5(place: Location, architecture: str | None, root: str | None) -> KerasFiles:
    from migrate.sources.keras_files import hdf5_files

    return hdf5_files(place, architecture, form_of)


def _keras_of_config(place: Location, architecture: str | None, root: str | None) -> KerasFiles:
    from migrate.sources.keras_files import config_files

    return config_files(place, architecture, root, form_of)


def _keras_of_checkpoint(place: Location, architecture: str | None, root: str | None) -> KerasFiles | None:
    from migrate.sources.keras_files import checkpoint_files

    return checkpoint_files(place, architecture, root, form_of)


def _own_of_directory(place: Location) -> Iterator[str]:
    """The files and directories of a SavedModel that TensorFlow and Keras know by name."""
    try:
        there = os.listdir(place.file)
    except OSError:
        return
    yield from (
        os.path.join(place.file, name) for name in there if name in (*SAVED_MODEL_OWN, CHUNKED_SAVED_MODEL_FILE)
    )


def _own_of_file(place: Location) -> Iterator[str]:
    """A file, and the files of its checkpoint."""
    yield place.file
    if place.checkpoint is None:
        return
    sharded = re.search(SHARDED_V1, place.checkpoint)
    stem = place.checkpoint[: sharded.start()] if sharded else place.checkpoint
    yield from glob.iglob(glob.escape(stem) + place.checkpoint[len(stem) :])
    yield from (f for f in glob.iglob(f"{glob.escape(place.checkpoint)}.*") if not f.endswith(META))


FORMS: tuple[FormRow, ...] = (
    # Magic numbers come first: nothing else starts with them.
    FormRow(
        Form.HDF5,
        sniff.is_hdf5,
        {
            Kind.KERAS_H5_MODEL: Labels("Keras model (HDF5)", "Keras", "Keras model (HDF5)"),
            Kind.KERAS_H5_WEIGHTS: Labels("Keras weights (HDF5)", "weights", "Keras weights (HDF5)"),
        },
        None,
        _keras_of_hdf5,
        _own_of_file,
        Beside.ARCHITECTURE,
        (".h5", ".hdf5"),
        (".h5", ".hdf5"),
        (".h5", ".hdf5"),
    ),
    FormRow(
        Form.KERAS_V3,
        sniff.is_keras_archive,
        {Kind.KERAS_V3: Labels("Keras archive (.keras)", "Keras", "Keras 3 model")},
        None,
        _whole_keras,
        _own_of_file,
        Beside.NOTHING,
        (".keras",),
        (".keras",),
        (".keras",),
    ),
    # A `.keras` archive is a zip archive, too, so this comes after it. What an archive holds has a form of its own.
    FormRow(Form.ARCHIVE, sniff.is_archive, {}, None, None, _own_of_file),
    # A web page and a pointer are texts, and come before the texts that are models.
    FormRow(Form.STRAY, sniff.is_stray, {}, _read_stray, None, _own_of_file),
    FormRow(
        Form.KERAS_JSON,
        sniff.is_keras_config,
        {Kind.KERAS_JSON: Labels("Keras configuration with weights", "Keras", "Keras configuration")},
        None,
        _keras_of_config,
        _own_of_file,
        Beside.ANYTHING,
    ),
    # The protos have no magic number. A SavedModel starts with a number, a GraphDef with a message, and a MetaGraphDef
    # with one that has to be passed over first.
    FormRow(
        Form.SAVED_MODEL,
        sniff.is_saved_model,
        {
            Kind.TF1_SAVED_MODEL: Labels("TF1 SavedModel", "TF1", "TF1 SavedModel"),
            Kind.TF2_SAVED_MODEL: Labels("TF2 SavedModel", "TF2", "TF2 SavedModel"),
            Kind.TF1_HUB_MODULE: Labels("TF1 Hub module", "TF1 Hub", "TF1 Hub module"),
            Kind.KERAS_SAVED_MODEL: Labels("Keras model (TF2 SavedModel)", "TF2", "Keras SavedModel"),
        },
        _read_saved_model,
        None,
        _own_of_directory,
    ),
    FormRow(
        Form.GRAPH_DEF,
        sniff.is_graph_def,
        {Kind.FROZEN_GRAPH: Labels("GraphDef (frozen graph)", "graph", "frozen graph")},
        _read_graph,
        None,
        _own_of_file,
        Beside.NOTHING,
        (".pb", ".pbtxt"),
        (".pb", ".pbtxt"),
        (".pb",),
    ),
    FormRow(
        Form.META_GRAPH,
        sniff.is_meta_graph,
        {
            Kind.CHECKPOINT_META: Labels("MetaGraphDef with a checkpoint (.meta)", "meta", "MetaGraphDef (.meta)"),
            Kind.SESSION_BUNDLE: Labels("SessionBundle of TensorFlow 0.x", "bundle", "SessionBundle"),
        },
        _read_graph,
        None,
        _own_of_file,
        Beside.NOTHING,
        (META,),
        (META,),
    ),
    # The end of a file is read where its beginning says nothing.
    FormRow(
        Form.TABLE,
        sniff.is_table_file,
        {Kind.CHECKPOINT: Labels("checkpoint without a graph", "ckpt", "checkpoint alone")},
        None,
        _keras_of_checkpoint,
        _own_of_file,
        Beside.ARCHITECTURE,
        (INDEX,),
    ),
)
"""The order is that in which a file is compared with them; the first that fits is taken."""

_BY_FORM = {row.form: row for row in FORMS}
KERAS_FORMS = frozenset(row.form for row in FORMS if row.keras_files is not None and row.form is not Form.TABLE)
"""A table is a Keras model only where an architecture is beside it."""
ENDS, ENDS_OF_STRAYS, ENDS_OF_UNREADABLE = (
    tuple(end for row in FORMS for end in getattr(row, name))
    for name in ("ends", "ends_of_strays", "ends_of_unreadable")
)
LABELS: Mapping[Kind, Labels] = {
    **{kind: labels for row in FORMS for kind, labels in row.kinds.items()},
    Kind.UNKNOWN: Labels("unknown kind", "?", "unknown"),
}


def row_of(form: Form) -> FormRow:
    """All that is known of a form.

    Example:
      >>> row_of(Form.HDF5).ends
      ('.h5', '.hdf5')
    """
    return _BY_FORM[form]
