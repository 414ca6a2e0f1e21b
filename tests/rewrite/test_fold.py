"""Branches that cannot run: what is left out, what stays as it is."""

from __future__ import annotations

import pytest

from migrate.graph.dtypes import dtype_value
from migrate.graph.graph import ParsedNodes, prune
from migrate.graph.protos import NodeDef
from migrate.rewrite.fold import fold

_FLOAT, _BOOL = dtype_value("float32"), dtype_value("bool")


def _nodes(text: str) -> ParsedNodes:
    """A graph from lines of `name = Op(inputs)`; a Const's argument is its bool, an Enter's last one its frame."""
    found = []
    for line in filter(None, map(str.strip, text.splitlines())):
        name, _, call = line.partition(" = ")
        op, _, arguments = call.rstrip(")").partition("(")
        inputs = [a.strip() for a in arguments.split(",") if a.strip()]
        node = NodeDef(name=name, op=op)
        if op == "Const":
            node.attr["dtype"].type = node.attr["value"].tensor.dtype = _BOOL
            node.attr["value"].tensor.tensor_shape.SetInParent()
            node.attr["value"].tensor.bool_val.append(inputs.pop(0) == "true")
        if op.endswith("Enter"):
            node.attr["frame_name"].s = inputs.pop().encode()
        if op == "Placeholder":
            node.attr["dtype"].type = _FLOAT
        node.input.extend(inputs)
        node.attr["T"].type = _FLOAT
        found.append(node)
    return ParsedNodes(found)


def _text(nodes) -> list[str]:
    return [f"{node.name} = {node.op}({', '.join(node.input)})" for node in nodes]


def _folded(text: str, fetch: str = "y:0", targets: tuple[str, ...] = ()):
    run = prune(_nodes(text), "a call", {"x:0": (_FLOAT, None)}, (fetch,), targets)
    result = fold(run)
    return run, result


_COND = """
    x = Placeholder()
    p = Const({value})
    s = Switch(x, p)
    t = Neg(s:1)
    f = Abs(s)
    y = Merge(f, t)
"""


