"""Reads that TF1 does not order with a write: what is shown of them, and that nothing is shown which is not so."""

from __future__ import annotations

import itertools
import random
from collections.abc import Mapping, Sequence

import pytest

from migrate.graph.protos import FunctionDef, NodeDef
from migrate.proof.difference import output_difference
from migrate.proof.records import PROVED, NotProved, Proved, ProvedUnordered, Result
from migrate.proof.settling import settle
from migrate.proof.shared import Shared
from migrate.proof.side import Side
from migrate.proof.states import final
from migrate.proof.unordered import in_each_order
from tests.proof import graphs
from tests.proof.graphs import P, X, Y, assign_add, assign_add_resource, call, function, handle, merge, node, read, ref


def shown(
    source: Sequence[NodeDef],
    candidate: Sequence[NodeDef],
    outputs: Sequence[str] = ("out",),
    targets: Sequence[str] = (),
    functions: Sequence[FunctionDef] = (),
) -> list[Result]:
    """What the proof says of outputs, and then of the variables that the source writes, in the order of their names."""
    shared = Shared()
    calls = []
    for name, nodes in (("source", source), ("candidate", candidate)):
        model = graphs.model(name, shared, nodes, functions)
        program = model.program({f"{n}:0": ("argument", n, 0) for n in "xyp"})
        places = [program.tensor(output) for output in outputs]
        for target in targets:
            program.target(target)
        program.keep(is_session=name == "source")
        side = model.side(program, lambda cell: shared.terms.make("initial", ("variable", cell.key[2])))
        calls.append((program, side, places))
    (program, one, first), (_, other, second) = calls
    settle(one, other)
    mine = {cell[2]: cell for cell in one.cells}
    twins = {cell: mine[cell[2]] for cell in other.cells if cell[2] in mine}

    def compare(source: Side) -> tuple[Mapping[str, Result], Result]:
        found = [output_difference(source, other, a, b) for a, b in zip(first, second, strict=True)]
        for cell in sorted(source.written, key=lambda cell: cell[2]):
            theirs = next((key for key in other.written if twins[key] == cell), None)
            same = theirs is not None and final(source, cell) == final(other, theirs)
            found.append(PROVED if same else NotProved(cell[2], "", "it is left in another state"))
        return {str(number): result for number, result in enumerate(found)}, PROVED

    results, _ = in_each_order(one, program, other, twins, compare)
    return list(results.values())


def mul(name: str, *inputs: str) -> NodeDef:
    """A product of floats."""
    return node("Mul", name, *inputs, T="float32")


SOURCE = [X, Y, ref("v"), assign_add("w", "v", "x"), mul("out", "v", "y")]
CANDIDATE = [X, Y, handle("v"), assign_add_resource("w", "v", "x"), read("r", "v"), mul("out", "r", "y")]
OPEN, ALL = ProvedUnordered, Proved


def _kinds(*arguments, **keywords) -> list[type]:
    return [type(result) for result in shown(*arguments, **keywords)]


def test_what_both_leave_open_is_shown_to_be_open():
    found = shown(SOURCE, CANDIDATE, targets=["w"])
    assert [type(each) for each in found] == [OPEN, ALL]
    assert "no edge orders AssignAdd 'w' and Mul 'out'" in found[0].why


@pytest.mark.parametrize("order", [(["^w"], []), ([], ["^r"])], ids=["after", "before"])
def test_a_candidate_may_have_one_of_the_orders(order):
    waits, held_up = order
    candidate = [
        *[X, Y, handle("v"), assign_add_resource("w", "v", "x", *held_up)],
        *[read("r", "v", *waits), mul("out", "r", "y")],
    ]
    assert _kinds(SOURCE, candidate, targets=["w"]) == [OPEN, ALL]


def test_an_order_that_tf1_has_is_no_open_one():
    ordered = [X, Y, ref("v"), assign_add("w", "v", "x"), mul("out", "v", "y", "^w")]
    assert _kinds(ordered, CANDIDATE, targets=["w"]) == [NotProved, ALL]


