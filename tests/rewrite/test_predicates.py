from __future__ import annotations

import pytest

from migrate.rewrite.predicates import Constants
from tests.rewrite.texts import run

_GRAPH = """
t = Const() dtype=bool value=bool:true
f = Const() dtype=bool value=bool:false
two = Const() dtype=int32 value=int32:2
zero = Const() dtype=int32 value=int32:0
floats = Const() dtype=float32 value=float32:2.0
vector = Const() dtype=bool value=bool:[true]
x = Placeholder() dtype=bool
given = PlaceholderWithDefault(t) dtype=bool
no = LogicalNot(given)
less = Less(zero, two) T=int32
mixed = Less(zero, floats) T=int32
either = LogicalOr(x, t)
both = LogicalAnd(x, t)
cast = Cast(two) SrcT=int32 DstT=bool
same = Identity(cast) T=bool
s = Switch(x, t) T=bool
a = Identity(b) T=bool
b = Identity(a) T=bool
y = NoOp(^t, ^f, ^vector, ^no, ^less, ^mixed, ^either, ^both, ^same, ^s, ^a)
target y
"""


@pytest.mark.parametrize(
    ("tensor", "value"),
    [
        ("t:0", True),
        ("f:0", False),
        ("given:0", True),
        ("no:0", False),
        ("less:0", True),
        ("either:0", True),
        ("same:0", True),
        ("vector:0", None),
        ("two:0", None),  # A predicate is a bool.
        ("mixed:0", None),
        ("both:0", None),
        ("x:0", None),
        ("s:0", None),
        ("a:0", None),
        ("none:0", None),
        ("t:1", None),
    ],
)
def test_predicates_that_are_the_same_in_every_call(tensor, value):
    assert Constants(run(_GRAPH).graph, ()).predicate(tensor) is value


def test_what_a_call_feeds_is_not_known():
    assert Constants(run(_GRAPH).graph, {"given"}).predicate("no:0") is None
