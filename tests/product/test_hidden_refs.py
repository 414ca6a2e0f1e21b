"""Refs where one does not look for them: fed over, in savers, colocated, pinned, in library functions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from migrate.plan.restore import Uninitialized

pytestmark = pytest.mark.tensorflow

tf = pytest.importorskip("tensorflow")
v1 = tf.compat.v1
raw = tf.raw_ops

from tests.rewrite.differential import check, refusals  # noqa: E402 (starts TensorFlow)

CASES: dict[str, Callable[[], Any]] = {}


def case(build: Callable[[], Any]) -> Callable[[], Any]:
    CASES[build.__name__] = build
    return build


def _variable(value: Any = (1.0, 2.0), name: str = "v") -> Any:
    return v1.Variable(tf.constant(value), name=name, use_resource=False)


def _input() -> Any:
    return v1.placeholder(tf.float32, [2], name="x")


@case
def a_ref_fed_over_by_a_signature() -> Any:
    v = _variable()
    read = tf.identity(v._ref())
    return {
        "s": ({"x": v._ref()}, {"y": read * 2.0, "direct": raw.Mul(x=v._ref(), y=v._ref())}),
        "get": ({}, {"v": read}),
    }


@case
def a_read_fed_over_by_a_signature() -> Any:
    v, x = _variable(), _input()
    read = tf.identity(v._ref())
    w = v1.assign_add(v, x)
    with tf.control_dependencies([w]):
        y = read * 2.0
    return {"fed": ({"x": read}, {"y": read * 2.0}), "s": ({"x": x}, {"y": y})}


@case
def a_sparse_op_takes_the_ref_itself() -> Any:
    v, x = _variable(), _input()
    w = v1.assign_add(v, x)
    with tf.control_dependencies([w]):
        packed = raw.SerializeManySparse(
            sparse_indices=tf.constant([[0, 0], [1, 0]], tf.int64),
            sparse_values=v._ref(),
            sparse_shape=tf.constant([2, 1], tf.int64),
        )
    return {"s": ({"x": x}, {"packed": packed})}


@case
def ops_that_take_a_list_of_refs() -> Any:
    a, b, x = _variable(name="a"), _variable([5.0, 6.0], name="b"), _input()
    w = v1.assign_add(a, x)
    with tf.control_dependencies([w]):
        y = raw.ConcatV2(values=[a._ref(), b._ref(), x], axis=0)
        z = raw.AddN(inputs=[a._ref(), b._ref()])
    return {"s": ({"x": x}, {"y": y, "z": z})}


@case
def colocation_with_a_variable() -> Any:
    v, x = _variable(), _input()
    with v1.colocate_with(v.op):
        w = v1.assign_add(v, x)
        with tf.control_dependencies([w]):
            y = raw.Mul(x=v._ref(), y=x)
    return {"s": ({"x": x}, {"y": y})}


@case
def a_variable_pinned_to_a_parameter_server() -> Any:
    x = _input()
    with tf.device("/job:localhost/task:0/cpu:0"):
        v = _variable()
    return {"s": ({"x": x}, {"y": v1.assign_add(v, x) * 2.0})}


@case
def a_variable_in_a_container() -> Any:
    x = _input()
    with tf.compat.v1.get_default_graph().container("elsewhere"):
        v = _variable()
    same = raw.VariableV2(shape=[2], dtype=tf.float32, shared_name="v", container="elsewhere", name="same")
    w = v1.assign_add(v, x)
    with tf.control_dependencies([w]):
        return {"s": ({"x": x}, {"y": raw.Mul(x=same, y=x)}), "get": ({}, {"v": v._ref(), "same": same})}


@case
def refs_of_every_width() -> Any:
    x = _input()
    outputs = {}
    for dtype in (tf.float64, tf.float16, tf.bfloat16, tf.int8, tf.uint8, tf.int16, tf.int64, tf.complex64):
        v = v1.Variable(tf.cast(tf.constant([1.0, 2.0]), dtype), name=dtype.name, use_resource=False)
        w = v1.assign_add(v, tf.cast(x, dtype))
        with tf.control_dependencies([w]):
            outputs[dtype.name] = tf.cast(tf.identity(v._ref()), tf.complex64)
    return {"s": ({"x": x}, outputs)}


@case
def refs_of_strings_and_bools() -> Any:
    x = _input()
    text, flag = _variable(["a", "b"], "text"), _variable([True, False], "flag")
    new = v1.assign(text, tf.strings.as_string(x))
    on = v1.assign(flag, x > 0.0)
    with tf.control_dependencies([new, on]):
        written = {"text": tf.strings.join([text._ref(), "!"]), "flag": tf.logical_not(flag._ref())}
    return {"s": ({"x": x}, written), "get": ({}, {"text": tf.identity(text._ref()), "flag": flag._ref()})}


@case
def a_variable_node_in_a_branch() -> Any:
    _variable(name="kept")
    x = _input()

    def inside() -> Any:
        ref = raw.VariableV2(shape=[2], dtype=tf.float32, shared_name="kept", name="again")
        return raw.Mul(x=ref, y=ref)

    return {"s": ({"x": x}, {"y": v1.cond(tf.reduce_sum(x) > 3.2, inside, lambda: x * 0.5)})}


@case
def a_variable_node_in_a_loop_in_a_branch() -> Any:
    _variable(name="kept")
    x = _input()

    def step(i: Any, total: Any) -> Any:
        ref = raw.VariableV2(shape=[2], dtype=tf.float32, shared_name="kept", name="again")
        with tf.control_dependencies([total]):  # Iterations run in parallel.
            return i + 1, total + raw.AssignAdd(ref=ref, value=tf.constant([1.0, 0.5]))

    def inside() -> Any:
        return tf.while_loop(lambda i, _: i < 3, step, [tf.constant(0), x])[1]

    return {"s": ({"x": x}, {"y": v1.cond(tf.reduce_sum(x) > 3.2, inside, lambda: x * 0.5)})}


def _calls(signatures: Any) -> list[Any]:
    calls = []
    for value in ([1.0, 2.0], [3.0, 0.5], [0.25, 4.0]):
        for key, (inputs, _) in signatures.items():
            calls.append((key, {"x": value} if "x" in inputs else {}))
    return calls


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_hidden_ref(name: str, tmp_path: Any) -> None:
    with tf.Graph().as_default():
        v1.disable_control_flow_v2()
        keys = CASES[name]()
    check(CASES[name], _calls(keys), str(tmp_path))


def test_a_write_of_what_is_fed_is_refused(tmp_path: Any) -> None:
    def build() -> Any:
        v = _variable()
        return {"s": ({"x": v._ref()}, {"y": v1.assign_add(v, [1.0, 1.0])})}

    assert [f.code for f in refusals(build, str(tmp_path))] == ["ref-is-fed"]


def test_a_signature_that_saves_takes_the_ref_itself(tmp_path: Any) -> None:
    def build() -> Any:
        v, x = _variable(), _input()
        path = v1.placeholder(tf.string, [], name="path")
        w = v1.assign_add(v, x)
        with tf.control_dependencies([w]):
            save = raw.SaveV2(prefix=path, tensor_names=["v"], shape_and_slices=[""], tensors=[v._ref()])
        with tf.control_dependencies([save]):
            (y,) = raw.RestoreV2(prefix=path, tensor_names=["v"], shape_and_slices=[""], dtypes=[tf.float32])
        return {"s": ({"x": x, "path": path}, {"y": y})}

    given = {"x": [1.0, 2.0], "path": str(tmp_path / "saved")}
    check(build, [("s", given), ("s", given)], str(tmp_path))


def test_a_read_before_an_assign_of_another_shape_is_refused(tmp_path: Any) -> None:
    def build() -> Any:
        v, x = _variable(), _input()
        r = tf.identity(v._ref())
        with tf.control_dependencies([r]):
            w = v1.assign(v, tf.concat([x, x], 0), validate_shape=False)
        with tf.control_dependencies([w]):
            return {"s": ({"x": x}, {"y": r * 2.0})}

    assert [f.code for f in refusals(build, str(tmp_path))] == ["aliased-buffer-undecided"]


def test_a_scratch_variable_that_no_checkpoint_fills(tmp_path: Any) -> None:
    def build() -> Any:
        x = v1.placeholder(tf.float32, [2], name="x")
        scratch = tf.raw_ops.VariableV2(shape=[2], dtype=tf.float32, name="scratch")
        kept = v1.Variable([1.0, 2.0], name="kept", use_resource=False)
        with tf.control_dependencies([tf.raw_ops.Assign(ref=scratch, value=x)]):
            added = tf.raw_ops.AssignAdd(ref=scratch, value=kept.read_value())
        with tf.control_dependencies([added]):
            return {"s": ({"x": x}, {"y": tf.raw_ops.Mul(x=scratch, y=x)})}

    plan = check(build, [("s", {"x": [1.0, 2.0]}), ("s", {"x": [3.0, -1.0]})], str(tmp_path))
    assert [v.name for v in plan.variables if v.value == Uninitialized(is_looked_at=False)] == ["scratch"]


def _without_a_value() -> Any:
    """A variable that no checkpoint has, and signatures that set, grow, read and ask for it."""
    x = _input()
    v = raw.VariableV2(shape=[2], dtype=tf.float32, name="v")
    kept = v1.Variable([1.0, 2.0], name="kept", use_resource=False)
    known = v1.is_variable_initialized(v)
    once = v1.cond(known, lambda: tf.identity(v), lambda: tf.identity(raw.Assign(ref=v, value=kept.read_value())))
    return {
        "ask": ({}, {"known": known}),
        "get": ({}, {"v": tf.identity(v), "twice": raw.Mul(x=v, y=[2.0, 2.0])}),
        "set": ({"x": x}, {"v": raw.Assign(ref=v, value=x) * 3.0}),
        "grow": ({"x": x}, {"v": raw.AssignAdd(ref=v, value=x) * 3.0}),
        "scatter": ({"x": x}, {"v": raw.ScatterAdd(ref=v, indices=[0, 1], updates=x) * 3.0}),
        "lazy": ({}, {"v": once * 5.0}),
    }


@pytest.mark.parametrize("first", ["set", "lazy"])
def test_a_variable_without_a_value_until_a_call_sets_it(first: str, tmp_path: Any) -> None:
    x = {"x": [3.0, -1.0]}
    before = [("ask", {}), ("get", {}), ("grow", x), ("scatter", x), ("ask", {})]
    after = [("ask", {}), ("get", {}), ("grow", x), ("get", {}), ("scatter", x), ("lazy", {}), ("set", x), ("get", {})]
    plan = check(_without_a_value, [*before, (first, x if first == "set" else {}), *after], str(tmp_path))
    assert [v.name for v in plan.variables if isinstance(v.value, Uninitialized)] == ["v"]
    assert [f.nodes for f in plan.findings if f.code == "variable-uninitialized"] == [("v",)]


def test_a_variable_that_no_call_sets_is_refused(tmp_path: Any) -> None:
    def build() -> Any:
        v = raw.VariableV2(shape=[2], dtype=tf.float32, name="v")
        return {"get": ({}, {"v": tf.identity(v)}), "ask": ({}, {"known": v1.is_variable_initialized(v)})}

    assert [f.code for f in refusals(build, str(tmp_path))] == ["variable-without-value"]
