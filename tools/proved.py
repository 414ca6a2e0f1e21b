"""Converts trees of models with `--verify=proof`, and writes down what of them is not proved, and why.

    python -m tools.proved docs/proved.json testdata/models testdata/forms MIGRATE_CORPUS

docs/trust.md has a section made of it, which is written anew with the file. Without --allow_unverified no model is
published of which something is not proved; the conversions are thrown away.
"""

from __future__ import annotations

import collections
import json
import os
import pathlib
import re
import sys
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import migrate
from migrate.records import Converted, ModelReport, Options, Structure, outcome_name

OPTIONS = Options(verify="proof", allow_unverified=True, drop_signatures=True, take_proposals=True, all_tags=True)


def counted(tree: str) -> dict[str, Any]:
    """Converts a tree, and counts what is proved of it."""
    with tempfile.TemporaryDirectory() as directory:
        new = os.path.join(directory, "new")
        report = migrate.convert(tree, new, OPTIONS)
    # A source of several tag sets has a new model for each.
    return summary([(os.path.relpath(model.destination or new, new), model) for model in report.models])


def summary(models: Sequence[tuple[str, ModelReport]]) -> dict[str, Any]:
    """What is proved of some conversions.

    Args:
      models: each by its name.
    """
    found: dict[str, Structure] = {}
    for name, model in models:
        if model.verification is not None and model.verification.structure is not None:
            found[name] = model.verification.structure
    whole = [name for name, structure in found.items() if not structure.not_proved]
    without = [name for name, model in models if isinstance(model.outcome, Converted) and name not in found]
    return {
        "outcomes": dict(sorted(collections.Counter(outcome_name(model.outcome) for _, model in models).items())),
        "models": len(found),
        "whole": len(whole),
        "outputs": sum(structure.outputs for structure in found.values()),
        "outputs_proved": sum(len(structure.outputs_proved) for structure in found.values()),
        "outputs_unordered": sum(len(structure.outputs_unordered) for structure in found.values()),
        "variables": sum(structure.variables for structure in found.values()),
        "variables_proved": sum(structure.variables_proved for structure in found.values()),
        "no_graph": sorted(without),
        "not_proved": {
            name: dict(sorted(structure.not_proved.items()))
            for name, structure in sorted(found.items())
            if structure.not_proved
        },
    }


def section(known: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Lines of docs/trust.md.

    Args:
      known: the summary of each tree, by its name.
    """
    rows = [
        "| models | with a proof | wholly proved | outputs proved | left open by TF1 | variables proved |",
        "|---|---|---|---|---|---|",
    ]
    for tree, found in known.items():
        outputs = f"{found['outputs_proved']} of {found['outputs']}"
        variables = f"{found['variables_proved']} of {found['variables']}"
        open_ = found.get("outputs_unordered", 0)
        rows.append(f"| {tree} | {found['models']} | {found['whole']} | {outputs} | {open_} | {variables} |")
    lines = [*rows, ""]
    for tree, found in known.items():
        if found["no_graph"]:
            lines.append(f"- {tree}: without a graph, or copied from an equal model: {_names(found['no_graph'])}")
        for name, reasons in found["not_proved"].items():
            lines += [f"- {tree}/{name}", *(f"  - {_names(what)}: {why}" for why, what in _by_reason(reasons))]
    return lines


_MOST_NAMES = 4


def _names(what: Sequence[str]) -> str:
    more = f" and {len(what) - _MOST_NAMES} more" if len(what) > _MOST_NAMES else ""
    return ", ".join(f"`{name}`" for name in what[:_MOST_NAMES]) + more


def _by_reason(reasons: Mapping[str, str]) -> Iterable[tuple[str, list[str]]]:
    """What is not proved, by the reason; one that names other nodes alone is the same."""
    found: dict[str, tuple[str, list[str]]] = {}
    for what, why in reasons.items():
        text = re.sub(r" \([^()]*\)$", "", " ".join(why.split())).removeprefix("session: ")
        kind = "no edge orders" if "no edge orders" in text else re.sub(r"'[^']*'|\d+", "", text)
        found.setdefault(kind, (text, []))[1].append(what)
    return found.values()


def main(arguments: Sequence[str]) -> int:
    """Writes the file; a tree's name in it is the last part of its path."""
    file, *trees = arguments
    known = {"corpus" if pathlib.Path(tree, "INDEX.jsonl").exists() else tree: counted(tree) for tree in trees}
    pathlib.Path(file).write_text(json.dumps(known, indent=1) + "\n", encoding="utf-8")
    print("\n".join(section(known)))
    from tools.mutate import page  # It takes `section` from here.

    trust = page.ROOT / "docs" / "trust.md"
    if pathlib.Path(file).resolve() == page.PROVED:
        trust.write_text(page.with_proved(trust.read_text(encoding="utf-8")), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
