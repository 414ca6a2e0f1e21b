"""What is decided of each model of a fleet: by the command line, a config, the journal, and what audit proposes."""

from __future__ import annotations

import dataclasses
import json
import os
import pathlib
import shutil

import pytest

import migrate
from migrate.cli import main
from migrate.config import ConfigTable
from migrate.errors import InputError
from migrate.feed_flag import parse_feed
from migrate.fleet import journal
from migrate.fleet.journal import read_journal
from migrate.graph.protos import SavedModel
from migrate.records import (
    Convertible,
    ModelOptions,
    ModelReport,
    Options,
    Severity,
    outcome_name,
)
from migrate.report.buckets import buckets, first_code
from migrate.signature_flag import parse_signature
from tests.conversions import MODELS, ROOT
from tests.fleet.conftest import one_time  # noqa: F401 (for every test)
from tests.fleet.trees import UNVERIFIED, convert, make, told

FORMS = ROOT / "testdata" / "forms"
_LINEAR = "serving_default:inputs=x=x:0;outputs=y=y:0"
_TREE = ("good=simple_save", "bad=unknown_op", "fed=unfed_training")


@pytest.fixture
def tree(tmp_path: pathlib.Path) -> pathlib.Path:
    """One model of each bucket, one without weights, and one that only drops a signature."""
    made = make(tmp_path / "tree", (*_TREE, "two=unfed_placeholder"))
    shutil.copytree(FORMS / "saver_steps", made / "graph")
    shutil.copytree(FORMS / "saver_steps", made / "lost")
    for file in (made / "lost").iterdir():
        if ".data-" in file.name:
            file.unlink()
    return made


def _audit(*arguments: object) -> migrate.Report:
    return migrate.audit(*map(str, arguments[:1]), *arguments[1:])


def _by_name(report: migrate.Report, tree: pathlib.Path) -> dict[str, ModelReport]:
    return {os.path.relpath(model.source, tree): model for model in report.models}


# Audit decides.


def test_each_model_is_in_one_bucket_and_its_worst_finding_comes_first(tree):
    report = _audit(tree)
    models = _by_name(report, tree)
    found = buckets(report.models)
    assert [os.path.relpath(m.source, tree) for m in found.ready] == ["good", "two"]
    flagged = {group.flags: [os.path.relpath(m.source, tree) for m in group.models] for group in found.flagged}
    assert flagged == {("--take_proposals",): ["fed", "graph"]}
    assert {case.code: [os.path.relpath(m.source, tree) for m in case.models] for case in found.blocked} == {
        "unknown-op": ["bad"],
        "checkpoint-shard-missing": ["lost"],  # Not no-signature, for which there is a proposal.
    }
    assert first_code(models["lost"]) == "checkpoint-shard-missing"
    assert "no-signature" in {finding.code for finding in models["lost"].findings}
    assert models["graph"].proposed == ModelOptions(signature=(parse_signature(_LINEAR),))
    assert models["fed"].proposed == ModelOptions(
        feed=(parse_feed("is_training:0=false"), parse_feed("keep_prob:0=1.0"))
    )
    assert not report.ok


@pytest.mark.parametrize("jobs", [1, 2])
def test_what_audit_proposes_makes_ready_what_it_says(tree, tmp_path, jobs):
    for model in (tree / "bad", tree / "lost"):
        shutil.rmtree(model)
    options = Options(jobs=jobs)
    report = _audit(tree, options)
    assert not report.ok
    assert _audit(tree, dataclasses.replace(options, take_proposals=True)).ok
    file = str(tmp_path / "migrate.toml")
    migrate.write_config(str(tree), report, file)
    assert _audit(tree, dataclasses.replace(options, config=file)).ok


# The config of a command.


def _config(tmp_path: pathlib.Path, text: str) -> str:
    file = tmp_path / "migrate.toml"
    file.write_text(text)
    return str(file)


