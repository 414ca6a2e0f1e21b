"""The table of rules and the tables of ops against TensorFlow's op table; no TensorFlow runs, guards aside."""

from __future__ import annotations

import dataclasses

import pytest

from migrate.errors import InternalError
from migrate.graph.graph import ParsedNodes, Run, index, prune
from migrate.graph.op_table import load_in_place_ops, load_op_table, may_keep, may_share
from migrate.graph.protos import NodeDef
from migrate.records import Finding
from migrate.rewrite.engine import Rewritten, rewrite
from migrate.rewrite.ops import OPS, describe
from migrate.rewrite.refusals import MADE_BY, REFUSED, TEST_OPS, why_refused
from migrate.rewrite.rule import Gives, Op, Rule, by_op
from migrate.rewrite.rules.table import RULED_OPS, RULES

TABLE = load_op_table()
REF_OPS = frozenset(name for name, info in TABLE.items() if info.has_ref)
ALONE = sorted({op for rule in RULES if rule.always for op in rule.ops} - REF_OPS)
"""Ops without refs that a rule takes wherever they stand."""

TWINS = {name: op.twin for name, op in OPS.items() if op.twin}


def test_an_op_claimed_twice_raises():
    twice = Rule("twice", {"Unheard": Op(), "Assign": Op()}, lambda node, scope: None)
    with pytest.raises(InternalError, match="two rules claim the op Assign: write and twice"):
        by_op((*RULES, twice))


def test_two_rules_of_one_name_raise():
    with pytest.raises(InternalError, match="one name"):
        by_op((*RULES, Rule("write", {"Unheard": Op()}, lambda node, scope: None)))


def test_every_ref_op_has_one_fate():
    fates = [RULED_OPS & REF_OPS, set(REFUSED), set(MADE_BY), TEST_OPS]
    assert sorted(REF_OPS) == sorted(op for fate in fates for op in fate)


def test_every_refusal_is_of_an_op_that_is_there():
    assert REF_OPS.issuperset({*REFUSED, *MADE_BY, *TEST_OPS})
    assert len(TEST_OPS) == 8


@pytest.mark.parametrize("op", sorted(TWINS))
def test_twin(op):
    twin = TABLE[TWINS[op]]
    assert op in REF_OPS or op in ALONE
    assert not twin.has_ref
    assert twin.registered == twin.on_cpu == ("2.15", "2.21")
    assert not twin.deprecated_since


def _node(op: str, name: str, *inputs: str, **types: int) -> NodeDef:
    node = NodeDef(op=op, name=name, input=inputs)
    for key, value in types.items():
        node.attr[key].type = value
    return node


def _run(*nodes: NodeDef, fetches: tuple[str, ...]) -> Run:
    return prune(ParsedNodes(nodes), "a test", {}, fetches, ())


FLOAT = 1
LOOP = (
    _node("VariableV2", "v", dtype=FLOAT),
    _node("Const", "one", dtype=FLOAT),
    _node("Const", "yes", dtype=10),
    _node("Identity", "read", "v", T=FLOAT),
    _node("AssignAdd", "add", "v", "one", "^read", T=FLOAT),
    _node("Mul", "use", "read", "one", "^add", T=FLOAT),
    _node("RefSwitch", "switch", "v", "yes", T=FLOAT),
    _node("AssignSub", "sub", "switch:1", "one", "^use", T=FLOAT),
    _node("RefMerge", "merge", "switch", "sub", T=FLOAT),
    _node("ScatterAdd", "scatter", "merge", "yes", "one", T=FLOAT),
)


def test_rewriting_twice_changes_nothing():
    run = _run(*LOOP, fetches=("use:0", "scatter:0", "read:0"))
    once = rewrite(run, REF_OPS)
    assert isinstance(once, Rewritten)
    assert once.graph.nodes != run.graph.nodes
    again = rewrite(dataclasses.replace(run, graph=once.graph, fetches=tuple(once.fetches.values())), REF_OPS)
    assert isinstance(again, Rewritten)
    assert dict(again.graph.nodes) == dict(once.graph.nodes)
    assert list(again.fetches) == list(again.fetches.values()) == list(once.fetches.values())


