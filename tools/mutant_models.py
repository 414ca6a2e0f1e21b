"""Makes broken and hostile models out of sound ones of every form: one number, one mutant, always the same."""

from __future__ import annotations

import dataclasses
import os
import random
import shutil
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence

from google.protobuf import text_format
from google.protobuf.message import DecodeError

from migrate.errors import InputError
from migrate.graph.protos import GraphDef, MetaGraphDef, SavedModel
from migrate.sources.discover import find_models, place_of
from migrate.sources.location import Form
from migrate.sources.parse import parse_file
from migrate.sources.session_bundle import is_session_bundle
from migrate.sources.sniff import is_v1_checkpoint, text_proto
from tools.mutant_attacks import attack_config, attack_graph, attack_links, empty_messages, rename_nodes
from tools.mutant_files import (
    change_config,
    mutate_archive,
    mutate_hdf5,
    mutate_json,
    mutate_keras,
    mutate_state,
    mutate_v1,
    pack,
    rename,
)
from tools.mutants import HOSTILE, assets, edges, fields, mutate_bytes, mutate_file, mutate_index, write

_TEXT_BYTES = 60_000
"""Larger graphs as text would spend the time on Python's parser of text protos."""
_PACKED_BYTES = 200_000
_ARCHIVES = ("zip", "tar", "tar.gz")


@dataclasses.dataclass(frozen=True)
class Model:
    """A sound model that mutants are made of.

    Attributes:
      folder: directory that is copied; only read.
      path: what audit is given, relative to it; `.` for the directory itself.
      form: in words, by which mutants are counted.
      file: the file that says what the model is, relative to the directory.
      packed: kind of the archive that the mutant is packed into, or empty.
      as_text: whether the proto is written as text first.
    """

    folder: str
    path: str
    form: str
    file: str
    packed: str = ""
    as_text: bool = False


def models(*roots: str, largest_bytes: int) -> Sequence[Model]:
    """The models below `roots` that can be read and copied, with those that can be made of them: as text, packed."""
    found: list[Model] = []
    for root in roots:
        for path in find_models(root):
            model = _model(path, largest_bytes)
            if model is not None:
                found.append(model)
                found.extend(_variants(model))
    return found


def turns(every: Iterable[Model]) -> Sequence[Sequence[Model]]:
    """Models by form, so that each form has its turn as often as any other and SavedModels, of most shapes, thrice."""
    by_form: dict[str, list[Model]] = {}
    for model in every:
        by_form.setdefault(model.form, []).append(model)
    return [by_form[form] for form in sorted(by_form) for _ in range(3 if form == "SavedModel" else 1)]


