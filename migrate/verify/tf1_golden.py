"""The child's side where TensorFlow 1.15.5 alone answers for a source: finds calls, and replays them.

It runs in a new interpreter, where no other TensorFlow is. Models whose ops no TensorFlow 2 has are answered, too.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from typing import Any

from migrate.errors import InputError, first_line
from migrate.graph import contract
from migrate.graph.data_protos import RunMetadata
from migrate.graph.dtypes import base_name
from migrate.graph.graph import attribute
from migrate.graph.nodes import behind, nodes_by_name
from migrate.graph.op_table import REF_VARIABLES
from migrate.graph.protos import MetaGraphDef, NodeDef
from migrate.records import Failed, Shape
from migrate.tf1_runtime.c_api import Session, Tf1Error
from migrate.tf1_runtime.graph import NotTakenError
from migrate.tf1_runtime.model import Model
from migrate.verify.arrays import fingerprint
from migrate.verify.calls import NO_VALUE, Answer, Array, Call, Fingerprint, Further, Golden, Held, NamedRun
from migrate.verify.compare import contradictions, nondeterministic
from migrate.verify.further import default_of
from migrate.verify.loading import UnsafeError, make_safe
from migrate.verify.losses import Attempts, uncalled, without
from migrate.verify.messages import GoldenJob, Tf1GoldenJob
from migrate.verify.named_runs import Asked, answered, source_answers
from migrate.verify.own_requests import own_calls
from migrate.verify.probe import MORE_RUNS, REPLAYS, Accepted, calls_of
from migrate.verify.sessions import answers_to
from migrate.verify.tf1_replay import ask, asker, fixed_feeds
from migrate.verify.variables import bodies_write, groups, may_write, trainable

_PREFIX = "migrate_reads"
_GREATEST_BYTES = 1 << 24
"""Of a variable whose computed values are kept for a comparison within bounds."""


def run(job: Tf1GoldenJob) -> Golden | Failed:
    """Takes the golden answers."""
    source = job.source
    try:
        meta_graph = MetaGraphDef.FromString(source.meta_graph)
        make_safe(meta_graph)
        watched = _Watched(meta_graph, source)
        named = [name for run in source.runs for name in (*run.feeds, *run.fetches, *run.targets)]
        more = [*source.feeds, *watched.names, *named]
        model = Model(job.runtime, meta_graph, source.checkpoint, source.assets_dir, more)
        return _golden(model, watched, source)
    except UnsafeError as error:
        return Failed(f"the source was not loaded: {error}")
    except (NotTakenError, Tf1Error, InputError) as error:
        return Failed(first_line(error))


def _golden(model: Model, watched: _Watched, source: GoldenJob) -> Golden:
    fixed = fixed_feeds(model, source)
    attempts = Attempts(source.lost)
    own, notes = _own_calls(model, source, fixed, attempts) if source.own else ((), ())
    named, unnamed = source_answers(source.runs, _loaded(model, fixed), attempts)
    with model.session(fixed) as session:
        found = Accepted(source.calls) if source.calls else calls_of(_Asked(model, session), source, fixed, attempts)
    # A user's calls go by their numbers in reports.
    all_calls = (*found.calls, *own) if source.calls else (*own, *found.calls)
    asked = {call.signature for call in all_calls}
    calls, wider, lost = without(all_calls, found.wider, source.lost)
    sequence, end = (*(call for call in calls for _ in range(2)), *wider), 2 * len(calls)

    values: dict[str, Array] = {}

    def replay(inline: bool) -> tuple[tuple[Answer, ...], tuple[Mapping[str, Fingerprint], ...]]:
        with model.session(fixed) as session:
            before = watched.read(session)
            midway: dict[str, Fingerprint] = {}

            def look() -> None:
                midway.update(watched.read(session))
                values.update(watched.values(session, _computed(midway, before)))

            pause = (end, look)
            answers = answers_to(asker(session, source, fixed, inline), sequence, pause=pause)
            if wider:
                return answers, (before, midway, watched.read(session))
            look()
            return answers, (before, midway, midway)

    first, states = replay(True)
    others = [replay(False)]
    stateful = nondeterministic(calls, first[:end:2], first[1:end:2])
    if stateful or nondeterministic(sequence[:end], first[:end], others[0][0][:end]):
        others += [replay(False) for _ in range(MORE_RUNS)]
    again = contradictions(first, [answers for answers, _ in others])
    before, midway, left = (
        {name: value for name, value in part.items() if all(o[1][number].get(name) == value for o in others)}
        for number, part in enumerate(states)
    )
    keys = {signature.key for signature in source.signatures}
    skipped = {key: why for key, why in found.skipped.items() if key not in asked}
    if source.calls:
        skipped = dict.fromkeys(sorted(keys - asked), "no call was given")
    skipped |= uncalled(lost, keys - skipped.keys(), calls)
    return Golden(
        sequence,
        first,
        again,
        skipped,
        before,
        "tensorflow",
        model.version,
        {name: value for name, value in left.items() if _is_exact(value, before.get(name))},
        (*notes, *unnamed, *attempts.notes, *lost),
        named=named,
        held=watched.held,
        further=Further(default_of(s.key for s in source.signatures)),
        once=len(wider),
        coverage=found.coverage,
        midway={name: value for name, value in midway.items() if _is_exact(value, before.get(name))},
        moved={name: values[name] for name in _computed(midway, before) if name in values},
    )


def _own_calls(
    model: Model, source: GoldenJob, fixed: Mapping[str, Array], attempts: Attempts
) -> tuple[tuple[Call, ...], tuple[str, ...]]:
    with model.session(fixed) as session:
        return own_calls(source, asker(session, source, fixed, seconds=source.seconds), attempts, REPLAYS)


def _loaded(model: Model, fixed: Mapping[str, Array]) -> Callable[[], AbstractContextManager[Asked]]:
    """Gives `loaded` of `named_runs.source_answers`."""

    @contextlib.contextmanager
    def loaded() -> Iterator[Asked]:
        with model.session(fixed) as session:

            def asked(run: NamedRun, inline: bool) -> Answer:
                return answered(
                    run, fixed, lambda fetches, feeds: ask(session, fetches, feeds, inline=inline, targets=run.targets)
                )

            yield asked

    return loaded


def _computed(values: Mapping[str, Fingerprint], before: Mapping[str, Fingerprint]) -> tuple[str, ...]:
    """Names of the variables that hold floats which calls have computed."""
    return tuple(name for name, value in values.items() if not _is_exact(value, before.get(name)))


def _is_exact(value: Fingerprint, before: Fingerprint | None) -> bool:
    """Whether TensorFlow 2 must leave exactly this value: floats that calls compute are rounded in other places."""
    return value == before or not value.dtype.startswith(("float", "bfloat", "complex"))


class _Asked:
    """A source in a Session of TensorFlow 1.15.5. A `probe.Asked`."""

    def __init__(self, model: Model, session: Session) -> None:
        self._model = model
        self._session = session
        self.ops: Mapping[str, str] = model.ops

    def shape(self, tensor: str) -> Shape:
        """See `probe.Asked.shape`."""
        return self._model.graph.shape(tensor)

    def run(self, fetches: Mapping[str, str], feeds: Mapping[str, Array], seconds: float) -> Mapping[str, Array]:
        """See `probe.Asked.run`."""
        return ask(self._session, fetches, feeds, seconds)

    def traced(
        self, fetches: Mapping[str, str], feeds: Mapping[str, Array], seconds: float
    ) -> tuple[Mapping[str, Array], Any]:
        """See `probe.Asked.traced`."""
        trace: list[bytes] = []
        found = ask(self._session, fetches, feeds, seconds, trace=trace)
        return found, RunMetadata.FromString(b"".join(trace)).step_stats


class _Watched:
    """The variables of a source: which are read, and what its graph says of them. Adds to the graph what reads them.

    Attributes:
      held: what the graph says of the variables.
      names: of the nodes that read them.
    """

    def __init__(self, meta_graph: MetaGraphDef, source: GoldenJob) -> None:
        nodes = nodes_by_name(meta_graph)
        owners: dict[object, list[NodeDef]] = {}
        for node in meta_graph.graph_def.node:
            if node.op in REF_VARIABLES or node.op == "VarHandleOp":
                owners.setdefault(_buffer(node), []).append(node)
        outputs = [t for s in source.signatures for spec in s.outputs.values() for t in spec.tensors]
        by_init = behind(nodes, contract.init_ops(meta_graph))
        needed = behind(nodes, outputs) | by_init
        all_names = {group[0].name: tuple(node.name for node in group) for group in owners.values()}
        trained = trainable(meta_graph)
        in_bodies = bodies_write(meta_graph.graph_def.library)
        runs = {
            s.key: behind(nodes, [t for spec in s.outputs.values() for t in spec.tensors]) for s in source.signatures
        }
        writers = [key for key, names in runs.items() if may_write((nodes[name].op for name in names), in_bodies)]
        initialised = may_write((nodes[name].op for name in by_init), in_bodies)
        self.held = Held(
            all_names,
            (),
            tuple(name for name, group in all_names.items() if not trained.isdisjoint(group)),
            {},
            tuple(name for name, group in all_names.items() if initialised and not by_init.isdisjoint(group)),
            writers=tuple(sorted(writers)),
        )
        self._filled: dict[str, str] = {}
        self._values: dict[str, str] = {}
        self._sizes: dict[str, int] = {}
        for group in owners.values():
            reached = next((node for node in group if node.name in needed), None)
            if reached is not None:
                self._add(meta_graph, group[0].name, reached)
        self.names = (*self._filled.values(), *self._values.values())

    def _add(self, meta_graph: MetaGraphDef, name: str, node: NodeDef) -> None:
        prefix = f"{_PREFIX}_{len(self._filled)}"
        dtype = attribute(node, "dtype").type
        filled = meta_graph.graph_def.node.add(name=f"{prefix}_filled", input=[node.name])
        if node.op == "VarHandleOp":
            filled.op = "VarIsInitializedOp"
            value = meta_graph.graph_def.node.add(name=f"{prefix}_value", op="ReadVariableOp", input=[node.name])
            value.attr["dtype"].type = dtype
            self._values[name] = f"{value.name}:0"
        else:
            filled.op = "IsVariableInitialized"
            filled.attr["dtype"].type = dtype
            self._values[name] = f"{node.name}:0"
        self._filled[name] = f"{filled.name}:0"
        self._sizes[name] = _bytes(node)

    def values(self, session: Session, names: Iterable[str]) -> dict[str, Array]:
        """The values of some variables, which have one."""
        wanted = tuple(name for name in names if self._sizes[name] <= _GREATEST_BYTES)
        return dict(zip(wanted, session.run([self._values[n] for n in wanted], {}), strict=True)) if wanted else {}

    def read(self, session: Session) -> dict[str, Fingerprint]:
        """What they hold now."""
        if not self._filled:
            return {}
        has_value = dict(zip(self._filled, session.run([*self._filled.values()], {}), strict=True))
        found = dict.fromkeys(self._filled, NO_VALUE)
        for group in groups(self._sizes):
            wanted = [name for name in group if has_value[name]]
            values: Iterable[Array] = session.run([self._values[name] for name in wanted], {}) if wanted else ()
            found |= {name: fingerprint(value) for name, value in zip(wanted, values, strict=True)}
        return found


def _buffer(node: NodeDef) -> tuple[object, ...]:
    """What nodes of one variable have in common, see `variables`."""
    container, shared = attribute(node, "container").s, attribute(node, "shared_name").s
    if node.op == "VarHandleOp":
        return True, container, shared
    return False, container, shared or node.name.encode()


def _bytes(node: NodeDef) -> int:
    """About what a variable takes, by its shape; 0 where that says nothing."""
    from migrate.verify.dtypes import numpy_dtype

    shape = contract.shape_of(attribute(node, "shape").shape)
    dtype = numpy_dtype(base_name(attribute(node, "dtype").type))
    if shape is None or dtype is None or None in shape:
        return 0
    size = dtype.itemsize
    for dimension in shape:
        size *= dimension or 0
    return size
