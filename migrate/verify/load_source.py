"""Loads a source into a v1 Session: with TensorFlow's own loader, or, where that refuses, more leniently.

TensorFlow starts here, and every import of it stands inside a function.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from migrate.graph import contract
from migrate.graph.protos import MetaGraphDef, TensorProto
from migrate.verify.calls import (
    Array,
)
from migrate.verify.loading import UnsafeError, make_safe
from migrate.verify.mapped_constants import put_back, saved_model_loader
from migrate.verify.messages import GoldenJob
from migrate.verify.sessions import fresh_session, switch_optimiser_off
from migrate.verify.variables import saved_keys


def _load_with_tensorflow(tf: Any, session: Any, job: GoldenJob) -> None:
    meta_graph = MetaGraphDef.FromString(job.meta_graph)
    tags = list(meta_graph.meta_info_def.tags)
    with saved_model_loader(job.saved_model or "") as (loader, held):
        loaded = loader.get_meta_graph_def_from_tags(tags)
        make_safe(loaded, meta_graph)
        _switch_optimiser(tf, loaded, job)
        put_back(loaded, held)
        loader.load(session, tags)
    if contract.init_key(meta_graph) == contract.TABLES_KEY:
        # A loader runs no init op then; the clients of such models run tf.tables_initializer().
        session.run(list(contract.init_ops(meta_graph)), _assets(meta_graph, job))


def _load_as_trained(tf: Any, session: Any, job: GoldenJob) -> None:
    """Imports what is no SavedModel, restores its checkpoint and initialises its tables, as TF1's users did."""
    meta_graph = MetaGraphDef.FromString(job.meta_graph)
    make_safe(meta_graph)
    _switch_optimiser(tf, meta_graph, job)
    put_back(meta_graph, job.held)
    if job.checkpoint is None:
        tf.import_graph_def(meta_graph.graph_def, name="")
    else:
        saver = tf.compat.v1.train.import_meta_graph(meta_graph)
        if saver is not None:
            saver.restore(session, job.checkpoint)
    run_init_ops(tf, session, job)


def _switch_optimiser(tf: Any, meta_graph: MetaGraphDef, job: GoldenJob) -> None:
    switch_optimiser_off(tf, () if job.is_optimised else (meta_graph,))


def run_init_ops(tf: Any, session: Any, job: GoldenJob) -> None:
    """Runs what fills tables and variables after a load, in a Session on the source's graph."""
    meta_graph = MetaGraphDef.FromString(job.meta_graph)
    init_ops = contract.init_ops(meta_graph)
    if init_ops:
        session.run(list(init_ops), {**fixed_feeds(tf, session, job), **_assets(meta_graph, job)})


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
    _switch_optimiser(tf, meta_graph, job)
    put_back(meta_graph, job.held)
    graph_def = tf.compat.v1.graph_util.extract_sub_graph(graph_def, _needed(meta_graph))
    known = meta_graph.meta_info_def.stripped_op_list
    tf.import_graph_def(graph_def, name="", producer_op_list=known if known.op else None)
    if job.checkpoint is not None and tf.io.gfile.glob(job.checkpoint + "*"):
        saver = meta_graph.saver_def
        if saver.restore_op_name:
            session.run(saver.restore_op_name, {saver.filename_tensor_name: job.checkpoint})
        else:
            _restore_by_name(tf, session, job, meta_graph)
    for init_op in contract.init_ops(meta_graph):
        session.run(init_op, {**fixed_feeds(tf, session, job), **_assets(meta_graph, job)})


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
            names += contract.tensor_names(info)
    names += [tensor for tensor, _ in contract.assets(meta_graph)]
    existing = {node.name for node in meta_graph.graph_def.node}
    return sorted({name.split(":")[0] for name in names} & existing)


def _restore_by_name(tf: Any, session: Any, job: GoldenJob, meta_graph: MetaGraphDef) -> None:
    """Restores the variables as a Saver without arguments does, where the graph has none."""
    graph = session.graph
    types = tf.compat.v1.train.NewCheckpointReader(job.checkpoint).get_variable_to_dtype_map()
    for name, key, slice_spec in saved_keys(graph, meta_graph):
        if key not in types:
            continue
        variable = graph.get_operation_by_name(name).outputs[0]
        value = tf.raw_ops.RestoreV2(
            prefix=job.checkpoint, tensor_names=[key], shape_and_slices=[slice_spec], dtypes=[types[key]]
        )[0]
        if variable.dtype == tf.resource:
            session.run(tf.raw_ops.AssignVariableOp(resource=variable, value=value))
        else:
            session.run(tf.raw_ops.Assign(ref=variable, value=value, validate_shape=False).op)


Load = Callable[[Any, Any, GoldenJob], None]
"""Loads a source into a Session."""


def source_loader(tf: Any, job: GoldenJob, attempt: Callable[[Load], None] | None = None) -> tuple[str, Load]:
    """Name and function of the first loader that takes the source: TensorFlow's own, then ours.

    Args:
      tf: the module.
      job: the source.
      attempt: loads it with one of them; by default into a Session that is thrown away.

    Raises:
      UnsafeError: loading the source would do what it must not.
      Exception: TensorFlow's own loader's, where both refuse.
    """

    def thrown_away(load: Load) -> None:
        with fresh_session(tf) as session:
            load(tf, session, job)

    attempt = attempt or thrown_away
    own = _load_with_tensorflow if job.saved_model is not None else _load_as_trained
    try:
        attempt(own)
        return "tensorflow", own
    except UnsafeError:
        raise
    except Exception as refusal:
        try:
            attempt(_load_leniently)
        except UnsafeError:
            raise
        except Exception:
            raise refusal from None
    return "lenient", _load_leniently


_LOWER = "_lower_using_switch_merge"


def may_be_unpruned(job: GoldenJob) -> bool:
    """Whether `is_pruned` has to load the source, which it does for few."""
    return _LOWER.encode() in job.meta_graph


def is_pruned(tf: Any, job: GoldenJob, load: Load) -> bool:
    """Whether the source is asked with `_config`'s `pruned`: where that changes nothing, or an op has no kernel."""
    if not may_be_unpruned(job):  # The graph is not parsed for it.
        return True
    if not any(_LOWER in node.attr for node in MetaGraphDef.FromString(job.meta_graph).graph_def.node):
        return True
    try:
        with fresh_session(tf, pruned=False) as session:
            load(tf, session, job)
            session.run(tf.no_op())  # Which places the graph, if loading has not done so.
    except Exception:
        return True
    return False


def fixed_feeds(tf: Any, session: Any, job: GoldenJob) -> dict[str, Array]:
    """What each call feeds beside its inputs, where the loaded graph has it."""
    loaded = {operation.name for operation in session.graph.get_operations()} if job.feeds else set()
    return {
        tensor: tf.make_ndarray(TensorProto.FromString(value))
        for tensor, value in job.feeds.items()
        if tensor.partition(":")[0] in loaded
    }
