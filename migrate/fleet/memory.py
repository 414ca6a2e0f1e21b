"""What a run knows of a model from earlier runs, and what it leaves for later ones."""

from __future__ import annotations

import dataclasses
import functools
import time

from migrate.fleet.journal import Entry, settings, versions
from migrate.fleet.model_options import Decision, to_remember, with_expectation, with_memory, with_proposals
from migrate.fleet.worker import Look
from migrate.records import ModelReport


class Known:
    """Digests of options and versions, each computed once a run, however many models there are."""

    def __init__(self) -> None:
        self.settings = functools.lru_cache(maxsize=None)(settings)
        self._versions = versions()

    def done(self, found: Look, decision: Decision) -> ModelReport | None:
        """The last report about a model, where doing it again would end in the same way."""
        report = found.done(decision.options, self.settings(decision.options), self._versions)
        return None if report is None else told(report, decision)

    def expected_otherwise(self, found: Look, decision: Decision) -> Entry | None:
        """The line of a model that is not done again and of which the config expects something else than it did then.

        None where the last line says it already.
        """
        if found.entry is None:
            return None
        report = with_expectation(found.entry.report, decision.expect)
        return None if report == found.entry.report else dataclasses.replace(found.entry, report=report)

    def entry(self, found: Look, decision: Decision, report: ModelReport) -> Entry:
        """The line of the journal about what has become of a model."""
        options = decision.options
        return Entry(
            found.task.name,
            found.identity,
            self.settings(with_proposals(options, report)),
            report,
            self._versions,
            to_remember(options, report, found.remembered),
            options.take_proposals,
            time.time(),
        )


def told(report: ModelReport, decision: Decision) -> ModelReport:
    """A report with what the config expects of the model, and what the journal has remembered of it."""
    return with_memory(with_expectation(report, decision.expect), decision)
