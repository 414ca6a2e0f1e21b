from __future__ import annotations

import pytest

from migrate.graph.dtypes import dtype_name
from migrate.graph.output_dtypes import functions_of, missing_tensor, output_dtypes
from migrate.graph.protos import FunctionDefLibrary, NodeDef
from tests.rewrite.texts import function, node


@pytest.mark.parametrize(
    ("line", "dtypes"),
    [
        ("y = MatMul(a, b) T=float32", ["float32"]),
        ("v = VariableV2() dtype=float32", ["float32"]),
        ("y = ArgMax(a, b) T=float32", ["int64"]),
        ("y = ArgMax(a, b) T=float32 output_type=int32", ["int32"]),
        ("y = Split(a, b) T=float32 num_split=2", ["float32", "float32"]),
        ("y = TopKV2(a, b) T=float32", ["float32", "int32"]),
        ("y = IdentityN(a, b) T=[string, bool]", ["string", "bool"]),
        ("y = NoOp()", []),
        ("y = Gone()", None),
    ],
)
def test_output_dtypes(line, dtypes):
    found = output_dtypes(node(line), {})
    assert (None if found is None else [dtype_name(d) for d in found]) == dtypes


def test_a_ref_counts_as_what_it_refers_to():
    assert output_dtypes(node("y = Identity(v) T=float32_ref"), {}) == (1,)
    assert output_dtypes(node("y = IdentityN(v, a) T=[float32_ref, bool]"), {}) == (1, 10)


def test_an_attribute_that_is_missing_is_no_dtype_and_is_not_made():
    made = NodeDef(name="y", op="MatMul")
    assert output_dtypes(made, {}) == (0,)
    assert not made.attr
    for op in "Split", "IdentityN":
        made = NodeDef(name="y", op=op)
        assert output_dtypes(made, {}) == ()
        assert not made.attr


def test_a_call_gives_what_its_function_says():
    called = function("f", "x", a="x", b="x")
    called.signature.output_arg[1].type_attr = "T"
    library = {"f": called}
    assert output_dtypes(node("y = f(x) T=int64"), library) == (1, 9)
    assert output_dtypes(node("y = f(x)"), library) == (1, 0)


def test_a_function_of_an_ops_name_takes_its_place():
    assert output_dtypes(node("y = MatMul(a, b) T=bool"), {"MatMul": function("MatMul", "a b", y="a")}) == (1,)


def test_the_first_function_of_a_name_counts():
    first, second, other = function("f", "x", y="x"), function("f", "", y="z"), function("g", "")
    found = functions_of(FunctionDefLibrary(function=[first, second, other]))
    assert found == {"f": first, "g": other}


@pytest.mark.parametrize(
    ("line", "tensor", "why"),
    [
        ("y = MatMul(a, b) T=float32", "y:0", ""),
        ("y = MatMul(a, b) T=float32", "y:1", "but MatMul 'y' gives output 0 alone"),
        ("y = TopKV2(a, b) T=float32", "y:2", "but TopKV2 'y' gives outputs 0 to 1"),
        ("y = Split(a, b) T=float32 num_split=3", "y:2", ""),
        ("y = Split(a, b) T=float32 num_split=3", "y:3", "but Split 'y' gives outputs 0 to 2"),
        ("y = AssignAddVariableOp(a, b) dtype=float32", "y:0", "but AssignAddVariableOp 'y' gives no output"),
        ("y = Gone()", "y:9", ""),
        ("y = Gone()", "y:out:0", "but Gone 'y' gives outputs with numbers"),
        ("y = MatMul(a, b) T=float32", "y:product:0", "but MatMul 'y' gives output 0 alone"),
    ],
)
def test_an_output_that_a_node_lacks(line, tensor, why):
    assert missing_tensor(tensor, {"y": node(line)}, {}) == why


@pytest.mark.parametrize("op", ["Split", "IdentityN"])
def test_how_many_outputs_is_unknown_without_the_attribute(op):
    assert missing_tensor("y:7", {"y": NodeDef(name="y", op=op)}, {}) == ""


def test_a_node_that_claims_more_outputs_than_memory_holds_is_not_believed():
    claimed = node("y = Split(a, b) T=float32 num_split=1000000000000")
    assert output_dtypes(claimed, {}) is None
    assert missing_tensor("y:999999999", {"y": claimed}, {}) == ""
