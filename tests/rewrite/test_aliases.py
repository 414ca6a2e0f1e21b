"""Every way in which a tensor shares a variable's buffer, against a v1 Session."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

pytestmark = pytest.mark.tensorflow

tf = pytest.importorskip("tensorflow")
v1 = tf.compat.v1

from migrate.plan.plan import make_plan  # noqa: E402
from tests.rewrite.differential import (  # noqa: E402 (starts TensorFlow)
    ask_converted,
    check,
    differences,
    refusals,
    save_and_ask,
)

CASES: dict[str, Callable[[], Any]] = {}


def case(build: Callable[[], Any]) -> Callable[[], Any]:
    CASES[build.__name__] = build
    return build


def _variable(value: Any = (1.0, 2.0), name: str = "v") -> Any:
    return v1.Variable(tf.constant(value), name=name, use_resource=False)


def _input() -> Any:
    return v1.placeholder(tf.float32, [2], name="x")


def _add_after(v: Any, x: Any, *after: Any) -> Any:
    with tf.control_dependencies(after):
        return v1.assign_add(v, x)


def _read_after(read: Any, *after: Any) -> Any:
    with tf.control_dependencies(after):
        return read * 2.0


@case
def identity_read_before_is_used_after() -> Any:
    v, x = _variable(), _input()
    r = tf.identity(v)
    w = _add_after(v, x, r)
    return {"s": ({"x": x}, {"y": _read_after(r, w)})}


@case
def fetched_identity_shows_the_last_write() -> Any:
    v, x = _variable(), _input()
    r = tf.identity(v)
    w = _add_after(v, x, r)
    return {"s": ({"x": x}, {"r": r, "y": _read_after(r, w)})}


@case
def fetched_write_result_shows_a_later_write() -> Any:
    v, x = _variable(), _input()
    first = v1.assign_add(v, x)
    second = _add_after(v, x * 10.0, first)
    return {"s": ({"x": x}, {"first": first, "second": second})}


@case
def first_write_result_used_after_the_second() -> Any:
    v, x = _variable(), _input()
    first = v1.assign_add(v, x)
    second = _add_after(v, x * 10.0, first)
    return {"s": ({"x": x}, {"y": _read_after(first, second)})}


@case
def arithmetic_breaks_the_alias() -> Any:
    v, x = _variable(), _input()
    r = v + 1.0
    w = _add_after(v, x, r)
    return {"s": ({"x": x}, {"y": _read_after(r, w), "r": r})}


@case
def direct_ref_consumer_without_identity() -> Any:
    v, x = _variable([[1.0, 2.0], [3.0, 4.0]]), _input()
    y = tf.linalg.matvec(v._ref() if hasattr(v, "_ref") else v, x)
    return {"s": ({"x": x}, {"y": y})}


@case
def direct_ref_consumer_around_a_write() -> Any:
    v, x = _variable(), _input()
    before = tf.raw_ops.Add(x=v._ref(), y=x)
    w = _add_after(v, x, before)
    with tf.control_dependencies([w]):
        after = tf.raw_ops.Add(x=v._ref(), y=x)
    return {"s": ({"x": x}, {"before": before, "after": after})}


def _through(pass_on: Callable[[Any], Any]) -> Callable[[], Any]:
    def build() -> Any:
        v, x = _variable(), _input()
        r = pass_on(v)
        w = _add_after(v, x, r)
        return {"s": ({"x": x}, {"y": _read_after(r, w), "r": r})}

    return build


CASES["reshape"] = _through(lambda v: tf.reshape(v, [2, 1]))
CASES["reshape_of_identity"] = _through(lambda v: tf.reshape(tf.identity(v), [1, 2]))
CASES["squeeze_of_expand_dims"] = _through(lambda v: tf.squeeze(tf.expand_dims(v, 0)))
CASES["stop_gradient"] = _through(tf.stop_gradient)
CASES["check_numerics"] = _through(lambda v: tf.debugging.check_numerics(v, "no"))
CASES["bitcast"] = _through(lambda v: tf.cast(tf.bitcast(v, tf.int32), tf.float32))
CASES["cast_to_another_dtype"] = _through(lambda v: tf.cast(tf.cast(v, tf.float64), tf.float32))
CASES["ensure_shape"] = _through(lambda v: tf.ensure_shape(v, [2]))
CASES["snapshot"] = _through(lambda v: tf.raw_ops.Snapshot(input=v))
CASES["prevent_gradient"] = _through(lambda v: tf.raw_ops.PreventGradient(input=v))
CASES["placeholder_with_default"] = _through(lambda v: v1.placeholder_with_default(v, [2]))
CASES["debug_gradient_identity"] = _through(lambda v: tf.raw_ops.DebugGradientIdentity(input=v))
CASES["guarantee_const"] = _through(lambda v: tf.raw_ops.GuaranteeConst(input=v))
CASES["check_numerics_v2"] = _through(lambda v: tf.raw_ops.CheckNumericsV2(tensor=v, message="no"))
CASES["print"] = _through(lambda v: tf.raw_ops.Print(input=v, data=[], summarize=0, first_n=0))
CASES["debug_identity_v2"] = _through(lambda v: tf.raw_ops.DebugIdentityV2(input=v))
CASES["deep_copy"] = _through(lambda v: tf.raw_ops.DeepCopy(x=v))
CASES["concat_of_one"] = _through(lambda v: tf.raw_ops.ConcatV2(values=[v, tf.zeros([0])], axis=0))
CASES["real"] = _through(lambda v: tf.raw_ops.Conj(input=tf.cast(v, tf.complex64)))
CASES["as_string_of_numbers"] = _through(lambda v: tf.strings.to_number(tf.raw_ops.AsString(input=v)))
CASES["einsum_of_two"] = _through(lambda v: tf.raw_ops.Einsum(inputs=[v, tf.eye(2)], equation="i,ij->j"))
CASES["tensor_list_stack"] = _through(
    lambda v: tf.raw_ops.TensorListStack(
        input_handle=tf.raw_ops.TensorListPushBack(input_handle=_tensor_list(), tensor=v),
        element_shape=[2],
        element_dtype=tf.float32,
    )
)
CASES["resize"] = _through(
    lambda v: tf.reshape(tf.raw_ops.ResizeBilinear(images=tf.reshape(v, [1, 1, 2, 1]), size=[1, 2]), [2])
)
CASES["identity_of_identity"] = _through(lambda v: tf.identity(tf.identity(v)))


@case
def reshape_to_a_computed_shape() -> Any:
    v, x = _variable(), _input()
    r = tf.reshape(v, tf.stack([tf.shape(x)[0], 1]))
    w = _add_after(v, x, r)
    return {"s": ({"x": x}, {"y": _read_after(r, w), "r": r})}


@case
def cond_reads_after_a_write() -> Any:
    v, x = _variable(), _input()
    r = tf.identity(v)
    w = _add_after(v, x, r)
    with tf.control_dependencies([w]):
        y = v1.cond(tf.reduce_sum(x) > 0.0, lambda: r * 3.0, lambda: r - 1.0)
    return {"s": ({"x": x}, {"y": y})}


@case
def cond_writes_in_one_branch() -> Any:
    v, x = _variable(), _input()
    y = v1.cond(tf.reduce_sum(x) > 0.0, lambda: v1.assign_add(v, x) * 2.0, lambda: tf.identity(v) * 3.0)
    return {"s": ({"x": x}, {"y": y})}


@case
def cond_branches_give_the_alias_itself() -> Any:
    v, x = _variable(), _input()
    y = v1.cond(tf.reduce_sum(x) > 0.0, lambda: tf.identity(v1.assign_add(v, x)), lambda: tf.identity(v))
    w = _add_after(v, x * 100.0, y)
    return {"s": ({"x": x}, {"y": _read_after(y, w), "last": y})}


@case
def fetched_alias_beside_a_write_in_a_branch() -> Any:
    v, x = _variable(), _input()
    r = tf.identity(v)
    with tf.control_dependencies([r]):
        y = v1.cond(tf.reduce_sum(x) > 0.0, lambda: v1.assign_add(v, x) * 2.0, lambda: x)
    return {"s": ({"x": x}, {"y": y, "r": r})}


@case
def loop_reads_a_variable_that_its_body_writes() -> Any:
    v, x = _variable(), _input()

    def body(i: Any, total: Any) -> Any:
        w = v1.assign_add(v, x)
        with tf.control_dependencies([w]):
            return i + 1, total + tf.identity(v)

    _, total = v1.while_loop(lambda i, _: i < 3, body, [tf.constant(0), tf.zeros([2])], parallel_iterations=1)
    return {"s": ({"x": x}, {"total": total})}


@case
def fetched_alias_beside_writes_in_a_loop() -> Any:
    v, x = _variable(), _input()
    r = tf.identity(v)

    def body(i: Any) -> Any:
        with tf.control_dependencies([v1.assign_add(v, x)]):
            return i + 1

    with tf.control_dependencies([r]):
        i = v1.while_loop(lambda i: i < 3, body, [tf.constant(0)], parallel_iterations=1)
    return {"s": ({"x": x}, {"i": i, "r": r})}


@case
def alias_enters_a_loop_that_writes() -> Any:
    v, x = _variable(), _input()
    r = tf.identity(v)

    def body(i: Any, total: Any) -> Any:
        with tf.control_dependencies([v1.assign_add(v, x)]):
            return i + 1, total + r

    with tf.control_dependencies([r]):
        start = tf.constant(0)
    _, total = v1.while_loop(lambda i, _: i < 3, body, [start, tf.zeros([2])], parallel_iterations=1)
    return {"s": ({"x": x}, {"total": total})}


@case
def two_variables_that_meet_in_a_cond() -> Any:
    a, b, x = _variable(name="a"), _variable([5.0, 6.0], name="b"), _input()
    r = v1.cond(tf.reduce_sum(x) > 0.0, lambda: tf.identity(a), lambda: tf.identity(b))
    w = _add_after(a, x, r)
    return {"s": ({"x": x}, {"y": _read_after(r, w), "r": r})}


@case
def signatures_that_write_and_that_read() -> Any:
    v, x = _variable(), _input()
    return {
        "add": ({"x": x}, {"v": v1.assign_add(v, x)}),
        "get": ({}, {"v": tf.identity(v)}),
        "ref": ({}, {"v": v._ref()}),
    }


@case
def one_shared_name_is_one_variable() -> Any:
    v, x = _variable(), _input()
    # A Variable of Python's is shared by its node's name.
    same = tf.raw_ops.VariableV2(shape=[2], dtype=tf.float32, shared_name="v", name="other")
    w = _add_after(v, x)
    with tf.control_dependencies([w]):
        y = tf.raw_ops.Mul(x=same, y=x)
    return {"s": ({"x": x}, {"y": y, "same": same})}


@case
def reshapes_of_one_name_in_two_scopes() -> Any:
    # Each is done again at the consumer, and both are called Reshape there.
    v, x = _variable(), _input()
    with v1.name_scope("inner"):
        r = tf.reshape(v, [2, 1])
    r = tf.reshape(r, [1, 2])
    w = _add_after(v, x, r)
    return {"s": ({"x": x}, {"y": _read_after(r, w), "r": r})}


@case
def cond_gives_an_alias_or_a_value() -> Any:
    v, x = _variable(), _input()
    y = v1.cond(tf.reduce_sum(x) > 0.0, lambda: tf.identity(v), lambda: x * 1.0)
    w = _add_after(v, x * 100.0, y)
    return {"s": ({"x": x}, {"y": _read_after(y, w), "last": y, "w": w})}


@case
def cond_gives_a_reshaped_alias_or_a_value() -> Any:
    v, x = _variable(), _input()
    y = v1.cond(tf.reduce_sum(x) > 0.0, lambda: tf.reshape(v, [2, 1]), lambda: tf.reshape(x, [2, 1]) + 1.0)
    flat = tf.reshape(tf.stop_gradient(y), [2])
    w = _add_after(v, x * 100.0, flat)
    return {"s": ({"x": x}, {"y": _read_after(y, w), "flat": flat, "used": _read_after(flat, w)})}


@case
def cond_in_a_cond_gives_an_alias_or_a_value() -> Any:
    v, x = _variable(), _input()

    def inner() -> Any:
        return v1.cond(x[0] > 0.5, lambda: tf.identity(v), lambda: x + 3.0)

    y = v1.cond(tf.reduce_sum(x) > 0.0, inner, lambda: v1.assign_add(v, x) * 1.0)
    w = _add_after(v, x * 100.0, y)
    with tf.control_dependencies([w]):
        z = v1.cond(x[1] > 1.0, lambda: tf.identity(y) * 3.0, lambda: y - 1.0)
    again = _add_after(v, x, z)
    return {"s": ({"x": x}, {"z": z, "y": y, "again": again})}


@case
def alias_starts_a_loop_that_carries_values() -> Any:
    v, x = _variable(), _input()

    def body(i: Any, carried: Any) -> Any:
        w = v1.assign_add(v, x)
        with tf.control_dependencies([w]):
            return i + 1, carried * 2.0

    _, carried = v1.while_loop(
        lambda i, _: i < tf.cast(x[1], tf.int32), body, [tf.constant(0), tf.identity(v)], parallel_iterations=1
    )
    w = _add_after(v, x * 100.0, carried)
    return {"s": ({"x": x}, {"y": _read_after(carried, w), "last": carried})}


@case
def value_starts_a_loop_that_carries_an_alias() -> Any:
    v, x = _variable(), _input()

    def body(i: Any, carried: Any) -> Any:
        w = v1.assign_add(v, carried + x)
        with tf.control_dependencies([w]):
            return i + 1, tf.identity(v)

    _, carried = v1.while_loop(
        lambda i, _: i < tf.cast(x[1], tf.int32), body, [tf.constant(0), x * 1.0], parallel_iterations=1
    )
    w = _add_after(v, x * 100.0, carried)
    return {"s": ({"x": x}, {"y": _read_after(carried, w), "last": carried})}


@case
def loop_carries_an_alias_in_some_iterations() -> Any:
    v, x = _variable(), _input()

    def body(i: Any, carried: Any) -> Any:
        w = v1.assign_add(v, carried + x)
        with tf.control_dependencies([w]):
            odd = tf.equal(i % 2, 1)
        return i + 1, v1.cond(odd, lambda: tf.identity(v), lambda: carried + 1.0)

    _, carried = v1.while_loop(lambda i, _: i < 4, body, [tf.constant(0), tf.identity(v)], parallel_iterations=1)
    w = _add_after(v, x * 100.0, carried)
    return {"s": ({"x": x}, {"y": _read_after(carried, w), "last": carried})}


@case
def loop_in_a_loop_starts_with_an_alias() -> Any:
    v, x = _variable(), _input()

    def inner(j: Any, carried: Any) -> Any:
        with tf.control_dependencies([v1.assign_add(v, x)]):
            return j + 1, carried + 1.0

    def body(i: Any, total: Any) -> Any:
        with tf.control_dependencies([total]):
            start = tf.identity(v)
        with tf.control_dependencies([start]):
            j = tf.constant(0)
        _, carried = v1.while_loop(lambda j, _: j < i, inner, [j, start], parallel_iterations=1)
        with tf.control_dependencies([v1.assign_add(v, carried)]):
            return i + 1, total + carried

    _, total = v1.while_loop(lambda i, _: i < 3, body, [tf.constant(0), x * 1.0], parallel_iterations=1)
    return {"s": ({"x": x}, {"total": total})}


def _calls(signatures: Any) -> list[Any]:
    calls = []
    for value in ([1.0, 2.0], [-3.0, 0.5], [0.25, 4.0]):
        for key, (inputs, _) in signatures.items():
            calls.append((key, {"x": value} if "x" in inputs else {}))
    return calls


@pytest.mark.parametrize("name", CASES)
def test_alias(name: str, tmp_path: Any) -> None:
    with tf.Graph().as_default():
        v1.disable_control_flow_v2()
        keys = CASES[name]()
    check(CASES[name], _calls(keys), str(tmp_path))


STARTS: dict[str, Callable[[Any, Any], Any]] = {
    "alias": lambda v, _: tf.identity(v),
    "reshaped": lambda v, _: tf.raw_ops.Reshape(tensor=tf.identity(v), shape=[2]),
    "value": lambda _, x: x * 1.0,
}
STEPS: dict[str, Callable[[Any, Any, Any], Any]] = {
    "alias": lambda v, _, carried: tf.identity(v),
    "either": lambda v, odd, carried: v1.cond(odd, lambda: tf.identity(v), lambda: carried + 1.0),
    "reshaped": lambda v, odd, carried: tf.raw_ops.Reshape(tensor=tf.identity(v), shape=[2]),
    "value": lambda _, odd, carried: carried * 2.0,
}


UNDECIDED = {
    ("alias", "reshaped"), ("reshaped", "alias"), ("reshaped", "either"), ("reshaped", "reshaped"),
}  # fmt: skip
"""Starts and steps that reach the buffer by different reshapes."""
UNDECIDED_NESTED = {("value", step) for step in ("alias", "either", "reshaped")}
"""And those of an inner loop that starts with a value."""


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("start", STARTS)
@pytest.mark.parametrize("nested", [False, True], ids=["alone", "nested"])
def test_the_constants_of_a_condition_wait_for_the_alias(start: str, step: str, nested: bool, tmp_path: Any) -> None:
    """They take a control edge from the Merge of the loop's first variable."""

    def loop(v: Any, x: Any, before: Any) -> Any:
        def body(carried: Any, i: Any) -> Any:
            with tf.control_dependencies([carried]):
                w = v1.assign_add(v, x)
            with tf.control_dependencies([w]):
                return STEPS[step](v, tf.equal(i % 2, 1), carried), i + 1

        with tf.control_dependencies([before]):
            first, i = STARTS[start](v, x), tf.constant(0)
        last, _ = v1.while_loop(lambda _, i: i < tf.cast(x[1], tf.int32), body, [first, i], parallel_iterations=1)
        return last

    def build() -> Any:
        v, x = _variable(), _input()
        if nested:
            last, _ = v1.while_loop(
                lambda _, i: i < 2,
                lambda carried, i: (loop(v, x, carried) + carried, i + 1),
                [x * 0.5, tf.constant(0)],
                parallel_iterations=1,
            )
        else:
            last = loop(v, x, x)
        return {"s": ({"x": x}, {"y": _read_after(last, _add_after(v, x * 100.0, last)), "last": last})}

    if (start, step) in (UNDECIDED | UNDECIDED_NESTED if nested else UNDECIDED):
        assert {f.code for f in refusals(build, str(tmp_path))} == {"aliased-buffer-undecided"}
        return
    check(build, [("s", {"x": value}) for value in ([1.0, 2.0], [-3.0, 0.5], [0.25, 4.0])], str(tmp_path))