def _two(is_source: bool, *, second_waits: Sequence[str] = (), both: bool = False) -> list[NodeDef]:
    """Two reads beside a write; the second may wait for the first one."""
    if is_source:
        first, second = mul("a", "v", "y"), mul("b", "v", "x", *second_waits)
        return [X, Y, ref("v"), assign_add("w", "v", "x"), first, second]
    reads = [read("r", "v")] if both else [read("r", "v"), read("s", "v", *second_waits)]
    products = [mul("a", "r", "y"), mul("b", "r" if both else "s", "x")]
    return [X, Y, handle("v"), assign_add_resource("w", "v", "x"), *reads, *products]


def test_two_reads_may_be_one_and_one_may_not_be_two():
    names = {"outputs": ["a", "b"], "targets": ["w"]}
    assert _kinds(_two(True), _two(False), **names) == [OPEN, OPEN, ALL]
    assert _kinds(_two(True), _two(False, both=True), **names) == [OPEN, OPEN, ALL]
    # One node of the source sees one value; two reads of the candidate may see two.
    one = [*SOURCE[:-1], mul("m", "v", "y"), node("Sub", "out", "m", "m", T="float32")]
    two = [
        *CANDIDATE[:-1],
        read("s", "v"),
        mul("m", "r", "y"),
        mul("n", "s", "y"),
        node("Sub", "out", "m", "n", T="float32"),
    ]
    assert _kinds(one, two, targets=["w"]) == [NotProved, ALL]


def test_reads_are_in_the_order_that_tf1_has_for_them():
    names = {"outputs": ["a", "b"], "targets": ["w"]}
    source = _two(True, second_waits=["^a"])
    assert _kinds(source, _two(False, second_waits=["^r"]), **names) == [OPEN, OPEN, ALL]
    assert _kinds(source, _two(False), **names) == [NotProved, NotProved, ALL]
    assert _kinds(source, _two(False, both=True), **names) == [OPEN, OPEN, ALL]


def test_another_variable_or_another_write_is_not_what_tf1_has():
    other = [*CANDIDATE[:4], handle("u"), read("r", "u"), mul("out", "r", "y")]
    assert _kinds(SOURCE, other, targets=["w"])[0] is NotProved
    written = [X, Y, handle("v"), assign_add_resource("w", "v", "y"), read("r", "v"), mul("out", "r", "y")]
    assert _kinds(SOURCE, written, targets=["w"]) == [NotProved, NotProved]
    unwritten = [*CANDIDATE[:3], read("r", "v"), mul("out", "r", "y"), node("NoOp", "w")]
    assert _kinds(SOURCE, unwritten, targets=["w"]) == [NotProved, NotProved]


def _written_twice(waits: str, is_source: bool) -> list[NodeDef]:
    """A read after the first of two writes, or before both."""
    if is_source:
        writes = [assign_add("w", "v", "x"), assign_add("z", "v", "y", "^w")]
        return [X, Y, ref("v"), *writes, mul("out", "v", "y", *filter(None, [waits]))]
    writes = [assign_add_resource("w", "v", "x"), assign_add_resource("z", "v", "y", "^w")]
    return [X, Y, handle("v"), *writes, read("r", "v", *filter(None, [waits])), mul("out", "r", "y")]


def test_a_read_may_see_no_more_than_tf1_lets_it_see():
    after, free = _written_twice("^w", True), _written_twice("", True)
    assert _kinds(after, _written_twice("^w", False), targets=["z"]) == [OPEN, ALL]
    assert _kinds(after, _written_twice("", False), targets=["z"]) == [NotProved, ALL]
    assert _kinds(free, _written_twice("^w", False), targets=["z"]) == [OPEN, ALL]


def _message(waits: Sequence[str], is_source: bool) -> list[NodeDef]:
    """A read of `v`, and a write of `u` that may wait for it; both variables are read and written besides."""
    if is_source:
        return [
            *[X, Y, ref("v"), ref("u"), assign_add("w", "v", "x"), mul("a", "v", "y")],
            *[assign_add("z", "u", "x", *waits), mul("b", "u", "y")],
        ]
    waits = [each.replace("^a", "^r") for each in waits]
    return [
        *[X, Y, handle("v"), handle("u"), assign_add_resource("w", "v", "x"), read("r", "v"), mul("a", "r", "y")],
        *[assign_add_resource("z", "u", "x", *waits), read("s", "u"), mul("b", "s", "y")],
    ]


