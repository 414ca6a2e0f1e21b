"""The child's side for a candidate: loads it from the disk, makes the calls again, writes down the answers.

TensorFlow starts here, and every import of it stands inside a function.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from migrate.frozen import frozen
from migrate.graph.large_constants import constant_bytes, light
from migrate.graph.protos import MetaGraphDef
from migrate.records import Failed
from migrate.verify.calls import (
    Answer,
    Array,
    Call,
    Fingerprint,
    KerasShown,
    SparseValue,
)
from migrate.verify.candidate_state import (
    Layout,
    layout_of,
    loaded_arrays,
    loaded_values,
    prefix_in,
    session_arrays,
    session_values,
    stored_values,
)
from migrate.verify.fingerprint_file import stale_fields
from migrate.verify.gradient_marks import has_gradients
from migrate.verify.loading import UnsafeError, check_candidate
from migrate.verify.losses import PATH_COUNT, positions
from migrate.verify.mapped_constants import (
    keep_maps,
    load_mapped,
    put_back,
    read_hollow,
    saved_model_loader,
    unmapped_bytes,
)
from migrate.verify.memory import LARGE, asked_apart, kernels_apart, let_go
from migrate.verify.messages import (
    OPTIMISED,
    OPTIMISED_SESSION,
    CandidateJob,
    CandidateResult,
    CandidateState,
    FurtherAnswers,
    Surface,
    TrainedAnswers,
    step_failed,
)
from migrate.verify.named_runs import candidate_answers as named_answers
from migrate.verify.object_graph import CALL, VARS, children
from migrate.verify.purity import answers_alike
from migrate.verify.seeded import Ask, candidate_answers
from migrate.verify.sessions import (
    Asker,
    answer_to,
    answers_to,
    configure_eager,
    fresh_session,
    run_session,
    switch_optimiser_off,
)
from migrate.verify.signature_functions import Name, SignatureNames, signature_names
from migrate.verify.surface import answer_further, arrays_of, caller, surface_of, tensors_for
from migrate.verify.table_contents import Read, loaded_tables, session_tables
from migrate.verify.training import train_candidate


def _arguments(call: Call, names: Mapping[str, Name]) -> dict[str, Array]:
    """A call's values by argument name.

    Args:
      call: its inputs go by the source's names.
      names: of the arguments by input name, see `signature_names`; an input that it lacks keeps its name.
    """
    arguments: dict[str, Array] = {}
    for name, value in call.inputs.items():
        target = names.get(name, name)
        if target is None:
            continue
        if isinstance(value, SparseValue):
            parts = target if isinstance(target, Mapping) else {part: f"{target}/{part}" for part in value.parts}
            arguments |= {parts[part]: array for part, array in value.parts.items()}
        elif isinstance(target, str):
            arguments[target] = value
    return arguments


def _renamed(outputs: Mapping[str, Any], names: Mapping[str, Name]) -> dict[str, Any]:
    """A candidate's results under the source's output names; `names` are as in `_arguments`.

    One result may be several outputs: a SignatureDef may name a tensor twice.
    """
    found = dict(outputs)
    for name, target in names.items():
        if isinstance(target, Mapping):
            found |= {f"{name}/{part}": outputs[result] for part, result in target.items() if result in outputs}
        elif target is not None and target in outputs:
            found[name] = outputs[target]
    stands_for = {n for t in names.values() for n in (t.values() if isinstance(t, Mapping) else [t]) if n is not None}
    return {name: value for name, value in found.items() if name in names or name not in stands_for}


def _ask_tf2(tf: Any, loaded: Any, names: Mapping[str, SignatureNames]) -> Asker:
    """Asks what tf.saved_model.load gave, by keyword, as a TF2 user does."""
    return arrays_of(_tensors_tf2(tf, loaded, names))


def _tensors_tf2(tf: Any, loaded: Any, names: Mapping[str, SignatureNames]) -> Callable[[Call], Mapping[str, Any]]:
    def ask(call: Call) -> Mapping[str, Any]:
        function = loaded.signatures[call.signature]
        own = names.get(call.signature, _OWN_NAMES)
        found = _renamed(function(**tensors_for(tf, function, _arguments(call, own.arguments))), own.results)
        return {name: value for name, value in found.items() if call.asks_for(name)}

    return ask


_OWN_NAMES = SignatureNames({}, {})


def _load(tf: Any, session: Any, path: str, optimised: bool = False) -> MetaGraphDef:
    """Loads a TF2 SavedModel in a v1 Session as model servers do; with the optimiser off inside its functions, too."""
    with saved_model_loader(path) as (loader, held):
        meta_graphs = loader._saved_model.meta_graphs
        switch_optimiser_off(tf, () if optimised else meta_graphs)
        for meta_graph in meta_graphs:
            put_back(meta_graph, held)
        # That of a TF2 SavedModel is `serve` unless somebody has changed it.
        loaded: MetaGraphDef = loader.load(session, list(meta_graphs[0].meta_info_def.tags))
    # What is asked of it is small, and its graph may be large.
    result = MetaGraphDef()
    for key, signature in loaded.signature_def.items():
        result.signature_def[key].CopyFrom(signature)
    return result


def _ask_session(tf: Any, session: Any, path: str, inline: bool, optimised: bool = False) -> Asker:
    """Asks through a v1 Session and the candidate's SignatureDefs, as a model server does."""
    meta_graph = _load(tf, session, path, optimised)

    def ask(call: Call) -> Mapping[str, Array]:
        if call.signature not in meta_graph.signature_def:
            raise KeyError(call.signature)
        signature = meta_graph.signature_def[call.signature]
        feeds: dict[str, Array] = {}
        for name, value in call.inputs.items():
            info = signature.inputs.get(name)
            is_sparse = info is not None and info.WhichOneof("encoding") == "coo_sparse"
            if info is None or is_sparse != isinstance(value, SparseValue):
                raise KeyError(name)
            if isinstance(value, SparseValue):
                feeds[info.coo_sparse.indices_tensor_name] = value.indices
                feeds[info.coo_sparse.values_tensor_name] = value.values
                feeds[info.coo_sparse.dense_shape_tensor_name] = value.dense_shape
            else:
                feeds[info.name] = value
        fetches: dict[str, str] = {}
        for name, info in signature.outputs.items():
            if not call.asks_for(name):
                continue
            if info.WhichOneof("encoding") == "coo_sparse":
                fetches[f"{name}/indices"] = info.coo_sparse.indices_tensor_name
                fetches[f"{name}/values"] = info.coo_sparse.values_tensor_name
                fetches[f"{name}/dense_shape"] = info.coo_sparse.dense_shape_tensor_name
            else:
                fetches[name] = info.name
        return run_session(tf, session, fetches, feeds, inline=inline)

    return ask


