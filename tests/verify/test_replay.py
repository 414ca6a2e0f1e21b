"""Golden answers and their replay: real models, real child processes."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import numpy as np
import pytest

from migrate.graph.dtypes import base_name
from migrate.graph.protos import SavedModel
from migrate.records import Failed, Signature, TensorSpec
from migrate.sources.read import opened, read_source
from migrate.verify import Golden, record_golden, replay_candidate
from migrate.verify.calls import Call
from migrate.verify.messages import OPTIMISED_SESSION, GoldenJob
from migrate.verify.replay import unasked

_BUILD_SOURCE = """
import sys, tensorflow as tf
v1 = tf.compat.v1
v1.disable_eager_execution()
v1.disable_resource_variables()
with tf.Graph().as_default(), v1.Session() as session:
    x = v1.placeholder(tf.float32, [None, 3], name="x")
    w = v1.get_variable("w", initializer=tf.reshape(tf.range(6, dtype=tf.float32) / 7, [3, 2]))
    count = v1.get_variable("count", initializer=0.0)
    with tf.control_dependencies([v1.assign_add(count, 1.0)]):
        seen = count + 0.0
    y = tf.identity(x @ w, name="y")
    words = tf.strings.join([v1.placeholder(tf.string, [None], name="s"), "!"], name="words")
    noise = v1.random_uniform([2], name="noise")
    never = v1.placeholder(tf.float32, [2], name="never")
    session.run(v1.global_variables_initializer())
    def signature(inputs, outputs):
        return v1.saved_model.signature_def_utils.predict_signature_def(inputs, outputs)
    graph = session.graph
    builder = v1.saved_model.Builder(sys.argv[1])
    builder.add_meta_graph_and_variables(session, ["serve"], signature_def_map={
        "serving_default": signature({"x": x}, {"y": y, "seen": seen}),
        "shout": signature({"class": graph.get_tensor_by_name("s:0")}, {"words": words}),
        "random": signature({"x": x}, {"noise": noise, "y": y}),
        "broken": signature({"x": x}, {"sum": never + 1.0}),
    })
    builder.save()
"""

_BUILD_CANDIDATE = """
import sys, tensorflow as tf
class Model(tf.Module):
    def __init__(self, delta):
        self.w = tf.Variable(tf.reshape(tf.range(6, dtype=tf.float32) / 7, [3, 2]))
        self.w[2, 1].assign(self.w[2, 1] + delta)
        self.count = tf.Variable(0.0)
    @tf.function(input_signature=[tf.TensorSpec([None, 3], tf.float32, "x")])
    def call(self, x):
        self.count.assign_add(1.0)
        return {"y": x @ self.w, "seen": self.count + 0.0}
    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, "arg")])
    def shout(self, arg):
        return {"words": tf.strings.join([arg, "!"])}
    @tf.function(input_signature=[tf.TensorSpec([None, 3], tf.float32, "x")])
    def random(self, x):
        return {"noise": tf.random.uniform([2]), "y": x @ self.w}
model = Model(float(sys.argv[2]))
tf.saved_model.save(model, sys.argv[1], signatures={
    "serving_default": model.call, "shout": model.shout, "random": model.random})
