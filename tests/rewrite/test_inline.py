"""Ref ops in function bodies: a body takes the place of its call, and a v1 Session's answers stay."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from migrate.graph.protos import MetaGraphDef
from migrate.plan.plan import make_plan

pytestmark = pytest.mark.tensorflow

tf = pytest.importorskip("tensorflow")
v1 = tf.compat.v1
raw = tf.raw_ops

from tensorflow.python.framework import function  # noqa: E402 (starts TensorFlow)

from tests.rewrite.differential import check  # noqa: E402 (starts TensorFlow)

CASES: dict[str, Callable[[], Any]] = {}


def case(build: Callable[[], Any]) -> Callable[[], Any]:
    CASES[build.__name__] = build
    return build


def _input() -> Any:
    return v1.placeholder(tf.float32, [2], name="x")


def _scratch(value: Any, name: str = "scratch") -> Any:
    """A ref variable that is set before it is used: (ref, the Assign's ref)."""
    ref = raw.VariableV2(shape=[2], dtype=tf.float32, name=name)
    return ref, raw.Assign(ref=ref, value=value)


@case
def a_defun_with_a_variable() -> Any:
    @function.Defun(tf.float32)
    def body(a: Any) -> Any:
        ref, first = _scratch(a)
        with tf.control_dependencies([first]):
            alias = tf.identity(ref)
        with tf.control_dependencies([alias]):
            added = raw.AssignAdd(ref=ref, value=a * 3.0)
        with tf.control_dependencies([added]):
            return alias * 2.0

    x = _input()
    return {"s": ({"x": x}, {"y": body(x)})}


@case
def a_tf_function_with_a_variable() -> Any:
    @tf.function
    def body(a: Any) -> Any:
        ref, first = _scratch(a)
        with tf.control_dependencies([first]):
            return tf.identity(raw.AssignAdd(ref=ref, value=a)), a - 1.0

    x = _input()
    y, z = body(x)
    return {"s": ({"x": x}, {"y": y, "z": z, "sum": y + z})}


@case
def calls_of_a_tf_function_share_a_variable() -> Any:
    @tf.function
    def body(a: Any) -> Any:
        ref, first = _scratch(a, "outer")
        with tf.control_dependencies([first]):
            return tf.identity(raw.AssignAdd(ref=ref, value=a))

    x = _input()
    outer, first = _scratch(x * 10.0, "outer")
    with tf.control_dependencies([first]):
        y = body(x)
    with tf.control_dependencies([y]):
        z = body(y)
    with tf.control_dependencies([z]):
        return {"s": ({"x": x}, {"y": y, "z": z, "outer": raw.Mul(x=outer, y=x)})}


@case
def an_op_of_several_outputs_in_a_body() -> Any:
    @function.Defun(tf.float32)
    def body(a: Any) -> Any:
        ref, first = _scratch(a)
        with tf.control_dependencies([first]):
            values, indices = tf.nn.top_k(raw.Mul(x=ref, y=a), 2)
        left, right = tf.split(values, 2)
        return left + right, indices

    x = _input()
    total, indices = body(x)
    return {"s": ({"x": x}, {"total": total, "indices": indices})}


@case
def a_cond_in_a_body() -> Any:
    @function.Defun(tf.float32)
    def body(a: Any) -> Any:
        ref, first = _scratch(a)
        with tf.control_dependencies([first]):
            grown = v1.cond(
                tf.reduce_sum(a) > 4.0, lambda: tf.identity(raw.AssignAdd(ref=ref, value=a)), lambda: a * 0.5
            )
        with tf.control_dependencies([grown]):
            return grown + raw.Mul(x=ref, y=a)

    x = _input()
    return {"s": ({"x": x}, {"y": body(x)})}


@case
def a_loop_in_a_body() -> Any:
    @function.Defun(tf.float32)
    def body(a: Any) -> Any:
        ref, first = _scratch(a)

        def step(i: Any, before: Any) -> Any:
            with tf.control_dependencies([before]):  # Iterations run in parallel.
                return i + 1, raw.AssignAdd(ref=ref, value=tf.constant([1.0, 0.5])) + 0.0

        with tf.control_dependencies([first]):
            return tf.while_loop(lambda i, _: i < 3, step, [tf.constant(0), a])[1] * 1.0

    x = _input()
    return {"s": ({"x": x}, {"y": body(x)})}


@case
def a_defun_in_a_loop() -> Any:
    @function.Defun(tf.float32)
    def body(a: Any) -> Any:
        ref, first = _scratch(a)
        with tf.control_dependencies([first]):
            return raw.AssignAdd(ref=ref, value=a) + 0.0

    def step(i: Any, before: Any) -> Any:
        return i + 1, tf.ensure_shape(body(before) + 1.0, [2])  # What a Defun gives has no known shape.

    x = _input()
    return {"s": ({"x": x}, {"y": tf.while_loop(lambda i, _: i < 3, step, [tf.constant(0), x])[1]})}


@case
def a_tf_function_in_a_loop() -> Any:
    @tf.function
    def body(a: Any) -> Any:
        ref, first = _scratch(a)
        with tf.control_dependencies([first]):
            return raw.AssignAdd(ref=ref, value=a) + 0.0

    x = _input()
    y = tf.while_loop(lambda i, _: i < 3, lambda i, a: (i + 1, body(a)), [tf.constant(0), x])[1]
    return {"s": ({"x": x}, {"y": y})}


@case
def a_queue_with_a_shared_name_filled_where_no_output_needs_it() -> Any:
    @function.Defun(tf.float32)
    def enqueue(a: Any) -> Any:
        queue = raw.FIFOQueue(component_types=[tf.float32], shapes=[[2]], shared_name="line")
        raw.QueueEnqueue(handle=queue, components=[a])
        return a * 2.0

    x = _input()
    y = enqueue(x)
    queue = raw.FIFOQueue(component_types=[tf.float32], shapes=[[2]], shared_name="line")
    with tf.control_dependencies([y]):
        size = raw.QueueSize(handle=queue) + 0
    return {"s": ({"x": x}, {"y": y}), "size": ({"x": x}, {"size": size})}


@pytest.mark.parametrize("name", CASES)
def test_inlined(name: str, tmp_path: Any) -> None:
    with tf.Graph().as_default():
        v1.disable_control_flow_v2()
        keys = CASES[name]()
    calls = [(key, {"x": value}) for value in ([1.0, 2.0], [3.0, 0.5], [0.25, 4.0]) for key in keys]
    check(CASES[name], calls, str(tmp_path))


def test_a_body_that_a_dataset_runs_is_refused() -> None:
    meta_graph = _calls("MapDataset")
    assert "ref-in-function" in [f.code for f in make_plan(meta_graph).findings]


@pytest.mark.parametrize("kind", ["defun", "tf_function"])
def test_a_session_has_a_nameless_queue_for_each_set_of_fetches(kind: str) -> None:
    """Why such state is refused: one call does not see what another one, with other fetches, put there."""

    def body(a: Any) -> Any:
        queue = raw.FIFOQueue(component_types=[tf.float32], shapes=[[2]], name="queue")
        with tf.control_dependencies([raw.QueueEnqueue(handle=queue, components=[a])]):
            return tf.cast(raw.QueueSize(handle=queue), tf.float32) + 0.0

    with tf.Graph().as_default() as graph, v1.Session() as session:
        x = _input()
        call = (function.Defun(tf.float32) if kind == "defun" else tf.function)(body)(x)
        other = call + 0.5
        given = {x: [1.0, 2.0]}
        assert [session.run(t, given) for t in (call, call, other, call)] == [1.0, 2.0, 1.5, 3.0]
        meta_graph = MetaGraphDef.FromString(v1.train.export_meta_graph(graph=graph).SerializeToString())
    meta_graph.signature_def["s"].inputs["x"].name = "x:0"
    meta_graph.signature_def["s"].outputs["y"].name = call.name
    assert "ref-in-function" in [f.code for f in make_plan(meta_graph).findings]


def _calls(op: str) -> MetaGraphDef:
    meta_graph = MetaGraphDef()
    body = meta_graph.graph_def.library.function.add()
    body.signature.name = "body"
    body.signature.output_arg.add(name="y", type=1)
    body.node_def.add(name="v", op="VariableV2").attr["dtype"].type = 1
    body.ret["y"] = "v:ref:0"
    call = meta_graph.graph_def.node.add(name="call", op=op)
    call.attr["f"].func.name = "body"
    call.attr["Tout"].list.type.append(1)
    meta_graph.signature_def["s"].outputs["y"].name = "call:0"
    return meta_graph


def test_functions_that_call_others_are_refused() -> None:
    """Measured: variables in nested calls of one name are one where TensorFlow does not inline, else not."""
    meta_graph = _calls("StatefulPartitionedCall")
    outer = meta_graph.graph_def.library.function.add()
    outer.signature.name = "outer"
    outer.signature.output_arg.add(name="y", type=1)
    outer.node_def.add(name="inner", op="body")
    outer.ret["y"] = "inner:y:0"
    meta_graph.graph_def.node[0].attr["f"].func.name = "outer"
    assert "ref-in-function" in [f.code for f in make_plan(meta_graph).findings]


def _slow(tensor: Any) -> Any:
    """The same values, after much work."""
    large = tf.fill([600, 600], tf.reduce_sum(tensor))
    for _ in range(4):
        large = tf.matmul(large, large) * 0.0
    return tensor + large[0, 0]


@pytest.mark.parametrize("form", ["call", "defun", "If", "While"])
@pytest.mark.parametrize("kind", ["ref", "resource"])
def test_a_body_starts_when_all_inputs_of_its_call_are_there(kind: str, form: str, tmp_path: Any) -> None:
    """The read that one input is made of is late, and still before the write that the body does with another input."""

    def body(*given: Any) -> Any:
        if kind == "ref":
            (a, b), target = given, raw.VariableV2(shape=[2], dtype=tf.float32, shared_name="n")
            write = raw.AssignAdd(ref=target, value=a)
        else:
            handle, a, b = given
            write = raw.AssignAddVariableOp(resource=handle, value=a)
        with tf.control_dependencies([write]):
            return b * 2.0, a + 1.0

    def build() -> Any:
        n = v1.Variable([1.0, 2.0], name="n", use_resource=kind == "resource")
        x = _input()
        with tf.control_dependencies([_slow(x)]):
            read = raw.Neg(x=n.read_value() if kind == "resource" else n._ref())
        given = [x, read]
        given = given if kind == "ref" else [n.handle, *given]
        y, z = _called(form, body, *given)
        return {"s": ({"x": x}, {"y": y, "z": z}), "z": ({"x": x}, {"z": z})}

    calls = [(key, {"x": [float(k), 0.5]}) for k in range(4) for key in ("s", "z")]
    check(build, calls, str(tmp_path))


@pytest.mark.sampled(5)
@pytest.mark.slow
@pytest.mark.parametrize("inner", ["call", "defun", "If", "While"])
@pytest.mark.parametrize("outer", ["call", "defun", "If", "While"])
@pytest.mark.parametrize("late", ["given", "made"])
def test_a_body_in_a_body_starts_when_all_inputs_of_its_call_are_there(
    late: str, outer: str, inner: str, tmp_path: Any
) -> None:
    """The late read is an input of the outer call, or the outer body makes it for the inner call."""

    def writes(handle: Any, a: Any, b: Any) -> Any:
        with tf.control_dependencies([raw.AssignAddVariableOp(resource=handle, value=a)]):
            return b * 2.0, a + 1.0

    def read(handle: Any, x: Any) -> Any:
        with tf.control_dependencies([_slow(x)]):
            value = raw.ReadVariableOp(resource=handle, dtype=tf.float32)
        return tf.ensure_shape(value, [2]) * -1.0

    def calls_it(handle: Any, a: Any, b: Any) -> Any:
        b = read(handle, b) if late == "made" else b
        y, z = _called(inner, writes, handle, a, b)
        return tf.ensure_shape(y, [2]) + 1.0, tf.ensure_shape(z, [2]) * 1.0

    def build() -> Any:
        n = v1.Variable([1.0, 2.0], name="n", use_resource=True)
        x = _input()
        y, z = _called(outer, calls_it, n.handle, x, read(n.handle, x) if late == "given" else x * 0.5)
        return {"s": ({"x": x}, {"y": y, "z": z}), "z": ({"x": x}, {"z": z})}

    calls = [(key, {"x": [float(k), 0.5]}) for k in range(3) for key in ("s", "z")]
    check(build, calls, str(tmp_path))


def _called(form: str, body: Callable[..., Any], *given: Any) -> Any:
    """A body's two outputs, from a call of some form that a kernel runs."""
    if form == "call":
        return tf.function(body, autograph=False)(*given)
    if form == "defun":
        return function.Defun(*(tensor.dtype for tensor in given))(body)(*given)
    return _controlled(form, body, list(given))


def _controlled(form: str, body: Callable[..., Any], given: list[Any]) -> Any:
    known = len(v1.get_default_graph().get_operations())
    v1.enable_control_flow_v2()
    try:
        if form == "If":
            result = tf.cond(given[-2][0] > -1.0, lambda: body(*given), lambda: (given[-1], given[-2]))
        else:
            start = [0, given[-2], given[-1]]
            result = tf.while_loop(lambda i, *_: i < 2, lambda i, a, b: (i + 1, *body(*given[:-2], b, a)), start)[1:]
    finally:
        v1.disable_control_flow_v2()
    for operation in v1.get_default_graph().get_operations()[known:]:
        if operation.type.removeprefix("Stateless") == form:
            operation._set_attr("_lower_using_switch_merge", v1.AttrValue(b=False))
    return result
