"""What migrate status says, as text."""

from __future__ import annotations

import pytest

from migrate.report.status import age


@pytest.mark.parametrize(
    ("seconds", "said"), [(0, "0 seconds"), (1, "1 second"), (61, "1 minute"), (7300, "2 hours"), (1e6, "11 days")]
)
def test_an_age_is_said_in_its_largest_unit(seconds, said):
    assert age(seconds) == said
