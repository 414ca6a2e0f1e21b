"""Graphs of kinds that no fixture has, for the law of audit: `python tests/law_graphs.py build OUT`, or `judge JOB`.

`build` writes each as a SavedModel with TensorFlow 2's v1 API. `judge` asks the sources and the new models from disk,
in v1 Sessions and through tf.saved_model.load, and prints what differs, as JSON.
"""

from __future__ import annotations

import contextlib
import json
import pathlib
import sys
from collections.abc import Callable

import numpy as np
import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2
from tensorflow.python.ops import lookup_ops

v1 = tf.compat.v1
GRAPHS: dict[str, Callable[[str], None]] = {}
_predict = v1.saved_model.predict_signature_def


def _graph(build):
    GRAPHS[build.__name__] = build
    return build


def _save(path, inputs, outputs, *, init=True, main_op=None, producer=None, signatures=None):
    with v1.Session() as session:
        if init:
            session.run(v1.global_variables_initializer())
        builder = v1.saved_model.Builder(path)
        signatures = signatures or {"serving_default": _predict(inputs, outputs)}
        builder.add_meta_graph_and_variables(session, ["serve"], signatures, main_op=main_op)
        builder.save()
    if producer is not None:
        _change(path, lambda meta_graph: _set_producer(meta_graph.graph_def, producer))


def _change(path, change):
    file = pathlib.Path(path, "saved_model.pb")
    model = saved_model_pb2.SavedModel.FromString(file.read_bytes())
    change(model.meta_graphs[0])
    file.write_bytes(model.SerializeToString())


def _set_producer(graph_def, producer):
    graph_def.ClearField("versions")
    if producer:
        graph_def.versions.producer = producer
    for node in graph_def.node:
        node.attr.pop("_output_shapes", None)  # TensorFlow's importer believes it, and old exporters wrote none.


@contextlib.contextmanager
def _functional():
    v1.enable_control_flow_v2()
    try:
        yield
    finally:
        v1.disable_control_flow_v2()


def _x(shape=(None,), dtype=tf.float32, name="x"):
    return v1.placeholder(dtype, None if shape is None else list(shape), name=name)


def _training(value=False):
    return v1.placeholder_with_default(value, [], name="is_training")


def _counter(dtype=tf.float32):
    return v1.Variable(tf.zeros([], dtype), name="v", use_resource=False)


def _repeat(body, *state):
    """Three rounds of a v1 while loop; gives the last state."""
    return v1.while_loop(lambda i, *_: i < 3, lambda i, *given: (i + 1, *body(*given)), [0, *state])[1:]


# Conds in loops whose predicate is the same in each iteration


def _counted(predicate, x, v):
    """A cond that counts in the branch that does not run: the count and what depends on it have one answer each."""
    return v1.cond(predicate, lambda: x + v1.assign_add(v, 1.0), lambda: x * 2)


@_graph
def loop_enter(path):
    x, v, p = _x(), _counter(), _training()
    (y,) = _repeat(lambda a: (_counted(p, a, v),), x + v)
    _save(path, {"x": x}, {"y": y + v})


@_graph
def loop_const(path):
    x, v = _x(), _counter()
    (y,) = _repeat(lambda a: (_counted(tf.constant(False), a, v),), x + v)
    _save(path, {"x": x}, {"y": y + v})


@_graph
def loop_variable_that_stays(path):
    x, v = _x(), _counter()
    _, y = _repeat(lambda p, a: (p, _counted(p, a, v)), tf.constant(False), x + v)
    _save(path, {"x": x}, {"y": y + v})


@_graph
def loop_variable_that_changes(path):
    x, v = _x(), _counter()
    _, y = _repeat(lambda p, a: (tf.logical_not(p), v1.cond(p, lambda: a + 1, lambda: a * 2)), tf.constant(False), x)
    _save(path, {"x": x}, {"y": y + v})


@_graph
def loop_in_a_loop(path):
    x, v, p = _x(), _counter(), _training()
    (y,) = _repeat(
        lambda a: (
            v1.cond(p, lambda: a + v1.assign_add(v, 1.0), lambda: _repeat(lambda b: (_counted(p, b, v),), a)[0]),
        ),
        x + v,
    )
    _save(path, {"x": x}, {"y": y + v})


