"""By what TensorFlow knows a variable, a table or a queue."""

from __future__ import annotations

import pytest

from migrate.proof.identity import key_of
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
