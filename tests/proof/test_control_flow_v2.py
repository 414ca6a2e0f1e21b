"""Functional control flow as it is: functions that have equal terms."""

from __future__ import annotations

from migrate.graph.dtypes import dtype_value
from migrate.proof.records import NotProved, Proved
from tests.proof.graphs import P, X, Y, called, compared, const, function, handle, identity, merge, node, read, ref

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


_RESOURCE = dtype_value("resource")


def _writing(name, op):
    """A function that writes the variable that it is given."""
    made = function(name, ["a"], [node(op, "w", "h", "a", dtype="float32")], r="a")
    made.signature.input_arg.insert(0, made.signature.input_arg.add(name="h", type=_RESOURCE))
    del made.signature.input_arg[-1]
    made.signature.is_stateful = True
    made.control_ret["w"] = "w"
    return made


def _if(then, other, *inputs):
    """A call in which an If runs that nothing takes anything of."""
    made = node("If", "if", "less", *inputs)
    made.attr["Tin"].list.type.extend([_RESOURCE] * (len(inputs) - 1) + [_FLOAT])
    made.attr["Tout"].list.type.append(_FLOAT)
    made.attr["Tcond"].type = dtype_value("bool")
    made.attr["_lower_using_switch_merge"].b = True
    made.attr["then_branch"].func.name, made.attr["else_branch"].func.name = then, other
    return [X, const("one", 1.0), node("Less", "less", "x", "one", T="float32"), handle("v"), made]


def test_what_branches_write_is_compared_where_no_output_needs_it():
    functions = [_writing("add", "AssignAddVariableOp"), _writing("take", "AssignSubVariableOp")]
    one, other = ([*_if(*names, "v", "x"), identity("out", "x", "^if")] for names in (("add", "take"), ("take", "add")))
    for source, candidate, expected in ((one, one, Proved), (one, other, NotProved)):
        output, left = called(source, candidate, functions)
        assert isinstance(output, Proved)
        assert isinstance(left, expected), left


def test_a_function_reads_a_variable_that_others_write():
    """It makes the handle itself; whether the variable is written before or after it, no argument tells."""

    def reading(name, op):
        nodes = [handle("v"), read("r", "v:resource:0"), node(op, "n", "r:value:0", T="float32")]
        made = function(name, ["a"], nodes, r="n:y:0")
        made.signature.is_stateful = True
        return made

    def graph(first):
        nodes = _if("neg", "exp", "x")
        write = node("AssignAddVariableOp", "w", "v", "x", *([] if first else ["^if"]), dtype="float32")
        if first:
            nodes[-1].input.append("^w")
        return [*nodes, write, node("Identity", "out", "if", "^w", T="float32")]

    functions = [reading("neg", "Neg"), reading("exp", "Exp")]
    assert isinstance(called(graph(True), graph(True), functions)[0], Proved)
    for first in (True, False):
        assert isinstance(called(graph(first), graph(not first), functions)[0], NotProved)


def test_what_branches_check_is_checked_where_no_output_needs_it():
    less = node("Less", "l", "a", "c:output:0", T="float32")
    check = node("Assert", "check", "l:z:0", "a", summarize=3)
    check.attr["T"].list.type.append(_FLOAT)
    checking = function("checks", ["a"], [const("c", 1.0), less, check], r="a")
    checking.control_ret["check"] = "check"
    checking.signature.is_stateful = True
    functions = [checking, function("none", ["a"], [], r="a")]
    both, swapped = (
        [*_if(*names, "x"), identity("out", "x", "^if")] for names in (("checks", "none"), ("none", "checks"))
    )
    without = [X, identity("out", "x")]
    assert isinstance(called(both, both, functions)[1], Proved)
    for candidate in (swapped, without):
        assert isinstance(called(both, candidate, functions)[1], NotProved)
