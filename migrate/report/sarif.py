"""A report's findings as SARIF 2.1.0, which code scanning tools read.

Source: https://docs.oasis-open.org/sarif/sarif/v2.1.0/sarif-v2.1.0.html
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import urllib.parse
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from migrate.escapes import visible
from migrate.finding_codes import explanations
from migrate.report.labels import JSON, breaks, cut, explanation, is_expected, is_good, outcome_words, refusals
from migrate.report.security import EFFECTS, dangers, severity, words

SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
_LEVELS = {"refusal": "error", "warning": "warning", "note": "note"}
_MOST_NODES = 20
_TEXT_CHARACTERS = 4000

_OUTCOMES = {
    "mismatched": "The new model does not answer as the source does.",
    "unreadable": "The model's files are damaged or are not a model.",
    "failed": "A step of the conversion could not be done.",
    "crashed": "A process died while it worked on the model.",
    "timed_out": "A step passed its time limit.",
}
"""Endings that no finding explains, told as results of rules of their own (`outcome-failed`)."""


def to_sarif(document: Mapping[str, Any], security_only: bool = False) -> str:
    """Gives a report's JSON document as a SARIF log, in ASCII.

    Args:
      document: see `report.json.to_document`.
      security_only: leave out what is not about security.
    """
    tool = document["tool"]
    results = [result for model in document["models"] for result in _results(model, security_only)]
    meanings = {
        **{code: found.meaning for code, found in explanations().items()},
        **{_outcome_rule(outcome): meaning for outcome, meaning in _OUTCOMES.items()},
        **{_effect_rule(effect): f"The graph has an op that {does}." for effect, (does, _) in EFFECTS.items()},
    }
    rules = sorted({result["ruleId"] for result in results})
    for result in results:
        result["ruleIndex"] = rules.index(result["ruleId"])
    driver = {
        "name": "migrate",
        "version": visible(str(tool.get("version") or "unknown")),
        "rules": [
            {
                "id": visible(rule),
                "shortDescription": {"text": visible(meanings.get(rule, rule))},
                "name": _pascal(visible(rule)),
                **_help(rule),
                **_security(rule),
            }
            for rule in rules
        ],
    }
    log = {
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [{"tool": {"driver": driver}, "columnKind": "unicodeCodePoints", "results": results}],
    }
    return json.dumps(log, indent=2, allow_nan=False) + "\n"


def _help(rule: str) -> JSON:
    """What code scanning shows beside a result: why it matters, an example, and what to do."""
    found = explanations().get(rule)
    if found is None:
        return {}
    lines = [found.meaning, found.why, f"Example: {found.example}", f"What to do: {found.remedy}"]
    return {
        "fullDescription": {"text": f"{found.meaning} {found.why}"},
        "help": {"text": "\n".join(lines), "markdown": "\n\n".join(lines)},
    }


def _security(rule: str) -> JSON:
    """What code scanning sorts a rule by: `security-severity` is a number of CVSS, as text (GitHub's documentation)."""
    effect = rule.removeprefix(_EFFECT)
    if effect == rule:
        return {}
    return {"properties": {"tags": ["security"], "security-severity": f"{severity(effect):.1f}"}}


def _results(model: JSON, security_only: bool) -> Iterator[JSON]:
    for danger in dangers(model):
        if danger.counts:
            told = _text(f"{danger.what} in {danger.where} {words(danger.effect)}")
            yield _result(model, _effect_rule(danger.effect), "error", told, danger.nodes)
    for finding in () if security_only else model["findings"]:
        text = _text(finding["message"])
        if finding["hint"]:
            text += f"\nHint: {_text(finding['hint'])}"
        result = _result(model, finding["code"], _LEVELS.get(finding["severity"], "none"), text, finding["nodes"])
        yield _suppressed(model, result) if finding["severity"] == "refusal" else result
    differences = () if security_only else tuple(_differences(model))
    yield from differences
    # By the finding of that code, or by the differences.
    explained = model["outcome"] == "unverified" or any(result["level"] == "error" for result in differences)
    if not is_good(model) and not refusals(model) and not explained:
        text = _text(explanation(model) or outcome_words(model["outcome"]))
        yield _suppressed(model, _result(model, _outcome_rule(model["outcome"]), "error", text, ()))


def _suppressed(model: JSON, result: JSON) -> JSON:
    """A result that stands in the way of a model, suppressed where the config expects it."""
    if not is_expected(model):
        return result
    return {**result, "suppressions": [{"kind": "external", "justification": _text(model["expected"])}]}


def _differences(model: JSON) -> Iterator[JSON]:
    """One result for each code of a difference, with the first difference of that code."""
    by_code: dict[str, list[JSON]] = {}
    for mismatch in (model.get("verification") or {}).get("mismatches") or ():
        if "code" in mismatch:
            by_code.setdefault(mismatch["code"], []).append(mismatch)
    for code, found in by_code.items():
        first = found[0]
        place = "/".join(filter(None, [first["signature"], first["output"]]))
        more = f" (and {len(found) - 1:,} more)" if len(found) > 1 else ""
        told = _text(f"{place + ': ' if place else ''}{first['reason']}; breaks {breaks(first) or 'nobody'}{more}")
        names = list(dict.fromkeys(m["output"] for m in found if m["output"]))
        yield _result(model, code, "error" if first.get("clients") else "note", told, names)


def _result(model: JSON, rule: str, level: str, text: str, names: Sequence[str]) -> JSON:
    location: JSON = {"physicalLocation": {"artifactLocation": {"uri": _uri(model["source"])}}}
    nodes = list(names[:_MOST_NODES])
    if nodes:
        location["logicalLocations"] = [{"fullyQualifiedName": _name(node), "kind": "element"} for node in nodes]
    identity = json.dumps([model["source"], rule, text, nodes])
    return {
        "ruleId": visible(rule),
        "level": level,
        "message": {"text": text},
        "locations": [location],
        "partialFingerprints": {"finding/v1": hashlib.sha256(identity.encode()).hexdigest()},
    }


_EFFECT = "op-"


def _effect_rule(effect: str) -> str:
    return _EFFECT + effect


def _outcome_rule(outcome: str) -> str:
    return "outcome-" + outcome.replace("_", "-")


def _pascal(code: str) -> str:
    return "".join(word.capitalize() for word in code.split("-"))


def _text(text: str) -> str:
    """A name or a message: one line, without links, which a message may have (`[text](target)`, SARIF 3.11.6)."""
    return visible(cut(text, _TEXT_CHARACTERS)).replace("](", "] (") or "(empty)"


def _name(name: str) -> str:
    return visible(cut(name, _TEXT_CHARACTERS)) or "(empty)"


_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*\Z")
"""Of a URI (RFC 3986, 3.1)."""


def _uri(path: str) -> str:
    """A path as a URI: absolute ones are `file:`, those of other file systems (`gs://...`) are URIs already."""
    scheme, separator, rest = path.partition("://")
    if separator and _SCHEME.match(scheme):
        return f"{scheme}://{_quoted(rest)}"
    return ("file://" if os.path.isabs(path) else "") + _quoted(path)


def _quoted(path: str) -> str:
    try:
        data = os.fsencode(path)
    except UnicodeEncodeError:  # It has halves of characters that no path has.
        data = path.encode("utf-8", "backslashreplace")
    # A colon in the first part of a relative path would read as a scheme.
    return urllib.parse.quote(data, safe="/")
