"""The weights that are being taken over. No TensorFlow."""

from __future__ import annotations

import pytest

from migrate.export.weights import Done, Weights, WeightsJob
from migrate.model.steps import Taking
from migrate.records import Crashed, Failed

_WEIGHTS = Weights({}, (), WeightsJob(()))


class _Running:
    def __init__(self, result):
        self._result = result

    def result(self):
        return self._result


def test_nothing_is_waited_for_where_nothing_runs():
    assert Taking(_WEIGHTS, None).damage() is None


@pytest.mark.parametrize(
    ("result", "expected"),
    # A crash of the copying says nothing of the bytes.
    [(Done(), None), (Crashed("weights", -9, ""), None), (Failed("variable 'w'"), Failed("variable 'w'"))],
)
def test_what_was_found_wrong_with_the_bytes(result, expected):
    assert Taking(_WEIGHTS, _Running(result)).damage() == expected
