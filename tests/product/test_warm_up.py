"""The requests that a model brings with it: they are replayed first, and the new model must answer them."""

from __future__ import annotations

import pathlib
import shutil

import numpy as np
import pytest

import migrate
from migrate.graph.protos import SavedModel
from migrate.records import Converted, Mismatched, Options
from migrate.sources.saved_model_files import WARM_UP
from testdata import prediction_logs as made
from tests.conversions import MODELS

pytestmark = [pytest.mark.tensorflow, pytest.mark.slow]

_FILE = pathlib.Path("assets.extra", WARM_UP)
_ROWS = made.floats((1, 2, 3), (4, 5, 6))


def _model(tmp_path, name, *logs, content=None):
    """A copy of a model of testdata/ that brings requests with it."""
    model = tmp_path / "models" / name
    shutil.copytree(MODELS / name, model)
    (model / "assets.extra").mkdir(exist_ok=True)
    (model / _FILE).write_bytes(made.file(*logs) if content is None else content)
    return model


def _convert(model, tmp_path, **options):
    report = migrate.convert(str(model), str(tmp_path / "new"), Options(**options)).models[0]
    if isinstance(report.outcome, Converted):
        # Byte for byte, whatever it is.
        assert (tmp_path / "new" / _FILE).read_bytes() == (model / _FILE).read_bytes()
    return report


def _not_replayed(report):
    return [f.message for f in report.findings if f.code == "call-not-replayed"]


def _calls(model, tmp_path, *logs):
    """How many calls requests add to those that are made up."""
    without = _convert(_model(tmp_path / "without", model), tmp_path / "a")
    with_them = _convert(_model(tmp_path / "with", model, *logs), tmp_path / "b")
    assert isinstance(without.outcome, Converted) and isinstance(with_them.outcome, Converted)
    assert _not_replayed(with_them) == []
    return with_them.verification.calls - without.verification.calls


def test_predict_requests_are_replayed_twice_each(tmp_path):
    assert _calls("warmup", tmp_path, made.predict(x=_ROWS), made.predict("serving_default", x=_ROWS)) == 4


def test_requests_with_examples_are_replayed(tmp_path):
    example = made.example(a=(1.0,), b=(2.0, 3.0))
    given = made.examples(example, example)
    keys = _keys("estimator_custom")
    logs = (
        made.classify(given, keys["classify"]),
        made.regress(made.examples(example, context=made.example(c=(b"x",))), keys["regress"]),
        made.multi_inference(given, (keys["classify"], "classify"), (keys["regress"], "regress")),
    )
    without = _convert(_model(tmp_path / "without", "estimator_custom"), tmp_path / "a")
    report = _convert(_model(tmp_path / "with", "estimator_custom", *logs), tmp_path / "b")
    assert isinstance(report.outcome, Converted)
    replayed = report.verification.calls - without.verification.calls
    # The examples may lack what the model parses; then the source says so itself.
    assert replayed + 2 * len(_not_replayed(report)) == 8
    assert all("the source itself ends in InvalidArgumentError" in line for line in _not_replayed(report))


def _keys(name):
    saved = SavedModel.FromString((MODELS / name / "saved_model.pb").read_bytes())
    found = {}
    for key, signature in saved.meta_graphs[0].signature_def.items():
        if any(info.dtype == made.STRING for info in signature.inputs.values()):
            found.setdefault(signature.method_name.rpartition("/")[2], key)
    return found


def test_what_the_source_does_not_answer_is_a_note(tmp_path):
    log = made.predict("bad", x=made.tensor(made.FLOAT, (3,), bytes(12)))
    report = _convert(_model(tmp_path, "unfed_placeholder", log), tmp_path, drop_signatures=True, allow_unverified=True)
    assert isinstance(report.outcome, Converted)
    assert len(_not_replayed(report)) == 1
    assert _not_replayed(report)[0].startswith(f"not replayed: {WARM_UP}: record 0")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"no record", "no TFRecord file"),
        (made.file(made.predict(x=_ROWS))[:-2], "the file ends inside of it"),
        (made.file(made.predict("gone", x=_ROWS)), "unknown signature 'gone'"),
        (made.file(made.predict(x=made.floats((1, 2)))), "expected shape"),
    ],
)
def test_what_is_wrong_with_the_file_is_a_note(content, reason, tmp_path):
    report = _convert(_model(tmp_path, "warmup", content=content), tmp_path)
    assert isinstance(report.outcome, Converted)
    (told,) = _not_replayed(report)
    assert reason in told


def test_the_users_calls_do_not_take_their_place(tmp_path):
    np.savez(tmp_path / "calls.npz", x=np.float32([[1, 2, 3]]))
    model = _model(tmp_path, "warmup", made.predict(x=_ROWS))
    report = _convert(model, tmp_path, inputs=str(tmp_path / "calls.npz"))
    assert report.verification.calls == 4


