"""The child's side: loads a model from disk, replays calls, writes down the answers.

TensorFlow starts here, and every import of it stands inside a function.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from migrate.errors import first_line
from migrate.graph import contract
from migrate.graph.graph import canonical
from migrate.graph.protos import MetaGraphDef, SavedModel, TensorProto
from migrate.processes.forks import count
from migrate.records import Failed, Signature, TensorSpec
from migrate.verify.arrays import as_array, plain
from migrate.verify.calls import (
    Answer,
    Array,
    Call,
    CandidateCalls,
    Fingerprint,
    Golden,
    SparseValue,
    Value,
)
from migrate.verify.compare import contradictions, nondeterministic
from migrate.verify.conversion import Conversion, read_conversion
from migrate.verify.loading import UnsafeError, check_candidate, make_safe
from migrate.verify.messages import OPTIMISED, CandidateJob, CandidateResult, GoldenJob, OptimisedJob, step_failed
from migrate.verify.requests import synthesise
from migrate.verify.variables import loaded_states, states, stored

# Another input will not help against these: no kernel, no value in a variable, no permission, no answer in time.
_HOPELESS = re.compile(
    "NotFoundError|UnimplementedError|PermissionDeniedError|DeadlineExceededError"
    "|No OpKernel was registered|You must feed a value for placeholder"
)
_VALUELESS = re.compile("FailedPreconditionError")
"""Another shape will not help against a variable without a value, but a call that takes another branch may."""
# How many calls of a family must fail before the next family is tried.
_TRIED_PER_FAMILY = 3
# How many more families are tried once one is accepted in part.
_PATIENCE = 6
_INTER_OP_THREADS = 4
MORE_RUNS = 3
"""How many more runs a model gets that has state or contradicts itself."""
_REPLAYS = 2 * (2 + MORE_RUNS)
"""How often an accepted call is made again at most: twice in each run."""

Asker = Callable[[Call], Mapping[str, Array]]
Attempt = tuple[Call | None, str]


def _config(tf: Any, optimised: bool = False, pruned: bool = True) -> Any:
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


def configure_eager(tf: Any) -> None:
    """The same as `_config`, for what runs outside a v1 Session; before TensorFlow makes its first op."""
    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    tf.config.set_soft_device_placement(True)
    tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": True})


@contextlib.contextmanager
def _session(tf: Any, optimised: bool = False, pruned: bool = True) -> Iterator[Any]:
    """A v1 Session on a graph of its own; its variables and tables are nobody else's."""
    with tf.Graph().as_default(), tf.compat.v1.Session(config=_config(tf, optimised, pruned)) as session:
        yield session


# The source


def _load_with_tensorflow(tf: Any, session: Any, job: GoldenJob) -> None:
    # Private: nothing public loads a proto that is in memory already, and what is loaded is what was judged.
    from tensorflow.python.saved_model import loader_impl

    meta_graph = MetaGraphDef.FromString(job.meta_graph)
    tags = list(meta_graph.meta_info_def.tags)
    loader = loader_impl.SavedModelLoader(job.saved_model)
    make_safe(loader.get_meta_graph_def_from_tags(tags), meta_graph)
    loader.load(session, tags)
    if contract.init_key(meta_graph) == contract.TABLES_KEY:
        # A loader runs no init op then; the clients of such models run tf.tables_initializer().
        session.run(list(contract.init_ops(meta_graph)), _assets(meta_graph, job))


def _load_as_trained(tf: Any, session: Any, job: GoldenJob) -> None:
    """Imports what is no SavedModel, restores its checkpoint and initialises its tables, as TF1's users did."""
    meta_graph = MetaGraphDef.FromString(job.meta_graph)
    make_safe(meta_graph)
    if job.checkpoint is None:
        tf.import_graph_def(meta_graph.graph_def, name="")
    else:
        saver = tf.compat.v1.train.import_meta_graph(meta_graph)
        if saver is not None:
            saver.restore(session, job.checkpoint)
    init_ops = contract.init_ops(meta_graph)
    if init_ops:
        session.run(list(init_ops), {**_fixed(tf, session, job), **_assets(meta_graph, job)})