@frozen
class _Read:
    """What the files of a candidate say.

    Attributes:
      meta_graph: its MetaGraphDef, without the contents of large constants (see `large_constants.light`).
      names: what its functions call inputs and outputs, by signature key.
      layout: of its variables.
      is_alike: whether each call answers the same whatever was called before it.
      is_large: whether memory is given back between the ways in which it is loaded.
    """

    meta_graph: MetaGraphDef
    names: Mapping[str, SignatureNames]
    layout: Layout
    is_alike: bool
    is_large: bool


class _Seen:
    """What both ways show; it grows.

    Attributes:
      answers: to the calls, by path.
      values: what variables hold before any call, by path; `checkpoint` is what is stored.
      midway: the same after the ordinary calls.
      left: the same after all calls.
      tables: what lookup tables hold after the ordinary calls, by path.
      moved: values that were asked for after the ordinary calls, by path.
    """

    def __init__(self) -> None:
        """See the class."""
        self.answers: dict[str, tuple[Answer, ...]] = {}
        self.values: dict[str, Mapping[str, Fingerprint]] = {}
        self.midway: dict[str, Mapping[str, Fingerprint]] = {}
        self.left: dict[str, Mapping[str, Fingerprint]] = {}
        self.tables: dict[str, Mapping[str, Fingerprint]] = {}
        self.moved: dict[str, Mapping[str, Array]] = {}


