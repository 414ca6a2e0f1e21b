"""A report as one row per model, for spreadsheets, for shells and for comments: CSV, JSON lines and Markdown.

Everything here takes the JSON document, not the records.
"""

from __future__ import annotations

import csv
import io
import json
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from migrate.escapes import csv_cell, markdown_code, visible
from migrate.report.facts import chosen_graph, is_audit
from migrate.report.labels import (
    BUCKETS,
    JSON,
    bucket_of,
    explanation,
    is_good,
    kind_words,
    outcome_words,
    refusals,
    short_names,
    size_words,
    tally,
    verified,
)

COLUMNS = (
    "source",
    "destination",
    "kind",
    "outcome",
    "verified",
    "reason",
    "refusals",
    "warnings",
    "tensorflow",
    "signatures",
    "variables",
    "calls",
    "outputs_compared",
    "bitwise_equal",
    "max_ulps",
    "bytes",
    "seconds",
    "differences",
)
"""Of a CSV file. New ones are added at the end."""


def to_jsonl(document: Mapping[str, Any]) -> str:
    """One line of JSON per model: an entry of the document's `models`, and the document's `schema_version`."""
    version = document["schema_version"]
    return "".join(
        json.dumps({"schema_version": version, **model}, allow_nan=False) + "\n" for model in document["models"]
    )


def to_csv(document: Mapping[str, Any]) -> str:
    """A row of CSV (RFC 4180, but for line ends) for each model under a row of names."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(COLUMNS)
    for model in document["models"]:
        row = as_row(model)
        writer.writerow(["" if row[name] is None else csv_cell(row[name]) for name in COLUMNS])
    return stream.getvalue()


def as_row(model: Mapping[str, Any]) -> JSON:
    """A model as plain values by the names of `COLUMNS`; None for what is not known."""
    verification = model.get("verification") or {}
    chosen = chosen_graph(model) or {}
    return {
        "source": model["source"],
        "destination": model.get("destination"),
        "kind": model["kind"],
        "outcome": model["outcome"],
        "verified": verified(model) if verification else None,
        "reason": _reason(model),
        "refusals": _codes(model, "refusal"),
        "warnings": _codes(model, "warning"),
        "tensorflow": chosen.get("tf_version") or None,
        "signatures": len(model["signatures"]) if "signatures" in model else None,
        "variables": len(chosen["variables"]) if chosen else None,
        "calls": verification.get("calls"),
        "outputs_compared": verification.get("compared"),
        "bitwise_equal": verification.get("bitwise_equal"),
        "max_ulps": verification.get("max_ulps"),
        "bytes": model.get("bytes"),
        "seconds": _seconds(model),
        "differences": " ".join(dict.fromkeys(m["code"] for m in verification.get("mismatches", ()) if "code" in m)),
    }


def _reason(model: Mapping[str, Any]) -> str | None:
    """Why a model is not good; None where it is."""
    if is_good(model):
        return None
    first = next(iter(refusals(model)), None)
    return " ".join((explanation(model) if first is None else str(first["message"])).split())


def _codes(model: Mapping[str, Any], severity: str) -> str:
    found = (finding["code"] for finding in model["findings"] if finding["severity"] == severity)
    return " ".join(dict.fromkeys(found))


def _seconds(model: Mapping[str, Any]) -> float | None:
    numbers = [value for value in model["seconds"].values() if isinstance(value, (int, float))]
    return round(sum(numbers), 3) if numbers else None


def to_markdown(document: Mapping[str, Any]) -> str:
    """Totals, a table of the models, and what is in the way of those that are not good."""
    models = document["models"]
    return "\n".join(_lines(models, is_audit(models))) + "\n"


def _lines(models: list[JSON], audit: bool) -> Iterator[str]:
    counts = Counter(_outcome(model, audit) for model in models)
    told = tally({word: counts[word] for word in BUCKETS.values()} if audit else dict(counts.most_common()), "; ")
    yield f"**{len(models):,} model{'' if len(models) == 1 else 's'}: {told}**"
    yield ""
    yield "| model | outcome | kind | size | findings |"
    yield "|---|---|---|---|---|"
    names = short_names([model["source"] for model in models])
    for name, model in zip(names, models, strict=True):
        size = "" if model.get("bytes") is None else size_words(model["bytes"])
        codes = dict.fromkeys(f["code"] for f in model["findings"] if f["severity"] != "note")
        findings = ", ".join(map(markdown_code, codes))
        mark = "" if is_good(model) else "**"
        kind = kind_words(model["kind"])
        yield f"| {markdown_code(name)} | {mark}{_outcome(model, audit)}{mark} | {kind} | {size} | {findings} |"
    for name, model in zip(names, models, strict=True):
        if is_good(model):
            continue
        yield ""
        yield f"### {markdown_code(name)}: {_outcome(model, audit)}"
        yield ""
        for finding in refusals(model):
            yield f"- {markdown_code(finding['code'])}: {_text(finding['message'])}"
            if finding["hint"]:
                yield f"  - {_text(finding['hint'])}"
        if not refusals(model):
            yield f"- {_text(explanation(model))}"


def _outcome(model: JSON, audit: bool) -> str:
    if audit:
        return BUCKETS[bucket_of(model)]
    word = visible(outcome_words(model["outcome"]))
    if model["outcome"] == "converted":
        return f"{word} and verified" if verified(model) else f"{word}, not verified"
    return word


_MARKS = frozenset("\\`*_{}[]<>()#+-.!|~&@:/$^=\"'")


def _text(text: str) -> str:
    """A message, in which names are strangers': every mark of Markdown is shown as itself."""
    line = " ".join(visible(part) for part in text.split())
    return "".join(f"\\{char}" if char in _MARKS else char for char in line)
