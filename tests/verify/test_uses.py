"""uses.py on hand-made graphs. No TensorFlow."""

from __future__ import annotations

import numpy as np
import pytest

from migrate.graph.dtypes import dtype_value
from migrate.graph.protos import MetaGraphDef
from migrate.verify.uses import Graph, Uses, uses_of

FLOAT, INT32, INT64 = map(dtype_value, ("float32", "int32", "int64"))


def _uses(*nodes) -> Uses:
    """What a graph of (name, op, inputs, constant or shape) does with `x:0`."""
    meta_graph = MetaGraphDef()
    meta_graph.graph_def.node.add(name="x", op="Placeholder")
    for name, op, inputs, *value in nodes:
        node = meta_graph.graph_def.node.add(name=name, op=op, input=inputs)
        if op == "Const":
            array = np.asarray(value[0])
            tensor = node.attr["value"].tensor
            tensor.dtype = {"f": FLOAT, "i": INT64}[array.dtype.kind]
            tensor.tensor_content = array.astype(np.float32 if array.dtype.kind == "f" else np.int64).tobytes()
            for size in array.shape:
                tensor.tensor_shape.dim.add(size=size)
        elif value:
            for size in value[0]:
                node.attr["shape"].shape.dim.add(size=size)
    return uses_of(Graph(meta_graph), "x:0")


def test_nothing_is_known_of_what_nobody_takes():
    assert _uses() == Uses(is_index=True)


@pytest.mark.parametrize(
    ("nodes", "expected"),
    [
        ([("y", "Greater", ["x", "c"])], (10.0,)),
        ([("y", "Less", ["c", "x"])], (10.0,)),
        ([("i", "Identity", ["x"]), ("y", "Equal", ["i", "c"])], (10.0,)),
        ([("a", "AddV2", ["x", "c"]), ("y", "Greater", ["a", "c"])], (0.0,)),
        ([("a", "Sub", ["c", "x"]), ("y", "Greater", ["a", "c"])], (0.0,)),
        ([("a", "Mul", ["x", "c"]), ("y", "Greater", ["a", "c"])], (1.0,)),
        ([("a", "RealDiv", ["x", "c"]), ("y", "Greater", ["a", "c"])], (100.0,)),
        ([("a", "Neg", ["x"]), ("y", "Greater", ["a", "c"])], (-10.0,)),
        ([("a", "MatMul", ["x", "w"]), ("y", "Greater", ["a", "c"])], ()),
        ([("a", "FloorMod", ["x", "c"]), ("y", "Greater", ["a", "c"])], (10.0,)),
    ],
)
def test_numbers_are_in_the_inputs_own_terms(nodes, expected):
    assert _uses(("c", "Const", [], 10.0), *nodes).constants == expected


def test_a_comparison_of_a_sum_is_of_all_values():
    nodes = [("c", "Const", [], 10.0), ("s", "Sum", ["x", "axis"]), ("y", "Greater", ["s", "c"])]
    assert _uses(*nodes).reduced
    assert not _uses(nodes[0], ("y", "Greater", ["x", "c"])).reduced


@pytest.mark.parametrize(
    ("nodes", "rows"),
    [
        ([("t", "VariableV2", [], (500, 3)), ("y", "GatherV2", ["t", "x", "axis"])], (500,)),
        ([("t", "Const", [], [1.0] * 7), ("y", "Gather", ["t", "x"])], (7,)),
        ([("t", "VarHandleOp", [], (9, 3)), ("y", "ResourceGather", ["t", "x"])], (9,)),
        ([("d", "Const", [], 6), ("y", "OneHot", ["x", "d", "on", "off"])], (6,)),
        (
            [
                ("n", "Const", [], 4),
                ("i", "FloorDiv", ["x", "n"]),
                ("t", "VariableV2", [], (5, 3)),
                ("y", "GatherV2", ["t", "i", "axis"]),
            ],
            (20,),
        ),
    ],
)
def test_rows_are_those_of_what_is_indexed(nodes, rows):
    found = _uses(*nodes)
    assert (found.rows, found.is_index) == (rows, True)


@pytest.mark.parametrize(
    "nodes",
    [
        [("y", "Range", ["zero", "x", "one"])],
        [("y", "Fill", ["x", "c"])],
        [("y", "Reshape", ["other", "x"])],
        [("l", "Less", ["i", "x"]), ("y", "LoopCond", ["l"])],
    ],
)
def test_sizes_and_numbers_of_steps_are_bounded(nodes):
    found = _uses(*nodes)
    assert found.is_bounded and (not found.is_index or nodes[0][1] == "Less")


def test_the_shape_of_an_input_bounds_no_values():
    assert not _uses(("s", "Shape", ["x"]), ("y", "Fill", ["s", "c"])).is_bounded


def test_an_op_that_is_not_known_takes_no_index():
    assert not _uses(("y", "NoSuchOp", ["x"])).is_index


def test_lengths():
    assert _uses(("m", "Max", ["x", "axis"]), ("y", "BlockLSTM", ["m", "other"])).is_length


def test_reshapes_give_multiples():
    assert _uses(("s", "Const", [], [-1, 4, 3]), ("y", "Reshape", ["x", "s"])).multiples == (3, 4)


def test_the_slices_of_a_partitioned_variable_have_the_rows_together():
    nodes = [
        ("m", "FloorMod", ["x", "per_slice"]),
        ("p", "DynamicPartition", ["m", "which"]),
        ("v0", "VariableV2", [], (4, 2)),
        ("v1", "VariableV2", [], (3, 2)),
        ("g0", "GatherV2", ["v0", "p"]),
        ("g1", "GatherV2", ["v1", "p:1"]),
    ]
    assert _uses(*nodes).rows == (7,)
    assert _uses(nodes[0], *nodes[2:4], ("g0", "GatherV2", ["v0", "m"])).rows == ()  # What is left of an id is no id.
