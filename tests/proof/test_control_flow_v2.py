"""Functional control flow as it is: functions that have equal terms."""

from __future__ import annotations

from migrate.graph.dtypes import dtype_value
from migrate.proof.records import NotProved, Proved
from tests.proof.graphs import P, X, Y, compared, function, handle, merge, node, read, ref

_FLOAT = dtype_value("float32")


def _branch(name, *, beside):
    """One branch of a cond decodes what it is given, or what is decoded goes to one branch."""
    less = node("Less", "less", "a", "b", T="float32")
    s = node("Switch", "s", "a", "less:z:0", T="float32")
    d = node("DecodeRaw", "d", "a" if beside else "s:output_true:0", out_type="float32")
    sd = [node("Switch", "sd", "d:output:0", "less:z:0", T="float32")] if beside else []
    m = merge("m", "s:output_false:0", "sd:output_true:0" if beside else "d:output:0")
    return function(name, ["a", "b"], [less, s, d, *sd, m], r="m:output:0")


def _graph(then):
    made = node("If", "if", "p", "x", "y")
    made.attr["Tin"].list.type.extend([_FLOAT] * 2)
    made.attr["Tout"].list.type.append(_FLOAT)
    made.attr["Tcond"].type = dtype_value("bool")
    made.attr["then_branch"].func.name, made.attr["else_branch"].func.name = then, "same"
    return [X, Y, P, made, node("Identity", "out", "if", T="float32")]


def test_what_may_fail_in_a_branch_of_a_function_may_not_fail_beside_it():
    functions = [_branch("in", beside=False), _branch("beside", beside=True), function("same", ["a", "b"], [], r="a")]
    for name in ("in", "beside"):
        assert isinstance(compared(_graph(name), _graph(name), functions=functions), Proved)
    assert isinstance(compared(_graph("in"), _graph("beside"), functions=functions), NotProved)
    assert isinstance(compared(_graph("beside"), _graph("in"), functions=functions), NotProved)


def _given_on(variable, *, is_read):
    """An If gives on what it takes, and the variable is written before that is used."""
    made = node("If", "if", "p", "r" if is_read else "v")
    made.attr["Tin"].list.type.append(_FLOAT)
    made.attr["Tout"].list.type.append(_FLOAT)
    made.attr["Tcond"].type = dtype_value("bool")
    made.attr["then_branch"].func.name = made.attr["else_branch"].func.name = "given"
    if is_read:
        write = node("AssignAddVariableOp", "w", "v", "x", "^if", dtype="float32")
        return [X, P, variable, read("r", "v"), made, write, node("Neg", "out", "if", "^w", T="float32")]
    write = node("AssignAdd", "w", "v", "x", "^if", T="float32")
    return [X, P, variable, made, write, node("Neg", "out", "if", "^w", T="float32")]


def test_what_a_function_gives_on_may_be_a_variables_buffer():
    # functional_ops.cc: an argument that is a result is handed on; the Session gives the variable after the write.
    functions = [function("given", ["a"], [node("Identity", "i", "a", T="float32")], r="i:output:0")]
    source, candidate = _given_on(ref("v"), is_read=False), _given_on(handle("v"), is_read=True)
    assert isinstance(compared(source, candidate, functions=functions), NotProved)
    assert isinstance(compared(candidate, candidate, functions=functions), Proved)
