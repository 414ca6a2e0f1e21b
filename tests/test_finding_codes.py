"""Every finding code is explained beside the code that makes it, and every code that is explained exists."""

from __future__ import annotations

import ast
import functools
import json
import pathlib
import re
from collections import defaultdict

import pytest

import migrate
from migrate import cli
from migrate.cli.outcomes import OUTCOMES
from migrate.cli.verbs import VERBS
from migrate.finding_codes import FOLDERS, OF_FILES, about, explanations, explanations_of
from migrate.records import CLIENTS, ModelReport, Options, Refused, Report, refusal
from migrate.report.html import to_html
from migrate.report.json import to_document
from migrate.report.sarif import to_sarif
from tests.report.reports import model
from tools.make_findings import PAGE, page

_MAKERS = {"refusal", "Finding", "Unavailable", "_warn", "_Fault"}
_DIFFERENCES = "verify"
"""The folder whose codes are those of differences."""


@functools.cache
def _calls() -> list[tuple[pathlib.Path, str, ast.Call]]:
    """Every call by a plain name: its module in the package, the name, the call."""
    root = pathlib.Path(migrate.__file__).parent
    return [
        (path.relative_to(root), node.func.id, node)
        for path in root.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
    ]


@functools.cache
def _codes_in_the_source() -> dict[str, set[str]]:
    """The folders of the package in which each code is made."""
    found = defaultdict(set)
    for path, called, node in _calls():
        first = node.args[0] if node.args else None
        if called in _MAKERS and isinstance(first, ast.Constant) and isinstance(first.value, str):
            found[first.value].add(path.parts[0])
    for code in explanations_of(_DIFFERENCES):
        if code in _literals(_DIFFERENCES):
            found[code].add(_DIFFERENCES)
    return found


def test_codes_of_files_exist():
    assert set(explanations()) >= OF_FILES
    assert {about(code) for code in OF_FILES} == {"files"} and about("random-op") == "nodes"


@functools.cache
def _literals(folder: str) -> set[object]:
    """Every constant in the modules of a folder."""
    modules = (pathlib.Path(migrate.__file__).parent / folder).glob("*.py")
    return {node.value for path in modules for node in ast.walk(ast.parse(path.read_text())) if _is_constant(node)}


def _is_constant(node: ast.AST) -> bool:
    return isinstance(node, ast.Constant)


def test_each_difference_has_a_code_that_says_whom_it_breaks():
    known = explanations_of(_DIFFERENCES)
    for path, called, node in _calls():
        # `mismatch` makes them all.
        assert called != "Mismatch" or path.stem == "differences", path
        if called == "mismatch" and isinstance(node.args[0], ast.Constant):
            assert node.args[0].value in known, path
    for found in known.values():
        assert found.clients is not None and set(found.clients) <= set(CLIENTS), found.code


def test_a_finding_breaks_nobody_in_particular():
    assert all(found.clients is None for f in FOLDERS if f != _DIFFERENCES for found in explanations_of(f).values())


def test_each_code_of_the_source_is_explained_once():
    explained = [code for folder in FOLDERS for code in explanations_of(folder)]
    assert sorted(explained) == sorted(_codes_in_the_source())


def test_a_code_is_explained_in_a_folder_that_makes_it():
    made = _codes_in_the_source()
    for folder in FOLDERS:
        for code in explanations_of(folder):
            assert folder in made[code], code


@pytest.mark.parametrize("folder", FOLDERS)
def test_the_codes_are_in_the_order_of_the_alphabet(folder):
    assert list(explanations_of(folder)) == sorted(explanations_of(folder))


@pytest.mark.parametrize("code", explanations())
def test_an_explanation_has_all_its_parts_and_names_flags_that_exist(code):
    found = explanations()[code]
    flags = {flag.name for verb in VERBS for flag in verb.flags}
    for part in (found.meaning, found.why, found.example, found.remedy):
        assert part and "\n" not in part and part.isprintable() and part[-1] in ".:`)", part
        assert set(re.findall(r"--([a-z_]+)", part)) <= flags


def test_the_page_is_what_the_explanations_say():
    assert pathlib.Path(PAGE).read_text(encoding="utf-8") == page()


def test_sarif_and_the_page_of_a_report_say_the_same():
    found = explanations()["unknown-op"]
    refused = model("m", Refused(), findings=(refusal("unknown-op", "none"),))
    document = to_document(Report((refused,)))
    (rule,) = json.loads(to_sarif(document))["runs"][0]["tool"]["driver"]["rules"]
    assert found.remedy in rule["help"]["text"] and found.why in rule["fullDescription"]["text"]
    assert found.remedy.replace("`", "") in to_html(document)


def test_explain_prints_all_parts(capsys):
    for code, found in explanations().items():
        assert cli.main(["migrate", "explain", code]) == 0
        out = capsys.readouterr().out
        for part in (code, found.meaning, found.why, found.example, found.remedy):
            assert part in out


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("unknwon-op", "there is no finding 'unknwon-op'; did you mean unknown-op?"),
        ("UNKNOWN_OP", None),
        ("zzz", "there is no finding 'zzz'; migrate explain lists all"),
    ],
)
def test_a_code_that_does_not_exist_is_said_with_the_nearest(code, said, capsys):
    assert cli.main(["migrate", "explain", code]) == (0 if said is None else 2)
    assert capsys.readouterr().err == ("" if said is None else f"migrate: {said}\n")


def test_explain_alone_lists_all_codes(capsys):
    assert cli.main(["migrate", "explain"]) == 0
    out = capsys.readouterr().out
    assert [line.split()[0] for line in out.splitlines() if line] == [*explanations(), *OUTCOMES]


def test_explain_takes_several_codes(capsys):
    assert cli.main(["migrate", "explain", "unknown-op", "no-signature"]) == 0
    out = capsys.readouterr().out
    assert "unknown-op" in out and "no-signature" in out


def test_a_finding_of_a_report_can_be_explained():
    (report,) = migrate.audit("testdata/models/unknown_op", Options()).models
    assert isinstance(report, ModelReport)
    assert {finding.code for finding in report.findings} <= set(explanations())