def test_an_order_of_two_variables_is_kept():
    names = {"outputs": ["a", "b"], "targets": ["w", "z"]}
    assert _kinds(_message(["^a"], True), _message(["^a"], False), **names) == [OPEN, OPEN, ALL, ALL]
    assert _kinds(_message(["^a"], True), _message([], False), **names) == [NotProved, NotProved, ALL, ALL]
    assert _kinds(_message([], True), _message(["^a"], False), **names) == [OPEN, OPEN, ALL, ALL]


def test_what_waits_in_one_branch_alone_waits_there():
    """Where the branch is taken TF1 reads after the write, and the candidate may not."""

    def graph(is_source: bool, *waits: str) -> list[NodeDef]:
        write = assign_add("w", "v", "x") if is_source else assign_add_resource("w", "v", "x")
        nodes = [
            *[X, Y, P, ref("v") if is_source else handle("v"), write],
            node("Switch", "s", "y", "p", T="float32"),
            node("Identity", "t", "s:1", "^w", T="float32"),
            node("Identity", "f", "s", T="float32"),
            merge("m", "f", "t"),
        ]
        waits = waits and ("^m",)
        if is_source:
            return [*nodes, mul("out", "v", "y", *waits)]
        return [*nodes, read("r", "v", *waits), mul("out", "r", "y")]

    assert _kinds(graph(True, "^m"), graph(False), targets=["w", "m"]) == [NotProved, ALL]
    assert _kinds(graph(True, "^m"), graph(False, "^m"), targets=["w", "m"]) == [NotProved, ALL]
    assert _kinds(graph(True), graph(False), targets=["w", "m"]) == [OPEN, ALL]
    assert _kinds(graph(True), graph(False, "^m"), targets=["w", "m"]) == [OPEN, ALL]


def test_a_session_runs_a_function_as_a_whole():
    """What a function gives comes after all that it takes, though TensorFlow 2 may not wait for it."""
    functions = [function("f", ["a", "b"], [node("Neg", "n", "b", T="float32")], r="n:y:0")]
    source = [X, Y, ref("v"), assign_add("w", "v", "x"), call("c", "f", "w", "y"), mul("out", "v", "c")]
    candidate = [
        *[X, Y, handle("v"), assign_add_resource("w", "v", "x"), read("after", "v", "^w")],
        *[call("c", "f", "after", "y"), read("r", "v"), mul("out", "r", "c")],
    ]
    assert _kinds(source, candidate, targets=["w"], functions=functions)[0] is NotProved
    # Without the write among what the function takes, nothing waits for it.
    beside = [X, Y, ref("v"), assign_add("w", "v", "x"), call("c", "f", "x", "y"), mul("out", "v", "c")]
    other = [
        *[X, Y, handle("v"), assign_add_resource("w", "v", "x"), call("c", "f", "x", "y")],
        *[read("r", "v"), mul("out", "r", "c")],
    ]
    assert _kinds(beside, other, targets=["w"], functions=functions)[0] is OPEN


def test_what_a_body_does_comes_after_all_that_it_takes():
    """A function of TF1's that reads a variable of the graph does so when all of its inputs are there."""
    functions = [function("f", ["a", "b"], [node("Mul", "m", "b", "b", T="float32")], r="m:z:0")]
    source = [X, Y, ref("v"), assign_add("w", "v", "x"), call("c", "f", "w", "v"), node("Neg", "out", "c", T="float32")]
    candidate = [
        *[X, Y, handle("v"), assign_add_resource("w", "v", "x"), read("after", "v", "^w"), read("r", "v")],
        *[call("c", "f", "after", "r"), node("Neg", "out", "c", T="float32")],
    ]
    assert _kinds(source, candidate, targets=["w"], functions=functions)[0] is NotProved


