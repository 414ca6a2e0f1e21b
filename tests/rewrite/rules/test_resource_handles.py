"""Beside the examples in handle.txt and handle_user.txt: every op, and handles that pass through others."""

from __future__ import annotations

import pytest

from migrate.graph.op_table import load_op_table, load_ref_ops
from migrate.rewrite.engine import rewrite
from migrate.rewrite.op_facts import Gives
from migrate.rewrite.rules.resource_handles import HANDLE, USER
from tests.rewrite.texts import run, shown_result


def _rewritten(*lines: str) -> list[str]:
    return shown_result(rewrite(run("\n".join(lines)), load_ref_ops())).splitlines()


def test_a_handle_that_is_a_resource_already_stays():
    lines = ["t = HashTableV2() shared_name='s'", "n = LookupTableSizeV2(t)", "fetch n:0"]
    assert _rewritten(*lines) == lines


@pytest.mark.parametrize("op", sorted(HANDLE.ops))
def test_what_makes_a_handle_makes_its_twins(op):
    assert HANDLE.ops[op].gives is Gives.RESOURCE
    found = _rewritten(f"h = {op}() container='c' shared_name='s'", "target h")
    assert found == [f"h = {HANDLE.ops[op].twin}() container='c' shared_name='s'"]


@pytest.mark.parametrize("op", sorted(USER.ops))
def test_what_takes_a_handle_takes_the_twins(op):
    known = USER.ops[op]
    makers = [f"h{place} = FIFOQueue() shared_name='q'" for place in known.refs]
    values = ["x = Const() dtype=float32"] * (known.fewest > len(makers))
    inputs = [f"h{place}" for place in known.refs] + ["x"] * (max(known.fewest, 1) - len(makers))
    found = _rewritten(*makers, *values, f"u = {op}({', '.join(inputs)}, ^h0)", "target u")
    assert f"u = {known.twin}({', '.join(inputs)}, ^h0)" in found
    assert list(known.refs) == ([0, 1] if op in ("ReaderRead", "ReaderReadUpTo") else [0])


def test_every_op_and_its_twin_are_in_the_table():
    table = load_op_table()
    for name, op in (*HANDLE.ops.items(), *USER.ops.items()):
        assert {name, op.twin} <= table.keys()


def test_a_handle_passes_through_an_identity_and_is_no_string():
    lines = ("h = FIFOQueue() shared_name='q'", "i = Identity(h) T=string", "n = QueueSize(i)")
    found = _rewritten(*lines, "fetch n:0")
    assert found[:3] == ["h = FIFOQueueV2() shared_name='q'", "i = Identity(h) T=resource", "n = QueueSizeV2(i)"]
    assert _rewritten(*lines, "fetch n:0", "fetch i:0") == ["handle-as-value: i:0"]
