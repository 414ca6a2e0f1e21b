"""junit.xml, report.sarif and `migrate report`: made of the JSON document alone, sound whatever a model is called."""

from __future__ import annotations

import json
import os
import pathlib
import xml.etree.ElementTree as ET

import pytest

import migrate
from migrate import cli
from migrate.errors import InputError
from migrate.finding_codes import meaning
from migrate.records import Converted, Finding, Mismatched, Refused, Report, Severity, refusal
from migrate.report.files import FILES, prepare, read_document, write_files
from migrate.report.html import to_html
from migrate.report.json import to_document
from migrate.report.junit import to_junit
from migrate.report.sarif import to_sarif
from tests.conversions import MODELS as BUNDLED
from tests.report.fleet import HOSTILE, hostile_model, make_fleet
from tests.report.reports import DIFFERENT, FACTS, MODELS, REFUSAL, model


def _document(*models):
    return json.loads(json.dumps(to_document(Report(models))))


def _junit(*models):
    return ET.fromstring(to_junit(_document(*models)).encode())


def _sarif(*models):
    return json.loads(to_sarif(_document(*models)))


# JUnit.


def test_junit_has_a_test_case_a_model():
    root = _junit(*MODELS)
    assert root.tag == "testsuites"
    (suite,) = root
    cases = suite.findall("testcase")
    assert len(cases) == len(MODELS) == int(suite.get("tests"))
    assert len({(case.get("classname"), case.get("name")) for case in cases}) == len(MODELS)
    ended = {case.get("name"): [child.tag for child in case] for case in cases}
    assert ended["converted"] == ended["already"] == ended["validated"] == []
    assert ended["unverified"] == ["system-out"]
    assert ended["mismatched"] == ["failure"]
    for name in ("unreadable", "failed", "crashed", "timed_out"):
        assert ended[name] == ["error"]
    assert ended["partly"] == ["skipped", "system-out"]
    assert (suite.get("failures"), suite.get("errors"), suite.get("skipped")) == ("2", "4", "2")


def test_junit_failures_carry_code_message_and_hint():
    stands = refusal("unknown-op", "an op nobody knows", ("a",), "drop it")
    also = refusal("python-op", "calls Python", ("b",), "export without it")
    (case,) = _junit(model("m", Refused(), meta_graphs=(FACTS,), findings=(stands, also))).iter("testcase")
    (failure,) = case
    assert failure.get("type") == "unknown-op"
    assert failure.get("message") == "unknown-op: an op nobody knows"
    for text in ("an op nobody knows", "hint: drop it", "python-op: calls Python", "hint: export without it"):
        assert text in failure.text
    (case,) = _junit(model("m", Mismatched("22 outputs differ"), verification=DIFFERENT)).iter("testcase")
    assert case[0].get("message") == "22 outputs differ"
    assert "serving_default/y, call 0" in case[0].text


@pytest.mark.parametrize("text", HOSTILE)
def test_junit_of_hostile_models_is_xml(text):
    (case,) = _junit(hostile_model(text)).iter("testcase")
    assert [child.tag for child in case] == ["failure", "system-out"]


# SARIF.


def test_sarif_has_a_result_a_finding():
    note = Finding("device-pin", Severity.NOTE, "pinned", ("a", "b"))
    warning = Finding("random-op", Severity.WARNING, "draws")
    stop = refusal("unknown-op", "an op nobody knows", ("n",), "drop it")
    log = _sarif(model("a b", Refused(), findings=(stop, warning, note)), model("c", Converted()))
    (run,) = log["runs"]
    assert [(r["ruleId"], r["level"]) for r in run["results"]] == [
        ("unknown-op", "error"),
        ("random-op", "warning"),
        ("device-pin", "note"),
    ]
    first = run["results"][0]
    assert first["message"]["text"] == "an op nobody knows\nHint: drop it"
    (location,) = first["locations"]
    assert location["physicalLocation"]["artifactLocation"]["uri"] == "models/a%20b"
    assert location["logicalLocations"] == [{"fullyQualifiedName": "n", "kind": "element"}]
    rules = run["tool"]["driver"]["rules"]
    for result in run["results"]:
        assert rules[result["ruleIndex"]]["id"] == result["ruleId"]
        assert rules[result["ruleIndex"]]["shortDescription"]["text"] == meaning(result["ruleId"])