def test_a_write_that_takes_what_is_read_comes_after_it():
    source = [X, Y, ref("v"), ref("u"), assign_add("w", "v", "x"), assign_add("z", "u", "v"), mul("out", "u", "y")]
    candidate = [
        *[X, Y, handle("v"), handle("u"), assign_add_resource("w", "v", "x"), read("r", "v")],
        *[assign_add_resource("z", "u", "r"), read("s", "u"), mul("out", "s", "y")],
    ]
    assert _kinds(source, candidate, targets=["w", "z"]) == [OPEN, OPEN, ALL]


@pytest.mark.parametrize("op", ["ResourceScatterAdd", "ResourceApplyGradientDescent"])
def test_a_write_that_a_read_may_meet_half_done_is_not_looked_at(op):
    """They hold the variable's lock shared, or are not known to hold it."""
    ref_op = op.removeprefix("Resource")
    attrs = {"T": "float32", "Tindices": "int32"} if "Scatter" in op else {"T": "float32"}
    other = {"dtype": "float32", "Tindices": "int32"} if "Scatter" in op else {"T": "float32"}
    source = [X, Y, ref("v"), node(ref_op, "w", "v", "x", "y", **attrs), mul("out", "v", "y")]
    candidate = [X, Y, handle("v"), node(op, "w", "v", "x", "y", **other), read("r", "v"), mul("out", "r", "y")]
    assert _kinds(source, candidate, targets=["w"])[0] is NotProved


def test_two_writes_in_no_order_are_not_looked_at():
    source = [*SOURCE[:-1], assign_add("z", "v", "y"), SOURCE[-1]]
    candidate = [*CANDIDATE[:-1], assign_add_resource("z", "v", "y"), CANDIDATE[-1]]
    assert _kinds(source, candidate, targets=["w", "z"]) == [NotProved, NotProved]


def test_two_writes_that_leave_the_same_are_not_told_apart():
    def graph(is_source: bool) -> list[NodeDef]:
        op, attrs = ("Assign", {"T": "float32"}) if is_source else ("AssignVariableOp", {"dtype": "float32"})
        attrs["validate_shape"] = False
        writes = [node(op, "w", "v", "x", **attrs), node(op, "z", "v", "x", "^w", **attrs)]
        if is_source:
            return [X, Y, ref("v"), *writes, mul("out", "v", "y")]
        return [X, Y, handle("v"), *writes, read("r", "v"), mul("out", "r", "y")]

    assert _kinds(graph(True), graph(False), targets=["z"])[0] is NotProved


# Random graphs, and all orders in which their accesses may happen.
Statement = tuple[str, str, str, tuple[int, ...]]
"""What it does to which variable with what, and the numbers of the statements that it waits for."""


def _drawn(draw: random.Random) -> tuple[list[Statement], list[Statement], dict[int, int]]:
    """Statements, the same with other waits, and which read serves which other one in the candidate."""
    source: list[Statement] = []
    for number in range(draw.randint(3, 5)):
        kind = draw.choice(("read", "read", "AssignAdd", "Assign"))
        reads = [f"#{k}" for k, (what, *_) in enumerate(source) if what == "read"]
        waits = tuple(k for k in range(number) if draw.random() < 0.35)
        source.append((kind, draw.choice("vvu"), draw.choice(["x", "y", *reads]), waits))
    candidate = []
    for number, (kind, variable, operand, waits) in enumerate(source):
        left = [k for k in waits if draw.random() < 0.85] + [k for k in range(number) if draw.random() < 0.15]
        candidate.append((kind, variable, operand, tuple(dict.fromkeys(left))))
    serves = {}
    for number, (kind, variable, _, _) in enumerate(source):
        others = [k for k in range(number) if source[k][:2] == ("read", variable) and k not in serves]
        if kind == "read" and others and draw.random() < 0.2:
            serves[number] = draw.choice(others)
    return source, candidate, serves


