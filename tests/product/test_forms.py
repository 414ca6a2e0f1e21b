"""Models that are no SavedModels: each is converted and asked the same as a TF1 Session on its files."""

from __future__ import annotations

import dataclasses
import json
import pickle
import shutil
from typing import Any

import numpy as np
import pytest

import migrate
from migrate.graph.protos import SavedModel
from migrate.model.jobs import convert_model, validate_model
from migrate.model.messages import ConvertJob, ValidateJob
from migrate.processes.nursery import Nursery
from migrate.records import Converted, Kind, Options, Validated
from migrate.signature_flag import parse_signature
from tests.conversions import ROOT, migrate_command, run_child, same

FORMS = ROOT / "testdata" / "forms"
_X = np.array([[1.0, -2.0, 0.5], [0.25, 3.0, -1.0]], np.float32)
_WORDS = np.array([b"b", b"z", b"a"], object)
_LINEAR = "predict:inputs=x=x:0;outputs=y=y:0"


@dataclasses.dataclass(frozen=True)
class Case:
    """One model of a form.

    Attributes:
      path: below `forms/`.
      load: how a TF1 Session loads it, see `form_answers.py`; paths below `forms/`.
      kind: what it is.
      key: of the signature that is called.
      feeds: (argument, tensor name, value) of the call.
      fetches: (result, tensor name) pairs.
      flag: the signature as it is given, or empty where the model has it.
    """

    path: str
    load: tuple[str, ...]
    kind: Kind
    key: str
    feeds: tuple[tuple[str, str, Any], ...]
    fetches: tuple[tuple[str, str], ...]
    flag: str = ""


def _linear(path: str, *load: str, kind: Kind = Kind.CHECKPOINT_META) -> Case:
    return Case(path, load, kind, "predict", (("x", "x:0", _X),), (("y", "y:0"),), _LINEAR)


_META, _GRAPH = Kind.CHECKPOINT_META, Kind.FROZEN_GRAPH
CASES = {
    "state file": _linear("saver_steps", "meta", "saver_steps/model.ckpt-5.meta", "saver_steps/model.ckpt-5"),
    "prefix": _linear(
        "saver_steps/model.ckpt-10", "meta", "saver_steps/model.ckpt-10.meta", "saver_steps/model.ckpt-10"
    ),
    "meta file": _linear(
        "saver_steps/model.ckpt-10.meta", "meta", "saver_steps/model.ckpt-10.meta", "saver_steps/model.ckpt-10"
    ),
    "no state file": _linear("saver_no_state", "meta", "saver_no_state/model-10.meta", "saver_no_state/model-10"),
    "empty prefix": _linear("saver_empty_prefix", "meta", "saver_empty_prefix/.meta", "saver_empty_prefix/"),
    "table": Case(
        "saver_tables",
        ("meta", "saver_tables/model.meta", "saver_tables/model"),
        _META,
        "embed",
        (("tokens", "tokens:0", _WORDS),),
        (("vectors", "vectors:0"),),
        "embed:inputs=tokens:0;outputs=vectors",
    ),
    "own signatures": Case(
        "saver_signatures",
        ("meta", "saver_signatures/model.meta", "saver_signatures/model"),
        _META,
        "double",
        (("x", "x:0", _X),),
        (("y", "y:0"),),
    ),
    "V1": _linear("saver_v1", "meta", "saver_v1/model.ckpt.meta", "saver_v1/model.ckpt"),
    "V1, sharded": Case(
        "saver_v1_sharded",
        ("meta", "saver_v1_sharded/model.ckpt.meta", "saver_v1_sharded/model.ckpt-?????-of-00002"),
        _META,
        "predict",
        (("x", "x:0", np.arange(8, dtype=np.float32).reshape(2, 4)),),
        (("y", "y:0"),),
        _LINEAR,
    ),
    "SessionBundle, classify": Case(
        "session_bundle",
        ("bundle", "session_bundle"),
        Kind.SESSION_BUNDLE,
        "serving_default",
        (("inputs", "words:0", _WORDS),),
        (("classes", "classes:0"), ("scores", "scores:0")),
    ),
    "SessionBundle, named": Case(
        "session_bundle",
        ("bundle", "session_bundle"),
        Kind.SESSION_BUNDLE,
        "predict",
        (("words", "words:0", _WORDS),),
        (("value", "value:0"),),
    ),
    "SessionBundle, regress": Case(
        "session_bundle",
        ("bundle", "session_bundle"),
        Kind.SESSION_BUNDLE,
        "sum",
        (("inputs", "words:0", _WORDS),),
        (("outputs", "value:0"),),
    ),
    "frozen": _linear("frozen", "graph", "frozen/frozen.pb", kind=_GRAPH),
    "frozen file": _linear("frozen/frozen.pb", "graph", "frozen/frozen.pb", kind=_GRAPH),
    "frozen text": _linear("frozen_text", "graph", "frozen_text/a_graph", kind=_GRAPH),
    "frozen table": Case(
        "frozen_table",
        ("graph", "frozen_table/graph.pb"),
        _GRAPH,
        "serving_default",
        (("tokens", "tokens:0", _WORDS),),
        (("next", "next:0"), ("lengths", "lengths:0")),
        "serving_default:inputs=tokens=tokens:0;outputs=next=next:0,lengths=lengths:0",
    ),
}
every_case = pytest.mark.parametrize("name", CASES)


