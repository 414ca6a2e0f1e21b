"""What a candidate's variables hold: in its checkpoint, and as both kinds of loaders give them.

TensorFlow starts here, and every import of it stands inside a function.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Collection, Mapping
from typing import Any

from migrate.frozen import frozen
from migrate.graph.protos import MetaGraphDef, TrackableObjectGraph
from migrate.sources.checkpoint_files import OBJECT_GRAPH_KEY
from migrate.verify.arrays import as_array, fingerprint
from migrate.verify.calls import NO_VALUE, Array, Fingerprint
from migrate.verify.object_graph import Place, children, handles, named, places, restored_keys
from migrate.verify.variables import reader, value_tensor

_LIST = "variables"


@frozen
class Layout:
    """Where a candidate's variables are. A variable is known by its path, attribute by attribute from the root.

    Attributes:
      places: the variables by path.
      keys: the checkpoint's entry that fills each, by path.
      handles: the main graph's nodes that stand for each, by path.
      names: paths by the names that a TF1 user knows.
      order: paths in the order of the root's list of variables.
    """

    places: Mapping[str, Place]
    keys: Mapping[str, str]
    handles: Mapping[str, frozenset[str]]
    names: Mapping[str, str]
    order: tuple[str, ...]


def layout_of(tf: Any, meta_graph: MetaGraphDef, prefix: str) -> Layout:
    """Reads a candidate's object graphs.

    Args:
      tf: the module.
      meta_graph: of its saved_model.pb.
      prefix: of its checkpoint.
    """
    graph = meta_graph.object_graph_def
    by_number = {place.node: "/".join(place.path) for place in places(graph)}
    listed = children(graph, 0).get(_LIST) if graph.nodes else None
    in_list = children(graph, listed) if listed is not None else {}
    order = [in_list[key] for key in sorted(in_list, key=lambda key: (len(key), key)) if in_list[key] in by_number]
    keys = restored_keys(graph, _stored_graph(tf, prefix))
    return Layout(
        {"/".join(place.path): place for place in places(graph)},
        {by_number[number]: key for number, key in keys.items() if number in by_number},
        {by_number[number]: nodes for number, nodes in handles(meta_graph).items() if number in by_number},
        {name: by_number[place.node] for name, place in named(graph).items()},
        tuple(by_number[number] for number in order),
    )


def _stored_graph(tf: Any, prefix: str) -> TrackableObjectGraph:
    if not tf.io.gfile.exists(prefix + ".index"):
        return TrackableObjectGraph()
    reader = tf.train.load_checkpoint(prefix)
    if not reader.has_tensor(OBJECT_GRAPH_KEY):
        return TrackableObjectGraph()
    return TrackableObjectGraph.FromString(reader.get_tensor(OBJECT_GRAPH_KEY))


def prefix_in(directory: str) -> str:
    """Prefix of a SavedModel's checkpoint (saved_model/constants.py)."""
    return os.path.join(directory, "variables", "variables")


def stored_values(tf: Any, layout: Layout, prefix: str) -> dict[str, Fingerprint]:
    """The values that the loader would restore, by path; without those whose entry is not there."""
    if not layout.keys:
        return {}
    types = tf.train.load_checkpoint(prefix).get_variable_to_dtype_map()
    found = {}
    for path, key in layout.keys.items():
        if key in types:
            (value,) = tf.raw_ops.RestoreV2(
                prefix=prefix, tensor_names=[key], shape_and_slices=[""], dtypes=[types[key]]
            )
            found[path] = fingerprint(as_array(value.numpy()))
    return found


def loaded_values(layout: Layout, loaded: Any) -> dict[str, Fingerprint]:
    """What the variables of an object that tf.saved_model.load gave hold now, by path."""
    return {path: value_of(found) for path, found in loaded_variables(layout, loaded).items()}


def value_of(variable: Any) -> Fingerprint:
    """What an eager variable holds now."""
    # Without a value an uninitialised variable gives an empty array.
    return fingerprint(as_array(variable.numpy())) if bool(variable.is_initialized()) else NO_VALUE


def loaded_variables(layout: Layout, loaded: Any) -> dict[str, Any]:
    """The variables of a loaded object by path, without those that a client in Python cannot come to."""
    found = {}
    for path, place in layout.places.items():
        with contextlib.suppress(LookupError, ValueError):
            variable = at(loaded, place.path)
            if hasattr(variable, "is_initialized"):
                found[path] = variable
    return found


def loaded_arrays(layout: Layout, loaded: Any, names: Collection[str]) -> dict[str, Array]:
    """The values of some variables of a loaded object, by path; `names` are those that a TF1 user knows."""
    paths = _paths(layout, names)
    found = loaded_variables(layout, loaded) if paths else {}
    return {path: as_array(v.numpy()) for path, v in found.items() if path in paths and bool(v.is_initialized())}


def _paths(layout: Layout, names: Collection[str]) -> set[str]:
    return {layout.names[name] for name in names if name in layout.names}


def at(loaded: Any, path: tuple[str, ...]) -> Any:
    """What is at a path in a loaded object: attributes, keys of dicts, positions in lists.

    Raises:
      LookupError: nothing is.
      ValueError: a position in a list is no number.
    """
    found = loaded
    for name in path:
        if isinstance(found, Mapping):
            found = found[name]
        elif isinstance(found, (list, tuple)):
            found = found[int(name)]
        elif hasattr(found, name):
            found = getattr(found, name)
        else:
            raise LookupError("/".join(path))
    return found


def session_arrays(tf: Any, layout: Layout, session: Any, names: Collection[str]) -> Callable[[], dict[str, Array]]:
    """Prepares to read the values of some variables in a v1 Session, by path; see `session_values`."""
    paths = _paths(layout, names)
    tensors = {path: value_tensor(tf, session, min(nodes)) for path, nodes in layout.handles.items() if path in paths}
    return lambda: {path: as_array(value) for path, value in session.run(tensors).items()} if tensors else {}


def session_values(tf: Any, layout: Layout, session: Any) -> Callable[[], dict[str, Fingerprint]]:
    """Prepares to read what a v1 Session's variables hold, by path; of several nodes of one variable the first.

    A variable that no signature of the main graph takes has no value there that a client of signatures could see.
    """
    first = {path: min(nodes) for path, nodes in layout.handles.items()}
    read = reader(tf, session, first.values())

    def values() -> dict[str, Fingerprint]:
        found = read()
        return {path: found[node] for path, node in first.items()}

    return values
