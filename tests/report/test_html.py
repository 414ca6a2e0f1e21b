"""report.html in a headless Chromium: it filters, sorts, opens models, obeys no model and asks no network."""

from __future__ import annotations

import csv
import dataclasses
import html.parser
import io
import json
import os
import pathlib
import re
import shlex

import pytest

from migrate.records import (
    Converted,
    Convertible,
    Finding,
    GivenFeed,
    Kind,
    ModelOptions,
    Refused,
    Report,
    Severity,
    Unreadable,
    VariableFacts,
)
from migrate.report.html import to_html
from migrate.report.json import to_document
from tests.conversions import ROOT
from tests.report.browser import CHROMIUM, Browser
from tests.report.fleet import HOSTILE, hostile_model, make_fleet
from tests.report.reports import FACTS, MODELS, REFUSAL, model

browser_only = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine")


def _page(report):
    return to_html(json.loads(json.dumps(to_document(report))))


def _html(*models):
    return _page(Report(models))


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


@pytest.mark.parametrize("text", HOSTILE)
def test_a_proposal_with_a_hostile_word_is_text_or_not_there(text):
    documents = to_document(Report((_flagged("one"), _flagged("two"))))
    for one in documents["models"]:
        one["proposed_options"] = {"tags": [text]}
    found = [attributes for _, attributes in _tags(to_html(documents)) if "data-copy" in attributes]
    assert not any(name.startswith("on") for attributes in found for name in attributes)
    if text.isprintable():
        (flag,) = {attributes["data-copy"] for attributes in found}
        assert shlex.split(flag)[0].startswith("--tags=") and len(shlex.split(flag)) == 1
    else:
        assert found == []


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


@pytest.mark.process
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


@pytest.mark.process
@browser_only
def test_the_chart_filters_too(opened):
    page = opened(*make_fleet(300))
    page.run("document.querySelector('button[data-outcome=crashed]').click()")
    assert page.run("document.querySelector('button[data-outcome=crashed]').getAttribute('aria-pressed')") == "true"
    assert set(page.run("[...document.querySelectorAll('#rows .outcome')].map((o) => o.textContent)")) == {"crashed"}
    page.run("document.querySelector('button[data-outcome=crashed]').click()")
    assert page.run(_STATUS) == "Showing 1 to 100 of 300 models."


@pytest.mark.process
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


@pytest.mark.process
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


@pytest.mark.process
@browser_only
def test_every_kind_of_model_opens(opened):
    page = opened(*MODELS, *make_fleet(30))
    for number in range(len(MODELS) + 30):
        page.run(f"location.hash = 'model-{number}'")
        title = page.run(f"document.querySelector('#rows a[href=\"#model-{number}\"]').textContent")
        page.wait(f"document.getElementById('model').dataset.shown === '{number}'")
        assert page.run("document.getElementById('model-title').textContent") == title


@pytest.mark.process
@browser_only
def test_one_model_is_shown_at_once(opened):
    page = opened(make_fleet(3)[0])
    page.wait("!document.getElementById('model').hidden")
    assert page.run("document.getElementById('overview').hidden")


@pytest.mark.process
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


@pytest.mark.process
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


@pytest.mark.process
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


# The address, what is taken away, and the page without its script.


def _flagged(name, **fields):
    proposed = ModelOptions(feed=(GivenFeed("keep_prob:0", "1.0"),))
    return model(name, Refused(), findings=(REFUSAL,), proposed=proposed, **fields)


_HASH = "location.hash"


