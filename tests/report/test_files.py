"""The files of a report and `migrate report`: made again from report.json alone, sound whatever a model is called."""

from __future__ import annotations

import json
import os
import pathlib

import pytest

import migrate
from migrate import cli
from migrate.errors import InputError
from migrate.records import Report
from migrate.report.files import FILES, prepare, read_document, write_files
from migrate.report.json import to_document
from tests.conversions import MODELS as BUNDLED
from tests.report.fleet import HOSTILE, hostile_model, make_fleet
from tests.report.reports import MODELS


def _document(*models):
    return json.loads(json.dumps(to_document(Report(models))))


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
        ("[]", "is not a report of migrate"),
        ('{"schema_version": 2}', "another version of migrate (schema_version 2, this one reads 1); use that version"),
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
        ("report", "report needs DIRECTORY"),
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
