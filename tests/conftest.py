"""Fixtures that more than one folder needs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from migrate.children import Nursery
from tests import conversions


@pytest.fixture(scope="session")
def nursery() -> Iterator[Nursery]:
    """Child processes with TensorFlow ready, shared by all tests of a run."""
    with Nursery() as result:
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
