from __future__ import annotations

import pytest

from migrate.rewrite.new_nodes import constant, new_node, replaced
from tests.rewrite.texts import node, shown


def test_a_node_of_dtypes():
    assert shown([new_node("Cast", "c", ["a", "^b"], SrcT=1, DstT=3)]) == "c = Cast(a, ^b) DstT=int32 SrcT=float32"


@pytest.mark.parametrize(
    ("value", "written"),
    [(3, "int32:3"), (0.5, "float32:0.5"), ([1, 2], "int32:[1, 2]"), ([7], "int32:[7]"), ([], "int32:[]")],
)
def test_constants(value, written):
    dtype = written.partition(":")[0]
    assert shown([constant("c", value, ["a"])]) == f"c = Const(^a) dtype={dtype} value={written}"


def test_a_node_is_replaced_by_a_copy():
    old = node("y = Mul(a, b, ^c, ^d) T=float32")
    old.device = "/gpu:0"
    new = replaced(old, "Neg", ["a:1"])
    assert shown([new]) == "y = Neg(a:1, ^c, ^d) T=float32 on /gpu:0"
    assert shown([old]) == "y = Mul(a, b, ^c, ^d) T=float32 on /gpu:0"
