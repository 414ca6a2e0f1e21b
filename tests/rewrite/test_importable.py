from __future__ import annotations

import pytest

from migrate.graph.op_table import load_ref_ops
from migrate.rewrite.engine import Rewritten, rewrite
from migrate.rewrite.importable import Importable, device_type, importable
from tests.rewrite.texts import function, run, shown


def _importable(text: str, *functions: object, uninitialized: tuple[str, ...] = ()) -> Importable:
    result = rewrite(run(text), load_ref_ops())
    assert isinstance(result, Rewritten), result
    return importable(result, functions, 21, uninitialized)


def _lines(of: Importable) -> list[str]:
    return shown(of.graph_def.node).splitlines()


def test_plain_nodes_stay_as_they_are():
    found = _importable("a = Const() dtype=float32 value=float32:1.0\ny = Neg(a) T=float32\nfetch y:0")
    assert _lines(found) == ["a = Const() dtype=float32 value=float32:1.0", "y = Neg(a) T=float32"]
    assert (found.variables, found.resources, found.graph_def.versions.producer) == ({}, {}, 21)


def test_handles_and_what_is_fed_are_left_out():
    found = _importable("""x = Placeholder() dtype=float32
v = VarHandleOp() dtype=float32 shape=() shared_name='s'
t = HashTableV2() shared_name='words'
read = ReadVariableOp(v, ^v, ^t) dtype=float32
found = LookupTableFindV2(t, x, read)
y = Neg(unfed, ^x) T=float32
unfed = Placeholder() dtype=float32
feed x:0 float32
fetch found:0
fetch y:0""")
    assert (found.variables, found.resources) == ({"v": "s"}, {"t": "words"})
    assert sorted(_lines(found)) == [
        "found = LookupTableFindV2(t, x, read)",
        "read = ReadVariableOp(v) dtype=float32",
        "unfed = Placeholder() dtype=float32 shape=(...)",
        "y = Neg(unfed) T=float32",
    ]


def test_what_nobody_kept_true_goes_from_graph_and_functions():
    stale = "T=float32 _class=[1] _output_shapes=[1] _gradient_op_type='CustomGradient-1'"
    source = run(f"a = Const() dtype=float32\ny = f(a)\nz = Neg(y) {stale}\nfetch z:0")
    body = function("f", "x", f"n = Neg(x) {stale}", y="n:y:0")
    body.node_def[0].device = source.graph.nodes["z"].device = "/job:worker/task:3/device:GPU:0"
    result = rewrite(source, load_ref_ops())
    assert isinstance(result, Rewritten)
    before = shown(source.graph.nodes.values())
    found = importable(result, [body], 21)
    kept = "T=float32 _gradient_op_type='LostCustomGradient-1' on /device:GPU:0"
    assert shown(found.graph_def.node).splitlines()[-1] == f"z = Neg(y) {kept}"
    assert shown(found.graph_def.library.function[0].node_def) == f"n = Neg(x) {kept}"
    assert shown(source.graph.nodes.values()) == before and "_class" in body.node_def[0].attr


def test_a_handle_in_a_branch_is_led_there():
    found = _importable("""x = Placeholder() dtype=float32
p = Placeholder() dtype=bool
s = Switch(x, p)
then = Identity(s:1) T=float32
v = VarHandleOp(^then) dtype=float32 shape=() shared_name='v'
read = ReadVariableOp(v) dtype=float32
y = Merge(s, read) T=float32
fetch y:0""")
    assert found.variables == {"v": "v"}
    assert "v/here = Identity(v, ^then) T=resource" in _lines(found)
    assert "read = ReadVariableOp(v/here) dtype=float32" in _lines(found)


def test_a_handle_in_a_loop_enters_it():
    found = _importable("""x = Placeholder() dtype=float32
p = Const() dtype=bool value=bool:true
e = Enter(x) T=float32 frame_name='loop' parallel_iterations=7
m = Merge(e, n) T=float32
q = Enter(p) T=bool frame_name='loop' is_constant=true parallel_iterations=7
c = LoopCond(q)
s = Switch(m, c)
v = VarHandleOp(^s) dtype=float32 shape=() shared_name='v'
read = ReadVariableOp(v, ^s) dtype=float32
n = NextIteration(read) T=float32
y = Exit(s) T=float32
fetch y:0""")
    entered = "v/enter = Enter(v) T=resource frame_name='loop' is_constant=true parallel_iterations=7"
    assert [line for line in _lines(found) if "v/" in line] == [
        "read = ReadVariableOp(v/here, ^s) dtype=float32",
        *(entered, "v/here = Identity(v/enter, ^s) T=resource"),
    ]


def test_a_variable_that_may_have_no_value_is_guarded():
    text = "v = VarHandleOp() dtype=float32 shape=() shared_name='v'\nr = ReadVariableOp(v) dtype=float32\nfetch r:0"
    assert _lines(_importable(text)) == ["r = ReadVariableOp(v) dtype=float32"]
    lines = _lines(_importable(text, uninitialized=("v",)))
    assert lines[0] == "r = ReadVariableOp(v, ^r/initialized/done) dtype=float32"
    assert any(line.startswith("r/initialized/done = Merge(") for line in lines)


def test_a_handle_whose_type_must_be_known_gets_one():
    text = "v = VarHandleOp() dtype=int64 shape=() shared_name='v'\ny = ResourceCountUpTo(v) T=int64 limit=3\nfetch y:0"
    lines = _lines(_importable(text))
    assert lines[0] == "y = ResourceCountUpTo(y/handle) T=int64 limit=3"
    assert "y/handles = Pack(y/like, v:0) N=2 T=resource axis=0" in lines


@pytest.mark.parametrize(
    ("device", "kept"),
    [
        ("", ""),
        ("/job:worker/replica:0/task:3", ""),
        ("/job:worker/task:3/device:GPU:0", "/device:GPU:0"),
        ("/gpu:1", "/device:GPU:1"),
        ("/device:cpu:*", "/device:CPU:*"),
        ("/device:TPU", "/device:TPU"),
        ("/device:XLA_GPU:0", ""),
        ("/job:gpu", ""),
    ],
)
def test_of_a_device_its_type_and_number_are_kept(device, kept):
    assert device_type(device) == kept