@frozen
class _Loaded:
    """What `tf.saved_model.load` shows beside answers and variables; see `CandidateResult`."""

    surface: Surface
    further: FurtherAnswers
    training: TrainedAnswers
    keras: KerasShown


def run(job: CandidateJob) -> CandidateResult | Failed:
    """Replays the calls on the candidate, in both ways in which users load it, each from a fresh load.

    One load is in memory at a time: a graph with large constants takes ten times its size.
    """
    import tensorflow as tf

    configure_eager(tf)
    seen = _Seen()
    read = _read(tf, job, seen)
    if isinstance(read, Failed):
        return read
    loaded = _ask_loaded(tf, job, read, seen)
    if isinstance(loaded, Failed):
        return loaded
    let_go(read.is_large)
    named = _ask_sessions(tf, job, read, seen)
    if isinstance(named, Failed):
        return named
    let_go(read.is_large)
    release = read.meta_graph.meta_info_def.tensorflow_version
    try:
        stale = stale_fields(job.candidate_path, release)
    except Exception as error:
        return step_failed(error, "the candidate's fingerprint.pb cannot be read")
    graph = read.meta_graph.object_graph_def
    has_names = bool(graph.nodes) and VARS in children(graph, 0)
    layout = read.layout
    state = CandidateState(
        layout.names, has_names, layout.order, seen.values, seen.left, seen.midway, seen.tables, seen.moved
    )
    # A call that costs a process would cost each one that comes after it.
    asked = () if positions(job.lost, job.calls, job.once) else job.seeded
    seeded = candidate_answers(job.candidate_path, asked, _ways(tf, read.names, job.inline))
    return CandidateResult(
        seen.answers,
        state,
        stale,
        seeded,
        loaded.surface,
        loaded.further,
        loaded.training,
        named,
        loaded.keras,
        release,
        has_gradients(read.meta_graph),
    )


def _read(tf: Any, job: CandidateJob, seen: _Seen) -> _Read | Failed:
    """Reads a candidate's files, and checks what loading it would run."""
    from tensorflow.python.saved_model import loader_impl

    path = job.candidate_path
    try:
        found = read_hollow(path)
        if found is not None:
            keep_maps()
        saved_model, held = (loader_impl.parse_saved_model(path), None) if found is None else found
        check_candidate(saved_model, job.side_effects)
        meta_graph = saved_model.meta_graphs[0]
        large = constant_bytes(meta_graph) + unmapped_bytes(meta_graph, held) >= LARGE
        if large or held is not None:
            meta_graph = light(meta_graph)
        names = signature_names(meta_graph)
    except UnsafeError as error:
        return Failed(f"the candidate was not loaded: {error}")
    except Exception as error:
        return step_failed(error, "the candidate's saved_model.pb cannot be read")
    try:
        layout = layout_of(tf, meta_graph, prefix_in(path))
        seen.values["checkpoint"] = stored_values(tf, layout, prefix_in(path))
    except Exception as error:
        return step_failed(error, "the candidate's variables cannot be read")
    return _Read(meta_graph, names, layout, answers_alike(meta_graph), large)


def _pause(
    way: str,
    job: CandidateJob,
    read: _Read,
    seen: _Seen,
    variables: Read,
    tables: Read,
    moved: Callable[[], Mapping[str, Array]],
) -> tuple[int, Callable[[], object]]:
    """After how many calls the variables and tables are looked at once more, and what does so."""

    def look() -> None:
        # Where no call changes a variable, reading all of them once more says nothing.
        seen.midway[way] = seen.values[way] if read.is_alike else variables()
        seen.tables[way] = tables()
        seen.moved[way] = moved()

    return len(job.calls) - job.once, look


