"""The variables of a source's graph, by stand-ins for what TensorFlow gives: nothing of it is started."""

from __future__ import annotations

import dataclasses
import types
from typing import Any

import numpy as np
import pytest

from migrate.graph.protos import FunctionDefLibrary, MetaGraphDef, VariableDef
from migrate.verify.variables import (
    bodies_draw,
    bodies_write,
    groups,
    may_draw,
    may_write,
    needed,
    saved_keys,
    trainable,
    variables_of,
)


@dataclasses.dataclass(eq=False)
class _Tensor:
    op: _Operation
    name: str

    def consumers(self):
        return [operation for operation in self.op.graph.values() if self in operation.inputs]


class _Operation:
    def __init__(self, graph, name, op, inputs=(), control=(), **attributes: Any):
        self.graph, self.name, self.type, self.attributes = graph, name, op, attributes
        self.outputs = [_Tensor(self, f"{name}:{number}") for number in range(2)]
        self.inputs = [i if isinstance(i, _Tensor) else i.outputs[0] for i in inputs]
        self.control_inputs = list(control)
        graph[name] = self

    def get_attr(self, name):
        return self.attributes.get(name, b"")


class _Session:
    """Gives a predicate its value."""

    def __init__(self, operations, values=()):
        self.graph = types.SimpleNamespace(
            get_operation_by_name=operations.__getitem__,
            get_operations=lambda: list(operations.values()),
            get_tensor_by_name=lambda name: operations[name[:-2]].outputs[int(name[-1])],
        )
        self.values = dict(values)

    def run(self, tensor, feeds):
        return feeds.get(tensor.name, self.values[tensor.name])


def test_nodes_that_share_a_buffer_are_one_variable():
    graph = {}
    for name, op, shared in (
        ("a", "VariableV2", b""),
        ("b", "VariableV2", b"a"),  # The name of another node.
        ("c", "Variable", b""),
        ("d", "VarHandleOp", b"a"),  # Resources have names of their own.
        ("e", "VarHandleOp", b""),
        ("f", "VarHandleOp", b""),
        ("g", "Const", b""),
    ):
        _Operation(graph, name, op, shared_name=shared)
    found = variables_of(_Session(graph).graph)
    assert found == {"a": ("a", "b"), "c": ("c",), "d": ("d",), "e": ("e", "f")}


def test_what_is_behind_a_fed_tensor_is_not_needed():
    graph = {}
    v, w = _Operation(graph, "v", "VariableV2"), _Operation(graph, "w", "VariableV2")
    fed = _Operation(graph, "x", "Identity", [w])
    change = _Operation(graph, "change", "AssignAdd", [v])
    _Operation(graph, "y", "Identity", [fed], [change])
    session = _Session(graph)
    assert {op.name for op in needed(session, ["y:0"], ["x:0"], {})} == {"y", "change", "v"}
    assert {op.name for op in needed(session, ["y:0"], [], {})} == {"y", "x", "change", "v", "w"}
    assert needed(session, ["x:0"], ["x:0"], {}) == []


@pytest.mark.parametrize(
    ("predicate", "fixed", "reached"),
    [
        ("Const", {}, {"v"}),
        ("Placeholder", {"p:0": np.bool_(True)}, {"v"}),
        ("Placeholder", {}, {"v", "w"}),
        ("VariableV2", {}, {"v", "w"}),
        ("AnOpThatNobodyKnows", {}, {"v", "w"}),
    ],
)
def test_a_branch_that_the_graph_never_takes_is_not_needed(predicate, fixed, reached):
    graph = {}
    p = _Operation(graph, "p", predicate)
    v, w = _Operation(graph, "v", "VariableV2"), _Operation(graph, "w", "VariableV2")
    taken = _Operation(graph, "taken", "Switch", [v, p]).outputs[1]
    other = _Operation(graph, "other", "Switch", [w, p]).outputs[0]
    deep = _Operation(graph, "deep", "Neg", [other])
    _Operation(graph, "y", "Merge", [taken, deep])
    found = needed(_Session(graph, {"p:0": True}), ["y:0"], [], fixed)
    assert {op.name for op in found if op.type == "VariableV2" and op.name != "p"} == reached


def test_a_circle_ends():
    graph = {}
    first, second = _Operation(graph, "a", "Merge"), _Operation(graph, "b", "AssignAdd")
    first.inputs, second.inputs = [second.outputs[0]], [first.outputs[0]]
    assert len(needed(_Session(graph), ["a:0"], [], {})) == 2


@pytest.mark.parametrize(
    ("op", "expected"),
    [
        ("Identity", False),
        ("AssignAdd", True),
        ("PartitionedCall", True),
        ("AnOpThatNobodyKnows", True),
        ("TensorArrayWriteV3", False),
        ("StackPushV2", False),
    ],
)
def test_what_is_not_known_to_write_nothing_may_write(op, expected):
    assert may_write([op]) is expected


@pytest.mark.parametrize(("op", "expected"), [("Identity", False), ("AssignAddVariableOp", True), ("Unknown", True)])
def test_what_calls_functions_writes_what_they_write(op, expected):
    library = FunctionDefLibrary()
    library.function.add().node_def.add(name="n", op=op)
    library.function.add().node_def.add(name="call", op="StatefulPartitionedCall")
    assert bodies_write(library) is expected
    assert may_write(["If", "StatelessWhile"], bodies_write(library)) is expected
    assert may_write(["PyFunc"], False)


@pytest.mark.parametrize(
    ("op", "expected"), [("Identity", False), ("RandomUniform", True), ("VariableV2", False), ("Unknown", True)]
)
def test_what_draws_random_numbers(op, expected):
    library = FunctionDefLibrary()
    library.function.add().node_def.add(name="n", op=op)
    assert may_draw([op]) is bodies_draw(library) is may_draw(["If"], bodies_draw(library)) is expected


def _listed(collection, *definitions):
    meta_graph = MetaGraphDef()
    values = [d if isinstance(d, bytes) else d.SerializeToString() for d in definitions]
    meta_graph.collection_def[collection].bytes_list.value.extend(values)
    return meta_graph


def test_what_is_no_definition_lists_nothing():
    meta_graph = _listed("trainable_variables", VariableDef(variable_name="w:0"), b"\xff\xff")
    assert trainable(meta_graph) == {"w"}
    assert trainable(MetaGraphDef()) == frozenset()


def test_keys_are_those_of_a_saver_without_arguments():
    graph: dict[str, _Operation] = {}
    for name in ("w", "e/part_1"):
        _Operation(graph, name, "VariableV2")
    part = VariableDef(variable_name="e/part_1:0")
    part.save_slice_info_def.full_name = "e"
    part.save_slice_info_def.full_shape.extend([10, 4])
    part.save_slice_info_def.var_offset.extend([4, 0])
    part.save_slice_info_def.var_shape.extend([3, 4])
    listed = _listed("variables", VariableDef(variable_name="w:0"), part, VariableDef(variable_name="gone:0"))
    found = list(saved_keys(_Session(graph).graph, listed))
    assert found == [("w", "w", ""), ("e/part_1", "e", "10 4 4,3:0,4")]


def test_groups_fit_in_memory():
    sizes = {"a": 1 << 25, "b": 1 << 25, "c": 1, "d": 1 << 30}
    assert list(groups(sizes)) == [["a", "b"], ["c"], ["d"]]
    assert list(groups({})) == []
