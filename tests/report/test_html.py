"""report.html in a headless Chromium: it filters, sorts, opens models, obeys no model and asks no network."""

from __future__ import annotations

import html.parser
import json
import re

import pytest

from migrate.records import Refused, Report
from migrate.report.html import _details, _headline, _lede, to_html
from migrate.report.json import to_document
from tests.report.browser import CHROMIUM, Browser
from tests.report.fleet import HOSTILE, hostile_model, make_fleet
from tests.report.reports import MODELS, REFUSAL, model

browser_only = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine")


def _html(*models):
    return to_html(json.loads(json.dumps(to_document(Report(models)))))


class _Tags(html.parser.HTMLParser):
    def __init__(self):
        super().__init__()
        self.found = []

    def handle_starttag(self, tag, attributes):
        self.found.append((tag, dict(attributes)))


def _tags(text):
    parser = _Tags()
    parser.feed(text)
    return parser.found


def test_a_page_needs_nothing_beside_it():
    text = _html(*MODELS)
    for tag, attributes in _tags(text):
        for key in ("src", "href", "action"):
            assert attributes.get(key, "#").startswith(("#", "data:")), (tag, attributes)
    assert not re.search(r"@import|url\((?!#)|fetch\(|XMLHttpRequest|https?://(?!www\.w3\.org/2000/svg)", text)
    policy = next(a["content"] for tag, a in _tags(text) if a.get("http-equiv") == "Content-Security-Policy")
    assert policy.startswith("default-src 'none'; img-src data:; script-src 'sha256-")


def test_models_add_no_tag_and_no_attribute():
    shape = [(tag, sorted(attributes)) for tag, attributes in _tags(_html(hostile_model("plain"), hostile_model("b")))]
    for text in HOSTILE:
        page = _html(hostile_model(text), hostile_model("b"))
        assert [(tag, sorted(attributes)) for tag, attributes in _tags(page)] == shape, text
        assert "<" not in text or text not in page
        page.encode("utf-8")


def test_the_same_report_is_the_same_page():
    assert _html(*make_fleet(50)) == _html(*make_fleet(50))


@pytest.fixture(scope="module")
def five_thousand():
    return to_html(to_document(Report(make_fleet(5000))))


@pytest.mark.slow
def test_five_thousand_models_stay_small(five_thousand):
    assert len(five_thousand) < 5_000_000


@pytest.fixture(scope="module")
def browser():
    started = Browser()
    yield started
    started.close()


@pytest.fixture
def opened(browser, tmp_path):
    """Opens a report of models; in the end nothing may have been logged or fetched."""
    browser.logged.clear()
    browser.requests.clear()

    def open_report(*models, page=None):
        path = tmp_path / "report.html"
        path.write_text(page or _html(*models), encoding="utf-8")
        browser.open(str(path))
        return browser

    yield open_report
    assert browser.logged == []
    assert {url.partition("#")[0] for url in browser.requests if not url.startswith("data:")} <= {
        f"file://{tmp_path}/report.html"
    }


_NAMES = "[...document.querySelectorAll('#rows a')].map((a) => a.textContent)"
_STATUS = "document.getElementById('status').textContent"


def _choose(browser, field, value):
    browser.run(
        f"(() => {{ const f = document.getElementById('filter-{field}'); f.value = {json.dumps(value)};"
        "f.dispatchEvent(new Event('input', { bubbles: true })); })()"
    )


def _options(browser, field):
    return browser.run(f"[...document.getElementById('filter-{field}').options].map((o) => [o.value, o.textContent])")


@browser_only
def test_filters(opened):
    models = make_fleet(300)
    page = opened(*models)
    assert page.run(_STATUS) == "Showing 1 to 100 of 300 models."
    refused = [m for m in models if type(m.outcome).__name__ == "Refused"]
    _choose(page, "outcome", "refused")
    assert len(page.run(_NAMES)) == len(refused)
    wanted = next(f.code for m in refused for f in m.findings)
    place = next(value for value, text in _options(page, "code") if text.startswith(wanted))
    _choose(page, "code", place)
    both = [m for m in refused if any(f.code == wanted for f in m.findings)]
    assert page.run(_NAMES) == [m.source.removeprefix("/models/") for m in both]
    version = both[0].meta_graphs[0].tf_version
    _choose(page, "version", version)
    assert len(page.run(_NAMES)) == sum(m.meta_graphs[0].tf_version == version for m in both)
    page.run("document.getElementById('clear').click()")
    page.wait(f"{_STATUS} === 'Showing 1 to 100 of 300 models.'")
    _choose(page, "size", "4")
    assert len(page.run(_NAMES)) == sum((m.bytes or 0) >= 1e9 for m in models)
    _choose(page, "size", "")
    _choose(page, "name", "MODEL_00042")
    assert [name.split("/")[1] for name in page.run(_NAMES)] == ["model_00042"]
    _choose(page, "name", "no such model")
    assert page.run(_STATUS) == "No model fits (of 300)."