def _ragged(v: Any) -> Any:
    """A tensor made a variant and a tensor again."""
    raw = tf.raw_ops
    encoded = raw.RaggedTensorToVariant(rt_nested_splits=[[0, 2]], rt_dense_values=v, batched_input=False)
    made = raw.RaggedTensorFromVariant(
        encoded_ragged=encoded, input_ragged_rank=1, output_ragged_rank=1, Tvalues=tf.float32, Tsplits=tf.int64
    )
    return made.output_dense_values


def _sparse(v: Any) -> Any:
    raw = tf.raw_ops
    kept = raw.SerializeSparse(sparse_indices=[[0], [1]], sparse_values=v, sparse_shape=[2], out_type=tf.variant)
    return raw.DeserializeSparse(serialized_sparse=kept, dtype=tf.float32)[1]


def _single(dataset: Any, shape: Any) -> Any:
    return tf.raw_ops.DatasetToSingleElement(dataset=dataset, output_types=[tf.float32], output_shapes=[shape])[0]


def _tensor_list() -> Any:
    return tf.raw_ops.EmptyTensorList(element_shape=[2], max_num_elements=4, element_dtype=tf.float32)


def _pushed_and_popped(v: Any) -> Any:
    pushed = tf.raw_ops.TensorListPushBack(input_handle=_tensor_list(), tensor=v)
    return tf.raw_ops.TensorListPopBack(input_handle=pushed, element_shape=[2], element_dtype=tf.float32)[1]