@pytest.mark.parametrize(
    ("before", "after"),
    [
        pytest.param(
            _COND.format(value="true"),
            ["x = Placeholder()", "p = Const()", "s = Identity(x, ^p)", "t = Neg(s)", "y = Identity(t)"],
            id="true",
        ),
        pytest.param(
            _COND.format(value="false"),
            ["x = Placeholder()", "p = Const()", "s = Identity(x, ^p)", "f = Abs(s)", "y = Identity(f)"],
            id="false",
        ),
        pytest.param(
            """
            x = Placeholder()
            c = Const(true)
            d = PlaceholderWithDefault(c)
            p = LogicalNot(d)
            s = Switch(x, p)
            pivot = Identity(s:1)
            t = Const(true, ^pivot)
            f = Abs(s)
            y = Merge(f, t)
            """,
            [
                "x = Placeholder()",
                "c = Const()",
                "d = PlaceholderWithDefault(c)",
                "p = LogicalNot(d)",
                "s = Identity(x, ^p)",
                "f = Abs(s)",
                "y = Identity(f)",
            ],
            id="a default, turned round; a constant that waits for the dead branch",
        ),
        pytest.param(
            """
            x = Placeholder()
            p = Const(false)
            s = Switch(x, p)
            e = Enter(s:1, loop)
            m = Merge(e, n)
            c = LoopCond(m)
            w = Switch(m, c)
            n = NextIteration(w:1)
            t = Exit(w)
            f = Abs(s)
            y = Merge(f, t)
            """,
            ["x = Placeholder()", "p = Const()", "s = Identity(x, ^p)", "f = Abs(s)", "y = Identity(f)"],
            id="a loop in the dead branch",
        ),
        pytest.param(
            """
            x = Placeholder()
            v = VariableV2()
            p = Const(true)
            s = RefSwitch(v, p)
            t = AssignAdd(s:1, x)
            f = RefIdentity(s)
            m = RefMerge(f, t)
            w = Neg(m:1)
            y = AddN(m, w)
            """,
            [
                "x = Placeholder()",
                "v = VariableV2()",
                "p = Const()",
                "s = RefIdentity(v, ^p)",
                "t = AssignAdd(s, x)",
                "m = RefIdentity(t)",
                "m/value_index = Const(^m)",
                "w = Neg(m/value_index)",
                "y = AddN(m, w)",
            ],
            id="refs, and which input the Merge has taken",
        ),
        pytest.param(
            """
            x = Placeholder()
            v = VariableV2()
            a = AssignAdd(v, x)
            p = Const(false)
            s = Switch(a, p)
            t = Neg(s:1)
            q = Switch(x, p, ^b)
            b = Sqrt(x)
            f = Abs(q)
            y = Merge(f, t)
            """,
            [
                "x = Placeholder()",
                "v = VariableV2()",
                "a = AssignAdd(v, x)",
                "p = Const()",
                "q = Identity(x, ^b, ^p)",
                "b = Sqrt(x)",
                "f = Abs(q)",
                "y = Identity(f)",
            ],
            id="a write whose value only the dead branch takes",
        ),
        *(
            pytest.param(
                f"""
                x = Placeholder()
                {outside}
                e = Enter(x, loop)
                m = Merge(e, n)
                c = LoopCond(m)
                w = Switch(m, c)
                {inside}
                s = Switch(w:1, p)
                t = Neg(s:1)
                f = Abs(s)
                b = Merge(f, t)
                n = NextIteration(b)
                y = Exit(w)
                """,
                [
                    "x = Placeholder()",
                    *after_outside,
                    "e = Enter(x)",
                    "m = Merge(e, n)",
                    "c = LoopCond(m)",
                    "w = Switch(m, c)",
                    *after_inside,
                    "s = Identity(w:1, ^p)",
                    "t = Neg(s)",
                    "b = Identity(t)",
                    "n = NextIteration(b)",
                    "y = Exit(w)",
                ],
                id=f"in a loop: {name}",
            )
            for name, outside, inside, after_outside, after_inside in (
                ("a constant of each iteration", "", "p = Const(true, ^w)", [], ["p = Const(^w)"]),
                (
                    "a constant that enters the loop",
                    "o = Const(true)",
                    "p = Enter(o, loop)",
                    ["o = Const()"],
                    ["p = Enter(o)"],
                ),
                (
                    "turned round in the loop",
                    "o = Const(false)",
                    "q = Enter(o, loop)\np = LogicalNot(q)",
                    ["o = Const()"],
                    ["q = Enter(o)", "p = LogicalNot(q)"],
                ),
                (
                    "a loop variable that no iteration changes",
                    "o = Const(true)",
                    "q = Enter(o, loop)\nr = Merge(q, k)\nv = Switch(r, c)\np = Identity(v:1)\nk = NextIteration(p)",
                    ["o = Const()"],
                    [
                        "q = Enter(o)",
                        "r = Merge(q, k)",
                        "v = Switch(r, c)",
                        "p = Identity(v:1)",
                        "k = NextIteration(p)",
                    ],
                ),
            )
        ),
        pytest.param(
            """
            x = Placeholder()
            u = Const(true)
            a = LogicalOr(x, u)
            p = LogicalNot(a)
            s = Switch(x, p)
            t = Neg(s:1)
            f = Abs(s)
            y = Merge(f, t)
            """,
            [
                "x = Placeholder()",
                "u = Const()",
                "a = LogicalOr(x, u)",
                "p = LogicalNot(a)",
                "s = Identity(x, ^p)",
                "f = Abs(s)",
                "y = Identity(f)",
            ],
            id="a predicate that one of two values decides",
        ),
        pytest.param(
            """
            x = Placeholder()
            q = Switch(x, x)
            o = Const(true)
            v = Switch(o, x)
            p = Identity(v:1)
            s = Switch(q:1, p)
            t = Neg(s:1)
            f = Abs(s)
            b = Merge(f, t)
            y = Merge(q, b)
            """,
            [
                "x = Placeholder()",
                "q = Switch(x, x)",
                "o = Const()",
                "v = Switch(o, x)",
                "p = Identity(v:1)",
                "s = Identity(q:1, ^p)",
                "t = Neg(s)",
                "b = Identity(t)",
                "y = Merge(q, b)",
            ],
            id="a cond in a branch, which has the predicate from outside",
        ),
        pytest.param(
            """
            x = Placeholder()
            e = Enter(x, loop)
            m = Merge(e, n)
            c = LoopCond(m)
            w = Switch(m, c)
            i = Identity(w:1)
            v = VariableV2()
            r = RefEnter(v, loop)
            a = AssignAdd(r, i)
            p = Const(false, ^w)
            s = Switch(a, p)
            t = Neg(s:1)
            q = Switch(i, p)
            f = Abs(q)
            b = Merge(f, t)
            g = ControlTrigger(^t, ^f)
            n = NextIteration(b, ^g)
            y = Exit(w)
            """,
            [
                "x = Placeholder()",
                "e = Enter(x)",
                "m = Merge(e, n)",
                "c = LoopCond(m)",
                "w = Switch(m, c)",
                "i = Identity(w:1)",
                "v = VariableV2()",
                "r = RefEnter(v)",
                "a = AssignAdd(r, i)",
                "p = Const(^w)",
                "q = Identity(i, ^p)",
                "f = Abs(q)",
                "b = Identity(f)",
                "g = ControlTrigger(^f)",
                "n = NextIteration(b, ^g, ^a)",
                "y = Exit(w)",
            ],
            id="in a loop: a write whose value only the dead branch takes, and what runs all the same",
        ),
    ],
)
def test_the_branch_that_cannot_run_is_left_out(before, after):
    run, result = _folded(before)
    assert _text(result.run.graph.nodes.values()) == after
    assert result.run.fetches == run.fetches
    assert not result.dead & result.run.graph.nodes.keys()


