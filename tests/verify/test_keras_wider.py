"""keras_wider.py: calls of a Keras source that are not ordinary ones. No TensorFlow."""

from __future__ import annotations

import time
from types import SimpleNamespace

import numpy as np
import pytest

from migrate.graph.protos import MetaGraphDef
from migrate.records import Signature, TensorSpec
from migrate.verify.calls import Answer, Call
from migrate.verify.keras_wider import Chosen, Traced, choose, facts_of, vocabularies, work_of

_FOREVER = time.monotonic() + 1e6


def _graph(*nodes):
    """Nodes, each as its name, op, inputs and the shape of its value."""
    meta_graph = MetaGraphDef()
    for name, op, inputs, shape in nodes:
        node = meta_graph.graph_def.node.add(name=name, op=op, input=inputs)
        node.attr["_output_shapes"].list.shape.add().dim.extend([])
        for size in shape:
            node.attr["_output_shapes"].list.shape[0].dim.add(size=size)
    return meta_graph


_PLAIN = _graph(("x", "Placeholder", [], (-1, 4)), ("y", "Relu", ["x"], (-1, 4)))
_STATEFUL = _graph(
    ("x", "Placeholder", [], (-1, 4)), ("v", "VarHandleOp", [], ()), ("w", "AssignAddVariableOp", [], ())
)


def _signature(dtype="float32", shape=(None, 4)):
    return Signature("s", "", {"x": TensorSpec("x:0", dtype, shape)}, {"y": TensorSpec("y:0", "float32", None)})


def _calls(dtype=np.float32, width=4, high=10):
    values = np.arange(3 * width).reshape(3, width) % high
    return [Call("s", {"x": values.astype(dtype)}), Call("s", {"x": values[:1].astype(dtype)})]


def _choose(graph=_PLAIN, traced=None, eager=None, refuses=None, deadline=_FOREVER, signature=None, calls=None, rows=0):
    """What is chosen where the traced function and the eager call answer as is given; and with what they were asked."""
    asked = []

    def fine(call):
        asked.append(call)
        return Answer({"y": call.inputs["x"]})

    model = Traced(graph, {"x": "x:0"}, traced or fine)
    facts = facts_of(signature or _signature(), model, {"x": rows} if rows else {}, {}, {})
    chosen = choose(model, facts, calls or _calls(), eager or fine, refuses or (lambda call: ""), deadline)
    return chosen, asked


def _values(chosen):
    return np.concatenate([call.inputs["x"].ravel() for call in chosen.calls])


def test_no_row_and_many_rows_and_what_is_not_finite():
    chosen, _ = _choose()
    assert {0, 2, 65} <= {call.rows for call in chosen.calls}
    values = _values(chosen)
    assert np.isnan(values).any() and np.isinf(values).any() and (np.abs(values) > 1e30).any()
    assert len(chosen.calls) == len(chosen.traced) <= 16


def test_the_same_calls_are_chosen_each_time():
    first, again = (_choose()[0].calls for _ in range(2))
    assert [call.inputs["x"].tobytes() for call in first] == [call.inputs["x"].tobytes() for call in again]


def test_every_row_of_a_table_is_looked_up_and_what_is_beyond():
    signature, calls = _signature("int64", (None, 2)), _calls(np.int64, 2, 6)
    chosen, _ = _choose(signature=signature, calls=calls, rows=700)
    assert set(range(700)) <= set(_values(chosen).tolist())
    assert {700, -1} <= set(_values(chosen).tolist()) or _values(chosen).max() > 700


def test_a_model_that_keeps_state_gets_no_nan_and_no_refused_call():
    chosen, _ = _choose(_STATEFUL)
    assert chosen.calls and chosen.traced == ()
    assert np.isfinite(_values(chosen)).all()

    def refusing(call):
        return Answer({}, "InvalidArgumentError", "no") if call.rows == 65 else Answer({})

    chosen, _ = _choose(_STATEFUL, refusing, refusing)
    assert 65 not in {call.rows for call in chosen.calls}


def _refusing(error, message="no"):
    return lambda call: Answer({}, error, message) if call.rows == 65 else Answer({"y": call.inputs["x"]})


def _fine(call):
    return Answer({"y": call.inputs["x"]})


@pytest.mark.parametrize(
    ("traced", "eager", "kept"),
    [
        ("InvalidArgumentError", "InvalidArgumentError", True),
        ("OutOfRangeError", "OutOfRangeError", True),
        ("InvalidArgumentError", "ValueError", False),
        ("InvalidArgumentError", "", False),
        ("", "InvalidArgumentError", False),
        ("", "ValueError", False),
        ("ValueError", "ValueError", False),
        ("ResourceExhaustedError", "ResourceExhaustedError", False),
        ("", "", True),
    ],
)
def test_an_error_is_kept_where_both_raise_it_and_an_op_does(traced, eager, kept):
    made = [_refusing(error) if error else _fine for error in (traced, eager)]
    chosen, _ = _choose(traced=made[0], eager=made[1])
    assert (65 in {call.rows for call in chosen.calls}) == kept
    assert len(chosen.calls) > 3