@pytest.mark.process
@browser_only
def test_the_address_keeps_filters_order_and_the_open_model(opened):
    page = opened(*make_fleet(300))
    _choose(page, "outcome", "converted")
    _choose(page, "name", "search/")
    page.run("document.querySelector('button[data-sort=\"4\"]').click()")
    page.run("document.querySelector('button[data-sort=\"4\"]').click()")
    assert page.run(_HASH) == "#name=search%2F&outcome=converted&sort=-size"
    names = page.run(_NAMES)
    page.run("document.querySelectorAll('#rows a')[2].click()")
    page.wait("!document.getElementById('model').hidden")
    opened_hash = page.run(_HASH)
    assert opened_hash.endswith("&name=search%2F&outcome=converted&sort=-size") and opened_hash.startswith("#model-")
    page.run("window.before = true; location.reload()")
    page.wait("!window.before && document.documentElement?.dataset.ready === 'true'")
    assert page.run("document.getElementById('model-title').textContent") == names[2]
    page.run("document.getElementById('all').click()")
    page.wait("!document.getElementById('overview').hidden")
    assert page.run(_NAMES) == names
    assert page.run("document.getElementById('filter-outcome').value") == "converted"
    assert page.run("document.querySelector('th[aria-sort=descending]').textContent") == "Size"
    page.run("document.getElementById('clear').click()")
    page.wait(f"{_HASH} === '#sort=-size' || {_HASH} === '#sort=-size&'")


@pytest.mark.process
@browser_only
def test_what_an_address_has_that_is_nothing_is_ignored_with_a_word(opened):
    page = opened(*make_fleet(20))
    parts = ("outcome=gone", "model-77", "sort=price", "page=0", "finding=no-such-code", "name=%E0%A4%A", "nonsense")
    for part in parts:
        page.run(f"location.hash = {json.dumps('kind=TF1 SavedModel&' + part)}")
        told = part.partition("=")[0]
        page.wait(f"document.getElementById('ignored').textContent.includes({json.dumps(told)})")
        assert not page.run("document.getElementById('ignored').hidden"), part
        assert page.run("document.getElementById('filter-kind').value") == "TF1 SavedModel", part
    page.run("location.hash = 'kind=TF1 SavedModel'")
    page.wait("document.getElementById('ignored').hidden")


@pytest.mark.process
@browser_only
def test_every_filter_is_read_as_it_is_written(opened):
    page = opened(*make_fleet(40))
    for field in ("outcome", "kind", "code", "version", "size"):
        for value, _ in _options(page, field)[1::4]:
            _choose(page, field, value)
            address = page.run(_HASH)
            page.run("location.hash = ''")
            page.wait(f"document.getElementById('filter-{field}').value === ''")
            page.run(f"location.hash = {json.dumps(address)}")
            page.wait(f"document.getElementById('filter-{field}').value === {json.dumps(value)}")
            _choose(page, field, "")


@pytest.mark.process
@browser_only
def test_csv_has_what_is_filtered_and_no_formula(opened):
    models = [*make_fleet(50), model("=HYPERLINK(1)", Refused(), findings=(REFUSAL,)), _flagged('a"b,c')]
    page = opened(*models)
    page.run("URL.createObjectURL = (blob) => { window.saved = blob; return 'data:,'; }")
    _choose(page, "outcome", "refused")
    page.run("document.getElementById('csv').click()")
    rows = list(csv.DictReader(io.StringIO(page.run("window.saved.text()"))))
    assert [row["model"] for row in rows][-2:] == ["'models/=HYPERLINK(1)", 'models/a"b,c'] or len(rows) > 2
    assert {row["outcome"] for row in rows} == {"refused"}
    assert len(rows) == sum(isinstance(m.outcome, Refused) for m in models)
    assert not any(value[:1] in ("=", "+", "-", "@") for row in rows for value in row.values())


@pytest.mark.process
@browser_only
def test_the_command_for_what_is_filtered(opened):
    page = opened(page=_page(Report(make_fleet(100), whole_tree=True)))
    command = "document.getElementById('command').textContent"
    assert page.run(command) == "migrate convert /models /models_tf2"
    _choose(page, "outcome", "mismatched")
    names = page.run(_NAMES)
    assert names
    assert page.run(command) == " ".join(["migrate convert /models /models_tf2", *(f"--include={n}" for n in names)])
    _choose(page, "name", "no such model")
    assert page.run("document.getElementById('command-box').hidden")


