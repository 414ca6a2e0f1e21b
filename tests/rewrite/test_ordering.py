"""ordering.py: reads and writes of one variable that no edge orders."""

from __future__ import annotations

import pytest

from migrate.graph.dtypes import dtype_value
from migrate.graph.graph import index
from migrate.graph.protos import NodeDef
from migrate.rewrite.ordering import assigned_first, finding, surely_fails, unordered_outputs
from tests.rewrite.texts import function, node


def _graph(*lines: str):
    """A graph from lines `name = Op(input, ^control)`."""
    nodes = []
    for line in lines:
        name, _, call = line.partition(" = ")
        op, _, inputs = call.rstrip(")").partition("(")
        node = NodeDef(name=name, op=op, input=[i.strip() for i in inputs.split(",") if i.strip()])
        if op in ("Identity", "Switch", "Enter", "Merge") and name.startswith("h_"):
            node.attr["T"].type = dtype_value("resource")
        if op == "VarHandleOp":
            node.attr["shared_name"].s = name.encode()
        nodes.append(node)
    return index(nodes)


_V = ("v = VarHandleOp()", "x = Placeholder()")

ORDERED = {
    "no write": (*_V, "r = ReadVariableOp(v)"),
    "read before the write": (*_V, "r = ReadVariableOp(v)", "w = AssignAddVariableOp(v, x, ^r)"),
    "read after the write": (*_V, "w = AssignAddVariableOp(v, x)", "r = ReadVariableOp(v, ^w)"),
    "by data": (*_V, "r = ReadVariableOp(v)", "y = Mul(r, x)", "w = AssignVariableOp(v, y)"),
    "another variable": (*_V, "u = VarHandleOp()", "r = ReadVariableOp(v)", "w = AssignVariableOp(u, x)"),
    "in different branches of a cond": (
        *_V,
        "h_s = Switch(v, x)",
        "s = Switch(x, x)",
        "r = ReadVariableOp(h_s)",
        "w = AssignAddVariableOp(h_s:1, s:1)",
    ),
    # Each `tf.cond` has an Identity of its own for its predicate.
    "in different branches of two conds": (
        *_V,
        "p = Identity(x)",
        "q = Identity(x)",
        "h_s = Switch(v, p)",
        "h_t = Switch(v, q)",
        "s = Switch(x, q)",
        "r = ReadVariableOp(h_s)",
        "w = AssignAddVariableOp(h_t:1, s:1)",
    ),
    "only asked whether it is there": (*_V, "r = VarIsInitializedOp(v)", "w = AssignVariableOp(v, x)"),
}

UNORDERED = {
    "side by side": (*_V, "r = ReadVariableOp(v)", "w = AssignAddVariableOp(v, x)"),
    "through a carried handle": (
        *_V,
        "h_i = Identity(v)",
        "r = ReadVariableOp(h_i)",
        "w = ResourceScatterAdd(v, x, x)",
    ),
    "in branches of what may change between": (
        *_V,
        "u = VarHandleOp()",
        "b = ReadVariableOp(u)",
        "p = Identity(b)",
        "q = Identity(b)",
        "h_s = Switch(v, p)",
        "h_t = Switch(v, q)",
        "s = Switch(x, q)",
        "r = ReadVariableOp(h_s)",
        "w = AssignAddVariableOp(h_t:1, s:1)",
    ),
    "a gather is a read": (*_V, "r = ResourceGather(v, x)", "w = ResourceApplyGradientDescent(v, x, x)"),
    "one of two writes": (
        *_V,
        "w = AssignVariableOp(v, x)",
        "r = ReadVariableOp(v, ^w)",
        "w2 = AssignAddVariableOp(v, x, ^w)",
    ),
}


@pytest.mark.parametrize("name", ORDERED)
def test_ordered(name):
    assert unordered_outputs(_graph(*ORDERED[name]), ["r:0", "x:0"]) == ()


@pytest.mark.parametrize("name", UNORDERED)
def test_unordered(name):
    graph = _graph(*UNORDERED[name], "y = Mul(r, x)", "z = Mul(x, x, ^r)")
    found = unordered_outputs(graph, ["r:0", "y:0", "z:0", "x:0"])
    # z waits for the read and does not use it.
    assert [u.tensor for u in found] == ["r:0", "y:0"]
    assert {u.variable for u in found} == {"v"}