def _refuse(call):
    return Answer({}, "InvalidArgumentError", f"indices[{call.rows}] = 7 is not in [0, 3)")


def test_few_refused_calls_are_kept():
    chosen, _ = _choose(traced=_refuse, eager=_refuse)
    assert 1 < len(chosen.calls) <= 6


def test_a_call_of_many_rows_that_is_refused_is_asked_in_parts():
    def refuse(call):
        return _refuse(call) if np.isnan(call.inputs["x"]).any() else _fine(call)

    chosen, _ = _choose(traced=refuse, eager=refuse)
    (refused,) = [call for call, answer in zip(chosen.calls, chosen.traced, strict=True) if answer.error]
    others = [call for call in chosen.calls if call is not refused]
    assert np.isnan(refused.inputs["x"]).any()
    assert any(np.isinf(call.inputs["x"]).any() for call in others)


def test_each_input_s_ids_beyond_its_table_are_refused_calls():
    spec = TensorSpec("x:0", "int64", (None, 2))
    signature = Signature("s", "", {"a": spec, "b": spec}, {})
    ids = np.arange(6).reshape(3, 2)
    calls = [Call("s", {"a": ids, "b": ids}), Call("s", {"a": ids[:1], "b": ids[:1]})]

    def refuse(call):
        beyond = any((value < 0).any() or (value > 9).any() for value in call.inputs.values())
        return Answer({}, "InvalidArgumentError", "indices[0] = 7 is not in [0, 3)") if beyond else Answer({})

    graph = _graph(("x", "Placeholder", [], (-1, 2)))
    model = Traced(graph, {"a": "x:0", "b": "x:0"}, refuse)
    facts = facts_of(signature, model, {"a": 10, "b": 10}, {}, {})
    chosen = choose(model, facts, calls, refuse, lambda call: "", _FOREVER)
    kept = [call.inputs for call, answer in zip(chosen.calls, chosen.traced, strict=True) if answer.error]
    assert {name for inputs in kept for name, value in inputs.items() if value.max() > 9} == {"a", "b"}
    # Each for one reason alone.
    assert not any(value.max() > 9 and value.min() < 0 for inputs in kept for value in inputs.values())


def test_a_call_that_must_not_be_made_is_not():
    chosen, asked = _choose(refuses=lambda call: "it is lost" if call.rows == 65 else "")
    assert 65 not in {call.rows for call in (*chosen.calls, *asked)}


def test_no_time_no_calls():
    chosen, asked = _choose(deadline=time.monotonic() - 1)
    assert chosen == Chosen() and asked == []


def test_a_large_model_gets_few_rows():
    size = 10_000_000
    graph = _graph(("x", "Placeholder", [], (-1, 4)), ("y", "MatMul", ["x"], (-1, size)))
    chosen, _ = _choose(graph)
    assert sum(call.rows for call in chosen.calls) <= 0.3 * sum(call.rows for call in _calls()) + 1
    small, _ = _choose()
    assert sum(call.rows for call in small.calls) > 65


def test_work_is_counted_by_row():
    plain = work_of(_PLAIN, _calls())
    assert plain.each == 8 and plain.once > 0
    assert work_of(_graph(("y", "Conv2D", [], (-1, 8))), _calls()).each > 8
    # A size that is open is that of the ordinary calls.
    assert work_of(_graph(("y", "Relu", [], (-1, -1, 8))), _calls(width=5)).each == 40


def test_a_loop_s_body_is_counted_for_each_step():
    def with_body(op):
        graph = _graph(("loop", op, [], ()))
        body = graph.graph_def.library.function.add()
        body.signature.name = "body"
        body.node_def.add(name="y", op="Relu").attr["_output_shapes"].list.shape.add().dim.add(size=-1)
        body.node_def[0].attr["_output_shapes"].list.shape[0].dim.add(size=8)
        return work_of(graph, _calls(width=20)).each

    assert with_body("While") - with_body("PartitionedCall") == 19 * 8


def _layer(kind, vocabulary, given):
    layer = type(kind, (), {"get_vocabulary": lambda self: vocabulary})()
    layer.given = given
    return layer


def test_words_are_those_of_the_layer_that_an_input_goes_into():
    a, b, c = (SimpleNamespace() for _ in range(3))
    layers = [
        _layer("StringLookup", ["[UNK]", "one", "two"], [a]),
        _layer("TextVectorization", ["", "[UNK]", "three"], [b]),
        _layer("IntegerLookup", [-1, 40, 50], [SimpleNamespace()]),
        SimpleNamespace(),
    ]
    words, numbers = vocabularies(layers, {"a": a, "b": b, "c": c}, lambda layer: layer.given)
    assert words == {"a": (b"one", b"two"), "b": (b"three",), "c": (b"one", b"two", b"three")}
    assert set(numbers) == {"c"} and {40, 50} <= set(numbers["c"])


def test_answers_are_those_of_the_calls_that_are_left():
    calls = tuple(_calls())
    answers = (Answer({}, "first"), Answer({}, "second"))
    assert Chosen(calls, answers).answers(calls[1:]) == answers[1:]
    assert Chosen(calls).answers(calls) == ()