def _ask_loaded(tf: Any, job: CandidateJob, read: _Read, seen: _Seen) -> _Loaded | Failed:
    """Asks what `tf.saved_model.load` gives."""
    path, layout, meta_graph = job.candidate_path, read.layout, read.meta_graph
    try:
        optimizer = _stored_optimizer(tf, path, job)
    except Exception as error:
        return step_failed(error, "the candidate's variables cannot be read")
    try:
        loaded = load_mapped(tf, path)
        ask = _ask_tf2(tf, loaded, read.names)
    except Exception as error:
        return step_failed(error, "tf.saved_model.load cannot load the candidate")
    try:
        seen.values["tf2"] = loaded_values(layout, loaded)
        surface = surface_of(meta_graph.object_graph_def, layout, loaded)
    except Exception as error:
        return step_failed(error, "the candidate's attributes cannot be read")
    lost = positions(job.lost, job.calls, job.once)
    chosen = (*range(len(job.calls) - job.once), *job.refused)
    try:
        variables = functools.partial(loaded_values, layout, loaded)
        tables = loaded_tables(tf, meta_graph, loaded) if job.tables else dict
        moved = functools.partial(loaded_arrays, layout, loaded, job.moved)
        at_pause = _pause("tf2", job, read, seen, variables, tables, moved)
        seen.answers["tf2"] = answers_to(ask, job.calls, 0, PATH_COUNT, lost, pause=at_pause)
        seen.tables.setdefault("tf2", {} if job.once else tables())
        seen.moved.setdefault("tf2", {} if job.once else moved())
        seen.left["tf2"] = variables()
    except Exception as error:
        return step_failed(error, "the candidate's variables cannot be read after the calls")
    if read.is_alike:  # Before further questions, which change variables.
        with kernels_apart(read.is_large), _optimiser(tf):
            seen.answers[OPTIMISED] = answers_to(ask, job.calls, 1, PATH_COUNT, lost, chosen)
    further = _ask_further(tf, loaded, read, job, CALL in surface.attributes)
    try:
        keras = _ask_keras(tf, loaded, layout, meta_graph, job, optimizer)
    except Exception as error:
        return step_failed(error, "what the candidate keeps of a Keras model cannot be read")
    del loaded, ask, variables, tables, moved, at_pause
    let_go(read.is_large)
    try:
        training = _ask_training(tf, layout, job, read.names, CALL in surface.attributes)
    except Exception as error:
        return step_failed(error, "the candidate cannot be trained")
    # Once more as users run it: the optimiser may round otherwise, and it drops what the model forgot to ask for.
    if not read.is_alike:
        let_go(read.is_large)
        with _optimiser(tf):
            try:
                ask = _ask_tf2(tf, load_mapped(tf, path), read.names)
            except Exception as error:
                return step_failed(error, "tf.saved_model.load cannot load the candidate a second time")
            seen.answers[OPTIMISED] = answers_to(ask, job.calls, 1, PATH_COUNT, lost, chosen)
    return _Loaded(surface, further, training, keras)


def _ask_sessions(tf: Any, job: CandidateJob, read: _Read, seen: _Seen) -> tuple[Answer, ...] | Failed:
    """Asks v1 Sessions on a candidate; gives the answers to runs that name tensors."""
    path, layout = job.candidate_path, read.layout
    lost = positions(job.lost, job.calls, job.once)
    try:
        with fresh_session(tf) as session:
            ask = _ask_session(tf, session, path, job.inline)
            variables = session_values(tf, layout, session)
            seen.values["session"] = variables()
            tables = session_tables(tf, session) if job.tables else dict
            moved = session_arrays(tf, read.layout, session, job.moved)
            at_pause = _pause("session", job, read, seen, variables, tables, moved)
            seen.answers["session"] = answers_to(ask, job.calls, 2, PATH_COUNT, lost, pause=at_pause)
            seen.tables.setdefault("session", {} if job.once else tables())
            seen.moved.setdefault("session", {} if job.once else moved())
            seen.left["session"] = variables()
            del session, ask, variables, tables, moved, at_pause  # Which would hold the graph.
        if job.writes and not lost:
            let_go(read.is_large)
            # The optimiser leaves out the writes for which nothing in a function asks.
            with fresh_session(tf, optimised=True) as session:
                ask = _ask_session(tf, session, path, False, optimised=True)
                variables = session_values(tf, layout, session)
                for call in job.calls[: len(job.calls) - job.once]:
                    answer_to(ask, call)
                seen.midway[OPTIMISED_SESSION] = variables()
                del session, ask, variables
    except Exception as error:
        return step_failed(error, "a v1 Session cannot load the candidate")
    if not job.runs:
        return ()
    let_go(read.is_large)
    try:
        with fresh_session(tf) as session:
            _load(tf, session, path)
            return named_answers(tf, session, job.runs, job.inline, PATH_COUNT * len(job.calls), job.lost)
    except Exception as error:
        return step_failed(error, "a v1 Session cannot load the candidate again")


