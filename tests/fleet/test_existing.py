"""What stands at a destination already, and whether it may be replaced without being asked."""

from __future__ import annotations

import json
import os

import pytest

from migrate.errors import InputError
from migrate.export.provenance import provenance, sign, write_provenance
from migrate.fleet.existing import copy_model, done_before, is_ours
from migrate.fleet.journal import Entry
from migrate.records import Converted, Kind, ModelReport, Options, Unchanged
from migrate.sources.fingerprint import fingerprint
from tests.conversions import MODELS

_SOURCE = str(MODELS / "counter")


@pytest.fixture
def new(tmp_path):
    """What looks like a new model that this program has made of `_SOURCE`."""
    path = tmp_path / "new"
    (path / "variables").mkdir(parents=True)
    (path / "assets.extra").mkdir()
    (path / "saved_model.pb").write_bytes(b"graph")
    (path / "variables" / "variables.data-00000-of-00001").write_bytes(b"weights")
    (path / "variables" / "variables.index").write_bytes(b"index")
    write_provenance(str(path), provenance({"path": _SOURCE}, Options()))
    sign(str(path), fingerprint(_SOURCE))
    return path


def _entry(outcome, source=None):
    return Entry("m", source, "settings", ModelReport(_SOURCE, None, Kind.TF1_SAVED_MODEL, outcome))


def test_what_nobody_has_changed_is_ours(new):
    assert is_ours(str(new), _SOURCE, None, None)
    assert is_ours(str(new), "another/path", _entry(Converted()), None)
    assert not is_ours(str(new), "another/path", None, None)


@pytest.mark.parametrize("known", [None, _entry(Converted())])
def test_what_somebody_has_changed_is_not(known, new):
    (new / "saved_model.pb").write_bytes(b"other")
    assert not is_ours(str(new), _SOURCE, known, None)


def test_a_copy_of_a_tf2_model_is_ours_while_its_files_are_the_sources(new):
    (new / "assets.extra" / "migration.json").unlink()
    files = fingerprint(str(new))
    assert is_ours(str(new), "x", None, files)
    assert is_ours(str(new), "x", _entry(Unchanged(), files.identity), None)
    assert not is_ours(str(new), "x", _entry(Converted(), files.identity), None)
    assert not is_ours(str(new), "x", None, fingerprint(_SOURCE))
    assert not is_ours(str(new / "gone"), "x", None, files)


def test_the_same_files_and_options_are_not_done_again(new):
    report = done_before(_SOURCE, str(new), Options())
    assert report.skipped and report.outcome == Converted() and report.destination == str(new)


@pytest.mark.parametrize("options", [Options(reconvert=True), Options(max_ulps=1), Options(metadata=(("a", "b"),))])
def test_other_options_are(options, new):
    assert done_before(_SOURCE, str(new), options) is None


def test_other_files_are(new, tmp_path):
    assert done_before(str(MODELS / "vocabulary"), str(new), Options()) is None
    assert done_before(_SOURCE, str(tmp_path / "gone"), Options()) is None


@pytest.mark.parametrize("mode", ["link", "copy"])
def test_a_copy_names_its_own_source(mode, new, tmp_path):
    target = tmp_path / "copy"
    copy_model(str(new), str(target), "other/source", mode, overwrite=False)
    said = json.loads((target / "assets.extra" / "migration.json").read_text())
    assert said["source"]["path"] == os.path.abspath("other/source") and said["copied_from"] == str(new)
    name = "variables/variables.data-00000-of-00001"
    assert (target / name).read_bytes() == b"weights"
    assert (target / name).samefile(new / name) == (mode == "link")
    assert not (target / "saved_model.pb").samefile(new / "saved_model.pb")
    assert is_ours(str(target), "other/source", None, None)
    assert sorted(os.listdir(tmp_path)) == ["copy", "new"]


def test_a_copy_replaces_nothing_unasked(new, tmp_path):
    target = tmp_path / "copy"
    target.mkdir()
    (target / "mine").write_text("")
    with pytest.raises(InputError):
        copy_model(str(new), str(target), "other", "copy", overwrite=False)
    assert os.listdir(target) == ["mine"]
