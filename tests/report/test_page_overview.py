"""The beginning of the page: its headline, its figures, its proposals."""

from __future__ import annotations

from migrate.records import Refused, Report
from migrate.report.html import to_html
from migrate.report.json import to_document
from migrate.report.page_overview import headline, lede, outcomes, proposals, tiles
from tests.report.reports import REFUSAL, model


def test_theheadline_counts_what_was_converted_and_says_what_was_tf2_already():
    def model(outcome, destination="new"):
        return {"outcome": outcome, "verification": None, "destination": destination}

    models = [model(o) for o in ("converted", "converted", "unchanged", "refused")]
    assert headline(models, []) == "2 of 4 models converted"
    assert lede(models) == "One was TF2 already. 1 needs attention."
    assert headline([model("already_tf2", None), model("convertible", None)], []) == "1 of 2 models can be converted"
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
    assert headline(models, []) == "1 of 4 models can be converted"
    assert (
        lede(models)
        == "One is TF2 already. 1 more can be converted with flags that this page proposes. 1 needs attention."
    )
    assert [label for label, *_ in tiles(models)][1:4] == ["convertible", "convertible with flags", "blocked"]
    assert [value for _, value, _ in tiles(models)][:4] == ["4", "1", "1", "1"]
    assert [o["words"] for o in outcomes(models)] == ["convertible", "already TF2", "convertible with flags", "blocked"]
    assert proposals(models) == [{"flags": "--take_proposals --drop_signatures", "count": 1}]
    page = to_html({"schema_version": 1, "tool": {}, "models": models})
    assert "nothing was written" not in page and "succeeded" not in page


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
