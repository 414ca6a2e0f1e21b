from __future__ import annotations

from migrate.functional.kept import Kept, arrays_finding, finding
from migrate.records import Severity


def test_nothing_stays() -> None:
    assert finding("run", []) is None and arrays_finding("run", []) is None


def test_one_finding_for_all_that_stays() -> None:
    one, other = Kept("is odd", ("a", "b", "c", "d")), Kept("is even", ("b", "e"))
    found = finding("run", [one, other, one])
    assert found is not None and (found.code, found.severity) == ("control-flow-kept", Severity.WARNING)
    assert found.message.startswith("run: 'a' is odd, so it stays v1 control flow, and 1 more: answers are as before")
    assert found.nodes == ("a", "b", "c", "e")
    arrays = arrays_finding("run", [other])
    assert arrays is not None and (arrays.code, arrays.nodes) == ("tensor-array-kept", ("b", "e"))
    assert arrays.message.startswith("run: 'b' is even, so it stays: ")


def test_few_nodes_are_named() -> None:
    found = finding("run", [Kept("is odd", (f"n{number}",)) for number in range(20)])
    assert found is not None and len(found.nodes) == 8 and "and 19 more" in found.message
