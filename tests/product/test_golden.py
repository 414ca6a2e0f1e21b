"""A new model against the answers of the machine where the old one lives: convert, validate, and what is wrong."""

from __future__ import annotations

import dataclasses
import json
import pathlib
import shutil

import numpy as np
import pytest

import migrate
from migrate.errors import InputError, UsageError
from migrate.records import Converted, Failed, Mismatched, Options, Unchanged, Unverified, Validated
from migrate.report.json import to_document
from migrate.verify.golden import Recorded, load_golden, save_golden
from tests.conversions import MODELS, ROOT
from tests.verify.old_pythons import OLD

_SOURCE, _GOLDEN = OLD / "tf14" / "scorer", OLD / "tf14" / "golden.npz"


@pytest.fixture(scope="module")
def new(tmp_path_factory):
    """What TensorFlow 1.4.1 exported, converted and compared with what it answered; and the report."""
    directory = tmp_path_factory.mktemp("golden") / "new"
    (report,) = migrate.convert(_SOURCE, directory, Options(golden=str(_GOLDEN))).models
    return directory, report


def _changed(tmp_path, change):
    """The golden file, changed."""
    recorded: Recorded = change(load_golden(str(_GOLDEN)))
    save_golden(recorded, str(tmp_path / "golden.npz"))
    return str(tmp_path / "golden.npz")


def _wrong(recorded):
    """Other scores in one answer."""
    answers = list(recorded.answers)
    scores = np.array(answers[0].outputs["scores"])
    scores[0, 0] += 0.001
    answers[0] = dataclasses.replace(answers[0], outputs={**answers[0].outputs, "scores": scores})
    return dataclasses.replace(recorded, answers=tuple(answers), again=tuple(answers))


def _of_nobody(recorded):
    return dataclasses.replace(recorded, model=None)


def _validated(candidate, golden, **options):
    (report,) = migrate.validate(candidate, options=Options(golden=golden, **options)).models
    return report


@pytest.mark.tensorflow
def test_convert_compares_with_the_source_and_with_the_file(new):
    _, report = new
    assert isinstance(report.outcome, Converted) and report.verification.passed
    golden = report.verification.golden
    assert (golden.file, golden.by, golden.calls) == (str(_GOLDEN), "TensorFlow 1.4.1", 8)
    assert {(o.signature, o.output) for o in golden.outputs} == {
        ("serving_default", "scores"),
        ("serving_default", "best"),
        ("serving_default", "label"),
        ("examples", "scores"),
        ("count", "calls"),
    }
    assert all(o.equal or (o.output == "scores" and o.relative < 1e-5) for o in golden.outputs)
    assert report.verification.variables_compared == 7  # With the source, which answers here, too.


@pytest.mark.tensorflow
def test_the_report_has_the_largest_difference_of_each_output(new):
    _, report = new
    document = json.loads(json.dumps(to_document(migrate.Report((report,)))))
    golden = document["models"][0]["verification"]["golden"]
    assert (golden["max_absolute"], golden["max_relative"]) == (1e-6, 1e-4)
    assert len(golden["outputs"]) == 5 and {"largest", "relative", "equal"} <= golden["outputs"][0].keys()


@pytest.mark.tensorflow
def test_validate_with_the_file_alone(new):
    report = _validated(new[0], str(_GOLDEN))
    assert isinstance(report.outcome, Validated) and report.findings == ()
    assert (report.source, report.destination) == (str(_GOLDEN), str(new[0]))
    assert report.verification.calls == 8 and report.verification.golden.by == "TensorFlow 1.4.1"


@pytest.mark.tensorflow
def test_a_wrong_answer_is_a_mismatch_and_nothing_is_published(new, tmp_path):
    golden = _changed(tmp_path, _wrong)
    report = _validated(new[0], golden)
    assert isinstance(report.outcome, Mismatched)
    assert {(m.code, m.signature, m.output, m.call) for m in report.verification.breaking} == {
        ("golden-answer-differs", "serving_default", "scores", 0)
    }
    assert isinstance(_validated(new[0], golden, max_relative=0.01).outcome, Validated)
    (report,) = migrate.convert(_SOURCE, tmp_path / "new", Options(golden=golden)).models
    assert isinstance(report.outcome, Mismatched) and not (tmp_path / "new").exists()


@pytest.mark.tensorflow
def test_a_signature_without_call_is_unverified(new, tmp_path):
    def fewer(recorded):
        kept = [n for n, call in enumerate(recorded.calls) if call.signature != "examples"]
        parts = {part: tuple(getattr(recorded, part)[n] for n in kept) for part in ("calls", "answers", "again")}
        return dataclasses.replace(recorded, **parts)

    golden = _changed(tmp_path, fewer)
    report = _validated(new[0], golden)
    assert isinstance(report.outcome, Unverified)
    assert report.verification.unverified == {"examples": "the golden file has no call of it"}
    # The source answers here, and is compared in any case.
    (report,) = migrate.validate(new[0], against=_SOURCE, options=Options(golden=golden)).models
    assert isinstance(report.outcome, Validated)


