"""Every ref op of TensorFlow's registry: against a v1 Session, or its refusal with the reason."""

from __future__ import annotations

import dataclasses
import functools
import inspect
import os
import pathlib
from collections.abc import Callable
from typing import Any

import pytest

from migrate.graph.op_table import load_op_table
from migrate.graph.protos import MetaGraphDef, SavedModel
from migrate.plan.plan import make_plan
from migrate.proof.prove import Files, prove
from migrate.proof.records import NotProved
from migrate.rewrite import ops
from migrate.rewrite.refusals import MADE_BY, REFUSED, TEST_OPS

pytestmark = pytest.mark.tensorflow

tf = pytest.importorskip("tensorflow")
v1 = tf.compat.v1
raw = tf.raw_ops

from tests.rewrite.differential import (  # noqa: E402
    INIT,
    Saved,
    ask_converted,
    build_in_tf1,
    check,
    old_producer,
    refusals,
    save_and_ask,
)

REF_OPS = sorted(name for name, info in load_op_table().items() if info.has_ref)


@dataclasses.dataclass(frozen=True)
class Case:
    """A TF1 graph, and the calls that it answers."""

    name: str
    proves: tuple[str, ...]
    build: Callable[[str], Any]
    calls: tuple[tuple[str, dict[str, Any]], ...]


CASES: dict[str, Case] = {}
X = ({"x": [1.0, 2.0, 3.0]}, {"x": [-3.0, 0.5, 0.25]}, {"x": [0.125, 4.0, -1.0]})
ONCE = tuple(("s", x) for x in X)
FILES = "files"


def case(*proves: str, calls: tuple[tuple[str, dict[str, Any]], ...] = ONCE, name: str = "") -> Callable[..., Any]:
    def register(build: Callable[[str], Any]) -> Callable[[str], Any]:
        key = name or build.__name__
        assert key not in CASES
        CASES[key] = Case(key, proves, build, calls)
        return build

    return register


def _input() -> Any:
    return v1.placeholder(tf.float32, [3], name="x")


def _variable(value: Any, name: str = "v", dtype: Any = None) -> Any:
    return v1.Variable(tf.constant(value, dtype), name=name, use_resource=False)


def _after(operations: list[Any], make: Callable[[], Any]) -> Any:
    with tf.control_dependencies(operations):
        return make()


# Ops that write.

HYPER = {
    "lr": 0.1, "alpha": 0.125, "rho": 0.9, "epsilon": 0.001, "l1": 0.01, "l2": 0.02, "l2_shrinkage": 0.03,
    "lr_power": -0.5, "momentum": 0.9, "beta1_power": 0.9, "beta2_power": 0.99, "beta1": 0.9, "beta2": 0.99,
    "beta": 0.9, "sign_decay": 0.5, "logbase": 1.0,
}  # fmt: skip


def _optimizer(op: str, **attributes: Any) -> Callable[[str], Any]:
    def build(_: str) -> Any:
        x = _input()
        names = [n for n in inspect.signature(getattr(raw, op)).parameters if n != "name"]
        refs = len(ops.OPS[op].refs)
        sparse = "indices" in names
        start = [0.5, 1.5, 2.5]
        states = [
            _variable([[s + n] for s in start] if sparse else [s + n for s in start], name)
            for n, name in enumerate(names[:refs])
        ]
        given: dict[str, Any] = {name: state._ref() for name, state in zip(names, states, strict=False)}
        for name in names[refs:]:
            if name in ("grad", "delta"):
                given[name] = tf.reshape(x, [3, 1])[:2] if sparse else x
            elif name == "indices":
                given[name] = [2, 0]
            elif name == "global_step":
                given[name] = tf.constant(3, tf.int64)
            elif name in HYPER:
                given[name] = HYPER[name]
        written = getattr(raw, op)(**given, **attributes)
        slots = _after([written], lambda: {f"slot_{n}": s._ref() * 1.0 for n, s in enumerate(states)})
        return {"s": ({"x": x}, {"written": written, "used": written + 1.0, **slots})}

    return build


for _op in sorted(op for op in ops.WRITES if op.startswith(("Apply", "SparseApply"))):
    case(_op, name=_op)(_optimizer(_op))
for _op in ("ApplyMomentum", "SparseApplyMomentum", "ApplyAdam"):
    case(_op, name=f"{_op}_nesterov")(_optimizer(_op, use_nesterov=True, use_locking=True))
for _op in ("ApplyAdagrad", "SparseApplyAdagrad"):
    case(_op, name=f"{_op}_keeps_slots")(_optimizer(_op, update_slots=False))


def _scatter(op: str, indices: Any, scalar: bool = False, slices: bool = False) -> Callable[[str], Any]:
    def build(_: str) -> Any:
        x = _input()
        v = _variable([[8.0], [4.0], [2.0], [1.0]] if slices else [8.0, 4.0, 2.0, 1.0])
        updates = x[0] if scalar else tf.reshape(x, [3, 1]) if slices else x
        if op == "ScatterDiv":  # Only constants are known not to be zero.
            updates = tf.constant(-4.0 if scalar else [2.0, 0.5, -1.0])
        written = getattr(raw, op)(ref=v._ref(), indices=indices, updates=updates)
        return {"s": ({"x": x}, {"written": written, "used": written + 1.0})}

    return build


for _name in ("Add", "Div", "Max", "Min", "Mul", "Sub", "Update"):
    case(f"Scatter{_name}", name=f"Scatter{_name}")(_scatter(f"Scatter{_name}", [3, 0, 1]))
    case(f"Scatter{_name}", name=f"Scatter{_name}_scalar")(_scatter(f"Scatter{_name}", [3, 0, 3], scalar=True))
