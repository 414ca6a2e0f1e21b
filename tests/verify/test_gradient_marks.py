"""Nodes that stop a gradient or name another one are the source's. No TensorFlow."""

from __future__ import annotations

import pytest

from migrate.graph.data_protos import WhileContextDef
from migrate.graph.protos import MetaGraphDef
from migrate.verify.gradient_marks import gradient_mark_differences, has_gradients


def _graph(op: str, override: bytes = b"", name: str = "scores", in_function: bool = False) -> MetaGraphDef:
    graph = MetaGraphDef()
    nodes = graph.graph_def.library.function.add().node_def if in_function else graph.graph_def.node
    node = nodes.add(name=name, op=op, input=["x"])
    if override:
        node.attr["_gradient_op_type"].s = override
    return graph


def _told(before: MetaGraphDef, after: MetaGraphDef) -> list[tuple[str, str]]:
    return [(found.code, found.output) for found in gradient_mark_differences((before,), after, "contract")]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (("Identity",), ("StopGradient",)),
        (("Identity",), ("PreventGradient",)),
        (("StopGradient",), ("PreventGradient",)),
        (("StopGradient",), ("Identity",)),
        (("MatMul",), ("MatMul", b"Sin")),
        (("MatMul", b"Cos"), ("MatMul", b"Sin")),
        (("MatMul", b"Sin"), ("MatMul", b"LostSin")),
        (("IdentityN", b"CustomGradient-1"), ("IdentityN", b"LostCustomGradient-2")),
        (("IdentityN",), ("IdentityN", b"LostCustomGradient-2")),
    ],
)
def test_another_mark_is_told(before, after):
    assert _told(_graph(*before), _graph(*after, in_function=True)) == [("gradient-mark-differs", "scores")]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (("Identity",), ("Identity",)),
        (("StopGradient",), ("StopGradient",)),
        (("MatMul", b"Sin"), ("MatMul", b"Sin")),
        (("IdentityN", b"CustomGradient-7"), ("IdentityN", b"LostCustomGradient-7")),
        # `--plain_gradients` takes it away.
        (("MatMul", b"Sin"), ("MatMul",)),
        # A read of a ref variable.
        (("Identity",), ("ReadVariableOp",)),
    ],
)
def test_the_same_mark_is_none(before, after):
    assert _told(_graph(*before), _graph(*after, in_function=True)) == []


def test_the_end_of_a_loop_may_stop_gradients_if_tf1_gives_none_there():
    before, after = _graph("Exit", name="while/Exit"), _graph("StopGradient", name="while/Exit", in_function=True)
    assert _told(before, after) == [("gradient-mark-differs", "while/Exit")]
    loop = WhileContextDef(loop_exit_names=["while/Exit:0"], back_prop=True)
    before.collection_def["while_context"].bytes_list.value.append(loop.SerializeToString())
    assert _told(before, after) == [("gradient-mark-differs", "while/Exit")]
    loop.back_prop = False
    before.collection_def["while_context"].bytes_list.value.append(loop.SerializeToString())
    assert _told(before, after) == []


def test_the_exporters_own_identities_are_none():
    assert _told(_graph("StopGradient", name="Identity_1"), _graph("Identity", name="Identity_1")) == []


def test_a_node_that_the_source_does_not_have_is_left_to_the_proof():
    assert _told(_graph("Identity"), _graph("StopGradient", name="other")) == []


def test_the_training_graph_counts():
    training = _graph("StopGradient", name="loss")
    found = gradient_mark_differences((_graph("Identity"), training), _graph("StopGradient", name="loss"), "contract")
    assert list(found) == []


@pytest.mark.parametrize(
    ("op", "override", "expected"),
    [
        ("MatMul", b"", True),
        ("MatMul", b"Sin", True),
        ("MatMul", b"LostCustomGradient-2", False),
        ("StatefulPartitionedCall", b"PartitionedCall-7", True),
        ("Switch", b"", False),
        ("Enter", b"", False),
        ("TensorArrayV3", b"", False),
        ("StatelessWhile", b"", True),
    ],
)
def test_where_a_lost_gradient_is_a_fault(op, override, expected):
    assert has_gradients(_graph(op, override, in_function=True)) is expected


@pytest.mark.parametrize(("dtype", "expected"), [(1, True), (7, False)])
def test_a_list_of_strings_has_no_zeros(dtype, expected):
    graph = _graph("TensorListReserve", in_function=True)
    graph.graph_def.library.function[0].node_def[0].attr["element_dtype"].type = dtype
    assert has_gradients(graph) is expected
