"""No file of the repository holds a path of the machine that made it: no home, no working or temporary directory."""

from __future__ import annotations

import gzip
import pathlib
import re
import subprocess
import zipfile

import pytest

from tests.conversions import ROOT

_PLACES = rb"/(?:root|work|home|Users|tmp|var/folders|build|mnt|opt|private|usr/local|usr/lib/python\d)/[\w.-]"
_MADE = re.compile(_PLACES)  # Before a path in a proto is its length, which may be any byte.
_OURS = re.compile(rb"(?<![\w.~*}])/(?:root|work)/[\w.-]")
"""Where this repository has been worked on, which no example names."""


def _tracked(folder: str = ".") -> list[pathlib.Path]:
    try:
        listed = subprocess.run(
            ["git", "ls-files", "-z", "--", folder], cwd=ROOT, capture_output=True, check=True
        ).stdout.split(b"\0")
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("not a checkout")
    files = [ROOT / name.decode() for name in listed if name]
    return [file for file in files if file.is_file() and not file.is_symlink()]


def _contents(file: pathlib.Path) -> list[bytes]:
    """A file's bytes, and those of the members of an archive, unpacked."""
    data = file.read_bytes()
    if zipfile.is_zipfile(file):
        with zipfile.ZipFile(file) as archive:
            return [data, *(archive.read(name) for name in archive.namelist())]
    return [data, gzip.decompress(data)] if data.startswith(b"\x1f\x8b") else [data]


def _found(files: list[pathlib.Path], pattern: re.Pattern[bytes]) -> dict[str, bytes]:
    return {
        str(file.relative_to(ROOT)): match[0]
        for file in files
        for content in _contents(file)
        if (match := pattern.search(content)) is not None
    }


def test_the_search_finds_what_it_is_for(tmp_path):
    held = (
        b'model_checkpoint_path: "/root/x/model.ckpt"',
        b"\x0a\x1f/" + b"work/other/testdata/a.txt",
        b"(/home/x/model.py:12)",
        b"\0\0/tmp/tmpabc1/variables",
    )
    assert all(_MADE.search(line) for line in held)
    with zipfile.ZipFile(tmp_path / "a.keras", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("config.json", b"/root/secret " * 100)
    assert any(_OURS.search(content) for content in _contents(tmp_path / "a.keras"))


def test_no_model_of_testdata_holds_a_path_of_the_machine_that_made_it():
    assert _found(_tracked("testdata"), _MADE) == {}


def test_no_file_names_where_it_was_written():
    files = [file for file in _tracked() if file.name != pathlib.Path(__file__).name]
    assert _found(files, _OURS) == {}