def _set_and_got(v: Any) -> Any:
    raw = tf.raw_ops
    made = raw.TensorListReserve(element_shape=[2], num_elements=2, element_dtype=tf.float32)
    made = raw.TensorListSetItem(input_handle=made, index=1, item=v)
    return raw.TensorListGetItem(input_handle=made, index=1, element_shape=[2], element_dtype=tf.float32)


def _optional(v: Any) -> Any:
    raw = tf.raw_ops
    made = raw.OptionalFromValue(components=[v])
    return raw.OptionalGetValue(optional=made, output_types=[tf.float32], output_shapes=[[2]])[0]


def _mapped(v: Any) -> Any:
    raw = tf.raw_ops
    made = raw.TensorMapInsert(input_handle=raw.EmptyTensorMap(), key=tf.constant(1), value=v)
    return raw.TensorMapLookup(input_handle=made, key=tf.constant(1), value_dtype=tf.float32)


FORWARDED: dict[str, Callable[[Any], Any]] = {
    "einsum": lambda v: tf.raw_ops.Einsum(inputs=[tf.raw_ops.Reshape(tensor=v, shape=[1, 2])], equation="ij->ij")[0],
    "ragged_to_sparse": lambda v: tf.raw_ops.RaggedTensorToSparse(rt_nested_splits=[[0, 2]], rt_dense_values=v)[1],
    "mirror_pad_grad": lambda v: tf.raw_ops.MirrorPadGrad(input=v, paddings=tf.zeros([1, 2], tf.int32), mode="REFLECT"),
    "ragged_variant": _ragged,
    "sparse_variant": _sparse,
    "tensor_dataset": lambda v: _single(tf.raw_ops.TensorDataset(components=[v], output_shapes=[[2]]), [2]),
    "tensor_slice_dataset": lambda v: _single(
        tf.raw_ops.TensorSliceDataset(components=[tf.raw_ops.Reshape(tensor=v, shape=[1, 2])], output_shapes=[[2]]), [2]
    ),
    "batch_of_a_dataset": lambda v: _single(
        tf.raw_ops.RepeatDataset(
            input_dataset=tf.raw_ops.TensorDataset(components=[v], output_shapes=[[2]]),
            count=tf.constant(1, tf.int64),
            output_types=[tf.float32],
            output_shapes=[[2]],
        ),
        [2],
    ),
    "tensor_list_push_pop": _pushed_and_popped,
    "tensor_list_set_get": _set_and_got,
    "optional": _optional,
    "tensor_map": _mapped,
    "second_output": lambda v: tf.raw_ops.IdentityN(input=[tf.zeros([2]), v])[1],
    "output_100": lambda v: tf.raw_ops.IdentityN(input=[*[tf.zeros([2])] * 100, v])[100],
}
"""Ops that give their input's buffer on in a v1 Session; no read of the source's graph says so."""