@pytest.mark.process
@browser_only
@pytest.mark.parametrize("report", [{}, {"whole_tree": True, "not_started": 3}])
def test_the_command_for_a_part_of_a_tree_names_its_models_and_takes_proposals_as_the_run_did(opened, report):
    taken = Finding("signature-proposed", Severity.WARNING, "got the first one")
    models = (model("one", Converted(), findings=(taken,)), model("two", Refused(), findings=(REFUSAL,)))
    page = opened(page=_page(Report(models, **report)))
    told = page.run("document.getElementById('command').textContent")
    assert told == "migrate convert models new --include=one --include=two --take_proposals"
    assert page.run("document.getElementById('command-what').textContent") == "Retry the 2 models of this report"
    _choose(page, "outcome", "refused")
    assert page.run("document.getElementById('command').textContent") == "migrate convert models new --include=two"


@pytest.mark.process
@browser_only
def test_after_an_audit_the_command_converts_with_what_is_proposed(opened):
    audited = [dataclasses.replace(_flagged(name), destination=None) for name in ("one", "two's", "three")]
    page = opened(*audited, dataclasses.replace(model("well", Convertible()), destination=None))
    assert "1 of 4 models are ready" in page.run("document.getElementById('headline').textContent")
    _choose(page, "outcome", "flagged")
    told = page.run("document.getElementById('command').textContent")
    assert told == "migrate convert models NEW --include=one --include=three --take_proposals"
    assert "1 name cannot be copied" in page.run("document.getElementById('command-note').textContent")
    page.run("document.querySelector('#rows a').click()")
    page.wait("!document.getElementById('model').hidden")
    assert page.run("document.querySelector('#model .tag.flag').textContent") == "refusal"
    assert page.run("document.querySelector('#model .verdict strong').textContent") == "Ready with a flag"
    assert "migrate convert models/one NEW --feed=keep_prob:0=1.0" in page.run(
        "[...document.querySelectorAll('#model .copyable code')].map((c) => c.textContent)"
    )


@pytest.mark.process
@browser_only
def test_a_flag_is_copied(opened):
    page = opened(_flagged("one"), _flagged("two"))
    page.run(
        "Object.defineProperty(navigator, 'clipboard', { value: { writeText: async (t) => { window.taken = t; } } })"
    )
    page.run("document.querySelector('.proposals .copy').click()")
    page.wait("window.taken === '--take_proposals' && document.getElementById('said').textContent === 'Copied.'")


@browser_only
def test_flags_and_paths_are_not_broken_within_a_word(narrow, tmp_path):
    source = "models/" + "/".join(["a-team_of-many", "ranker-with-words", "7"])
    one = dataclasses.replace(_flagged("x"), source=source)
    path = tmp_path / "report.html"
    path.write_text(_html(one, dataclasses.replace(one, source=source + "1")), encoding="utf-8")
    narrow.open(str(path))
    narrow.run("document.querySelector('#rows a').click()")
    narrow.wait("!document.getElementById('model').hidden")
    lines = "[...document.querySelectorAll('.whole, .copyable code')].every((e) => e.getClientRects().length <= 1)"
    assert narrow.run(lines)
    assert narrow.run("document.documentElement.scrollWidth") <= 390
    assert narrow.send("Page.getLayoutMetrics")["cssContentSize"]["width"] <= 390


@browser_only
def test_a_phone_shows_no_model_wider_than_itself(narrow, tmp_path):
    path = tmp_path / "report.html"
    path.write_text(_html(*MODELS, *make_fleet(5)), encoding="utf-8")
    narrow.open(str(path))
    for number in range(len(MODELS) + 5):
        narrow.run(f"location.hash = 'model-{number}'")
        narrow.wait(f"document.getElementById('model').dataset.shown === '{number}'")
        assert narrow.send("Page.getLayoutMetrics")["cssContentSize"]["width"] <= 390, number


