"""Ops of TF 0.x that functions refuse as deprecated: a v1 Session runs them in a graph of their time."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest

pytestmark = pytest.mark.tensorflow

tf = pytest.importorskip("tensorflow")
v1 = tf.compat.v1
raw = tf.raw_ops

from migrate.graph.protos import MetaGraphDef  # noqa: E402
from migrate.rewrite.rules import composed  # noqa: E402
from tests.rewrite.differential import (  # noqa: E402 (starts TensorFlow)
    ask_converted,
    build_in_tf1,
    check,
    differences,
    old_producer,
    refusals,
    save_and_ask,
)

_CALLS = [("s", {"x": np.float32([1.0, 2.0, 0.5])}), ("s", {"x": np.float32([-1.0, 0.25, 3.0])})]


def _input() -> Any:
    return v1.placeholder(tf.float32, [3], name="x")


def _loop_over_an_array() -> Any:
    """What dynamic_rnn of TF 0.12 makes: the handle is a loop invariant, the flow a loop variable."""
    old_producer(20)
    x = _input()
    array = raw.TensorArrayV2(size=3, dtype=tf.float32, clear_after_read=False)

    def body(i: Any, flow: Any) -> Any:
        return i + 1, raw.TensorArrayWriteV2(handle=array, index=i, value=x * tf.cast(i + 1, tf.float32), flow_in=flow)

    _, flow = v1.while_loop(lambda i, _: i < 3, body, [tf.constant(0), tf.constant(0.0)], back_prop=False)
    indices = raw.Range(start=0, limit=raw.TensorArraySizeV2(handle=array, flow_in=flow), delta=1)
    gathered = raw.TensorArrayGatherV2(handle=array, indices=indices, flow_in=flow, dtype=tf.float32)
    last = raw.TensorArrayReadV2(handle=array, index=2, flow_in=flow, dtype=tf.float32)
    concat, lengths = raw.TensorArrayConcatV2(handle=array, flow_in=flow, dtype=tf.float32)
    return {"s": ({"x": x}, {"gathered": gathered, "last": last, "concat": concat, "lengths": lengths})}


def test_tensor_array_v2_in_a_loop(tmp_path):
    plan = check(_loop_over_an_array, _CALLS, str(tmp_path))
    left = {node.op for node in plan.signatures[0].run.graph.nodes.values()}
    assert "TensorArrayV3" in left and not any(op.startswith("TensorArray") and op.endswith("V2") for op in left)


def _arrays_that_are_filled_at_once() -> Any:
    old_producer(20)
    x = _input()
    whole = raw.TensorArrayV2(size=3, dtype=tf.float32, clear_after_read=False)
    flow = raw.TensorArrayScatterV2(handle=whole, indices=[2, 0, 1], value=x[:, None], flow_in=0.0)
    gathered = raw.TensorArrayGatherV2(handle=whole, indices=[0, 1], flow_in=flow, dtype=tf.float32)
    parts = raw.TensorArrayV2(size=2, dtype=tf.float32, clear_after_read=False)
    flow = raw.TensorArraySplitV2(handle=parts, value=x, lengths=np.int64([1, 2]), flow_in=0.0)
    second = raw.TensorArrayReadV2(handle=parts, index=1, flow_in=flow, dtype=tf.float32)
    with tf.control_dependencies([gathered]):
        closed = raw.TensorArrayCloseV2(handle=whole)
    with tf.control_dependencies([closed]):
        last = tf.identity(gathered)
    return {"s": ({"x": x}, {"last": last, "second": second})}


def test_tensor_array_v2_that_is_filled_at_once(tmp_path):
    plan = check(_arrays_that_are_filled_at_once, _CALLS, str(tmp_path))
    left = {node.op for node in plan.signatures[0].run.graph.nodes.values()}
    assert {"TensorArrayScatterV3", "TensorArraySplitV3", "TensorArrayCloseV3"} <= left


def test_tensor_array_v2_with_a_gradient(tmp_path):
    def build() -> Any:
        old_producer(20)
        x = _input()
        array = raw.TensorArrayV2(size=1, dtype=tf.float32)
        flow = raw.TensorArrayWriteV2(handle=array, index=0, value=x, flow_in=tf.constant(0.0))
        gradient = raw.TensorArrayGradV2(handle=array, flow_in=flow, source="grad")
        written = raw.TensorArrayWriteV2(handle=gradient, index=0, value=x * 3.0, flow_in=flow)
        y = raw.TensorArrayReadV2(handle=gradient, index=0, flow_in=written, dtype=tf.float32)
        return {"s": ({"x": x}, {"y": y})}

    check(build, _CALLS, str(tmp_path))


def test_a_handle_that_is_read_as_a_string_is_refused(tmp_path):
    def build() -> Any:
        old_producer(20)
        array = raw.TensorArrayV2(size=1, dtype=tf.float32)
        return {"s": ({"x": _input()}, {"y": tf.strings.join([array[0], "!"])})}

    assert [f.code for f in refusals(build, str(tmp_path))] == ["handle-as-value"]


def test_top_k(tmp_path):
    """No TensorFlow of today has a kernel that takes TopK's attributes, so the judge is TopKV2 itself."""

    def build(graph_of_its_time: bool) -> Any:
        if graph_of_its_time:
            old_producer(6)
        x = _input()
        top = raw.TopK(input=x, k=2, sorted=True) if graph_of_its_time else raw.TopKV2(input=x, k=2)
        return {"s": ({"x": x}, {"values": top[0], "indices": top[1]})}

    golden = save_and_ask(lambda: build(False), _CALLS, str(tmp_path))
    graph, _ = build_in_tf1(lambda: build(True))
    old = MetaGraphDef()
    old.CopyFrom(golden.meta_graph)
    old.graph_def.ParseFromString(graph.as_graph_def().SerializeToString())
    for name, tensor in (("values", "TopK:0"), ("indices", "TopK:1")):
        old.signature_def["s"].outputs[name].name = tensor
    assert differences(golden.answers, ask_converted(dataclasses.replace(golden, meta_graph=old), _CALLS)) == []