def _options(case: Case, **given: Any) -> Options:
    signatures = (parse_signature(case.flag),) if case.flag else ()
    return Options(signature=signatures, **given)


def _ask(job: dict[str, Any], work) -> dict[str, Any]:
    file = work / "job.pickle"
    file.write_bytes(pickle.dumps(job))
    run_child([str(ROOT / "tests" / "form_answers.py"), str(file)])
    return pickle.loads((work / "job.pickle.answers").read_bytes())


@pytest.fixture(scope="module")
def reports(nursery: Nursery, tmp_path_factory):
    """Each case converted with its verification, and the models."""
    work = tmp_path_factory.mktemp("forms")
    copy = work / "forms"
    shutil.copytree(FORMS, copy)
    found = {
        name: convert_model(
            ConvertJob(str(copy / case.path), str(work / "new" / name), _options(case)), nursery, lambda _: None
        )
        for name, case in CASES.items()
    }
    # What the new models hold on to must be in them.
    shutil.rmtree(copy)
    return work / "new", found


@pytest.fixture(scope="module")
def answers(reports, tmp_path_factory):
    new, _ = reports
    job: dict[str, Any] = {}
    for name, case in CASES.items():
        kind, *paths = case.load
        load = (kind, *(f"{FORMS}/{path}" for path in paths))
        calls = ({tensor: value for _, tensor, value in case.feeds}, [tensor for _, tensor in case.fetches])
        job[f"{name}, old"] = (load, [calls])
        calls = ({argument: value for argument, _, value in case.feeds}, [result for result, _ in case.fetches])
        job[f"{name}, new"] = (("tf2", str(new / name), case.key), [calls])
    return _ask(job, tmp_path_factory.mktemp("answers"))


@pytest.mark.tensorflow
@every_case
def test_it_is_converted_and_verified(name, reports):
    report = reports[1][name]
    assert isinstance(report.outcome, Converted), (report.outcome, report.findings)
    assert report.kind is CASES[name].kind
    assert report.verification.passed and report.verification.bitwise_equal
    assert not report.verification.skipped


@pytest.mark.tensorflow
@every_case
def test_it_answers_as_a_session_on_its_files(name, answers):
    old, new = answers[f"{name}, old"], answers[f"{name}, new"]
    assert not isinstance(old, str), old
    assert not isinstance(new, str), new
    for result, tensor in CASES[name].fetches:
        expected, found = np.asarray(old[0][tensor]), new[0][result]
        assert expected.size
        assert same(expected, found), (result, expected, found)


@pytest.mark.tensorflow
def test_the_steps_have_different_weights(answers):
    """Else the choice of a step would not show."""
    five, ten = (answers[f"{name}, old"][0]["y:0"] for name in ("state file", "prefix"))
    assert not same(five, ten)


@pytest.mark.tensorflow
def test_signatures_of_a_session_bundle_keep_their_methods(reports):
    (facts,) = reports[1]["SessionBundle, classify"].meta_graphs
    methods = {s.key: s.method_name.rpartition("/")[2] for s in facts.signatures}
    assert methods == {"serving_default": "classify", "predict": "predict", "sum": "regress"}


