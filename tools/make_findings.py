"""Writes docs/findings.md from the explanations beside the checks: `python -m tools.make_findings`."""

from __future__ import annotations

import os

from migrate.finding_codes import Explanation, explanations

PAGE = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "docs", "findings.md")


def page() -> str:
    """The page's text."""
    head = [
        "# Finding codes",
        "",
        "Codes are stable: scripts may rely on them. Whether a finding stops a conversion is its `severity`",
        "(`refusal` does, `warning` and `note` do not). `migrate explain CODE` prints the same texts.",
        "A code with **Breaks** is a difference between a new model and its source; **Breaks** lists the clients that",
        "can no longer rely on the model. A difference that breaks nobody is a note, and the model still passes.",
        "Made by `python -m tools.make_findings` from the `findings.md` beside the code of the checks.",
    ]
    return "\n".join([*head, *(line for found in explanations().values() for line in _section(found))]) + "\n"


def _section(found: Explanation) -> list[str]:
    parts = [("Why it matters", found.why), ("Example", found.example), ("What to do", found.remedy)]
    if found.clients is not None:
        parts.append(("Breaks", f"{', '.join(found.clients) or 'nobody'}."))
    lines = ["", f"## {found.code}", "", found.meaning, ""]
    return [*lines, *(f"- **{label}.** {text}" for label, text in parts)]


if __name__ == "__main__":
    with open(PAGE, "w", encoding="utf-8") as file:
        file.write(page())
