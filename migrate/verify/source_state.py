"""The variables of a loaded source: which are compared, what calls need of them, what they hold.

TensorFlow starts here, and every import of it stands inside a function.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

from migrate.frozen import frozen
from migrate.graph import contract
from migrate.graph.graph import canonical
from migrate.graph.protos import MetaGraphDef
from migrate.made_variables import LARGE
from migrate.records import TensorSpec
from migrate.verify.calls import Array, Fingerprint, Held
from migrate.verify.candidate_state import Layout, layout_of, prefix_in, session_values
from migrate.verify.mapped_constants import arrays_of, op_of
from migrate.verify.messages import GoldenJob
from migrate.verify.table_contents import tables_of
from migrate.verify.variables import (
    bodies_draw,
    bodies_write,
    constants,
    may_draw,
    may_write,
    needed,
    reader,
    trainable,
    variables_of,
)


@frozen
class Watch:
    """What is asked of a source's variables.

    Attributes:
      held: what its graph says of them.
      writers: keys of the signatures whose calls may change some.
      drawing: keys of the signatures whose calls may draw random numbers. A number depends on how often its op has run,
        and the functions of a new model have ops of their own.
      read: names of the variables that are read.
      trained: trainable variables that calls of a signature need, by the key of each signature that writes none.
      written: the same of each signature that may write some.
      tables: names of the lookup tables that calls need.
      layout: of a TF2 SavedModel, whose variables go by their paths in its object graph; else None.
    """

    held: Held
    writers: frozenset[str]
    drawing: frozenset[str]
    read: tuple[str, ...]
    trained: Mapping[str, tuple[str, ...]]
    tables: tuple[str, ...] = ()
    layout: Layout | None = None
    written: Mapping[str, tuple[str, ...]] = dataclasses.field(default_factory=dict)


def watch(tf: Any, session: Any, job: GoldenJob, fixed: Mapping[str, Array]) -> Watch:
    """Finds out what calls can read and write in a loaded source.

    Args:
      tf: the module.
      session: on the source; nothing has been called.
      job: what is called.
      fixed: what each call feeds beside its inputs.
    """
    meta_graph = MetaGraphDef.FromString(job.meta_graph)
    in_bodies = bodies_write(meta_graph.graph_def.library)
    in_bodies_drawn = bodies_draw(meta_graph.graph_def.library)
    names = variables_of(session.graph)
    first = {name: group[0] for group in names.values() for name in group}
    table = {name: group[0] for group in tables_of(session.graph).values() for name in group}
    tables: dict[str, None] = {}
    wanted: dict[str, None] = {}
    by_signature: dict[str, set[str]] = {}
    writers, drawing = set(), set()
    for signature in job.signatures:
        runs = needed(session, tensors(signature.outputs), tensors(signature.inputs), fixed)
        by_signature[signature.key] = {first[operation.name] for operation in runs if operation.name in first}
        wanted |= dict.fromkeys(sorted(by_signature[signature.key]))
        tables |= dict.fromkeys(sorted({table[operation.name] for operation in runs if operation.name in table}))
        if may_write(map(op_of, runs), in_bodies):
            writers.add(signature.key)
        if may_draw(map(op_of, runs), in_bodies_drawn):
            drawing.add(signature.key)
    if meta_graph.object_graph_def.nodes:
        layout = layout_of(tf, meta_graph, prefix_in(job.saved_model or ""))
        return Watch(
            Held(writers=tuple(sorted(writers))), frozenset(writers), frozenset(drawing), (), {}, tuple(tables), layout
        )
    # What no call needs may be in the new model as well.
    by_init = needed(session, contract.init_ops(meta_graph), (), {})
    initialised = {first[op.name] for op in by_init if op.name in first} if may_write(map(op_of, by_init)) else set()
    outputs = [name for signature in job.signatures for name in tensors(signature.outputs)]
    behind = needed(session, outputs, (), {})
    read = {**wanted, **dict.fromkeys(first[op.name] for op in (*behind, *by_init) if op.name in first)}
    trained = trainable(meta_graph)
    values: dict[str, Fingerprint] = {}
    if job.constants:
        with arrays_of(meta_graph, job.held) as maps:
            values = constants(tf, session.graph, job.constants == LARGE, maps)
    held = Held(
        names,
        tuple(wanted),
        tuple(name for name, group in names.items() if not trained.isdisjoint(group)),
        values,
        tuple(initialised),
        writers=tuple(sorted(writers)),
    )
    trained_by = {
        key: tuple(name for name in held.trainable if name in variables) for key, variables in by_signature.items()
    }
    return Watch(
        held,
        frozenset(writers),
        frozenset(drawing),
        tuple(read),
        {key: trained for key, trained in trained_by.items() if key not in writers},
        tuple(tables),
        written={key: trained for key, trained in trained_by.items() if key in writers},
    )


def tensors(specs: Mapping[str, TensorSpec]) -> list[str]:
    """Full names of the tensors behind inputs or outputs."""
    return [canonical(tensor) for spec in specs.values() for tensor in spec.tensors]


def source_reader(tf: Any, session: Any, watched: Watch) -> Callable[[], dict[str, Fingerprint]]:
    """Prepares to read what a source's variables hold; see `variables.reader`."""
    if watched.layout is not None:
        return session_values(tf, watched.layout, session)
    return reader(tf, session, watched.read)
