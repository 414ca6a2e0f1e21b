"""What the engine makes of a run as a whole; what each rule does is in rules/*.txt."""

from __future__ import annotations

import dataclasses

import pytest

from migrate.errors import InternalError
from migrate.graph.graph import ParsedNodes, prune
from migrate.graph.op_table import load_ref_ops
from migrate.records import Finding
from migrate.rewrite.engine import Rewritten, rewrite
from migrate.rewrite.new_nodes import Edit
from migrate.rewrite.op_facts import Op
from migrate.rewrite.rule import Rule, by_op
from migrate.rewrite.rules.table import RULES
from tests.rewrite import texts
from tests.rewrite.nodes import FLOAT, node, run_of

REF_OPS = load_ref_ops()
LOOP = (
    node("VariableV2", "v", dtype=FLOAT),
    node("Const", "one", dtype=FLOAT),
    node("Const", "yes", dtype=10),
    node("Identity", "read", "v", T=FLOAT),
    node("AssignAdd", "add", "v", "one", "^read", T=FLOAT),
    node("Mul", "use", "read", "one", "^add", T=FLOAT),
    node("RefSwitch", "switch", "v", "yes", T=FLOAT),
    node("AssignSub", "sub", "switch:1", "one", "^use", T=FLOAT),
    node("RefMerge", "merge", "switch", "sub", T=FLOAT),
    node("ScatterAdd", "scatter", "merge", "yes", "one", T=FLOAT),
)


def test_rewriting_twice_changes_nothing():
    run = run_of(*LOOP, fetches=("use:0", "scatter:0", "read:0"))
    once = rewrite(run, REF_OPS)
    assert isinstance(once, Rewritten)
    assert once.graph.nodes != run.graph.nodes
    again = rewrite(dataclasses.replace(run, graph=once.graph, fetches=tuple(once.fetches.values())), REF_OPS)
    assert isinstance(again, Rewritten)
    assert dict(again.graph.nodes) == dict(once.graph.nodes)
    assert list(again.fetches) == list(again.fetches.values()) == list(once.fetches.values())


UNTOUCHED = {
    "arithmetic": (node("Const", "a", dtype=FLOAT), node("Neg", "b", "a", T=FLOAT)),
    "a resource variable": (
        node("VarHandleOp", "v", dtype=FLOAT),
        node("Const", "a", dtype=FLOAT),
        node("AssignAddVariableOp", "w", "v", "a", dtype=FLOAT),
        node("ReadVariableOp", "b", "v", "^w", dtype=FLOAT),
    ),
    "a table": (
        node("HashTableV2", "t"),
        node("Const", "a", dtype=FLOAT),
        node("LookupTableFindV2", "b", "t", "a", "a"),
    ),
    "a loop": (
        node("Const", "a", dtype=FLOAT),
        node("Const", "p", dtype=10),
        node("Enter", "e", "a", T=FLOAT),
        node("Merge", "m", "e", "n", T=FLOAT),
        node("LoopCond", "c", "p"),
        node("Switch", "s", "m", "c", T=FLOAT),
        node("NextIteration", "n", "s:1", T=FLOAT),
        node("Exit", "b", "s", T=FLOAT),
    ),
}


@pytest.mark.parametrize("name", UNTOUCHED)
def test_a_graph_without_refs_stays_as_it_is(name):
    run = run_of(*UNTOUCHED[name], fetches=("b:0",))
    result = rewrite(run, REF_OPS)
    assert isinstance(result, Rewritten)
    assert result.graph is run.graph
    assert result.fetches == {"b:0": "b:0"}


@pytest.mark.parametrize("name", UNTOUCHED)
def test_what_has_no_ref_stays_as_it_is_beside_refs(name):
    run = run_of(*UNTOUCHED[name], node("VariableV2", "ref", dtype=FLOAT), fetches=("b:0", "ref:0"))
    result = rewrite(run, REF_OPS)
    assert isinstance(result, Rewritten)
    kept = {n.name: n for n in UNTOUCHED[name]}
    assert {node: result.graph.nodes[node] for node in kept} == kept


def test_a_cycle_is_a_refusal():
    nodes = (node("VariableV2", "v", dtype=FLOAT), node("Neg", "a", "b"), node("Neg", "b", "a", "^v"))
    found = rewrite(run_of(*nodes, fetches=("b:0",)), REF_OPS)
    assert not isinstance(found, Rewritten)
    assert [f.code for f in found] == ["cyclic-graph"]


