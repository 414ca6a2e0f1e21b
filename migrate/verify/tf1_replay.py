"""The child's side for TensorFlow 1.15.5: makes calls to a source there.

It runs in a new interpreter, where no other TensorFlow is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from migrate.errors import InputError, first_line
from migrate.graph.graph import canonical
from migrate.graph.protos import MetaGraphDef
from migrate.records import Failed
from migrate.tf1_runtime.c_api import Session, Tf1Error
from migrate.tf1_runtime.graph import NotTakenError
from migrate.tf1_runtime.model import Model
from migrate.verify.calls import Array, Call
from migrate.verify.loading import UnsafeError, make_safe
from migrate.verify.messages import GoldenJob, Tf1Answers, Tf1Job
from migrate.verify.sessions import Asker, answers_to, feeds_of, fetches_for
from migrate.verify.tensor_values import array_of
from migrate.verify.watch import limited


def run(job: Tf1Job) -> Tf1Answers | Failed:
    """Makes the calls of a job, in order, in one fresh Session."""
    try:
        model = load(job.runtime, job.source)
        feeds = fixed_feeds(model, job.source)
        with model.session(feeds) as session:
            answers = answers_to(asker(session, job.source, feeds), job.calls, lost=_lost(job))
    except UnsafeError as error:
        return Failed(f"the source was not loaded: {error}")
    except (NotTakenError, Tf1Error, InputError) as error:
        return Failed(first_line(error))
    return Tf1Answers(model.version, answers)


def _lost(job: Tf1Job) -> dict[int, str]:
    """Positions of the calls that have cost a process."""
    return {lost.call - 1: lost.reason for lost in job.source.lost if lost.calls == len(job.calls)}


def load(runtime: str, source: GoldenJob) -> Model:
    """Loads a source.

    Raises:
      UnsafeError: loading it would do what it must not.
      NotTakenError, Tf1Error: TensorFlow 1.15.5 does not take it.
    """
    meta_graph = MetaGraphDef.FromString(source.meta_graph)
    make_safe(meta_graph)
    return Model(runtime, meta_graph, source.checkpoint, source.assets_dir, source.feeds)


def fixed_feeds(model: Model, source: GoldenJob) -> dict[str, Array]:
    """What each call feeds beside its inputs, where the loaded graph has it."""
    return {
        tensor: array_of(tensor, value)
        for tensor, value in source.feeds.items()
        if model.graph.has(tensor.partition(":")[0])
    }


def asker(
    session: Session, source: GoldenJob, fixed: Mapping[str, Array], inline: bool = True, seconds: float = 0.0
) -> Asker:
    """Gives what makes calls of a source, each within some seconds; 0 is without a limit."""
    signatures = {signature.key: signature for signature in source.signatures}

    def asked(call: Call) -> Mapping[str, Array]:
        signature = signatures[call.signature]
        feeds = {**fixed, **feeds_of(call.inputs, signature.inputs)}
        return ask(session, fetches_for(call, signature.outputs), feeds, seconds, inline)

    return asked


def ask(
    session: Session,
    fetches: Mapping[str, str],
    feeds: Mapping[str, Array],
    seconds: float = 0.0,
    inline: bool = True,
    trace: list[bytes] | None = None,
    targets: Sequence[str] = (),
) -> dict[str, Array]:
    """Fetches tensors by name of the output; one that is fed has the value that it is fed, as in Python's Session.

    The targets are names of nodes that run beside them.
    """
    names = {name: canonical(tensor) for name, tensor in fetches.items()}
    computed = [tensor for tensor in dict.fromkeys(names.values()) if tensor not in feeds]
    found: Sequence[Array] = ()
    if computed or targets:
        with limited(seconds):
            found = session.run(computed, feeds, targets, seconds, inline, trace)
    by_tensor = {**feeds, **dict(zip(computed, found, strict=True))}
    return {name: by_tensor[tensor] for name, tensor in names.items()}
