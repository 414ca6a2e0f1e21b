"""The beginning of the page: how many models ended in which way, and what is found in most of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from migrate.errors import count_words
from migrate.escapes import visible
from migrate.finding_codes import explanations
from migrate.report.facts import SEVERITIES, is_audit, parameters_of, shared_flags_of, short_number
from migrate.report.labels import (
    BAD,
    BLOCKED,
    BUCKETS,
    EXPECTED,
    FLAGGED,
    GOOD,
    JSON,
    READY,
    bucket_of,
    cut,
    explanation,
    is_good,
    needs_attention,
    outcome_words,
    size_words,
    verified,
)

_TOP_FINDINGS = 8
_RANKS = ("refusal", "flag", "warning", "note")
"""Severities, gravest first; `flag` is a refusal that a proposal solves."""


def headline(models: Sequence[JSON], names: Sequence[str]) -> str:
    """The title of the page."""
    if len(models) == 1:
        return names[0]
    outcomes = Counter(model["outcome"] for model in models)
    if is_audit(models):
        return f"{sum(map(is_good, models)):,} of {len(models):,} models are ready"
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
        of = " of them" if audit else ""
        said.append(f"{'One' if already == 1 else f'{already:,}'}{of} {verb} TF2 already.")
    if audit:
        said += _not_ready(Counter(map(bucket_of, models)))
    else:
        trouble = sum(map(needs_attention, models))
        if trouble:
            said.append(f"{trouble:,} {'needs' if trouble == 1 else 'need'} attention.")
    return " ".join(said) or "Nothing needs attention."


def _not_ready(counts: Mapping[str, int]) -> Iterator[str]:
    for name, more in ((FLAGGED, " more"), (BLOCKED, ""), (EXPECTED, "")):
        if counts[name]:
            yield f"{counts[name]:,}{more} {'is' if counts[name] == 1 else 'are'} {BUCKETS[name]}."


def page_outcome(model: JSON, audit: bool) -> str:
    """How a model ended, as the page counts it: of an audit, a key of `BUCKETS`."""
    return bucket_of(model) if audit else str(model["outcome"])


def page_words(outcome: str, audit: bool) -> str:
    """An outcome as the page calls it."""
    return BUCKETS[outcome] if audit and outcome in BUCKETS else outcome_words(outcome)


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
        counts = Counter(map(bucket_of, models))
        tones = {READY: "good", FLAGGED: "", BLOCKED: "bad"}
        ended = [(BUCKETS[name], counts[name], tone) for name, tone in tones.items()]
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


OUTCOMES = (*GOOD, *BAD, *BUCKETS)
"""In the order in which the page shows them."""


def findings(models: Sequence[JSON], codes: Sequence[str]) -> list[JSON]:
    """The codes that concern most models, what refuses first.

    A refusal of an audit that proposals solve in some of its models counts these apart (`solved`), and one that they
    solve in all has the severity `flag`.
    """
    counts: dict[str, Counter[str]] = {severity: Counter() for severity in _RANKS}
    audit = is_audit(models)
    for model in models:
        refuses = "flag" if audit and bucket_of(model) == FLAGGED else "refusal"
        worst: dict[str, str] = {}
        for finding in model["findings"]:
            severity = finding["severity"] if finding["severity"] in SEVERITIES else "note"
            known = worst.get(finding["code"], "note")
            worst[finding["code"]] = max(known, severity, key=SEVERITIES.index)
        for code, severity in worst.items():
            counts[refuses if severity == "refusal" else severity][code] += 1
    solved = {code: count for code, count in counts["flag"].items() if code in counts["refusal"]}
    rows = [
        (severity, code, count)
        for severity in _RANKS
        for code, count in sorted(counts[severity].items(), key=lambda pair: (-pair[1], pair[0]))
        if severity != "flag" or code not in solved
    ][:_TOP_FINDINGS]
    rows = [(severity, code, count + solved.get(code, 0) * (severity == "refusal")) for severity, code, count in rows]
    most = max((count for _, _, count in rows), default=1)
    return [
        {
            "severity": severity,
            "code": visible(cut(code, 80)),
            "place": codes.index(code),
            "meaning": meaning(code),
            "count": count,
            "width": round(100 * count / most, 2),
            "solved": solved.get(code, 0) if severity == "refusal" else 0,
            "solved_width": round(100 * solved.get(code, 0) / most, 2) if severity == "refusal" else 0,
        }
        for severity, code, count in rows
    ]


def meaning(code: str) -> str:
    """What a code means, why it matters and what to do; empty for one that this version does not know."""
    found = explanations().get(code)
    return "" if found is None else f"{found.meaning} {found.why} What to do: {found.remedy}".replace("`", "")
