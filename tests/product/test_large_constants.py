"""A model whose large constants are mapped from files while it is asked answers as one with constants, bit for bit."""

from __future__ import annotations

import shutil
import tempfile

import numpy as np
import pytest

from migrate.graph.protos import GraphDef, MetaGraphDef, SavedModel
from migrate.verify import mapped_constants
from migrate.verify.mapped_constants import hollowed, put_back
from tests.conversions import run_child

pytestmark = pytest.mark.tensorflow


def _ops(tf, v1):
    """By name of an op: a placeholder's value, and what a graph computes of it with a large constant."""
    rng = np.random.default_rng(3)

    def constant(*shape):
        return tf.constant(rng.uniform(-1, 1, shape).astype(np.float32), name="weights")

    def value(*shape):
        return rng.uniform(-1, 1, shape).astype(np.float32)

    def loop(x):
        w = tf.identity(constant(256, 256), name="weights/read")
        return v1.while_loop(lambda i, _: i < 3, lambda i, y: (i + 1, tf.tanh(y @ w)), [0, x])[1]

    def sparse(x):
        made = tf.SparseTensor([[0, 3], [1, 5]], x, [2, 256])
        return tf.sparse.sparse_dense_matmul(made, constant(256, 128))

    def dense(x):
        return tf.nn.relu(tf.nn.bias_add(x @ tf.identity(constant(256, 128)), tf.ones([128])))

    def filtered(x):
        return tf.nn.relu(tf.nn.bias_add(tf.nn.conv2d(x, constant(3, 3, 64, 128), 2, "SAME"), tf.range(128.0)))

    raw = tf.raw_ops
    return {
        "MatMul": (value(3, 256), dense),
        "MatMul on the left": (value(128, 5), lambda x: tf.matmul(constant(128, 256), x, transpose_a=True)),
        "MatMul in a loop": (value(3, 256), loop),
        "BatchMatMul": (value(2, 3, 128), lambda x: raw.BatchMatMul(x=x, y=constant(2, 128, 128))),
        "BatchMatMulV2": (value(2, 3, 128), lambda x: raw.BatchMatMulV2(x=x, y=constant(128, 256))),
        "BatchMatMulV3": (value(2, 3, 128), lambda x: raw.BatchMatMulV3(x=x, y=constant(128, 256), Tout=tf.float32)),
        "Conv2D": (value(1, 8, 8, 64), filtered),
        "Conv2D and FusedBatchNormV3": (
            value(1, 8, 8, 64),
            lambda x: v1.nn.fused_batch_norm(
                tf.nn.conv2d(x, constant(3, 3, 64, 64), 1, "VALID"),
                tf.range(64.0),
                tf.ones([64]),
                tf.zeros([64]),
                tf.ones([64]) * 2,
                is_training=False,
            )[0],
        ),
        "Conv2DBackpropInput": (
            value(1, 4, 4, 128),
            lambda x: tf.nn.conv2d_transpose(x, constant(3, 3, 32, 128), [1, 8, 8, 32], 2),
        ),
        "Conv3D": (value(1, 4, 4, 4, 32), lambda x: tf.nn.conv3d(x, constant(3, 3, 3, 32, 64), [1] * 5, "SAME")),
        "Conv3DBackpropInputV2": (
            value(1, 2, 2, 2, 64),
            lambda x: tf.nn.conv3d_transpose(x, constant(3, 3, 3, 32, 64), [1, 4, 4, 4, 32], 2),
        ),
        "DepthwiseConv2dNative": (
            value(1, 8, 8, 64),
            lambda x: tf.nn.depthwise_conv2d(x, constant(8, 8, 64, 8), [1, 1, 1, 1], "SAME"),
        ),
        "Gather": (np.array([3, 0, 511], np.int32), lambda x: raw.Gather(params=constant(512, 64), indices=x)),
        "GatherV2": (np.array([3, 0, 63], np.int32), lambda x: tf.gather(constant(512, 64), x, axis=1)),
        "GatherNd": (np.array([[3, 0], [511, 2]], np.int32), lambda x: tf.gather_nd(constant(512, 64), x)),
        "SparseTensorDenseMatMul": (value(2), sparse),
    }


@pytest.fixture
def few_are_large(monkeypatch, tmp_path):
    monkeypatch.setattr(mapped_constants, "LARGE", 1 << 17)
    (tmp_path / "scratch").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "scratch"))


