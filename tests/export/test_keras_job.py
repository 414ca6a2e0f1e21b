"""One export of a Keras file: what is in the staging directory afterwards, and how it fails."""

from __future__ import annotations

import json

import pytest

from migrate.export.keras_messages import KerasExported, KerasExportJob
from migrate.keras_loader.request import Request
from migrate.records import Failed
from migrate.sources.discover import place_of
from migrate.sources.keras_source import read_keras
from migrate.sources.read import files_of
from tests.conversions import ROOT

pytestmark = pytest.mark.tensorflow


def _exported(name, staged):
    from migrate.export.keras_job import run

    source = read_keras(files_of(place_of(str(ROOT / "testdata" / "keras" / name))))
    return run(KerasExportJob(Request(source, (), trust=False), str(staged), {"source": {"path": "old"}}, "digest"))


def test_a_new_model_stands_in_the_staging_directory(tmp_path):
    from migrate.export.keras_job import checkpoint_keys

    done = _exported("functional", tmp_path)
    assert isinstance(done, KerasExported)
    assert (done.optimizer, done.lost, done.compiled) == ("Adam", "", True)
    told = json.loads((tmp_path / "assets.extra" / "migration.json").read_text())
    assert told["source"] == {"path": "old"}
    assert told["optimizer"] == {"kept": "Adam", "lost": ""}
    assert sorted(told["variables"].values()) == sorted(checkpoint_keys(str(tmp_path), "variables"))
    assert checkpoint_keys(str(tmp_path), "absent") == []
    assert (tmp_path / "keras_metadata.pb").exists()
    assert (tmp_path / "fingerprint.pb").exists()


def test_what_was_not_allowed_fails_and_leaves_nothing(tmp_path):
    found = _exported("custom", tmp_path)
    assert isinstance(found, Failed)
    assert "asks for what was not allowed" in found.reason
    assert list(tmp_path.iterdir()) == []