def _turn(pass_on: Callable[[Any], Any], fetched: bool) -> Callable[[], Any]:
    def build() -> Any:
        v, x = _variable(), _input()
        y = pass_on(v)
        w = _add_after(v, x, y)
        with tf.control_dependencies([w]):
            z = y + 10.0
        return {"s": ({"x": x}, {"z": z, "y": y} if fetched else {"z": z})}

    return build


@pytest.mark.parametrize("fetched", [False, True])
@pytest.mark.parametrize("name", FORWARDED)
def test_what_forwards_a_buffer_is_answered_as_tf1_does_or_refused(name: str, fetched: bool, tmp_path: Any) -> None:
    build = _turn(FORWARDED[name], fetched)
    calls: Any = [("s", {"x": [1.0, 2.0]}), ("s", {"x": [5.0, 0.5]})]
    saved = save_and_ask(build, calls, str(tmp_path))
    # The write shows: v is [1, 2] before it.
    assert saved.answers[0]["z"].reshape(-1).tolist() == [12.0, 14.0]
    plan = make_plan(saved.meta_graph)
    if plan.refused:
        assert [f.code for f in plan.findings] == ["aliased-buffer-undecided"]
    else:
        assert differences(saved.answers, ask_converted(saved, calls)) == []


def test_a_string_is_given_on_as_it_is(tmp_path: Any) -> None:
    def build() -> Any:
        v = v1.Variable(["a", "b"], name="v", use_resource=False)
        x = v1.placeholder(tf.string, [2], name="x")
        y = tf.raw_ops.AsString(input=v)
        with tf.control_dependencies([y]):
            w = v1.assign(v, x)
        with tf.control_dependencies([w]):
            return {"s": ({"x": x}, {"z": tf.strings.join([y, "!"])})}

    calls: Any = [("s", {"x": ["c", "d"]})]
    saved = save_and_ask(build, calls, str(tmp_path))
    assert saved.answers[0]["z"].tolist() == [b"c!", b"d!"]
    assert [f.code for f in make_plan(saved.meta_graph).findings] == ["aliased-buffer-undecided"]