def test_sarif_tells_of_endings_that_no_finding_explains():
    results = _sarif(*MODELS)["runs"][0]["results"]
    assert {r["ruleId"] for r in results if r["ruleId"].startswith("outcome-")} == {
        "outcome-unreadable",
        "outcome-mismatched",
        "outcome-failed",
        "outcome-crashed",
        "outcome-timed-out",
    }


def test_what_is_unverified_is_a_warning_in_sarif():
    (shown,) = (m for m in MODELS if m.source == "models/partly")
    (result,) = _sarif(shown)["runs"][0]["results"]
    assert (result["ruleId"], result["level"]) == ("unverified", "warning")


def test_sarif_is_what_its_types_say():
    """The pydantic models of the package sarif-pydantic are made after the standard's JSON schema."""
    sarif = pytest.importorskip("sarif_pydantic")
    for models in (MODELS, make_fleet(50), tuple(map(hostile_model, HOSTILE)), ()):
        log = sarif.Sarif.model_validate_json(to_sarif(_document(*models)))
        assert len(log.runs) == 1


@pytest.mark.parametrize(
    ("path", "uri"),
    [
        ("/a/b c", "file:///a/b%20c"),
        ("a:b/c", "a%3Ab/c"),
        ("gs://bucket/m 1", "gs://bucket/m%201"),
        ("a\udcff", "a%FF"),
        ("100%/#x?", "100%25/%23x%3F"),
    ],
)
def test_sarif_paths_are_uris(path, uri):
    import dataclasses

    one = dataclasses.replace(MODELS[-1], source=path)
    (result,) = _sarif(one)["runs"][0]["results"]
    assert result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] == uri


# Files.


def test_the_files_are_made_again_from_the_json(tmp_path):
    written = migrate.write_report(Report((*MODELS, *map(hostile_model, HOSTILE))), str(tmp_path / "deep" / "er"))
    assert [os.path.basename(path) for path in written] == list(FILES)
    before = {path: pathlib.Path(path).read_bytes() for path in written}
    for path in written[1:]:
        os.unlink(path)
    assert migrate.render_report(str(tmp_path / "deep" / "er")) == written
    assert {path: pathlib.Path(path).read_bytes() for path in written} == before
    assert sorted(os.listdir(tmp_path / "deep" / "er")) == sorted(FILES)


def test_an_older_report_without_the_newer_fields_is_shown(tmp_path):
    document = _document(*MODELS, *make_fleet(20))
    for entry in document["models"]:
        for key in ("bytes", "converted_signatures", "sketches"):
            del entry[key]
        if entry["verification"]:
            del entry["verification"]["outputs"]
    write_files(document, str(tmp_path))
    assert read_document(str(tmp_path)) == document


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "cannot be read (No such file or directory)"),
        ("", "no JSON"),
        ("[" * 100_000, "no JSON"),
        ("[]", "no report of schema_version 1 (found None)"),
        ('{"schema_version": 2}', "no report of schema_version 1 (found 2)"),
        ('{"schema_version": 1, "tool": {}}', "damaged: 'models' is missing"),
        ('{"schema_version": 1, "tool": {}, "models": [3]}', "damaged: models[0]: expected an object, found 3"),
    ],
)
def test_what_is_no_report_is_said_in_a_line(content, said, tmp_path, capsys):
    if content is not None:
        (tmp_path / "report.json").write_text(content)
    assert cli.main(["migrate", "report", str(tmp_path)]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("migrate: ") and said in err and err.count("\n") == 1


def test_a_directory_that_cannot_be_made_is_said_before_the_work(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="no report can be written there"):
        prepare(str(tmp_path / "file"))


def test_audit_writes_a_report(tmp_path, capsys):
    directory = tmp_path / "report"
    assert cli.main(["migrate", "audit", str(BUNDLED / "counter"), f"--report={directory}"]) == 0
    out, err = capsys.readouterr()
    assert "can be converted" in out
    assert err == f"the report is in {', '.join(str(directory / name) for name in FILES)}\n"
    (entry,) = json.loads((directory / "report.json").read_text())["models"]
    assert entry["bytes"] == sum(f.stat().st_size for f in (BUNDLED / "counter").rglob("*") if f.is_file())
    assert any(node["op"] == "VariableV2" for node in entry["sketches"][0]["before"]["nodes"])
    assert any(node["op"] == "VarHandleOp" for node in entry["sketches"][0]["after"]["nodes"])
    (directory / "junit.xml").unlink()
    assert cli.main(["migrate", "report", str(directory)]) == 0
    assert (directory / "junit.xml").exists()


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("report", "report takes DIRECTORY, not nothing"),
        ("report a b", "report takes DIRECTORY, not 'a', 'b'"),
        ("report a --format=json", "report writes files, and prints only what --against compares"),
        ("report a --tags=serve", "report has no flag --tags"),
    ],
)
def test_wrong_use_of_report(line, said, capsys):
    assert cli.main(["migrate", *line.split()]) == 2
    assert capsys.readouterr().err.startswith(f"migrate: {said}")