@_graph
def loop_that_is_dead_in_a_loop(path):
    x, v, p = _x(), _counter(), _training()
    (y,) = _repeat(
        lambda a: (v1.cond(p, lambda: _repeat(lambda b: (b + v1.assign_add(v, 1.0),), a)[0], lambda: a * 2),),
        x + v,
    )
    _save(path, {"x": x}, {"y": y + v})


@_graph
def loop_and_a_write_that_only_the_dead_branch_takes(path):
    x, p = _x(), _training()
    v = v1.Variable(0.0, name="v", use_resource=True)

    def body(a):
        w = v.assign_add(1.0, read_value=True)
        return (v1.cond(p, lambda: a + w, lambda: a * 2),)

    (y,) = _repeat(body, x)
    signatures = {"serving_default": _predict({"x": x}, {"y": y}), "read": _predict({"x": x}, {"v": v + x})}
    _save(path, None, None, signatures=signatures)


@_graph
def loop_with_gradient(path):
    x, p = _x([3]), _training()
    (y,) = _repeat(lambda a: (v1.cond(p, lambda: tf.sin(a) * 2.0, lambda: tf.cos(a) * a),), x)
    (g,) = tf.gradients(y, x)
    _save(path, {"x": x}, {"y": y, "g": g}, init=False)


@_graph
def loop_with_gradient_and_a_cond_around(path):
    x, p = _x([3]), _training()
    _, y = v1.while_loop(
        lambda i, a: i < 3,
        lambda i, a: (
            i + 1,
            v1.cond(i > 1, lambda: v1.cond(p, lambda: tf.sin(a), lambda: tf.cos(a) * a), lambda: a * a),
        ),
        [0, x],
    )
    (g,) = tf.gradients(y, x)
    _save(path, {"x": x}, {"y": y, "g": g}, init=False)


@_graph
def loop_over_strings(path):
    x, p = _x(dtype=tf.string), _training()
    _, y = v1.while_loop(
        lambda i, a: i < 3,
        lambda i, a: (i + 1, v1.cond(p, lambda: tf.strings.upper(a), lambda: tf.strings.join([a, tf.constant("\0b")]))),
        [0, x],
        shape_invariants=[tf.TensorShape([]), tf.TensorShape([None])],
    )
    _save(path, {"x": x}, {"y": y}, init=False)


@_graph
def loop_of_tensor_arrays(path):
    x, p = _x([4]), _training()
    taken = tf.TensorArray(tf.float32, 4).unstack(x)

    def body(i, made):
        flow = v1.cond(p, lambda: made.write(i, taken.read(i) * 2).flow, lambda: made.write(i, taken.read(i) + 1).flow)
        return i + 1, tf.TensorArray(tf.float32, handle=made.handle, flow=flow)

    _, made = v1.while_loop(lambda i, made: i < 4, body, [0, tf.TensorArray(tf.float32, 4)])
    _save(path, {"x": x}, {"y": made.stack()}, init=False)


@_graph
def loop_of_scan(path):
    x, v, p = _x([2, 5]), _counter(), _training()
    y = tf.scan(lambda h, e: _counted(p, h + e, v), x, tf.zeros([5]))
    _save(path, {"x": x}, {"y": y + v})


@_graph
def loop_with_a_table(path):
    x = _x(dtype=tf.string)
    initializer = lookup_ops.KeyValueTensorInitializer(tf.constant(["a", "b"]), tf.constant([1, 2], tf.int64))
    table = lookup_ops.StaticHashTableV1(initializer, -1)
    y = v1.cond(tf.size(x) > 1, lambda: table.lookup(x), lambda: table.lookup(tf.strings.upper(x)))
    (z,) = _repeat(lambda a: (v1.cond(tf.constant(True), lambda: a + table.lookup(x), lambda: a - 1),), y)
    _save(path, {"x": x}, {"y": y, "z": z}, init=False, main_op=v1.tables_initializer())


@_graph
def loop_with_an_assertion_that_never_runs(path):
    x, p = _x(), _training()

    def fails(a):
        with tf.control_dependencies([v1.Assert(tf.reduce_all(a > 1e9), ["no"])]):
            return a * 3

    (y,) = _repeat(lambda a: (v1.cond(p, lambda: fails(a), lambda: a * 2),), x)
    _save(path, {"x": x}, {"y": y}, init=False)


