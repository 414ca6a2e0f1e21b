"""What audit says of a model of each form, and what bounds it. No TensorFlow."""

from __future__ import annotations

import dataclasses
import shutil
import tarfile

import pytest

from migrate.model.study import audit_model, study, tag_sets, timed
from migrate.records import AlreadyTF2, Convertible, Kind, Options, Refused, Severity, Unreadable
from tests.conversions import MODELS, ROOT

_TESTDATA = ROOT / "testdata"


@pytest.mark.parametrize(
    ("name", "kind", "outcome", "parts"),
    [
        ("models/simple_save", Kind.TF1_SAVED_MODEL, Convertible, ("place", "graph")),
        ("models/tf2", Kind.TF2_SAVED_MODEL, AlreadyTF2, ("place",)),
        ("models/hub_module", Kind.TF1_HUB_MODULE, Convertible, ("place", "graph")),
        ("models/unknown_op", Kind.TF1_SAVED_MODEL, Refused, ("place", "graph")),
        ("forms/frozen", Kind.FROZEN_GRAPH, Convertible, ("place", "graph")),
        ("forms/checkpoint_alone", Kind.CHECKPOINT, Refused, ("place",)),
        ("keras/archive_3", Kind.KERAS_V3, Convertible, ("place", "keras")),
        ("absent", Kind.UNKNOWN, Unreadable, ()),
    ],
)
def test_each_form_is_studied_as_what_it_is(name, kind, outcome, parts):
    options = Options(take_proposals=True)
    with study(str(_TESTDATA / name), options) as studied:
        assert (studied.report.kind, type(studied.report.outcome)) == (kind, outcome)
        found = {part: getattr(studied, part) for part in ("place", "graph", "keras")}
    assert tuple(part for part, value in found.items() if value is not None) == parts
    assert (studied.report.bytes is None) == (outcome is Unreadable)
    assert list(studied.report.seconds) == ["audit"]


def test_what_is_said_of_links_comes_after_what_is_graver(tmp_path):
    model = shutil.copytree(MODELS / "unknown_op", tmp_path / "model")
    (model / "saved_model.pb").rename(tmp_path / "elsewhere")
    (model / "saved_model.pb").symlink_to(tmp_path / "elsewhere")
    findings = audit_model(str(model), Options(follow_links=True)).findings
    assert [finding.code for finding in findings] == ["unknown-op", "link-followed"]
    assert [finding.severity for finding in findings] == [Severity.REFUSAL, Severity.WARNING]


def test_a_model_in_an_archive_is_called_by_the_archives_name(tmp_path):
    with tarfile.open(tmp_path / "model.tar", "w") as archive:
        archive.add(_TESTDATA / "forms" / "checkpoint_alone", "model")
    path = str(tmp_path / "model.tar")
    with study(path, Options()) as studied:
        directory = studied.place.unpacked
    (refusal,) = studied.report.refusals
    assert directory not in repr(dataclasses.asdict(studied.report))
    assert refusal.nodes[0].startswith(path)


def test_a_link_that_leads_out_is_refused_before_anything_is_read(tmp_path):
    model = shutil.copytree(MODELS / "simple_save", tmp_path / "model")
    (model / "saved_model.pb").rename(tmp_path / "elsewhere")
    (tmp_path / "elsewhere").write_bytes(b"no graph")
    (model / "saved_model.pb").symlink_to(tmp_path / "elsewhere")
    report = audit_model(str(model), Options())
    assert (report.kind, type(report.outcome)) == (Kind.UNKNOWN, Refused)
    assert [finding.code for finding in report.findings] == ["link-leads-out"]


def test_what_takes_too_much_is_unreadable():
    report = audit_model(str(MODELS / "simple_save"), Options(graph_memory_bytes=1 << 20))
    assert isinstance(report.outcome, Unreadable)
    assert "--graph_memory" in report.outcome.reason


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("models/simple_save", ()),
        ("models/tf2", ()),
        ("forms/frozen", ()),
        ("absent", ()),
        ("models/multi_tags", ({"serve"}, {"serve", "gpu"}, {"train"})),
    ],
)
def test_tag_sets(name, expected):
    found = tag_sets(str(_TESTDATA / name), Options())
    assert set(found) == set(map(frozenset, expected))
    assert len(found) == len(expected)


def test_a_step_that_raises_is_timed():
    seconds = {}
    with pytest.raises(ValueError, match="no"), timed(seconds, "export"):
        raise ValueError("no")
    assert seconds["export"] >= 0
