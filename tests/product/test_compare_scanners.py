"""docs/security.md: what it says of this program beside other scanners is what the program says."""

from __future__ import annotations

import pytest

from tests.conversions import ROOT
from tools import compare_scanners
from tools.compare_scanners import ATTACKS, Scanned

_PAGE = ROOT / "docs" / "security.md"


def _table() -> dict[str, list[str]]:
    """The page's rows by their first cells."""
    made = _PAGE.read_text().partition(compare_scanners.BEGIN)[2].partition(compare_scanners.END)[0]
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in made.splitlines() if line.startswith("| ")]
    return {name: cells for name, *cells in rows}


def test_the_models_here_are_those_that_were_scanned():
    number, *_ = _table()["SavedModels of `testdata/`"]
    assert int(number) == len(compare_scanners.saved_models(compare_scanners.TESTDATA)), "make the page again"


@pytest.mark.slow
def test_the_column_of_this_program_is_what_it_says(tmp_path):
    table, names = _table(), [attack.__name__ for attack in ATTACKS]
    ordinary = compare_scanners.saved_models(compare_scanners.TESTDATA)
    found = compare_scanners.by_migrate([*ordinary, *compare_scanners.make_attacks(tmp_path)])
    ours, attacks = found[: len(ordinary)], found[len(ordinary) :]
    for name, models in (("SavedModels of `testdata/`", ours), ("attacks", attacks)):
        number, *_, last = table[name]
        assert f"| {name} | {number} | {last} |" == compare_scanners.count_row(name, [models])
    written = {name: table[name.replace("_", " ")][-1] for name in names}
    assert written == {name: compare_scanners.told(found) for name, found in zip(names, attacks, strict=True)}


def test_a_scanner_that_has_read_nothing_has_not_found_a_model_harmless():
    assert compare_scanners.told(Scanned(False)) == "not read"
    assert compare_scanners.told(Scanned(True)) == "nothing"
    assert compare_scanners.count_row("x", [[Scanned(False), Scanned(True, ("A",))]]) == "| x | 2 | 1 (1 not read) |"


def test_a_page_keeps_what_is_around_the_tables():
    page = f"a\n{compare_scanners.BEGIN}\nold\n{compare_scanners.END}\nb\n"
    assert compare_scanners.between(page, ["new"]) == page.replace("old", "new")


def test_a_page_without_marks_is_left_alone():
    with pytest.raises(ValueError, match="no marks"):
        compare_scanners.between("text", ["new"])