for _name in ("Add", "Max", "Min", "Sub", "Update"):
    case(f"ScatterNd{_name}", name=f"ScatterNd{_name}")(_scatter(f"ScatterNd{_name}", [[3], [0], [1]]))
    case(f"ScatterNd{_name}", name=f"ScatterNd{_name}_slice")(
        _scatter(f"ScatterNd{_name}", [[3], [1], [3]], slices=True)
    )


_CHAINED: dict[str, Callable[[Any, Any], Any]] = {
    "Assign": lambda ref, x: raw.Assign(ref=ref, value=x),
    "AssignAdd": lambda ref, x: raw.AssignAdd(ref=ref, value=x),
    "ScatterAdd": lambda ref, x: raw.ScatterAdd(ref=ref, indices=[2, 0, 1], updates=x),
    "ScatterNdAdd": lambda ref, x: raw.ScatterNdAdd(ref=ref, indices=[[2], [0]], updates=x[:2]),
    "ScatterNdUpdate": lambda ref, x: raw.ScatterNdUpdate(ref=ref, indices=[[1]], updates=x[:1]),
    "StridedSliceAssign": lambda ref, x: raw.StridedSliceAssign(ref=ref, begin=[1], end=[3], strides=[1], value=x[:2]),
    "ApplyGradientDescent": lambda ref, x: raw.ApplyGradientDescent(var=ref, alpha=0.5, delta=x),
}


@case(*_CHAINED)
def every_write_of_what_every_write_gives(_: str) -> Any:
    x, outputs = _input(), {}
    for first, write in _CHAINED.items():
        for second, again in _CHAINED.items():
            v = _variable([1.0, 2.0, 4.0], f"{first}_{second}")
            outputs[f"{first}_{second}"] = again(write(v._ref(), x), x * 2.0) + 1.0
    return {"s": ({"x": x}, outputs)}


@case("CountUpTo", calls=(("s", {"p": True}), ("s", {"p": False}), ("s", {"p": True})))
def count_up_to_in_a_branch_and_after_a_write(_: str) -> Any:
    p = v1.placeholder(tf.bool, [], name="p")
    v, w = _variable(0, "v"), _variable(0, "w")
    counted = v1.cond(p, lambda: raw.CountUpTo(ref=v._ref(), limit=9), lambda: tf.constant(-1))
    later = raw.CountUpTo(ref=raw.AssignAdd(ref=w._ref(), value=2), limit=100)
    return {"s": ({"p": p}, {"counted": counted, "later": later})}


@case(
    *(f"ScatterNd{name}" for name in ("Add", "Max", "Min", "Sub", "Update")),
    calls=tuple(("s", {**X[0], "p": p}) for p in (True, False, True)),
)
def nd_scatters_in_a_loop_and_a_branch(_: str) -> Any:
    x, p = _input(), v1.placeholder(tf.bool, [], name="p")
    writes = [raw.ScatterNdAdd, raw.ScatterNdMax, raw.ScatterNdMin, raw.ScatterNdSub, raw.ScatterNdUpdate]
    # Of rank 2: a shape function that takes the handle for the variable finds nothing amiss with rank 1.
    variables = [_variable([[1.0, 2.0, 3.0]] * 3, f"v{number}") for number in range(len(writes))]

    def scattered() -> Any:
        pairs = zip(writes, variables, strict=True)
        return [write(ref=v._ref(), indices=[[0], [2]], updates=[x, x * 2.0]).op for write, v in pairs]

    def step(number: Any) -> Any:
        with tf.control_dependencies(scattered()):
            return number + 1

    def branch() -> Any:
        with tf.control_dependencies(scattered()):
            return tf.identity(x)

    steps = tf.while_loop(lambda number: number < 3, step, [tf.constant(0)], parallel_iterations=1)
    with tf.control_dependencies([tf.identity(steps)]):
        taken = v1.cond(p, branch, lambda: x * 2.0)
    with tf.control_dependencies([taken]):
        left = {f"left{number}": v.read_value() for number, v in enumerate(variables)}
    return {"s": ({"x": x, "p": p}, {"steps": tf.identity(steps), "taken": taken, **left})}


@case("Assign", "AssignAdd", "AssignSub", "VariableV2")
def assigns_in_a_row(_: str) -> Any:
    x, v = _input(), _variable([1.0, 1.0, 1.0])
    first = raw.AssignAdd(ref=v._ref(), value=x, use_locking=True)
    second = raw.AssignSub(ref=first, value=x * 0.5)
    third = raw.Assign(ref=second, value=second * 2.0)
    return {"s": ({"x": x}, {"first": first, "second": second, "third": third, "used": third + 1.0})}


@case("Variable", "Assign", "AssignAdd")
def variable_of_tensorflow_0(_: str) -> Any:
    x = _input()
    v = raw.Variable(shape=[3], dtype=tf.float32, name="old", shared_name="one")
    same = raw.Variable(shape=[3], dtype=tf.float32, name="same", shared_name="one")
    start = raw.Assign(ref=v, value=[1.0, 2.0, 3.0])
    return {
        "s": ({"x": x}, {"y": raw.AssignAdd(ref=v, value=x)}),
        "get": ({}, {"y": same}),
        INIT: ({}, {INIT: start.op}),
    }


CASES["variable_of_tensorflow_0"] = dataclasses.replace(
    CASES["variable_of_tensorflow_0"], calls=(("s", X[0]), ("get", {}), ("s", X[1]), ("get", {}))
)


@case("Assign", calls=(("s", X[0]), ("get", {}), ("grow", {}), ("get", {}), ("s", X[1]), ("get", {})))
def assign_of_another_shape(_: str) -> Any:
    x, v = _input(), _variable([1.0])
    return {
        "s": ({"x": x}, {"y": raw.Assign(ref=v._ref(), value=x, validate_shape=False) * 2.0}),
        "grow": ({}, {"y": raw.Assign(ref=v._ref(), value=[[1.0, 2.0], [3.0, 4.0]], validate_shape=False) + 1.0}),
        "get": ({}, {"y": tf.identity(v._ref())}),
    }


