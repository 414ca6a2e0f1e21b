"""validation.py: trees are compared pair by pair, with a journal beside the report and nothing written in the trees."""

from __future__ import annotations

import os
import shutil

import pytest

import migrate
from migrate import cli
from migrate.errors import InputError
from migrate.events import Finished, Warned
from migrate.records import Mismatched, Options, Unreadable, Validated
from tests.fleet import trees


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    """A tree of sources, and their conversions."""
    root = tmp_path_factory.mktemp("pair")
    source = trees.make(root / "old", ["a/counter=counter", "vocabulary", "tf2", "unknown_op"])
    trees.convert(source, root / "new")
    return root


def _stamps(root):
    return {path: path.lstat().st_mtime_ns for path in root.rglob("*")}


@pytest.mark.tensorflow
def test_each_candidate_is_compared_with_the_source_of_its_name(pair, tmp_path):
    before = _stamps(pair)
    told = trees.Listener()
    report = migrate.validate(
        str(pair / "new"),
        against=str(pair / "old"),
        progress=told,
        journal=str(tmp_path / "out"),
        options=Options(jobs=2),
    )
    assert _stamps(pair) == before
    assert [(m.title, m.source) for m in report.models] == [
        (str(pair / "new" / name), str(pair / "old" / name)) for name in ("a/counter", "tf2", "vocabulary")
    ]
    assert all(isinstance(m.outcome, Validated) and m.verification.passed for m in report.models)
    (warned,) = [event.text for event in told if isinstance(event, Warned)]
    assert warned == f"1 of 4 models of {pair / 'old'} is not in {pair / 'new'}: unknown_op"
    assert [event.done for event in told if isinstance(event, Finished)] == [1, 2, 3]


@pytest.mark.tensorflow
def test_the_same_command_does_only_what_has_changed(pair, tmp_path, capsys):
    new = shutil.copytree(pair / "new", tmp_path / "new")
    arguments = ["migrate", "validate", str(new), f"--against={pair / 'old'}", f"--report={tmp_path / 'out'}"]
    assert cli.main(arguments) == 0
    assert "3 models: 3 validated" in capsys.readouterr().out
    shutil.rmtree(new / "vocabulary")
    shutil.copytree(new / "tf2", new / "vocabulary")
    assert cli.main(arguments) == 1
    out, err = capsys.readouterr()
    assert "3 models: 2 validated; 1 mismatched" in out and "2 skipped" in out
    assert f"{new / 'vocabulary'}: mismatched: the signatures differ: the candidate has no signature 'labels'" in out
    assert "[1/3] validated before, skipped" in err
    assert cli.main([*arguments, "--max_ulps=1"]) == 1  # Other options: all of it again.
    assert "skipped" not in capsys.readouterr().out


@pytest.mark.tensorflow
@pytest.mark.parametrize(
    ("candidate", "source", "said"),
    [
        ("old/vocabulary", "new/vocabulary", "the sides are swapped: the candidate is a model of TensorFlow 1"),
        ("new/tf2", "old/vocabulary", "the signatures differ: the candidate has no signature 'labels'"),
        ("new/a/counter", "old/vocabulary", "the signatures differ: the candidate has no signature 'labels'"),
        ("new/vocabulary", "old/tf2", "the signatures differ: "),
    ],
)
def test_a_wrong_pair_is_said_before_anything_runs(candidate, source, said, pair):
    (report,) = migrate.validate(str(pair / candidate), against=str(pair / source)).models
    assert isinstance(report.outcome, Mismatched)
    assert report.outcome.reason.startswith(said)
    assert report.title == str(pair / candidate) and "golden" not in report.seconds


@pytest.mark.tensorflow
def test_a_candidate_that_is_no_model_costs_that_pair_alone(pair, tmp_path):
    new = shutil.copytree(pair / "new", tmp_path / "new")
    (new / "tf2" / "saved_model.pb").write_bytes(b"no proto")
    report = migrate.validate(str(new), against=str(pair / "old"), options=Options(include=("tf2", "vocabulary")))
    assert [type(m.outcome) for m in report.models] == [Unreadable, Validated]


def _refused(arguments, capsys):
    assert cli.main(["migrate", "validate", *map(str, arguments)]) == 2
    return capsys.readouterr().err


def test_pairs_that_cannot_be_are_said(tmp_path, capsys):
    old = trees.make(tmp_path / "old", ["counter", "tf2"])
    other = trees.make(tmp_path / "other", ["simple_save", "vocabulary"])
    assert "have no model of the same name: simple_save, vocabulary and counter, tf2" in _refused(
        [other, f"--against={old}"], capsys
    )
    assert f"{old}: holds a tree of models, and the other side is one model" in _refused(
        [old, f"--against={old / 'tf2'}"], capsys
    )
    with pytest.raises(InputError, match="the other side is one model"):
        migrate.validate(str(old / "tf2"), against=str(old))


@pytest.mark.parametrize("place", ["old/report", "new", "new/counter/assets.extra"])
def test_nothing_is_written_in_either_tree(place, tmp_path, capsys):
    for name in ("old", "new"):
        trees.make(tmp_path / name, ["counter", "tf2"])
    before = _stamps(tmp_path)
    said = _refused([tmp_path / "new", f"--against={tmp_path / 'old'}", f"--report={tmp_path / place}"], capsys)
    assert "in which nothing is written; choose another --report" in said
    assert _stamps(tmp_path) == before
    assert os.path.exists(tmp_path / "old")