def test_inputs_takes_the_file_of_a_model(tmp_path):
    model = _model(tmp_path, "simple_save")
    report = _convert(model, tmp_path, inputs=str(MODELS / "warmup" / _FILE))
    assert isinstance(report.outcome, Converted)
    assert report.verification.calls == 4


def test_inputs_takes_requests_that_name_tensors_and_those_of_some_outputs(tmp_path):
    """The tensors keep their names, as those do that the model's own requests name."""
    file, all_of, some_of = (tmp_path / name for name in ("named.tfrecord", "all.tfrecord", "some.tfrecord"))
    tokens = made.tensor(made.STRING, (2,), strings=(b"cat", b"the"))
    all_of.write_bytes(made.file(made.predict(tokens=tokens)))
    some_of.write_bytes(made.file(made.predict(output_filter=("ids",), tokens=tokens)))
    file.write_bytes(
        made.file(
            made.predict(output_filter=("ids",), tokens=tokens),
            made.session_run({"tokens:0": tokens}, ("embedding_lookup/Identity:0",)),
        )
    )
    reports = {}
    for path in (all_of, some_of, file):
        model = _model(tmp_path / path.stem, "vocabulary")
        reports[path] = _convert(model, tmp_path / path.stem, inputs=str(path), allow_unverified=True)
        assert isinstance(reports[path].outcome, Converted), reports[path].outcome
    compared = {path.stem: report.verification.compared for path, report in reports.items()}
    # One call, twice, on three ways of loading, of two outputs or one; and one way of asking by tensors, twice.
    assert compared["all"] == 2 * compared["some"]
    assert compared["named"] == compared["some"] + 2
    assert "tokens" in _names(tmp_path / "named" / "new")
    assert "tokens" not in _names(tmp_path / "some" / "new")


def _names(path):
    return {n.name for n in SavedModel.FromString((path / "saved_model.pb").read_bytes()).meta_graphs[0].graph_def.node}


def _run(fetches=("y:0",), targets=()):
    return made.session_run({"x:0": _ROWS}, fetches, targets)


def test_a_request_that_names_tensors_keeps_their_names_and_is_replayed(tmp_path):
    model = _model(tmp_path, "warmup", _run())
    report = _convert(model, tmp_path)
    assert isinstance(report.outcome, Converted)
    assert _not_replayed(report) == []
    assert {"x", "y"} <= _names(tmp_path / "new")
    plain = _convert(_model(tmp_path / "plain", "warmup"), tmp_path / "other")
    # One way of asking, twice.
    assert report.verification.compared - plain.verification.compared == 2


def test_only_the_named_tensors_keep_their_names(tmp_path):
    model = _model(tmp_path, "training", made.session_run({"x:0": _ROWS}, ()))
    migrate.convert(str(model), str(tmp_path / "some"), Options(verify=False))
    migrate.convert(str(MODELS / "training"), str(tmp_path / "none"), Options(verify=False))
    migrate.convert(str(model), str(tmp_path / "all"), Options(verify=False, keep_tensor_names=True))
    source, none, some, every = (
        _names(path) for path in (model, *(tmp_path / name for name in ("none", "some", "all")))
    )
    assert (some - none) & source == {"x"}
    assert (every - none) & source > {"x"}


@pytest.mark.parametrize(
    ("log", "reason"),
    [
        (_run(("MatMul:0",)), "the new main graph has no tensor 'MatMul:0'"),
        (_run(targets=("y",)), "it runs 'y'"),
        (_run(("nowhere:0",)), "has no tensor 'nowhere:0'"),
    ],
)
def test_a_name_that_cannot_be_kept_is_a_note(log, reason, tmp_path):
    report = _convert(_model(tmp_path, "warmup", log), tmp_path)
    assert isinstance(report.outcome, Converted)
    (told,) = _not_replayed(report)
    assert reason in told and "record 0 (SessionRun)" in told


def test_a_candidate_without_the_names_differs(tmp_path):
    model = _model(tmp_path, "warmup", _run())
    content = (model / _FILE).read_bytes()
    (model / _FILE).unlink()
    migrate.convert(str(model), str(tmp_path / "new"), Options(verify=False))
    (model / _FILE).write_bytes(content)
    (tmp_path / "new" / "assets.extra").mkdir(exist_ok=True)
    (tmp_path / "new" / _FILE).write_bytes(content)
    report = migrate.validate(str(tmp_path / "new"), against=str(model)).models[0]
    assert isinstance(report.outcome, Mismatched)
    assert {m.signature for m in report.verification.mismatches} == {"SessionRun record 0"}


def test_audit_reads_no_requests_that_it_needs_not(tmp_path):
    report = migrate.audit(str(_model(tmp_path, "warmup", content=b"no record"))).models[0]
    assert report.ok
