from __future__ import annotations

import pytest

from migrate.graph.protos import MetaGraphDef, VariableDef
from migrate.plan.plan import make_plan, needed_names, needed_nodes
from migrate.plan.records import PlanOptions
from migrate.plan.restore import FromCheckpoint
from migrate.records import Severity
from tests.plan.graphs import MODEL, SAVER, meta_graph
from tests.rewrite.texts import function

_GOOD = ({"x": "x:0"}, {"y": "y:0"})
_BAD = ({"x": "x:0"}, {"y": "gone:0"})
_INIT = "zero = Const() dtype=float32 value=float32:[0.0, 0.0]\ninit = Assign(v, zero) T=float32\n"


def _codes(made: MetaGraphDef, options: PlanOptions | None = None) -> dict[str, Severity]:
    plan = make_plan(made, options=options or PlanOptions())
    return {finding.code: finding.severity for finding in plan.findings}


def test_the_plan_of_an_ordinary_model():
    made = meta_graph(MODEL + SAVER, s=_GOOD)
    made.meta_info_def.tags.extend(["serve", "gpu"])
    made.graph_def.versions.producer = 21
    before = made.SerializeToString(deterministic=True)
    plan = make_plan(made)
    assert made.SerializeToString(deterministic=True) == before
    assert (plan.findings, plan.refused, plan.init, plan.assets, plan.functions) == ((), False, None, (), ())
    assert (plan.tags, plan.producer, [s.signature.key for s in plan.signatures]) == (("gpu", "serve"), 21, ["s"])
    assert [(variable.name, variable.value) for variable in plan.variables] == [("v", FromCheckpoint("v"))]
    assert plan.restore is not None and plan.nodes is not None and plan.kept == {}


def test_without_a_saver_variables_are_restored_by_their_names():
    made = meta_graph(MODEL, s=_GOOD)
    assert _codes(made) == {"variable-without-value": Severity.REFUSAL}
    listed = made.collection_def["variables"].bytes_list.value
    listed.append(VariableDef(variable_name="v:0").SerializeToString())
    (variable,) = make_plan(made).variables
    assert variable.value == FromCheckpoint("v")
    restored = make_plan(meta_graph(MODEL + _INIT, s=_GOOD))
    assert restored.init is not None and not restored.findings


@pytest.mark.parametrize(
    ("signatures", "options", "codes"),
    [
        ({}, PlanOptions(), {"no-signature": Severity.REFUSAL}),
        ({"bad": _BAD}, PlanOptions(), {"signature-tensor-missing": Severity.REFUSAL}),
        (
            {"bad": _BAD},
            PlanOptions(drop_signatures=True),
            {"signature-tensor-missing": Severity.WARNING, "no-signature": Severity.REFUSAL},
        ),
        (
            {"bad": _BAD, "s": _GOOD},
            PlanOptions(drop_signatures=True),
            {"signature-tensor-missing": Severity.WARNING},
        ),
        ({"s": _GOOD}, PlanOptions(variables=True), {"no-constant-weights": Severity.WARNING}),
    ],
)
def test_what_signatures_and_options_come_to(signatures, options, codes):
    assert _codes(meta_graph(MODEL + SAVER, **signatures), options) == codes


@pytest.mark.parametrize(("others", "which"), [({}, "the only signature"), ({"also": _BAD}, "all 2 signatures")])
def test_that_every_signature_would_be_left_out_is_told(others, which):
    made = meta_graph(MODEL + SAVER, bad=_BAD, **others)
    (found,) = (
        f for f in make_plan(made, None, PlanOptions(drop_signatures=True)).findings if f.code == "no-signature"
    )
    assert found.message.startswith(f"--drop_signatures would leave out {which}")
    (other,) = (f for f in make_plan(meta_graph(MODEL + SAVER)).findings if f.code == "no-signature")
    assert "--drop_signatures" not in other.message


def test_a_restore_op_that_is_missing_is_refused():
    made = meta_graph(MODEL + _INIT, s=_GOOD)
    made.saver_def.restore_op_name = "gone"
    assert _codes(made) == {"restore-op-missing": Severity.REFUSAL}