"""


def _signatures(meta_graph, *keys: str) -> tuple[Signature, ...]:
    def specs(infos):
        return {
            name: TensorSpec(
                info.name, base_name(info.dtype), tuple(None if d.size < 0 else d.size for d in info.tensor_shape.dim)
            )
            for name, info in sorted(infos.items())
        }

    chosen = [(key, meta_graph.signature_def[key]) for key in keys or sorted(meta_graph.signature_def)]
    return tuple(Signature(key, s.method_name, specs(s.inputs), specs(s.outputs)) for key, s in chosen)


def _build(script: str, *arguments: str) -> None:
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": "-1"}
    subprocess.run([sys.executable, "-c", script, *arguments], check=True, env=environment, capture_output=True)


def _candidate(path, delta: float = 0.0, name: str = "w") -> str:
    _build(_BUILD_CANDIDATE.replace("self.w", f"self.{name}"), str(path), str(delta))
    # A SignatureDef carries any name, and a function no keyword.
    file = path / "saved_model.pb"
    model = SavedModel.FromString(file.read_bytes())
    inputs = model.meta_graphs[0].signature_def["shout"].inputs
    inputs["class"].CopyFrom(inputs["arg"])
    del inputs["arg"]
    file.write_bytes(model.SerializeToString())
    (path / "fingerprint.pb").unlink(missing_ok=True)  # It is of the file as it was.
    return str(path)


def _source(path):
    with opened(path) as place:
        return read_source(place, path)


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    path = tmp_path_factory.mktemp("source") / "model"
    _build(_BUILD_SOURCE, str(path))
    meta_graph = SavedModel.FromString((path / "saved_model.pb").read_bytes()).meta_graphs[0]
    return str(path), meta_graph


@pytest.fixture(scope="module")
def golden(nursery, source):
    path, meta_graph = source
    result = record_golden(nursery, _source(path), meta_graph, _signatures(meta_graph), timeout_seconds=200)
    assert isinstance(result, Golden), result
    return result


@pytest.mark.tensorflow
def test_golden_calls_each_signature_and_every_ordinary_call_twice(golden):
    ordinary = golden.calls[: golden.ordinary]
    assert {call.signature for call in ordinary} == {"serving_default", "shout", "random"}
    assert all(a is b or a == b for a, b in zip(ordinary[::2], ordinary[1::2], strict=True))
    assert len(golden.calls) > len(ordinary)
    seen = [a.outputs["seen"] for a in golden.answers if "seen" in a.outputs]
    assert [float(value) for value in seen] == list(range(1, len(seen) + 1))
    assert "never" in golden.skipped["broken"]
    assert golden.loader == "tensorflow"
    assert golden.variables["w"].shape == (3, 2)


@pytest.mark.tensorflow
def test_an_equal_candidate_passes_on_both_paths(nursery, golden, tmp_path):
    result = replay_candidate(nursery, golden, _candidate(tmp_path / "equal"), timeout_seconds=200)
    assert result.mismatches == ()
    assert result.bitwise_equal
    assert result.nondeterministic == ("random/noise",)
    assert result.unverified == {
        "broken": golden.skipped["broken"],
        "random/noise": "the source itself answers differently from run to run",
    }
    assert not result.passed
    assert (result.calls, result.variables_compared) == (len(golden.calls), 2)
    assert set(result.skipped) == {"broken"}


# The source counts its calls, so what they leave is compared with the graph optimiser on as well.
_WAYS = {"tf2", "session", "checkpoint", OPTIMISED_SESSION}


@pytest.mark.tensorflow
def test_one_wrong_weight_is_a_mismatch(nursery, golden, tmp_path):
    result = replay_candidate(nursery, golden, _candidate(tmp_path / "wrong", 1e-6), timeout_seconds=200)
    assert not result.passed and not result.bitwise_equal
    assert {m.path for m in result.mismatches} == _WAYS
    assert {m.output for m in result.mismatches} == {"y", "w"}
    # The weight is 1e-6 off, and some calls have large values.
    fed = np.concatenate([call.inputs["x"].ravel() for call in golden.calls if "x" in call.inputs])
    assert 0 < result.max_abs_difference < 1e-5 * np.abs(fed[np.isfinite(fed)]).max()
    tolerant = replay_candidate(nursery, golden, str(tmp_path / "wrong"), max_ulps=1 << 30, timeout_seconds=200)
    assert {m.output for m in tolerant.mismatches} == {"w"}
    assert {m.path for m in tolerant.mismatches} == _WAYS


@pytest.mark.tensorflow
def test_a_variable_that_nobody_can_find_is_unverified(nursery, golden, tmp_path):
    result = replay_candidate(nursery, golden, _candidate(tmp_path / "other", name="u"), timeout_seconds=200)
    assert result.mismatches == () and "'w'" in result.unverified["variables"]


@pytest.mark.tensorflow
def test_what_is_no_candidate_is_failed(nursery, golden, tmp_path):
    assert isinstance(replay_candidate(nursery, golden, str(tmp_path), timeout_seconds=200), Failed)


@pytest.mark.tensorflow
def test_the_users_own_calls(nursery, source, tmp_path):
    path, meta_graph = source
    calls = tmp_path / "calls.json"
    calls.write_text(
        json.dumps([{"inputs": {"x": [[1, 2, 3]]}}, {"signature": "broken", "inputs": {"x": [[1, 2, 3]]}}])
    )
    found = record_golden(nursery, _source(path), meta_graph, _signatures(meta_graph), str(calls), timeout_seconds=200)
    assert isinstance(found, Golden)
    assert [a.error for a in found.answers] == ["", "", "InvalidArgumentError", "InvalidArgumentError"]
    expected = np.float32([[1, 2, 3]]) @ (np.arange(6, dtype=np.float32) / 7).reshape(3, 2)
    np.testing.assert_allclose(found.answers[0].outputs["y"], expected, rtol=1e-6)
    assert set(found.skipped) == {"shout", "random"}


@pytest.mark.tensorflow
def test_what_tf1_forgave_is_loaded_leniently(nursery, source, tmp_path):
    path, meta_graph = source
    damaged = type(meta_graph).FromString(meta_graph.SerializeToString())
    damaged.meta_info_def.tensorflow_version = "0.12.head"
    for node in damaged.graph_def.node:
        if node.name == "y":
            shape = node.attr["_output_shapes"].list.shape.add()
            for size in (7, 7, 7):
                shape.dim.add(size=size)
    damaged.collection_def["legacy_init_op"].node_list.value.extend(["w/Assign", "count/Assign"])
    (tmp_path / "model").mkdir()
    model = SavedModel(saved_model_schema_version=1, meta_graphs=[damaged])
    (tmp_path / "model" / "saved_model.pb").write_bytes(model.SerializeToString())
    os.symlink(os.path.join(path, "variables"), tmp_path / "model" / "variables")
    found = record_golden(
        nursery,
        _source(str(tmp_path / "model")),
        damaged,
        _signatures(damaged, "serving_default"),
        timeout_seconds=200,
    )
    assert isinstance(found, Golden), found
    assert found.loader == "lenient" and not found.skipped


@pytest.mark.tensorflow
def test_a_source_that_cannot_be_read_is_failed(nursery, tmp_path):
    job = GoldenJob(str(tmp_path), b"no proto", (), str(tmp_path / "none"), str(tmp_path), (), 10, {})
    result = nursery.run("golden", "migrate.verify.replay", job, Golden | Failed, 100)
    assert isinstance(result, Failed)
    assert result.reason.startswith("TensorFlow cannot load the source: ")


def test_importing_verify_starts_no_tensorflow():
    code = "import sys, migrate.verify as v; sys.exit('tensorflow' in sys.modules or hasattr(v, 'replay'))"
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.tensorflow
def test_an_unknown_op_behind_a_tensor_that_every_call_feeds_does_not_matter(nursery, tmp_path):
    proto = SavedModel(saved_model_schema_version=1)
    meta_graph = proto.meta_graphs.add()
    meta_graph.meta_info_def.tags.append("serve")
    meta_graph.graph_def.node.add(name="gone", op="NoSuchOp")
    double = meta_graph.graph_def.node.add(name="double", op="Add", input=["gone", "gone"])
    double.attr["T"].type = 1
    for infos, name in (
        (meta_graph.signature_def["s"].inputs, "gone"),
        (meta_graph.signature_def["s"].outputs, "double"),
    ):
        infos[name].name = f"{name}:0"
        infos[name].dtype = 1
        infos[name].tensor_shape.dim.add(size=2)
    (tmp_path / "saved_model.pb").write_bytes(proto.SerializeToString())
    found = record_golden(nursery, _source(str(tmp_path)), meta_graph, _signatures(meta_graph, "s"))
    assert isinstance(found, Golden), found
    assert found.loader == "lenient" and not found.skipped
    for call, answer in zip(found.calls, found.answers, strict=True):
        np.testing.assert_array_equal(answer.outputs["double"], call.inputs["gone"] * 2)


def test_outputs_for_which_no_call_asks():
    tensor = TensorSpec("y:0", "float32", None)
    sparse = TensorSpec("", "float32", None, "coo_sparse", ("v:0", "i:0", "s:0"))
    signatures = [
        Signature(key, "", {}, {"y": tensor, "z": tensor, "sparse": sparse}) for key in ("called", "whole", "never")
    ]
    calls = [Call("called", {}, ("y",)), Call("called", {}, ("sparse",)), Call("whole", {}, ("y",)), Call("whole", {})]
    assert unasked(signatures, calls) == (("called", "z"),)
