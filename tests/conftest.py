"""Fixtures that more than one folder needs."""

from __future__ import annotations

import importlib.util
import os
import pathlib
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from typing import Any

import hypothesis
import pytest

from migrate.processes.nursery import Nursery
from tests import conversions
from tests.waiting import PATIENCE_SECONDS

# Before any test imports TensorFlow, and for every process that a test starts. oneDNN has rewrites and kernels of its
# own for each processor. That the product turns it off by itself is tested in test_nursery.py.
os.environ.update(conversions.QUIET)
# By default an example that takes more than 0.2 s is an error.
hypothesis.settings.register_profile("any machine", deadline=None)
hypothesis.settings.load_profile("any machine")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Real models are slow."""
    for item in items:
        if item.get_closest_marker("corpus"):
            item.add_marker(pytest.mark.slow)


@pytest.fixture(scope="session")
def nursery() -> Iterator[Nursery]:
    """Child processes with TensorFlow ready, shared by all tests of a run."""
    with Nursery(path=(conversions.ROOT,)) as result:
        yield result


@pytest.fixture(scope="session")
def converted(tmp_path_factory: pytest.TempPathFactory) -> conversions.Conversions:
    """Every case of `conversions.CASES`, converted from a copy of the models that is gone by now."""
    return conversions.convert_all(tmp_path_factory.mktemp("converted"))


@pytest.fixture(scope="session")
def golden(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Any]:
    """What a v1 Session on each source answers, and what the source says of itself."""
    paths = {case.name: conversions.MODELS / case.model for case in conversions.CASES}
    return conversions.ask("source", paths, tmp_path_factory.mktemp("golden"))


@pytest.fixture(scope="session")
def client(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """The compiled client of the C API."""
    if shutil.which("gcc") is None:
        pytest.skip("needs gcc")
    library = pathlib.Path(importlib.util.find_spec("tensorflow").submodule_search_locations[0])
    program = tmp_path_factory.mktemp("client") / "capi_client"
    done = subprocess.run(
        [
            "gcc",
            "-std=c99",
            "-Wall",
            "-Werror",
            f"-I{library / 'include'}",
            str(conversions.ROOT / "tests" / "capi_client.c"),
            f"-L{library}",
            f"-Wl,-rpath,{library}",
            "-l:libtensorflow_cc.so.2",
            "-l:libtensorflow_framework.so.2",
            "-o",
            str(program),
        ],
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
    )
    assert done.returncode == 0, done.stderr
    return program
