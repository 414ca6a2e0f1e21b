"""A Session and the loaded object that call one function with the same arguments."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from migrate.graph.protos import NodeDef
from migrate.proof.model import Model
from migrate.proof.program import CELL, Flat, given
from migrate.proof.same_call import FunctionCall, object_call, session_call, unwrapped
from migrate.proof.shared import Shared
from migrate.proof.side import Cell
from tests.proof.graphs import X, Y, call, const, function, handle, model, node
from tests.rewrite.texts import node as line

FLOAT = 1
INPUTS = {"x": ("argument", "x", 0), "y": ("argument", "y", 0)}
_BODY = [node("AddV2", "s", "a", "b", T="float32"), node("Neg", "n", "a", T="float32")]
_FUNCTION = function("f", ["a", "b"], _BODY, sum="s:z:0", minus="n:y:0")


def _model(*nodes: NodeDef) -> Model:
    return model("candidate", Shared(), nodes, [_FUNCTION])


def _session(made: Model, tensors: Sequence[str], names: Sequence[str] = "xy") -> FunctionCall | None:
    fed = {f"{name}:0": INPUTS[name] for name in names}
    return session_call(made, fed, tensors, lambda cell: made.shared.terms.make("initial", ("variable", cell.key[2])))


def _object(made: Model, nodes: Sequence[Flat], results: Sequence[int]) -> FunctionCall | None:
    def initial(cell: Cell) -> int:
        return made.shared.terms.make("initial", ("variable", {0: "u", 1: "v"}[cell.key[2]]))

    return object_call(made, "f", nodes, results, initial, {})


def _variable(number: int) -> Flat:
    cell = Cell(("resource", b"object", number), "resource", None, f"object {number}", FLOAT)
    return Flat(CELL, cell.label, cell.label, {}, cell)


def _input(name: str) -> Flat:
    return given(name, INPUTS[name], FLOAT)


def test_the_same_inputs_are_the_same_call():
    made = _model(X, Y, call("c", "f", "x", "y"))
    assert _session(made, ["c:0", "c:1"]) == _object(made, [_input("x"), _input("y")], [0, 1])


@pytest.mark.parametrize(
    ("nodes", "results"),
    [
        ([_input("y"), _input("x")], [0, 1]),
        ([_input("x"), _input("x")], [0, 1]),
        ([_input("x"), _input("y")], [1, 0]),
        ([_input("x"), _input("y")], [0]),
        ([_input("x"), _variable(0)], [0, 1]),
    ],
    ids=["swapped", "one of them", "results", "fewer", "a variable"],
)
def test_others_are_not(nodes, results):
    made = _model(X, Y, call("c", "f", "x", "y"))
    assert _session(made, ["c:0", "c:1"]) != _object(made, nodes, results)


def test_variables_are_told_by_what_they_hold_and_not_by_their_names():
    made = _model(handle("u"), handle("v"), call("c", "f", "u", "v"))
    one = _session(made, ["c:0"])
    assert one == _object(made, [_variable(0), _variable(1)], [0])
    assert one != _object(made, [_variable(1), _variable(0)], [0])
    assert one != _object(made, [_variable(0), _variable(0)], [0])


def test_two_tables_of_one_form_are_not_one_table():
    made = _model(X, Y, call("c", "f", "x", "y"))

    def table(number: int) -> Flat:
        cell = Cell(("table", b"object", number), "table", ("HashTable",), f"table {number}")
        return Flat(CELL, cell.label, cell.label, {}, cell)

    def found(*numbers: int) -> FunctionCall | None:
        same = made.shared.terms.make("fresh", ("HashTable",))
        return object_call(made, "f", [table(number) for number in numbers], [0], lambda cell: same, {})

    assert found(0, 1) == found(1, 0) != found(0, 0)


@pytest.mark.parametrize(
    "nodes",
    [
        [call("c", "f", "x", "y", "^y")],
        [call("d", "f", "x", "y"), node("Identity", "c", "d", T="float32")],
        [call("c", "g", "x", "y")],
        [node("AssignAdd", "w", "x", "y", T="float32"), call("c", "f", "w", "y")],
        [const("k", 1.0, "^w"), node("Nothing", "w", "x"), call("c", "f", "w", "k")],
    ],
    ids=["waits", "more than a call", "no such function", "a write", "an unknown op"],
)
def test_what_is_more_than_a_call_of_a_function_is_looked_at_by_itself(nodes):
    assert _session(_model(X, Y, *nodes), ["c:0"]) is None


def test_a_tensor_that_is_fed_is_no_result():
    made = _model(X, Y, call("c", "f", "x", "y"))
    fed = {"x:0": INPUTS["x"], "c:0": INPUTS["y"]}
    assert session_call(made, fed, ["c:0"], lambda cell: 0) is None


def test_an_input_of_another_dtype_is_looked_at_by_itself():
    made = _model(X, Y, call("c", "f", "x", "y"))
    forms = {INPUTS["x"]: (3, None)}
    assert object_call(made, "f", [_input("x"), _input("y")], [0], lambda cell: 0, forms) is None


_INNER = function("g", ["b", "a"], _BODY, minus="n:y:0", sum="s:z:0")


def _wrapped(*changes: tuple[str, str], calls: str = "StatefulPartitionedCall") -> FunctionCall:
    """What a call of `w` comes down to, a function that calls `g` with its arguments swapped, as an exporter writes it.

    Args:
      changes: texts of the lines below, with what takes their place.
      calls: the op of the call.
    """
    text = f"""c = {calls}/g(q, p) Tin=[float32, float32] Tout=[float32, float32]
