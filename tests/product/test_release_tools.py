"""What `make coverage` writes, and what `make release` compares."""

from __future__ import annotations

import io
import tarfile
import zipfile

import pytest

from tests.conversions import ROOT
from tools import make_coverage, release


def _summary(covered, statements):
    percent = 100 * covered / statements
    return {
        "covered_lines": covered,
        "covered_branches": 0,
        "num_statements": statements,
        "num_branches": 0,
        "percent_covered": percent,
    }


def test_the_page_separates_what_has_a_reason_from_what_lacks_tests():
    files = {
        "migrate/export/graph_job.py": {"summary": _summary(0, 10), "missing_lines": list(range(1, 11))},
        "migrate/finding_codes.py": {"summary": _summary(5, 10), "missing_lines": [1, 2, 3, 7, 9]},
        "migrate/escapes.py": {"summary": _summary(10, 10), "missing_lines": []},
    }
    page = make_coverage.render({"totals": {"percent_covered": 50.0}, "files": files})
    explained, missing = page.split("## Below")
    assert "All modules: 50.0 %. Modules that these tests are for: 75.0 %." in explained
    assert "| `migrate/export/graph_job.py` | 0 % | works in child processes" in explained
    assert "| `migrate/finding_codes.py` | 50 % | 1-3, 7, 9 |" in missing
    assert "escapes" not in page


def test_reasons_are_about_modules_that_exist():
    assert [path for path in make_coverage.REASONS if not (ROOT / path).exists()] == []


def _archives(tmp_path, names, extra=()):
    sdist, wheel = tmp_path / "x.tar.gz", tmp_path / "x.whl"
    with tarfile.open(sdist, "w:gz") as archive:
        for name in names:
            archive.addfile(tarfile.TarInfo(f"x/{name}"), io.BytesIO())
    with zipfile.ZipFile(wheel, "w") as archive:
        for name in (*names, "tf1_migrate.py", *extra):
            archive.writestr(name, "")
    return sdist, wheel


def _package():
    files = (ROOT / "migrate").rglob("*")
    return [
        file.relative_to(ROOT).as_posix() for file in files if file.is_file() and "__pycache__" not in file.as_posix()
    ]


def test_archives_with_all_files_are_good(tmp_path):
    release.check_files(*_archives(tmp_path, _package()))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda names: names[1:], "missing"),
        (lambda names: [*names, "migrate/stranger.py"], r"\['migrate/stranger.py'\] unknown"),
    ],
)
def test_a_missing_or_an_unknown_file_is_named(tmp_path, change, said):
    with pytest.raises(SystemExit, match=f"sdist: .*{said}"):
        release.check_files(*_archives(tmp_path, change(_package())))


def test_a_wheel_with_other_packages_is_refused(tmp_path):
    with pytest.raises(SystemExit, match=r"beside the package it has \['tests/__init__.py'\]"):
        release.check_files(*_archives(tmp_path, _package(), ["tests/__init__.py"]))
