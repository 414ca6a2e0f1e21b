"""A report as JUnit XML, for continuous integration: a test case a model.

The form is the one that Jenkins, GitLab and GitHub's actions read (https://github.com/testmoapp/junitxml): a model that
is refused or mismatched is a failure, one that is unverified or ended as expected is skipped, and one that could not
be worked on is an error. XML 1.0 has no way to write most control characters, not even escaped, and ElementTree writes
them all the same: nothing gets there but what is visible.
"""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Mapping
from typing import Any

from migrate.escapes import visible, visible_lines
from migrate.report.labels import (
    JSON,
    breaks,
    cut,
    explanation,
    is_expected,
    is_good,
    outcome_words,
    refusals,
    short_names,
)

_FAILURES = frozenset({"refused", "mismatched"})
_SKIPPED = frozenset({"unverified"})
_MESSAGE_CHARACTERS = 1000
_TEXT_CHARACTERS = 20_000


def to_junit(document: Mapping[str, Any]) -> str:
    """Gives a report's JSON document as an XML text."""
    models: list[JSON] = document["models"]
    skipped = sum(map(_is_skipped, models))
    failures = sum(model["outcome"] in _FAILURES and not _is_skipped(model) for model in models)
    errors = sum(not is_good(model) for model in models) - failures - skipped
    counts: dict[str, str] = {
        "tests": str(len(models)),
        "failures": str(failures),
        "errors": str(errors),
        "skipped": str(skipped),
        "time": _seconds(sum(map(_time, models))),
    }
    root = ET.Element("testsuites", {"name": "migrate", **counts})
    suite = ET.SubElement(root, "testsuite", {"name": "migrate", **counts})
    for name, model in zip(short_names([model["source"] for model in models]), models, strict=True):
        _case(suite, name, model)
    ET.indent(root)
    return "<?xml version='1.0' encoding='utf-8'?>\n" + ET.tostring(root, encoding="unicode") + "\n"


def _case(suite: ET.Element, name: str, model: JSON) -> None:
    folder, _, last = name.rpartition("/")
    case = ET.SubElement(
        suite,
        "testcase",
        name=visible(last or name),
        classname=visible("migrate." + folder.replace("/", ".") if folder else "migrate"),
        file=visible(model["source"]),
        time=_seconds(_time(model)),
    )
    if _is_skipped(model):
        ET.SubElement(case, "skipped", message=visible(cut(explanation(model), _MESSAGE_CHARACTERS)))
    elif not is_good(model):
        kind = "failure" if model["outcome"] in _FAILURES else "error"
        found = refusals(model)
        message = f"{found[0]['code']}: {found[0]['message']}" if found else explanation(model)
        trouble = ET.SubElement(case, kind, type=visible(found[0]["code"] if found else model["outcome"]))
        trouble.set("message", visible(cut(message or outcome_words(model["outcome"]), _MESSAGE_CHARACTERS)))
        trouble.text = cut(_details(model), _TEXT_CHARACTERS)
    rest = [finding for finding in model["findings"] if finding["severity"] != "refusal"]
    if rest:
        said = "\n".join(f"{visible(f['severity'])}: {_finding(f)}" for f in rest)
        ET.SubElement(case, "system-out").text = cut(said, _TEXT_CHARACTERS)


def _is_skipped(model: JSON) -> bool:
    return model["outcome"] in _SKIPPED or is_expected(model)


def _details(model: JSON) -> str:
    lines = [visible(explanation(model)), *(_finding(finding) for finding in refusals(model))]
    for mismatch in ((model.get("verification") or {}).get("mismatches") or ())[:20]:
        call = f", call {mismatch['call']}" if mismatch["call"] >= 0 else ""
        place = f"{mismatch['signature']}/{mismatch['output']}{call}, {mismatch['path']}"
        code = f"{mismatch['code']}, breaks {breaks(mismatch)}: " if "code" in mismatch else ""
        lines.append(visible(f"{place}: {code}{mismatch['reason']}"))
    tail = (model.get("detail") or {}).get("stderr_tail")
    return "\n".join(filter(None, [*lines, visible_lines(tail or "")]))


def _finding(finding: JSON) -> str:
    hint = f"\n  hint: {visible(finding['hint'])}" if finding["hint"] else ""
    return f"{visible(finding['code'])}: {visible(finding['message'])}{hint}"


def _time(model: JSON) -> float:
    return float(sum(seconds for seconds in model["seconds"].values() if isinstance(seconds, (int, float))))


def _seconds(seconds: float) -> str:
    return f"{seconds:.3f}"