def _frozen(tf, v1, name: str) -> tuple[GraphDef, np.ndarray]:
    given, compute = _ops(tf, v1)[name]
    v1.disable_control_flow_v2()
    try:
        with tf.Graph().as_default() as graph:
            x = v1.placeholder(given.dtype, given.shape, name="x")
            tf.identity(compute(x), name="y")
            return graph.as_graph_def(), given
    finally:
        v1.enable_control_flow_v2()


def _answers(tf, v1, graph_def: GraphDef, given: np.ndarray) -> dict[str, np.ndarray]:
    found = {}
    for optimised in (False, True):
        config = v1.ConfigProto()
        if not optimised:
            config.graph_options.optimizer_options.opt_level = v1.OptimizerOptions.L0
            config.graph_options.rewrite_options.disable_meta_optimizer = True
        with tf.Graph().as_default(), v1.Session(config=config) as session:
            tf.import_graph_def(graph_def, name="")
            found[f"session {optimised}"] = session.run("y:0", {"x:0": given})
        tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": not optimised})
        function = v1.wrap_function(
            lambda x: tf.graph_util.import_graph_def(graph_def, {"x:0": x}, ["y:0"], name="")[0],
            [tf.TensorSpec(given.shape, given.dtype)],
        )
        found[f"function {optimised}"] = function(tf.constant(given)).numpy()
    tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": False})
    return found


@pytest.mark.parametrize(
    "name",
    [
        *(
            "MatMul",
            "MatMul on the left",
            "MatMul in a loop",
            "BatchMatMul",
            "BatchMatMulV2",
            "BatchMatMulV3",
            "Conv2D",
        ),
        *("Conv2D and FusedBatchNormV3", "Conv2DBackpropInput", "Conv3D", "Conv3DBackpropInputV2"),
        *("DepthwiseConv2dNative", "Gather", "GatherV2", "GatherNd", "SparseTensorDenseMatMul"),
    ],
)
def test_each_op_that_takes_a_map_computes_what_it_computes_of_a_constant(name, tmp_path, few_are_large):
    import tensorflow as tf

    v1 = tf.compat.v1
    graph_def, given = _frozen(tf, v1, name)
    (tmp_path / "frozen.pb").write_bytes(graph_def.SerializeToString())
    graph, held = hollowed(MetaGraphDef(graph_def=graph_def), str(tmp_path / "frozen.pb"))
    put_back(graph, held)
    assert sum(node.op == "ImmutableConst" for node in graph.graph_def.node) == 1
    expected, found = _answers(tf, v1, graph_def, given), _answers(tf, v1, graph.graph_def, given)
    for way, value in expected.items():
        assert found[way].tobytes() == value.tobytes(), way
        assert np.any(value)


_BUILD = """
import sys, numpy as np, tensorflow as tf
v1 = tf.compat.v1
v1.disable_eager_execution()
v1.disable_resource_variables()
v1.disable_control_flow_v2()
rng = np.random.default_rng(5)
def constant(name, *shape):
    return tf.identity(tf.constant(rng.uniform(-1, 1, shape).astype(np.float32) / 16, name=name), name=name + "/read")
@tf.function(input_signature=[tf.TensorSpec([None, 256])])
def inner(x):
    return x @ constant("inner", 256, 256)
with tf.Graph().as_default(), v1.Session() as session:
    x = v1.placeholder(tf.float32, [None, 256], name="x")
    ids = v1.placeholder(tf.int32, [None], name="ids")
    v = v1.get_variable("v", [256], initializer=v1.constant_initializer(0.25))
    count = v1.get_variable("count", initializer=0.0)
    y = first = tf.tanh(x @ constant("outer", 256, 256) + v)
    w = constant("loop", 256, 256)
    y = v1.while_loop(lambda i, _: i < 2, lambda i, y: (i + 1, tf.tanh(y @ w)), [0, y])[1]
    y = tf.identity(inner(y) * constant("scale", 512, 256)[3], name="y")
    rows = tf.gather(constant("table", 1024, 64), tf.math.floormod(ids, 1024), name="rows")
    with tf.control_dependencies([v1.assign_add(count, 1.0)]):
        counted = tf.add(y, count, name="counted")
    session.run(v1.global_variables_initializer())
    def signature(inputs, outputs):
        return v1.saved_model.signature_def_utils.predict_signature_def(inputs, outputs)
    builder = v1.saved_model.Builder(sys.argv[1])
    builder.add_meta_graph_and_variables(session, ["serve"], signature_def_map={
        "serving_default": signature({"x": x}, {"y": y}),
        "first": signature({"x": x}, {"first": first}),
        "rows": signature({"ids": ids}, {"rows": rows}),
        "counted": signature({"x": x}, {"counted": counted}),
    })
    builder.save()
"""

