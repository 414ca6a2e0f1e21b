"""The documentation as a site: it builds without a warning, and its pages fetch nothing from elsewhere."""

from __future__ import annotations

import os
import pathlib
import re
import subprocess

import pytest
import yaml

from tests.conversions import ROOT

_MKDOCS = pathlib.Path(os.environ.get("MIGRATE_MKDOCS", ROOT / ".venv-docs" / "bin" / "mkdocs"))


def _config():
    return yaml.safe_load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"))


def _named(nav):
    for entry in nav:
        if isinstance(entry, str):
            yield entry
        else:
            for value in entry.values():
                yield from _named([value] if isinstance(value, str) else value)


def test_a_warning_is_an_error_and_no_font_is_fetched():
    config = _config()
    assert config["strict"] is True and config["theme"]["font"] is False
    assert not {"extra_javascript", "extra_css"} & set(config)


def test_every_page_is_in_the_navigation_once():
    pages = [path.relative_to(ROOT / "docs").as_posix() for path in (ROOT / "docs").rglob("*.md")]
    named = list(_named(_config()["nav"]))
    assert len(named) == len(set(named))
    # The index of the decisions has a link to each of them.
    assert sorted(named) == sorted(page for page in pages if not re.match(r"decisions/\d", page))


@pytest.mark.slow
@pytest.mark.skipif(not _MKDOCS.is_file(), reason="MkDocs is not there (MIGRATE_MKDOCS; make docs installs it)")
def test_the_site_builds_and_fetches_nothing(tmp_path):
    command = [str(_MKDOCS), "build", "--strict", "--quiet", "--site-dir", str(tmp_path)]
    environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    fetched = re.compile(r'<(?:script|link|img|iframe|source)\b[^>]*\b(?:src|href)="(?:https?:)?//[^"]*"')
    pages = list(tmp_path.rglob("*.html"))
    assert len(pages) > 40
    assert [(page.name, fetched.findall(page.read_text())) for page in pages if fetched.search(page.read_text())] == []
    styles = "".join(file.read_text() for file in tmp_path.rglob("*.css"))
    assert not re.search(r"url\((?:https?:)?//|@import", styles)


def _shown(page):
    from tools.site_hook import on_page_content

    assert _config()["hooks"] == ["tools/site_hook.py"]
    return on_page_content(page, page=None, config=None, files=None)


def test_a_flag_is_never_broken_behind_its_dashes():
    long = f"--{'x' * 60}"
    page = f"<p><code>--only_latest_version</code> <code>migrate a --jobs=2</code> <code>{long}</code></p>"
    whole = page.replace("<code>--only", '<code style="white-space: nowrap">--only')
    whole = whole.replace("--jobs=2", '<span style="white-space: nowrap">--jobs=2</span>')
    assert _shown(page) == whole.replace(f"<code>{long}", f'<code style="word-break: normal">{long}')


@pytest.mark.parametrize(
    "name, broken",
    [
        ("MergeV2Checkpoints", "MergeV2Checkpoints"),
        ("timed_out", "timed_out"),
        ("tests/test_a_module.py", "tests/<wbr>test_<wbr>a_<wbr>module.<wbr>py"),
        ("test_a_parameter[b-c]", "test_<wbr>a_<wbr>parameter[<wbr>b-c]"),
        ("__begins_and_ends_so__", "__begins_<wbr>and_<wbr>ends_<wbr>so__"),
        (r"v1\|functional", "v1|functional"),
    ],
)
def test_a_name_is_broken_only_between_its_words(name, broken):
    assert _shown(f"<code>{name}</code>") == f'<code style="word-break: normal">{broken}</code>'


def test_code_in_a_block_stays_as_it_is():
    block = "<pre><code>a_b\n</code></pre>"
    assert _shown(block) == block


def test_a_table_of_flags_is_one_column_on_a_phone():
    table = "<table>\n<thead>\n<tr>\n<th>flag</th>\n<th>what it does</th>"
    assert "<table data-flags>" in _shown(table) and _shown(table).startswith("<style>@media (max-width")
    other = table.replace("flag", "op")
    assert _shown(other) == other
