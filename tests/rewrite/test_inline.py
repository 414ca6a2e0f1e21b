"""Ref ops in function bodies: a body takes the place of its call, and a v1 Session's answers stay."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from migrate.rewrite.plan import make_plan
from migrate.sources.protos import MetaGraphDef

pytestmark = pytest.mark.tensorflow

tf = pytest.importorskip("tensorflow")
v1 = tf.compat.v1
raw = tf.raw_ops

from tensorflow.python.framework import function  # noqa: E402 (starts TensorFlow)

from tests.rewrite.differential import check, refusals  # noqa: E402 (starts TensorFlow)

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


def _functional(construct: str, lowered: bool, body: Callable[[Any], Any], x: Any) -> Any:
    """`body` in a branch that is taken for some inputs, or in two iterations."""
    graph = v1.get_default_graph()
    known = len(graph.get_operations())
    v1.enable_control_flow_v2()
    if construct == "If":
        result = tf.cond(tf.reduce_sum(x) > 4.0, lambda: body(x), lambda: x * 0.5)
    elif construct == "Case":
        number = tf.cast(tf.reduce_sum(x) > 4.0, tf.int32)
        result = tf.switch_case(number, [lambda: body(x), lambda: x * 0.5, lambda: x])
    else:
        result = tf.while_loop(lambda i, _: i < 2, lambda i, a: (i + 1, body(a)), [tf.constant(0), x])[1]
    v1.disable_control_flow_v2()
    (node,) = (op for op in graph.get_operations()[known:] if op.type.removeprefix("Stateless") == construct)
    node._set_attr("_lower_using_switch_merge", v1.AttrValue(b=lowered))
    return result


def _of_its_own(a: Any) -> Any:
    """A variable that is set before it is used, under a name that the graph has, too."""
    ref, first = _scratch(a, "outer")
    with tf.control_dependencies([first]):
        alias = tf.identity(ref)
    with tf.control_dependencies([alias]):
        added = raw.AssignAdd(ref=ref, value=a * 3.0)
    with tf.control_dependencies([added]):
        return tf.ensure_shape(alias * 2.0 + raw.Mul(x=ref, y=a), [2])


def _shared(a: Any) -> Any:
    """The graph's variable, by its shared_name."""
    ref = raw.VariableV2(shape=[2], dtype=tf.float32, name="inner", shared_name="outer")
    return tf.ensure_shape(raw.AssignAdd(ref=ref, value=a) + 0.5, [2])


def _unread(a: Any) -> Any:
    """A write that no output needs."""
    ref = raw.VariableV2(shape=[2], dtype=tf.float32, name="inner", shared_name="outer")
    raw.AssignAdd(ref=ref, value=a * 2.0)
    return a + 1.0


def _resource(a: Any) -> Any:
    """A resource variable of the body's own."""
    handle = raw.VarHandleOp(dtype=tf.float32, shape=[2], shared_name="made")
    with tf.control_dependencies([raw.AssignVariableOp(resource=handle, value=a * 3.0)]):
        added = raw.AssignAddVariableOp(resource=handle, value=a)
    with tf.control_dependencies([added]):
        return tf.ensure_shape(raw.ReadVariableOp(resource=handle, dtype=tf.float32) * 2.0, [2])


@pytest.mark.parametrize("body", [_of_its_own, _shared, _unread, _resource])
@pytest.mark.parametrize("lowered", [True, False], ids=["lowered", "kernel"])
@pytest.mark.parametrize("construct", ["If", "While"])
def test_functional_control_flow(construct: str, lowered: bool, body: Callable[[Any], Any], tmp_path: Any) -> None:
    def build() -> Any:
        x = _input()
        outer = v1.Variable([1.0, 2.0], name="outer", use_resource=False)._ref()
        with tf.control_dependencies([raw.AssignAdd(ref=outer, value=x)]):
            given = tf.identity(x)
        y = _functional(construct, lowered, body, given)
        with tf.control_dependencies([y]):
            return {"s": ({"x": x}, {"y": y, "z": y * 2.0, "outer": raw.Mul(x=outer, y=tf.ones([2]))})}

    calls: Any = [("s", {"x": value}) for value in ([1.0, 2.0], [3.0, 1.5], [0.25, 4.0], [0.5, 0.5])]
    check(build, calls, str(tmp_path))


