"""Copies with another graph. No TensorFlow."""

from __future__ import annotations

import os

import pytest

from migrate.graph.protos import SavedModel
from migrate.verify.scratch import changed_copy


def _model(tmp_path):
    saved_model = SavedModel(saved_model_schema_version=1)
    (tmp_path / "saved_model.pb").write_bytes(saved_model.SerializeToString())
    (tmp_path / "fingerprint.pb").write_bytes(b"of the graph")
    (tmp_path / "variables").mkdir()
    (tmp_path / "variables" / "variables.index").write_bytes(b"weights")
    return saved_model


def test_the_graph_is_another_one_and_the_weights_are_the_same_file(tmp_path):
    saved_model = _model(tmp_path)

    def change(changed):
        changed.saved_model_schema_version = 7

    with changed_copy(str(tmp_path), saved_model, change) as path:
        assert sorted(os.listdir(path)) == ["saved_model.pb", "variables"]
        with open(os.path.join(path, "saved_model.pb"), "rb") as file:
            assert SavedModel.FromString(file.read()).saved_model_schema_version == 7
        assert os.path.samefile(
            os.path.join(path, "variables", "variables.index"), tmp_path / "variables" / "variables.index"
        )
    assert not os.path.exists(path)
    assert saved_model.saved_model_schema_version == 1
    assert (tmp_path / "variables" / "variables.index").read_bytes() == b"weights"


def test_it_goes_away_where_the_block_fails(tmp_path):
    saved_model = _model(tmp_path)
    with pytest.raises(ZeroDivisionError), changed_copy(str(tmp_path), saved_model, lambda _: None) as path:
        raise ZeroDivisionError
    assert not os.path.exists(path) and (tmp_path / "variables").is_dir()