@browser_only
def test_the_chart_filters_too(opened):
    page = opened(*make_fleet(300))
    page.run("document.querySelector('button[data-outcome=crashed]').click()")
    assert page.run("document.querySelector('button[data-outcome=crashed]').getAttribute('aria-pressed')") == "true"
    assert set(page.run("[...document.querySelectorAll('#rows .outcome')].map((o) => o.textContent)")) == {"crashed"}
    page.run("document.querySelector('button[data-outcome=crashed]').click()")
    assert page.run(_STATUS) == "Showing 1 to 100 of 300 models."


@browser_only
@pytest.mark.parametrize(
    ("column", "key"),
    [(0, lambda m: m.source), (4, lambda m: -1 if m.bytes is None else m.bytes)],
)
def test_sorts(column, key, opened):
    models = make_fleet(80)
    page = opened(*models)
    button = f"document.querySelector('button[data-sort=\"{column}\"]')"
    for state in ("ascending", "descending"):
        page.run(f"{button}.click()")
        assert page.run(f"{button}.closest('th').getAttribute('aria-sort')") == state
        assert page.run("document.querySelectorAll('th[aria-sort=none]').length") == 6
        shown = {m.source.removeprefix("/models/"): key(m) for m in models}
        keys = [shown[name] for name in page.run(_NAMES)]
        assert keys == sorted(keys, reverse=state == "descending")


@browser_only
def test_opens_a_model_with_the_keyboard_and_comes_back(opened):
    models = [m for m in make_fleet(40) if m.sketches and m.verification]
    page = opened(*models)
    page.run("document.querySelector('#rows a').focus()")
    page.press("Enter", 13)
    page.wait("!document.getElementById('model').hidden")
    assert page.run("document.activeElement.id") == "model-title"
    text = page.run("document.getElementById('model').textContent")
    for variable in models[0].meta_graphs[0].variables[:3]:
        assert variable.name in text
    for word in ("Comparison", "Signatures", "Timings", "What the rewrite changes", "scores", models[0].source):
        assert word in text, word
    assert page.run("document.querySelectorAll('svg.graph').length") == 2 * len(models[0].sketches)
    drawn = page.run("document.querySelector('svg.graph').querySelectorAll('rect').length")
    assert drawn == len(models[0].sketches[0].before.nodes)
    page.run("document.querySelector('.back a').click()")
    page.wait("!document.getElementById('overview').hidden")
    assert page.run("document.activeElement.getAttribute('href')") == "#model-0"


@browser_only
def test_every_kind_of_model_opens(opened):
    page = opened(*MODELS, *make_fleet(30))
    for number in range(len(MODELS) + 30):
        page.run(f"location.hash = 'model-{number}'")
        title = page.run(f"document.querySelector('#rows a[href=\"#model-{number}\"]').textContent")
        page.wait(f"document.getElementById('model').dataset.shown === '{number}'")
        assert page.run("document.getElementById('model-title').textContent") == title


@browser_only
def test_one_model_is_shown_at_once(opened):
    page = opened(make_fleet(3)[0])
    page.wait("!document.getElementById('model').hidden")
    assert page.run("document.getElementById('overview').hidden")