_SPARSE: Any = {"input_indices": [[0], [1]], "input_shape": [2]}


def _band(v: Any) -> Any:
    banded = tf.raw_ops.MatrixBandPart(
        input=tf.reshape(v, [1, 2]), num_lower=tf.constant(-1), num_upper=tf.constant(-1)
    )
    return tf.reshape(banded, [2])


@pytest.mark.parametrize(
    "pass_on",
    [
        pytest.param(lambda v: v[0:2], id="strided_slice"),
        pytest.param(lambda v: tf.transpose(v), id="transpose"),
        pytest.param(lambda v: tf.raw_ops.Cast(x=v, DstT=tf.float32), id="cast"),
        pytest.param(lambda v: tf.raw_ops.IdentityN(input=[v])[0], id="identity_n"),
        pytest.param(lambda v: tf.raw_ops.CopyHost(input=v), id="copy_host"),
        pytest.param(lambda v: tf.raw_ops.SparseReorder(**_SPARSE, input_values=v)[1], id="sparse_reorder"),
        pytest.param(lambda v: tf.raw_ops.InplaceAdd(x=v, i=[1], v=[100.0]), id="inplace_add"),
        pytest.param(lambda v: _band(v), id="matrix_band_part"),
    ],
)
def test_what_only_a_run_can_tell_is_refused(pass_on: Any, tmp_path: Any) -> None:
    found = refusals(_through(pass_on), str(tmp_path))
    assert {f.code for f in found} == {"aliased-buffer-undecided"}
    assert "v" in found[0].message


