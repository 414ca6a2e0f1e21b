"""Commands whose work is not done: what they ask of migrate.api is kept."""

from __future__ import annotations

import pytest

from migrate import api, cli
from migrate.records import (
    Convertible,
    Kind,
    ModelReport,
    Report,
)


def report(*outcomes):
    return Report(tuple(ModelReport("model", None, Kind.TF1_SAVED_MODEL, outcome) for outcome in outcomes))


class Calls(list):
    """Stands in for `migrate.api`: keeps what it was asked and gives one answer."""

    answer = report(Convertible())

    def __call__(self, name):
        def verb(*operands, **settings):
            self.append((name, operands, settings))
            if isinstance(self.answer, BaseException):
                raise self.answer
            return self.answer

        return verb


@pytest.fixture
def calls(monkeypatch):
    calls = Calls()
    for verb in ("audit", "convert", "validate"):
        monkeypatch.setattr(api, verb, calls(verb))
    return calls


def run(line):
    return cli.main(["migrate", *line.split()])
