"""Models that draw random numbers are compared by value, and values below the smallest normal number count as zero."""

from __future__ import annotations

import shutil

import pytest

import migrate
from migrate.graph.protos import SavedModel
from migrate.records import Converted, Mismatched, Options, Unverified, Validated
from tests.control_flow import control_flow

pytestmark = [pytest.mark.tensorflow, pytest.mark.slow]


def _save(path, make):
    """A TF1 SavedModel with the signatures that `make` gives: (inputs, outputs) by key."""
    import tensorflow as tf

    v1 = tf.compat.v1
    with tf.Graph().as_default(), v1.Session() as session, control_flow(make in (_functional,)):
        found = make(tf)
        session.run(v1.global_variables_initializer())
        builder = v1.saved_model.Builder(str(path))
        define = v1.saved_model.signature_def_utils.predict_signature_def
        builder.add_meta_graph_and_variables(session, ["serve"], {key: define(i, o) for key, (i, o) in found.items()})
        builder.save()
    return str(path)


def _x(tf):
    return tf.compat.v1.placeholder(tf.float32, [None, 4], "x")


def _weights(tf, shape):
    initial = tf.constant_initializer([0.5, 1.5, -2.0, 0.25])
    return tf.compat.v1.get_variable("w", shape, initializer=initial, use_resource=False)


def _dropout(tf):
    x = _x(tf)
    return {"serving_default": ({"x": x}, {"y": tf.nn.dropout(x * _weights(tf, [4]), rate=0.5, name="drop")})}


def _shared(tf):
    x = _x(tf)
    normal = tf.random.normal(tf.shape(x), seed=7, name="noise")
    uniform = tf.random.uniform(tf.shape(x), name="u")
    return {"serving_default": ({"x": x}, {"y": x + normal}), "other": ({"x": x}, {"z": x * normal + uniform})}


def _loop(tf):
    x, w = _x(tf), _weights(tf, [4])

    def body(step, value):
        return step + 1, value + tf.random.normal(tf.shape(value), name="noise") * w

    _, y = tf.compat.v1.while_loop(lambda step, _: step < 5, body, [0, x])
    return {"serving_default": ({"x": x}, {"y": y})}


def _seeded_loop(tf):
    """Steps of the loop draw from one sequence in whichever order they run."""
    x, w = _x(tf), _weights(tf, [4])

    def body(step, value):
        return step + 1, value * 0.5 + tf.random.normal([4], seed=3, name="noise") * w

    _, y = tf.compat.v1.while_loop(lambda step, _: step < 20, body, [0, x])
    return {"serving_default": ({"x": x}, {"y": y, "sum": x + tf.reduce_sum(w)})}


def _branch(tf):
    x, w = _x(tf), _weights(tf, [4])
    y = tf.compat.v1.cond(tf.reduce_sum(x) > 0, lambda: x + tf.random.normal([4], name="noise") * w, lambda: x * w)
    return {"serving_default": ({"x": x}, {"y": y})}


def _functional(tf):
    x = _x(tf)

    def body(step, value):
        return step + 1, value + tf.random.normal([4], name="noise")

    _, y = tf.while_loop(lambda step, _: step < 3, body, [0, x])
    z = tf.cond(tf.reduce_sum(x) > 0, lambda: x + tf.random.uniform([4], name="u"), lambda: x)
    return {"serving_default": ({"x": x}, {"y": y, "z": z})}


def _function(tf):
    from tensorflow.python.framework import function

    @function.Defun(tf.float32)
    def noisy(value):
        return value + tf.random.normal([4], name="noise")

    x = _x(tf)
    return {"serving_default": ({"x": x}, {"y": noisy(x) * _weights(tf, [4])})}


def _several(tf):
    x = _x(tf)
    y = tf.random.shuffle(x) * _weights(tf, [4])
    classes = tf.compat.v1.multinomial(x, 3)
    gamma, poisson = tf.random.gamma([3], 2.0), tf.random.poisson([3], 2.0)
    truncated = tf.random.truncated_normal([5])
    outputs = {"y": y, "classes": classes, "gamma": gamma, "poisson": poisson, "truncated": truncated}
    return {"serving_default": ({"x": x}, outputs)}