def _full_slice(tensor: Any, x: Any) -> Any:
    """All of a tensor, which then shares its buffer; the graph does not say that it is all."""
    begin = tf.cast(tf.reshape(x, [-1])[:1] * 0.0, tf.int32)
    return tf.raw_ops.StridedSlice(input=tensor, begin=begin, end=[2], strides=[1])


@pytest.mark.parametrize(
    "take",
    [
        pytest.param(lambda written, x: written[0:2], id="slice"),
        pytest.param(lambda written, x: written[0], id="element"),
        pytest.param(_full_slice, id="full_slice"),
        pytest.param(lambda written, x: tf.transpose(written), id="transpose"),
    ],
)
@pytest.mark.parametrize("seen", ["control", "identity", "group", "sum"])
def test_what_is_used_as_a_control_dependency_only_is_no_reader(take: Any, seen: str, tmp_path: Any) -> None:
    def build() -> Any:
        v, x = _variable(), _input()
        first = v1.assign_add(v, x)
        taken = take(first, x)
        with tf.control_dependencies([taken]):
            second = v1.assign_add(v, x)
        with tf.control_dependencies([second]):
            # Nobody looks at their values.
            after = {
                "control": lambda: taken,
                "identity": lambda: tf.identity(taken),
                "group": lambda: tf.group(tf.identity(taken), second),
                "sum": lambda: tf.reduce_sum(taken + 1.0),
            }[seen]()
        with tf.control_dependencies([second, after]):
            return {"s": ({"x": x}, {"y": tf.identity(x), "z": v._ref() * 2.0})}

    check(build, [("s", {"x": [1.0, 2.0]}), ("s", {"x": [3.0, 4.0]})], str(tmp_path))


def test_what_only_a_run_can_tell_converts_where_no_write_comes_between(tmp_path: Any) -> None:
    def build() -> Any:
        v, x = _variable(), _input()
        y = v[0:1] + x
        w = _add_after(v, x, y)
        return {"s": ({"x": x}, {"y": y, "w": w})}

    check(build, [("s", {"x": [1.0, 2.0]}), ("s", {"x": [3.0, 4.0]})], str(tmp_path))
