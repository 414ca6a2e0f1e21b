"""place.py: where the runtime is, and whether it may be loaded."""

from __future__ import annotations

import json
import os
import sys

import pytest

from migrate.errors import InputError
from migrate.tf1_runtime import place


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """A cache directory in which a runtime seems to be installed."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    os.makedirs(place.directory(), mode=0o700)
    facts = {"format": place.FORMAT, "sha256": place.SHA256, "bytes": 1, "libraries": 2, "ops": 3}
    with open(os.path.join(place.directory(), place.FACTS), "w") as file:
        json.dump(facts, file)
    return facts


def _write(facts):
    with open(os.path.join(place.directory(), place.FACTS), "w") as file:
        json.dump(facts, file)


def test_it_is_in_the_users_cache(tmp_path, cache):
    found = place.find()
    assert found == place.Runtime(str(tmp_path / "migrate" / "tensorflow-1.15.5"), "1.15.5", 1, 2, 3)


def test_nothing_is_installed(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert place.find() is None


@pytest.mark.parametrize("change", [{"format": 0}, {"sha256": "other"}, {"bytes": None}])
def test_what_another_version_installed_is_not_used(cache, change):
    _write({**cache, **change})
    assert place.find() is None


def test_no_json(cache):
    with open(os.path.join(place.directory(), place.FACTS), "w") as file:
        file.write("{")
    assert place.find() is None


@pytest.mark.parametrize("where", [".", ".."])
@pytest.mark.parametrize("mode", [0o770, 0o707])
def test_a_cache_that_others_may_write_is_refused(cache, where, mode):
    os.chmod(os.path.normpath(os.path.join(place.directory(), where)), mode)
    with pytest.raises(InputError, match="others than you may write there") as error:
        place.find()
    assert "\n" not in str(error.value)


def test_a_directory_like_tmp_is_fine(cache):
    """Others may make files there, and not rename mine."""
    os.chmod(place.cache_directory(), 0o1777)
    assert place.find() is not None


def test_other_machines(monkeypatch):
    assert place.reason_against() is None or sys.platform != "linux" or os.uname().machine != "x86_64"
    monkeypatch.setattr(sys, "platform", "darwin")
    reason = place.reason_against()
    assert reason is not None and "64-bit Linux on x86-64" in reason and "\n" not in reason


def test_a_table_of_ops_that_is_damaged(cache):
    with pytest.raises(InputError, match="migrate runtime install"):
        place.ops_of(place.directory())