def _counted(tf):
    """Draws, and counts its calls in a variable that the answer shows."""
    x = _x(tf)
    count = tf.compat.v1.get_variable("count", [], initializer=tf.constant_initializer(0.0), use_resource=False)
    with tf.control_dependencies([tf.compat.v1.assign_add(count, 1.0)]):
        total = count.read_value()
    return {"serving_default": ({"x": x}, {"y": x * total + tf.random.normal([4], name="noise")})}


_MODELS = {
    make.__name__.strip("_"): make
    for make in (_dropout, _shared, _loop, _seeded_loop, _branch, _functional, _function, _several, _counted)
}


@pytest.fixture(scope="module")
def converted(tmp_path_factory):
    """Gives a model and its conversion, by the model's name; each is made once."""
    made = {}

    def give(name):
        if name not in made:
            work = tmp_path_factory.mktemp(name)
            source = _save(work / "old", _MODELS[name])
            (report,) = migrate.convert(source, work / "new").models
            made[name] = (source, work / "new", report)
        return made[name]

    return give


@pytest.mark.sampled(2)
@pytest.mark.parametrize("name", _MODELS)
def test_random_models_are_compared_by_value(converted, name):
    _, _, report = converted(name)
    found = report.verification
    assert isinstance(report.outcome, Converted) and found.passed and found.bitwise_equal, found
    assert {name.partition("/")[2] for name in found.seeded} >= {"y"}
    assert {output.path for output in found.outputs} >= {"tf2, seeded", "session, seeded"}
    assert not found.unverified


def test_steps_of_a_loop_that_draw_in_any_order_are_compared_under_seeds_alone(converted):
    _, _, report = converted("seeded_loop")
    compared = {(o.output, o.path) for o in report.verification.outputs if o.values}
    assert {path for name, path in compared if name == "y"} == {"tf2, seeded", "session, seeded"}
    assert {path for name, path in compared if name == "sum"} >= {"tf2", "session"}


def test_the_answers_alone_leave_them_to_the_proof(converted):
    source, new, _ = converted("dropout")
    (report,) = migrate.validate(new, against=source, options=Options(verify="replay")).models
    found = report.verification
    assert isinstance(report.outcome, Validated) and found.level == "replay"
    assert found.seeded == () and found.nondeterministic == ("serving_default/y",)
    assert found.values == 0 and found.structure.outputs_proved == ("serving_default/y",)


def test_the_answers_alone_leave_what_is_not_proved_unverified(tmp_path):
    """A sequence that two signatures share is another one in a function."""
    source = _save(tmp_path / "old", _shared)
    (report,) = migrate.convert(source, tmp_path / "new", Options(verify="replay")).models
    assert isinstance(report.outcome, Unverified) and report.verification.level == "replay"
    assert report.verification.seeded == ()
    assert set(report.verification.unverified) == {"serving_default/y", "other/z"}


def _change(new, tmp_path, change):
    """A copy of a new model whose nodes `change` has been at."""
    path = tmp_path / "changed"
    shutil.copytree(new, path)
    (path / "fingerprint.pb").unlink()
    file = path / "saved_model.pb"
    saved_model = SavedModel.FromString(file.read_bytes())
    changed = 0
    for function in saved_model.meta_graphs[0].graph_def.library.function:
        for node in function.node_def:
            changed += bool(change(node))
    assert changed
    file.write_bytes(saved_model.SerializeToString())
    return path


def _scale(name, factor):
    """Multiplies a constant."""

    def change(node):
        if not f"/{node.name}".endswith(f"/{name}"):
            return False
        import numpy as np

        value = np.frombuffer(node.attr["value"].tensor.tensor_content, np.float32)
        if value.size:
            node.attr["value"].tensor.tensor_content = (value * np.float32(factor)).tobytes()
        else:
            node.attr["value"].tensor.float_val[0] *= factor
        return True

    return change


