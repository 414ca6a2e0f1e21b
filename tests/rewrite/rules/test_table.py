"""The table of rules and the tables of ops against TensorFlow's op table; no TensorFlow runs, guards aside."""

from __future__ import annotations

import pytest

from migrate.graph.op_table import load_in_place_ops, load_op_table, may_keep, may_share
from migrate.graph.protos import NodeDef
from migrate.rewrite.engine import Rewritten, rewrite
from migrate.rewrite.op_facts import Gives
from migrate.rewrite.ops import OPS
from migrate.rewrite.refusals import MADE_BY, REFUSED, TEST_OPS
from migrate.rewrite.rules.table import RULED_OPS, RULES
from tests.rewrite.nodes import FLOAT, node, run_of
from tools import make_dead_ops_page

TABLE = load_op_table()
REF_OPS = frozenset(name for name, info in TABLE.items() if info.has_ref)
ALONE = sorted({op for rule in RULES if rule.always for op in rule.ops} - REF_OPS)
"""Ops without refs that a rule takes wherever they stand."""

TWINS = {name: op.twin for name, op in OPS.items() if op.twin}


def test_every_ref_op_has_one_fate():
    fates = [RULED_OPS & REF_OPS, set(REFUSED), set(MADE_BY), TEST_OPS]
    assert sorted(REF_OPS) == sorted(op for fate in fates for op in fate)


@pytest.mark.parametrize("op", sorted(TWINS))
def test_twin(op):
    twin = TABLE[TWINS[op]]
    assert op in REF_OPS or op in ALONE
    assert not twin.has_ref
    assert twin.registered == twin.on_cpu == ("2.15", "2.21")
    assert not twin.deprecated_since


@pytest.mark.parametrize("op", ALONE)
def test_a_rule_fires_where_no_op_is_a_ref_op(op):
    inputs = tuple(f"i{n}" for n in range(max(1, OPS[op].fewest)))
    given = (node("Const", name, dtype=FLOAT) for name in inputs)
    result = rewrite(run_of(*given, node(op, "y", *inputs, T=FLOAT), fetches=("y:0",)), REF_OPS)
    assert not isinstance(result, Rewritten) or result.graph.nodes["y"].op != op


@pytest.mark.parametrize("op", sorted(OPS))
def test_a_node_without_attributes_crashes_no_rule(op):
    inputs = tuple(f"i{n}" for n in range(OPS[op].fewest))
    given = [NodeDef(op="VariableV2", name=name) for name in inputs]
    run = run_of(*given, NodeDef(op=op, name="y", input=inputs), fetches=("y:0",))
    before = [(node.name, sorted(node.attr)) for node in run.graph.nodes.values()]
    assert rewrite(run, REF_OPS)
    assert [(node.name, sorted(node.attr)) for node in run.graph.nodes.values()] == before


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


def test_the_page_of_dead_ops_is_of_this_table():
    assert make_dead_ops_page.PAGE.read_text(encoding="utf-8") == make_dead_ops_page.page(), "run make_dead_ops_page.py"


def test_each_dead_op_has_a_rule_or_a_reason():
    page = make_dead_ops_page.PAGE.read_text(encoding="utf-8")
    assert [line for line in page.splitlines() if make_dead_ops_page.LATER in line] == []