@pytest.mark.tensorflow
def test_convert_and_validate_write_what_was_compared(tmp_path, capsys):
    source, new = str(BUNDLED / "vocabulary"), str(tmp_path / "new")
    assert cli.main(["migrate", "convert", source, new, f"--report={tmp_path / 'a'}"]) == 0
    assert cli.main(["migrate", "validate", new, f"--against={source}", f"--report={tmp_path / 'b'}"]) == 0
    for directory in ("a", "b"):
        (entry,) = read_document(str(tmp_path / directory))["models"]
        before, after = entry["signatures"], entry["converted_signatures"]
        assert list(before) == list(after) == ["labels", "serving_default"]
        for key in before:
            for side in ("inputs", "outputs"):
                assert {n: (t["dtype"], t["shape"]) for n, t in before[key][side].items()} == {
                    n: (t["dtype"], t["shape"]) for n, t in after[key][side].items()
                }
        outputs = entry["verification"]["outputs"]
        assert {(o["signature"], o["output"], o["path"]) for o in outputs} == {
            (key, name, path) for key in before for name in before[key]["outputs"] for path in ("tf2", "session")
        }
        assert sum(o["values"] for o in outputs) == entry["verification"]["values"]
        assert all(o["bitwise_equal"] and o["max_abs_difference"] == 0 for o in outputs)
    options = json.loads((tmp_path / "new" / "assets.extra" / "migration.json").read_text())["options"]
    assert "details" not in options


def test_a_journal_is_shown(tmp_path, capsys):
    from migrate.fleet.journal import DIRECTORY, Entry, open_journal

    models = make_fleet(12)
    with open_journal(str(tmp_path)) as journal:
        for number, one in enumerate(models):
            journal.add(Entry(f"m{number:02}", "source", "settings", one))
    assert cli.main(["migrate", "report", str(tmp_path)]) == 0
    document = read_document(str(tmp_path / DIRECTORY / "report"))
    assert document["models"] == _document(*models)["models"]
    assert sorted(os.listdir(tmp_path)) == [DIRECTORY]


def test_a_refusal_that_is_expected_is_no_failure_in_any_form():
    known = model("known", Refused(), findings=(REFUSAL,), expected="refused: " + REFUSAL.code)
    other = model("other", Refused(), findings=(REFUSAL,))
    root = _junit(known, other)
    counts = {name: root.get(name) for name in ("tests", "failures", "errors", "skipped")}
    assert counts == {"tests": "2", "failures": "1", "errors": "0", "skipped": "1"}
    assert [case[0].tag for case in root.iter("testcase")] == ["skipped", "failure"]
    results = _sarif(known, other)["runs"][0]["results"]
    suppressions = [{"kind": "external", "justification": known.expected}]
    assert [result.get("suppressions") for result in results] == [suppressions, None]
    assert "1 needs attention." in to_html(_document(known, other))