@browser_only
def test_names_stay_in_sight_on_a_phone(narrow, tmp_path):
    path = tmp_path / "report.html"
    path.write_text(_html(*make_fleet(30)), encoding="utf-8")
    narrow.open(str(path))
    left = "Math.round(document.querySelector('#rows th').getBoundingClientRect().left)"
    before = narrow.run(left)
    narrow.run("document.querySelector('.scroll').scrollLeft = 300")
    assert narrow.run("document.querySelector('.scroll').scrollLeft") > 100
    assert narrow.run(left) == before + 0


@browser_only
def test_a_phone_shows_differences_as_lists_that_are_still_a_table(narrow, tmp_path):
    path = tmp_path / "report.html"
    path.write_text(_html(*[m for m in MODELS if m.source.endswith("mismatched")]), encoding="utf-8")
    narrow.open(str(path))
    table = "document.querySelector('table.listed')"
    assert narrow.run(f"{table}.scrollWidth <= {table}.closest('.scroll').clientWidth")
    cells = f"[...{table}.querySelectorAll('tbody tr:first-child td')]"
    heads = narrow.run(f"[...{table}.querySelectorAll('thead th')].map((th) => th.textContent)")
    assert narrow.run(f"{cells}.map((td) => td.dataset.head)") == heads
    assert "what differs" in heads
    lefts = narrow.run(f"new Set({cells}.map((td) => td.getBoundingClientRect().left)).size")
    assert lefts == 1  # One below the other.
    assert narrow.run(f"{cells}.every((td) => td.getAttribute('role') === 'cell')")


@pytest.mark.process
@browser_only
def test_a_flag_in_a_sentence_is_code_without_the_sentences_marks(opened):
    finding = dataclasses.replace(REFUSAL, message="give --take_proposals; or (--feed=a:0=1.5), or --tags=x:y.")
    page = opened(model("one", Refused(), findings=(finding,)))
    code = page.run("[...document.querySelectorAll('.finding > p .code')].map((e) => e.textContent)")
    assert code == ["--take_proposals", "--feed=a:0=1.5", "--tags=x:y"]
    assert finding.message in page.run("document.querySelector('.finding').textContent")


@pytest.mark.process
@browser_only
def test_a_phone_shows_the_seconds_of_each_step(narrow, tmp_path):
    path = tmp_path / "report.html"
    path.write_text(_html(*make_fleet(1)), encoding="utf-8")
    narrow.open(f"{path}#model-0")
    numbers = "[...document.querySelectorAll('.wide-drawing[aria-label=Timings] text.end')]"
    assert narrow.run(f"{numbers}.length") > 0
    assert narrow.run(f"{numbers}.every((text) => text.getBoundingClientRect().right < innerWidth)")


_LARGE = VariableFacts("v", "float32", (268_350_000,), False, True, True)
_WIDE_MODEL = dataclasses.replace(
    model("serving_half_plus_two_cpu_with_empty_saved_model_config", Convertible()),
    destination=None,
    findings=(Finding("checkpoint-unreadable", Severity.WARNING, "one"), Finding("two", Severity.NOTE, "two")),
    meta_graphs=(dataclasses.replace(FACTS, tf_version="2.9.0-dev20220227", variables=(_LARGE,)),),
    bytes=999_900_000,
    seconds={"audit": 100.0},
)