_MATRIX = {
    "BatchCholesky": lambda m: raw.BatchCholesky(input=m),
    "BatchCholeskyGrad": lambda m: raw.BatchCholeskyGrad(l=raw.Cholesky(input=m), grad=m),
    "BatchMatrixBandPart": lambda m: raw.BatchMatrixBandPart(input=m, num_lower=np.int64(0), num_upper=np.int64(1)),
    "BatchMatrixDeterminant": lambda m: raw.BatchMatrixDeterminant(input=m),
    "BatchMatrixDiag": lambda m: raw.BatchMatrixDiag(diagonal=m),
    "BatchMatrixDiagPart": lambda m: raw.BatchMatrixDiagPart(input=m),
    "BatchMatrixInverse": lambda m: raw.BatchMatrixInverse(input=m),
    "BatchMatrixSetDiag": lambda m: raw.BatchMatrixSetDiag(input=m, diagonal=m[:, 0]),
    "BatchMatrixSolve": lambda m: raw.BatchMatrixSolve(matrix=m, rhs=m * 2.0),
    "BatchMatrixSolveLs": lambda m: raw.BatchMatrixSolveLs(matrix=m, rhs=m * 2.0, l2_regularizer=np.float64(0.0)),
    "BatchMatrixTriangularSolve": lambda m: raw.BatchMatrixTriangularSolve(matrix=m, rhs=m * 2.0),
    "BatchSelfAdjointEigV2": lambda m: raw.BatchSelfAdjointEigV2(input=m).e,
    "BatchSvd": lambda m: raw.BatchSvd(input=m).s,
}


@pytest.mark.parametrize("op", sorted(op for op in composed.RENAMED.ops if "FFT" not in op))
def test_renamed(op, tmp_path):
    def build() -> Any:
        old_producer(9)
        x = _input()
        matrix = raw.BatchMatrixDiag(diagonal=tf.square(x) + 1.0) + 0.125
        return {"s": ({"x": x}, {"y": _MATRIX[op](matrix)})}

    check(build, _CALLS, str(tmp_path))