def test_the_finding_names_read_write_and_outputs():
    found = unordered_outputs(_graph(*UNORDERED["side by side"]), ["r:0"])
    warning = finding("signature 's'", [("out", found[0])])
    assert warning is not None and warning.code == "unordered-access"
    assert "'r'" in warning.message and "'w'" in warning.message and "'out'" in warning.message
    assert finding("signature 's'", []) is None


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (("w = AssignVariableOp(v, x)", "r = ReadVariableOp(v, ^w)"), True),
        (("w = AssignVariableOp(v, x)", "a = AssignAddVariableOp(v, x, ^w)", "r = ReadVariableOp(v, ^a)"), True),
        (("y = Mul(x, x)",), True),
        (("r = ReadVariableOp(v)",), False),
        (("w = AssignVariableOp(v, x)", "r = ReadVariableOp(v)"), False),
        (("r = ReadVariableOp(v)", "w = AssignVariableOp(v, x, ^r)"), False),
        (("a = AssignAddVariableOp(v, x)", "r = ReadVariableOp(v, ^a)"), False),
        (("w = AssignVariableOp(v, x)", "q = VarIsInitializedOp(v)"), False),
        (("w = AssignVariableOp(v, x)", "w2 = AssignVariableOp(v, x, ^w)", "r = ReadVariableOp(v, ^w)"), True),
        (("w = AssignVariableOp(v, x)", "w2 = AssignVariableOp(v, x)", "r = ReadVariableOp(v, ^w)"), False),
        # In one branch with the write, in the other, and behind both.
        (("s = Switch(x, x)", "w = AssignVariableOp(v, s:1)", "r = ReadVariableOp(v, ^w)"), True),
        (("s = Switch(x, x)", "w = AssignVariableOp(v, s:1)", "r = ReadVariableOp(v, ^s)"), False),
        (
            (
                "s = Switch(x, x)",
                "w = AssignVariableOp(v, s:1)",
                "i = Identity(s:1, ^w)",
                "m = Merge(s:0, i)",
                "r = ReadVariableOp(v, ^m)",
            ),
            False,
        ),
        # In a loop: after the write of the same iteration, and before it.
        (
            (
                "e = Enter(x)",
                "m = Merge(e, n)",
                "s = Switch(m, x)",
                "w = AssignVariableOp(v, s:1)",
                "r = ReadVariableOp(v, ^w)",
                "n = NextIteration(s:1, ^r)",
            ),
            True,
        ),
        (
            (
                "e = Enter(x)",
                "m = Merge(e, n)",
                "s = Switch(m, x)",
                "r = ReadVariableOp(v, ^m)",
                "w = AssignVariableOp(v, s:1, ^r)",
                "n = NextIteration(s:1, ^w)",
            ),
            False,
        ),
    ],
)
def test_assigned_before_it_is_looked_at(lines, expected):
    assert ("v" in assigned_first(_graph(*_V, *lines), {"v"})) is expected


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (("r = ReadVariableOp(v)",), "r"),
        (("a = AssignAddVariableOp(v, x)",), "a"),
        (("q = VarIsInitializedOp(v)",), None),
        (("w = AssignVariableOp(v, x)", "r = ReadVariableOp(v, ^w)"), None),
        (("w = AssignVariableOp(v, x)", "r = ReadVariableOp(v)"), "r"),
        (("r = ReadVariableOp(v)", "w = AssignVariableOp(v, x, ^r)"), "r"),
        # In one branch, in both, and after a write that one of them may have done.
        (("s = Switch(x, x)", "r = ReadVariableOp(v, ^t)", "t = Identity(s:1)"), None),
        (
            (
                "s = Switch(x, x)",
                "t = Identity(s:1)",
                "f = Identity(s)",
                "r = ReadVariableOp(v, ^t)",
                "u = ReadVariableOp(v, ^f)",
            ),
            "r",
        ),
        (
            (
                "s = Switch(x, x)",
                "w = AssignVariableOp(v, s:1)",
                "i = Identity(s:1, ^w)",
                "m = Merge(s:0, i)",
                "r = ReadVariableOp(v, ^m)",
            ),
            None,
        ),
        # In a loop, of which nobody knows whether it has an iteration.
        (("e = Enter(x)", "r = ReadVariableOp(v, ^e)"), None),
    ],
)
def test_a_call_that_surely_fails_without_a_value(lines, expected):
    assert surely_fails(_graph(*_V, *lines), {"v"}) == expected


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (("c = PartitionedCall/reads(v)",), "c"),
        (("c = If/reads/reads(p, v)",), "c"),
        (("c = If/reads/writes(p, v)",), None),
        (("c = PartitionedCall/writes(v)",), None),
        (("c = PartitionedCall/unknown(v)",), None),
        (("c = reads(v)",), "c"),
    ],
)
def test_a_call_of_a_function_that_surely_fails_without_a_value(lines, expected):
    library = {f.signature.name: f for f in (READS_AT_ONCE, WRITES_FIRST)}
    assert surely_fails(_called(*lines), {"v"}, library) == expected


READS_AT_ONCE = function("reads", "h", "r = ReadVariableOp(h)", y="r:value:0")
WRITES_FIRST = function("writes", "h a", "w = AssignVariableOp(h, a)", "r = ReadVariableOp(h, ^w)", y="r:value:0")