@case("StridedSliceAssign")
def strided_slice_assign(_: str) -> Any:
    x, v = _input(), _variable([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])
    written = raw.StridedSliceAssign(
        ref=v._ref(), begin=[1, 0], end=[2, 3], strides=[1, 1], value=x, shrink_axis_mask=1, end_mask=2
    )
    return {"s": ({"x": x}, {"written": written, "used": written + 1.0})}


@case("CountUpTo", calls=(("s", {}),) * 5)
def count_up_to(_: str) -> Any:
    v = _variable(0)
    return {"s": ({}, {"count": raw.CountUpTo(ref=v._ref(), limit=3)})}


@case("CountUpTo", calls=(("s", {}),) * 3)
def count_up_to_and_its_variable(_: str) -> Any:
    v = _variable(7, dtype=tf.int64)
    count = raw.CountUpTo(ref=v._ref(), limit=100)
    return {"s": ({}, {"count": count, "after": _after([count], lambda: v._ref() * 2)})}


@case("IsVariableInitialized", calls=(("s", {}),))
def is_variable_initialized(_: str) -> Any:
    v = _variable([1.0])
    return {"s": ({}, {"yes": raw.IsVariableInitialized(ref=v._ref())})}


@case("IsVariableInitialized", calls=(("s", {}),))
def is_variable_initialized_in_the_init_op(_: str) -> Any:
    # The new model's variable has a value, zeros, before its init op runs: the check must still say no.
    v = raw.VariableV2(shape=[2], dtype=tf.float32, name="late")
    seen = raw.VariableV2(shape=[2], dtype=tf.bool, name="seen")
    before = raw.IsVariableInitialized(ref=v)
    start = v1.cond(before, lambda: tf.constant([5.0, 5.0]), lambda: tf.constant([1.0, 2.0]))
    assign = raw.Assign(ref=v, value=start)
    after = _after([assign], lambda: raw.IsVariableInitialized(ref=v))
    note = raw.Assign(ref=seen, value=tf.stack([before, after]))
    return {"s": ({}, {"v": tf.identity(v), "seen": tf.identity(seen)}), INIT: ({}, {INIT: note.op})}


@case("TemporaryVariable", "DestroyTemporaryVariable", "Assign", "AssignAdd", "AssignSub")
def temporary_variable(_: str) -> Any:
    x, v = _input(), _variable([1.0, 1.0, 1.0])
    temporary = raw.TemporaryVariable(shape=[3], dtype=tf.float32, var_name="sum")
    first = raw.Assign(ref=temporary, value=v._ref())
    more = _after([first], lambda: raw.AssignAdd(ref=temporary, value=x))
    wrote = _after([more], lambda: v1.assign_add(v, x * 10.0))
    less = _after([wrote], lambda: raw.AssignSub(ref=more, value=v._ref()))
    total = _after([less], lambda: raw.DestroyTemporaryVariable(ref=temporary, var_name="sum"))
    return {"s": ({"x": x}, {"total": total, "v": v._ref()})}


@case("TemporaryVariable")
def temporary_variable_keeps_what_it_was_assigned(_: str) -> Any:
    x, v = _input(), _variable([1.0, 1.0, 1.0])
    temporary = raw.TemporaryVariable(shape=[3], dtype=tf.float32, var_name="kept")
    first = raw.Assign(ref=temporary, value=v._ref())
    wrote = _after([first], lambda: v1.assign_add(v, x))
    kept = _after([wrote], lambda: raw.DestroyTemporaryVariable(ref=first, var_name="kept"))
    return {"s": ({"x": x}, {"kept": kept, "used": kept * 2.0, "v": v._ref()})}


@case("SdcaShrinkL1")
def sdca_shrink_l1(_: str) -> Any:
    x = _input()
    a, b = _variable([1.0, -0.25, 0.5], "a"), _variable([[-3.0, 0.125]], "b")
    add = v1.assign_add(a, x)
    shrink = _after([add], lambda: raw.SdcaShrinkL1(weights=[a._ref(), b._ref()], l1=0.3, l2=0.7))
    return {"s": ({"x": x}, _after([shrink], lambda: {"a": a._ref() * 1.0, "b": b._ref() * 1.0}))}


# Ops that pass refs on.


@case("RefIdentity", "DebugGradientRefIdentity")
def ref_identities(_: str) -> Any:
    x, v = _input(), _variable([1.0, 1.0, 1.0])
    ref = raw.DebugGradientRefIdentity(input=raw.RefIdentity(input=v._ref()))
    written = raw.AssignAdd(ref=ref, value=x)
    return {"s": ({"x": x}, {"ref": ref, "written": written, "used": _after([written], lambda: ref * 2.0)})}


@case("RefSelect", calls=tuple(("s", {"i": n, "x": X[n % 3]["x"]}) for n in (0, 1, 2, 1, 0)))
def ref_select(_: str) -> Any:
    x, i = _input(), v1.placeholder(tf.int32, [], name="i")
    refs = [_variable([float(n)] * 3, f"v{n}")._ref() for n in range(3)]
    written = raw.AssignAdd(ref=raw.RefSelect(index=i, inputs=refs), value=x)
    return {"s": ({"x": x, "i": i}, {"y": written * 2.0, **{f"v{n}": ref for n, ref in enumerate(refs)}})}