@pytest.mark.tensorflow
def test_a_file_that_does_not_say_of_which_model_it_is(new, tmp_path):
    report = _validated(new[0], _changed(tmp_path, _of_nobody))
    assert isinstance(report.outcome, Validated)
    assert [finding.code for finding in report.findings] == ["golden-model-unknown"]


@pytest.mark.tensorflow
def test_a_source_that_gives_no_answers_here(tmp_path, monkeypatch):
    """As of a model that needs a GPU: its calls take longer than they may."""
    from migrate.model import session_answers
    from migrate.records import TimedOut

    monkeypatch.setattr(session_answers.SessionAnswers, "golden", lambda *_: TimedOut("golden", 600.0))
    found = {}
    for name, golden in (("with", str(_GOLDEN)), ("without", None)):
        from migrate.model.jobs import convert_model
        from migrate.model.messages import ConvertJob
        from migrate.processes.nursery import Nursery

        with Nursery() as nursery:
            job = ConvertJob(str(_SOURCE), str(tmp_path / name), Options(golden=golden))
            found[name] = convert_model(job, nursery, lambda _: None)
    assert isinstance(found["without"].outcome, TimedOut)
    report = found["with"]
    assert isinstance(report.outcome, Converted) and report.verification.passed
    assert "golden-file-alone" in {finding.code for finding in report.findings}
    assert report.verification.calls == 8 and report.verification.structure.outputs == 5


@pytest.mark.tensorflow
def test_an_op_that_only_the_old_machine_has(tmp_path):
    """No runtime here answers for the source: the file does. Without it nothing shows that the new model is right."""
    source, golden = OLD / "tf112" / "buckets", str(OLD / "tf112" / "buckets.npz")
    (report,) = migrate.convert(source, tmp_path / "new", Options(golden=golden)).models
    assert isinstance(report.outcome, Converted) and report.verification.passed
    assert report.verification.golden.by == "TensorFlow 1.12.3"
    assert [(o.output, o.equal) for o in report.verification.golden.outputs] == [("y", True)]
    assert "golden-file-alone" in {finding.code for finding in report.findings}
    (report,) = migrate.validate(tmp_path / "new", against=source, options=Options(golden=golden)).models
    assert isinstance(report.outcome, Validated)

    def wrong(recorded):
        answers = tuple(dataclasses.replace(a, outputs={"y": a.outputs["y"] + 1}) for a in recorded.answers)
        return dataclasses.replace(recorded, answers=answers, again=answers)

    save_golden(wrong(load_golden(golden)), str(tmp_path / "golden.npz"))
    (report,) = migrate.convert(source, tmp_path / "other", Options(golden=str(tmp_path / "golden.npz"))).models
    assert isinstance(report.outcome, Mismatched) and not (tmp_path / "other").exists()


@pytest.mark.tensorflow
def test_a_tree_whose_config_names_a_file_for_each(tmp_path):
    for name in ("tf14", "tf18"):
        shutil.copytree(OLD / name / "scorer", tmp_path / "models" / name)
    config = tmp_path / "migrate.toml"
    config.write_text(
        "".join(f'[models.{name}]\ngolden = "{OLD / given / "golden.npz"}"\n' for name, given in _SWAPPED.items())
    )
    report = migrate.convert(tmp_path / "models", tmp_path / "new", Options(config=str(config), jobs=1))
    ended = {pathlib.Path(model.source).name: model for model in report.models}
    assert isinstance(ended["tf14"].outcome, Converted) and ended["tf14"].verification.golden.calls == 8
    assert isinstance(ended["tf18"].outcome, Failed) and "of another model" in ended["tf18"].outcome.reason


_SWAPPED = {"tf14": "tf14", "tf18": "tf112"}


@pytest.mark.slow
@pytest.mark.tensorflow
def test_a_keras_file(tmp_path):
    """Recorded by Keras; the new model gives the same answers through its signature."""
    file = ROOT / "testdata" / "keras" / "functional" / "model.h5"
    golden = tmp_path / "golden.npz"
    migrate.record(file, golden)
    (report,) = migrate.convert(file, tmp_path / "new", Options(golden=str(golden))).models
    assert isinstance(report.outcome, Converted), report.outcome
    assert report.verification.golden.outputs and report.verification.golden.unverified == {}


@pytest.mark.tensorflow
def test_a_tf2_model_that_is_copied_is_compared_first(new, tmp_path):
    (report,) = migrate.convert(new[0], tmp_path / "copy", Options(golden=_recorded(new[0], tmp_path))).models
    assert isinstance(report.outcome, Unchanged) and report.verification.passed
    golden = _changed(tmp_path, lambda _: _wrong(load_golden(str(tmp_path / "recorded.npz"))))
    (report,) = migrate.convert(new[0], tmp_path / "other", Options(golden=golden)).models
    assert isinstance(report.outcome, Mismatched) and not (tmp_path / "other").exists()


