"""What may be a ref variable's buffer, and is kept beyond the op that takes it."""

from __future__ import annotations

import pytest

from migrate.proof.order import topological
from migrate.proof.program import Flat
from migrate.proof.records import NotProved, Proved
from migrate.proof.sharing import behind_refs
from tests.proof.graphs import X, compared, handle, identity, node, program, read, ref

ASSIGN = {"dtype": "float32", "validate_shape": False}


def _flat(*nodes) -> list[Flat]:
    made = program(nodes)
    made.tensor(nodes[-1].name)
    return made.nodes


@pytest.mark.parametrize(
    ("op", "attrs", "shares"),
    [
        ("Identity", {"T": "float32"}, True),
        ("Neg", {"T": "float32"}, False),
        ("Squeeze", {"T": "float32"}, True),
        ("Cast", {"SrcT": "float32", "DstT": "int32"}, False),
        ("Cast", {"SrcT": "float32", "DstT": "float32"}, True),
        ("Cast", {"SrcT": "qint8", "DstT": "int8"}, True),
        ("Cast", {}, True),
        ("If", {}, True),
        ("OpThatNobodyKnows", {}, True),
    ],
)
def test_what_may_be_a_refs_buffer(op, attrs, shares):
    nodes = _flat(ref("v"), node(op, "out", "v", **attrs))
    found = behind_refs(nodes, topological(nodes)[0])
    assert {nodes[place].name for place in found} == {"v", "out"} if shares else {"v"}


def test_without_refs_nothing_shares_a_buffer():
    nodes = _flat(handle("v"), read("r", "v"), identity("out", "r"))
    assert not behind_refs(nodes, topological(nodes)[0])


def test_a_resource_variable_that_is_given_a_refs_buffer_is_not_proved():
    """A later write to the ref variable, by this call or another one, changes the resource variable as well."""
    source = [ref("v"), handle("h"), node("AssignVariableOp", "a", "h", "v", **ASSIGN), read("out", "h", "^a")]
    candidate = [
        handle("v"),
        handle("h"),
        read("r", "v"),
        node("AssignVariableOp", "a", "h", "r", **ASSIGN),
        read("out", "h", "^a"),
    ]
    found = compared(source, candidate)
    assert isinstance(found, NotProved)
    assert "keeps a variable's buffer" in found.why


def test_one_that_is_given_a_buffer_of_its_own_is_proved():
    source = [
        ref("v"),
        handle("h"),
        X,
        node("Mul", "m", "v", "x", T="float32"),
        node("AssignVariableOp", "a", "h", "m", **ASSIGN),
        read("out", "h", "^a"),
    ]
    candidate = [
        handle("v"),
        handle("h"),
        X,
        read("r", "v"),
        node("Mul", "m", "r", "x", T="float32"),
        node("AssignVariableOp", "a", "h", "m", **ASSIGN),
        read("out", "h", "^a"),
    ]
    assert isinstance(compared(source, candidate), Proved)