@case("RefSwitch", "RefMerge")
def ref_switch_and_merge(_: str) -> Any:
    x = _input()
    a, b = _variable([1.0, 1.0, 1.0], "a"), _variable([2.0, 2.0, 2.0], "b")
    positive, other = tf.reduce_sum(x) > 0.0, x[0] > 0.5
    chosen = raw.RefSwitch(data=a._ref(), pred=positive)
    inner = raw.RefSwitch(data=chosen.output_true, pred=other)
    low = raw.AssignAdd(ref=inner.output_false, value=x)
    high = raw.AssignSub(ref=inner.output_true, value=x)
    merged = raw.RefMerge(inputs=[low, high])
    written = raw.ScatterAdd(ref=merged.output, indices=[0], updates=[100.0])
    outer = raw.RefMerge(inputs=[written, raw.AssignAdd(ref=chosen.output_false, value=[9.0, 9.0, 9.0])])
    done = raw.Assign(ref=b._ref(), value=outer.output * 2.0)
    return {"s": ({"x": x}, {"outer": outer.output, "index": outer.value_index, "b": done, "a": a._ref()})}


def _frame(v: Any, x: Any, name: str, times: int, step: Callable[[Any, Any], Any]) -> Any:
    """A while loop made by hand in which the ref itself goes round."""

    def enter(tensor: Any) -> Any:
        return raw.Enter(data=tensor, frame_name=name, is_constant=True, parallel_iterations=1)

    # After the ref, so that the constants stand in its frame.
    zero, one, limit = _after([v], lambda: [tf.constant(n) for n in (0, 1, times)])
    i = raw.Enter(data=zero, frame_name=name, parallel_iterations=1)
    ref = raw.RefEnter(data=v, frame_name=name, parallel_iterations=1)
    merged_i, merged_ref = raw.Merge(inputs=[i, i]), raw.RefMerge(inputs=[ref, ref])
    limit, one, x = enter(limit), enter(one), enter(x)
    go = raw.LoopCond(input=raw.Less(x=merged_i.output, y=limit))
    switched_i, switched_ref = raw.Switch(data=merged_i.output, pred=go), raw.RefSwitch(data=merged_ref.output, pred=go)
    written = step(switched_ref.output_true, x)
    next_ref = raw.RefNextIteration(data=written)
    next_i = _after([written], lambda: raw.NextIteration(data=raw.AddV2(x=switched_i.output_true, y=one)))
    merged_i.output.op._update_input(1, next_i)
    merged_ref.output.op._update_input(1, next_ref)
    return raw.RefExit(data=switched_ref.output_false)


@case("RefEnter", "RefExit", "RefNextIteration", "RefMerge", "RefSwitch")
def ref_goes_round_a_loop(_: str) -> Any:
    x, v = _input(), _variable([1.0, 1.0, 1.0])
    out = _frame(v._ref(), x, "loop", 3, lambda ref, x: raw.AssignAdd(ref=ref, value=x))
    written = raw.ScatterAdd(ref=out, indices=[0], updates=[100.0])
    return {"s": ({"x": x}, {"out": out, "written": written * 1.0})}


@case("RefEnter", "RefExit", "RefNextIteration")
def ref_goes_round_a_loop_in_a_loop(_: str) -> Any:
    x, v = _input(), _variable([1.0, 1.0, 1.0])

    def step(ref: Any, x: Any) -> Any:
        inner = _frame(ref, x, "inner", 2, lambda ref, x: raw.AssignAdd(ref=ref, value=x))
        return raw.AssignSub(ref=inner, value=raw.Mul(x=inner, y=x))

    out = _frame(v._ref(), x, "outer", 3, step)
    return {"s": ({"x": x}, {"out": out * 1.0})}


@case("RefEnter", "RefSwitch")
def ref_enters_a_loop_as_a_constant(_: str) -> Any:
    x, v = _input(), _variable([1.0, 1.0, 1.0])

    def body(i: Any, total: Any) -> Any:
        ref = raw.RefEnter(data=v._ref(), frame_name="by_hand", is_constant=True, parallel_iterations=1)
        written = v1.cond(i > 0, lambda: v1.assign_add(v, x) * 1.0, lambda: v1.assign(v, x) * 3.0)
        del ref
        return i + 1, total + written

    _, total = v1.while_loop(lambda i, _: i < 3, body, [tf.constant(0), tf.zeros([3])], parallel_iterations=1)
    return {"s": ({"x": x}, {"total": total, "v": v._ref()})}


@case("AccumulateNV2", calls=ONCE)
def accumulate_n(_: str) -> Any:
    x = _input()
    return {"s": ({"x": x}, {"y": raw.AccumulateNV2(inputs=[x, x * 2.0, x + 1.0], shape=[3])})}


# Tables.


@case(
    "HashTable", "InitializeTable", "LookupTableFind", "LookupTableSize",
    calls=(("s", {"k": ["a", "b", "?"]}), ("s", {"k": ["c", "", "b"]})),
)  # fmt: skip
def hash_table(_: str) -> Any:
    k = v1.placeholder(tf.string, [3], name="k")
    table = raw.HashTable(key_dtype=tf.string, value_dtype=tf.int64)
    start = raw.InitializeTable(table_handle=table, keys=["a", "b", "c"], values=tf.constant([1, 2, 3], tf.int64))
    found = raw.LookupTableFind(table_handle=table, keys=k, default_value=tf.constant(-1, tf.int64))
    return {
        "s": ({"k": k}, {"found": found, "size": raw.LookupTableSize(table_handle=table)}),
        INIT: ({}, {INIT: start}),
    }


@case("InitializeTableFromTextFile", "HashTable", calls=(("s", {"k": ["one", "two", "?"]}),))
def hash_table_from_a_file(files: str) -> Any:
    k = v1.placeholder(tf.string, [3], name="k")
    table = raw.HashTable(key_dtype=tf.string, value_dtype=tf.int64, shared_name="vocabulary")
    path = tf.constant(os.path.join(files, "lines.txt"))
    v1.add_to_collection(v1.GraphKeys.ASSET_FILEPATHS, path)
    start = raw.InitializeTableFromTextFile(table_handle=table, filename=path, key_index=-2, value_index=-1)
    found = raw.LookupTableFind(table_handle=table, keys=k, default_value=tf.constant(-1, tf.int64))
    return {"s": ({"k": k}, {"found": found}), INIT: ({}, {INIT: start})}