def _assets(meta_graph: MetaGraphDef, job: GoldenJob) -> dict[str, str]:
    files = contract.assets(meta_graph)
    existing = {node.name for node in meta_graph.graph_def.node}
    return {
        tensor: os.path.join(job.assets_dir, file) for tensor, file in files if tensor.partition(":")[0] in existing
    }


def _load_leniently(tf: Any, session: Any, job: GoldenJob) -> None:
    """Loads what TensorFlow 1 forgave and TensorFlow 2 refuses.

    That is a tensorflow_version which is none, several init ops in one collection, `_output_shapes` that
    contradict the ops, a TensorInfo that contradicts its tensor, ops of other libraries that no signature needs, the
    jobs and tasks of a cluster: nothing of these is needed to run the graph.
    """
    meta_graph = MetaGraphDef.FromString(job.meta_graph)
    graph_def = meta_graph.graph_def
    for nodes in (graph_def.node, *(f.node_def for f in graph_def.library.function)):
        for node in nodes:
            node.attr.pop("_output_shapes", None)
            node.device = _here(node.device)
    _cut_where_all_feed(meta_graph)
    make_safe(meta_graph)
    graph_def = tf.compat.v1.graph_util.extract_sub_graph(graph_def, _needed(meta_graph))
    known = meta_graph.meta_info_def.stripped_op_list
    tf.import_graph_def(graph_def, name="", producer_op_list=known if known.op else None)
    if job.checkpoint is not None and tf.io.gfile.glob(job.checkpoint + "*"):
        saver = meta_graph.saver_def
        if saver.restore_op_name:
            session.run(saver.restore_op_name, {saver.filename_tensor_name: job.checkpoint})
        else:
            _restore_by_name(tf, session, job)
    for init_op in contract.init_ops(meta_graph):
        session.run(init_op, {**_fixed(tf, session, job), **_assets(meta_graph, job)})


def _here(device: str) -> str:
    """A device string without the job, replica and task of a cluster that is gone, as `clear_devices` of TF1 does."""
    kept = [part for part in device.split("/") if not part.startswith(("job:", "replica:", "task:"))]
    return "/".join(kept)


def _cut_where_all_feed(meta_graph: MetaGraphDef) -> None:
    """Puts a Placeholder where every signature feeds an intermediate tensor: what is behind it never runs."""
    signatures = [s for key, s in meta_graph.signature_def.items() if key not in contract.RESERVED_KEYS]
    fed = [{info.name: info.dtype for info in s.inputs.values() if info.name.endswith(":0")} for s in signatures]
    if not fed:
        return
    others = {
        i.partition(":")[0] for n in meta_graph.graph_def.node for i in n.input if ":" in i and not i.endswith(":0")
    }
    for node in meta_graph.graph_def.node:
        tensor = f"{node.name}:0"
        if "Placeholder" in node.op or node.name in others or not all(tensor in names for names in fed):
            continue
        node.op = "Placeholder"
        del node.input[:]
        node.attr.clear()
        node.attr["dtype"].type = fed[0][tensor]


def _needed(meta_graph: MetaGraphDef) -> list[str]:
    """Names of the nodes that are run or fed; TensorFlow's own `extract_sub_graph` finds what they need."""
    names = [
        *contract.init_ops(meta_graph),
        meta_graph.saver_def.restore_op_name,
        meta_graph.saver_def.filename_tensor_name,
    ]
    for signature in meta_graph.signature_def.values():
        for info in (*signature.inputs.values(), *signature.outputs.values()):
            sparse = info.coo_sparse
            names += [
                info.name,
                sparse.indices_tensor_name,
                sparse.values_tensor_name,
                sparse.dense_shape_tensor_name,
            ]
    names += [tensor for tensor, _ in contract.assets(meta_graph)]
    existing = {node.name for node in meta_graph.graph_def.node}
    return sorted({name.split(":")[0] for name in names} & existing)