i = Identity(c:output:1, ^n) T=float32
j = Identity(c:output:0, ^n) T=float32
n = NoOp(^c)"""
    returned, waits = {"sum": "i:output:0", "minus": "j:output:0"}, "c"
    for old, new in changes:
        if old == "waits":
            waits = new
        elif old in returned:
            returned[old] = new
        else:
            assert old in text
            text = text.replace(old, new)
    wrapper = function("w", ["p", "q"], [line(each) for each in text.splitlines()], **returned)
    wrapper.control_ret["c"] = waits
    return unwrapped({"w": wrapper, "g": _INNER}, FunctionCall("w", ("p is", "q is"), (0, 1)))


def test_a_function_that_hands_on_what_another_one_gives_is_that_one():
    inner = FunctionCall("g", ("q is", "p is"), (1, 0))
    assert _wrapped() == inner
    assert _wrapped(("waits", "n")) == inner
    assert _wrapped(("sum", "c:output:0"), ("minus", "i:output:0")) == FunctionCall("g", inner.arguments, (0, 1))
    assert _wrapped(("(q, p)", "(p, p)")) == FunctionCall("g", ("p is", "p is"), (1, 0))


@pytest.mark.parametrize(
    "changes",
    [
        [("j = Identity(c:output:0, ^n)", "j = Neg(c:output:0, ^n)")],
        [("j = Identity(c:output:0, ^n)", "j = Identity(p, ^n)"), ("minus", "j:output:0")],
        [("n = NoOp(^c)", "n = NoOp(^c)\nd = AssignAddVariableOp(p, q) dtype=float32")],
        [("n = NoOp(^c)", "n = NoOp(^d)\nd = Assert(p, q) T=[float32]")],
        [("(q, p)", "(q, i:output:0)")],
        [("(q, p)", "(q, p, ^n)")],
        [("/g(", "/h(")],
        [("Tout=[float32, float32]", "Tout=[float32, int32]")],
        [("j = Identity(c:output:0, ^n) T=float32", "j = Identity(c:output:0, ^n) T=int32")],
        [("Tin=", "_XlaMustCompile=true Tin=")],
        [("minus", "c:output:2")],
        [("waits", "i")],
    ],
)
def test_a_function_that_does_more_is_looked_at_by_itself(changes):
    assert _wrapped(*changes) == FunctionCall("w", ("p is", "q is"), (0, 1))


def test_a_call_that_may_be_left_out_is_looked_at_by_itself():
    assert _wrapped(calls="PartitionedCall").function == "w"


@pytest.mark.parametrize("name", ["Identity", "NoOp", "StatefulPartitionedCall"])
def test_a_function_of_an_ops_name_is_no_such_op(name):
    body = [call("c", "g", "a", "b"), node("Identity", "i", "c:output:0", T="float32"), node("NoOp", "n", "^c")]
    wrapper = function("w", ["a", "b"], body, r="i:output:0")
    wrapper.control_ret["n"] = "n"
    known, asked = {"w": wrapper, "g": _INNER}, FunctionCall("w", (1, 2), (0,))
    assert unwrapped(known, asked).function == "g"
    assert unwrapped({**known, name: _INNER}, asked) == asked


def test_a_function_with_an_attribute_of_its_own_is_looked_at_by_itself():
    wrapper = function("w", ["a", "b"], [call("c", "g", "a", "b")], r="c:output:0")
    wrapper.control_ret["c"] = "c"
    asked = FunctionCall("w", (1, 2), (0,))
    assert unwrapped({"w": wrapper, "g": _INNER}, asked).function == "g"
    wrapper.attr["api_implements"].s = b"x"
    assert unwrapped({"w": wrapper, "g": _INNER}, asked) == asked


def test_functions_that_call_one_another_end():
    functions = {name: function(name, ["a"], [call("c", other, "a")], r="c:output:0") for name, other in ("gh", "hg")}
    for each in functions.values():
        each.control_ret["c"] = "c"
    assert unwrapped(functions, FunctionCall("g", (1,), (0,))).arguments == (1,)
