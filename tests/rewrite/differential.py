"""The judge: a v1 Session answers first, then the rewritten graph must give the same bits.

A case builds a TF1 graph and names its signatures; `check` saves it, lets a v1 Session answer a sequence of calls,
plans and saves the conversion, and has a fresh process load it, by `tf.saved_model.load` and in a v1 Session, and ask
for the same calls in the same order. A case that has a signature named INIT has an init op, which both sides run once
after restoring.
"""

from __future__ import annotations

import atexit
import dataclasses
import functools
import gc
import os
import pathlib
import pickle
import tempfile
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from migrate.graph.protos import MetaGraphDef
from migrate.plan.plan import make_plan
from migrate.plan.records import Plan
from migrate.processes.nursery import Nursery
from migrate.records import Finding
from tests.rewrite import fresh

v1 = tf.compat.v1

gc.freeze()  # What is there now need not be looked through for garbage after each graph.

CONFIG = v1.ConfigProto(intra_op_parallelism_threads=1, inter_op_parallelism_threads=2)
CONFIG.graph_options.optimizer_options.opt_level = v1.OptimizerOptions.L0
CONFIG.graph_options.rewrite_options.disable_meta_optimizer = True

INIT = "__saved_model_init_op"
"""Key of the signature whose one output, of the same name, is the init op (an Operation)."""

# A tf.function's call carries these settings, whatever the Session's are: both sides run the graph as it is.
tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": True})

Signatures = Mapping[str, tuple[Mapping[str, Any], Mapping[str, Any]]]
Calls = Sequence[tuple[str, Mapping[str, Any]]]


@dataclasses.dataclass(frozen=True)
class Saved:
    """A TF1 graph with its checkpoint, and a v1 Session's answers; `values` where there is no checkpoint.

    `assets` is the directory of the files that the collection ASSET_FILEPATHS names.
    """

    meta_graph: MetaGraphDef
    prefix: str
    answers: list[Any]
    values: Mapping[str, Any]
    assets: str = ""


def old_producer(version: int) -> None:
    """Makes the default graph one of GraphDef version `version`: ops that were deprecated later run in it."""
    empty = v1.GraphDef()
    empty.versions.producer = version
    tf.import_graph_def(empty, name="")


def build_in_tf1(build: Callable[[], Signatures]) -> tuple[Any, Signatures]:
    """Runs `build` in a fresh graph with v1 control flow and without resource variables."""
    graph = tf.Graph()
    with graph.as_default():
        v1.disable_control_flow_v2()
        v1.disable_resource_variables()
        v1.set_random_seed(7)
        signatures = build()
    return graph, signatures


def save_and_ask(build: Callable[[], Signatures], calls: Calls, directory: str) -> Saved:
    """Builds the case, saves it, and takes the Session's answers (an error is an answer, by its class)."""
    prefix = os.path.join(directory, "variables")
    return dataclasses.replace(saved_graph(build, calls, prefix), prefix=prefix)


def saved_graph(build: Callable[[], Signatures], calls: Calls, prefix: str = "") -> Saved:
    """The same with a checkpoint at `prefix`, or without one: then the values are read from the Session."""
    graph, signatures = build_in_tf1(build)
    found: list[Any] = []
    with graph.as_default(), v1.Session(graph=graph, config=CONFIG) as session:
        session.run([v1.global_variables_initializer(), v1.local_variables_initializer()])
        session.run(v1.tables_initializer())
        variables = v1.global_variables()
        saver = v1.train.Saver(variables) if variables else None
        if saver and prefix:
            saver.save(session, prefix, write_meta_graph=False)
        starts = {} if prefix else session.run({variable.op.name: variable.value() for variable in variables})
        meta_graph = MetaGraphDef.FromString(
            v1.train.export_meta_graph(saver_def=saver.saver_def if saver else None, graph=graph).SerializeToString()
        )
        assets = ""
        for tensor in graph.get_collection(v1.GraphKeys.ASSET_FILEPATHS):
            assets, file = os.path.split(session.run(tensor).decode())
            meta_graph.asset_file_def.add(filename=file).tensor_info.name = tensor.name
        for key, (inputs, outputs) in signatures.items():
            if key == INIT:
                session.run(outputs[INIT])
                meta_graph.signature_def[key].outputs[key].name = outputs[INIT].name
                continue
            define(meta_graph, key, inputs, outputs)
        for key, fed in calls:
            inputs, outputs = signatures[key]
            feeds = {inputs[name]: value for name, value in fed.items()}
            try:
                found.append(session.run({name: t.name for name, t in outputs.items()}, feeds))
            except tf.errors.OpError as error:
                found.append(type(error))
    return Saved(meta_graph, "", found, starts, assets)


