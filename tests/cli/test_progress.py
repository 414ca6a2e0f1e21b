"""Who is told what is being done."""

from __future__ import annotations

import pytest

from tests.cli.fake_api import run


@pytest.mark.parametrize(
    ("line", "logged"),
    [
        ("audit a", False),
        ("audit a -v", True),
        ("audit -v a", True),
        ("audit a -v 1", True),
        ("audit -v=0 a", True),
        ("audit a -v=-1", False),
        ("audit a --verbosity=0", True),
        ("audit a -v -1", False),
    ],
)
def test_v_alone_logs_each_step(line, logged, calls):
    assert run(line) == 0
    ((_, (operands,), settings),) = calls
    assert operands == ["a"]
    assert (settings["progress"] is not None) == logged
