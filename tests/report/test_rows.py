"""A report as CSV, JSON lines and Markdown: one row per model, and names of strangers that give no orders."""

from __future__ import annotations

import csv
import io
import json
import re

import pytest

from migrate.escapes import csv_cell, markdown_code
from migrate.records import Converted, Finding, Refused, Report, Severity
from migrate.report.json import to_document
from migrate.report.rows import COLUMNS, to_csv, to_jsonl, to_markdown
from tests.report.reports import MODELS, model

HOSTILE = (
    "=cmd|' /C calc'!A0",
    "+1",
    "-1",
    "@SUM(A1)",
    "a\nb",
    "a,b",
    'a"b',
    "\x1b[31m",
    "a|b",
    "`a`",
    "<img src=x>",
    "\u202e",
)


def test_csv_has_a_row_for_each_model_and_what_json_says():
    document = to_document(Report(MODELS))
    rows = list(csv.DictReader(io.StringIO(to_csv(document))))
    assert tuple(rows[0]) == COLUMNS
    for row, told in zip(rows, document["models"], strict=True):
        assert (row["source"], row["outcome"], row["kind"]) == (told["source"], told["outcome"], told["kind"])
    (refused,) = [row for row in rows if row["outcome"] == "refused"]
    assert refused["refusals"] == "no-kernel" and refused["reason"].startswith("The op BoostedTreesBucketize")
    (mismatched,) = [row for row in rows if row["outcome"] == "mismatched"]
    assert mismatched["differences"] == "answer-differs"
    (converted, unverified) = [row for row in rows if row["outcome"] == "converted"]
    assert {converted["verified"], unverified["verified"]} == {"True", ""}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_spreadsheet_runs_nothing(name):
    (row,) = csv.DictReader(io.StringIO(to_csv(to_document(Report((model(name, Converted()),))))))
    assert row["source"].isprintable()
    assert csv_cell(name)[0] not in "=+-@\t\r"
    assert csv_cell(-1.5) == "-1.5"


def test_json_lines_are_the_models_of_the_document():
    document = to_document(Report(MODELS))
    lines = [json.loads(line) for line in to_jsonl(document).splitlines()]
    assert lines == [{"schema_version": 1, **entry} for entry in document["models"]]


def test_markdown_has_totals_a_table_and_what_is_in_the_way():
    text = to_markdown(to_document(Report(MODELS)))
    assert text.startswith(f"**{len(MODELS)} models: ")
    assert "1 converted and verified" in text.splitlines()[0]
    assert text.count("\n| `") == len(MODELS)
    assert "- `no-kernel`: The op BoostedTreesBucketize" in text


@pytest.mark.parametrize("name", HOSTILE)
def test_markdown_shows_a_name_as_it_is(name):
    finding = Finding("odd", Severity.REFUSAL, f"of {name} [a](http://x) @me", (name,), name)
    text = to_markdown(to_document(Report((model(name, Refused(), findings=(finding,)),))))
    assert text.replace("\n", "").isprintable()
    outside = re.sub(r"(`+)(?!`).*?(?<!`)\1(?!`)", "", text)  # Without the code spans.
    assert not re.search(r"(?<!\\)[<@\[]", outside)
    for line in text.splitlines():
        if line.startswith("| "):
            assert len(re.findall(r"(?<!\\)\|", line)) == 6
    assert markdown_code("`") == "`` ` ``"
