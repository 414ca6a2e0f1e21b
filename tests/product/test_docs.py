"""Links, decisions and module names in the Markdown files."""

from __future__ import annotations

import datetime
import pathlib
import re

import pytest
import yaml

from migrate.versions import VERSION
from tests.conversions import ROOT

_FOLDERS = ("docs", "migrate", "tests", "testdata", "tools", "benchmarks")
_DECISIONS = sorted((ROOT / "docs" / "decisions").glob("[0-9]*.md"))


def _markdown_files() -> list[pathlib.Path]:
    return sorted([*ROOT.glob("*.md"), *(file for folder in _FOLDERS for file in (ROOT / folder).rglob("*.md"))])


def _without_code(text: str) -> str:
    text = re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)
    text = re.sub(r"^ {4}.*$", "", text, flags=re.MULTILINE)
    return re.sub(r"`[^`]*`", "", text)


def _links(text: str) -> list[str]:
    found = re.findall(r"\]\(([^()\s]+)\)", _without_code(text))
    return [link for link in found if not re.match(r"[a-z]+:", link)]


def _anchors(text: str) -> set[str]:
    headings = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


def _is_broken(file: pathlib.Path, link: str) -> bool:
    path, _, anchor = link.partition("#")
    target = file.parent / path if path else file
    if not target.exists():
        return True
    return bool(anchor) and anchor not in _anchors(target.read_text(encoding="utf-8"))


@pytest.mark.parametrize("file", _markdown_files(), ids=lambda file: str(file.relative_to(ROOT)))
def test_relative_links_lead_somewhere(file):
    links = _links(file.read_text(encoding="utf-8"))
    assert [link for link in links if _is_broken(file, link)] == []


def test_a_broken_link_is_found(tmp_path):
    (tmp_path / "other.md").write_text("# A title, of `two` words\n")
    file = tmp_path / "file.md"
    file.write_text(
        "# Top\n[a](other.md) [b](other.md#a-title-of-two-words) [c](#top) [d](https://example.com/x.md)\n`[e](none.md)`\n"
        "[f](none.md) [g](other.md#none) [h](#none)\n    [i](none.md)\n"
    )
    links = _links(file.read_text())
    assert [link for link in links if _is_broken(file, link)] == ["none.md", "other.md#none", "#none"]


# Decisions.


def _title_and_date(file: pathlib.Path) -> tuple[str, datetime.date]:
    found = re.match(rf"# {file.name[:3]}\. (.+)\n\nDate: (\d{{4}}-\d\d-\d\d)\n", file.read_text(encoding="utf-8"))
    assert found is not None, f"{file.name}: begins with '# NUMBER. Title' and 'Date: YYYY-MM-DD'"
    return found[1], datetime.date.fromisoformat(found[2])


def test_decisions_are_numbered_oldest_first():
    assert [file.name[:4] for file in _DECISIONS] == [f"{number:03}-" for number in range(1, len(_DECISIONS) + 1)]
    dates = [_title_and_date(file)[1] for file in _DECISIONS]
    assert dates == sorted(dates)


def test_the_index_has_every_decision():
    index = (ROOT / "docs" / "decisions" / "README.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| \d.*$", index, re.MULTILINE)
    expected = []
    for file in _DECISIONS:
        title, date = _title_and_date(file)
        expected.append(f"| {file.name[:3]} | [{title}]({file.name}) | {date} |")
    assert rows == expected


# The architecture.


def test_the_architecture_names_modules_that_exist():
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    named = re.findall(r"migrate/[\w/]*(?:\.\w+)?", text)
    assert len(named) > 50
    assert [path for path in named if not (ROOT / path).exists()] == []


def test_the_architecture_has_a_row_for_each_room():
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    rooms = sorted(init.parent.name for init in (ROOT / "migrate").glob("*/__init__.py"))
    assert rooms == sorted(re.findall(r"^\| `migrate/(\w+)/` \|", text, re.MULTILINE))


# The changelog and the version.


def test_the_changelog_keeps_a_section_for_what_is_not_released():
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    unreleased, latest, *_ = re.findall(r"^## (.*)$", text, re.MULTILINE)
    assert unreleased == "[Unreleased]"
    number, date = re.fullmatch(r"\[(\d+\.\d+\.\d+)\] - (\d{4}-\d\d-\d\d)", latest).groups()
    assert number == VERSION
    assert datetime.date.fromisoformat(date)


def test_sections_of_the_changelog_are_those_of_keep_a_changelog():
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    order = ["Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"]
    for release in re.split(r"^## ", text, flags=re.MULTILINE)[1:]:
        sections = re.findall(r"^### (.*)$", release, re.MULTILINE)
        assert sections == [name for name in order if name in sections]


def test_the_version_is_written_in_one_file():
    files = [file for folder in ("migrate", "tools", "tests") for file in (ROOT / folder).rglob("*.py")]
    files += [*ROOT.glob("*.cfg"), *ROOT.glob("*.toml"), *ROOT.glob("*.py"), ROOT / "README.md", ROOT / "Makefile"]
    number = re.compile(rf"(?<![\d.]){re.escape(VERSION)}(?![\d.])")
    found = [file.relative_to(ROOT) for file in files if number.search(file.read_text(encoding="utf-8"))]
    assert found == [pathlib.Path("migrate/versions.py")]


# The hooks.


def test_hooks_fetch_nothing():
    config = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8"))
    assert {repo["repo"] for repo in config["repos"]} == {"local"}
    hooks = [hook for repo in config["repos"] for hook in repo["hooks"]]
    assert {hook["language"] for hook in hooks} == {"system"}
    assert {hook["entry"].split()[0].rpartition("/")[2] for hook in hooks} == {"ruff", "mypy"}
