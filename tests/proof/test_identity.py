"""By what TensorFlow knows a variable, a table or a queue."""

from __future__ import annotations

import pytest

from migrate.graph.protos import NodeDef
from migrate.proof.identity import key_of, name_of
from migrate.proof.records import Proved
from tests.proof.graphs import compared
from tests.rewrite.texts import node


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("v = VariableV2()", ("ref", b"", "v")),
        ("v = VariableV2() shared_name='s'", ("ref", b"", "s")),
        ("v = VariableV2() shared_name='s' container='c'", ("ref", b"c", "s")),
        ("v = VarHandleOp() shared_name='s' container='localhost'", ("resource", b"", "s")),
        # It is known by its shared_name, though that is empty.
        ("v = VarHandleOp() shared_name=''", ("resource", b"", "")),
        ("q = FIFOQueueV2()", ("queue", b"", "q")),
        ("t = HashTableV2() shared_name='s'", ("table", b"", "s")),
        ("t = HashTableV2() use_node_name_sharing=true", ("table", b"", "t")),
        ("t = HashTable()", ("private table", b"", "call/t")),
    ],
)
def test_the_key_of_what_a_node_makes(text, key):
    made = node(text)
    assert key_of(made.op, made.attr, made.name, f"call/{made.name}") == key


def test_no_two_names_are_one_text():
    names = [b"v", b"\xff", b"\xfe", b"b'v'", b"b'\\xff'", b'b"v"', repr(b"b'v'").encode(), "\ufffd".encode()]
    assert len({name_of(name) for name in names}) == len(names)


def _named(lines: str, key: str, **names: bytes) -> list[NodeDef]:
    """Nodes, some of which have an attribute that is no UTF-8."""
    made = [node(line.strip()) for line in lines.strip().splitlines()]
    for each in made:
        if each.name in names:
            each.attr[key].s = names[each.name]
    return made


def test_variables_and_tables_whose_names_are_no_text_are_told_apart():
    def of(read: str) -> list[NodeDef]:
        text = f"""x = Placeholder() dtype=float32
        v = VarHandleOp() dtype=float32
        u = VarHandleOp() dtype=float32
        w = AssignVariableOp(v, x) dtype=float32
        out = ReadVariableOp({read}, ^w) dtype=float32"""
        return _named(text, "shared_name", v=b"\xff", u=b"\xfe")

    assert isinstance(compared(of("v"), of("v")), Proved)
    assert not isinstance(compared(of("v"), of("u")), Proved)


@pytest.mark.parametrize(("name", "is_one"), [(b"v", True), (b"cd2c89b7-88b7-44c8-ad83-06c2a9158347", False)])
def test_two_nodes_of_one_name_make_one_variable_unless_it_is_the_name_of_none(name, is_one):
    text = """x = Placeholder() dtype=float32
    v = VarHandleOp() dtype=float32
    u = VarHandleOp() dtype=float32
    w = AssignVariableOp(v, x) dtype=float32
    out = ReadVariableOp(%s, ^w) dtype=float32"""
    one, other = (_named(text % read, "shared_name", v=name, u=name) for read in "vu")
    assert isinstance(compared(one, other), Proved) is is_one


def test_loops_whose_names_are_no_text_are_told_apart():
    def of(bound: bytes) -> list[NodeDef]:
        text = """x = Placeholder() dtype=float32
        y = Placeholder() dtype=float32
        e = Enter(x) T=float32
        b = Enter(y) T=float32 is_constant=true
        m = Merge(e, n) T=float32 N=2
        c = Less(m, b) T=float32
        l = LoopCond(c)
        s = Switch(m, l) T=float32
        a = AddV2(s:1, b) T=float32
        n = NextIteration(a) T=float32
        out = Exit(s) T=float32"""
        return _named(text, "frame_name", e=b"\xff", b=bound)

    assert isinstance(compared(of(b"\xff"), of(b"\xff")), Proved)
    assert not isinstance(compared(of(b"\xff"), of(b"\xfe")), Proved)