def _restore_by_name(tf: Any, session: Any, job: GoldenJob) -> None:
    """Restores the variables that the caller knows the keys of, where there is no saver to do it."""
    graph = session.graph
    types = tf.compat.v1.train.NewCheckpointReader(job.checkpoint).get_variable_to_dtype_map()
    for name, (key, slice_spec) in job.variables.items():
        variable = graph.get_operation_by_name(name).outputs[0]
        value = tf.raw_ops.RestoreV2(
            prefix=job.checkpoint, tensor_names=[key], shape_and_slices=[slice_spec], dtypes=[types[key]]
        )[0]
        if variable.dtype == tf.resource:
            session.run(tf.raw_ops.AssignVariableOp(resource=variable, value=value))
        else:
            session.run(tf.raw_ops.Assign(ref=variable, value=value, validate_shape=False).op)


def _loader(tf: Any, job: GoldenJob) -> tuple[str, Callable[[Any, Any, GoldenJob], None]]:
    """Name and function of the first loader that takes the source: TensorFlow's own, then ours.

    Raises:
      UnsafeError: loading the source would do what it must not.
      Exception: TensorFlow's own loader's, where both refuse.
    """
    own = _load_with_tensorflow if job.saved_model is not None else _load_as_trained
    try:
        with _session(tf) as session:
            own(tf, session, job)
        return "tensorflow", own
    except UnsafeError:
        raise
    except Exception as refusal:
        try:
            with _session(tf) as session:
                _load_leniently(tf, session, job)
        except UnsafeError:
            raise
        except Exception:
            raise refusal from None
    return "lenient", _load_leniently


_LOWER = "_lower_using_switch_merge"


def _is_pruned(tf: Any, job: GoldenJob, load: Callable[[Any, Any, GoldenJob], None]) -> bool:
    """Whether the source is asked with `_config`'s `pruned`: where that changes nothing, or an op has no kernel."""
    if _LOWER.encode() not in job.meta_graph:  # As most are: the graph is not parsed for it.
        return True
    if not any(_LOWER in node.attr for node in MetaGraphDef.FromString(job.meta_graph).graph_def.node):
        return True
    try:
        with _session(tf, pruned=False) as session:
            load(tf, session, job)
            session.run(tf.no_op())  # Which places the graph, if loading has not done so.
    except Exception:
        return True
    return False


def _feeds(inputs: Mapping[str, Value], specs: Mapping[str, TensorSpec]) -> dict[str, Array]:
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


def _fixed(tf: Any, session: Any, job: GoldenJob) -> dict[str, Array]:
    """What each call feeds beside its inputs, where the loaded graph has it."""
    loaded = {operation.name for operation in session.graph.get_operations()} if job.feeds else set()
    return {
        tensor: tf.make_ndarray(TensorProto.FromString(value))
        for tensor, value in job.feeds.items()
        if tensor.partition(":")[0] in loaded
    }


def _fetches(specs: Mapping[str, TensorSpec]) -> dict[str, str]:
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