@pytest.mark.parametrize("op", ALONE)
def test_a_rule_fires_where_no_op_is_a_ref_op(op):
    inputs = tuple(f"i{n}" for n in range(max(1, OPS[op].fewest)))
    given = (_node("Const", name, dtype=FLOAT) for name in inputs)
    result = rewrite(_run(*given, _node(op, "y", *inputs, T=FLOAT), fetches=("y:0",)), REF_OPS)
    assert not isinstance(result, Rewritten) or result.graph.nodes["y"].op != op


@pytest.mark.parametrize("op", sorted(OPS))
def test_a_node_without_attributes_crashes_no_rule(op):
    inputs = tuple(f"i{n}" for n in range(OPS[op].fewest))
    given = [NodeDef(op="VariableV2", name=name) for name in inputs]
    run = _run(*given, NodeDef(op=op, name="y", input=inputs), fetches=("y:0",))
    before = [(node.name, sorted(node.attr)) for node in run.graph.nodes.values()]
    assert rewrite(run, REF_OPS)
    assert [(node.name, sorted(node.attr)) for node in run.graph.nodes.values()] == before


UNTOUCHED = {
    "arithmetic": (_node("Const", "a", dtype=FLOAT), _node("Neg", "b", "a", T=FLOAT)),
    "a resource variable": (
        _node("VarHandleOp", "v", dtype=FLOAT),
        _node("Const", "a", dtype=FLOAT),
        _node("AssignAddVariableOp", "w", "v", "a", dtype=FLOAT),
        _node("ReadVariableOp", "b", "v", "^w", dtype=FLOAT),
    ),
    "a table": (
        _node("HashTableV2", "t"),
        _node("Const", "a", dtype=FLOAT),
        _node("LookupTableFindV2", "b", "t", "a", "a"),
    ),
    "a loop": (
        _node("Const", "a", dtype=FLOAT),
        _node("Const", "p", dtype=10),
        _node("Enter", "e", "a", T=FLOAT),
        _node("Merge", "m", "e", "n", T=FLOAT),
        _node("LoopCond", "c", "p"),
        _node("Switch", "s", "m", "c", T=FLOAT),
        _node("NextIteration", "n", "s:1", T=FLOAT),
        _node("Exit", "b", "s", T=FLOAT),
    ),
}


@pytest.mark.parametrize("name", UNTOUCHED)
def test_a_graph_without_refs_stays_as_it_is(name):
    run = _run(*UNTOUCHED[name], fetches=("b:0",))
    result = rewrite(run, REF_OPS)
    assert isinstance(result, Rewritten)
    assert result.graph is run.graph
    assert result.fetches == {"b:0": "b:0"}


@pytest.mark.parametrize("name", UNTOUCHED)
def test_what_has_no_ref_stays_as_it_is_beside_refs(name):
    run = _run(*UNTOUCHED[name], _node("VariableV2", "ref", dtype=FLOAT), fetches=("b:0", "ref:0"))
    result = rewrite(run, REF_OPS)
    assert isinstance(result, Rewritten)
    kept = {n.name: n for n in UNTOUCHED[name]}
    assert {node: result.graph.nodes[node] for node in kept} == kept


def test_a_cycle_is_a_refusal():
    nodes = (_node("VariableV2", "v", dtype=FLOAT), _node("Neg", "a", "b"), _node("Neg", "b", "a", "^v"))
    found = rewrite(_run(*nodes, fetches=("b:0",)), REF_OPS)
    assert not isinstance(found, Rewritten)
    assert [f.code for f in found] == ["cyclic-graph"]


