"""What audit decides: which models are ready, which are with a flag, and which are blocked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeVar

from migrate.config import flags_to_take
from migrate.frozen import frozen
from migrate.records import Finding, ModelReport, Severity, outcome_name

_Key = TypeVar("_Key")


@frozen
class Flagged:
    """Models that the same flags make convertible.

    Attributes:
      flags: of `migrate convert`, each ready to copy.
      models: which.
    """

    flags: tuple[str, ...]
    models: tuple[ModelReport, ...]


@frozen
class Blocked:
    """Models with the same blocker.

    Attributes:
      code: of the finding that comes first; the outcome's name where there is none (`unreadable`).
      models: which.
    """

    code: str
    models: tuple[ModelReport, ...]


@frozen
class Said:
    """One finding, and the models that have it in the same words."""

    finding: Finding
    models: tuple[ModelReport, ...]


@frozen
class Buckets:
    """All models of an audit, each in one bucket.

    Attributes:
      ready: convert writes them as the options are.
      flagged: convert writes them with other flags, most models first.
      blocked: convert writes none of them, most models first.
      expected: those that end as the config expects: refused, or unreadable.
    """

    ready: tuple[ModelReport, ...]
    flagged: tuple[Flagged, ...]
    blocked: tuple[Blocked, ...]
    expected: tuple[ModelReport, ...]

    @property
    def every(self) -> tuple[ModelReport, ...]:
        """All models, bucket by bucket."""
        return (
            *self.ready,
            *(model for group in self.flagged for model in group.models),
            *(model for case in self.blocked for model in case.models),
            *self.expected,
        )


def buckets(models: Sequence[ModelReport]) -> Buckets:
    """Puts each model in its bucket."""
    ready: list[ModelReport] = []
    flagged: dict[tuple[str, ...], list[ModelReport]] = {}
    blocked: dict[str, list[ModelReport]] = {}
    expected: list[ModelReport] = []
    for model in models:
        if model.expected:
            expected.append(model)
        elif model.ok:
            ready.append(model)
        elif model.proposed is not None:
            flagged.setdefault(flags_to_take(model.proposed), []).append(model)
        else:
            blocked.setdefault(first_code(model), []).append(model)
    return Buckets(
        tuple(ready),
        tuple(Flagged(flags, tuple(found)) for flags, found in _most_first(flagged)),
        tuple(Blocked(code, tuple(found)) for code, found in _most_first(blocked)),
        tuple(expected),
    )


def first_code(model: ModelReport) -> str:
    """What is most in a model's way: the code of its first refusal, else how it ended; nothing for one that is well."""
    return next((finding.code for finding in model.refusals), "" if model.ok else outcome_name(model.outcome))


def same_findings(models: Sequence[ModelReport]) -> tuple[Said, ...]:
    """The findings of all models, each once however many models have it, gravest first and then most models first."""
    found: dict[tuple[str, Severity, str, str], tuple[Finding, list[ModelReport]]] = {}
    for model in models:
        for finding in model.findings:
            key = (finding.code, finding.severity, finding.message.replace(model.source, ""), finding.hint)
            group = found.setdefault(key, (finding, []))[1]
            if not group or group[-1] is not model:
                group.append(model)
    order = {Severity.REFUSAL: 0, Severity.WARNING: 1, Severity.NOTE: 2}
    said = [Said(finding, tuple(group)) for finding, group in found.values()]
    return tuple(sorted(said, key=lambda one: (order[one.finding.severity], -len(one.models))))


def _most_first(groups: Mapping[_Key, list[ModelReport]]) -> list[tuple[_Key, list[ModelReport]]]:
    return sorted(groups.items(), key=lambda group: -len(group[1]))
