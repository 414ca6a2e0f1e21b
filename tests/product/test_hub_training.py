"""The training graph of a TF1 Hub module: what joins it to the inference graph, and why it is left out."""

from __future__ import annotations

from collections.abc import Callable

import pytest

import migrate
from migrate.graph.protos import MetaGraphDef, NodeDef
from migrate.plan.plan import make_plan
from migrate.plan.records import Plan
from migrate.plan.restore import FromCheckpoint
from migrate.plan.training import add_training, call_key
from migrate.records import Convertible, Severity
from migrate.sources.saved_model import read_saved_model
from tests.conversions import MODELS


def _graphs() -> tuple[MetaGraphDef, MetaGraphDef]:
    found = []
    for source in read_saved_model(str(MODELS / "hub_module")).meta_graphs:
        copy = MetaGraphDef()
        copy.CopyFrom(source)
        found.append(copy)
    return found[0], found[1]


def _planned(edit: Callable[[MetaGraphDef], None] | None = None) -> Plan:
    """The plan with a training graph that `edit` has changed."""
    inference, train = _graphs()
    if edit is not None:
        edit(train)
    return add_training(make_plan(inference), inference, train)


def _codes(plan: Plan) -> dict[str, str]:
    return {f.code: f.message for f in plan.findings if f.code.startswith("training")}


def _node(meta_graph: MetaGraphDef, name: str) -> NodeDef:
    return next(node for node in meta_graph.graph_def.node if node.name == name)


def test_the_branch_shares_the_variables_and_runs_the_update_ops_that_it_can() -> None:
    plain, plan = make_plan(_graphs()[0]), _planned()
    assert plan.variables == plain.variables
    assert all(v.value == FromCheckpoint(v.name) for v in plan.variables)  # Without a SaverDef, by name.
    assert plan.training is not None and plan.training.call is not None
    # The third update op needs another signature's placeholder.
    assert plan.training.call.run.run.targets == ("norm/moving_mean/update", "norm/moving_variance/update")
    assert len(plan.training.losses) == 1
    assert list(_codes(plan)) == ["training-branch"]


def test_without_a_training_graph_the_losses_are_the_inference_graphs() -> None:
    inference, _ = _graphs()
    plan = add_training(make_plan(inference), inference, None)
    assert plan.training is not None and plan.training.call is None
    assert len(plan.training.losses) == 1
    assert not _codes(plan)


def test_audit_tells_of_the_training_graph_once() -> None:
    (model,) = migrate.audit(str(MODELS / "hub_module")).models
    assert isinstance(model.outcome, Convertible)
    codes = {finding.code for finding in model.findings}
    assert "training-branch" in codes
    assert "other-meta-graph" not in codes  # It is part of the new model.


def _other_signature(train: MetaGraphDef) -> None:
    train.signature_def["default"].inputs["default"].dtype = 2


def _no_signature(train: MetaGraphDef) -> None:
    del train.signature_def["default"]


def _other_shape(train: MetaGraphDef) -> None:
    _node(train, "dense/kernel").attr["shape"].shape.dim[0].size = 7


def _other_dtype(train: MetaGraphDef) -> None:
    _node(train, "dense/bias").attr["dtype"].type = 2


def _unfed(train: MetaGraphDef) -> None:
    train.graph_def.node.add(name="forgotten", op="Placeholder").attr["dtype"].type = 1
    _node(train, "hidden").input[0] = "forgotten"


def _unknown(train: MetaGraphDef) -> None:
    _node(train, "hidden").op = "MyCustomOp"


def _new_variable(train: MetaGraphDef) -> None:
    node = train.graph_def.node.add(name="new", op="VarHandleOp")
    node.attr["dtype"].type = 1
    node.attr["shape"].shape.dim.add(size=4)
    node.attr["shared_name"].s = b"new"
    read = train.graph_def.node.add(name="new/Read", op="ReadVariableOp", input=["new"])
    read.attr["dtype"].type = 1
    _node(train, "hidden").input[1] = "new/Read"


def _new_table(train: MetaGraphDef) -> None:
    table = train.graph_def.node.add(name="table", op="HashTableV2")
    table.attr["key_dtype"].type = table.attr["value_dtype"].type = 9
    size = train.graph_def.node.add(name="size", op="LookupTableSizeV2", input=["table"])
    _node(train, "hidden").input.append(f"^{size.name}")


@pytest.mark.parametrize(
    ("edit", "reason"),
    [
        (_other_signature, "its signature 'default' is not that of the inference graph"),
        (_no_signature, "its signature 'default' is not that of the inference graph"),
        (_other_shape, "the variable 'dense/kernel' has another shape"),
        (_other_dtype, "the variable 'dense/bias' has another dtype"),
        (_unfed, "that it does not feed"),
        (_unknown, "MyCustomOp"),
        (_new_variable, "the variable 'new' is in the training graph only"),
        (_new_table, "the table or queue 'table' is in the training graph only"),
    ],
)
def test_what_does_not_fit_leaves_inference_alone(edit, reason) -> None:
    plan = _planned(edit)
    assert not plan.refused
    assert plan.training is None or plan.training.call is None
    assert reason in _codes(plan)["training-branch-left-out"]
    assert plan.variables == make_plan(_graphs()[0]).variables


def test_a_loss_that_depends_on_inputs_is_left_out() -> None:
    def edit(train: MetaGraphDef) -> None:
        _node(train, "dense/regularizer").input.append("^x")

    plan = _planned(edit)
    assert plan.training is not None and plan.training.call is not None
    assert not plan.training.losses
    assert "a regularization loss is left out" in _codes(plan)["training-loss-left-out"]


def test_control_flow_before_the_outputs_is_told() -> None:
    def edit(train: MetaGraphDef) -> None:
        # No constant: a branch that cannot run is left out, and no control flow is left.
        train.graph_def.node.add(name="condition", op="IsFinite", input=["hidden"]).attr["T"].type = 1
        switch = train.graph_def.node.add(name="switch", op="Switch", input=["hidden", "condition"])
        merge = train.graph_def.node.add(name="merge", op="Merge", input=["switch", "switch:1"])
        switch.attr["T"].type = merge.attr["T"].type = 1
        merge.attr["N"].i = 2
        y = _node(train, "y")
        y.input[0] = "merge"

    plan = _planned(edit)
    assert plan.training is not None and plan.training.call is not None
    (warning,) = [f for f in plan.findings if f.code == "training-control-flow"]
    assert warning.severity is Severity.WARNING
    assert set(warning.nodes) == {"switch", "merge"}


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        (["default", "serving_default"], "serving_default"),
        (["a", "default"], "default"),
        (["a"], "a"),
        (["a", "b"], None),
    ],
)
def test_which_signature_is_called(keys, expected) -> None:
    assert call_key(keys) == expected
