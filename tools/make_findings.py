"""Writes docs/findings.md from migrate/codes.py: `python -m tools.make_findings`."""

from __future__ import annotations

import os

from migrate.codes import CODES

PAGE = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "docs", "findings.md")


def page() -> str:
    """The page's text."""
    rows = [f"| `{code}` | {meaning} |" for code, meaning in sorted(CODES.items())]
    head = [
        "# Finding codes",
        "",
        "Codes are stable: scripts may rely on them. Whether a finding stops a conversion is its `severity`",
        "(`refusal` does, `warning` and `note` do not). Made by `python -m tools.make_findings`.",
        "",
        "| code | meaning |",
        "|---|---|",
    ]
    return "\n".join([*head, *rows]) + "\n"


if __name__ == "__main__":
    with open(PAGE, "w", encoding="utf-8") as file:
        file.write(page())
