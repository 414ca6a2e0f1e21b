"""The beginning of the page: its headline, its figures, its proposals."""

from __future__ import annotations

import dataclasses
from collections import Counter

from migrate.records import AlreadyTF2, Convertible, ModelOptions, Refused, Report, Unreadable
from migrate.report.audit_text import render_audit
from migrate.report.html import to_html
from migrate.report.json import to_document
from migrate.report.page_overview import findings, headline, lede, outcomes, proposals, tiles
from migrate.report.rows import to_markdown
from tests.report.reports import REFUSAL, model


def test_theheadline_counts_what_was_converted_and_says_what_was_tf2_already():
    def model(outcome, destination="new"):
        return {"outcome": outcome, "verification": None, "destination": destination}

    models = [model(o) for o in ("converted", "converted", "unchanged", "refused")]
    assert headline(models, []) == "2 of 4 models converted"
    assert lede(models) == "One was TF2 already. 1 needs attention."
    assert headline([model("already_tf2", None), model("convertible", None)], []) == "2 of 2 models are ready"
    assert headline([model("refused"), model("refused")], []) == "0 of 2 models converted"


def test_a_refusal_that_is_expected_needs_no_attention():
    known = model("known", Refused(), findings=(REFUSAL,), expected="refused: " + REFUSAL.code)
    other = model("other", Refused(), findings=(REFUSAL,))
    assert "1 needs attention." in to_html(to_document(Report((known, other))))


def _audited(outcome, **fields):
    return {
        "source": "a",
        "outcome": outcome,
        "kind": "unknown",
        "meta_graphs": [],
        "findings": [],
        "seconds": {},
        **fields,
    }


def test_an_audits_page_speaks_of_audit():
    flagged = _audited("refused", proposed_options={"feed": ["x:0=1"], "drop_signatures": True})
    models = [_audited("convertible"), flagged, _audited("refused"), _audited("already_tf2")]
    assert headline(models, []) == "2 of 4 models are ready"
    assert lede(models) == "One of them is TF2 already. 1 more is ready with a flag. 1 is blocked."
    assert [label for label, *_ in tiles(models)][1:4] == ["ready", "ready with a flag", "blocked"]
    assert [value for _, value, _ in tiles(models)][:4] == ["4", "2", "1", "1"]
    assert [o["words"] for o in outcomes(models)] == ["ready", "ready with a flag", "blocked"]
    assert proposals(models) == [{"flags": "--take_proposals --drop_signatures", "count": 1}]
    page = to_html({"schema_version": 1, "tool": {}, "models": models})
    assert "nothing was written" not in page and "succeeded" not in page


def test_a_refusal_that_proposals_solve_is_no_blocker():
    def found(code, **fields):
        finding = {"code": code, "severity": "refusal", "message": "", "nodes": [], "hint": ""}
        return _audited("refused", findings=[finding], **fields)

    solved = {"proposed_options": {"feed": ["x:0=1"]}}
    models = [*[found("no-signature", **solved)] * 3, found("no-signature"), found("unknown-op"), found("unknown-op")]
    rows = findings([*models, found("unfed", **solved)], ["no-signature", "unfed", "unknown-op"])
    assert [(row["severity"], row["code"], row["count"], row["solved"]) for row in rows] == [
        ("refusal", "unknown-op", 2, 0),
        ("refusal", "no-signature", 4, 3),
        ("flag", "unfed", 1, 0),
    ]
    assert (rows[1]["width"], rows[1]["solved_width"]) == (100, 75)
    converting = [{**model, "destination": "new"} for model in models]
    assert [row["severity"] for row in findings(converting, ["no-signature", "unknown-op"])] == ["refusal", "refusal"]


def test_all_forms_of_an_audits_report_have_the_same_words_and_numbers():
    take = ModelOptions(drop_signatures=True)
    audited = (
        *(dataclasses.replace(model(f"ready{i}", Convertible()), destination=None) for i in range(4)),
        dataclasses.replace(model("already", AlreadyTF2()), destination=None),
        *(dataclasses.replace(model(f"f{i}", Refused(), proposed=take), destination=None) for i in range(3)),
        dataclasses.replace(model("bad", Refused(), findings=(REFUSAL,)), destination=None),
        dataclasses.replace(model("torn", Unreadable("damaged")), destination=None),
        dataclasses.replace(model("known", Refused(), findings=(REFUSAL,), expected="refused: x"), destination=None),
    )
    words = {"ready": 5, "ready with a flag": 3, "blocked": 2, "blocked as the config expects": 1}
    document = to_document(Report(audited))
    told = [f"{count} {word}" for word, count in words.items()]
    assert render_audit(Report(audited), 200).splitlines()[0] == f"11 models: {', '.join(told)}"
    assert to_markdown(document).splitlines()[0] == f"**11 models: {'; '.join(told)}**"
    assert {o["words"]: o["count"] for o in outcomes(document["models"])} == words
    assert [(label, value) for label, value, _ in tiles(document["models"])[1:4]] == [
        (word, str(count)) for word, count in list(words.items())[:3]
    ]
    table = [line.split(" | ")[1].strip("*") for line in to_markdown(document).splitlines() if line.startswith("| `")]
    assert Counter(table) == words


def test_one_audited_model_is_blocked_and_not_refused():
    assert lede([_audited("refused")]) == "Blocked. 0 findings block the conversion."


def test_one_verified_model_answers_and_several_answer():
    verification = {"passed": True, "calls": 1, "compared": 2, "bitwise_equal": True}
    one = _audited("converted", verification=verification, destination="b")
    assert lede([one, _audited("unchanged")]).startswith(
        "1 was verified: 1 call to both models, and 2 outputs compared; 1 model answers as before, bit for bit."
    )
    assert lede([one, one]).startswith(
        "2 were verified: 2 calls to both models, and 4 outputs compared; 2 models answer as before, bit for bit."
    )
