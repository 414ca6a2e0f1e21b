"""The law of audit: what it calls convertible is converted, and what it refuses is refused for the same reasons.

Converted, or unverified where no value of an answer can be compared.
"""

from __future__ import annotations

from collections.abc import Mapping

import migrate
from migrate.records import ModelReport, Options, Severity, outcome_name

ENDINGS = {
    "already_tf2": ("unchanged",),
    "convertible": ("converted", "unverified"),
    "refused": ("refused",),
    "unreadable": ("unreadable",),
}
"""What audit says, and how convert then ends."""


def broken(tree: str, destination: str, options: Options) -> Mapping[str, str]:
    """Audits and converts a tree; what breaks the law, by the model's path."""
    audited = {model.source: model for model in migrate.audit(tree, options).models}
    converted = {model.source: model for model in migrate.convert(tree, destination, options).models}
    assert sorted(audited) == sorted(converted)
    return differences(audited, converted)


def differences(audited: Mapping[str, ModelReport], converted: Mapping[str, ModelReport]) -> Mapping[str, str]:
    """The same of reports by path."""
    found = {}
    for source, model in audited.items():
        said, ended = outcome_name(model.outcome), outcome_name(converted[source].outcome)
        why = getattr(converted[source].outcome, "reason", "") or getattr(converted[source].outcome, "stderr_tail", "")
        if ended not in ENDINGS[said]:
            found[source] = f"audit says {said}, convert ends {ended}: {why}"
        elif _refusals(model) != _refusals(converted[source]):
            found[source] = f"audit refuses for {_refusals(model)}, convert for {_refusals(converted[source])}"
    return found


def _refusals(model: ModelReport) -> list[str]:
    return sorted({finding.code for finding in model.findings if finding.severity is Severity.REFUSAL})
