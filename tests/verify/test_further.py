"""Which calls are made after the others, and which of their answers count. No TensorFlow."""

from __future__ import annotations

import numpy as np
import pytest

from migrate.graph.protos import MetaGraphDef
from migrate.verify.calls import NO_VALUE, Answer, Call, Fingerprint, Further
from migrate.verify.further import alterable, chosen_calls, default_of, settled, thresholds_of


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        (["a", "serving_default"], "serving_default"),
        (["default", "a"], "default"),
        (["a"], "a"),
        (["a", "b"], None),
        ([], None),
        ([""], ""),
    ],
)
def test_call_answers_the_default_signature(keys, expected):
    assert default_of(keys) == expected


def test_the_call_is_made_again_whose_answer_says_the_most():
    zeros, small, large, failing = (Call("s", {"x": np.float32([number])}) for number in range(4))
    answers = [
        Answer({"y": np.zeros(3, np.float32)}),
        Answer({"y": np.float32([1, 2, 3]), "label": np.array([b"a"], object)}),
        Answer({"y": np.float32([np.inf, 1, 2, 3, 4])}),
        Answer({}, "InvalidArgumentError", "no"),
    ]
    calls = [zeros, small, large, failing]
    twice = [[item for item in items for _ in range(2)] for items in (calls, answers)]
    assert chosen_calls(*twice) == (small,)
    assert chosen_calls([failing] * 2, answers[3:] * 2) == ()
    words = Answer({"label": np.array([b"a"], object)})
    assert chosen_calls([zeros] * 2, [words] * 2) == (zeros,)


def test_variables_without_a_value_and_those_that_are_no_floats_stay():
    held = {
        "w": Fingerprint("float32", (2,), "00"),
        "half": Fingerprint("bfloat16", (2,), "00"),
        "step": Fingerprint("int64", (), "00"),
        "name": Fingerprint("string", (), "00"),
        "empty": NO_VALUE,
    }
    assert alterable(held, held) == ("w", "half")


def test_an_integer_that_calls_count_gets_another_value():
    before = {name: Fingerprint("int64", (), "00") for name in ("step", "constant")}
    after = {**before, "step": Fingerprint("int64", (), "01"), "new": Fingerprint("int32", (), "02")}
    assert alterable(before, after) == ("step",)


def test_what_another_load_contradicts_does_not_count():
    call = Call("s", {})

    def asked(y, z):
        answer = Answer({"y": np.float32([y]), "z": np.float32([z])})
        return Further("s", (call, answer), (), (call,), (answer,))

    found = settled(asked(1, 2), asked(1, 3))
    assert list(found.answers[0].outputs) == ["y"] and list(found.called[1].outputs) == ["y"]


def _compared(op, value, **kind):
    graph = MetaGraphDef()
    graph.graph_def.node.add(name="count", op="ReadVariableOp")
    constant = graph.graph_def.node.add(name="limit", op="Const")
    for field, values in kind.items():
        getattr(constant.attr["value"].tensor, field).extend(values)
    graph.graph_def.node.add(name="handed_on", op="Identity", input=["limit"])
    graph.graph_def.node.add(name="is", op=op, input=["count:value:0", value])
    return graph


@pytest.mark.parametrize(
    ("graph", "found"),
    [
        (_compared("Greater", "limit", int64_val=[5000]), (5000,)),
        (_compared("FloorMod", "handed_on:0", int_val=[500]), (500,)),
        (_compared("Less", "limit", float_val=[7.0]), (7,)),
        (_compared("Less", "limit", float_val=[7.5]), ()),
        (_compared("AddV2", "limit", int64_val=[5000]), ()),
        (_compared("Less", "limit", int64_val=[1 << 40]), ()),
        (_compared("Less", "limit", int64_val=[5, 6]), ()),
        (_compared("Less", "nowhere", int64_val=[5]), ()),
    ],
)
def test_numbers_near_which_a_counter_may_make_a_difference(graph, found):
    assert set(thresholds_of(graph)) == {*found, 10_000, 100_000}


def test_they_are_found_in_functions_and_are_few():
    graph = MetaGraphDef()
    for number in range(2, 40):
        body = _compared("Less", "limit", int_val=[number]).graph_def.node
        graph.graph_def.library.function.add().node_def.extend(body)
    assert thresholds_of(graph) == (*range(2, 10), 10_000, 100_000)
