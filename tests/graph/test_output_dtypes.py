from __future__ import annotations

import pytest

from migrate.graph.dtypes import dtype_name
from migrate.graph.output_dtypes import functions_of, output_dtypes
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
    assert output_dtypes(NodeDef(name="y", op="Split"), {}) == ()
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
