from __future__ import annotations

import pytest

from migrate.graph.protos import NodeDef
from migrate.rewrite.aliases import Aliases, analyse
from migrate.rewrite.rules.table import TABLE
from migrate.rewrite.scope import Scope, not_a_ref, with_twin, with_values
from tests.rewrite.texts import run, shown

_READ = """x = Placeholder() dtype=float32
v = VariableV2() dtype=float32 shape=()
y = Mul(v, x, ^x) T=float32
z = Neg(v) T=float32
fetch y:0
fetch z:0"""
_WRITTEN = """x = Placeholder() dtype=float32
v = VariableV2() dtype=float32 shape=()
read = Identity(v) T=float32
w = AssignAdd(v, x, ^read) T=float32
y = Mul(read, x, ^w) T=float32
fetch y:0"""


def _scope(text: str) -> tuple[Scope, dict[str, NodeDef]]:
    of = run(text)
    aliases = analyse(of, TABLE)
    assert isinstance(aliases, Aliases)
    return Scope(aliases), dict(of.graph.nodes)


def test_what_no_variable_leads_to_stays_as_it_is():
    scope, nodes = _scope(_READ)
    assert scope.value(nodes["y"], 1) == ("x", ())
    assert (scope.share("x:0"), scope.handle("x:0"), scope.followed("x:0")) == (None, "x:0", "x:0")
    scope, nodes = _scope("x = Placeholder() dtype=float32\ny = Neg(x, ^x) T=float32\nfetch y:0")
    assert with_values(nodes["y"], scope, "Neg") is None


def test_inputs_that_are_written_otherwise_are_written_short():
    scope, nodes = _scope("x = Placeholder() dtype=float32\ny = Neg(^x, x:0) T=float32\nfetch y:0")
    edit = with_values(nodes["y"], scope, "Neg")
    assert edit is not None and shown(edit.nodes) == "y = Neg(x, ^x) T=float32"


def test_one_read_serves_all_where_the_run_does_not_write():
    scope, nodes = _scope(_READ)
    first = scope.value(nodes["y"], 0)
    assert scope.value(nodes["z"], 0) == first == scope.shared_read("v:0")
    assert shown(first[1]) == "v/Read/ReadVariableOp = ReadVariableOp(v) dtype=float32"
    assert first[0] == "v/Read/ReadVariableOp"


def test_a_variable_that_the_run_writes_is_read_where_it_is_used():
    scope, nodes = _scope(_WRITTEN)
    name, made = scope.value(nodes["y"], 0)
    assert shown(made) == "y/in0/ReadVariableOp = ReadVariableOp(read, ^w, ^x) dtype=float32"
    assert name == "y/in0/ReadVariableOp"
    edit = with_values(nodes["y"], scope, "Mul")
    assert edit is not None and shown(edit.nodes[-1:]) == "y = Mul(y/in0/ReadVariableOp, x, ^w) T=float32"
    assert edit.nodes[:-1] == made


def test_the_handle_of_what_gives_none_is_handed_on_by_another_node():
    scope, nodes = _scope(_WRITTEN.replace("Mul(read,", "Mul(w,") + "\ntarget w/ref\nw/ref = NoOp()")
    assert (scope.handle("v:0"), scope.handle("w:0"), scope.followed("w:0")) == ("v:0", "w/ref_1:0", "w/ref_1:0")
    assert shown([scope.carrier(nodes["w"], "v:0")]) == "w/ref_1 = Identity(v, ^w) T=resource"
    assert scope.unique("w") == "w_1" and scope.unique("new") == "new"


def test_a_twin_takes_handles_where_the_rule_knows_of_refs():
    scope, nodes = _scope(_WRITTEN)
    assert shown(with_twin(nodes["w"], scope).nodes) == "w = AssignAddVariableOp(v, x, ^read) T=float32"
    assert shown(with_twin(nodes["w"], scope, "Another").nodes[-1:]).startswith("w = Another(v, x")
    assert scope.op(nodes["w"]).writes and scope.wire(nodes["w"]).data == ("v:0", "x:0")


def test_a_read_is_reshaped_again():
    lines = "read = Reshape(v, size) T=float32\nsize = Const() dtype=int32 value=int32:[1]"
    scope, nodes = _scope(_WRITTEN.replace("read = Identity(v) T=float32", lines))
    name, made = scope.value(nodes["y"], 0)
    assert shown(made).splitlines() == [
        "y/in0/ReadVariableOp = ReadVariableOp(read, ^w, ^x) dtype=float32",
        "y/in0/step_0/operand_0 = Const(^y/in0/ReadVariableOp) dtype=int32 value=int32:[1]",
        "y/in0/step_0 = Reshape(y/in0/ReadVariableOp, y/in0/step_0/operand_0) T=float32",
    ]
    assert name == "y/in0/step_0"


@pytest.mark.parametrize(("given", "is_refused"), [("v", False), ("x", True), ("read", True), ("fed", True)])
def test_a_ref_is_needed(given, is_refused):
    text = (
        _WRITTEN.replace("AssignAdd(v,", f"AssignAdd({given},")
        + "\nfed = VariableV2() dtype=float32\nfeed fed:0 float32"
    )
    scope, nodes = _scope(text.replace("\nfetch", "\nfetch v:0\nfetch"))
    found = not_a_ref(nodes["w"], scope)
    assert (found is not None) is is_refused
    assert found is None or (found.code, found.nodes) == ("ref-is-fed", ("w",))
    assert not_a_ref(nodes["read"], scope) is None