def test_a_write_that_nothing_takes_any_more_becomes_a_target():
    _, result = _folded(
        """
        x = Placeholder()
        v = VariableV2()
        a = AssignAdd(v, x)
        p = Const(false)
        s = Switch(a, p)
        t = Neg(s:1)
        q = Switch(x, p)
        f = Abs(q)
        y = Merge(f, t)
        """
    )
    assert result.run.targets == ("a",)
    assert result.dead == {"t"}


@pytest.mark.parametrize(
    ("graph", "fetch", "targets"),
    [
        pytest.param(_COND.replace("Const({value})", "Identity(x)"), "y:0", (), id="a predicate that is fed"),
        pytest.param(_COND.format(value="true"), "f:0", (), id="a fetch that is dead"),
        pytest.param(_COND.format(value="true"), "s:1", (), id="a fetch of the Switch's second output"),
        pytest.param(_COND.format(value="true"), "y:1", (), id="a fetch of the Merge's second output"),
        pytest.param(_COND.format(value="true"), "y:0", ("f",), id="a target that is dead"),
        pytest.param(
            """
            x = Placeholder()
            p = Const(true)
            s = Switch(x, p)
            e = Enter(s:1, loop)
            g = Enter(s, loop)
            m = Merge(e, n)
            c = LoopCond(m)
            w = Switch(m, c)
            n = NextIteration(w:1, ^g)
            y = Exit(w)
            """,
            "y:0",
            (),
            id="half of a loop",
        ),
        pytest.param(
            """
            x = Placeholder()
            p = Const(true)
            s = Switch(x, p)
            t = Neg(s:1)
            f = Abs(s)
            y = Merge(x, t, ^f)
            """,
            "y:0",
            (),
            id="a Merge that waits for what is dead",
        ),
        *(
            pytest.param(
                f"""
                x = Placeholder()
                o = Const(true)
                e = Enter(x, loop)
                m = Merge(e, n)
                c = LoopCond(m)
                w = Switch(m, c)
                {predicate}
                s = Switch(w:1, p)
                t = Neg(s:1)
                f = Abs(s)
                b = Merge(f, t)
                n = NextIteration(b)
                y = Exit(w)
                """,
                "y:0",
                (),
                id=f"in a loop: {name}",
            )
            for name, predicate in (
                ("a predicate that each iteration computes", "p = Less(w:1, m)"),
                (
                    "a loop variable that changes",
                    "q = Enter(o, loop)\nr = Merge(q, k)\np = LogicalNot(r)\nk = NextIteration(p)",
                ),
                (
                    "a loop variable that becomes another one",
                    "q = Enter(o, loop)\nr = Merge(q, k)\np = Identity(r)\nk = NextIteration(b)",
                ),
            )
        ),
    ],
)
def test_what_stays_as_it_is(graph, fetch, targets):
    run, result = _folded(graph, fetch, targets)
    assert result.run is run
    assert not result.dead


def test_a_switch_behind_a_circle_is_left_to_what_refuses_circles():
    run, result = _folded(
        """
        x = Placeholder()
        p = Const(true)
        a = Neg(b)
        b = Neg(a)
        s = Switch(a, p)
        y = Neg(s:1)
        """
    )
    assert result.run.graph is run.graph
    assert not result.dead


def test_runs_of_one_graph_share_what_is_left():
    nodes = _nodes(_COND.format(value="true"))
    runs = [prune(nodes, key, {"x:0": (_FLOAT, None)}, ("y:0",), ()) for key in ("one", "two")]
    first, second = map(fold, runs)
    assert first.run.graph is second.run.graph
    assert (first.run.key, second.run.key) == ("one", "two")