# What TF1 gives no defined answer to, or has no values


@_graph
def no_values_of_iterations_that_race(path):
    x, v = _x(), _counter()
    (y,) = _repeat(lambda a: (a + v1.assign_add(v, 1.0),), x)
    _save(path, {"x": x}, {"y": y})


@_graph
def open_race(path):
    x = _x([3])
    v = v1.Variable(tf.zeros([3]), name="v", use_resource=True)
    with tf.control_dependencies([v.assign_add(x, read_value=False)]):
        done = tf.identity(x)
    _save(path, {"x": x}, {"y": v.read_value() + done * 0 + v.read_value()})


@_graph
def proved_random_numbers(path):
    x = _x([3])
    _save(path, {"x": x}, {"y": x + v1.random_normal([3])}, init=False)


@_graph
def proved_without_a_value(path):
    x = _x([0])
    _save(path, {"x": x}, {"y": x * 2}, init=False)


@_graph
def loop_of_one_iteration_at_a_time(path):
    x, v = _x(), _counter()
    _, y = v1.while_loop(
        lambda i, a: i < 3, lambda i, a: (i + 1, a + v1.assign_add(v, 1.0)), [0, x], parallel_iterations=1
    )
    _save(path, {"x": x}, {"y": y})


@_graph
def loop_that_waits_for_its_reads(path):
    x, v = _x(), _counter()

    def body(i, a):
        b = a + v1.assign_add(v, 1.0)
        with tf.control_dependencies([b]):
            return i + 1, b

    _, y = v1.while_loop(lambda i, a: i < 3, body, [0, x])
    _save(path, {"x": x}, {"y": y})


# Predicates that are computed, and conds in conds


def _computed(name, predicate):
    def build(path):
        x, v = _x(), _counter()
        _save(path, {"x": x}, {"y": _counted(predicate(x), x, v) + v})

    build.__name__ = f"predicate_{name}"
    _graph(build)


_computed("and", lambda x: tf.logical_and(_training(), tf.reduce_sum(x) > 0))
_computed("or", lambda x: tf.logical_not(tf.logical_or(tf.reduce_sum(x) > 0, _training(True))))
_computed("equal", lambda x: tf.equal(v1.placeholder_with_default("infer", [], name="mode"), "train"))
_computed("cast", lambda x: tf.cast(v1.placeholder_with_default(0, [], name="phase"), tf.bool))
_computed("less", lambda x: tf.less(v1.placeholder_with_default(1.0, [], name="keep_prob"), 1.0))


@_graph
def conds_in_conds(path):
    x, v, p = _x(), _counter(), _training(True)
    y = v1.cond(
        tf.reduce_sum(x) > 0,
        lambda: v1.cond(p, lambda: x * 2, lambda: x + v1.assign_add(v, 1.0)),
        lambda: v1.cond(tf.logical_not(p), lambda: x - v1.assign_add(v, 1.0), lambda: x * 3),
    )
    _save(path, {"x": x}, {"y": y + v})


@_graph
def functional_if(path):
    x, p = _x([3]), _training()
    v = v1.Variable(0.0, name="v", use_resource=True)
    with _functional():
        y = v1.cond(p, lambda: x + v.assign_add(1.0), lambda: x * 2)
    _save(path, {"x": x}, {"y": y + v.read_value()})


def _ref_bodies(op, lowered):
    def build(path):
        x, p = _x([2]), _training()
        with _functional():
            if op == "while":
                y = v1.while_loop(lambda i, _: i < 3, lambda i, a: (i + 1, _scratched(a)), [0, x])[1]
            elif op == "case":
                y = tf.switch_case(tf.cast(p, tf.int32), [lambda: _scratched(x), lambda: x * 2])
            else:
                y = v1.cond(p, lambda: _scratched(x), lambda: x * 2)
        for node in v1.get_default_graph().get_operations():
            if node.type.removeprefix("Stateless") in ("If", "Case", "While"):
                node._set_attr("_lower_using_switch_merge", v1.AttrValue(b=lowered))
        _save(path, {"x": x}, {"y": tf.reshape(y, [2])}, init=False)

    build.__name__ = f"ref_ops_in_a_{op}_{'lowered' if lowered else 'kernel'}"
    _graph(build)


