"""Print, Assert and queues in bodies and branches, from the disk: each effect once, in TF1's order, lowered or not."""

from __future__ import annotations

import contextlib
import os
import pathlib
import shutil
import tempfile
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import migrate
from migrate.graph.protos import SavedModel
from migrate.records import Converted, Options

pytestmark = pytest.mark.tensorflow

tf = pytest.importorskip("tensorflow")
v1 = tf.compat.v1
raw = tf.raw_ops

CALLS = (
    ("looped", [1.0, 2.0, 3.0]),
    ("looped", [1.0, -7.0, 3.0]),  # The second iteration's Assert fails; the queue keeps what the first has put there.
    ("left", []),
    ("looped", [4.0, 0.5, -1.0]),
    ("left", []),
    ("chosen", [2.0, 1.0, 1.0]),
    ("chosen", [-2.0, 1.0, 1.0]),  # The Assert of the branch that is taken fails.
    ("left", []),
    ("chosen", [0.0, 1.0, 1.0]),
    ("left", []),
)
"""Calls in their order: a signature and what it is fed."""


def _said(x: Any, what: Any, message: str) -> Any:
    return raw.Print(input=x, data=[what], message=f"said {message} ", first_n=-1, summarize=3)


def _sure(holds: Any, *data: Any) -> Any:
    return raw.Assert(condition=holds, data=[*data, tf.constant("told")], summarize=3)


def _put(queue: Any, value: Any) -> Any:
    return raw.QueueEnqueue(handle=queue, components=[value])


def _build() -> dict[str, tuple[dict[str, Any], dict[str, Any]]]:
    x = v1.placeholder(tf.float32, [3], name="x")
    queue = raw.FIFOQueue(component_types=[tf.float32], shapes=[[]], capacity=100, shared_name="queue")

    def body(i: Any, total: Any) -> tuple[Any, Any]:
        value = _said(x[i], i, "iteration")
        with tf.control_dependencies([_sure(value > -5.0, value)]), tf.control_dependencies([_put(queue, value)]):
            value = tf.identity(value)

        def even() -> Any:
            with tf.control_dependencies([raw.PrintV2(input=tf.strings.format("said even {}", value))]):
                return tf.identity(value)

        def odd() -> Any:
            with tf.control_dependencies([_put(queue, value * 100.0)]):
                return _said(value * 2.0, value, "odd")

        return i + 1, total + v1.cond(tf.equal(i % 2, 0), even, odd)

    looped = v1.while_loop(lambda i, _: i < 3, body, [0, tf.constant(0.0)], parallel_iterations=1)[1]
    with tf.control_dependencies([looped]):
        size = raw.QueueSize(handle=queue)

    def positive() -> Any:
        with tf.control_dependencies([_put(queue, x[0])]):
            value = _said(x[0], x[1], "positive")
        return v1.while_loop(lambda i, _: i < 2, lambda i, a: (i + 1, _said(a * 2.0, a, "twice")), [0, value])[1]

    def other() -> Any:
        with tf.control_dependencies([_sure(x[0] > -1.0, x[0])]), tf.control_dependencies([_put(queue, x[0] - 1.0)]):
            return tf.identity(x[1])

    size_now = raw.QueueSize(handle=queue)
    left = raw.QueueDequeueMany(handle=queue, n=size_now, component_types=[tf.float32])[0]
    return {
        "looped": ({"x": x}, {"y": looped, "size": size}),
        "chosen": ({"x": x}, {"y": v1.cond(x[0] > 0.0, positive, other)}),
        "left": ({}, {"values": left}),
    }


def _signature(*tensors: dict[str, Any]) -> Any:
    infos = ({key: v1.saved_model.build_tensor_info(one) for key, one in named.items()} for named in tensors)
    return v1.saved_model.build_signature_def(*infos, "tensorflow/serving/predict")


def _save(path: str) -> None:
    v1.disable_control_flow_v2()
    try:
        with tf.Graph().as_default(), v1.Session() as session:
            made = _build().items()
            signatures = {key: _signature(inputs, outputs) for key, (inputs, outputs) in made}
            builder = v1.saved_model.Builder(path)
            builder.add_meta_graph_and_variables(session, ["serve"], signatures)
            builder.save()
    finally:
        v1.enable_control_flow_v2()


@contextlib.contextmanager
def _written() -> Iterator[list[str]]:
    """The lines that the block writes to the process's standard error, by `said`."""
    lines: list[str] = []
    kept = os.dup(2)
    with tempfile.TemporaryFile() as file:
        os.dup2(file.fileno(), 2)
        try:
            yield lines
        finally:
            os.dup2(kept, 2)
            os.close(kept)
            file.seek(0)
            text = file.read().decode("utf-8", "replace")
            lines += [line[line.index("said") :] for line in text.splitlines() if "said" in line]


def _story(call: Callable[[str, Any], dict[str, Any]]) -> list[Any]:
    """What each of the calls answers, or that its Assert fails, and what it prints."""
    found: list[Any] = []
    for key, value in CALLS:
        with _written() as lines:
            try:
                answer: Any = {name: np.asarray(one).tolist() for name, one in call(key, value).items()}
            except tf.errors.InvalidArgumentError as error:
                assert "told" in str(error)
                answer = "fails"
        found.append((key, answer, lines))
    return found


def _in_session(path: str) -> list[Any]:
    with tf.Graph().as_default(), v1.Session() as session:
        signatures = v1.saved_model.load(session, ["serve"], path).signature_def

        def call(key: str, value: Any) -> dict[str, Any]:
            fed = {info.name: value for info in signatures[key].inputs.values()}
            answer = session.run({name: info.name for name, info in signatures[key].outputs.items()}, fed)
            return dict(answer)

        return _story(call)


def _by_signature(path: str) -> list[Any]:
    loaded = tf.saved_model.load(path)

    def call(key: str, value: Any) -> dict[str, Any]:
        return dict(loaded.signatures[key](**({"x": tf.constant(value)} if value else {})))

    return _story(call)


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("effects")
    paths = {name: str(folder / name) for name in ("source", "lowered", "not lowered")}
    _save(paths["source"])
    report = migrate.convert(paths["source"], paths["lowered"], Options(control_flow="functional"))
    (model,) = report.models
    assert isinstance(model.outcome, Converted), (model.outcome, model.findings)
    assert not [finding for finding in model.findings if finding.code.endswith("-kept")]
    shutil.copytree(paths["lowered"], paths["not lowered"])
    file = pathlib.Path(paths["not lowered"], "saved_model.pb")
    saved = SavedModel.FromString(file.read_bytes())
    functions = saved.meta_graphs[0].graph_def.library.function
    flow = [node for function in functions for node in function.node_def if "_lower_using_switch_merge" in node.attr]
    assert {node.op for node in flow} >= {"If", "While"}
    for node in flow:
        node.attr["_lower_using_switch_merge"].b = False
    file.write_bytes(saved.SerializeToString())
    return paths


@pytest.mark.parametrize("call", [_in_session, _by_signature], ids=["session", "signature"])
@pytest.mark.parametrize("form", ["lowered", "not lowered"])
def test_each_effect_is_there_once_and_in_order(
    models: dict[str, str], form: str, call: Callable[[str], list[Any]]
) -> None:
    golden = _in_session(models["source"])
    assert [answer for _, answer, _ in golden].count("fails") == 2
    assert sum(len(lines) for _, _, lines in golden) > 12
    assert call(models[form]) == golden
