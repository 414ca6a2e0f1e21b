"""The beginning of the page: how many models ended in which way, and what is found in most of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from migrate.escapes import visible
from migrate.finding_codes import explanations
from migrate.report.facts import SEVERITIES, flags_of_model, is_audit, parameters_of, shared_flags_of, short_number
from migrate.report.labels import (
    BAD,
    GOOD,
    JSON,
    count_words,
    cut,
    explanation,
    is_good,
    needs_attention,
    outcome_words,
    size_words,
    verified,
)

_TOP_FINDINGS = 8


def headline(models: Sequence[JSON], names: Sequence[str]) -> str:
    """The title of the page."""
    if len(models) == 1:
        return names[0]
    outcomes = Counter(model["outcome"] for model in models)
    if is_audit(models):
        return f"{outcomes['convertible']:,} of {len(models):,} models can be converted"
    name = next((name for name in ("validated", "converted") if outcomes[name]), "converted")
    return f"{outcomes[name]:,} of {len(models):,} models {name}"


def lede(models: Sequence[JSON]) -> str:
    """One paragraph that says what the report shows."""
    audit = is_audit(models)
    if len(models) == 1:
        words = page_words(page_outcome(models[0], audit), audit)
        return f"{words[:1].upper()}{words[1:]}. {visible(cut(explanation(models[0]), 400))}"
    checked = [model["verification"] for model in models if verified(model)]
    said = []
    if checked:
        equal = sum(bool(v["bitwise_equal"]) for v in checked)
        said.append(
            f"{len(checked):,} {'was' if len(checked) == 1 else 'were'} verified: "
            f"{count_words(sum(v['calls'] for v in checked), 'call')} to both models, and "
            f"{count_words(sum(v['compared'] for v in checked), 'output')} compared; "
            f"{count_words(equal, 'model')} {'answers' if equal == 1 else 'answer'} as before, bit for bit."
        )
    already = sum(model["outcome"] in ("unchanged", "already_tf2") for model in models)
    if already:
        verb = ("is" if already == 1 else "are") if audit else ("was" if already == 1 else "were")
        said.append(f"{'One' if already == 1 else f'{already:,}'} {verb} TF2 already.")
    flagged = sum(page_outcome(model, audit) == FLAGGED for model in models)
    if flagged:
        said.append(f"{flagged:,} more can be converted with flags that this page proposes.")
    trouble = sum(map(needs_attention, models)) - flagged
    if trouble:
        said.append(f"{trouble:,} {'needs' if trouble == 1 else 'need'} attention.")
    return " ".join(said) or "Nothing needs attention."


FLAGGED = "flagged"
"""An audit's refusal for which it proposes flags; the page shows it as an outcome of its own."""


def page_outcome(model: JSON, audit: bool) -> str:
    """How a model ended, as the page counts it."""
    return FLAGGED if audit and flags_of_model(model) else str(model["outcome"])


def page_words(outcome: str, audit: bool) -> str:
    """An outcome as the page calls it; an audit refuses nothing, it says what is blocked."""
    if outcome == FLAGGED:
        return "convertible with flags"
    return "blocked" if audit and outcome == "refused" else outcome_words(outcome)


def proposals(models: Sequence[JSON]) -> list[JSON]:
    """The flags that make models convertible, those that help most models first."""
    counts = Counter(filter(None, map(shared_flags_of, models)))
    return [{"flags": " ".join(flags), "count": count} for flags, count in counts.most_common()]


def made_by(tool: Mapping[str, Any]) -> str:
    """The versions that wrote the report."""
    parts = [f"migrate {tool.get('version')}"]
    parts += [
        f"{name} {tool[key]}" for key, name in (("tensorflow", "TensorFlow"), ("python", "Python")) if tool.get(key)
    ]
    return visible(" \u00b7 ".join(parts))


def tiles(models: Sequence[JSON]) -> list[tuple[str, str, str]]:
    """(label, value, tone) of the figures at the top."""
    good, trouble = sum(map(is_good, models)), sum(map(needs_attention, models))
    sizes = [model["bytes"] for model in models if isinstance(model.get("bytes"), int)]
    if is_audit(models):
        flagged = sum(page_outcome(model, True) == FLAGGED for model in models)
        ended = [
            ("convertible", sum(model["outcome"] == "convertible" for model in models), "good"),
            ("convertible with flags", flagged, ""),
            ("blocked", trouble - flagged, "bad"),
        ]
    else:
        ended = [("succeeded", good, "good"), ("verified", sum(map(verified, models)), "good")]
        ended.append(("need attention", trouble, "bad"))
    return [
        ("models", f"{len(models):,}", ""),
        *((label, f"{number:,}", tone if number else "") for label, number, tone in ended),
        ("parameters", short_number(sum(parameters_of(model) for model in models)), ""),
        ("on disk", size_words(sum(sizes)) if sizes else "unknown", ""),
    ]


def outcomes(models: Sequence[JSON]) -> list[JSON]:
    """The segments of the chart, good ones first."""
    audit = is_audit(models)
    counts = Counter(page_outcome(model, audit) for model in models)
    known = [name for name in OUTCOMES if counts[name]]
    shown, start = [], 0.0
    for name in known + sorted(set(counts) - set(known)):
        width = 1000 * counts[name] / len(models)
        shown.append(
            {
                "name": name,
                "words": page_words(name, audit),
                "count": counts[name],
                "share": f"{100 * counts[name] / len(models):.1f} %",
                "tone": name if name in OUTCOMES else "unknown",
                "x": round(start, 2),
                "width": round(max(width - 2, 1.0), 2),
            }
        )
        start += width
    return shown


OUTCOMES = (*GOOD, FLAGGED, *BAD)
"""In the order in which the page shows them."""


def findings(models: Sequence[JSON], codes: Sequence[str]) -> list[JSON]:
    """The codes that concern most models, what refuses first."""
    counts: dict[str, Counter[str]] = {severity: Counter() for severity in SEVERITIES}
    for model in models:
        worst: dict[str, str] = {}
        for finding in model["findings"]:
            severity = finding["severity"] if finding["severity"] in SEVERITIES else "note"
            known = worst.get(finding["code"], "note")
            worst[finding["code"]] = max(known, severity, key=SEVERITIES.index)
        for code, severity in worst.items():
            counts[severity][code] += 1
    rows = [
        (severity, code, count)
        for severity in reversed(SEVERITIES)
        for code, count in sorted(counts[severity].items(), key=lambda pair: (-pair[1], pair[0]))
    ][:_TOP_FINDINGS]
    most = max((count for _, _, count in rows), default=1)
    return [
        {
            "severity": severity,
            "code": visible(cut(code, 80)),
            "place": codes.index(code),
            "meaning": meaning(code),
            "count": count,
            "width": round(100 * count / most, 2),
        }
        for severity, code, count in rows
    ]


def meaning(code: str) -> str:
    """What a code means, why it matters and what to do; empty for one that this version does not know."""
    found = explanations().get(code)
    return "" if found is None else f"{found.meaning} {found.why} What to do: {found.remedy}".replace("`", "")