@contextlib.contextmanager
def _optimiser(tf: Any) -> Iterator[None]:
    """Has the graph optimiser on, for functions that are called; each of them is made anew for it."""
    tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": False})
    try:
        yield
    finally:
        tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": True})


def _ask_call(
    tf: Any, loaded: Any, names: Mapping[str, SignatureNames], **given: bool
) -> Callable[[Call], Mapping[str, Any]]:
    def arguments(call: Call) -> dict[str, Array]:
        return _arguments(call, names.get(call.signature, _OWN_NAMES).arguments)

    def renamed(signature: str, found: Mapping[str, Any]) -> dict[str, Any]:
        return _renamed(found, names.get(signature, _OWN_NAMES).results)

    return caller(tf, loaded, arguments, renamed, **given)


def _ask_training(
    tf: Any, layout: Layout, job: CandidateJob, names: Mapping[str, SignatureNames], has_call: bool
) -> TrainedAnswers:
    """Asks a fresh load: training changes the model."""
    if not job.trained.calls and not job.trained.losses_asked:
        return TrainedAnswers()
    loaded = load_mapped(tf, job.candidate_path)

    def refuse(_: Call) -> Mapping[str, Any]:
        raise AttributeError("the candidate has no __call__")

    ask = _ask_call(tf, loaded, names, training=True) if has_call else refuse
    return train_candidate(tf, layout, loaded, job.trained, ask)


def _ask_further(tf: Any, loaded: Any, read: _Read, job: CandidateJob, has_call: bool) -> FurtherAnswers:
    ask_call = _ask_call(tf, loaded, read.names) if has_call else None
    if ask_call is not None and read.is_large and read.is_alike:
        ask_call = asked_apart(ask_call)
    ask = _tensors_tf2(tf, loaded, read.names)
    return answer_further(tf, loaded, read.layout, job.further, ask, ask_call, job.ordered, job.constants)


def _stored_optimizer(tf: Any, path: str, job: CandidateJob) -> Mapping[str, Fingerprint]:
    if job.keras is None:
        return {}
    from migrate.verify.keras_candidate import stored_optimizer

    return stored_optimizer(tf, prefix_in(path), job.keras.optimizer)


def _ask_keras(
    tf: Any,
    loaded: Any,
    layout: Layout,
    meta_graph: MetaGraphDef,
    job: CandidateJob,
    optimizer: Mapping[str, Fingerprint],
) -> KerasShown:
    if job.keras is None:
        return KerasShown()
    from migrate.verify.keras_candidate import ask_candidate

    return ask_candidate(tf, loaded, layout, meta_graph, job.candidate_path, job.keras, optimizer)


def _ways(tf: Any, names: Mapping[str, SignatureNames], inline: bool) -> Mapping[str, Ask]:
    """Both ways in which users load a model, from another directory."""

    def tf2(path: str, calls: Sequence[Call]) -> tuple[Answer, ...]:
        ask = _ask_tf2(tf, load_mapped(tf, path), names)
        return tuple(answer_to(ask, call) for call in calls)

    def session(path: str, calls: Sequence[Call]) -> tuple[Answer, ...]:
        with fresh_session(tf) as session:
            ask = _ask_session(tf, session, path, inline)
            return tuple(answer_to(ask, call) for call in calls)

    return {"tf2": tf2, "session": session}
