from __future__ import annotations

from migrate.functional.paths import Groups, Key
from migrate.graph.graph import index
from tests.rewrite.texts import node


def _groups(*lines: str) -> Groups:
    return Groups(index(map(node, ("p = Const()", "q = Const()", "x = Const()", *lines))))


def test_a_path_is_the_branches_of_a_node() -> None:
    groups = _groups("own = Identity(p)", "s = Switch(x, own)", "t = Switch(s:1, q)", "y = Neg(t)", "z = Abs(s:1, ^y)")
    assert groups.path["y"] == groups.path["z"] == (("p:0", 1), ("q:0", 0))
    assert groups.path["s"] == () and groups.path["t"] == (("p:0", 1),)
    assert not groups.wrong


def test_a_merge_is_where_its_branches_begin() -> None:
    groups = _groups("s = Switch(x, p)", "y = Neg(s)", "m = Merge(y, s:1)", "z = Neg(m)")
    assert groups.path["m"] == groups.path["z"] == ()
    assert groups.merges == {Key((), "p:0"): ["m"]}


def test_what_is_of_another_form_is_noted() -> None:
    groups = _groups("s = Switch(x, p)", "t = Switch(x, q)", "y = Add(s, t)", "u = Switch(y, p)")
    assert {"y", "u"} <= groups.loose
    assert set(groups.wrong) == {Key((), "p:0"), Key((), "q:0")}


def test_an_identity_of_a_predicate_may_wait() -> None:
    groups = _groups(
        "own = Identity(p, ^q)", "s = Switch(x, own)", "pivot = Switch(p, p, ^q)", "c = Const(^pivot)", "y = Add(s, c)"
    )
    assert list(groups.waits("s")) == ["q"] and not groups.waits("pivot")
    assert groups.predicate("s") == groups.predicate("pivot") == "p:0"
