"""Answers under seeds that are known: of a source, and of a new model whose random ops have the same ones.

TensorFlow starts here, and every import of it stands inside a function.
"""

from __future__ import annotations

import contextlib
import dataclasses
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

from migrate.graph.graph import canonical
from migrate.graph.protos import MetaGraphDef, SavedModel
from migrate.verify.calls import Answer, Call, Seeded
from migrate.verify.compare import contradictions
from migrate.verify.messages import GoldenJob, SeededAnswers, SeededCalls
from migrate.verify.scratch import changed_copy
from migrate.verify.seeds import drawn, give_matched_seeds, give_seeds, match, seeded_ops
from migrate.verify.sessions import fetches_of

_RUNS = 2
"""How many further runs the source gets: what depends on the order of unordered ops differs in one of them."""

Replay = Callable[[GoldenJob, Sequence[Call], bool], tuple[Answer, ...]]
"""Makes calls to a source that is loaded afresh; the flag says whether in one order."""

Ask = Callable[[str, Sequence[Call]], tuple[Answer, ...]]
"""Loads a new model from a directory, and makes calls to it."""


def source_answers(
    job: GoldenJob, calls: Sequence[Call], varying: Collection[tuple[str, str]], replay: Replay
) -> tuple[Seeded, ...]:
    """What a source answers under seeds, signature by signature, each from loads of its own.

    Signatures that draw from one sequence would otherwise change each other's answers.

    Args:
      job: the source.
      calls: that it accepts.
      varying: the (signature, output) pairs that differ from load to load.
      replay: see `Replay`.
    """
    if not any(op.encode() in job.meta_graph for op in seeded_ops()):  # As most are: the graph is not parsed for it.
        return ()
    meta_graph = MetaGraphDef.FromString(job.meta_graph)
    wanted = []
    for signature in job.signatures:
        own = tuple(call for call in calls if call.signature == signature.key)
        outputs = {name: canonical(tensor) for name, tensor in fetches_of(signature.outputs).items()}
        fed = [canonical(tensor) for spec in signature.inputs.values() for tensor in spec.tensors]
        draws, by_output = drawn(
            meta_graph, outputs, [*fed, *job.feeds], {name for key, name in varying if key == signature.key}
        )
        if own and by_output:
            wanted.append(Seeded(signature.key, own, (), (), draws, by_output))
    if not wanted:
        return ()
    found: list[Seeded] = []
    deadline = time.monotonic() + job.seconds
    with _seeded_source(job) as seeded:
        for part in wanted:
            if time.monotonic() > deadline:
                break
            first = replay(seeded, part.calls, True)
            again = contradictions(first, [replay(seeded, part.calls, False) for _ in range(_RUNS)])
            found.append(dataclasses.replace(part, answers=first, again=again))
    return tuple(found)


@contextlib.contextmanager
def _seeded_source(job: GoldenJob) -> Iterator[GoldenJob]:
    meta_graph = MetaGraphDef.FromString(job.meta_graph)
    tags = set(meta_graph.meta_info_def.tags)
    give_seeds(meta_graph)
    seeded = dataclasses.replace(job, meta_graph=meta_graph.SerializeToString())
    if job.saved_model is None:
        yield seeded
        return
    from tensorflow.python.saved_model import loader_impl

    def change(saved_model: SavedModel) -> None:
        for stored in saved_model.meta_graphs:
            if set(stored.meta_info_def.tags) == tags:
                give_seeds(stored)

    with changed_copy(job.saved_model, loader_impl.parse_saved_model(job.saved_model), change) as path:
        yield dataclasses.replace(seeded, saved_model=path)


def candidate_answers(path: str, wanted: Sequence[SeededCalls], ways: Mapping[str, Ask]) -> tuple[SeededAnswers, ...]:
    """What a new model answers under the source's seeds.

    Args:
      path: its directory.
      wanted: what to ask.
      ways: see `Ask`, by path.
    """
    if not wanted:
        return ()
    from tensorflow.python.saved_model import loader_impl

    saved_model = loader_impl.parse_saved_model(path)
    return tuple(_asked(path, saved_model, part, ways) for part in wanted)


def _asked(path: str, saved_model: SavedModel, part: SeededCalls, ways: Mapping[str, Ask]) -> SeededAnswers:
    matched = match(saved_model.meta_graphs[0], part.signature, part.draws)
    answers: dict[str, tuple[Answer, ...]] = {}

    def change(changed: SavedModel) -> None:
        give_matched_seeds(changed.meta_graphs[0], matched)

    if not matched.extra and len(matched.missing) < len(part.draws):
        with changed_copy(path, saved_model, change) as copy:
            answers = {name: ask(copy, part.calls) for name, ask in ways.items()}
    return SeededAnswers(part.signature, answers, matched.missing, matched.extra)