_LOOP = (
    "e = Enter(x)",
    "m = Merge(e, n)",
    "c = LoopCond(m)",
    "s = Switch(m, c)",
    "h_e = Enter(v)",
    "w = AssignAddVariableOp(h_e, s:1)",
    "r = ReadVariableOp(h_e, ^w)",
)


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        # The next iteration writes while this one still has to read, unless it waits for the read.
        (("n = NextIteration(s:1)",), ["r:0"]),
        (("n = NextIteration(s:1, ^w)",), ["r:0"]),
        (("n = NextIteration(s:1, ^r)",), []),
        (("n = NextIteration(r)",), []),
    ],
)
def test_iterations_that_race(lines, expected):
    graph = _graph(*_V, *_LOOP, *lines)
    found = unordered_outputs(graph, ["r:0"])
    assert [u.tensor for u in found] == expected
    for name in ("e", "h_e"):
        graph.nodes[name].attr["parallel_iterations"].i = 1
    assert unordered_outputs(graph, ["r:0"]) == ()


def test_a_branch_that_never_runs_races_with_nothing():
    lines = ("s = Switch(x, p)", "p = Const()", "h_s = Switch(v, p)", "w = AssignAddVariableOp(h_s:1, s:1)")
    graph = _graph(*_V, *lines, "r = ReadVariableOp(v)")
    value = graph.nodes["p"].attr["value"].tensor
    value.dtype = dtype_value("bool")
    assert unordered_outputs(graph, ["r:0"]) == ()
    value.bool_val.append(True)
    assert [u.tensor for u in unordered_outputs(_graph_again(graph), ["r:0"])] == ["r:0"]


def _graph_again(graph):
    return index(graph.nodes.values())


FIRST = function("first", "a b", "n = Neg(a)", y="n:y:0", k="b")
TAKES = function(
    "takes", "h a", "i = Identity(h)", "w = AssignAddVariableOp(i:output:0, a)", "n = Neg(a)", y="n:y:0", k="a"
)
LOOKS = function("looks", "h a", "c = PartitionedCall/reads(h)", y="c:output:0", k="a")
READS = function("reads", "h", "r = ReadVariableOp(h)", y="r:value:0")
LIBRARY = {f.signature.name: f for f in (FIRST, TAKES, LOOKS, READS)}


def _called(*lines: str):
    nodes = [node(line) for line in ("v = VarHandleOp()", "x = Placeholder()", "p = Placeholder()", *lines)]
    nodes[0].attr["shared_name"].s = b"v"
    return index(nodes)


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        # A kernel gives all its outputs at once; what is lowered gives each when it can.
        (("r = ReadVariableOp(v)", "c = StatelessIf/first/first(p, x, r)", "w = AssignAddVariableOp(v, c)"), []),
        (
            ("r = ReadVariableOp(v)", "c = StatelessIf/first/first/lowered(p, x, r)", "w = AssignAddVariableOp(v, c)"),
            ["r:0", "c:1"],
        ),
        (
            (
                "r = ReadVariableOp(v)",
                "c = StatelessIf/first/first/lowered(p, x, r)",
                "w = AssignAddVariableOp(v, c:1)",
            ),
            [],
        ),
        (("r = ReadVariableOp(v)", "c = first(x, r)", "w = AssignAddVariableOp(v, c)"), []),
        # What a call does to a variable is done by the call.
        (("r = ReadVariableOp(v)", "c = takes(v, x)"), ["r:0"]),
        (("r = ReadVariableOp(v)", "c = takes(v, r)"), []),
        (("r = ReadVariableOp(v, ^c)", "c = takes(v, x)"), []),
        (("c = looks(v, x)", "r = ReadVariableOp(v)", "w = AssignAddVariableOp(v, r)"), ["c:0", "c:1"]),
        (("c = looks(v, x)", "r = ReadVariableOp(v)", "w = AssignAddVariableOp(v, r, ^c)"), []),
        (("r = first(x, x)", "c = takes(v, x)", "w = takes(v, x)"), ["c:0", "c:1"]),
        (("r = first(x, x)", "c = takes(v, x)", "w = takes(v, c)"), []),
        (("r = Neg(x)", "c = If/takes/looks/lowered(p, v, x)", "w = AssignAddVariableOp(v, x)"), ["c:0"]),
        (("r = Neg(x)", "c = If/takes/looks(p, v, x)", "w = AssignAddVariableOp(v, x)"), ["c:0", "c:1"]),
        (("r = Neg(x)", "c = If/takes/looks/lowered(p, v, x, ^w)", "w = AssignAddVariableOp(v, x)"), []),
    ],
)
def test_calls(lines, expected):
    found = unordered_outputs(_called(*lines), ["r:0", "c:0", "c:1"], LIBRARY)
    assert [u.tensor for u in found] == expected
