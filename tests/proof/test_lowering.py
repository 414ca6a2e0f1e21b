"""Functional control flow and the v1 control flow that it stands for."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from migrate.graph.dtypes import dtype_value
from migrate.graph.protos import FunctionDef, NodeDef
from migrate.proof.difference import difference
from migrate.proof.lowering import lowered
from migrate.proof.records import NotProved, Proved, Result
from migrate.proof.settling import more_computed, settle
from migrate.proof.shared import Shared
from migrate.proof.states import fetched, final
from tests.proof.graphs import const, function, handle, model, node, ref, side

X = node("Placeholder", "x", dtype="float32")
Y = node("Placeholder", "y", dtype="float32")
P = node("Placeholder", "p", dtype="bool")
FLOAT, RESOURCE, INT32 = dtype_value("float32"), dtype_value("resource"), dtype_value("int32")


def compared(
    source: Sequence[NodeDef],
    candidate: Sequence[NodeDef],
    functions: Sequence[FunctionDef],
    before: Sequence[FunctionDef] = (),
) -> tuple[Result, Result]:
    """What the proof says of the output `out`, and of what is left in the variable `v`."""
    shared = Shared()
    one, first = side(model("source", shared, source, before), ["out"], lowers=True)
    other, second = side(model("candidate", shared, candidate, functions), ["out"], lowers=True)
    settle(one, other)
    output = difference(shared.terms, fetched(one, first[0]), fetched(other, second[0]), one.origins, other.origins)
    if one.live(first[0]) != other.live(second[0]):
        output = NotProved("", "", "there in other calls")
    states = []
    for each in (one, other):
        written = {each.cells[key].key[2]: key for key in each.written}
        states.append(final(each, written["v"]) if "v" in written else -1)
    left: Result = Proved() if states == [-1, -1] else NotProved("", "", "one writes it")
    if -1 not in states:
        left = difference(shared.terms, states[0], states[1], one.origins, other.origins)
    if isinstance(left, Proved) and more_computed(one, other):
        left = NotProved("", more_computed(one, other), "it computes more")
    return output, left


def both(result: tuple[Result, Result]) -> bool:
    return all(isinstance(each, Proved) for each in result)


def functional(op, name, inputs, given, results, is_lowered=True, **functions):
    made = node(op, name, *inputs)
    key = "T" if op.endswith("While") else "Tin"
    made.attr[key].list.type.extend(given)
    if key == "Tin":
        made.attr["Tout"].list.type.extend(results)
    if op.endswith("If"):
        made.attr["Tcond"].type = dtype_value("bool")
    for attr, callee in functions.items():
        if attr == "branches":
            for each in callee:
                made.attr[attr].list.func.add().name = each
        else:
            made.attr[attr].func.name = callee
    made.attr["_lower_using_switch_merge"].b = is_lowered
    return made


def taking(made, *resources):
    """A function some of whose arguments are resources."""
    for arg in made.signature.input_arg:
        if arg.name in resources:
            arg.type = RESOURCE
    return made


COND = [
    X,
    Y,
    P,
    node("Switch", "sx", "x", "p", T="float32"),
    node("Switch", "sy", "y", "p", T="float32"),
    node("Neg", "negative", "sx:1", T="float32"),
    node("Abs", "positive", "sy:0", T="float32"),
    node("Merge", "out", "positive", "negative", T="float32", N=2),
]
NEG = function("neg", ["a", "b"], [node("Neg", "n", "a", T="float32")], r="n:y:0")
ABS = function("abs", ["a", "b"], [node("Abs", "n", "b", T="float32")], r="n:y:0")


def if_graph(then="neg", other="abs", inputs=("p", "x", "y"), op="If", **attrs):
    made = functional(op, "c", inputs, [FLOAT] * 2, [FLOAT], then_branch=then, else_branch=other, **attrs)
    return [X, Y, P, made, node("Identity", "out", "c", T="float32")]


@pytest.mark.parametrize("op", ["If", "StatelessIf"])
@pytest.mark.parametrize("is_lowered", [True, False])
def test_a_cond_is_an_if(op, is_lowered):
    assert both(compared(COND, if_graph(op=op, is_lowered=is_lowered), [NEG, ABS]))


@pytest.mark.parametrize(
    "mutant",
    [if_graph("abs", "neg"), if_graph("neg", "neg"), if_graph(inputs=("p", "y", "x"))],
    ids=["swapped", "one branch", "inputs"],
)
def test_another_if_is_another_value(mutant):
    assert isinstance(compared(COND, mutant, [NEG, ABS])[0], NotProved)


def test_a_predicate_that_is_no_bool_is_made_one():
    made = if_graph(inputs=("x", "x", "y"))
    made[3].attr["Tcond"].type = FLOAT
    switches = [node("Switch", f"s{n}", n, "t", T="float32") for n in "xy"]
    source = [X, Y, node("ToBool", "t", "x", T="float32"), *switches, *COND[5:]]
    assert both(compared(source, made, [NEG, ABS]))
    assert isinstance(compared(COND, made, [NEG, ABS])[0], NotProved)


# Writes in branches.


def writes(kind):
    """One branch adds to a variable and reads it, the other one reads it."""
    is_ref = kind == "ref"
    made, T = (ref("v"), "float32") if is_ref else (handle("v"), "resource")
    add, sees = ("AssignAdd", "Identity") if is_ref else ("AssignAddVariableOp", "ReadVariableOp")
    key = "T" if is_ref else "dtype"
    return [
        X,
        P,
        made,
        node("RefSwitch" if is_ref else "Switch", "sv", "v", "p", T=T),
        node("Switch", "sx", "x", "p", T="float32"),
        node(add, "w", "sv:1", "sx:1", **{key: "float32"}),
        node(sees, "after", "sv:1", "^w", **{key: "float32"}),
        node(sees, "as_is", "sv:0", **{key: "float32"}),
        node("Neg", "then", "after", T="float32"),
        node("Neg", "else", "as_is", T="float32"),
        node("Merge", "out", "else", "then", T="float32", N=2),
    ]


def _adds(waits="^w", op="AssignAddVariableOp"):
    nodes = [
        node(op, "w", "v", "a", dtype="float32"),
        node("ReadVariableOp", "s", "v", *([waits] if waits else []), dtype="float32"),
        node("Neg", "n", "s:value:0", T="float32"),
    ]
    made = taking(function("adds", ["v", "a"], nodes, r="n:y:0"), "v")
    made.control_ret["w"] = "w"
    return made


SEES = taking(
    function(
        "sees",
        ["v", "a"],
        [node("ReadVariableOp", "s", "v", dtype="float32"), node("Neg", "n", "s:value:0", T="float32")],
        r="n:y:0",
    ),
    "v",
)


def writing_if(then="adds", other="sees", **attrs):
    made = functional(
        "If", "c", ("p", "v", "x"), [RESOURCE, FLOAT], [FLOAT], then_branch=then, else_branch=other, **attrs
    )
    return [X, P, handle("v"), made, node("Identity", "out", "c", T="float32")]


def test_a_cond_that_writes_is_an_if_that_writes():
    for is_lowered in (True, False):
        assert both(compared(writes("ref"), writing_if(is_lowered=is_lowered), [_adds(), SEES]))


@pytest.mark.parametrize(
    ("functions", "graph"),
    [
        ([_adds(waits=""), SEES], writing_if()),
        ([_adds(op="AssignSubVariableOp"), SEES], writing_if()),
        ([_adds(), SEES], writing_if("sees", "adds")),
        ([_adds(), SEES], writing_if("sees", "sees")),
        ([_adds(), SEES], writing_if("adds", "adds")),
    ],
    ids=["dropped edge", "op", "other branch", "no write", "always"],
)
def test_another_write_is_not_proved(functions, graph):
    assert not both(compared(writes("ref"), graph, functions))


def test_a_read_beside_an_if_that_writes_must_be_ordered():
    source = [*writes("ref")[:-1], node("Merge", "m", "else", "then", T="float32", N=2)]
    source += [node("Identity", "late", "v", "^m", T="float32"), node("AddV2", "out", "m", "late", T="float32")]

    def graph(*waits):
        return [
            *writing_if()[:-1],
            node("ReadVariableOp", "late", "v", *waits, dtype="float32"),
            node("AddV2", "out", "c", "late", T="float32"),
        ]

    assert both(compared(source, graph("^c"), [_adds(), SEES]))
    assert not both(compared(source, graph(), [_adds(), SEES]))


# Case.


def test_a_case_is_a_chain_of_conds():
    index = node("Placeholder", "q", dtype="int32")

    def number(name, value):
        made = const(name, True)
        made.attr["value"].tensor.Clear()
        made.attr["value"].tensor.dtype = made.attr["dtype"].type = INT32
        made.attr["value"].tensor.tensor_shape.SetInParent()
        made.attr["value"].tensor.int_val.append(value)
        return made

    def chain(second=1):
        return [
            X,
            index,
            number("zero", 0),
            number("one", second),
            node("Equal", "is0", "q", "zero", T="int32"),
            node("Switch", "x0", "x", "is0", T="float32"),
            node("Switch", "q0", "q", "is0", T="int32"),
            node("Equal", "is1", "q0", "one", T="int32"),
            node("Switch", "x1", "x0", "is1", T="float32"),
            node("Neg", "a", "x0:1", T="float32"),
            node("Abs", "b", "x1:1", T="float32"),
            node("Sign", "c", "x1", T="float32"),
            node("Merge", "out", "a", "b", "c", T="float32", N=3),
        ]

    functions = [
        function(name, ["a"], [node(op, "n", "a", T="float32")], r="n:y:0")
        for name, op in (("f", "Neg"), ("g", "Abs"), ("h", "Sign"))
    ]

    def case(*branches):
        made = functional("Case", "k", ("q", "x"), [FLOAT], [FLOAT], branches=branches)
        return [X, index, made, node("Identity", "out", "k", T="float32")]

    assert both(compared(chain(), case("f", "g", "h"), functions))
    assert not both(compared(chain(), case("g", "f", "h"), functions))
    assert not both(compared(chain(), case("f", "h", "g"), functions))
    assert not both(compared(chain(2), case("f", "g", "h"), functions))


# Loops.


def loop(limit=10.0, step="add", start="x"):
    """`while i < limit: i += y`."""
    frame = {"T": "float32", "frame_name": b"loop"}
    return [
        X,
        Y,
        node("Enter", "enter", start, **frame),
        node("Enter", "y_in", "y", is_constant=True, **frame),
        node("Merge", "m", "enter", "next", T="float32", N=2),
        const("limit", limit, "^m"),
        node("Less", "less", "m", "limit", T="float32"),
        node("LoopCond", "go", "less"),
        node("Switch", "s", "m", "go", T="float32"),
        node("AddV2", "add", "s:1", "y_in", T="float32"),
        node("Mul", "mul", "s:1", "y_in", T="float32"),
        node("NextIteration", "next", step, T="float32"),
        node("Exit", "out", "s", T="float32"),
    ]


def _less(limit=10.0, second="c:output:0", arguments=("i", "y")):
    made = function("less", arguments, [const("c", limit), node("Less", "n", "i", second, T="float32")], r="n:z:0")
    made.signature.output_arg[0].type = dtype_value("bool")
    return made


def _step(op="AddV2", result="n:z:0"):
    made = function("step", ["i", "y"], [node(op, "n", "i", "y", T="float32")], r=result)
    made.signature.output_arg.add(name="s", type=FLOAT)
    made.ret["s"] = "y"
    return made


def while_graph(inputs=("x", "y"), result="w", op="While", **attrs):
    made = functional(op, "w", inputs, [FLOAT] * 2, [], cond="less", body="step", **attrs)
    return [X, Y, made, node("Identity", "out", result, T="float32")]


@pytest.mark.parametrize("op", ["While", "StatelessWhile"])
@pytest.mark.parametrize("is_lowered", [True, False])
def test_a_loop_is_a_while(op, is_lowered):
    assert both(compared(loop(), while_graph(op=op, is_lowered=is_lowered), [_less(), _step()]))


@pytest.mark.parametrize(
    ("functions", "graph"),
    [
        ([_less(11.0), _step()], while_graph()),
        ([_less(second="y"), _step()], while_graph()),
        ([_less(), _step("Mul")], while_graph()),
        ([_less(), _step(result="i")], while_graph()),
        ([_less(), _step(result="y")], while_graph()),
        ([_less(), _step()], while_graph(("y", "x"))),
        ([_less(), _step()], while_graph(result="w:1")),
        ([_less(), _step()], while_graph(result="x")),
    ],
    ids=["limit", "condition", "step", "endless", "stops", "start", "output", "no loop"],
)
def test_another_while_is_another_value(functions, graph):
    assert not both(compared(loop(), graph, functions))


def counting(waits="^a"):
    """A loop that adds its number to a ref variable in each iteration, and waits for that."""
    frame = {"T": "float32", "frame_name": b"loop"}
    return [
        X,
        ref("v"),
        node("Enter", "enter", "x", **frame),
        node("RefEnter", "v_in", "v", is_constant=True, **frame),
        node("Merge", "m", "enter", "next", T="float32", N=2),
        const("limit", 10.0, "^m"),
        node("Less", "less", "m", "limit", T="float32"),
        node("LoopCond", "go", "less"),
        node("Switch", "s", "m", "go", T="float32"),
        node("AssignAdd", "a", "v_in", "s:1", T="float32"),
        const("one", 1.0, "^s_on"),
        node("Identity", "s_on", "s:1", T="float32"),
        node("AddV2", "add", "s:1", "one", waits, T="float32"),
        node("NextIteration", "next", "add", T="float32"),
        node("Exit", "exit", "s", T="float32"),
        node("Identity", "seen", "v", "^exit", T="float32"),
        node("AddV2", "out", "seen", "exit", T="float32"),
    ]


def _counts(waits="^a", op="AssignAddVariableOp", value="i"):
    nodes = [
        node(op, "a", "y", value, dtype="float32"),
        const("one", 1.0),
        node("AddV2", "n", "i", "one:output:0", *([waits] if waits else []), T="float32"),
    ]
    made = taking(function("step", ["i", "y"], nodes, r="n:z:0"), "y")
    made.control_ret["a"] = "a"
    made.signature.output_arg.add(name="s", type=RESOURCE)
    made.ret["s"] = "y"
    return made


def counting_while(after=("^w",), **attrs):
    made = functional("While", "w", ("x", "v"), [FLOAT, RESOURCE], [], cond="less", body="step", **attrs)
    return [
        X,
        handle("v"),
        made,
        node("ReadVariableOp", "seen", "v", *after, dtype="float32"),
        node("AddV2", "out", "seen", "w", T="float32"),
    ]


LESS = taking(_less(), "y")


def test_a_loop_that_writes_is_a_while_that_writes():
    for is_lowered in (True, False):
        assert both(compared(counting(), counting_while(is_lowered=is_lowered), [LESS, _counts()]))


def test_iterations_of_a_kernel_are_in_order():
    """Where TensorFlow lowers a While, several iterations run at once; a kernel runs one after the other."""
    assert both(compared(counting(), counting_while(is_lowered=False), [LESS, _counts(waits="")]))
    assert not both(compared(counting(), counting_while(is_lowered=True), [LESS, _counts(waits="")]))
    one = counting_while(
        is_lowered=True,
    )
    one[2].attr["parallel_iterations"].i = 1
    assert both(compared(counting(), one, [LESS, _counts(waits="")]))


@pytest.mark.parametrize(
    ("functions", "graph"),
    [
        ([LESS, _counts(op="AssignSubVariableOp")], counting_while()),
        ([LESS, _counts(value="n:z:0", waits="")], counting_while()),
        ([LESS, _counts()], counting_while(after=())),
        ([taking(_less(11.0), "y"), _counts()], counting_while()),
    ],
    ids=["op", "value", "early read", "limit"],
)
def test_another_write_in_a_while_is_not_proved(functions, graph):
    assert not both(compared(counting(), graph, functions))


def test_a_source_that_nothing_orders_is_not_proved():
    loose = [n for n in counting() if n.name != "add"] + [node("AddV2", "add", "s:1", "one", T="float32")]
    assert not both(compared(loose, counting_while(), [LESS, _counts()]))


def test_each_loop_has_a_frame_of_its_own():
    """One loop after another, which both have the same functions."""
    first = while_graph()
    second = functional("While", "w2", ("out", "y"), [FLOAT] * 2, [], cond="less", body="step")
    graph = [*first, second, node("Identity", "end", "w2", T="float32"), node("Neg", "neg", "end", T="float32")]
    graph[3].name, graph[4].input[0] = "out_1", "out_1"
    graph[5].input[0] = "w2"
    graph[-1].name, graph[-1].input[0] = "out", "end"
    assert both(compared(graph, graph, [_less(), _step()], [_less(), _step()]))


# What is left as it is.


@pytest.mark.parametrize("change", ["no function", "no condition", "two conditions", "recursive"])
def test_what_is_not_known_is_not_proved(change):
    functions = [_less(), _step()]
    graph = while_graph()
    if change == "no function":
        functions = functions[:1]
    elif change == "no condition":
        graph[2].attr["cond"].func.name = "nothing"
    elif change == "two conditions":
        functions[0].signature.output_arg.add(name="other", type=FLOAT)
        functions[0].ret["other"] = "y"
    else:
        functions[1].node_def.add().CopyFrom(graph[2])
        functions[1].node_def[-1].input[:] = ["i", "y"]
        functions[1].ret["r"] = "w:output:0"
    assert not both(compared(loop(), graph, functions))


def test_what_has_no_functions_is_not_lowered():
    for op in ("If", "Case", "While"):
        assert lowered("f", node(op, "n", "x"), {}) is None


def test_a_constant_of_a_function_is_in_the_loop_that_calls_it():
    inner = function("inner", ["a"], [const("c", 2.0), node("Mul", "n", "a", "c:output:0", T="float32")], r="n:z:0")
    outer = function("step", ["i", "y"], [node("inner", "n", "i")], r="n:r:0")
    outer.signature.output_arg.add(name="s", type=FLOAT)
    outer.ret["s"] = "y"
    source = [n for n in loop() if n.name not in ("add", "mul")]
    source += [node("Identity", "on", "s:1", T="float32"), const("two", 2.0, "^on")]
    source += [node("Mul", "add", "s:1", "two", T="float32")]
    assert both(compared(source, while_graph(), [_less(), outer, inner]))
    inner.node_def[0].attr["value"].tensor.float_val[:] = [3.0]
    assert not both(compared(source, while_graph(), [_less(), outer, inner]))
