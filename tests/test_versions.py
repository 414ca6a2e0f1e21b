from __future__ import annotations

import configparser
import importlib.metadata
import platform
import re
import subprocess
import sys

import pytest

from migrate.versions import DISTRIBUTION, VERSION, tool
from tests.conversions import ROOT


def _installed(monkeypatch, **versions):
    def version(name):
        try:
            return versions[name.replace("-", "_")]
        except KeyError:
            raise importlib.metadata.PackageNotFoundError(name) from None

    monkeypatch.setattr(importlib.metadata, "version", version)


@pytest.mark.parametrize(
    ("versions", "expected"),
    [
        ({}, None),
        ({"tensorflow": "2.15.1"}, "2.15.1"),
        ({"tensorflow_cpu": "2.16"}, "2.16"),
        ({"tf_nightly": "2.99.dev"}, "2.99.dev"),
        ({"tensorflow_cpu": "2.16", "tensorflow": "2.15.1"}, "2.15.1"),
        ({"tensorflow_estimator": "2.15"}, None),
    ],
)
def test_tensorflow_is_found_under_each_name(versions, expected, monkeypatch):
    _installed(monkeypatch, **versions)
    python = platform.python_version()
    assert tool() == {"name": "migrate", "version": VERSION, "python": python, "tensorflow": expected}


def test_nothing_is_imported_to_say_it():
    code = "import sys; from migrate.versions import tool; tool(); assert 'tensorflow' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_distribution_is_of_this_version():
    assert re.fullmatch(r"\d+\.\d+\.\d+", VERSION)
    metadata = configparser.ConfigParser()
    metadata.read(ROOT / "setup.cfg")
    assert metadata["metadata"]["name"] == DISTRIBUTION
    assert metadata["metadata"]["version"] == "attr: migrate.versions.VERSION"
