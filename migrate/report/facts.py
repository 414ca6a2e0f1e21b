"""What several forms of a report take from the JSON document of one model."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from migrate.report.labels import JSON

SEVERITIES = ("note", "warning", "refusal")
"""From the least to the gravest."""


def chosen_graph(model: Mapping[str, Any]) -> JSON | None:
    """The meta graph that a client means when it names none."""
    graphs: list[JSON] = model["meta_graphs"]
    return next(iter([g for g in graphs if "serve" in g["tags"]] or graphs), None)


def variables_of(model: Mapping[str, Any]) -> list[JSON]:
    """Variables of the meta graph, weights of a Keras file or tensors of a checkpoint."""
    keras, checkpoint = model.get("keras") or {}, model.get("checkpoint") or {}
    found: list[JSON] = (
        (chosen_graph(model) or {}).get("variables") or keras.get("weights") or checkpoint.get("tensors") or []
    )
    return found


def parameters_of(model: Mapping[str, Any]) -> int:
    """How many numbers the variables hold, as far as their shapes are known."""
    total = 0
    for variable in variables_of(model):
        shape = variable["shape"]
        if shape is not None and None not in shape:
            size = math.prod(shape)
            total += size if 0 <= size < 1 << 53 else 0
    return total


def short_number(number: int) -> str:
    """A number, in millions (M) or billions (B) where it is large.

    Example:
      >>> short_number(536_700_000), short_number(1_234_567), short_number(1234)
      ('537 M', '1.2 M', '1,234')
    """
    for unit, size in (("B", 10**9), ("M", 10**6)):
        units = number / size
        if units >= 0.9995:  # 999.9 M would be shown as 1,000 M.
            return f"{units:,.0f} {unit}" if units >= 99.95 else f"{units:.1f} {unit}"
    return f"{number:,}"


def gravest_first(finding: JSON) -> int:
    """A key that sorts refusals before warnings before notes."""
    return -SEVERITIES.index(finding["severity"]) if finding["severity"] in SEVERITIES else 0


def flags_of_model(model: Mapping[str, Any]) -> tuple[str, ...]:
    """The flags that audit proposes for a model, each ready to copy.

    Empty where none is proposed or needed, or where a value has characters that nobody can copy.
    """
    from migrate.config import flags_of

    return tuple(flag for key, value in _proposed(model).items() for flag in flags_of(key, value))


def shared_flags_of(model: Mapping[str, Any]) -> tuple[str, ...]:
    """The same flags for many models: `--take_proposals` stands for signatures and feeds, which belong to one model."""
    from migrate.config import flags_of

    proposed = _proposed(model)
    taken = ("--take_proposals",) if any(key in proposed for key in _OWN) else ()
    return (
        *taken,
        *(flag for key, value in proposed.items() if key not in _OWN for flag in flags_of(key, value)),
    )


_OWN = ("signature", "feed")


def _proposed(model: Mapping[str, Any]) -> JSON:
    from migrate.config import KEYS

    proposed = model.get("proposed_options")
    if not isinstance(proposed, dict) or model.get("outcome") != "refused" or model.get("expected"):
        return {}
    found = {key: proposed[key] for key in KEYS if key in proposed}
    values = [item for value in found.values() for item in (value if isinstance(value, list) else [value])]
    return found if all(str(value).isprintable() for value in values) else {}


def is_audit(models: Sequence[JSON]) -> bool:
    """Whether a report is an audit's: nothing was to be written, and nothing was compared."""
    return not any(model.get("destination") or model.get("verification") for model in models)
