"""Loops that are refused do not run in a v1 Session, and those that are not do."""

from __future__ import annotations

import pytest

from migrate.graph.protos import GraphDef
from migrate.rewrite.broken_loops import find_broken_loop
from tests.rewrite.texts import run

pytestmark = pytest.mark.tensorflow

tf = pytest.importorskip("tensorflow")
v1 = tf.compat.v1

_LOOP = """x = Placeholder() dtype=int32 shape=()
enter = Enter(x) T=int32 frame_name='f' is_constant=false
m = Merge(enter, next) N=2 T=int32
five = Const(^m) dtype=int32 value=int32:5
less = Less(m, five) T=int32
more = LoopCond(less)
s = Switch(m, more) T=int32
one = Const(^m) dtype=int32 value=int32:1
next_m = Add(s:1, one) T=int32
next = NextIteration(next_m) T=int32
exit = Exit(s) T=int32
"""
_SECOND = "t = Switch(m, also) T=int32\ny = Exit(t) T=int32\nfetch y:0"


@pytest.mark.parametrize(
    ("lines", "says"),
    [
        ("y = Exit(x) T=int32\nfetch y:0", "Cannot find a corresponding Enter op"),
        ("y = Exit(exit) T=int32\nfetch y:0", "Cannot find a corresponding Enter op"),
        ("other = Greater(m, five) T=int32\nalso = LoopCond(other)\n" + _SECOND, "more than one LoopCond"),
        ("other = Less(m, five) T=int32\nalso = LoopCond(other)\n" + _SECOND, None),
        ("other = Less(five, five) T=int32\nalso = LoopCond(other)\n" + _SECOND, "more than one LoopCond"),
        ("y = Identity(exit) T=int32\nfetch y:0", None),
        ("y = Sub(exit, x) T=int32\nfetch y:0", None),
        ("y = Sub(s:1, x) T=int32\nfetch y:0", "has inputs from different frames"),
        ("e = Enter(x) T=int32 frame_name='g'\ny = Sub(s:1, e) T=int32\nfetch y:0", "has inputs from different frames"),
    ],
)
def test_as_a_v1_session(lines: str, says: str | None) -> None:
    broken = run(_LOOP + lines)
    graph_def = GraphDef(node=broken.graph.nodes.values())
    graph_def.versions.producer = 24
    assert (find_broken_loop(broken) is not None) == (says is not None)
    # The options that other tests of the process have set do not count.
    with tf.Graph().as_default(), v1.Session(config=v1.ConfigProto()) as session:
        v1.import_graph_def(v1.GraphDef.FromString(graph_def.SerializeToString()), name="")
        if says is None:
            session.run("y:0", {"x:0": 2})
            return
        with pytest.raises(tf.errors.InvalidArgumentError, match=says):
            session.run("y:0", {"x:0": 2})
