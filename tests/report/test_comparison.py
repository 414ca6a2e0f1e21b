"""`migrate report NEW --against=OLD`: what got better, worse, new."""

from __future__ import annotations

import dataclasses
import json

import pytest

import migrate
from migrate import cli
from migrate.records import Converted, Convertible, Crashed, Mismatched, Refused, Report, Validated, refusal
from migrate.report.comparison import compare, counts, render
from migrate.report.json import to_document
from tests.report.reports import PASSED, model

_GOOD = dataclasses.replace(model("a", Converted()), verification=PASSED)
_UNVERIFIED = model("a", Converted())
_REFUSED = model("a", Refused(), findings=(refusal("unknown-op", "none"),))
_OTHER = model("a", Refused(), findings=(refusal("no-signature", "none"),))


def _document(*models):
    return to_document(Report(models))


@pytest.mark.parametrize(
    ("old", "new", "kind"),
    [
        (_GOOD, _GOOD, "same"),
        (_REFUSED, _GOOD, "better"),
        (_GOOD, _REFUSED, "worse"),
        (_GOOD, _UNVERIFIED, "worse"),
        (_UNVERIFIED, _GOOD, "better"),
        (_REFUSED, model("a", Crashed("export", -9, "")), "worse"),
        (_GOOD, model("a", Mismatched("x")), "worse"),
        (_REFUSED, _OTHER, "changed"),
        (model("a", Convertible()), model("a", Validated()), "changed"),
    ],
)
def test_a_model_in_both(old, new, kind):
    (change,) = compare(_document(new), _document(old))
    assert change.kind == kind


def test_findings_that_came_and_went():
    (change,) = compare(_document(_OTHER), _document(_REFUSED))
    assert (change.appeared, change.disappeared) == (("no-signature",), ("unknown-op",))
    assert "refused; new: no-signature; gone: unknown-op" in render((change,), 200, False)


def test_models_that_are_in_one_report_only_and_the_worst_first():
    b, c = (dataclasses.replace(_GOOD, source=name) for name in ("models/b", "models/c"))
    changes = compare(_document(_REFUSED, b), _document(_GOOD, c))
    assert [(change.name, change.kind) for change in changes] == [
        ("models/a", "worse"),
        ("models/b", "new"),
        ("models/c", "gone"),
    ]
    assert counts(changes) == {"worse": 1, "better": 0, "changed": 0, "new": 1, "gone": 1, "same": 0}
    text = render(changes, 200, False)
    assert text.splitlines()[0] == "worse"
    assert text.endswith("3 models: 1 worse; 1 new; 1 gone\n")


def test_trees_that_were_moved_are_compared_by_the_paths_in_them():
    old = [dataclasses.replace(_GOOD, source=f"/old/place/{name}") for name in ("a/1", "b/1")]
    new = [dataclasses.replace(_GOOD, source=f"/new/{name}") for name in ("a/1", "b/1")]
    assert [change.kind for change in compare(_document(*new), _document(*old))] == ["same", "same"]


def test_a_name_gives_no_orders():
    odd = dataclasses.replace(_GOOD, source="\x1b[31ma")
    assert "\x1b" not in render(compare(_document(odd), _document(_GOOD)), 80, False)


def test_the_command(tmp_path, capsys):
    for name, models in (("old", (_GOOD,)), ("new", (_REFUSED,))):
        migrate.write_report(Report(models), str(tmp_path / name))
    assert cli.main(["migrate", "report", str(tmp_path / "new"), f"--against={tmp_path / 'old'}"]) == 1
    assert "was converted and verified, is refused; new: unknown-op" in capsys.readouterr().out
    assert cli.main(["migrate", "report", str(tmp_path / "old"), f"--against={tmp_path / 'new'}", "--format=json"]) == 0
    assert json.loads(capsys.readouterr().out)["counts"]["better"] == 1
    assert cli.main(["migrate", "report", str(tmp_path / "old"), f"--against={tmp_path / 'absent'}"]) == 2
    assert str(tmp_path / "absent") in capsys.readouterr().err