def test_an_init_op_that_is_missing_is_refused():
    made = meta_graph(MODEL + SAVER, s=_GOOD)
    made.collection_def["saved_model_main_op"].node_list.value.append("gone")
    assert _codes(made) == {"init-op-missing": Severity.REFUSAL}


@pytest.mark.parametrize("tensor", ["file:1", "zero_out:0"])
def test_an_asset_that_names_an_output_which_its_node_lacks_is_refused(tensor):
    text = "file = Const() dtype=string value=string:'/old'\nzero_out = NoOp()\ninit = NoOp(^use)\nuse = Identity(file)"
    made = meta_graph(f"{MODEL}{SAVER}{text} T=string", s=_GOOD)
    made.asset_file_def.add(filename="vocabulary.txt").tensor_info.name = tensor
    plan = make_plan(made)
    assert plan.init is None
    (found,) = plan.findings
    assert (found.code, found.severity, found.nodes) == ("asset-tensor-missing", Severity.REFUSAL, (tensor,))
    assert f"the asset 'vocabulary.txt' names the tensor {tensor!r}, but " in found.message
    made.asset_file_def[0].tensor_info.name = "file:0"
    assert not make_plan(made).findings


def test_all_of_several_init_ops_are_run():
    text = MODEL + SAVER + "a = NoOp(^zero)\nb = NoOp()\nzero = Const() dtype=float32 value=float32:0.0"
    for key, codes in (("saved_model_main_op", {"several-init-ops": Severity.WARNING}), ("table_initializer", {})):
        made = meta_graph(text, s=_GOOD)
        made.collection_def[key].node_list.value.extend(["a", "b"])
        plan = make_plan(made)
        assert {finding.code: finding.severity for finding in plan.findings} == codes
        assert plan.init is not None and sorted(plan.init.graph.nodes) == ["a", "b", "zero"]


def test_an_init_op_that_does_nothing_is_left_out():
    made = meta_graph(MODEL + SAVER + "init = NoOp(^other)\nother = NoOp()", s=_GOOD)
    made.collection_def["saved_model_main_op"].node_list.value.append("init")
    plan = make_plan(made)
    assert plan.init is None and not plan.findings


def test_assets_are_fed_where_the_init_op_takes_them():
    text = MODEL + SAVER + "file = Const() dtype=string value=string:'/old'\ninit = NoOp(^table)\n"
    text += "table = InitializeTableFromTextFileV2(words, file)\nwords = HashTableV2()"
    made = meta_graph(text, s=_GOOD)
    for tensor, file in (("file:0", "words.txt"), ("gone:0", "other.txt")):
        asset = made.asset_file_def.add(filename=file)
        asset.tensor_info.name = tensor
    plan = make_plan(made)
    assert plan.init is not None and not plan.refused, plan.findings
    ((placeholder, name),) = plan.assets
    assert name == "words.txt" and plan.init.graph.nodes[placeholder].op == "Placeholder"


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("init = Neg(unfed) T=float32\nunfed = Placeholder() dtype=float32", "unfed-placeholder"),
        ("init = Barrier()", "ref-op-unsupported"),
        ("init = PyFunc() token='t'", "init-op-effect"),
        ("init = Neg(gone) T=float32", "graph-broken"),
    ],
)
def test_an_init_op_that_cannot_run_is_refused(line, code):
    assert code in _codes(meta_graph(MODEL + SAVER + line, s=_GOOD))


def test_the_functions_that_are_called_come_along():
    made = meta_graph(MODEL + SAVER + "z = f(x)", s=({"x": "x:0"}, {"z": "z:0"}))
    made.graph_def.library.function.extend([function("f", "x", y="x"), function("uncalled", "")])
    assert [each.signature.name for each in make_plan(made).functions] == ["f"]


def test_each_node_that_is_needed_stands_once():
    plan = make_plan(meta_graph(MODEL + SAVER + _INIT, a=_GOOD, b=({}, {"r": "read:0"})))
    found = needed_nodes(plan)
    assert sorted(node.name for node in found) == ["init", "read", "v", "x", "y", "zero"]
    assert needed_names(found) == {node.name for node in found}
    assert sorted(node.name for node in needed_nodes(plan, init=False)) == ["read", "v", "x", "y"]
    assert {node.op for node in found if node.name == "v"} == {"VariableV2"}