def _recorded(model: pathlib.Path, tmp_path: pathlib.Path) -> str:
    output = str(tmp_path / "recorded.npz")
    migrate.record(model, output, Options(inputs=str(OLD / "calls.json")))
    return output


# What is wrong with a file is wrong use, before anything is written or run: no TensorFlow.


@pytest.fixture
def broken(tmp_path):
    """Golden files that are none, by what is wrong with them."""
    found = {"truncated": tmp_path / "cut.npz", "pickles": tmp_path / "pickles.npz", "text": tmp_path / "text.npz"}
    found["truncated"].write_bytes(_GOLDEN.read_bytes()[:-200])
    with np.load(_GOLDEN) as file:
        arrays = dict(file)
    np.savez(found["pickles"], **{**arrays, "0": np.array([{}], object)})
    found["text"].write_text("{}")
    found["of another model"] = OLD / "tf18" / "golden.npz"
    found["absent"] = tmp_path / "absent.npz"
    return found


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("truncated", "no .npz, or cut short"),
        ("pickles", "holds Python objects, which are not loaded"),
        ("text", "no .npz, or cut short"),
        ("of another model", "golden answers of another model: of a saved_model.pb with SHA-256"),
        ("absent", "no such file; --golden takes"),
    ],
)
def test_a_file_that_is_wrong(name, said, broken, tmp_path):
    for run in (
        lambda options: migrate.convert(_SOURCE, tmp_path / "new", options),
        lambda options: migrate.validate(tmp_path / "new", against=_SOURCE, options=options),
    ):
        with pytest.raises(InputError) as caught:
            run(Options(golden=str(broken[name])))
        assert said in str(caught.value) and "\n" not in str(caught.value) and str(broken[name]) in str(caught.value)
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("name", ["variables/variables.index", "assets/words.txt"])
def test_other_weights_or_assets_are_another_model(name, tmp_path):
    def change(recorded):
        files = {**recorded.model.files, name: "00"}
        assert files.keys() == recorded.model.files.keys()
        return dataclasses.replace(recorded, model=dataclasses.replace(recorded.model, files=files))

    with pytest.raises(InputError, match=f"another model: its {name} has other bytes"):
        migrate.convert(_SOURCE, tmp_path / "new", Options(golden=_changed(tmp_path, change)))


def test_a_file_may_not_lead_out_of_the_model(tmp_path):
    """The names of files that it has digests of are its own words."""
    (tmp_path / "secret").write_text("a")
    shutil.copytree(_SOURCE, tmp_path / "model")

    def change(recorded):
        model = dataclasses.replace(recorded.model, files={"../secret": "00", str(tmp_path / "secret"): "00"})
        return dataclasses.replace(recorded, model=model)

    from migrate.model.jobs import check_golden

    check_golden(str(tmp_path / "model"), Options(golden=_changed(tmp_path, change)), None)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"verify": "none"}, "--golden makes calls, --verify=none makes none"),
        ({"verify": "proof"}, "--golden makes calls, --verify=proof makes none"),
        ({"all_tags": True}, "has the answers of one model"),
    ],
)
def test_options_that_do_not_go_together(options, said, tmp_path):
    with pytest.raises(UsageError, match=said):
        migrate.convert(_SOURCE, tmp_path / "new", Options(golden=str(_GOLDEN), **options))


def test_a_config_that_names_a_file_that_is_not_there(tmp_path):
    shutil.copytree(_SOURCE, tmp_path / "models" / "tf14")
    config = tmp_path / "migrate.toml"
    config.write_text('[models.tf14]\ngolden = "absent.npz"\n')
    with pytest.raises(InputError, match=r'\[models\."tf14"\] golden: .*absent\.npz: no such file; --golden takes'):
        migrate.convert(tmp_path / "models", tmp_path / "new", Options(config=str(config)))
    assert not (tmp_path / "new").exists()


def test_a_tree(tmp_path):
    with pytest.raises(UsageError, match="is a tree of models"):
        migrate.convert(MODELS, tmp_path / "new", Options(golden=str(_GOLDEN)))
    with pytest.raises(InputError, match="is of one model"):
        migrate.validate(MODELS, options=Options(golden=str(_GOLDEN)))
    with pytest.raises(UsageError, match="needs `against`"):
        migrate.validate(MODELS / "alias")


def test_a_candidate_of_tensorflow_1():
    with pytest.raises(InputError, match="is not a TF2 SavedModel; validate takes the new model"):
        migrate.validate(_SOURCE, options=Options(golden=str(_GOLDEN)))


@pytest.mark.parametrize("name", ["max_absolute", "max_relative"])
def test_bounds_are_no_less_than_nothing(name):
    with pytest.raises(UsageError, match="a number, 0 or more"):
        Options(**{name: -1.0})