@pytest.mark.tensorflow
@pytest.mark.parametrize("name", ["V1, sharded", "SessionBundle, classify", "frozen"])
def test_validate_judges_by_the_form_itself(name, reports, nursery):
    case = CASES[name]
    new = str(reports[0] / name)
    report = validate_model(ValidateJob(new, str(FORMS / case.path), _options(case)), nursery, lambda _: None)
    assert isinstance(report.outcome, Validated), report.outcome
    other = str(reports[0] / ("frozen" if name != "frozen" else "table"))
    report = validate_model(ValidateJob(other, str(FORMS / case.path), _options(case)), nursery, lambda _: None)
    assert not isinstance(report.outcome, Validated)


@pytest.mark.tensorflow
def test_a_signature_is_added_to_a_saved_model(nursery, tmp_path):
    model = str(ROOT / "testdata" / "models" / "simple_save")
    (facts,) = migrate.audit(model).models[0].meta_graphs
    (signature,) = facts.signatures
    inputs = ",".join(f"{name}={spec.name}" for name, spec in signature.inputs.items())
    relu = next(iter(signature.outputs.values())).name
    flag = parse_signature(f"features:inputs={inputs};outputs=inner={relu}")
    report = convert_model(
        ConvertJob(model, str(tmp_path / "new"), Options(signature=(flag,))), nursery, lambda _: None
    )
    assert isinstance(report.outcome, Converted), report.findings
    assert {s.key for s in report.meta_graphs[0].signatures} == {signature.key, "features"}
    assert not report.verification.skipped and report.verification.passed


@pytest.mark.tensorflow
def test_every_tag_set_to_a_directory_of_its_own(tmp_path):
    source = ROOT / "testdata" / "models" / "estimator_all_modes"
    report = migrate.convert(str(source), str(tmp_path / "new"), Options(all_tags=True, verify=False))
    assert {m.destination for m in report.models} == {str(tmp_path / "new" / tag) for tag in ("serve", "train", "eval")}
    assert all(isinstance(m.outcome, Converted) for m in report.models)
    methods = {m.meta_graphs[0].tags: {s.method_name for s in m.meta_graphs[0].signatures} for m in report.models}
    assert "tensorflow/supervised/training" in methods["train",]
    assert "tensorflow/supervised/eval" in methods["eval",]
    for tag in ("serve", "train", "eval"):
        model = SavedModel.FromString((tmp_path / "new" / tag / "saved_model.pb").read_bytes())
        assert list(model.meta_graphs[0].meta_info_def.tags) == [tag]


def test_one_tag_set_or_every_one():
    done = migrate_command("convert", "a", "b", "--all_tags", "--tags=serve")
    assert done.returncode == 2 and "give one of the two" in done.stderr


def test_the_report_shows_flags_to_copy_in_one_line():
    done = migrate_command("audit", FORMS / "saver_tables", COLUMNS="40")
    assert done.returncode == 1
    assert (
        "  --signature='serving_default:inputs=tokens=tokens:0;outputs=Reshape_1=vectors/Reshape_1:0'\n" in done.stdout
    )
    flag = json.loads(migrate_command("audit", FORMS / "saver_tables", "--format=json").stdout)["models"][0]
    assert flag["proposed_signatures"] == [
        "serving_default:inputs=tokens=tokens:0;outputs=Reshape_1=vectors/Reshape_1:0"
    ]


def test_a_signature_of_a_tensor_that_is_not_there_lists_near_matches():
    done = migrate_command("audit", FORMS / "frozen", "--signature=s:inputs=x;outputs=yy")
    assert done.returncode == 1
    assert "signature-tensor-missing" in done.stdout and "near matches: y:0" in done.stdout


@pytest.mark.tensorflow
def test_a_tree_of_graphs_is_converted_by_what_audit_proposes(tmp_path):
    tree = tmp_path / "tree"
    for name in ("frozen", "saver_steps"):
        shutil.copytree(FORMS / name, tree / name)
    report = migrate.convert(str(tree), str(tmp_path / "new"), Options(take_proposals=True))
    assert [type(model.outcome) for model in report.models] == [Converted, Converted]
    for model in report.models:
        assert model.verification.passed
        assert "signature-proposed" in {finding.code for finding in model.findings}
        # The same choice is made when the new model is held against its source later.
        again = migrate.validate(model.destination, against=model.source, options=Options(take_proposals=True))
        assert isinstance(again.models[0].outcome, Validated)