@case(
    "MutableHashTable", "LookupTableInsert", "LookupTableImport", "LookupTableExport", "LookupTableFind",
    calls=(
        ("find", {"k": [1, 2]}), ("insert", {"k": [1, 2]}), ("find", {"k": [2, 5]}), ("export", {}),
        ("import", {"k": [5, 6]}), ("find", {"k": [2, 5]}), ("export", {}),
    ),
)  # fmt: skip
def mutable_hash_table(_: str) -> Any:
    k = v1.placeholder(tf.int64, [2], name="k")
    table = raw.MutableHashTable(key_dtype=tf.int64, value_dtype=tf.float32)
    values = tf.cast(k, tf.float32) * 1.5
    insert = raw.LookupTableInsert(table_handle=table, keys=k, values=values)
    load = raw.LookupTableImport(table_handle=table, keys=k, values=values)
    # A table gives its content in no order that two tables share.
    content = raw.LookupTableExport(table_handle=table, Tkeys=tf.int64, Tvalues=tf.float32)
    find = raw.LookupTableFind(table_handle=table, keys=k, default_value=-1.0)
    return {
        "find": ({"k": k}, {"found": find}),
        "insert": ({"k": k}, {"k": _after([insert], lambda: tf.identity(k))}),
        "import": ({"k": k}, {"size": _after([load], lambda: raw.LookupTableSize(table_handle=table))}),
        "export": ({}, {"keys": tf.sort(content.keys), "values": tf.sort(content.values)}),
    }


@case("MutableHashTableOfTensors", calls=(("insert", {"k": [1, 2]}), ("find", {"k": [2, 5]})))
def mutable_hash_table_of_tensors(_: str) -> Any:
    k = v1.placeholder(tf.int64, [2], name="k")
    table = raw.MutableHashTableOfTensors(key_dtype=tf.int64, value_dtype=tf.float32, value_shape=[3])
    values = tf.reshape(tf.cast(k, tf.float32), [2, 1]) * [[1.0, 2.0, 3.0]]
    insert = raw.LookupTableInsert(table_handle=table, keys=k, values=values)
    find = raw.LookupTableFind(table_handle=table, keys=k, default_value=[-1.0, -2.0, -3.0])
    return {
        "find": ({"k": k}, {"found": find}),
        "insert": ({"k": k}, {"size": _after([insert], lambda: raw.LookupTableSize(table_handle=table))}),
    }


# Queues.


def _queue(make: Callable[[], Any], most: bool = True) -> Callable[[str], Any]:
    def build(_: str) -> Any:
        x = _input()
        queue = make()
        one = raw.QueueEnqueue(handle=queue, components=[x[0]])
        many = raw.QueueEnqueueMany(handle=queue, components=[x])
        take = raw.QueueDequeue(handle=queue, component_types=[tf.float32])
        close = raw.QueueClose(handle=queue)

        def size() -> Any:
            return raw.QueueSize(handle=queue)

        signatures = {
            "one": ({"x": x}, {"size": _after([one], size)}),
            "many": ({"x": x}, {"size": _after([many], size)}),
            "take": ({}, {"y": take[0]}),
            "take_many": ({}, {"y": raw.QueueDequeueMany(handle=queue, n=2, component_types=[tf.float32])[0]}),
            "close": ({}, {"closed": _after([close], lambda: raw.QueueIsClosed(handle=queue))}),
            "closed": ({}, {"closed": raw.QueueIsClosed(handle=queue)}),
        }
        if most:
            up_to = raw.QueueDequeueUpTo(handle=queue, n=5, component_types=[tf.float32])
            signatures["up_to"] = ({}, {"y": up_to[0]})
        return signatures

    return build


_QUEUE_CALLS = (
    ("one", X[0]), ("many", X[1]), ("many", X[2]), ("take", {}), ("take_many", {}), ("closed", {}), ("close", {}),
    ("up_to", {}), ("take", {}), ("one", X[0]),
)  # fmt: skip
_QUEUE_OPS = (
    "QueueClose", "QueueDequeue", "QueueDequeueMany", "QueueDequeueUpTo", "QueueEnqueue", "QueueEnqueueMany",
    "QueueIsClosed", "QueueSize",
)  # fmt: skip
case("FIFOQueue", *_QUEUE_OPS, calls=_QUEUE_CALLS, name="fifo_queue")(
    _queue(lambda: raw.FIFOQueue(component_types=[tf.float32], shapes=[[]], capacity=20))
)
case("PaddingFIFOQueue", calls=_QUEUE_CALLS, name="padding_fifo_queue")(
    _queue(lambda: raw.PaddingFIFOQueue(component_types=[tf.float32], shapes=[[]], capacity=20))
)
case("RandomShuffleQueue", calls=_QUEUE_CALLS, name="random_shuffle_queue")(
    _queue(lambda: raw.RandomShuffleQueue(component_types=[tf.float32], shapes=[[]], capacity=20, seed=3, seed2=5))
)
case("FakeQueue", calls=_QUEUE_CALLS, name="fake_queue")(
    _queue(
        lambda: raw.FakeQueue(
            resource=raw.FIFOQueueV2(component_types=[tf.float32], shapes=[[]], capacity=20, shared_name="real")
        )
    )
)


@case("PriorityQueue", calls=(("put", {"p": [3, 1, 2]}), ("take", {}), ("put", {"p": [0, 9, 1]}), ("take", {})))
def priority_queue(_: str) -> Any:
    p = v1.placeholder(tf.int64, [3], name="p")
    queue = raw.PriorityQueue(component_types=[tf.string], shapes=[[]], capacity=20)
    put = raw.QueueEnqueueMany(handle=queue, components=[p, tf.strings.as_string(p)])
    taken = raw.QueueDequeueMany(handle=queue, n=2, component_types=[tf.int64, tf.string])
    return {
        "put": ({"p": p}, {"size": _after([put], lambda: raw.QueueSize(handle=queue))}),
        "take": ({}, {"p": taken[0], "s": taken[1]}),
    }