def _scratched(value):
    ref = tf.raw_ops.VariableV2(shape=[2], dtype=tf.float32, name="scratch")
    with tf.control_dependencies([tf.raw_ops.Assign(ref=ref, value=value)]):
        return tf.raw_ops.AssignAdd(ref=ref, value=value) + 1.0


for _op in ("if", "case", "while"):
    for _lowered in (False, True):
        _ref_bodies(_op, _lowered)


@_graph
def a_branch_of_an_init_op(path):
    x, v = _x([]), _counter()
    w = v1.Variable(1.0, name="w", use_resource=False, collections=["mine"])
    chosen = v1.cond(tf.constant(True), lambda: v1.assign(w, 5.0), lambda: v1.assign(w, 7.0))
    _save(path, {"x": x}, {"y": x * w + v}, main_op=chosen.op)


# Variables that only calls fill


def _filled(name, build):
    for is_resource in (False, True):

        def made(path, is_resource=is_resource):
            x = _x([3])
            v = v1.Variable([1.0, 1.0, 1.0], name="v", use_resource=is_resource, collections=["mine"])
            build(path, x, v)

        made.__name__ = f"{name}_{'resource' if is_resource else 'ref'}"
        _graph(made)


def _two_signatures(path, x, y, v):
    filled = tf.identity(v1.assign(v, x))
    signatures = {"serving_default": _predict({"x": x}, {"y": y}), "z_fill": _predict({"x": x}, {"a": filled})}
    _save(path, None, None, init=False, signatures=signatures)


def _is_high(x):
    return tf.reduce_sum(x) > 0.5


_filled("read_in_both", lambda p, x, v: _two_signatures(p, x, v1.cond(_is_high(x), lambda: v * 2, lambda: v * 3), v))
_filled("read_in_one", lambda p, x, v: _two_signatures(p, x, v1.cond(_is_high(x), lambda: v * 2, lambda: x * 3), v))


def _read_or_fill(path, x, v):
    read = v.read_value if v.dtype == tf.float32 else lambda: v1.identity(v._ref())
    y = v1.cond(_is_high(x), lambda: read() * 2, lambda: tf.identity(v1.assign(v, x)))
    _save(path, {"x": x}, {"y": y}, init=False)


_filled("read_or_fill", _read_or_fill)


@_graph
def read_in_one_functional(path):
    x = _x([3])
    v = v1.Variable([1.0, 1.0, 1.0], name="v", use_resource=True, collections=["mine"])
    with _functional():
        y = v1.cond(_is_high(x), lambda: v * 2, lambda: x * 3)
    _two_signatures(path, x, y, v)


@_graph
def filled_before_it_is_read(path):
    x = _x([3])
    v = v1.Variable([1.0, 1.0, 1.0], name="v", use_resource=True, collections=["mine"])
    done = v1.cond(v1.is_variable_initialized(v), lambda: tf.identity(x), lambda: tf.identity(v1.assign(v, x)))
    with tf.control_dependencies([done]):
        y = v1.cond(_is_high(x), lambda: v * 2, lambda: v * 3)
    _save(path, {"x": x}, {"y": y}, init=False)


def _read_beside_the_write(path, x, v):
    with tf.control_dependencies([v1.assign(v, x)]):
        y = v1.cond(_is_high(x), lambda: v * 2, lambda: v * 3)
    _save(path, {"x": x}, {"y": y}, init=False)


_filled("read_beside_the_write", _read_beside_the_write)


def _read_before_the_write(path, x, v):
    y = v1.cond(_is_high(x), lambda: v * 2, lambda: v * 3)
    with tf.control_dependencies([y]):
        a = tf.identity(v1.assign(v, x))
    _save(path, {"x": x}, {"y": y, "a": a}, init=False)


_filled("read_before_the_write", _read_before_the_write)


@_graph
def read_before_the_write_functional(path):
    x = _x([3])
    v = v1.Variable([1.0, 1.0, 1.0], name="v", use_resource=True, collections=["mine"])
    with _functional():
        y = v1.cond(_is_high(x), lambda: v * 2, lambda: v * 3)
    with tf.control_dependencies([y]):
        a = tf.identity(v1.assign(v, x))
    _save(path, {"x": x}, {"y": y, "a": a}, init=False)


# Old graphs