def test_a_read_of_the_rows_that_are_written_is_a_refusal():
    # Found by the property test: ScatterAdd's kernel reads rows that it has changed already.
    nodes = (
        _node("VariableV2", "v", dtype=FLOAT),
        _node("Const", "rows", dtype=3),
        _node("Identity", "read", "v", T=FLOAT),
        _node("ScatterAdd", "w", "v", "rows", "read", T=FLOAT),
    )
    found = rewrite(_run(*nodes, fetches=("w:0",)), REF_OPS)
    assert isinstance(found, tuple) and isinstance(found[0], Finding)
    assert (found[0].code, found[0].nodes) == ("aliased-buffer-undecided", ("w", "read"))


def test_a_library_function_may_give_its_argument_back():
    nodes = (
        _node("VariableV2", "v", dtype=FLOAT),
        _node("Const", "one", dtype=FLOAT),
        _node("Identity", "read", "v", T=FLOAT),
        _node("my_function", "called", "read"),
        _node("AssignAdd", "add", "v", "one", "^called", T=FLOAT),
        _node("Mul", "use", "called", "one", "^add", T=FLOAT),
    )
    found = rewrite(_run(*nodes, fetches=("use:0",)), REF_OPS)
    assert isinstance(found, tuple)
    assert [f.code for f in found] == ["aliased-buffer-undecided"]


def test_index_is_what_the_engine_gives():
    assert index(LOOP).consumers["v:0"] == [("read", 0), ("add", 0), ("switch", 0)]


@pytest.mark.tensorflow
@pytest.mark.private_api
def test_tensorflow_has_no_ref_op_that_the_table_lacks():
    registry = _registry()
    found = {
        name for name, op in registry.items() if any(arg.is_ref for arg in (*op.input_arg, *op.output_arg))
    }  # fmt: skip
    assert found == REF_OPS


MADE_ANEW = frozenset(
    {"AccumulateNV2", "DebugGradientRefIdentity", "FakeQueue", "IsVariableInitialized", "TensorArray", "TensorArrayV2"}
    | {"Variable", "VariableV2"}
)
"""Ops whose twins have other arguments or attributes; their rules see to them."""

GIVES_REF = {
    gives: gives in (Gives.VARIABLE, Gives.RESOURCE, Gives.STEP_HANDLE, Gives.REF, Gives.EITHER) for gives in Gives
}
"""Whether a ref op that gives this gives a ref."""


@pytest.mark.tensorflow
@pytest.mark.private_api
def test_twins_take_what_the_ref_op_takes():
    registry = _registry()
    wrong = []
    for name, twin_name in TWINS.items():
        old, new = registry[name], registry[twin_name]
        known_op = OPS[name]
        renamed, dropped = dict(known_op.renamed), set(known_op.dropped)
        attributes = {renamed.get(attr.name, attr.name) for attr in old.attr if attr.name not in dropped}
        known = {attr.name for attr in new.attr}
        if name in MADE_ANEW:
            continue
        if not attributes <= known:
            wrong.append(f"{name}: {twin_name} lacks {sorted(attributes - known)}")
        needed = {attr.name for attr in new.attr if not attr.HasField("default_value")}
        if not needed <= attributes:
            wrong.append(f"{name}: nothing gives {twin_name} its {sorted(needed - attributes)}")
        if len(old.input_arg) != len(new.input_arg):
            wrong.append(f"{name}: {twin_name} takes {len(new.input_arg)} arguments, not {len(old.input_arg)}")
        refs = {position for position, arg in enumerate(old.input_arg) if arg.is_ref}
        if known_op.writes and refs != set(known_op.refs):
            wrong.append(f"{name}: the refs are {sorted(refs)}")
        handles = {position for position, arg in enumerate(new.input_arg) if arg.type == 20}
        if known_op.writes and handles != refs:
            wrong.append(f"{name}: the handles of {twin_name} are {sorted(handles)}")
        gives_ref = bool(old.output_arg and old.output_arg[0].is_ref)
        if (known_op.writes and known_op.carried is not gives_ref) or gives_ref is not GIVES_REF[known_op.gives]:
            wrong.append(f"{name}: it {'gives a' if gives_ref else 'gives no'} ref")
    assert not wrong, "\n".join(wrong)


