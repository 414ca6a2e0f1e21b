"""The gradients of each of several signatures on one graph are compared, though the source is differentiated once."""

from __future__ import annotations

import shutil

import pytest

import migrate
from migrate.graph.protos import SavedModel
from migrate.records import Converted, Mismatched, Validated
from tests.conversions import run_child

pytestmark = [pytest.mark.slow, pytest.mark.tensorflow]

_SIGNATURES = 5


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """A source and its new model."""
    work = tmp_path_factory.mktemp("signatures")
    run_child(["-m", "benchmarks.models", "heads", str(work / "old"), str(_SIGNATURES)])
    (converted,) = migrate.convert(str(work / "old"), str(work / "new")).models
    assert isinstance(converted.outcome, Converted), converted
    return work


def _stop(directory, key: str) -> None:
    """Has one signature lose its gradient to the variable, and keep its answers."""
    file = directory / "saved_model.pb"
    model = SavedModel.FromString(file.read_bytes())
    functions = {f.signature.name: f for f in model.meta_graphs[0].graph_def.library.function}
    output = model.meta_graphs[0].signature_def[key].outputs["y"].name.partition(":")[0]
    (call,) = (node for node in model.meta_graphs[0].graph_def.node if node.name == output)
    body = functions[call.attr["f"].func.name]
    while not any(node.op == "Tanh" for node in body.node_def):
        (call,) = (node for node in body.node_def if "f" in node.attr)
        body = functions[call.attr["f"].func.name]
    taken = {
        tensor.partition(":")[0] for node in body.node_def for tensor in node.input if node.op in ("AddV2", "Tanh")
    }
    (last,) = (node.name for node in body.node_def if node.op == "Tanh" and node.name not in taken)
    for node in body.node_def:
        for position, tensor in enumerate(node.input):
            if tensor.partition(":")[0] == last:
                node.input[position] = "stopped:output:0"
    stopped = body.node_def.add(name="stopped", op="StopGradient", input=[f"{last}:y:0"])
    stopped.attr["T"].type = 1
    file.write_bytes(model.SerializeToString())


@pytest.mark.parametrize("number", [0, _SIGNATURES - 1])
def test_a_gradient_that_one_signature_has_lost_is_missed(models, tmp_path, number):
    shutil.copytree(models / "new", tmp_path / "candidate")
    _stop(tmp_path / "candidate", f"head_{number}")
    (report,) = migrate.validate(tmp_path / "candidate", against=models / "old").models
    assert isinstance(report.outcome, Mismatched), report
    told = {(m.code, m.signature) for m in report.verification.mismatches if m.code.startswith("gradient-")}
    assert told == {("gradient-missing", f"head_{number}")}


def test_what_was_not_changed_is_validated(models):
    (report,) = migrate.validate(models / "new", against=models / "old").models
    assert isinstance(report.outcome, Validated), report