@pytest.mark.sampled(3)
@pytest.mark.parametrize(
    ("name", "constant", "factor"),
    [
        ("dropout", "drop/GreaterEqual/y", 1.5),
        ("dropout", "drop/Const", 2),
        ("shared", "noise/stddev", 2),
        ("loop", "noise/stddev", 2),
        ("branch", "noise/stddev", 2),
        ("functional", "noise/stddev", 2),
        ("function", "noise/stddev", 2),
        ("counted", "noise/stddev", 2),
        ("several", "truncated_normal/stddev", 1.0001),
        ("several", "random_gamma/alpha", 1.01),
    ],
)
def test_a_draw_of_another_distribution_is_found(converted, tmp_path, name, constant, factor):
    source, new, _ = converted(name)
    changed = _change(new, tmp_path, _scale(constant, factor))
    (report,) = migrate.validate(changed, against=source).models
    assert isinstance(report.outcome, Mismatched)
    assert {m.path for m in report.verification.mismatches} >= {"tf2, seeded", "session, seeded"}
    # The answers of the published bytes show nothing of it.
    (report,) = migrate.validate(changed, against=source, options=Options(verify="replay")).models
    assert not {m.path for m in report.verification.mismatches} & {"tf2", "session"}


def _swap(old, new):
    def change(node):
        if node.op != old:
            return False
        node.op = new
        return True

    return change


@pytest.mark.parametrize(
    ("old", "new"), [("RandomUniform", "TruncatedNormal"), ("RandomUniform", "RandomStandardNormal")]
)
def test_another_random_op_is_not_verified(converted, tmp_path, old, new):
    source, model, _ = converted("dropout")
    (report,) = migrate.validate(_change(model, tmp_path, _swap(old, new)), against=source).models
    assert not isinstance(report.outcome, Validated)


def test_a_renamed_op_is_found_by_its_kind(converted, tmp_path):
    source, model, _ = converted("dropout")

    def rename(node):
        changed = node.name == "drop/random_uniform/RandomUniform"
        if changed:
            node.name = "other"
        for number, name in enumerate(node.input):
            if name.startswith("drop/random_uniform/RandomUniform:"):
                node.input[number] = name.replace("drop/random_uniform/RandomUniform", "other")
        return changed

    (report,) = migrate.validate(_change(model, tmp_path, rename), against=source).models
    found = report.verification
    assert found.seeded == ("serving_default/y",) and found.values
    # By value nothing differs; that a node has lost its name is told of it.
    assert isinstance(report.outcome, Mismatched) and {m.code for m in found.mismatches} == {"node-differs"}, found


def _twice(tf):
    """A function with a random op is called from two places, which TF1 gives one kernel and TF2 may give two.

    Nothing is proved of a sum of nine tensors by AccumulateNV2.
    """
    from tensorflow.python.framework import function

    @function.Defun(tf.float32)
    def noisy(value):
        return value + tf.random.normal([4], name="noise")

    x = _x(tf)
    weights = [tf.identity(_weights(tf, [4]))] * 9
    return {
        "serving_default": (
            {"x": x},
            {"y": (noisy(x) + noisy(2 * x)) * tf.raw_ops.AccumulateNV2(inputs=weights, shape=[4])},
        )
    }


def test_what_is_drawn_from_one_function_in_two_places_is_not_compared_by_value(tmp_path):
    source = _save(tmp_path / "old", _twice)
    (report,) = migrate.convert(source, tmp_path / "new").models
    assert isinstance(report.outcome, Unverified) and report.verification.seeded == ()
    assert not report.verification.mismatches


# Values below the smallest normal number.


def _tiny(tf):
    x = tf.compat.v1.placeholder(tf.float32, [None], "x")
    tiny = tf.constant([1e-25], name="a") * tf.constant([1e-16], name="b")
    return {
        "serving_default": ({"x": x}, {"y": (x * x + 1.0) * tf.constant([1e-25]) * tf.constant([1e-16]) + 0 * tiny})
    }


def test_values_below_the_smallest_normal_number_are_no_chance(tmp_path):
    source = _save(tmp_path / "old", _tiny)
    (report,) = migrate.convert(source, tmp_path / "new").models
    found = report.verification
    assert isinstance(report.outcome, Converted) and found.passed and found.bitwise_equal, found
    assert found.subnormal > 0 and not found.nondeterministic