def test_every_model_has_its_own_options(tree, tmp_path):
    text = f"""
        [models."*"]
        feed = ["keep_prob:0=1.0", "is_training:0=false"]
        [models.graph]
        signature = '{_LINEAR}'
        [models.bad]
        expect = "refused: unknown-op"
        [models.lost]
        expect = "refused: no-signature"
    """
    report = _audit(tree, Options(config=_config(tmp_path, text)))
    models = _by_name(report, tree)
    assert report.ok
    assert {name: outcome_name(model.outcome) for name, model in models.items()} == {
        "bad": "refused",
        "fed": "convertible",
        "good": "convertible",
        "graph": "convertible",
        "lost": "refused",
        "two": "convertible",
    }
    assert [name for name, model in models.items() if model.expected] == ["bad", "lost"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('[models."god"]', "\"god\"] matches no model; did you mean 'good'?"),
        ('[models."xyz*"]', '"xyz*"] matches no model; models are bad, fed, good, ...'),
        ('[models."god"]\n[models."xyz"]', "matches no model (nor do 1 others)"),
        ("[models.good]\ninputs = 'none.json'", '"good"] inputs: '),
    ],
)
@pytest.mark.parametrize("command", ["audit", "convert", "config"])
def test_a_wrong_config_is_told_before_anything_is_done(command, text, expected, tree, tmp_path, capsys):
    file = _config(tmp_path, text)
    new = tmp_path / "new"
    operands = [str(tree), str(new)] if command == "convert" else [str(tree)]
    assert main(["migrate", command, *operands, f"--config={file}"]) == 2
    out, err = capsys.readouterr()
    assert (out, len(err.splitlines())) == ("", 1)
    assert expected in err
    assert not new.exists()


def test_a_known_refusal_that_is_gone_is_reported_and_no_failure(tree, tmp_path, capsys):
    file = _config(tmp_path, "[models.'g*']\nexpect = 'refused: unknown-op'\n")
    only = ["--include=good", "--include=graph", f"--config={file}"]
    assert main(["migrate", "audit", str(tree), "--summary", "--take_proposals", *only]) == 0
    said = 'the config has expect = "refused: unknown-op", and the model is convertible'
    assert f"  good: {said}" in capsys.readouterr().out.splitlines()
    assert main(["migrate", "convert", str(tree), str(tmp_path / "new"), "--dry_run", *only]) == 1
    shown = " ".join(capsys.readouterr().out.split())
    assert f"{tree}/good: {said}" in shown
    assert f"{tree}/graph: {said.replace('convertible', 'refused for no-signature')}" in shown


def test_include_does_not_make_a_pattern_one_that_matches_nothing(tree, tmp_path):
    file = _config(tmp_path, f"[models.graph]\nsignature = '{_LINEAR}'")
    (model,) = _audit(tree, Options(config=file, include=("good",))).models
    assert isinstance(model.outcome, Convertible)


def test_a_model_alone_has_the_tables_that_fit_the_end_of_its_path(tree, tmp_path):
    file = _config(tmp_path, f"[models.graph]\nsignature = '{_LINEAR}'\n[models.other]\nmax_ulps = 1")
    assert _audit(tree / "graph", Options(config=file)).ok
    with pytest.raises(InputError, match="no table is for"):
        _audit(tree / "good", Options(config=file))


def test_a_config_that_no_flag_names_is_mentioned_and_not_read(tree, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tree / "migrate.toml").write_text("this is no TOML")
    assert main(["migrate", "audit", str(tree / "good"), str(tree), "--include=good"]) == 0
    assert f"{tree}/migrate.toml is not read; --config={tree}/migrate.toml reads it\n" in capsys.readouterr().err
    assert main(["migrate", "audit", str(tree), f"--config={tree}/migrate.toml"]) == 2


