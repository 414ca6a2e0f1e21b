"""The commands in docs/: each is one that the program understands, and runs as it is written there, or is marked."""

from __future__ import annotations

import io
import pathlib
import re
import shlex
from contextlib import redirect_stderr, redirect_stdout

import pytest

from migrate.cli import main
from migrate.cli.command_line import parse
from migrate.cli.verbs import check_operands, find_verb
from migrate.finding_codes import explanations
from tests.conversions import ROOT

_DOCS = ROOT / "docs"
_MARK = "# not run by the test"
_BY_TESTS_OF_THEIR_OWN = {
    "contrib.md": "test_contrib_recipe.py",
    "old-machine.md": "test_old_machine_recipe.py",
    "recipes/fleets.md": "test_readme.py",
}
_PAGES = {
    path.relative_to(_DOCS).as_posix(): path.read_text(encoding="utf-8")
    for path in sorted([*_DOCS.glob("*.md"), *_DOCS.glob("recipes/*.md")])
}


def _blocks(text: str) -> list[tuple[str, str]]:
    """Commands of a page, each with the output that stands below it."""
    found = re.findall(r"^ {4,}\$ ([^\n]*)\n((?: {4,}(?! *\$ )[^\n]*\n|\n(?= {4}))*)", text, re.MULTILINE)
    return [(command, re.sub(r"(?m)^ {4}", "", output)) for command, output in found]


_COMMANDS = [
    (page, command)
    for page, text in {**_PAGES, "../README.md": (ROOT / "README.md").read_text(encoding="utf-8")}.items()
    for command, _ in _blocks(text)
    if command.startswith("migrate ")
]


def _words(command: str) -> list[str]:
    return shlex.split(command.partition(" # ")[0].partition(" > ")[0])[1:]


@pytest.mark.parametrize(("page", "command"), [c for c in _COMMANDS if " convrt " not in c[1]])
def test_the_program_understands(page, command):
    name, *arguments = _words(command)
    verb = find_verb(name)
    _, operands = parse(name, verb.flags, arguments)
    check_operands(verb, operands)


def test_no_command_hides_without_its_sign():
    hidden = re.compile(
        r"^ {4,}migrate (?:audit|convert|validate|report|explain|status|inputs|record|runtime) \S", re.MULTILINE
    )
    assert [page for page, text in _PAGES.items() if hidden.search(text)] == []


def test_pages_with_a_test_of_their_own_have_it():
    for page, test in _BY_TESTS_OF_THEIR_OWN.items():
        assert page.rpartition("/")[2].removesuffix(".md") in (ROOT / "tests" / "product" / test).read_text()


def test_codes_that_the_page_on_refusals_names_are_there():
    codes = re.findall(r"^\| (`[a-z0-9-]+`(?:, `[a-z0-9-]+`)*) \| .* \| .* \|$", _PAGES["refused.md"], re.MULTILINE)
    named = [code.strip("` ") for cell in codes for code in cell.split(",")]
    endings = {"unverified", "mismatched", "unreadable", "crashed", "timed_out"}
    assert len(named) > 6 and {*named} - endings <= set(explanations())


def _masked(text: str) -> list[str]:
    """Lines without what a machine and its load decide."""
    lines = [line.rstrip() for line in text.splitlines()]
    return [line for line in lines if line and not re.match(r"\s+(seconds|confinement)\s|\[ *\d+/", line)]


@pytest.mark.slow
@pytest.mark.tensorflow
def test_what_is_not_marked_runs_and_prints_what_is_there(tmp_path, monkeypatch):
    (tmp_path / "testdata").symlink_to(ROOT / "testdata")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "100")
    # validating.md needs the model that converting.md makes, so it comes last.
    for page in sorted(_PAGES, key=lambda name: (name == "validating.md", name)):
        if page in _BY_TESTS_OF_THEIR_OWN:
            continue
        for command, shown in _blocks(_PAGES[page]):
            if _MARK not in command and command.startswith("migrate "):
                _run(page, command, shown)


def _run(page: str, command: str, shown: str) -> None:
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        code = main(["migrate", *_words(command)])
    assert code in (0, 1, 2), (page, command, err.getvalue())
    assert code == 0 or shown, (page, command, out.getvalue(), err.getvalue())
    if " > " in command:
        pathlib.Path(command.rpartition(" > ")[2].strip()).write_text(out.getvalue())
    printed = _masked(err.getvalue() + out.getvalue())
    missing = [line for line in _masked(shown) if line != "..." and line not in printed]
    assert missing == [], (page, command, printed)