# Readers.

_READER_OPS = (
    "ReaderNumRecordsProduced", "ReaderNumWorkUnitsCompleted", "ReaderRead", "ReaderReadUpTo", "ReaderReset",
)  # fmt: skip


def _reader(make: Callable[[], Any], file: str) -> Callable[[str], Any]:
    def build(files: str) -> Any:
        old_producer(25)
        path = os.path.join(files, file)
        reader = make()
        queue = raw.FIFOQueue(component_types=[tf.string], shapes=[[]], capacity=20)
        fill = raw.QueueEnqueueMany(handle=queue, components=[[path, path, path]])
        read = raw.ReaderRead(reader_handle=reader, queue_handle=queue)
        some = raw.ReaderReadUpTo(reader_handle=reader, queue_handle=queue, num_records=tf.constant(2, tf.int64))
        reset = raw.ReaderReset(reader_handle=reader)

        def produced() -> Any:
            return raw.ReaderNumRecordsProduced(reader_handle=reader)

        return {
            "fill": ({}, {"size": _after([fill], lambda: raw.QueueSize(handle=queue))}),
            "read": ({}, {"key": read.key, "value": read.value}),
            "some": ({}, {"keys": some.keys, "values": some.values}),
            "count": (
                {},
                {"produced": produced(), "done": raw.ReaderNumWorkUnitsCompleted(reader_handle=reader)},
            ),
            "reset": ({}, {"produced": _after([reset], produced)}),
        }

    return build


_READS = (
    ("fill", {}), ("read", {}), ("some", {}), ("count", {}), ("reset", {}), ("read", {}), ("count", {}),
)  # fmt: skip
case("TextLineReader", *_READER_OPS, calls=_READS, name="text_line_reader")(
    _reader(lambda: raw.TextLineReader(skip_header_lines=1), "lines.txt")
)
case("WholeFileReader", calls=_READS, name="whole_file_reader")(_reader(raw.WholeFileReader, "lines.txt"))
case("IdentityReader", calls=_READS, name="identity_reader")(
    _reader(lambda: raw.IdentityReader(name="whole"), "lines.txt")
)
case("TFRecordReader", calls=_READS, name="tf_record_reader")(_reader(raw.TFRecordReader, "three.tfrecord"))


@case("ReaderSerializeState", "ReaderRestoreState", calls=(("fill", {}), ("read", {}), ("again", {}), ("read", {})))
def reader_state(_: str) -> Any:
    old_producer(25)
    reader = raw.IdentityReader(name="kept")
    queue = raw.FIFOQueue(component_types=[tf.string], shapes=[[]], capacity=20)
    fill = raw.QueueEnqueueMany(handle=queue, components=[["a", "b", "c"]])
    read = raw.ReaderRead(reader_handle=reader, queue_handle=queue)
    state = raw.ReaderSerializeState(reader_handle=reader)
    restore = raw.ReaderRestoreState(reader_handle=reader, state=state)
    return {
        "fill": ({}, {"size": _after([fill], lambda: raw.QueueSize(handle=queue))}),
        "read": ({}, {"key": read.key}),
        "again": ({}, {"state": _after([restore], lambda: tf.identity(state))}),
    }


# Accumulators.


@case(
    "ConditionalAccumulator", "AccumulatorApplyGradient", "AccumulatorNumAccumulated", "AccumulatorSetGlobalStep",
    "AccumulatorTakeGradient",
    calls=(("add", X[0]), ("add", X[1]), ("take", {}), ("step", {}), ("add", X[2]), ("stale", X[0]), ("take", {})),
)  # fmt: skip
def conditional_accumulator(_: str) -> Any:
    x = _input()
    handle = raw.ConditionalAccumulator(dtype=tf.float32, shape=[3])

    def count() -> Any:
        return raw.AccumulatorNumAccumulated(handle=handle)

    def apply(step: int) -> Any:
        step = tf.constant(step, tf.int64)
        return raw.AccumulatorApplyGradient(handle=handle, local_step=step, gradient=x)

    step = raw.AccumulatorSetGlobalStep(handle=handle, new_global_step=tf.constant(7, tf.int64))
    return {
        "add": ({"x": x}, {"count": _after([apply(7)], count)}),
        "stale": ({"x": x}, {"count": _after([apply(1)], count)}),
        "step": ({}, {"count": _after([step], count)}),
        "take": ({}, {"mean": raw.AccumulatorTakeGradient(handle=handle, num_required=1, dtype=tf.float32)}),
    }


# What lives for one step.


@case("Stack", "StackPush", "StackPop", "StackClose")
def stack(_: str) -> Any:
    x = _input()
    handle = raw.Stack(elem_type=tf.float32)
    first = raw.StackPush(handle=handle, elem=x)
    second = _after([first], lambda: raw.StackPush(handle=handle, elem=x * 2.0))
    top = _after([second], lambda: raw.StackPop(handle=handle, elem_type=tf.float32))
    bottom = _after([top], lambda: raw.StackPop(handle=handle, elem_type=tf.float32))
    closed = _after([bottom], lambda: raw.StackClose(handle=handle))
    return {"s": ({"x": x}, {"top": top, "bottom": _after([closed], lambda: tf.identity(bottom)), "pushed": second})}


