"""Tries what would help a refused model: a proposal that fails again is none, and the real blocker is what is shown."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

from migrate.config import merged
from migrate.frozen import frozen
from migrate.model.study import audit_model
from migrate.records import (
    Convertible,
    Finding,
    ModelOptions,
    ModelReport,
    Options,
    Refused,
)


@frozen
class _Trial:
    """Options that may help a refused model.

    Attributes:
      options: of the whole command, with the change.
      change: what is different, apart from the feeds that the model takes by itself.
    """

    options: Options
    change: ModelOptions


def judged(report: ModelReport, options: Options) -> ModelReport:
    """Tries audit's proposals on a model that is refused.

    Args:
      report: what audit says of it.
      options: with which.

    Returns:
      The report. With options that make the model convertible, these are `proposed`. Where none do, the refusals that
      they leave come first: they are the ones to work on.
    """
    if not isinstance(report.outcome, Refused):
        return report
    if any(finding.code == "tag-set" for finding in report.findings):
        return _only_tag_set(report, options)
    known = {finding.code for finding in report.refusals}
    left: tuple[Finding, ...] = ()
    for trial in _trials(report, options):
        found = audit_model(report.source, trial.options)
        if isinstance(found.outcome, Convertible):
            taken = trial.change if found.proposed is None else merged(trial.change, found.proposed)
            return dataclasses.replace(report, proposed=taken)
        # That nothing is left once all signatures are left out is no news.
        ignored = known | {"no-signature"} if trial.options.drop_signatures else known
        left = left or tuple(f for f in found.refusals if f.code not in ignored)
    return dataclasses.replace(report, findings=(*left, *(f for f in report.findings if f not in left)))


def _trials(report: ModelReport, options: Options) -> Iterator[_Trial]:
    """What may help, the least harmful first."""
    refused = {finding.code for finding in report.refusals}
    # What was proposed need not be found again.
    signature = report.proposals[:1]
    taking = dataclasses.replace(options, take_proposals=True, signature=(*options.signature, *signature))
    taken = ModelOptions(signature=signature or None)
    can_take = not options.take_proposals and (bool(report.proposals) or "unfed-placeholder" in refused)
    can_drop = not options.drop_signatures and any(len(facts.signatures) > 1 for facts in report.meta_graphs[:1])
    if can_take:
        yield _Trial(taking, taken)
    if can_drop:
        yield _Trial(dataclasses.replace(options, drop_signatures=True), ModelOptions(drop_signatures=True))
    if can_take and can_drop:
        yield _Trial(
            dataclasses.replace(taking, drop_signatures=True), dataclasses.replace(taken, drop_signatures=True)
        )


def _only_tag_set(report: ModelReport, options: Options) -> ModelReport:
    """Proposes the one tag set that can be converted; of several nobody knows which is meant."""
    found = []
    for tags in dict.fromkeys(frozenset(facts.tags) for facts in report.meta_graphs):
        trial = audit_model(report.source, dataclasses.replace(options, tags=tags))
        if isinstance(trial.outcome, Convertible):
            found.append(tags)
    if len(found) != 1:
        return report
    return dataclasses.replace(report, proposed=ModelOptions(tags=tuple(sorted(found[0]))))
