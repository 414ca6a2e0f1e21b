"""Audits of many models: which of them, one after the other or side by side."""

from __future__ import annotations

import dataclasses
import os
import pathlib
import shutil

import pytest

import migrate
from migrate.errors import InputError
from migrate.records import (
    ModelReport,
    Options,
)
from tests.conversions import ROOT
from tests.fleet.trees import make


def _audit(*arguments: object) -> migrate.Report:
    return migrate.audit(*map(str, arguments[:1]), *arguments[1:])


def _by_name(report: migrate.Report, tree: pathlib.Path) -> dict[str, ModelReport]:
    return {os.path.relpath(model.source, tree): model for model in report.models}


def test_side_by_side_says_what_one_after_the_other_says(tmp_path):
    tree = make(tmp_path, ("good=simple_save", "bad=unknown_op", "fed=unfed_training"))

    def bare(report):
        return [dataclasses.replace(model, seconds={}) for model in report.models]

    assert bare(_audit(tree, Options(jobs=3))) == bare(_audit(tree))


def test_a_report_says_whether_it_is_about_a_whole_tree(tmp_path):
    tree = make(tmp_path, ("good=simple_save", "bad=unknown_op"))
    assert _audit(tree).whole_tree and _audit(tree, Options(jobs=1)).whole_tree
    for chosen in ({"include": ("good",)}, {"exclude": ("bad",)}, {"only_latest_version": True}):
        assert not _audit(tree, Options(**chosen)).whole_tree, chosen
    assert not migrate.audit([tree / "good", tree / "bad"]).whole_tree


def test_audit_takes_the_flags_that_choose_models(tmp_path):
    made = make(tmp_path / "tree", ["a/1=simple_save", "a/10=simple_save", "a/2=simple_save", "b/1=vocabulary"])

    def chosen(**fields):
        return sorted(_by_name(_audit(made, Options(**fields)), made))

    assert chosen() == ["a/1", "a/10", "a/2", "b/1"]
    assert chosen(only_latest_version=True) == ["a/10", "b/1"]
    assert chosen(include=("a",), exclude=("*/2",)) == ["a/1", "a/10"]
    with pytest.raises(InputError, match="leave out all 4 models"):
        chosen(include=("c",))
    both = migrate.audit([str(made / "a"), str(made)], Options(include=("b",)))
    assert [os.path.relpath(model.source, made) for model in both.models] == ["b/1"]


def test_a_tree_may_have_models_that_a_new_tree_has_no_two_places_for(tmp_path):
    made = make(tmp_path / "tree", ["m=simple_save"])
    keras = next((ROOT / "testdata" / "keras").rglob("*.h5"))
    shutil.copy(keras, made / "m.h5")
    for jobs in 1, 2:
        report = _audit(made, Options(jobs=jobs))
        told = {m.source: f.hint for m in report.models for f in m.findings if f.code == "destination-shared"}
        assert told == {str(made / "m.h5"): "leave it out with --exclude=m.h5, and convert it alone"}
    # A file given alone has the directory that the user gives.
    alone = migrate.audit([str(made / "m"), str(made / "m.h5")], Options())
    assert "destination-shared" not in [finding.code for model in alone.models for finding in model.findings]