def _array(x: Any, size: int = 2) -> tuple[Any, Any]:
    """A TensorArray of GraphDef version 15 that holds x and 2 x, and its flow."""
    old_producer(15)
    handle = raw.TensorArray(size=size, dtype=tf.float32, clear_after_read=False)
    flow = raw.TensorArrayWrite(handle=handle, index=0, value=x, flow_in=tf.constant(0.0))
    return handle, raw.TensorArrayWrite(handle=handle, index=1, value=x * 2.0, flow_in=flow)


@case("TensorArray", "TensorArrayWrite", "TensorArrayRead", "TensorArraySize", "TensorArrayClose")
def tensor_array(_: str) -> Any:
    x = _input()
    handle, flow = _array(x)
    second = raw.TensorArrayRead(handle=handle, index=1, flow_in=flow, dtype=tf.float32)
    size = raw.TensorArraySize(handle=handle, flow_in=flow)
    closed = _after([second, size], lambda: raw.TensorArrayClose(handle=handle))
    return {"s": ({"x": x}, {"second": _after([closed], lambda: second + 1.0), "size": size})}


@case("TensorArrayPack", "TensorArrayGather", "TensorArrayConcat")
def tensor_array_taken_whole(_: str) -> Any:
    x = _input()
    handle, flow = _array(x)
    concat = raw.TensorArrayConcat(handle=handle, flow_in=flow, dtype=tf.float32)
    return {
        "s": (
            {"x": x},
            {
                "pack": raw.TensorArrayPack(handle=handle, flow_in=flow, dtype=tf.float32),
                "gather": raw.TensorArrayGather(handle=handle, indices=[1, 0, 1], flow_in=flow, dtype=tf.float32),
                "concat": concat.value,
                "lengths": concat.lengths,
            },
        )
    }


@case("TensorArrayUnpack", "TensorArrayScatter", "TensorArraySplit")
def tensor_array_filled_whole(_: str) -> Any:
    x = _input()
    old_producer(15)
    value, start = tf.reshape(x, [3, 1]), tf.constant(0.0)
    handles = [raw.TensorArray(size=3, dtype=tf.float32, clear_after_read=False) for _ in range(3)]
    flows = [
        raw.TensorArrayUnpack(handle=handles[0], value=value, flow_in=start),
        raw.TensorArrayScatter(handle=handles[1], indices=[2, 0, 1], value=value, flow_in=start),
        raw.TensorArraySplit(handle=handles[2], value=value, lengths=tf.constant([1, 0, 2], tf.int64), flow_in=start),
    ]
    read = [
        raw.TensorArrayRead(handle=handle, index=2, flow_in=flow, dtype=tf.float32)
        for handle, flow in zip(handles, flows, strict=True)
    ]
    return {"s": ({"x": x}, {f"read_{n}": value for n, value in enumerate(read)})}


@case("TensorArrayGrad")
def tensor_array_gradient(_: str) -> Any:
    x = _input()
    handle, flow = _array(x)
    grad = raw.TensorArrayGrad(handle=handle, flow_in=flow, source="gradients")
    given = raw.TensorArrayWrite(handle=grad, index=0, value=x * 3.0, flow_in=flow)
    again = raw.TensorArrayWrite(handle=grad, index=0, value=x, flow_in=given)
    read = raw.TensorArrayRead(handle=grad, index=0, flow_in=again, dtype=tf.float32)
    return {"s": ({"x": x}, {"read": read, "size": raw.TensorArraySize(handle=grad, flow_in=again)})}


@pytest.fixture(scope="module")
def files(tmp_path_factory: Any) -> str:
    """Small files for readers and vocabularies."""
    directory = str(tmp_path_factory.mktemp(FILES))
    with open(os.path.join(directory, "lines.txt"), "w", encoding="utf-8") as file:
        file.write("one\ntwo\nthree\nfour\n")
    with tf.io.TFRecordWriter(os.path.join(directory, "three.tfrecord")) as writer:
        for record in (b"first", b"second", b"third"):
            writer.write(record)
    return directory


_NOT_PROVED: dict[str, str] = {
    # The resource kernel refuses zeros, and the ref kernel divides by them.
    **dict.fromkeys(("ScatterDiv", "ScatterDiv_scalar"), "write"),
    # A write whose node no output of the function waits for by itself.
    "sdca_shrink_l1": "it runs or not",
    # Refs that go round in loops.
    "ref_goes_round_a_loop": "Exit in the source",
    "ref_goes_round_a_loop_in_a_loop": "takes what is no handle",
    # What is written depends on a number.
    "ref_select": "may write it or another one",
}
"""Cases of which not all is proved, with a part of the first reason."""
_LEFT: dict[str, list[str]] = {}


def _prove(name: str, saved: Saved, path: str) -> None:
    """Notes the reasons for which something of a conversion is not proved."""
    candidate = SavedModel.FromString(pathlib.Path(path, "saved_model.pb").read_bytes()).meta_graphs[0]
    proof = prove(saved.meta_graph, Files(saved.prefix, saved.assets), candidate, path)
    results = (*proof.outputs.values(), *proof.effects.values(), *proof.variables.values(), proof.loading)
    reasons = [proof.problem] if proof.problem else []
    _LEFT[name] = reasons + [result.why for result in results if isinstance(result, NotProved)]


@functools.cache
def _ops_of(name: str, files: str) -> frozenset[str] | str:
    """Checks a case, once however many ops it proves; gives the source's ops in it."""
    found = CASES[name]
    directory = os.path.join(files, name)
    os.makedirs(directory)

    def build() -> Any:
        # A name of their own for queues and readers: outside of graphs there is one of each name.
        with v1.name_scope(name):
            return found.build(files)

    try:
        check(build, found.calls, directory, functools.partial(_prove, name))
    except AssertionError as error:
        return str(error)
    graph, _ = build_in_tf1(build)
    return frozenset(operation.type for operation in graph.get_operations())


PROOFS = [(op, found.name) for found in CASES.values() for op in found.proves]


