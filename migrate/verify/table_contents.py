"""What the lookup tables of a loaded model hold: of a source or a candidate in a v1 Session, of a candidate in Python.

A table has no name that both models must share: its contents tell which is which (`compare_tables.py`). TensorFlow
starts here, and every import of it stands inside a function.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import numpy as np

from migrate.graph.nodes import called_functions
from migrate.graph.protos import MetaGraphDef, NodeDef
from migrate.verify.arrays import as_array, fingerprint, plain
from migrate.verify.calls import NO_VALUE, Array, Fingerprint
from migrate.verify.candidate_state import at
from migrate.verify.object_graph import children, paths_of

TABLES = frozenset(
    name + version
    for name in ("HashTable", "MutableHashTable", "MutableHashTableOfTensors", "MutableDenseHashTable")
    for version in ("", "V2")
)
"""Ops that make a table, with handles of both kinds (lookup_ops.cc)."""

MOST_ENTRIES = 1 << 22
"""A larger table is compared by the number of its entries."""

Read = Callable[[], dict[str, Fingerprint]]


def tables_of(graph: Any) -> Mapping[str, tuple[str, ...]]:
    """All nodes of each table of a v1 graph, by the first of them."""
    groups: dict[object, list[str]] = {}
    for operation in graph.get_operations():
        if operation.type in TABLES:
            shared = operation.get_attr("shared_name") or operation.name.encode()
            groups.setdefault((operation.get_attr("container"), shared), []).append(operation.name)
    return {names[0]: tuple(names) for names in groups.values()}


def session_tables(tf: Any, session: Any, names: Iterable[str] | None = None) -> Read:
    """Prepares to read tables in a v1 Session, and adds what that needs to the graph.

    Args:
      tf: the module.
      session: on the graph.
      names: of the tables' nodes; None for one node of each table.

    Returns:
      Gives what they hold now, by name; `NO_VALUE` for one that was never filled. A table that cannot be read has none.
    """
    reads: dict[str, tuple[str, Any, Any]] = {}
    for name in tables_of(session.graph) if names is None else names:
        operation = session.graph.get_operation_by_name(name)
        keys, values = operation.get_attr("key_dtype"), operation.get_attr("value_dtype")
        version = "V2" if operation.type.endswith("V2") else ""
        handle = operation.outputs[0]
        size = getattr(tf.raw_ops, "LookupTableSize" + version)(table_handle=handle)
        content = getattr(tf.raw_ops, "LookupTableExport" + version)(table_handle=handle, Tkeys=keys, Tvalues=values)
        reads[name] = f"{keys.name}:{values.name}", size, tuple(content)

    def read() -> dict[str, Fingerprint]:
        found = {}
        for name, (kind, size, content) in reads.items():
            known = _read(tf, kind, functools.partial(session.run, size), functools.partial(session.run, content))
            if known is not None:
                found[name] = known
        return found

    return read


def loaded_tables(tf: Any, meta_graph: MetaGraphDef, loaded: Any) -> Read:
    """Prepares to read the tables of what tf.saved_model.load gave; see `session_tables`. They go by their paths.

    Args:
      tf: the module.
      meta_graph: of the candidate.
      loaded: the object.
    """
    handles = {}
    for path, node in _created(meta_graph):
        with contextlib.suppress(LookupError, ValueError, AttributeError):
            handle = at(loaded, path).resource_handle
            handles["/".join(path)] = handle, node.attr["key_dtype"].type, node.attr["value_dtype"].type

    def read() -> dict[str, Fingerprint]:
        found = {}
        for name, (handle, keys, values) in handles.items():
            kind = f"{tf.dtypes.as_dtype(keys).name}:{tf.dtypes.as_dtype(values).name}"

            def size(handle: Any = handle) -> Any:
                return tf.raw_ops.LookupTableSizeV2(table_handle=handle).numpy()

            def content(handle: Any = handle, keys: int = keys, values: int = values) -> tuple[Any, Any]:
                both = tf.raw_ops.LookupTableExportV2(table_handle=handle, Tkeys=keys, Tvalues=values)
                return both[0].numpy(), both[1].numpy()

            known = _read(tf, kind, size, content)
            if known is not None:
                found[name] = known
        return found

    return read


def _created(meta_graph: MetaGraphDef) -> Iterator[tuple[tuple[str, ...], NodeDef]]:
    """The path of each object that is a table, and the node that makes it."""
    graph = meta_graph.object_graph_def
    bodies = {function.signature.name: function.node_def for function in meta_graph.graph_def.library.function}
    for number, path in paths_of(graph).items():
        creator = children(graph, number).get("_create_resource") if graph.nodes[number].HasField("resource") else None
        if creator is None or not 0 <= creator < len(graph.nodes):
            continue
        for name in graph.nodes[creator].function.concrete_functions[:1]:
            nodes = bodies.get(name, ())
            inside = (node for body in called_functions(nodes, bodies) for node in bodies[body])
            made = [node for part in (nodes, inside) for node in part if node.op in TABLES]
            if len(made) == 1:
                yield path, made[0]


def _read(tf: Any, kind: str, size: Callable[[], Any], content: Callable[[], tuple[Any, Any]]) -> Fingerprint | None:
    try:
        entries = int(size())
        if entries > MOST_ENTRIES:
            return Fingerprint(kind, (entries,), "")
        keys, values = content()
    except (tf.errors.FailedPreconditionError, tf.errors.AbortedError):
        return NO_VALUE
    except tf.errors.OpError:
        return None
    return digest_of(kind, plain(as_array(keys)), plain(as_array(values)))


def digest_of(kind: str, keys: Array, values: Array) -> Fingerprint:
    """The digest of a table's entries, in whatever order they come.

    A dense table gives all of its buckets. Those that hold nothing have one key, and each other key is there once.

    Args:
      kind: of the table: the dtypes of keys and values.
      keys: by entry.
      values: by entry.
    """
    one_by_one = [fingerprint(np.asarray(key)).digest for key in keys] if keys.ndim > 1 else keys.tolist()
    seen: dict[Any, int] = {}
    for key in one_by_one:
        seen[key] = seen.get(key, 0) + 1
    order = sorted((n for n, key in enumerate(one_by_one) if seen[key] == 1), key=lambda n: one_by_one[n])
    both = (fingerprint(part[order]).digest for part in (keys, values))
    return Fingerprint(kind, (len(order),), hashlib.blake2b("".join(both).encode(), digest_size=16).hexdigest())