@pytest.mark.parametrize("lowered", [True, False], ids=["lowered", "kernel"])
def test_an_alias_and_a_value_come_out_of_a_branch_and_a_write_waits_for_it(lowered: bool, tmp_path: Any) -> None:
    def build() -> Any:
        x = _input()
        outer = v1.Variable([1.0, 2.0], name="outer", use_resource=False)._ref()
        graph = v1.get_default_graph()
        known = len(graph.get_operations())

        def taken() -> Any:
            ref = raw.VariableV2(shape=[2], dtype=tf.float32, name="inner", shared_name="outer")
            with tf.control_dependencies([raw.AssignAdd(ref=ref, value=x)]):
                return tf.identity(ref), raw.Mul(x=ref, y=x)

        v1.enable_control_flow_v2()
        alias, value = tf.cond(tf.reduce_sum(x) > 4.0, taken, lambda: (x * 0.5, x + 1.0))
        v1.disable_control_flow_v2()
        (node,) = (op for op in graph.get_operations()[known:] if op.type == "If")
        node._set_attr("_lower_using_switch_merge", v1.AttrValue(b=lowered))
        with tf.control_dependencies([node, value]):
            written = raw.AssignAdd(ref=outer, value=[10.0, 20.0])
        with tf.control_dependencies([written]):
            return {"s": ({"x": x}, {"alias": alias + 1.0, "value": value, "more": value * 2.0})}

    check(build, [("s", {"x": x}) for x in ([1.0, 2.0], [3.0, 1.5], [0.25, 4.0])], str(tmp_path))


@pytest.mark.parametrize("lowered", [True, False], ids=["lowered", "kernel"])
def test_the_condition_of_a_loop_reads_the_variable_that_its_body_writes(lowered: bool, tmp_path: Any) -> None:
    def build() -> Any:
        x = _input()
        outer = v1.Variable([1.0, 2.0], name="outer", use_resource=False)._ref()
        with tf.control_dependencies([raw.Assign(ref=outer, value=x)]):
            given = tf.identity(x)

        def inner() -> Any:
            return raw.VariableV2(shape=[2], dtype=tf.float32, name="inner", shared_name="outer")

        def body(i: Any) -> Any:
            with tf.control_dependencies([raw.AssignAdd(ref=inner(), value=[1.0, 2.0])]):
                return tf.ensure_shape(i + 1.0, [2])

        graph = v1.get_default_graph()
        known = len(graph.get_operations())
        v1.enable_control_flow_v2()

        def again(i: Any) -> Any:
            with tf.control_dependencies([i]):
                return tf.reduce_sum(raw.Mul(x=inner(), y=tf.ones([2]))) < 12.0

        (y,) = tf.while_loop(again, lambda i: (body(i),), [given])
        v1.disable_control_flow_v2()
        (node,) = (op for op in graph.get_operations()[known:] if op.type == "While")
        node._set_attr("_lower_using_switch_merge", v1.AttrValue(b=lowered))
        with tf.control_dependencies([node]):
            return {"s": ({"x": x}, {"y": y, "outer": raw.Mul(x=outer, y=tf.ones([2]))})}

    check(build, [("s", {"x": x}) for x in ([1.0, 2.0], [3.0, 1.5], [0.25, 4.0])], str(tmp_path))


def test_a_case_with_a_variable_is_refused(tmp_path: Any) -> None:
    def build() -> Any:
        x = _input()
        return {"s": ({"x": x}, {"y": _functional("Case", True, _shared, x) + 1.0})}

    assert "ref-in-function" in [f.code for f in refusals(build, str(tmp_path))]


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