@browser_only
def test_hostile_models_are_text(opened):
    page = opened(*(hostile_model(text) for text in HOSTILE))
    tags = page.run("document.querySelectorAll('main img, main script, main iframe').length")
    assert tags == 0
    for number, text in enumerate(HOSTILE):
        page.run(f"location.hash = 'model-{number}'")
        page.wait(
            f"document.getElementById('model').textContent.includes('/models/') && location.hash === '#model-{number}'"
        )
        page.wait(
            f"document.querySelectorAll('#model .graph').length === 2 && document.title.length > 0 && {number} >= 0"
        )
        inside = page.run("document.getElementById('model').textContent")
        assert not re.search("[\u202a-\u202e\u2066-\u2069\x00\x1b]", inside), text
        assert page.run("document.querySelectorAll('#model img, #model script, #model iframe').length") == 0
        assert page.run(
            "[...document.querySelectorAll('#model *')].every((e) => "
            "![...e.attributes].some((a) => a.name.startsWith('on')))"
        )
    assert "onerror" in page.run("document.getElementById('model').ownerDocument.body.textContent")


@pytest.mark.slow
@browser_only
def test_five_thousand_models(opened, five_thousand):
    page = opened(page=five_thousand)
    assert page.run(_STATUS) == "Showing 1 to 100 of 5,000 models."
    took = page.run(
        "(() => { const start = performance.now(); document.querySelector('button[data-sort=\"4\"]').click();"
        "return performance.now() - start; })()"
    )
    assert took < 5000
    _choose(page, "name", "fraud")
    assert "fraud" in page.run(_NAMES)[0]
    page.run("location.hash = 'model-4999'")
    page.wait("document.getElementById('model-title')?.textContent.includes('model_04999')")


@browser_only
def test_what_is_said_to_screen_readers(opened):
    page = opened(*make_fleet(20))
    assert page.run("[...document.querySelectorAll('input, select')].every((f) => f.labels.length === 1)")
    assert page.run("document.querySelectorAll('#rows th[scope=row]').length") == 20
    told = "s.getAttribute('aria-hidden') || s.getAttribute('aria-label')"
    assert page.run(f"[...document.querySelectorAll('svg')].every((s) => {told})")
    assert page.run("document.getElementById('status').getAttribute('aria-live')") == "polite"
    page.run("location.hash = 'model-0'")
    page.wait("!document.getElementById('model').hidden")
    assert page.run("[...document.querySelectorAll('#model svg')].every((s) => s.getAttribute('aria-label'))")


def test_a_keras_file_and_a_bare_checkpoint_show_what_they_hold():
    weights = [{"name": "dense/kernel", "dtype": "float32", "shape": [3, 2]}]
    keras = {
        "keras_version": "2.15.0",
        "layers": {"Dense": 1},
        "weights": weights,
        "optimizer": {"class_name": "Adam", "variables": 5},
    }
    tensors = [{"name": "w", "dtype": "float32", "shape": [4], "bytes": 16, "slices": 0}]
    checkpoint = {"format": "V2", "object_based": False, "shards": 1, "tensors": tensors}
    empty = {
        "source": "m",
        "kind": "keras_h5_model",
        "outcome": "convertible",
        "findings": [],
        "meta_graphs": [],
        "seconds": {},
    }
    shown = _details({**empty, "keras": keras})
    assert dict(shown["facts"])["Optimizer"] == "Adam, 5 variables"
    assert dict(shown["facts"])["Weights"] == "1 tensor, 6 parameters"
    assert shown["variables"] == [["dense/kernel", "float32", "(3, 2)", ""]]
    shown = _details({**empty, "checkpoint": checkpoint})
    assert dict(shown["facts"])["Checkpoint"] == "format V2, name-based, 1 shard"
    assert shown["variables"] == [["w", "float32", "(4)", ""]]


def test_the_headline_counts_what_was_converted_and_says_what_was_tf2_already():
    def model(outcome):
        return {"outcome": outcome, "verification": None}

    models = [model(o) for o in ("converted", "converted", "unchanged", "refused")]
    assert _headline(models, []) == "2 of 4 models converted"
    assert _lede(models) == "One was a TF2 SavedModel already. 1 needs attention."
    assert _headline([model("already_tf2"), model("convertible")], []) == "1 of 2 models can be converted"
    assert _headline([model("refused"), model("refused")], []) == "0 of 2 models converted"


def test_a_refusal_that_is_expected_needs_no_attention():
    known = model("known", Refused(), findings=(REFUSAL,), expected="refused: " + REFUSAL.code)
    other = model("other", Refused(), findings=(REFUSAL,))
    assert "1 needs attention." in to_html(to_document(Report((known, other))))