def _registry():
    from tensorflow.core.framework import op_def_pb2
    from tensorflow.python.client import pywrap_tf_session

    buffer = pywrap_tf_session.TF_GetAllOpList()
    return {op.name: op for op in op_def_pb2.OpList.FromString(pywrap_tf_session.TF_GetBuffer(buffer)).op}


def test_the_tables_agree_on_what_is_written():
    assert all(TABLE[name].writes == tuple(op.refs) for name, op in OPS.items() if op.writes and op.twin)
    assert {"InplaceAdd", "InplaceSub", "InplaceUpdate"} == load_in_place_ops()


def test_what_gives_its_input_on_is_not_known_to_copy():
    passing = [name for name, op in OPS.items() if op.gives in (Gives.REF, Gives.BUFFER, Gives.RESHAPED, Gives.EITHER)]
    assert len(passing) > 70
    assert all(may_share(op) for op in [*passing, *load_in_place_ops()])


@pytest.mark.parametrize("op", ["MatMul", "Add", "GatherV2", "ConcatV2", "Conv2D", "TensorListStack"])
def test_what_copies(op):
    assert not may_share(op)


@pytest.mark.parametrize("op", ["FromTheFuture", "RiscAdd", "XlaCallModule", "a_function_of_the_library"])
def test_what_nobody_has_read_may_share_and_may_keep(op):
    assert may_share(op)
    assert may_keep(op)


@pytest.mark.parametrize(
    "op",
    [
        *("QueueEnqueueV2", "Stage", "MapStage", "StackPushV2", "TensorArrayWriteV3", "AssignVariableOp"),
        *("MakeIterator", "GetSessionHandle", "MutableDenseHashTableV2", "StatefulPartitionedCall", "BatchFunction"),
    ],
)
def test_what_may_keep_a_buffer(op):
    assert may_keep(op)


@pytest.mark.parametrize("op", ["MatMul", "Identity", "TensorListPushBack", "RandomShuffle", "Print", "QueueSizeV2"])
def test_what_keeps_nothing(op):
    assert not may_keep(op)


def _forwarded(op: str, *, fetch: str = "z:0") -> Rewritten | tuple[Finding, ...]:
    """`y = op(v); w = v += x after y; z = -y:1 after w`, planned."""
    x = _node("Placeholder", "x", dtype=1)
    v = _node("VariableV2", "v", dtype=1)
    y = _node(op, "y", "v", T=1)
    w = _node("AssignAdd", "w", "v", "x", "^y", T=1)
    z = _node("Neg", "z", "y:1", "^w", T=1)
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


@pytest.mark.parametrize(
    ("op", "facts"),
    [
        ("Assign", ["on the CPU  2.15, 2.21", "kernel      core/kernels/dense_update_ops.cc", "rule        write"]),
        ("RefSelect", ["rule        ref_select", "refs        inputs from 1"]),
        ("MatMul", ["buffers     no output is an input's buffer"]),
        ("BarrierClose", ["refused     it works on a Barrier, and a barrier's handle"]),
        ("Unheard", ["unknown     this version knows TensorFlow up to 2.21"]),
    ],
)
def test_describe(op, facts):
    text = describe(op)
    assert text.startswith(f"{op}\n")
    assert [fact for fact in facts if f"\n  {fact}" not in text] == []


def test_why_refused():
    assert why_refused("NegTrain") == REFUSED["NegTrain"].reason
    assert "SparseConditionalAccumulator, and TensorFlow has no" in why_refused("SparseAccumulatorTakeGradient")
    assert why_refused("Unheard").startswith("it is new")