def define(meta_graph: MetaGraphDef, key: str, inputs: Mapping[str, Any], outputs: Mapping[str, Any]) -> None:
    """Adds a signature."""
    definition = meta_graph.signature_def[key]
    definition.method_name = "tensorflow/serving/predict"
    for infos, tensors in ((definition.inputs, inputs), (definition.outputs, outputs)):
        for name, tensor in tensors.items():
            infos[name].ParseFromString(v1.saved_model.utils.build_tensor_info(tensor).SerializeToString())


Look = Callable[[Saved, str], None]
"""What is to be done with a source and the directory of its conversion."""


def ask_converted(saved: Saved, calls: Calls, optimise: bool = False, look: Look | None = None) -> list[Any]:
    """Saves the conversion, and takes the answers of a fresh process that loads it.

    Args:
      saved: the source.
      calls: as everywhere here.
      optimise: see `fresh.Ask`.
      look: called before anything is asked.

    Returns:
      The answers of `tf.saved_model.load`. Those of a v1 Session are asserted to be the same.
    """
    with tempfile.TemporaryDirectory() as directory:
        path = os.path.join(directory, "model")
        job = fresh.Save(saved.meta_graph.SerializeToString(), saved.prefix, saved.values, saved.assets, path)
        written = nursery().run("export", "tests.rewrite.fresh", job, bytes, 300.0)
        assert isinstance(written, bytes), written
        if look is not None:
            look(saved, path)
        return ask_saved(path, calls, optimise)


def ask_saved(path: str, calls: Calls, optimise: bool = False) -> list[Any]:
    """The same of a conversion that is saved."""
    found = nursery().run("candidate", "tests.rewrite.fresh", fresh.Ask(path, calls, optimise), bytes, 300.0)
    assert isinstance(found, bytes), found
    by_function, by_session = pickle.loads(found)
    differs = differences(by_function, by_session)
    assert not differs, "function and Session: " + "\n".join(differs)
    return by_function


@functools.cache
def nursery() -> Nursery:
    """The process from which each case's is forked."""
    made = Nursery((*fresh.PRELOAD, "tests.rewrite.packs"), path=(pathlib.Path(__file__).parents[2],))
    atexit.register(made.close)
    return made


def differences(golden: Sequence[Any], found: Sequence[Any]) -> list[str]:
    """What differs, bit for bit; empty where nothing does."""
    result = []
    for number, (expected, given) in enumerate(zip(golden, found, strict=True)):
        if isinstance(expected, type) or isinstance(given, type):
            if expected is not given:
                result.append(f"call {number}: expected {expected}, found {given}")
            continue
        for name, value in expected.items():
            one, other = np.asarray(value), np.asarray(given[name])
            # Strings are objects, whose bytes are addresses.
            same = one.tolist() == other.tolist() if one.dtype == object else one.tobytes() == other.tobytes()
            if one.dtype != other.dtype or one.shape != other.shape or not same:
                result.append(f"call {number}, {name}: expected {one!r}, found {other!r}")
    return result


def check(build: Callable[[], Signatures], calls: Calls, directory: str, look: Look | None = None) -> Plan:
    """Asserts that the converted model gives the Session's answers, and that something was answered."""
    saved = save_and_ask(build, calls, directory)
    plan = make_plan(saved.meta_graph)
    assert not plan.refused, [f.message for f in plan.findings]
    assert any(not isinstance(answer, type) for answer in saved.answers), saved.answers
    found = differences(saved.answers, ask_converted(saved, calls, look=look))
    assert not found, "\n".join(found)
    return plan


def refusals(build: Callable[[], Signatures], directory: str) -> tuple[Finding, ...]:
    """The refusals that a case meets."""
    return make_plan(save_and_ask(build, [], directory).meta_graph).findings