_ASK = """
import io, os, sys, tempfile
import tensorflow  # Which nothing is run of here.
from migrate import codec
from migrate.graph.contract import signatures
from migrate.processes.forks import Forks
from migrate.sources.saved_model import read_saved_model
from migrate.verify import mapped_constants, record_golden, replay_candidate
old, new, seen, *alone = sys.argv[1:]
source = read_saved_model(old)
put_back = mapped_constants.put_back
def told(meta_graph, held):
    put_back(meta_graph, held)
    graph = meta_graph.graph_def
    for nodes in (graph.node, *(f.node_def for f in graph.library.function)):
        for node in nodes:
            if node.op == "ImmutableConst":
                with open(seen, "a") as file:
                    file.write(node.name.split("/")[0] + "\\n")
import migrate.verify.candidate, migrate.verify.load_source
for module in (mapped_constants, migrate.verify.candidate, migrate.verify.load_source):
    module.put_back = told
class Recording(Forks):
    def __init__(self):
        super().__init__()
        self.results = []
    def run(self, step, module, job, kind, seconds):
        result = super().run(step, module, job, kind, seconds)
        self.results.append(result)
        return result
def written(value):
    with tempfile.TemporaryFile() as file:
        codec.write(value, file.fileno())
        file.seek(0)
        return file.read()
def ask(large):
    mapped_constants.LARGE = large
    open(seen, "w").close()
    runner = Recording()
    graph = source.meta_graphs[0]
    golden = record_golden(runner, source, graph, signatures(graph), full=True, constants=True)
    verification = replay_candidate(runner, golden, new, full=True)
    with open(seen) as file:
        return runner.results, verification, sorted(set(file.read().split()))
mapped, verification, names = ask(1 << 17)
assert names == ["inner", "loop", "outer", "table"], names
constants, other, none = (mapped, verification, []) if alone else ask(1 << 40)
assert none == []
assert [type(one).__name__ for one in mapped] == ["Golden", "CandidateResult"], mapped
for one, two in zip(mapped, constants, strict=True):
    for name in one.__dataclass_fields__:
        assert written(getattr(one, name)) == written(getattr(two, name)), name
assert verification == other
print(len(verification.mismatches), verification.gradients_compared, verification.compared)
"""


@pytest.fixture(scope="module")
def converted(tmp_path_factory):
    import migrate
    from migrate.records import Converted

    folder = tmp_path_factory.mktemp("large_constants")
    run_child(["-c", _BUILD, str(folder / "old")])
    (report,) = migrate.convert(str(folder / "old"), str(folder / "new")).models
    assert isinstance(report.outcome, Converted), report
    return folder


def _asked(folder, new: str, *alone: str) -> list[int]:
    """Differences, gradients and outputs that were compared."""
    paths = (str(folder / name) for name in ("old", new, "seen"))
    return [int(n) for n in run_child(["-c", _ASK, *paths, *alone]).split()]


@pytest.mark.slow
def test_all_that_is_asked_is_answered_as_with_constants(converted):
    mismatches, gradients, compared = _asked(converted, "new")
    assert mismatches == 0
    assert gradients == 1 and compared > 20


@pytest.mark.slow
@pytest.mark.parametrize("name", ["outer", "inner", "table"])
def test_calls_tell_a_constant_that_differs(converted, name):
    saved = SavedModel.FromString((converted / "new" / "saved_model.pb").read_bytes())
    changed = 0
    for function in saved.meta_graphs[0].graph_def.library.function:
        for node in function.node_def:
            if node.op == "Const" and node.name == name:
                tensor = node.attr["value"].tensor
                values = np.frombuffer(tensor.tensor_content, np.float32) * np.float32(1.001)
                tensor.tensor_content = values.tobytes()
                changed += 1
    assert changed
    other = converted / f"other_{name}"
    shutil.copytree(converted / "new", other)
    (other / "saved_model.pb").write_bytes(saved.SerializeToString())
    (other / "fingerprint.pb").unlink()
    mismatches, *_ = _asked(converted, other.name, "alone")
    assert mismatches > 0
