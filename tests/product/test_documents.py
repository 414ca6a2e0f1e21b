"""docs/reliability.md: each row names a test that is there."""

from __future__ import annotations

import re

from tests.conversions import ROOT
from tests.fleet.conftest import one_time  # noqa: F401 (for every test)


def test_every_row_names_its_test():
    rows = [line for line in (ROOT / "docs" / "reliability.md").read_text().splitlines() if line.startswith("| ")][1:]
    assert len(rows) > 10
    for row in rows:
        file = ROOT / "tests" / "product" / "test_faults.py"
        names = re.findall(r"`(tests/\S+\.py|test_\w+)`", row.rsplit("|", 2)[1])
        assert any(name.startswith("test_") for name in names), row
        for name in names:
            if name.endswith(".py"):
                file = ROOT / name
            else:
                assert f"def {name}(" in file.read_text(), f"{file.name} has no {name}"