def _stated(path, change):
    _change(path, lambda meta_graph: change(meta_graph.signature_def["serving_default"].inputs["x"]))


def _any_shape(info):
    info.tensor_shape.Clear()
    info.tensor_shape.unknown_rank = True


_STATED = {
    "scalar": lambda info: None,
    "unset": lambda info: info.ClearField("tensor_shape"),
    "any": _any_shape,
    "vector": lambda info: info.tensor_shape.dim.add(size=-1),
}
for _producer in (0, 8, 21, 22, 26, 27, None):
    for _shape, _write in _STATED.items():
        if _shape == "vector" and _producer is not None and _producer <= 21:
            continue  # A Placeholder of that time takes any shape, so the TensorInfo is right.

        def _old_scalar(path, producer=_producer, write=_write):
            x = _x([])
            _save(path, {"x": x}, {"y": x * 2 + 1}, init=False, producer=producer)
            _stated(path, write)

        _old_scalar.__name__ = f"producer_{_producer}_{_shape}"
        _graph(_old_scalar)

    def _old_loop(path, producer=_producer):
        x, v = _x([]), _counter()
        (y,) = _repeat(lambda a: (v1.cond(a > 1, lambda: a * 2, lambda: a + 1),), x + v)
        _save(path, {"x": x}, {"y": y}, producer=producer)

    _old_loop.__name__ = f"producer_{_producer}_loop"
    _graph(_old_loop)


@_graph
def no_shape_at_all(path):
    x = _x([])
    _save(path, {"x": x}, {"y": x * 2}, init=False)

    def change(meta_graph):
        for node in meta_graph.graph_def.node:
            if node.op == "Placeholder":
                del node.attr["shape"]
            node.attr.pop("_output_shapes", None)

    _change(path, change)


# Values


@_graph
def whole_numbers(path):
    x, y, z = _x(dtype=tf.int32), _x(dtype=tf.int64, name="y"), _x(dtype=tf.uint8, name="z")
    outputs = {"a": x * 2147483647 + x, "b": tf.pow(y + 2, 70), "c": z * 255 + 7, "d": tf.cast(x, tf.int8)}
    _save(path, {"x": x, "y": y, "z": z}, outputs, init=False)