def test_config_shows_what_applies_and_where_it_comes_from(tree, tmp_path, capsys):
    file = _config(tmp_path, f"[models.graph]\nsignature = '{_LINEAR}'\n[models.'*']\nmax_ulps = 2")
    assert main(["migrate", "config", str(tree), f"--config={file}", "--include=graph", "--nodrop_signatures"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "graph",
        f'  {file}: [models."graph"] signature:',
        f"    --signature='{_LINEAR}'",
        "  command line, drop_signatures:",
        "    --nodrop_signatures",
        f'  {file}: [models."*"] max_ulps:',
        "    --max_ulps=2",
    ]
    assert main(["migrate", "config", str(tree), f"--config={file}", "--format=json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    by_name = {os.path.basename(model["source"]): model["options"] for model in shown["models"]}
    assert by_name["good"] == {"max_ulps": {"value": 2, "from": "config", "table": "*"}}
    assert main(["migrate", "config", str(tree / "good")]) == 0
    assert capsys.readouterr().out.splitlines() == ["good", "  nothing but defaults"]
    assert main(["migrate", "config", "--help"]) == 0
    assert "usage: migrate config MODELS [NEW] --config=FILE" in capsys.readouterr().out


def test_the_recipe_of_a_fleet_up_to_the_dry_run(tree, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["migrate", "audit", str(tree), "--write_config=migrate.toml", "--summary"]) == 1
    out, err = capsys.readouterr()
    assert out.splitlines()[0] == "6 models: 2 ready, 2 ready with a flag, 2 blocked"
    assert "    --take_proposals" in out.splitlines()
    assert err == ("migrate: migrate.toml: options of 2 tables were added; 2 blocked models are in it as comments\n")
    file = pathlib.Path("migrate.toml")
    file.write_text(file.read_text().replace("# [models", "[models").replace("# expect", "expect"))
    assert main(["migrate", "convert", str(tree), "new", "--config=migrate.toml", "--dry_run"]) == 0
    out, err = capsys.readouterr()
    assert "2 refused, as expected" in out
    assert "refused as expected: " in err
    assert not os.path.exists("new")
    before = file.read_text() + "# mine\n[models.'*z']\nmax_ulps = 1\n"
    file.write_text(before)
    assert main(["migrate", "audit", str(tree), "--write_config=migrate.toml", "--summary"]) == 1
    assert file.read_text() == before
    assert "no model matches '*z' any more" in capsys.readouterr().err


@pytest.mark.parametrize("details", [False, True])
def test_the_report_of_many_models(details, tree, capsys):
    shutil.copytree(tree / "bad", tree / "worse")
    assert main(["migrate", "audit", str(tree), *(["--details"] if details else [])]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "7 models: 2 ready, 2 ready with a flag, 3 blocked"
    assert any(line.split()[0] == "lost" and line.endswith("checkpoint-shard-missing") for line in lines if line)
    # What is the same in several models is there once, with their names.
    heads = [number for number, line in enumerate(lines) if line == "refusal unknown-op in 2 models"]
    assert len(heads) == details
    for head in heads:
        assert [line.strip() for line in lines[head:] if line in ("    bad", "    worse")][:2] == ["bad", "worse"]
    assert (f"  --signature='{_LINEAR}'" in lines) == details


# What the journal remembers.


@pytest.fixture
def small(tmp_path: pathlib.Path) -> pathlib.Path:
    """A tree of few models, which take seconds to convert."""
    made = make(tmp_path / "tree", ("bad=unknown_op", "fed=unfed_training"))
    shutil.copytree(FORMS / "saver_steps", made / "graph")
    return made


@pytest.mark.tensorflow
def test_a_fix_for_one_model_holds_in_the_next_run_of_the_tree(small, tmp_path):
    tree, new = small, tmp_path / "new"
    convert(tree, new)
    fix = dataclasses.replace(UNVERIFIED, include=("graph",), signature=(parse_signature(_LINEAR),))
    assert convert(tree, new, fix) == {"graph": "converted"}
    again = convert(tree, new)
    assert (again["graph"], again["bad"]) == ("converted skipped", "refused skipped")
    report = migrate.convert(str(tree), str(new), UNVERIFIED)
    (note,) = [f for f in _by_name(report, tree)["graph"].findings if f.code == "options-remembered"]
    assert f"--signature='{_LINEAR}'" in note.message
    # Also when the model has to be converted again.
    shutil.rmtree(new / "graph")
    assert convert(tree, new)["graph"] == "converted"
    # The command line and the config come first.
    other = tmp_path / "m.toml"
    other.write_text("[models.graph]\nsignature = []\n")
    assert convert(tree, new, dataclasses.replace(UNVERIFIED, config=str(other)))["graph"] == "refused"
    # A run that comes to nothing changes nothing of what is remembered.
    assert read_journal(str(new)).get("graph").remembered.signature == fix.signature


@pytest.mark.tensorflow
def test_proposals_that_were_taken_are_remembered(small, tmp_path):
    tree, new = small, tmp_path / "new"
    taking = dataclasses.replace(UNVERIFIED, take_proposals=True)
    first = convert(tree, new, taking)
    assert (first["graph"], first["fed"]) == ("converted", "converted")
    assert all("skipped" in outcome for outcome in convert(tree, new, taking).values())
    again = convert(tree, new)
    assert (again["graph"], again["fed"]) == ("converted skipped", "converted skipped")
    # A run that takes no proposals does not stand for one that does.
    (models := tmp_path / "other").mkdir()
    shutil.copytree(MODELS / "simple_save", models / "good")
    assert convert(models, tmp_path / "new2")["good"] == "converted"
    assert convert(models, tmp_path / "new2", taking)["good"] == "converted"


@pytest.mark.tensorflow
def test_options_that_weaken_a_check_are_forgotten(tmp_path):
    made, new = make(tmp_path / "tree", ["good=simple_save", "other=vocabulary"]), tmp_path / "new"
    weak = Options(verify=False, max_ulps=5, allow_unverified=True, allow_side_effects=True, trust=True)
    convert(made, new, weak)
    assert {read_journal(str(new)).get(name).remembered for name in ("good", "other")} == {ModelOptions()}
    report = migrate.convert(str(made), str(new), Options())
    assert all(model.verification is not None and model.verification.passed for model in report.models)


@pytest.mark.tensorflow
def test_another_version_keeps_what_was_verified(tmp_path, monkeypatch):
    made, new = make(tmp_path / "tree", ["good=simple_save", "tf2", "bad=unknown_op"]), tmp_path / "new"
    options = Options(jobs=2)
    convert(made, new, options)
    versions = {**journal.tool(), "tensorflow": "another"}
    monkeypatch.setattr(journal, "tool", lambda: versions)
    report = migrate.convert(str(made), str(new), options)
    assert {os.path.relpath(m.source, made): told(m) for m in report.models} == {
        "bad": "refused",  # Which another version may convert.
        "good": "converted skipped",
        "tf2": "unchanged skipped",
    }
    notes = [f.message for m in report.models for f in m.findings if f.code == "made-by-another-version"]
    assert len(notes) == 2 and all("TensorFlow 2." in note for note in notes)
    # Not the next time either, and one that has changed is converted.
    with open(made / "good" / "saved_model.pb", "ab") as file:
        file.write(b"\xba\x3e\x00")  # An unknown field.
    assert convert(made, new, options) == {"bad": "refused skipped", "good": "converted", "tf2": "unchanged skipped"}
    reconvert = dataclasses.replace(options, reconvert=True)
    assert convert(made, new, reconvert) == {"bad": "refused skipped", "good": "converted skipped", "tf2": "unchanged"}
    assert all("skipped" in outcome for outcome in convert(made, new, reconvert).values())


@pytest.mark.tensorflow
def test_models_with_the_same_bytes_and_other_options_are_no_copies(tmp_path):
    made = tmp_path / "tree"
    for name in ("a", "b", "c"):
        shutil.copytree(FORMS / "saver_steps", made / name)
    text = f"[models.a]\nsignature = '{_LINEAR}'\n[models.'[bc]']\nsignature = 'other:inputs=x=x:0;outputs=z=y:0'\n"
    options = dataclasses.replace(UNVERIFIED, config=_config(tmp_path, text))
    outcomes = convert(made, tmp_path / "new", options)
    assert sorted(outcomes.values()) == ["converted", "converted", "converted copy"]
    assert outcomes["a"] == "converted"
    signatures = {
        name: sorted(migrate.audit(str(tmp_path / "new" / name)).models[0].meta_graphs[0].signatures, key=str)[0].key
        for name in ("a", "b", "c")
    }
    assert signatures == {"a": "serving_default", "b": "other", "c": "other"}


@pytest.mark.tensorflow
def test_a_model_alone_is_converted_and_validated_as_its_table_says(tree, tmp_path):
    text = f"[models.graph]\nsignature = '{_LINEAR}'\n[models.bad]\nexpect = 'refused: unknown-op'\n"
    options = Options(config=_config(tmp_path, text))
    report = migrate.convert(str(tree / "graph"), str(tmp_path / "one"), options)
    assert report.ok and report.models[0].verification.passed
    assert migrate.validate(str(tmp_path / "one"), against=str(tree / "graph"), options=options).ok
    known = migrate.convert(str(tree / "bad"), str(tmp_path / "none"), options)
    assert (known.ok, known.models[0].expected) == (True, "refused: unknown-op")


@pytest.mark.tensorflow
def test_a_worker_of_beam_takes_the_tables_with_the_model_and_remembers(tmp_path):
    from migrate.fleet.beam import Models, convert_task
    from migrate.fleet.selection import Task

    source, new = tmp_path / "graph", str(tmp_path / "new")
    shutil.copytree(FORMS / "saver_steps", source)
    table = ConfigTable("graph", ModelOptions(signature=(parse_signature(_LINEAR),)))
    task = Task("graph", str(source), os.path.join(new, "graph"))
    assert list(convert_task(task, new, UNVERIFIED)) == ["refused"]
    assert list(convert_task(dataclasses.replace(task, tables=(table,)), new, UNVERIFIED)) == ["converted"]
    assert list(convert_task(task, new, UNVERIFIED)) == ["converted"]
    entry = Models(new).get("graph")
    assert entry is not None and entry.remembered == table.options


# Real models.


@pytest.fixture
def corpus() -> str:
    path = os.environ.get("MIGRATE_CORPUS")
    if not path:
        pytest.skip("MIGRATE_CORPUS is not set")
    return path


@pytest.mark.corpus
def test_the_plan_of_real_models_makes_all_ready_that_audit_calls_ready_with_a_flag(corpus, tmp_path):
    report = migrate.audit(corpus)
    found = buckets(report.models)
    assert len(found.flagged) >= 1 and len(found.blocked) >= 10
    file = str(tmp_path / "migrate.toml")
    written = migrate.write_config(corpus, report, file)
    flagged = {model.source for group in found.flagged for model in group.models}
    assert len(written.added) == len(flagged)
    text = pathlib.Path(file).read_text()
    assert migrate.write_config(corpus, report, file).added == ()
    assert pathlib.Path(file).read_text() == text
    # The owner takes every refusal as known, and nothing is left to decide: what remains cannot be read.
    pathlib.Path(file).write_text(text.replace("# [models", "[models").replace("# expect", "expect"))
    planned = Options(config=file)
    again = migrate.audit(corpus, planned)
    assert {model.source for model in again.models if isinstance(model.outcome, Convertible)} >= flagged
    assert {outcome_name(model.outcome) for model in again.models if not model.ok} <= {"unreadable"}
    dry = migrate.convert(corpus, str(tmp_path / "new"), dataclasses.replace(planned, dry_run=True))
    assert {model.source: (model.ok, model.expected) for model in dry.models} == {
        model.source: (model.ok, model.expected) for model in again.models
    }
    assert not (tmp_path / "new").exists()


@pytest.mark.corpus
@pytest.mark.tensorflow
def test_a_run_of_real_models_without_the_plan_remembers_it(corpus, tmp_path):
    tree, new = tmp_path / "tree", tmp_path / "new"
    for name in ("ckpt_t2o_regression", "ckpt_clipper_cifar10", "KotlinDL_main_resources_model3"):
        shutil.copytree(os.path.join(corpus, name), tree / name)
    file = str(tmp_path / "migrate.toml")
    migrate.write_config(str(tree), migrate.audit(str(tree)), file)
    assert sorted(convert(tree, new, Options(config=file)).values()) == ["converted", "converted", "refused"]
    assert sorted(convert(tree, new, Options()).values()) == [
        "converted skipped",
        "converted skipped",
        "refused skipped",
    ]


def test_that_nothing_is_left_without_all_signatures_is_no_blocker(tmp_path):
    shutil.copytree(MODELS / "unknown_op", tmp_path / "model")
    file = tmp_path / "model" / "saved_model.pb"
    model = SavedModel.FromString(file.read_bytes())
    signatures = model.meta_graphs[0].signature_def
    (original,) = signatures.values()  # Before the map gets a second entry: it has no order.
    signatures["again"].CopyFrom(original)
    file.write_bytes(model.SerializeToString())
    (report,) = _audit(str(tmp_path / "model")).models
    refused = [finding.code for finding in report.findings if finding.severity is Severity.REFUSAL]
    assert set(refused) == {"unknown-op"}