def choose(by_form: Sequence[Sequence[Model]], seed: int) -> Model:
    """The model whose turn it is."""
    of_form = by_form[seed % len(by_form)]
    return of_form[seed // len(by_form) % len(of_form)]


def _model(path: str, largest_bytes: int) -> Model | None:
    folder = path if os.path.isdir(path) else os.path.dirname(path)
    try:
        size = sum(os.path.getsize(os.path.join(b, n)) for b, _, names in os.walk(folder) for n in names)
        if size > largest_bytes:
            return None
        place = place_of(path)
        form, file = _form(place.form, place.file, place.checkpoint)
    except (OSError, InputError):
        return None
    return Model(folder, os.path.relpath(path, folder), form, os.path.relpath(file, folder))


def _form(form: Form, file: str, checkpoint: str | None) -> tuple[str, str]:
    """A form in words, and its file."""
    if form is Form.SAVED_MODEL:
        name = next(n for n in ("saved_model.pb", "saved_model.pbtxt") if os.path.exists(os.path.join(file, n)))
        hub = os.path.exists(os.path.join(file, "tfhub_module.pb"))
        file = os.path.join(file, name)
        parse_file(file, "SavedModel")
        return ("Hub module" if hub else "SavedModel as text" if name.endswith("txt") else "SavedModel"), file
    if form is Form.META_GRAPH:
        parsed = parse_file(file, "MetaGraphDef")
        if isinstance(parsed, MetaGraphDef) and is_session_bundle(parsed):
            return "SessionBundle", file
        return f".meta with a V{1 if is_v1_checkpoint(checkpoint or '') else 2} checkpoint", file
    if form is Form.TABLE:
        v1 = is_v1_checkpoint(checkpoint or "")
        return f"V{1 if v1 else 2} checkpoint alone", file if os.path.isfile(file) else f"{file}.index"
    if form is Form.GRAPH_DEF:
        text = parse_file(file, "GraphDef") and _is_text(file)
        return ("GraphDef or .meta as text" if text else "GraphDef"), file
    words = {Form.HDF5: "Keras HDF5", Form.KERAS_V3: ".keras archive", Form.KERAS_JSON: "Keras JSON"}
    if form not in words:
        raise InputError(f"{file}: not looked at")
    return words[form], file


def _variants(model: Model) -> Iterator[Model]:
    file = os.path.join(model.folder, model.file)
    if model.form in ("SavedModel", "GraphDef", ".meta with a V2 checkpoint") and os.path.getsize(file) < _TEXT_BYTES:
        if model.form == "SavedModel":
            yield dataclasses.replace(model, form="SavedModel as text", as_text=True)
        else:
            yield dataclasses.replace(model, form="GraphDef or .meta as text", as_text=True)
    size = sum(os.path.getsize(os.path.join(b, n)) for b, _, names in os.walk(model.folder) for n in names)
    if model.path == os.curdir and size < _PACKED_BYTES:
        for kind in _ARCHIVES:
            yield dataclasses.replace(model, form=f"{kind} archive", packed=kind)


def make_mutant(model: Model, destination: str, seed: int, outside: str) -> tuple[str, str]:
    """Writes a mutant of a model.

    Args:
      model: what it is made of.
      destination: directory that does not exist.
      seed: what is done to it.
      outside: directory of `tools.outside`, which it tries to reach.

    Returns:
      Its path, and what was done in a word or two: the group under which its ending is counted.
    """
    rng = random.Random(seed)
    shutil.copytree(model.folder, destination, copy_function=shutil.copyfile)
    file = os.path.join(destination, model.file)
    if model.as_text:
        file = _to_text(file)
    path = os.path.normpath(os.path.join(destination, model.path))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Python's own, of archives with a name twice
        if model.packed:
            archive = f"{destination}.{model.packed}"
            group = "the model in it"
            if rng.random() < 0.3:
                group = _mutate(model, destination, file, rng, outside)
                pack(destination, archive, model.packed)
            else:
                pack(destination, archive, model.packed)
                group = "the archive"
                mutate_archive(archive, model.packed, rng)
            shutil.rmtree(destination)
            os.mkdir(destination)
            path = os.path.join(destination, f"model.{model.packed}")
            os.replace(archive, path)
            return path, group
        return path, _mutate(model, destination, file, rng, outside)


def _mutate(model: Model, folder: str, file: str, rng: random.Random, outside: str) -> str:
    ways = [*_graph_ways(file, rng, outside), *_other_ways(file, rng, outside), *_checkpoint_ways(folder, rng)]
    ways.append(("files", lambda: _mutate_files(folder, rng)))
    named = os.path.normpath(os.path.join(folder, model.path))
    ways.append(("links", lambda: attack_links(folder, named, rng, outside)))
    ways.append(("names of files", lambda: rename(os.path.dirname(file), rng)))
    name, way = rng.choice(ways)
    try:
        way()
    except (DecodeError, RecursionError):  # More levels than a copy of it may have.
        mutate_file(file, rng)
    return name


Ways = Iterator[tuple[str, Callable[[], None]]]


def _graph_ways(file: str, rng: random.Random, outside: str) -> Ways:
    try:
        proto = parse_file(file, "SavedModel")
    except InputError:
        return
    text = _is_text(file)
    yield "bytes of the graph", lambda: mutate_file(file, rng)
    yield "fields of the graph", lambda: _mutate_proto(file, proto, text, rng, fields)
    yield "edges of the graph", lambda: _mutate_proto(file, proto, text, rng, edges)
    yield "fields and edges", lambda: _mutate_proto(file, proto, text, rng, fields, edges)
    yield "a hostile graph", lambda: _mutate_proto(file, proto, text, rng, rng.choice(HOSTILE))
    yield (
        "an attack in the graph",
        lambda: _mutate_proto(file, proto, text, rng, lambda p, r: attack_graph(p, r, outside)),
    )
    yield "names in the graph", lambda: _mutate_proto(file, proto, text, rng, rename_nodes)
    if not text:
        yield "empty messages", lambda: write(file, empty_messages(proto, rng))
    if not isinstance(proto, GraphDef):
        yield "asset names", lambda: _mutate_proto(file, proto, text, rng, assets)
    if isinstance(proto, MetaGraphDef) and is_session_bundle(proto):
        yield "signatures of a SessionBundle", lambda: _mutate_proto(file, proto, text, rng, _bundle)


def _mutate_proto(
    file: str,
    proto: SavedModel | MetaGraphDef | GraphDef,
    text: bool,
    rng: random.Random,
    *ways: Callable[[SavedModel, random.Random], None],
) -> None:
    """Changes a proto as the SavedModel that it is or is put into."""
    whole = SavedModel()
    if isinstance(proto, SavedModel):
        whole = proto
    elif isinstance(proto, MetaGraphDef):
        whole.meta_graphs.add().CopyFrom(proto)
    else:
        whole.meta_graphs.add().graph_def.CopyFrom(proto)
    for way in ways:
        way(whole, rng)
    changed: SavedModel | MetaGraphDef | GraphDef = whole
    if not isinstance(proto, SavedModel):
        meta_graph = whole.meta_graphs[0] if whole.meta_graphs else MetaGraphDef()
        changed = meta_graph if isinstance(proto, MetaGraphDef) else meta_graph.graph_def
    write(file, text_format.MessageToString(changed).encode() if text else changed.SerializeToString())


def _bundle(proto: SavedModel, rng: random.Random) -> None:
    """Breaks the packed protos in a SessionBundle's collections, of types that no TensorFlow has any more."""
    for collection in proto.meta_graphs[0].collection_def.values():
        for packed in collection.any_list.value:
            packed.value = mutate_bytes(packed.value, rng)


def _other_ways(file: str, rng: random.Random, outside: str) -> Ways:
    if file.endswith((".h5", ".hdf5", ".keras", ".json")):
        attack = "an attack in a Keras config"
        yield attack, lambda: change_config(file, lambda config: attack_config(config, rng, outside))
    if file.endswith((".h5", ".hdf5")):
        yield "an HDF5 file", lambda: mutate_hdf5(file, rng)
    elif file.endswith(".keras"):
        yield "a .keras archive", lambda: mutate_keras(file, rng)
    elif file.endswith(".json"):
        yield "a Keras config", lambda: mutate_json(file, rng)
        beside = [os.path.join(os.path.dirname(file), n) for n in sorted(os.listdir(os.path.dirname(file)))]
        weights = [f for f in beside if f.endswith(".h5")]
        if weights:
            yield "an HDF5 file", lambda: mutate_hdf5(rng.choice(weights), rng)


def _checkpoint_ways(folder: str, rng: random.Random) -> Ways:
    files = sorted(os.path.join(b, n) for b, _, names in os.walk(folder) for n in names)
    indexes = [f for f in files if f.endswith(".index")]
    tables = [f for f in files if f not in indexes and is_v1_checkpoint(f)]
    states = [f for f in files if os.path.basename(f) == "checkpoint"]
    if indexes:
        yield "bytes of the index", lambda: mutate_file(rng.choice(indexes), rng)
        yield "entries of the index", lambda: mutate_index(rng.choice(indexes), rng)
    if tables:
        yield "bytes of a V1 checkpoint", lambda: mutate_file(rng.choice(tables), rng)
        yield "entries of a V1 checkpoint", lambda: mutate_v1(rng.choice(tables), rng)
    if states:
        yield "the state file", lambda: mutate_state(states[0], rng)


def _to_text(file: str) -> str:
    """Writes a proto as text in its own place."""
    proto = parse_file(file, "SavedModel")
    os.unlink(file)
    if isinstance(proto, SavedModel):
        file += "txt"
    write(file, text_format.MessageToString(proto).encode())
    return file


def _is_text(file: str) -> bool:
    with open(file, "rb") as stream:
        return file.endswith(".pbtxt") or text_proto(stream.read(4096)) is not None


def _mutate_files(model: str, rng: random.Random) -> None:
    """Takes away, cuts or replaces a file, or puts something else in its place."""
    files = sorted(os.path.join(folder, name) for folder, _, names in os.walk(model) for name in names)
    file = rng.choice([f for f in files if not f.endswith("saved_model.pb")] or files)
    what = rng.randrange(7)
    size = os.path.getsize(file)
    if what != 6:
        os.unlink(file)
    if what == 1:
        os.symlink(file, file)
    elif what == 2:
        os.mkdir(file)
    elif what == 3:
        os.symlink("/dev/zero", file)
    elif what == 4:
        os.mkfifo(file)
    elif what == 5:
        with open(file, "wb") as stream:
            stream.truncate(1 << 40)
    elif what == 6:
        os.truncate(file, rng.randrange(size + 1))
