"""Beside the examples in variable.txt, write.txt, strict.txt, identity.txt, reshape.txt and effect.txt."""

from __future__ import annotations

import pytest

from migrate.graph.op_table import load_ref_ops
from migrate.rewrite.engine import rewrite
from migrate.rewrite.rules.variables import EFFECT, IDENTITY, RESHAPE, WRITE, changes_shape
from tests.rewrite.texts import node, run, shown_result

_VARIABLE = "v = VariableV2() dtype=float32 shape=(2)"
_HANDLE = "v = VarHandleOp() container='' dtype=float32 shape=(2) shared_name='v'"


def _rewritten(*lines: str) -> list[str]:
    return shown_result(
        rewrite(run("\n".join(["x = Placeholder() dtype=float32", *lines])), load_ref_ops())
    ).splitlines()


@pytest.mark.parametrize(
    ("line", "changes"),
    [
        ("w = Assign(v, x)", False),
        ("w = Assign(v, x) validate_shape=true", False),
        ("w = Assign(v, x) validate_shape=false", True),
        ("w = AssignAdd(v, x) validate_shape=false", False),
    ],
)
def test_which_assignment_may_change_the_shape(line, changes):
    made = node(line)
    assert changes_shape(made) is changes
    assert made == node(line)


@pytest.mark.parametrize(
    ("attributes", "kept"),
    [
        ("", _HANDLE),
        (" shared_name='s'", _HANDLE.replace("shared_name='v'", "shared_name='s'")),
        (" container='c'", _HANDLE.replace("container=''", "container='c'")),
    ],
)
def test_a_variable_is_a_handle_of_its_own_name(attributes, kept):
    assert _rewritten(_VARIABLE + attributes, "fetch v:0")[0] == kept


@pytest.mark.parametrize("op", ["Assign", "AssignAdd", "AssignSub", "ScatterUpdate"])
def test_a_dtype_has_its_twins_name_and_locking_is_gone(op):
    inputs = "v, x, x" if op.startswith("Scatter") else "v, x"
    line = f"w = {op}({inputs}) T=float32 use_locking=true"
    written = next(line for line in _rewritten(_VARIABLE, line, "target w") if line.startswith("w = "))
    assert written.startswith(f"w = {WRITE.ops[op].twin}({inputs}) ")
    assert ("dtype=float32" in written, "use_locking" in written, " T=" in written) == (True, False, False)
    assert ("validate_shape=true" in written) is (op == "Assign")


def test_an_optimizer_writes_all_its_variables():
    lines = _rewritten(
        *(f"{name} = VariableV2() dtype=float32 shape=(2)" for name in ("v", "m")),
        "w = ApplyMomentum(v, m, x, x, x) T=float32 use_locking=true",
        "y = Neg(w) T=float32",
        "fetch y:0",
    )
    assert "w = ResourceApplyMomentum(v, m, x, x, x) T=float32 use_locking=true" in lines
    assert "w/ref = Identity(v, ^w) T=resource" in lines
    assert list(WRITE.ops["ApplyCenteredRMSProp"].refs) == [0, 1, 2, 3]


@pytest.mark.parametrize("op", [*IDENTITY.ops, *RESHAPE.ops, *EFFECT.ops])
def test_without_a_variable_what_hands_its_input_on_stays(op):
    line = f"y = {op}(x, x) T=float32"
    assert line in _rewritten(line, _VARIABLE, "w = Assign(v, x) T=float32", "fetch y:0", "target w")


@pytest.mark.parametrize("op", sorted(IDENTITY.ops))
def test_a_read_of_what_is_not_written_is_one(op):
    lines = _rewritten(_VARIABLE, f"y = {op}(v, ^x) T=float32", "fetch y:0")
    assert "y = ReadVariableOp(v, ^x) dtype=float32" in lines


@pytest.mark.parametrize("op", [op for op in WRITE.ops if not op.startswith(("Apply", "SparseApply"))])
def test_a_value_in_a_refs_place_is_refused(op):
    assert _rewritten(f"w = {op}(x, x, x, x, x) T=float32", "target w") == ["ref-is-fed: w"]