@_graph
def division(path):
    x, y = _x(dtype=tf.int32), _x(dtype=tf.int32, name="y")
    _save(path, {"x": x, "y": y}, {"a": x // (2 * y + 1), "b": tf.truncatediv(x, 2 * y - 1)}, init=False)


@_graph
def nul_bytes(path):
    x = _x(dtype=tf.string)
    outputs = {
        "a": tf.strings.join([x, tf.constant(b"\0z")]),
        "b": tf.constant([b"a\0b", b"", b"\0", b"\xff\xfe"]),
        "c": tf.strings.regex_replace(x, "a", "\0"),
    }
    _save(path, {"x": x}, outputs, init=False)


@_graph
def empty_tensors(path):
    x, y = _x([None, 0]), _x([0], tf.int32, name="y")
    outputs = {"a": tf.reduce_sum(x), "b": tf.reduce_max(x), "c": tf.concat([y, [1]], 0)}
    _save(path, {"x": x, "y": y}, outputs, init=False)


@_graph
def state_in_four_signatures(path):
    x = _x([])
    v, u = _counter(), v1.Variable(0.0, name="u", use_resource=True)
    added = v1.assign_add(v, x)
    with tf.control_dependencies([added]):
        both = tf.identity(u.assign_add(added, read_value=True))
    with tf.control_dependencies([v1.assign(v, x), u.assign(x, read_value=False)]):
        reset = tf.identity(x)
    outputs = {
        "add": {"a": tf.identity(added)},
        "both": {"b": both},
        "read": {"v": tf.identity(v) + x, "u": u.read_value()},
        "reset": {"r": reset},
    }
    signatures = {key: _predict({"x": x}, found) for key, found in outputs.items()}
    _save(path, None, None, signatures=signatures)


@_graph
def a_write_in_a_branch_that_a_read_waits_for(path):
    x, v = _x([]), _counter()

    def counts():
        with tf.control_dependencies([v1.assign_add(v, x)]):
            return tf.constant(1.0)

    c = v1.cond(x > 0, counts, lambda: tf.constant(2.0))
    with tf.control_dependencies([c]):
        z = v + 0.0
    _save(path, {"x": x}, {"c": c, "z": z})


# With --feed


def _with_feed(name, build):
    def made(path):
        build(path, v1.placeholder(tf.bool, [], name="training"))

    made.__name__ = f"fed_{name}"
    _graph(made)


def _fed_loop(path, p):
    x, v = _x(), _counter()

    def body(i, a):
        b = _counted(p, a, v)
        with tf.control_dependencies([b]):
            return i + 1, b

    _, y = v1.while_loop(lambda i, a: i < 3, body, [0, x])
    _save(path, {"x": x}, {"y": y})


def _fed_map(path, p):
    x = _x([4])
    y = tf.map_fn(lambda e: v1.cond(p, lambda: e + 1, lambda: e * 2), x)
    _save(path, {"x": x}, {"y": y}, init=False)


def _fed_predicate(path, p):
    x = _x([4])
    y = v1.cond(tf.logical_and(p, tf.reduce_sum(x) > 0), lambda: x + 1, lambda: x * 2)
    _save(path, {"x": x}, {"y": y}, init=False)


_with_feed("loop", _fed_loop)
_with_feed("map", _fed_map)
_with_feed("predicate", _fed_predicate)


# The two modes


def build(out):
    v1.disable_eager_execution()
    v1.disable_control_flow_v2()
    v1.disable_resource_variables()
    for name, made in GRAPHS.items():
        with tf.Graph().as_default():
            made(str(pathlib.Path(out, "fed" if name.startswith("fed_") else "own", name)))


def _values(tensor, number):
    """What the `number`th call feeds a placeholder."""
    shape = [] if tensor.shape.rank is None else [3 if size is None else size for size in tensor.shape.as_list()]
    if tensor.dtype == tf.string:
        return np.full(shape, [b"a", b"\0b", b""][number % 3], object)
    count = np.prod(shape, dtype=int)
    return (np.arange(count) - number).reshape(shape).astype(tensor.dtype.as_numpy_dtype)


def _calls(path):
    with tf.Graph().as_default() as graph, v1.Session() as session:
        signatures = v1.saved_model.load(session, ["serve"], path).signature_def
        keys = sorted((key for key in signatures if not key.startswith("__")), reverse=True)
        return [
            (
                key,
                {name: _values(graph.get_tensor_by_name(i.name), number) for name, i in signatures[key].inputs.items()},
            )
            for number in range(3)
            for key in keys
            for _ in range(2)
        ]


def _asked(session, meta_graph, calls, feeds):
    return [_attempt(_ask, session, meta_graph.signature_def[key], inputs, feeds) for key, inputs in calls]


def _ask(session, signature, inputs, feeds):
    given = {signature.inputs[name].name: value for name, value in inputs.items()}
    return session.run({name: info.name for name, info in signature.outputs.items()}, {**given, **feeds})


def _attempt(call, *arguments):
    try:
        return {
            name: (str(v.dtype), v.shape, v.tolist())
            for name, v in ((n, np.asarray(a)) for n, a in call(*arguments).items())
        }
    except Exception as error:
        return type(error).__name__


def _in_session(path, calls, feeds):
    with tf.Graph().as_default(), v1.Session() as session:
        meta_graph = v1.saved_model.load(session, ["serve"], path)
        return _asked(session, meta_graph, calls, feeds)


def _called(loaded, key, inputs):
    found = loaded.signatures[key](**{name: tf.constant(value) for name, value in inputs.items()})
    return {name: value.numpy() for name, value in found.items()}


def judge(job):
    differences = {}
    for source, new, feeds in job:
        calls = _calls(source)
        golden = _in_session(source, calls, feeds)
        served = _in_session(new, calls, {})
        loaded = tf.saved_model.load(new)
        called = [_attempt(_called, loaded, key, inputs) for key, inputs in calls]
        answered = sum(not isinstance(answer, str) for answer in golden)
        if not answered or repr(golden) != repr(served) or repr(golden) != repr(called):
            differences[source] = [repr(answers)[:2000] for answers in (golden, served, called)]
    print(json.dumps(differences))


if __name__ == "__main__":
    if sys.argv[1] == "build":
        build(sys.argv[2])
    else:
        judge(json.loads(pathlib.Path(sys.argv[2]).read_text()))
