"""What each code of a finding or a difference means: the source of `migrate explain`, docs/findings.md, SARIF's help.

The texts are in a file `findings.md` in each folder whose modules make findings: `## code`, a sentence on what it
means, and three paragraphs that begin with `Why:`, `Example:` and `Do:`. A difference between a candidate and its
source (`records.Mismatch`) has a fourth one, `Breaks:` with the clients that it breaks, or `Breaks: nobody.`
"""

from __future__ import annotations

import functools
import os
from collections.abc import Mapping

from migrate.frozen import frozen

FOLDERS = ("checks", "fleet", "functional", "graph", "model", "plan", "rewrite", "sources", "verify")
FILE = "findings.md"
OF_FILES = frozenset(
    {
        "asset-escapes",
        "asset-missing",
        "checkpoint-shard-missing",
        "checkpoint-shard-short",
        "checkpoint-without-graph",
        "file-not-copied",
        "link-followed",
        "link-leads-out",
    }
)
"""Codes of findings whose `nodes` are names of files."""
_PARTS = ("Why: ", "Example: ", "Do: ")
_BREAKS = "Breaks: "
_NOBODY = "nobody"


@frozen
class Explanation:
    """What a finding code means.

    Attributes:
      code: the code.
      meaning: what was found, in a sentence or two.
      why: why it matters.
      example: one model or flag with which it comes.
      remedy: what to do.
      clients: of a difference, the clients that it breaks (`records.CLIENTS`), none of a note; None for a finding.
    """

    code: str
    meaning: str
    why: str
    example: str
    remedy: str
    clients: tuple[str, ...] | None = None


@functools.cache
def explanations() -> Mapping[str, Explanation]:
    """Every finding code with its explanation, in the order of the alphabet."""
    found: dict[str, Explanation] = {}
    for folder in FOLDERS:
        found.update(explanations_of(folder))
    return dict(sorted(found.items()))


@functools.cache
def explanations_of(folder: str) -> Mapping[str, Explanation]:
    """The codes whose texts are in one folder of the package."""
    with open(os.path.join(os.path.dirname(__file__), folder, FILE), encoding="utf-8") as file:
        sections = file.read().split("\n## ")[1:]
    return {found.code: found for found in map(_explanation, sections)}


def _explanation(section: str) -> Explanation:
    code, _, text = section.partition("\n")
    meaning, *parts = text.strip().split("\n\n")
    clients = _clients(parts.pop()) if parts[-1].startswith(_BREAKS) else None
    why, example, remedy = (
        part.removeprefix(label) for label, part in zip(_PARTS, parts, strict=True) if part.startswith(label)
    )
    return Explanation(code, meaning, why, example, remedy, clients)


def _clients(part: str) -> tuple[str, ...]:
    named = part.removeprefix(_BREAKS).removesuffix(".")
    return () if named == _NOBODY else tuple(named.split(", "))


def about(code: str) -> str:
    """What the `nodes` of a finding with this code are.

    Example:
      >>> about("asset-missing"), about("random-op")
      ('files', 'nodes')
    """
    return "files" if code in OF_FILES else "nodes"


def meaning(code: str) -> str:
    """What a code means, in a sentence; empty for one that this version does not know."""
    found = explanations().get(code)
    return "" if found is None else found.meaning
