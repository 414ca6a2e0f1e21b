"""v1 Sessions in which a graph is asked: as TF1 ran it, with the optimiser off and one order of execution.

TensorFlow starts here, and every import of it stands inside a function.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from migrate.errors import first_line
from migrate.graph.graph import canonical
from migrate.graph.protos import MetaGraphDef
from migrate.processes.forks import count
from migrate.records import TensorSpec
from migrate.verify.arrays import as_array, plain
from migrate.verify.bodies import bodies
from migrate.verify.calls import (
    Answer,
    Array,
    Call,
    SparseValue,
    Value,
)
from migrate.verify.watch import limited, watched

_INTER_OP_THREADS = 4

LOST = "Crashed"
"""The class of the error that a call ends in which has cost a process."""

Asker = Callable[[Call], Mapping[str, Array]]


def session_config(tf: Any, optimised: bool = False, pruned: bool = True) -> Any:
    """A session that rewrites nothing and adds in one order: no optimiser, one thread inside an op (see `_run`).

    Args:
      tf: the module.
      optimised: leave the optimiser on.
      pruned: place what a call needs, and not the whole graph. An op without a kernel then hurts only the signatures
        that need it. But what lowered control flow holds is cut to what a call needs before it is lowered, and not
        after, so a write in a loop's body runs which TF1's own Session, that places the whole graph, leaves out.
    """
    config = tf.compat.v1.ConfigProto(
        allow_soft_placement=True, intra_op_parallelism_threads=1, inter_op_parallelism_threads=_INTER_OP_THREADS
    )
    if not optimised:
        config.graph_options.optimizer_options.opt_level = tf.compat.v1.OptimizerOptions.L0
        config.graph_options.rewrite_options.disable_meta_optimizer = True
        config.graph_options.place_pruned_graph = pruned  # The optimiser does not run with it.
    return config


def switch_optimiser_off(tf: Any, graphs: Iterable[MetaGraphDef]) -> None:
    """Has the functions of graphs run as the Session runs the rest of them; before they are loaded.

    A call of a function carries the optimiser's settings of the process that saved it (the attribute config_proto),
    and they win over the Session's.
    """
    settings = session_config(tf).SerializeToString()
    for graph in graphs:
        for _, _, nodes in bodies(graph):
            for node in nodes:
                if "config_proto" in node.attr:
                    node.attr["config_proto"].s = settings


def configure_eager(tf: Any) -> None:
    """The same as `_config`, for what runs outside a v1 Session; before TensorFlow makes its first op."""
    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    tf.config.set_soft_device_placement(True)
    tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": True})


@contextlib.contextmanager
def fresh_session(tf: Any, optimised: bool = False, pruned: bool = True) -> Iterator[Any]:
    """A v1 Session on a graph of its own; its variables and tables are nobody else's."""
    with tf.Graph().as_default(), tf.compat.v1.Session(config=session_config(tf, optimised, pruned)) as session:
        yield session


def feeds_of(inputs: Mapping[str, Value], specs: Mapping[str, TensorSpec]) -> dict[str, Array]:
    """What to feed, by tensor name."""
    feeds: dict[str, Array] = {}
    for name, value in inputs.items():
        if isinstance(value, SparseValue):
            values, indices, dense_shape = specs[name].components
            tensors = {values: value.values, indices: value.indices, dense_shape: value.dense_shape}
            feeds |= {canonical(tensor): part for tensor, part in tensors.items()}
        else:
            feeds[canonical(specs[name].name)] = value
    return feeds


def fetches_for(call: Call, specs: Mapping[str, TensorSpec]) -> dict[str, str]:
    """What to fetch for a call, of the outputs of its signature; see `fetches_of`."""
    return {name: tensor for name, tensor in fetches_of(specs).items() if call.asks_for(name)}


def fetches_of(specs: Mapping[str, TensorSpec]) -> dict[str, str]:
    """What to fetch: tensor names by the name of the (part of an) output, as in `Answer`."""
    fetches: dict[str, str] = {}
    for name, spec in specs.items():
        if spec.encoding == "coo_sparse":
            parts = zip(("values", "indices", "dense_shape"), spec.components, strict=True)
            fetches |= {f"{name}/{part}": tensor for part, tensor in parts}
        elif spec.encoding == "dense":
            fetches[name] = spec.name
        else:
            fetches |= {f"{name}/{number}": tensor for number, tensor in enumerate(spec.components)}
    return fetches


def run_session(
    tf: Any,
    session: Any,
    fetches: Mapping[str, str],
    feeds: Mapping[str, Array],
    seconds: float = 0.0,
    inline: bool = True,
    targets: Sequence[str] = (),
    metadata: Any = None,
) -> Mapping[str, Array]:
    """One session.run for all outputs.

    Args:
      tf: the module.
      session: on the model's graph.
      fetches: tensor names by output name.
      feeds: values by tensor name.
      seconds: limit, or 0 for none.
      inline: run op after op in this thread, in an order that is always the same (RunOptions.inter_op_thread_pool,
        config.proto); else in several threads.
      targets: names of what is run beside the outputs.
      metadata: a RunMetadata that is given what was executed, or None.
    """
    options = tf.compat.v1.RunOptions(timeout_in_ms=int(seconds * 1000), inter_op_thread_pool=-1 if inline else 0)
    if metadata is not None:
        options.trace_level = tf.compat.v1.RunOptions.SOFTWARE_TRACE
    with limited(seconds):
        found, _ = session.run((dict(fetches), list(targets)), dict(feeds), options=options, run_metadata=metadata)
    return {name: as_array(value) for name, value in found.items()}


_NONE: Mapping[int, str] = {}


def answers_to(
    ask: Asker,
    calls: Sequence[Call],
    before: int = 0,
    times: int = 1,
    lost: Mapping[int, str] = _NONE,
    chosen: Sequence[int] | None = None,
    pause: tuple[int, Callable[[], object]] | None = None,
) -> tuple[Answer, ...]:
    """The answers to calls, in order; says meanwhile at which of them it is.

    Args:
      ask: makes a call.
      calls: to be made.
      before: how often they were made already.
      times: how often they are to be made.
      lost: why some are not made, by position.
      chosen: which of the calls are made this time, by position; None for all of them.
      pause: what is done once so many of the calls are made.
    """
    answers = []
    for position in range(len(calls)) if chosen is None else chosen:
        if pause is not None and position == pause[0]:
            pause[1]()
        if position in lost:
            answers.append(Answer({}, LOST, lost[position]))
            continue
        count(before * len(calls) + position + 1, times * len(calls))
        answers.append(answer_to(ask, calls[position]))
    count(0, 0)
    return tuple(answers)


def answer_to(ask: Asker, call: Call) -> Answer:
    """An answer, or the class of the error that came instead."""
    try:
        # A copy: what a session gives back may be the buffer of a variable that the next call writes.
        with watched():
            return Answer({name: plain(value) for name, value in ask(call).items()})
    except Exception as error:
        return Answer({}, type(error).__name__, first_line(error))
