from __future__ import annotations

from migrate.graph.graph import prune
from migrate.graph.protos import MetaGraphDef, TensorProto, VariableDef
from migrate.plan.records import SourceGraph, VariablePlan
from migrate.plan.restore import FromCheckpoint, FromConstant, Restore, Uninitialized, Unset, read_restore
from migrate.plan.variables import plan_variables, resources_of, set_by
from migrate.records import Finding, Severity
from migrate.rewrite.engine import Rewritten, rewrite
from tests.plan.graphs import MODEL, SAVER, meta_graph, source

_INIT = "zero = Const() dtype=float32 value=float32:[0.0, 0.0]\ninit = Assign(v, zero) T=float32\n"
_Planned = tuple[dict[str, VariablePlan], dict[str, Finding]]


def _run(of: SourceGraph, *fetches: str, target: str = "") -> Rewritten:
    targets = (target,) if target else ()
    result = rewrite(prune(of.nodes, target or f"signature {fetches}", {}, fetches, targets), of.ref_ops)
    assert isinstance(result, Rewritten), result
    return result


def _planned(made: MetaGraphDef, *fetches: str, **constants: TensorProto) -> _Planned:
    """The variables by name and the findings by code: each fetch is a call of its own."""
    of = source(made)
    restore = read_restore(of.nodes, made.saver_def) if made.saver_def.restore_op_name else None
    assert restore is None or isinstance(restore, Restore)
    init = _run(of, target="init") if "init" in of.nodes else None
    variables, findings = plan_variables(of, [_run(of, fetch) for fetch in fetches], init, restore, constants)
    assert len({finding.code for finding in findings}) == len(findings)
    return {variable.name: variable for variable in variables}, {finding.code: finding for finding in findings}


def test_runs_without_variables_have_none():
    assert _planned(meta_graph(MODEL), "x:0") == ({}, {})


def test_a_variable_of_the_checkpoint():
    made = meta_graph(MODEL.replace("v = VariableV2()", "v = VariableV2() shared_name='s'") + SAVER)
    found, told = _planned(made, "y:0")
    (variable,) = found.values()
    assert (variable.name, variable.identity, variable.dtype, variable.value) == ("v", "s", 1, FromCheckpoint("v"))
    assert [dim.size for dim in variable.shape.dim] == [2]
    assert (variable.trainable, variable.is_resource, told) == (False, False, {})
    listed = made.collection_def["trainable_variables"].bytes_list.value
    listed.append(VariableDef(variable_name="v:0").SerializeToString())
    assert _planned(made, "y:0")[0]["v"].trainable


def test_a_resource_variable_stays_one():
    text = "v = VarHandleOp() dtype=float32 shape=(2) shared_name='v'\ny = ReadVariableOp(v) dtype=float32\n"
    found, _ = _planned(meta_graph(text), "y:0")
    assert found["v"].is_resource


def test_a_constant_fills_its_variable_before_all_else():
    tensor = TensorProto(dtype=1, float_val=[1.0])
    found, told = _planned(meta_graph(MODEL + SAVER), "y:0", v=tensor)
    assert found["v"].value == FromConstant(tensor) and not told


def test_a_variable_that_the_init_op_sets():
    found, told = _planned(meta_graph(MODEL + _INIT), "y:0")
    assert found["v"].value == Unset() and not told


def test_a_variable_that_nothing_fills_is_refused():
    found, told = _planned(meta_graph(MODEL), "y:0")
    assert found["v"].value == Unset()
    assert list(told) == ["variable-without-value"]
    assert told["variable-without-value"].severity is Severity.REFUSAL
    assert told["variable-without-value"].nodes == ("v",)


def test_a_variable_that_another_call_sets_has_no_value_until_then():
    made = meta_graph(MODEL + "set = Assign(v, x) T=float32\nwas = Identity(set) T=float32")
    found, told = _planned(made, "y:0", "was:0")
    assert found["v"].value == Uninitialized()
    assert {code: finding.severity for code, finding in told.items()} == {"variable-uninitialized": Severity.WARNING}
    alone, told = _planned(made, "was:0")
    assert (alone["v"].value, list(told)) == (Uninitialized(is_looked_at=False), ["variable-uninitialized"])


def test_a_call_that_asks_only_whether_a_variable_has_a_value():
    made = meta_graph(MODEL + "asks = IsVariableInitialized(v) dtype=float32")
    found, told = _planned(made, "asks:0")
    assert (found["v"].value, list(told)) == (Uninitialized(), ["variable-uninitialized"])


def test_where_no_call_can_be_the_first_the_model_is_refused():
    made = meta_graph(MODEL + "set = AssignAdd(v, x) T=float32\nwas = Assign(v, set) T=float32")
    _, told = _planned(made, "was:0")
    assert told["variable-without-value"].severity is Severity.REFUSAL
    assert "no call can succeed" in told["variable-without-value"].message


def test_a_ref_variable_and_a_resource_variable_of_one_name_are_refused():
    text = "r = VarHandleOp() dtype=float32 shape=(2) shared_name='v'\nz = ReadVariableOp(r) dtype=float32\n"
    _, told = _planned(meta_graph(MODEL + text), "y:0", "z:0")
    assert {code: finding.nodes for code, finding in told.items()} == {"variable-of-two-kinds": ("r",)}


def test_a_variable_that_may_get_another_shape_has_none():
    text = MODEL + SAVER + "set = Assign(v, x) T=float32 validate_shape=false"
    found, _ = _planned(meta_graph(text), "y:0")
    assert found["v"].shape.unknown_rank
    kept, _ = _planned(meta_graph(text.replace("false", "true")), "y:0")
    assert not kept["v"].shape.unknown_rank


def test_what_the_restore_op_does_beside_is_told():
    text = (MODEL + SAVER).replace("NoOp(^save/Assign)", "NoOp(^save/Assign, ^more)")
    _, told = _planned(meta_graph(text + "more = AssignAdd(v, save/RestoreV2) T=float32"), "y:0")
    assert list(told) == ["restore-op-effect"]


def test_what_an_init_op_sets_is_found_behind_the_handle():
    assert set_by(None) == frozenset()
    text = MODEL.replace("v = VariableV2()", "v = VarHandleOp() shared_name='s'") + "handle = Identity(v) T=resource\n"
    of = source(meta_graph(text + "init = AssignVariableOp(handle, x) dtype=float32\nt = HashTableV2()"))
    assert set_by(_run(of, target="init")) == {"s"}
    assert set_by(_run(of, "x:0")) == frozenset()


def test_resources_are_told_once():
    text = "a = HashTableV2() shared_name='words'\nb = HashTableV2() shared_name='words'\nc = FIFOQueueV2()\nv = NoOp()"
    of = source(meta_graph(text))
    runs = [_run(of, *fetches) for fetches in (("a:0", "v:0"), ("b:0", "c:0"), ("a:0",))]
    assert resources_of(runs) == ["words", "c"]
