from __future__ import annotations

import pytest

from migrate.rewrite.ops import (
    CONTROL_FLOW,
    HANDLES,
    NAMED_RESOURCES,
    OPS,
    OTHER_HANDLES,
    REF_CONTROL_FLOW,
    STRICT_REFS,
    VARIABLES,
    WRITES,
    WRITTEN_REFS,
    describe,
)


def test_what_other_modules_ask_of_some_ops():
    assert {"Variable", "VariableV2"} == VARIABLES and {"IsVariableInitialized"} == STRICT_REFS
    assert (WRITES["Assign"], WRITES["CountUpTo"]) == ("AssignVariableOp", "ResourceCountUpTo")
    assert "Assign" in WRITTEN_REFS and "CountUpTo" not in WRITTEN_REFS  # The latter gives a value.
    assert "RefSwitch" in REF_CONTROL_FLOW and "Switch" in CONTROL_FLOW
    assert HANDLES["HashTable"] == "HashTableV2" and {"Stack", "FakeQueue"} <= OTHER_HANDLES
    assert {"HashTableV2", "IteratorV2"} <= NAMED_RESOURCES


def test_no_op_is_of_two_kinds():
    kinds = (VARIABLES, WRITES.keys(), STRICT_REFS, REF_CONTROL_FLOW, CONTROL_FLOW, HANDLES.keys(), OTHER_HANDLES)
    found = [op for kind in kinds for op in kind]
    assert len(found) == len(set(found)) and OPS.keys() >= set(found)
    assert not NAMED_RESOURCES & OPS.keys()


@pytest.mark.parametrize(
    ("op", "facts"),
    [
        ("Assign", ["on the CPU  2.15, 2.21", "kernel      core/kernels/dense_update_ops.cc", "rule        write"]),
        ("RefSelect", ["rule        ref_select", "refs        inputs from 1"]),
        ("MatMul", ["buffers     no output is an input's buffer"]),
        ("BarrierClose", ["refused     it works on a Barrier, and a barrier's handle"]),
        ("Unheard", ["unknown     this version knows TensorFlow up to 2.21"]),
    ],
)
def test_describe(op, facts):
    text = describe(op)
    assert text.startswith(f"{op}\n")
    assert [fact for fact in facts if f"\n  {fact}" not in text] == []
