"""Converting and validating a model touches nothing outside it: directories survive, pipes are never opened."""

from __future__ import annotations

import os
import pathlib
import shutil

import pytest

import migrate
from migrate.errors import InputError
from migrate.graph.protos import SavedModel
from migrate.records import Converted, Failed, Mismatched, Options, Refused, Unverified
from tests import attacks
from tests.conversions import MODELS

pytestmark = pytest.mark.tensorflow

_OPTIONS = Options(timeout=100)


def _attacked(tmp_path: pathlib.Path, attack: attacks.Attack, outside: str) -> pathlib.Path:
    model = tmp_path / "model"
    shutil.copytree(MODELS / "vocabulary", model)
    attacks.attack_on_disk(attack, model, outside)
    return model


def _convert(model: pathlib.Path, destination: pathlib.Path, options: Options = _OPTIONS):
    (report,) = migrate.convert(str(model), str(destination), options).models
    return report


def _validate(candidate: pathlib.Path, source: pathlib.Path, options: Options = _OPTIONS):
    (report,) = migrate.validate(str(candidate), against=str(source), options=options).models
    return report


@pytest.fixture(scope="module")
def converted(tmp_path_factory):
    path = tmp_path_factory.mktemp("converted") / "vocabulary"
    report = _convert(MODELS / "vocabulary", path)
    assert isinstance(report.outcome, Converted) and report.verification.calls
    return path


@pytest.mark.parametrize("allow", [False, True])
def test_a_restore_op_deletes_nothing(tmp_path, converted, allow):
    """Its directory is the model's own, so a user would lose the weights."""
    model = _attacked(tmp_path, attacks.restore_deletes, str(tmp_path / "model" / "variables"))
    before = sorted(model.rglob("*"))
    options = Options(timeout=100, allow_side_effects=allow)
    assert isinstance(_convert(model, tmp_path / "new", options).outcome, Refused)
    outcome = _validate(converted, model, options).outcome
    assert isinstance(outcome, Failed) and "'clean'" in outcome.reason
    assert sorted(model.rglob("*")) == before


@pytest.mark.parametrize(
    "attack", [attacks.init_reads, attacks.init_reads_in_a_function, attacks.import_reads], ids=lambda a: a.__name__
)
def test_a_pipe_outside_is_not_opened(tmp_path, converted, attack):
    """Whoever opens it for reading waits for a writer, until the time is up."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    model = _attacked(tmp_path, attack, str(pipe))
    assert isinstance(_convert(model, tmp_path / "new").outcome, Refused)
    outcome = _validate(converted, model).outcome
    assert isinstance(outcome, Failed) and "not loaded" in outcome.reason


def test_a_pipe_that_no_signature_needs_is_not_opened(tmp_path):
    def attack(graph, outside):
        output = attacks.node(graph, attacks.OUTPUT)
        before = output.input[0]
        label = attacks.import_reads(graph, outside)
        output.input[0] = before
        return label

    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    report = _convert(_attacked(tmp_path, attack, str(pipe)), tmp_path / "new")
    assert isinstance(report.outcome, Converted), report.outcome
    assert report.verification is not None and report.verification.calls


def _reads_what_is_fed(graph, outside):
    del outside
    nodes = graph.graph_def.node
    attacks.add(nodes, "path", "Placeholder", dtype=7)
    attacks.add(nodes, "read", "ReadFile", "path")
    signature = graph.signature_def["file"]
    for infos, tensor in ((signature.inputs, "path:0"), (signature.outputs, "read:0")):
        infos["value"].name, infos["value"].dtype = tensor, 7
        infos["value"].tensor_shape.SetInParent()
    signature.method_name = "tensorflow/serving/predict"
    return "read"


def test_a_file_whose_name_is_fed_is_read_where_the_user_allows_it(tmp_path):
    model = _attacked(tmp_path, _reads_what_is_fed, "")
    report = _convert(model, tmp_path / "new")
    assert isinstance(report.outcome, Unverified), report.outcome
    assert report.verification.calls == 0 and set(report.verification.unverified) == {"file", "file/value"}
    assert not (tmp_path / "new").exists()
    assert {"unverified", "touches-files"} <= {finding.code for finding in report.findings}
    published = _convert(model, tmp_path / "new", Options(timeout=100, allow_unverified=True))
    assert isinstance(published.outcome, Converted) and published.verification.calls == 0
    allowed = Options(timeout=100, allow_side_effects=True)
    # It is run now, and no call that is made up names a file.
    validated = _validate(tmp_path / "new", model, allowed)
    assert isinstance(validated.outcome, Unverified) and list(validated.verification.unverified) == ["file"]


def test_an_init_op_may_read_an_asset(tmp_path):
    def attack(graph, outside):
        del outside
        attacks.add(graph.graph_def.node, "read", "ReadFile", attacks.ASSET)
        attacks._after(graph, attacks.INIT, "read")
        return "read"

    model = _attacked(tmp_path, attack, "")
    report = _convert(model, tmp_path / "new", Options(timeout=100, allow_side_effects=True))
    assert isinstance(report.outcome, Converted), report.outcome
    assert report.verification is not None and report.verification.calls


@pytest.mark.parametrize("start", ["__inference__traced_restore", "__inference__initialize", "__inference__destroy"])
def test_a_candidate_that_writes_while_it_is_loaded_is_not_loaded(tmp_path, converted, start):
    candidate = tmp_path / "candidate"
    shutil.copytree(converted, candidate)
    file = candidate / "saved_model.pb"
    proto = SavedModel.FromString(file.read_bytes())
    written = tmp_path / "written"
    functions = [f for f in proto.meta_graphs[0].graph_def.library.function if f.signature.name.startswith(start)]
    assert functions
    for function in functions:
        path = attacks.text(function.node_def, "outside_path", str(written))
        attacks.add(function.node_def, "outside", "WriteFile", f"{path}:output:0", f"{path}:output:0")
        function.control_ret["outside"] = "outside"
        function.signature.control_output.append("outside")
        function.signature.is_stateful = True
    file.write_bytes(proto.SerializeToString())
    report = _validate(candidate, MODELS / "vocabulary")
    assert isinstance(report.outcome, Failed | Mismatched), report.outcome
    # Its files may show more that is wrong with it, which does not hide why it was not loaded.
    told = (
        [report.outcome.reason] if report.verification is None else [m.reason for m in report.verification.mismatches]
    )
    assert any("was not loaded" in reason and "'outside'" in reason for reason in told), told
    assert report.verification is None or report.verification.calls == 0
    assert not written.exists()


@pytest.mark.parametrize("file", ["fingerprint.pb", "variables/variables.index", "assets.extra/more"])
def test_a_pipe_in_a_candidate_is_not_waited_for(tmp_path, converted, file):
    candidate = tmp_path / "candidate"
    shutil.copytree(converted, candidate)
    (candidate / file).unlink(missing_ok=True)
    os.mkfifo(candidate / file)
    with pytest.raises(InputError, match=f"{file} is a pipe"):
        _validate(candidate, MODELS / "vocabulary")
