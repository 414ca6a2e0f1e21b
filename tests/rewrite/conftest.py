"""A test that fails shows the graphs that were rewritten in it, before and after."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from typing import Any

import pytest

from migrate.rewrite import engine
from tests.rewrite.texts import shown, shown_result

_MOST_GRAPHS = 4
_MOST_NODES = 60


@pytest.fixture(autouse=True)
def rewritten(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Remembers what the engine is given and gives."""
    met: list[tuple[Any, Any]] = []
    original = engine._rewritten

    def remember(run: Any, *others: Any) -> Any:
        result = original(run, *others)
        met.append((run, result))
        del met[:-_MOST_GRAPHS]
        return result

    monkeypatch.setattr(engine, "_rewritten", remember)
    request.node.rewritten = met
    yield
    del request.node.rewritten


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Generator[None, Any, Any]:
    """Adds the graphs to a failed test's report."""
    report = yield
    if report.when == "call" and report.failed:
        report.sections += [
            (f"{run.key}, rewritten", text(run, result)) for run, result in getattr(item, "rewritten", ())
        ]
    return report


def text(run: Any, result: Any) -> str:
    """A run and what it became, or how many nodes it has where these are many."""
    if len(run.graph.nodes) > _MOST_NODES:
        return f"{len(run.graph.nodes)} nodes"
    return f"{shown(run.graph.nodes.values())}\n--\n{shown_result(result)}"