@pytest.mark.sampled(3)
@pytest.mark.slow
@pytest.mark.parametrize(("op", "name"), PROOFS, ids=[f"{op}-{name}" for op, name in PROOFS])
def test_ref_op(op: str, name: str, files: str) -> None:
    result = _ops_of(name, files)
    assert not isinstance(result, str), result
    assert op in result


@pytest.mark.slow
@pytest.mark.sampled(2)
@pytest.mark.parametrize("name", sorted(CASES))
def test_its_conversion_is_proved_beside(name: str, files: str) -> None:
    assert isinstance(_ops_of(name, files), frozenset)
    expected = _NOT_PROVED.get(name)
    assert (_LEFT[name][:1] == []) if expected is None else (expected in _LEFT[name][0]), _LEFT[name]


def test_fixed_length_record_reader_runs_although_no_session_runs_it(files: str, tmp_path: Any) -> None:
    # Its V1 kernel asks for the attribute `encoding`, which the V1 op does not have (fixed_length_record_reader_op.cc).
    build = functools.partial(
        _reader(lambda: raw.FixedLengthRecordReader(record_bytes=4, header_bytes=1), "lines.txt"), files
    )
    calls = [("fill", {}), ("read", {}), ("some", {}), ("count", {})]
    saved = save_and_ask(build, calls, str(tmp_path))
    assert saved.answers[1:] == [tf.errors.NotFoundError] * 3
    found = ask_converted(saved, calls)
    assert found[1]["value"] == b"ne\nt"
    assert found[2]["values"].tolist() == [b"wo\nt", b"hree"]
    assert found[3]["produced"] == 3


ELSEWHERE = {
    "FixedLengthRecordReader": "test_fixed_length_record_reader_runs_although_no_session_runs_it",
}
"""Ops that have a test of their own."""


def test_every_ref_op_has_its_test() -> None:
    proved = {op for op, _ in PROOFS} | set(ELSEWHERE) | set(REFUSED) | set(MADE_BY) | TEST_OPS
    assert sorted(set(REF_OPS) - proved) == []


UNKNOWN = sorted({*REFUSED, *MADE_BY, *TEST_OPS})


@pytest.mark.parametrize("op", UNKNOWN)
def test_refused(op: str) -> None:
    maker = MADE_BY.get(op, op)
    meta_graph = MetaGraphDef()
    meta_graph.graph_def.node.add(name="made", op=maker)
    if maker != op:
        meta_graph.graph_def.node.add(name="used", op=op, input=["made"])
    # Some of them have no output, so the answer waits for them.
    answer = meta_graph.graph_def.node.add(name="answer", op="Const", input=["^made" if maker == op else "^used"])
    answer.attr["dtype"].type = tf.int32.as_datatype_enum
    answer.attr["value"].tensor.CopyFrom(tf.make_tensor_proto(1))
    meta_graph.signature_def["s"].outputs["y"].name = "answer:0"
    found = [f.message for f in make_plan(meta_graph).findings if f.code == "ref-op-unsupported"]
    assert [m for m in found if f": {op} cannot be rewritten" in m]
    if op not in TEST_OPS:
        assert [m for m in found if REFUSED[maker].reason in m]


def _session_error(build: Callable[[], Any]) -> type | None:
    graph, signatures = build_in_tf1(lambda: {"s": ({}, {"y": build()})})
    with v1.Session(graph=graph) as session:
        try:
            session.run(signatures["s"][1]["y"])
        except tf.errors.OpError as error:
            return type(error)
    return None


def test_no_session_runs_a_mutable_dense_hash_table() -> None:
    def build() -> Any:
        table = raw.MutableDenseHashTable(empty_key=tf.constant(0, tf.int64), value_dtype=tf.float32)
        return raw.LookupTableSize(table_handle=table)

    assert _session_error(build) is not None


def test_no_session_reads_lmdb() -> None:
    def build() -> Any:
        queue = raw.FIFOQueue(component_types=[tf.string], shapes=[[]])
        fill = raw.QueueEnqueue(handle=queue, components=["none"])
        return _after([fill], lambda: raw.ReaderRead(reader_handle=raw.LMDBReader(), queue_handle=queue)).key

    assert _session_error(build) is not None


def test_a_temporary_variable_in_a_loop_is_refused(tmp_path: Any) -> None:
    def build() -> Any:
        temporary = raw.TemporaryVariable(shape=[], dtype=tf.float32)
        first = raw.Assign(ref=temporary, value=1.0)

        def body(i: Any) -> Any:
            with tf.control_dependencies([v1.assign_add(first, 2.0)]):
                return i + 1

        done = v1.while_loop(lambda i: i < 3, body, [tf.constant(0)], parallel_iterations=1)
        total = _after([done], lambda: raw.DestroyTemporaryVariable(ref=temporary, var_name="TemporaryVariable"))
        return {"s": ({}, {"y": total})}

    assert [f.code for f in refusals(build, str(tmp_path))] == ["ref-op-unsupported"]


def test_a_variable_that_nothing_fills_is_refused(tmp_path: Any) -> None:
    def build() -> Any:
        return {"s": ({}, {"y": tf.identity(raw.VariableV2(shape=[2], dtype=tf.float32, name="empty"))})}

    assert [f.code for f in refusals(build, str(tmp_path))] == ["variable-without-value"]


def test_the_page_is_what_its_script_would_write(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(pathlib.Path(__file__).parents[2] / "tools"))
    import make_ref_ops

    assert make_ref_ops.PAGE.read_text(encoding="utf-8") == make_ref_ops.page(), "run tools/make_ref_ops.py"


def test_the_page_says_which_programs_differ(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(pathlib.Path(__file__).parents[2] / "tools"))
    import make_ref_ops

    assert make_ref_ops._differed([]) == "none differs"
    assert make_ref_ops._differed([3, 14]) == "the programs of these seeds differ: 3, 14"
