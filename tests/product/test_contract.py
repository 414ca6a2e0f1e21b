"""`migrate validate` tells what no call shows: the candidate is damaged on the disk after its conversion."""

from __future__ import annotations

import json
import shutil

import pytest

pytestmark = pytest.mark.tensorflow

import migrate  # noqa: E402
from migrate.graph.protos import SavedModel  # noqa: E402
from migrate.records import Converted, Mismatched, Options, Validated  # noqa: E402
from tests.conversions import MODELS  # noqa: E402

_OPTIONS = Options(timeout=100)
_SOURCE = MODELS / "warmup"


@pytest.fixture(scope="module")
def converted(tmp_path_factory):
    path = tmp_path_factory.mktemp("converted") / "new"
    (report,) = migrate.convert(str(_SOURCE), str(path), _OPTIONS).models
    assert isinstance(report.outcome, Converted), report
    return path


def _validate(candidate):
    (report,) = migrate.validate(str(candidate), against=str(_SOURCE), options=_OPTIONS).models
    return report


def _damaged(converted, path, damage):
    shutil.copytree(converted, path)
    file = path / "saved_model.pb"
    model = SavedModel.FromString(file.read_bytes())
    damage(model.meta_graphs[0])
    file.write_bytes(model.SerializeToString())
    return path


def test_what_is_faithful_is_validated(converted):
    assert isinstance(_validate(converted).outcome, Validated)


def _method_name(graph):
    graph.signature_def["serving_default"].method_name = "tensorflow/serving/regress"


def _extra_signature(graph):
    graph.signature_def["more"].CopyFrom(graph.signature_def["serving_default"])


def _pin(graph):
    graph.graph_def.library.function[0].node_def[0].device = "/device:GPU:0"


@pytest.mark.parametrize("damage", [_method_name, _extra_signature, _pin])
def test_a_damaged_contract_is_a_mismatch(converted, tmp_path, damage):
    report = _validate(_damaged(converted, tmp_path / "new", damage))
    assert isinstance(report.outcome, Mismatched), report
    assert report.outcome.reason.startswith("clients of the source cannot rely on it: ")
    assert {mismatch.path for mismatch in report.verification.mismatches} == {"contract"}
    assert any(mismatch.output != "fingerprint.pb" for mismatch in report.verification.mismatches)


def test_a_stale_fingerprint_is_a_mismatch(converted, tmp_path):
    def damage(graph):
        graph.signature_def["serving_default"].method_name = "tensorflow/serving/predict"
        graph.graph_def.versions.bad_consumers.append(1)

    report = _validate(_damaged(converted, tmp_path / "new", damage))
    assert isinstance(report.outcome, Mismatched), report
    told = {mismatch.output: mismatch.reason for mismatch in report.verification.mismatches}
    assert "saved_model_checksum" in told["fingerprint.pb"]


def test_a_provenance_that_names_another_source_is_told(converted, tmp_path):
    shutil.copytree(converted, tmp_path / "new")
    file = tmp_path / "new" / "assets.extra" / "migration.json"
    content = json.loads(file.read_text())
    content["source"]["sha256"] = "0" * 64
    file.write_text(json.dumps(content))
    report = _validate(tmp_path / "new")
    assert isinstance(report.outcome, Validated), report
    assert "provenance-differs" in {finding.code for finding in report.findings}
    assert "provenance-differs" not in {finding.code for finding in _validate(converted).findings}


def test_lost_warm_up_requests_are_a_mismatch(converted, tmp_path):
    shutil.copytree(converted, tmp_path / "new")
    (tmp_path / "new" / "assets.extra" / "tf_serving_warmup_requests").unlink()
    report = _validate(tmp_path / "new")
    assert isinstance(report.outcome, Mismatched), report
    assert "tf_serving_warmup_requests" in report.outcome.reason
