"""Gradients through functional control flow are compared: `tf.gradients` would spoil the Session that answers calls."""

from __future__ import annotations

import shutil

import numpy as np
import pytest

pytestmark = pytest.mark.tensorflow

tf = pytest.importorskip("tensorflow")
v1 = tf.compat.v1

import migrate  # noqa: E402 (after TensorFlow, whose classes it shares)
from migrate.graph.protos import SavedModel  # noqa: E402
from migrate.records import Converted, Mismatched, Options  # noqa: E402
from tests.control_flow import control_flow  # noqa: E402

_OPTIONS = Options(timeout=200)


@pytest.fixture(scope="module")
def functional(tmp_path_factory):
    """An If, a Case and a While, over variables of both kinds and a table that an asset fills."""
    folder = tmp_path_factory.mktemp("functional")
    (folder / "words.txt").write_text("a\nb\n", encoding="utf-8")
    v1.enable_control_flow_v2()
    try:
        with tf.Graph().as_default(), v1.Session() as session:
            x = v1.placeholder(tf.float32, [None, 3], "x")
            normal = v1.random_normal_initializer(seed=1)
            w = v1.get_variable("w", [3, 3], initializer=normal, use_resource=False)
            b = v1.get_variable("b", [3], initializer=normal, use_resource=True)
            table = tf.lookup.StaticHashTable(
                tf.lookup.TextFileInitializer(
                    str(folder / "words.txt"),
                    tf.string,
                    tf.lookup.TextFileIndex.WHOLE_LINE,
                    tf.int64,
                    tf.lookup.TextFileIndex.LINE_NUMBER,
                ),
                9,
            )
            scale = tf.cast(table.lookup(tf.constant("b")), tf.float32) + 1.0
            chosen = v1.cond(tf.reduce_sum(x) > -1e6, lambda: tf.matmul(x, w), lambda: x * b)
            cased = tf.switch_case(tf.minimum(tf.size(x), 1), [lambda: x * b, lambda: tf.tanh(x * b * scale)])
            _, looped = v1.while_loop(lambda i, _: i < 3, lambda i, y: (i + 1, tf.matmul(y, w) * 0.5 + b), [0, x])
            outputs = {
                "serving_default": {"chosen": tf.identity(chosen), "cased": tf.identity(cased)},
                "looped": {"looped": tf.identity(looped)},
            }
            session.run(v1.global_variables_initializer())
            builder = v1.saved_model.Builder(str(folder / "old"))
            signatures = {
                key: v1.saved_model.signature_def_utils.predict_signature_def({"x": x}, values)
                for key, values in outputs.items()
            }
            builder.add_meta_graph_and_variables(
                session,
                ["serve"],
                signatures,
                assets_collection=v1.get_collection(v1.GraphKeys.ASSET_FILEPATHS),
                main_op=v1.tables_initializer(),
            )
            builder.save()
    finally:
        v1.disable_control_flow_v2()
    return folder


@pytest.fixture(scope="module")
def report(functional):
    return migrate.convert(str(functional / "old"), str(functional / "new"), _OPTIONS).models[0]


def test_each_gradient_is_compared_and_calls_are_answered_after_it(report):
    assert isinstance(report.outcome, Converted), report.outcome
    # Two variables, of two signatures.
    assert report.verification.gradients_compared == 4
    assert report.verification.bitwise_equal


@pytest.mark.parametrize("op", ["StatelessIf", "StatelessCase", "StatelessWhile"])
def test_a_gradient_that_is_doubled_is_told(functional, report, tmp_path, op):
    new = tmp_path / "new"
    shutil.copytree(functional / "new", new)
    file = new / "saved_model.pb"
    model = SavedModel.FromString(file.read_bytes())
    planted = 0
    for function in model.meta_graphs[0].graph_def.library.function:
        for node in [node for node in function.node_def if node.op in (op, op.removeprefix("Stateless"))]:
            for result in [key for key, value in function.ret.items() if _leads(function, value, node.name)]:
                _double_gradient(function, result)
                planted += 1
    assert planted
    file.write_bytes(model.SerializeToString())
    (new / "fingerprint.pb").unlink()
    told = migrate.validate(str(new), against=str(functional / "old"), options=_OPTIONS).models[0]
    assert isinstance(told.outcome, Mismatched), told.outcome
    assert "gradient-differs" in {mismatch.code for mismatch in told.verification.mismatches}


def _leads(function, tensor, name):
    """Whether a result is an output of a node, handed on."""
    nodes = {node.name: node for node in function.node_def}
    while tensor.partition(":")[0] in nodes:
        node = nodes[tensor.partition(":")[0]]
        if node.name == name:
            return True
        if node.op != "Identity":
            return False
        tensor = node.input[0]
    return False


def _double_gradient(function, result):
    """The same value: y + (y - stop_gradient(y))."""
    before = function.ret[result]
    for name, op, inputs in (
        ("stopped", "StopGradient", [before]),
        ("none", "Sub", [before, f"spoil/{result}/stopped:output:0"]),
        ("sum", "AddV2", [before, f"spoil/{result}/none:z:0"]),
    ):
        node = function.node_def.add(name=f"spoil/{result}/{name}", op=op, input=inputs)
        node.attr["T"].type = 1
    function.ret[result] = f"spoil/{result}/sum:z:0"


def _without_gradients(x, w):
    """Loops through which TF1 gives no gradient: on their own, with an array, in a loop and in a cond."""
    none = {"back_prop": False}
    _, alone = v1.while_loop(lambda i, _: i < 3, lambda i, y: (i + 1, y * w), [0, x], **none)
    mapped = v1.map_fn(lambda row: tf.sin(row * w), x, **none)

    def outer(i, y):
        _, z = v1.while_loop(lambda j, _: j < 2, lambda j, z: (j + 1, z * w), [0, y], **none)
        return i + 1, y * w + z

    _, nested = v1.while_loop(lambda i, _: i < 2, outer, [0, x])
    chosen = v1.cond(
        tf.size(x) > 0,
        lambda: v1.while_loop(lambda i, _: i < 2, lambda i, y: (i + 1, y - w), [0, x * w], **none)[1] + w,
        lambda: x,
    )
    return alone + mapped + nested + chosen + tf.square(w)


def test_loops_without_back_prop_have_no_gradient_as_in_tf1(tmp_path):
    with control_flow(), tf.Graph().as_default(), v1.Session() as session:
        x = v1.placeholder(tf.float32, [None, 2], "x")
        w = v1.get_variable("w", initializer=tf.constant([0.5, -2.0]), use_resource=False)
        y = tf.identity(_without_gradients(x, w), "y")
        session.run(v1.global_variables_initializer())
        v1.saved_model.simple_save(session, str(tmp_path / "old"), {"x": x}, {"y": y})
        given = [[1.0, 2.0], [-3.0, 0.5]]
        expected = session.run(tf.gradients(y, w)[0], {x: given})
    report = migrate.convert(
        str(tmp_path / "old"), str(tmp_path / "new"), Options(timeout=200, control_flow="functional")
    ).models[0]
    assert isinstance(report.outcome, Converted), report.verification
    assert report.verification.gradients_compared == 1 and not report.verification.lost_gradients
    model = tf.saved_model.load(str(tmp_path / "new"))
    with tf.GradientTape() as tape:
        found = model.signatures["serving_default"](x=tf.constant(given))["y"]
    np.testing.assert_allclose(tape.gradient(found, model.vars["w"]), expected, rtol=1e-6)