def _run(
    tf: Any,
    session: Any,
    fetches: Mapping[str, str],
    feeds: Mapping[str, Array],
    seconds: float = 0.0,
    inline: bool = True,
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
    """
    options = tf.compat.v1.RunOptions(timeout_in_ms=int(seconds * 1000), inter_op_thread_pool=-1 if inline else 0)
    found = session.run(dict(fetches), dict(feeds), options=options)
    return {name: as_array(value) for name, value in found.items()}


def answers_to(ask: Asker, calls: Sequence[Call]) -> tuple[Answer, ...]:
    """The answers to calls, in order; says meanwhile at which of them it is."""
    answers = []
    for number, call in enumerate(calls, 1):
        count(number, len(calls))
        answers.append(answer_to(ask, call))
    return tuple(answers)


def answer_to(ask: Asker, call: Call) -> Answer:
    """An answer, or the class of the error that came instead."""
    try:
        # A copy: what a session gives back may be the buffer of a variable that the next call writes.
        return Answer({name: plain(value) for name, value in ask(call).items()})
    except Exception as error:
        return Answer({}, type(error).__name__, first_line(error))


def _accepted(tf: Any, job: GoldenJob, load: Any, pruned: bool) -> tuple[tuple[Call, ...], dict[str, str]]:
    """The calls that the source accepts, found in a session that is thrown away, and what is skipped."""
    accepted: list[Call] = []
    skipped: dict[str, str] = {}
    signatures = {s.key: s for s in job.signatures}
    deadline = time.monotonic() + job.seconds
    with _session(tf, pruned=pruned) as session:
        load(tf, session, job)
        meta_graph = MetaGraphDef.FromString(job.meta_graph)
        shaped = [_shaped(session.graph, signature) for signature in job.signatures]
        fixed = _fixed(tf, session, job)

        def find(candidates: CandidateCalls) -> None:
            if candidates.reason:
                skipped[candidates.signature] = candidates.reason
                return
            signature, derived = signatures[candidates.signature], candidates.derived

            def attempt(call: Call, left: float) -> Attempt:
                return _try(tf, session, signature, derived, call, left, fixed)

            calls, reason = probe(candidates, deadline, attempt)
            accepted.extend(calls)
            skipped.pop(candidates.signature, None)
            if not calls:
                skipped[candidates.signature] = reason

        synthesised = synthesise(meta_graph, shaped, job.assets_dir)
        for candidates in synthesised:
            find(candidates)
        if accepted:
            # The calls that were accepted may have given the variables values that these lacked.
            for candidates in synthesised:
                if _VALUELESS.search(skipped.get(candidates.signature, "")):
                    find(candidates)
    return tuple(accepted), skipped


def _shaped(graph: Any, signature: Signature) -> Signature:
    """The signature with the shapes that TensorFlow has inferred for inputs of which the signature says none."""

    def known(spec: TensorSpec) -> TensorSpec:
        if spec.encoding != "dense" or spec.shape is not None:
            return spec
        shape = graph.get_tensor_by_name(canonical(spec.name)).shape
        return dataclasses.replace(spec, shape=None if shape.rank is None else tuple(shape.as_list()))

    return dataclasses.replace(signature, inputs={name: known(spec) for name, spec in signature.inputs.items()})


def probe(
    candidates: CandidateCalls, deadline: float, attempt: Callable[[Call, float], Attempt]
) -> tuple[tuple[Call, ...], str]:
    """The accepted calls of the family that is accepted best, or none and why.

    A family of which some calls are accepted may be beaten by one of the next few. A model that takes long is given no
    more calls than can be replayed in the time that is left, but one.

    Args:
      candidates: the families of one signature's calls.
      deadline: on the monotonic clock.
      attempt: makes a call within some seconds; gives the call in the form in which it is accepted, or None and why
        not.
    """
    reason, patience = "", _PATIENCE
    best: tuple[Call, ...] = ()
    for family in candidates.families:
        accepted: list[Call] = []
        spent = 0.0
        valueless = False
        for number, synthesised in enumerate(family):
            if number >= _TRIED_PER_FAMILY and not accepted and not valueless:
                break
            start = time.monotonic()
            left = deadline - start
            if accepted and (spent + spent / len(accepted)) * _REPLAYS > left:
                return max(best, tuple(accepted), key=len), reason
            if left <= 0:
                return best, reason or "no time was left to find a call that the source accepts"
            call, error = attempt(synthesised, left)
            reason = reason or error
            if call is not None:
                accepted.append(call)
                spent += time.monotonic() - start
            elif not best and not accepted and _HOPELESS.search(error):
                return (), reason
            else:
                valueless = valueless or bool(_VALUELESS.search(error))
        if valueless and not best and not accepted:
            return (), reason
        if len(accepted) > len(best):
            best = tuple(accepted)
        if len(accepted) == len(family) or (best and patience == 0):
            break
        patience -= 1 if best else 0
    return best, reason


def _try(
    tf: Any,
    session: Any,
    signature: Signature,
    derived: Sequence[str],
    synthesised: Call,
    seconds: float,
    fixed: Mapping[str, Array],
) -> Attempt:
    """The call in the form in which the source accepts it, or None and why not."""

    def ask(call: Call) -> Mapping[str, Array]:
        fetches, feeds = _fetches(signature.outputs), {**fixed, **_feeds(call.inputs, signature.inputs)}
        return _run(tf, session, fetches, feeds, seconds / 2)

    error = ""
    for call in _natural(tf, session, signature, derived, synthesised, seconds, fixed):
        answer = answer_to(ask, call)
        if not answer.error:
            return call, ""
        error = error or f"no synthesised call is accepted: {answer.error}: {answer.message}"
    return None, error


def _natural(
    tf: Any,
    session: Any,
    signature: Signature,
    derived: Sequence[str],
    call: Call,
    seconds: float,
    fixed: Mapping[str, Array],
) -> Iterable[Call]:
    """The call with the graph's own values for the inputs that the graph computes, then the call as it is.

    The rows of the natural values are turned by one: a candidate that ignored such an input, and computed it
    anew, would be found out.
    """
    if derived:
        roots = {name: value for name, value in call.inputs.items() if name not in derived}
        specs = {name: signature.inputs[name] for name in derived}
        with contextlib.suppress(Exception):
            feeds = {**fixed, **_feeds(roots, signature.inputs)}
            found = _run(tf, session, _fetches(specs), feeds, seconds / 2)
            values = {name: _assemble(name, spec, found) for name, spec in specs.items()}
            by_tensor = {spec.tensors: values[name] for name, spec in specs.items()}
            yield Call(call.signature, {**roots, **{n: by_tensor[specs[n].tensors] for n in specs}})
    yield call


def _assemble(name: str, spec: TensorSpec, found: Mapping[str, Array]) -> Value:
    if spec.encoding == "coo_sparse":
        values = plain(found[f"{name}/values"])
        return SparseValue(found[f"{name}/indices"], np.roll(values, 1), found[f"{name}/dense_shape"])
    value = plain(found[name])
    return np.roll(value, 1, axis=0) if value.ndim else value


def twice(calls: Iterable[Call]) -> tuple[Call, ...]:
    """Every call two times in a row: a stateful model answers the second one otherwise."""
    return tuple(call for call in calls for _ in range(2))


def golden(job: GoldenJob) -> Golden | Failed:
    """Takes the golden answers: finds calls, then replays them in two (or more) fresh sessions."""
    import tensorflow as tf

    configure_eager(tf)
    try:
        loader, load = _loader(tf, job)
        pruned = _is_pruned(tf, job, load)
    except UnsafeError as error:
        return Failed(f"the source was not loaded: {error}")
    except Exception as error:
        return step_failed(error, "TensorFlow cannot load the source")
    skipped: dict[str, str] = {}
    calls = job.calls
    if not calls:
        calls, skipped = _accepted(tf, job, load, pruned)
    sequence = twice(calls)
    signatures = {s.key: s for s in job.signatures}

    def replay(inline: bool) -> tuple[tuple[Answer, ...], Mapping[str, Fingerprint]]:
        return _replay_source(tf, job, load, sequence, inline, pruned=pruned)

    # In two orders of execution: an output that depends on which of two unordered ops comes first shows itself. One
    # pair of runs may miss it by chance; so a model that does so, or that merely has state, is run more often.
    first, left = replay(inline=True)
    again, left_again = replay(inline=False)
    runs, leavings = [again], [left_again]
    stateful = nondeterministic(sequence[::2], first[::2], first[1::2])
    if stateful or nondeterministic(sequence, first, runs[0]):
        for _ in range(MORE_RUNS):
            again, left_again = replay(inline=False)
            runs.append(again)
            leavings.append(left_again)
    again = contradictions(first, runs)
    kept = {name: value for name, value in left.items() if all(other.get(name) == value for other in leavings)}
    if job.calls:
        skipped = {key: "no call was given" for key in signatures if key not in {c.signature for c in calls}}
    try:
        variables = stored(tf, job.checkpoint, job.variables) if job.checkpoint is not None else {}
    except Exception as error:
        return step_failed(error, f"the variables cannot be read from {job.checkpoint}")
    return Golden(sequence, first, again, skipped, variables, loader, tf.__version__, kept)


def optimised(job: OptimisedJob) -> tuple[Answer, ...] | Failed:
    """What the source answers with the graph optimiser on."""
    import tensorflow as tf

    configure_eager(tf)
    try:
        _, load = _loader(tf, job.source)
    except UnsafeError as error:
        return Failed(f"the source was not loaded: {error}")
    except Exception as error:
        return step_failed(error, "TensorFlow cannot load the source")
    return _replay_source(tf, job.source, load, job.source.calls, inline=True, optimised=True)[0]


def _behind_identities(tf: Any, graph: Any, fetches: Mapping[str, str]) -> dict[str, str]:
    return {name: tf.identity(graph.get_tensor_by_name(canonical(tensor))).name for name, tensor in fetches.items()}


def _replay_source(
    tf: Any,
    job: GoldenJob,
    load: Callable[[Any, Any, GoldenJob], None],
    calls: Sequence[Call],
    inline: bool,
    optimised: bool = False,
    pruned: bool = True,
) -> tuple[tuple[Answer, ...], Mapping[str, Fingerprint]]:
    """Answers to calls, in order, from a fresh session on the source, and the variables that they leave."""
    signatures = {s.key: s for s in job.signatures}
    with _session(tf, optimised, pruned) as session:
        load(tf, session, job)
        fixed = _fixed(tf, session, job)
        fetches = {key: _fetches(signature.outputs) for key, signature in signatures.items()}
        if optimised:
            # The optimiser leaves what is fetched as it is; in the new model an output is a function's inner node.
            fetches = {key: _behind_identities(tf, session.graph, names) for key, names in fetches.items()}

        def ask(call: Call) -> Mapping[str, Array]:
            feeds = {**fixed, **_feeds(call.inputs, signatures[call.signature].inputs)}
            return _run(tf, session, fetches[call.signature], feeds, inline=inline)

        read = states(
            tf, session, () if optimised else [tensor for names in fetches.values() for tensor in names.values()]
        )
        return answers_to(ask, calls), read()


# The candidate


def _arguments(call: Call, mapping: Mapping[str, Any]) -> dict[str, Array]:
    """A call's values by argument name.

    Args:
      call: its inputs go by the source's names.
      mapping: argument name, {part: argument name} or None (the argument is gone, since nothing used it) by
        input name; an input that it lacks keeps its name. The parts of a sparse input are `NAME/indices` and
        so on.
    """
    arguments: dict[str, Array] = {}
    for name, value in call.inputs.items():
        target = mapping.get(name, name)
        if target is None:
            continue
        if isinstance(value, SparseValue):
            names = target if isinstance(target, Mapping) else {part: f"{target}/{part}" for part in value.parts}
            arguments |= {names[part]: array for part, array in value.parts.items()}
        else:
            arguments[target] = value
    return arguments


def _renamed(outputs: Mapping[str, Array], mapping: Mapping[str, Any]) -> dict[str, Array]:
    """A candidate's results under the source's output names; `mapping` is as in `_arguments`."""
    names: dict[str, str] = {}
    for name, target in mapping.items():
        if isinstance(target, Mapping):
            names |= {result: f"{name}/{part}" for part, result in target.items()}
        elif target is not None:
            names[target] = name
    return {names.get(name, name): value for name, value in outputs.items()}


def _ask_tf2(tf: Any, loaded: Any, conversion: Conversion) -> Asker:
    """Asks what tf.saved_model.load gave, by keyword, as a TF2 user does."""

    def ask(call: Call) -> Mapping[str, Array]:
        function = loaded.signatures[call.signature]
        specs = function.structured_input_signature[1]
        arguments = _arguments(call, conversion.get("arguments", {}).get(call.signature, {}))
        tensors = {
            name: tf.constant(value, dtype=specs[name].dtype if name in specs else None)
            for name, value in arguments.items()
        }
        found = {name: as_array(value.numpy()) for name, value in function(**tensors).items()}
        return _renamed(found, conversion.get("results", {}).get(call.signature, {}))

    return ask


def _tags(tf: Any, path: str) -> list[str]:
    """The candidate's own tag set; that of a TF2 SavedModel is `serve` unless somebody has changed it."""
    file_name = os.path.join(path, "saved_model.pb")
    if not tf.io.gfile.exists(file_name):
        return ["serve"]
    with tf.io.gfile.GFile(file_name, "rb") as file:
        return list(SavedModel.FromString(file.read()).meta_graphs[0].meta_info_def.tags)


def _load_unoptimised(tf: Any, session: Any, path: str) -> MetaGraphDef:
    """Loads a TF2 SavedModel in a v1 Session as model servers do, with the optimiser off inside its functions, too.

    A call of a function carries the optimiser's settings of the process that saved it (the attribute config_proto),
    and they win over the Session's.
    """
    # Private: nothing public loads a proto that is in memory already.
    from tensorflow.python.saved_model import loader_impl

    loader = loader_impl.SavedModelLoader(path)
    settings = _config(tf).SerializeToString()
    for meta_graph in loader._saved_model.meta_graphs:
        for nodes in (meta_graph.graph_def.node, *(f.node_def for f in meta_graph.graph_def.library.function)):
            for node in nodes:
                if "config_proto" in node.attr:
                    node.attr["config_proto"].s = settings
    loaded: MetaGraphDef = loader.load(session, _tags(tf, path))
    return loaded


def _ask_session(tf: Any, session: Any, path: str, conversion: Conversion, inline: bool) -> Asker:
    """Asks through a v1 Session and the candidate's SignatureDefs, as a model server does."""
    meta_graph = _load_unoptimised(tf, session, path)

    def ask(call: Call) -> Mapping[str, Array]:
        if call.signature not in meta_graph.signature_def:
            raise KeyError(call.signature)
        signature = meta_graph.signature_def[call.signature]
        mapping = conversion.get("arguments", {}).get(call.signature, {})
        feeds: dict[str, Array] = {}
        for name, value in call.inputs.items():
            info = dict(signature.inputs).get(name)
            if isinstance(value, SparseValue) and info is not None and info.WhichOneof("encoding") == "coo_sparse":
                feeds[info.coo_sparse.indices_tensor_name] = value.indices
                feeds[info.coo_sparse.values_tensor_name] = value.values
                feeds[info.coo_sparse.dense_shape_tensor_name] = value.dense_shape
            elif info is not None and not isinstance(value, SparseValue):
                feeds[info.name] = value
            else:
                for argument, part in _arguments(Call(call.signature, {name: value}), mapping).items():
                    if argument not in signature.inputs:
                        raise KeyError(argument)
                    feeds[signature.inputs[argument].name] = part
        fetches: dict[str, str] = {}
        for name, info in signature.outputs.items():
            if info.WhichOneof("encoding") == "coo_sparse":
                fetches[f"{name}/indices"] = info.coo_sparse.indices_tensor_name
                fetches[f"{name}/values"] = info.coo_sparse.values_tensor_name
                fetches[f"{name}/dense_shape"] = info.coo_sparse.dense_shape_tensor_name
            else:
                fetches[name] = info.name
        found = _run(tf, session, fetches, feeds, inline=inline)
        # The SignatureDef may carry either name of an output: the source's, which needs no renaming, or the
        # result's.
        results = conversion.get("results", {}).get(call.signature, {})
        return _renamed(found, {name: target for name, target in results.items() if name not in found})

    return ask


def candidate(job: CandidateJob) -> CandidateResult | Failed:
    """Replays the calls on the candidate, in both ways in which users load it, each from a fresh load."""
    import tensorflow as tf
    from tensorflow.python.saved_model import loader_impl

    configure_eager(tf)
    path = job.candidate_path
    try:
        conversion = read_conversion(path)
    except Exception as error:
        return step_failed(error, "assets.extra/migration.json cannot be read")
    try:
        check_candidate(loader_impl.parse_saved_model(path), job.side_effects)
    except UnsafeError as error:
        return Failed(f"the candidate was not loaded: {error}")
    except Exception as error:
        return step_failed(error, "the candidate's saved_model.pb cannot be read")
    answers: dict[str, tuple[Answer, ...]] = {}
    try:
        loaded = tf.saved_model.load(path)
        ask = _ask_tf2(tf, loaded, conversion)
    except Exception as error:
        return step_failed(error, "tf.saved_model.load cannot load the candidate")
    answers["tf2"] = answers_to(ask, job.calls)
    try:
        left = loaded_states(loaded, job.states)
    except Exception as error:
        return step_failed(error, "the candidate's variables cannot be read after the calls")
    # Once more as users run it: the optimiser may round otherwise, and it drops what the model forgot to ask for.
    tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": False})
    try:
        ask = _ask_tf2(tf, tf.saved_model.load(path), conversion)
    except Exception as error:
        return step_failed(error, "tf.saved_model.load cannot load the candidate a second time")
    answers[OPTIMISED] = answers_to(ask, job.calls)
    try:
        with _session(tf) as session:
            ask = _ask_session(tf, session, path, conversion, job.inline)
            answers["session"] = answers_to(ask, job.calls)
    except Exception as error:
        return step_failed(error, "a v1 Session cannot load the candidate")
    keys = conversion.get("variables")
    variables = None
    if isinstance(keys, Mapping) and job.variables:
        wanted = {name: (keys[name], "") for name in job.variables if name in keys}
        try:
            variables = stored(tf, os.path.join(path, "variables", "variables"), wanted)
        except Exception as error:
            return step_failed(error, "the candidate's variables cannot be read")
    try:
        stale = _stale(path)
    except Exception as error:
        return step_failed(error, "the candidate's fingerprint.pb cannot be read")
    return CandidateResult(answers, variables, left, stale)


_FILE_HASHES = ("saved_model_checksum", "checkpoint_hash")
"""Fields of a FingerprintDef that are of a file's bytes alone; the others depend on the release, too."""


def _stale(path: str) -> tuple[str, ...]:
    """Fields of a SavedModel's fingerprint.pb that are not of the files beside it."""
    # Private: nothing public works out a fingerprint anew.
    from tensorflow.core.protobuf.fingerprint_pb2 import FingerprintDef
    from tensorflow.python.saved_model.pywrap_saved_model import fingerprinting

    try:
        with open(os.path.join(path, "fingerprint.pb"), "rb") as file:
            written = FingerprintDef.FromString(file.read())
    except FileNotFoundError:
        return ()
    now = FingerprintDef.FromString(fingerprinting.CreateFingerprintDef(path))
    return tuple(field for field in _FILE_HASHES if getattr(written, field) != getattr(now, field))


def run(
    job: GoldenJob | OptimisedJob | CandidateJob,
) -> Golden | tuple[Answer, ...] | CandidateResult | Failed:
    """Does a job, in the process that was made for it."""
    if isinstance(job, OptimisedJob):
        return optimised(job)
    return golden(job) if isinstance(job, GoldenJob) else candidate(job)