def _nodes(statements: Sequence[Statement], serves: Mapping[int, int], is_source: bool) -> list[NodeDef]:
    make = ref if is_source else handle
    nodes = [X, Y, make("v"), make("u")]
    for number, (kind, variable, operand, waits) in enumerate(statements):
        taken = operand.replace("#", "s")
        edges = [f"^s{k}" for k in waits]
        if kind != "read":
            op = kind if is_source else f"{kind}VariableOp"
            attrs = {"T" if is_source else "dtype": "float32"}
            nodes.append(node(op, f"s{number}", variable, taken, *edges, **attrs))
        elif is_source:
            nodes.append(mul(f"s{number}", variable, taken, *edges))
        else:
            if number not in serves:
                nodes.append(read(f"r{number}", variable, *edges))
            nodes.append(mul(f"s{number}", f"r{serves.get(number, number)}", taken))
    return nodes


def _steps(statements: Sequence[Statement], serves: Mapping[int, int], is_source: bool) -> dict[int, frozenset[int]]:
    """The accesses that come before each one: a read of the candidate waits for no other factor."""
    steps: dict[int, frozenset[int]] = {}
    ended: list[frozenset[int]] = []
    for number, (kind, _, operand, waits) in enumerate(statements):
        before = frozenset[int]().union(*(ended[k] for k in waits))
        factor = ended[int(operand[1:])] if operand[0] == "#" else frozenset[int]()
        if number not in serves:
            steps[number] = before | factor if is_source or kind != "read" else before
        own = serves.get(number, number)
        ended.append(steps[own] | {own} | factor)
    return steps


def _answers(
    statements: Sequence[Statement], serves: Mapping[int, int], asked: Sequence[int], is_source: bool
) -> set[tuple[int, ...]]:
    """Some reads' products and what is left in `v` and `u`, in each order of the accesses that the waits allow."""
    steps = _steps(statements, serves, is_source)
    found = set()
    for order in itertools.permutations(steps):
        if any(k in steps[n] for i, n in enumerate(order) for k in order[i + 1 :]):
            continue
        held, seen = {"v": 2, "u": 3}, {}

        def value(operand: str, seen: Mapping[int, int] = seen) -> int:
            if operand[0] != "#":
                return {"x": 5, "y": 7}[operand]
            number = int(operand[1:])
            return seen[serves.get(number, number)] * value(statements[number][2])

        for number in order:
            kind, variable, operand, _ = statements[number]
            if kind == "read":
                seen[number] = held[variable]
            else:
                held[variable] = value(operand) + (held[variable] if kind == "AssignAdd" else 0)
        found.add((*(value(f"#{number}") for number in asked), held["v"], held["u"]))
    return found


def test_no_candidate_that_is_shown_gives_what_tf1_does_not():
    draw = random.Random(19)
    counts: dict[str, int] = {"shown": 0, "open": 0, "more": 0}
    for _ in range(600):
        source, candidate, serves = _drawn(draw)
        asked = [number for number, (kind, *_) in enumerate(source) if kind == "read"]
        written = sorted({variable for kind, variable, _, _ in source if kind != "read"})
        if not asked or not written:
            continue
        targets = [f"s{number}" for number in range(len(source))]
        graphs_of = _nodes(source, {}, True), _nodes(candidate, serves, False)
        kinds = _kinds(*graphs_of, outputs=[f"s{number}" for number in asked], targets=targets)
        mine, theirs = _answers(source, {}, asked, True), _answers(candidate, serves, asked, False)
        counts["more"] += not theirs <= mine
        # By the place in an answer; what is not written is what it was.
        by_place = [*kinds[: len(asked)], *(dict(zip(written, kinds[len(asked) :], strict=True)).get(n) for n in "vu")]
        told = [k for k, kind in enumerate(by_place) if kind is not NotProved]
        parts = [{tuple(answer[k] for k in told) for answer in answers} for answers in (mine, theirs)]
        assert parts[1] <= parts[0], (source, candidate, serves, kinds)
        for k in told:
            assert by_place[k] is ProvedUnordered or len({answer[k] for answer in mine | theirs}) == 1
        counts["shown"] += NotProved not in kinds
        counts["open"] += NotProved not in kinds and ProvedUnordered in kinds
    assert counts["open"] > 40 and counts["more"] > 40, counts