@pytest.mark.process
@browser_only
@pytest.mark.parametrize("width", [375, 720, 1000, 1440])
def test_every_figure_is_in_its_tile_and_a_wide_screen_shows_every_column(width, browser, tmp_path):
    path = tmp_path / "report.html"
    meta = dataclasses.replace(_WIDE_MODEL, source="models/meta", kind=Kind.CHECKPOINT_META)
    damaged = model("damaged", Unreadable(f"/{'a/' * 60}graph.pb: not a GraphDef"))
    audited = (_WIDE_MODEL, meta, dataclasses.replace(_flagged("flagged"), destination=None))
    path.write_text(_html(*audited, dataclasses.replace(damaged, destination=None)), encoding="utf-8")
    browser.send("Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=False)
    try:
        browser.open(str(path))
        assert "537 M" in browser.run("document.querySelector('.tiles').textContent")
        assert browser.run(
            "[...document.querySelectorAll('.tile > *')].every((e) => e.scrollWidth <= e.clientWidth"
            " && e.getBoundingClientRect().right <= e.parentElement.getBoundingClientRect().right - 10)"
        )
        columns = browser.run(
            "getComputedStyle(document.querySelector('.tiles')).gridTemplateColumns.split(' ').length"
        )
        assert browser.run("document.querySelectorAll('.tile').length") % columns == 0
        cell = "document.querySelector('#rows tr:last-child td:nth-child(5)')"
        assert browser.run(f"{cell}.textContent") == "unreadable"
        assert browser.run(f"{cell}.offsetHeight < 45")
        fits = browser.run(
            "document.getElementById('models').scrollWidth <= document.querySelector('.scroll').clientWidth"
        )
        assert fits or width < 1400
    finally:
        browser.send("Emulation.clearDeviceMetricsOverride")


@pytest.fixture(scope="module")
def narrow():
    started = Browser(390, 900)
    started.send("Emulation.setDeviceMetricsOverride", width=390, height=900, deviceScaleFactor=1, mobile=True)
    yield started
    started.close()


@browser_only
def test_without_javascript_there_are_totals_and_a_list(narrow, tmp_path):
    path = tmp_path / "report.html"
    path.write_text(_html(*make_fleet(30)), encoding="utf-8")
    narrow.send("Emulation.setScriptExecutionDisabled", value=True)
    try:
        narrow.send("Page.navigate", url=f"file://{path}")
        narrow.wait(
            "document.readyState === 'complete' && document.querySelectorAll('noscript tbody tr').length === 30"
        )
        shown = narrow.run("document.body.innerText")
        table = "document.querySelector('noscript table')"
        fits = narrow.run(f"{table}.scrollWidth <= {table}.closest('.scroll').clientWidth")
        empty = narrow.run(
            f"[...{table}.querySelectorAll('td')].filter((td) => td.clientHeight && !td.innerText).length"
        )
    finally:
        narrow.send("Emulation.setScriptExecutionDisabled", value=False)
    assert fits and empty == 0
    assert "filter below" not in shown
    assert "model_00029" in shown and "JavaScript is off" in shown and "of 30 models converted" in shown
    assert "Save as CSV" not in shown and "Name contains" not in shown


AXE = pathlib.Path(os.environ.get("MIGRATE_AXE", ROOT / ".venv" / "axe.min.js"))


@pytest.mark.slow
@browser_only
@pytest.mark.skipif(not AXE.is_file(), reason="axe-core is not there (MIGRATE_AXE; make axe fetches it)")
@pytest.mark.parametrize("dark", [False, True])
def test_axe_finds_no_serious_violation(dark, tmp_path):
    path = tmp_path / "report.html"
    path.write_text(_html(*MODELS, *make_fleet(10), _flagged("one")), encoding="utf-8")
    page = Browser(dark=dark)
    try:
        for opened_hash in ("", "#model-3", "#model-7", "#model-8"):
            page.open(f"{path}{opened_hash}")
            page.run(AXE.read_text(encoding="utf-8") + "; 0")
            found = page.run(
                "axe.run().then((r) => r.violations.filter((v) => ['serious', 'critical'].includes(v.impact))"
                ".map((v) => `${v.id}: ${v.nodes.slice(0, 3).map((n) => n.html)}`))"
            )
            assert found == [], (opened_hash, found)
    finally:
        page.close()
