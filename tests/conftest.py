"""Fixtures that more than one folder needs."""

from __future__ import annotations

import collections
import importlib.util
import os
import pathlib
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from typing import Any

import hypothesis
import pytest

from migrate.processes.keep_warm import KEPT, keep_warm
from migrate.processes.nursery import Nursery
from migrate.tf1_runtime import install, place
from tests import conversions
from tests.collection import left_out, marks_of_all
from tests.sampling import EVERY
from tests.sharing import shared
from tests.waiting import PATIENCE_SECONDS

# Before any test imports TensorFlow, and for every process that a test starts. oneDNN has rewrites and kernels of its
# own for each processor. That the product turns it off by itself is tested in test_nursery.py.
os.environ.update(conversions.QUIET)
# A runtime of TensorFlow 1 that the developer has installed would be a judge in every test.
os.environ["XDG_CACHE_HOME"] = os.path.join(tempfile.gettempdir(), f"migrate-tests-cache-{os.getuid()}")
# By default an example that takes more than 0.2 s is an error.
hypothesis.settings.register_profile("any machine", deadline=None)
hypothesis.settings.load_profile("any machine")


def pytest_ignore_collect(collection_path: pathlib.Path, config: pytest.Config) -> bool | None:
    """A file whose tests are all left out is not imported: TensorFlow would be, for none of the quick tests."""
    if not collection_path.name.startswith("test_") or collection_path.suffix != ".py":
        return None
    gone = left_out(config.option.markexpr)
    return True if gone and not gone.isdisjoint(marks_of_all(collection_path.read_text())) else None


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Real models are slow. Of the slow cases of a test that is `sampled` some are tried."""
    seen: collections.Counter[str] = collections.Counter()
    left_out = []
    for item in items:
        if item.get_closest_marker("corpus"):
            item.add_marker(pytest.mark.slow)
        sampled = item.get_closest_marker("sampled")
        if sampled is not None and item.get_closest_marker("slow") and not EVERY:
            test = item.nodeid.partition("[")[0]
            if seen[test] % sampled.args[0]:
                left_out.append(item)
            seen[test] += 1
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        gone = {*left_out}
        items[:] = [item for item in items if item not in gone]


@pytest.fixture(scope="session", autouse=True)
def warm() -> Iterator[None]:
    """TensorFlow is imported once for all that the tests of a worker convert, not once for each model."""
    with keep_warm(apart_from={"PYTEST_CURRENT_TEST"}):
        yield


@pytest.fixture
def cold() -> Iterator[None]:
    """For tests of servers: none is kept from one nursery to the next."""
    token = KEPT.set(None)
    yield
    KEPT.reset(token)


@pytest.fixture(scope="session")
def nursery() -> Iterator[Nursery]:
    """Child processes with TensorFlow ready, shared by all tests of a run."""
    with Nursery(path=(conversions.ROOT,)) as result:
        yield result


@pytest.fixture(scope="session")
def tf1_cache(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A cache directory (XDG_CACHE_HOME) in which TensorFlow 1.15.5's runtime is installed."""
    reason = place.reason_against()
    if reason is not None:
        pytest.skip(reason)
    wheel = os.environ.get("MIGRATE_TF1_WHEEL") or str(conversions.ROOT / ".venv" / place.WHEEL)
    if not os.path.isfile(wheel):
        pytest.skip(f"needs {place.WHEEL} in .venv (make tf1-wheel), or in MIGRATE_TF1_WHEEL")

    def installed(work: pathlib.Path) -> str:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("XDG_CACHE_HOME", str(work))
            install.install(wheel, print)
        return str(work)

    return shared(tmp_path_factory, "tf1", installed)


@pytest.fixture(scope="session")
def converted(tmp_path_factory: pytest.TempPathFactory) -> conversions.Conversions:
    """Every case of `conversions.CASES`, converted from a copy of the models that is gone by now."""
    return shared(tmp_path_factory, "converted", conversions.convert_all)


@pytest.fixture(scope="session")
def golden(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Any]:
    """What a v1 Session on each source answers, and what the source says of itself."""
    paths = {case.name: conversions.MODELS / case.model for case in conversions.CASES}
    return shared(tmp_path_factory, "golden", lambda work: conversions.ask("source", paths, work))


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
