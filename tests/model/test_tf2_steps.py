"""A TF2 SavedModel as the model that a candidate is compared with. No TensorFlow."""

from __future__ import annotations

import shutil

import pytest

from migrate.errors import InputError
from migrate.graph.contract import signatures
from migrate.graph.protos import SavedModel
from migrate.model.tf2_steps import as_copy, differing_names, signatures_of, tf2_steps, unsafe
from migrate.model.verdict import without_calls
from migrate.records import AlreadyTF2, DangerousOp, Failed, Kind, Mismatched, Options
from migrate.sources.discover import place_of
from migrate.sources.files import digest_of
from migrate.sources.saved_model import read_saved_model
from migrate.verify.contract import Candidate
from migrate.verify.differences import mismatch
from tests.conversions import MODELS, ROOT
from tests.model.recorded import GOLDEN, Runner, report

TF2 = MODELS / "tf2"
KERAS = ROOT / "testdata" / "keras" / "saved_model"
_WANTED = signatures_of(place_of(str(TF2)), str(TF2), Options())


def test_it_is_asked_and_never_exported():
    runner = Runner(GOLDEN)
    steps = tf2_steps(place_of(str(TF2)), "old", Options(), runner)
    assert steps.path == "old"
    assert steps.golden() == GOLDEN
    with steps.begin("staged") as taking:
        assert taking is None
        assert isinstance(steps.export("staged", report(AlreadyTF2()), None), Failed)
    assert steps.digest() == digest_of(str(TF2 / "saved_model.pb"))
    assert len(runner.asked) == 1


def test_a_copy_keeps_the_contract_and_another_model_does_not():
    steps = tf2_steps(place_of(str(TF2)), "old", Options(), Runner())
    for directory, is_kept in (TF2, True), (KERAS, False):
        candidate = Candidate(str(directory), read_saved_model(str(directory)).meta_graphs)
        assert (steps.contract(candidate) == ()) is is_kept


@pytest.mark.parametrize(
    ("change", "is_told"),
    [
        (lambda copy: None, False),
        (lambda copy: (copy / "assets.extra").mkdir() or (copy / "assets.extra" / "migration.json").touch(), False),
        (lambda copy: (copy / "more").touch(), True),
        (lambda copy: (copy / "variables" / "variables.index").unlink(), True),
        (lambda copy: (copy / "saved_model.pb").write_bytes(b"x" * (copy / "saved_model.pb").stat().st_size), True),
    ],
)
def test_the_same_files_are_the_same_model(tmp_path, change, is_told):
    shutil.copytree(TF2, tmp_path / "copy")
    change(tmp_path / "copy")
    differs = mismatch("answer-differs", "tf2", "1 of 1 values differ", "s", "y")
    result = as_copy(without_calls((differs,)), str(TF2), str(tmp_path / "copy"))
    assert result.mismatches == ((differs,) if is_told else ())
    assert as_copy(Failed("no"), str(TF2), str(TF2)) == Failed("no")


def test_tags_that_it_does_not_have_are_told():
    options = Options(tags=frozenset({"gpu"}))
    with pytest.raises(InputError, match="gpu"):
        tf2_steps(place_of(str(TF2)), str(TF2), options, Runner())
    with pytest.raises(InputError, match="gpu"):
        signatures_of(place_of(str(TF2)), str(TF2), options)


def _op(reached, standard):
    return DangerousOp("WriteFile", "touches-files", "main graph", ("w",), reached, standard, ("serve",))


@pytest.mark.parametrize(
    ("ops", "options", "is_run"),
    [
        ((), Options(), True),
        ((_op(reached=False, standard=False),), Options(), True),
        ((_op(reached=True, standard=True),), Options(), True),
        ((_op(reached=True, standard=False),), Options(allow_side_effects=True), True),
        ((_op(reached=True, standard=True), _op(reached=True, standard=False)), Options(), False),
    ],
)
def test_what_may_do_more_than_compute_is_not_run(ops, options, is_run):
    found = unsafe(report(AlreadyTF2(), dangerous_ops=ops), options)
    assert (found is None) is is_run
    assert found is None or "WriteFile (touches-files); allow it with --allow_side_effects" in found.reason


def _changed(tmp_path, change):
    """The model of `TF2` with another graph, as a candidate."""
    model = SavedModel.FromString((TF2 / "saved_model.pb").read_bytes())
    change(model.meta_graphs[0])
    tmp_path.mkdir(exist_ok=True)
    (tmp_path / "saved_model.pb").write_bytes(model.SerializeToString())
    return str(tmp_path)


def _differ(candidate, kind=Kind.TF2_SAVED_MODEL, options=None):
    return differing_names(_WANTED, kind, candidate, options or Options())


def test_values_and_dtypes_are_no_names(tmp_path):
    def change(meta_graph):
        meta_graph.signature_def["serving_default"].inputs["x"].dtype = 2
        meta_graph.signature_def["more"].CopyFrom(meta_graph.signature_def["serving_default"])

    assert _differ(str(TF2)) is None
    assert _differ(_changed(tmp_path, change)) is None


def test_names_that_differ_are_listed(tmp_path):
    def change(meta_graph):
        signature = meta_graph.signature_def["serving_default"]
        signature.inputs["z"].CopyFrom(signature.inputs["x"])
        signature.outputs.clear()

    outcome = _differ(_changed(tmp_path, change))
    assert outcome == Mismatched(
        "the signatures differ: 'serving_default' takes x, and the candidate's x, z; 'serving_default' gives y, "
        "and the candidate's nothing"
    )
    gone = _differ(_changed(tmp_path, lambda meta_graph: meta_graph.signature_def.clear()))
    assert gone == Mismatched(
        "the signatures differ: the candidate has no signature 'serving_default' (it has nothing)"
    )


def test_sides_that_are_swapped_are_told():
    old = str(MODELS / "simple_save")
    assert "the sides are swapped" in _differ(old).reason
    wanted = {signature.key: signature for signature in signatures(read_saved_model(old).meta_graphs[0])}
    assert differing_names(wanted, Kind.TF1_SAVED_MODEL, old, Options()) is None


def test_the_candidate_is_read_where_it_is(tmp_path):
    """What has become a link since links were looked for is not followed, unless that was asked for."""
    (tmp_path / "saved_model.pb").symlink_to(TF2 / "saved_model.pb")
    with pytest.raises(InputError, match="outside of the model; --follow_links reads it"):
        _differ(str(tmp_path))
    assert _differ(str(tmp_path), options=Options(follow_links=True)) is None