def test_a_read_of_the_rows_that_are_written_is_a_refusal():
    # Found by the property test: ScatterAdd's kernel reads rows that it has changed already.
    nodes = (
        node("VariableV2", "v", dtype=FLOAT),
        node("Const", "rows", dtype=3),
        node("Identity", "read", "v", T=FLOAT),
        node("ScatterAdd", "w", "v", "rows", "read", T=FLOAT),
    )
    found = rewrite(run_of(*nodes, fetches=("w:0",)), REF_OPS)
    assert isinstance(found, tuple) and isinstance(found[0], Finding)
    assert (found[0].code, found[0].nodes) == ("aliased-buffer-undecided", ("w", "read"))


def test_a_library_function_may_give_its_argument_back():
    nodes = (
        node("VariableV2", "v", dtype=FLOAT),
        node("Const", "one", dtype=FLOAT),
        node("Identity", "read", "v", T=FLOAT),
        node("my_function", "called", "read"),
        node("AssignAdd", "add", "v", "one", "^called", T=FLOAT),
        node("Mul", "use", "called", "one", "^add", T=FLOAT),
    )
    found = rewrite(run_of(*nodes, fetches=("use:0",)), REF_OPS)
    assert isinstance(found, tuple)
    assert [f.code for f in found] == ["aliased-buffer-undecided"]


def _forwarded(op: str, *, fetch: str = "z:0") -> Rewritten | tuple[Finding, ...]:
    """`y = op(v); w = v += x after y; z = -y:1 after w`, planned."""
    x = node("Placeholder", "x", dtype=1)
    v = node("VariableV2", "v", dtype=1)
    y = node(op, "y", "v", T=1)
    w = node("AssignAdd", "w", "v", "x", "^y", T=1)
    z = node("Neg", "z", "y:1", "^w", T=1)
    run = prune(ParsedNodes([x, v, y, w, z]), "s", {"x:0": (1, None)}, [fetch], ["w"])
    return rewrite(run, REF_OPS)


@pytest.mark.parametrize("op", ["FromTheFuture", "RaggedTensorToVariant", "TensorListPushBack", "MirrorPadGrad"])
@pytest.mark.parametrize("fetch", ["z:0", "y:1"])
def test_an_op_between_a_variable_and_a_write_is_refused_unless_it_copies(op, fetch):
    found = _forwarded(op, fetch=fetch)
    assert not isinstance(found, Rewritten)
    assert [finding.code for finding in found] == ["aliased-buffer-undecided"]


def test_what_is_known_to_copy_is_not_refused():
    assert isinstance(_forwarded("Lu"), Rewritten)


_READ = """v = VariableV2() dtype=float32 shape=()
y = Neg(v) T=float32
fetch y:0"""


def _with_rule(edit: Edit | None, op: str = "Neg") -> Rewritten | tuple[Finding, ...]:
    """The graph above, with one more rule that proposes an edit for each node of an op."""
    rule = Rule("made up", {op: Op()}, lambda node, scope: edit)
    return rewrite(texts.run(_READ), REF_OPS, by_op((*RULES, rule)))


def test_an_edit_with_an_input_that_nothing_gives_raises():
    with pytest.raises(InternalError, match="'y' has an input that nothing gives"):
        _with_rule(Edit((texts.node("y = Abs(gone) T=float32"),)))


def test_an_edit_that_leaves_a_ref_op_raises():
    with pytest.raises(InternalError, match="ref ops are left: \\['w'\\]"):
        _with_rule(Edit((texts.node("w = VariableV2() dtype=float32"), texts.node("y = NoOp()"))))


def test_two_edits_that_make_different_nodes_of_one_name_raise():
    with pytest.raises(InternalError, match="different nodes 'v'"):
        _with_rule(Edit((texts.node("v = NoOp()"), texts.node("y = NoOp()"))))


def test_a_refusal_of_a_rule_is_the_answer():
    run = texts.run(_READ.replace("Neg(v)", "Barrier()"))
    found = rewrite(run, REF_OPS)
    assert isinstance(found, tuple) and [(f.code, f.nodes) for f in found] == [("ref-op-unsupported", ("y",))]


def test_runs_of_one_graph_that_fetch_the_same_are_rewritten_once():
    run = texts.run(_READ)
    one, other = (rewrite(dataclasses.replace(run, key=key), REF_OPS) for key in ("one", "other"))
    assert isinstance(one, Rewritten) and isinstance(other, Rewritten)
    assert one.graph is other.graph and (one.run.key, other.run.key) == ("one", "other")
    more = rewrite(dataclasses.replace(run, fetches=("v:0",)), REF_OPS)
    assert isinstance(more, Rewritten) and more.graph is not one.graph


def test_an_input_that_is_given_back_is_its_placeholder():
    run = texts.run("v = VariableV2() dtype=float32 shape=()\nfeed v:0 float32\nfetch v:0")
    result = rewrite(run, REF_OPS)
    assert isinstance(result, Rewritten) and result.fetches == {"v:0": "v/fed_0:0"}
