from __future__ import annotations

import pytest

from migrate.records import Severity
from migrate.sources.location import Form, Location, chosen_among


@pytest.mark.parametrize(
    ("others", "says"),
    [
        (1, "of 2 checkpoints in the directory 'c-9' is taken; left aside: c-0"),
        (6, "left aside: c-0, c-1, c-2, c-3, c-4 and more"),
    ],
)
def test_of_several_checkpoints_the_choice_is_told(others, says):
    names = tuple(f"/m/c-{number}" for number in range(others))
    (finding,) = chosen_among(Location(Form.META_GRAPH, "/m", "/m/c-9.meta", "/m/c-9", names))
    assert (finding.code, finding.severity) == ("checkpoint-chosen", Severity.NOTE)
    assert says in finding.message
    assert list(chosen_among(Location(Form.META_GRAPH, "/m", "/m/c-9.meta", "/m/c-9"))) == []
