"""Converts trees of models and validates each conversion as it is: none may be said to differ.

    python -m tools.untouched testdata/models testdata/forms testdata/keras MIGRATE_CORPUS:3:1
    python -m tools.untouched --write=docs/untouched.json testdata/models MIGRATE_CORPUS

`TREE:3` takes each third model of a tree, by name, and `TREE:3:1` each third one from the second on. A conversion is
not compared while it is made, so that nothing is left out that `validate` would call wrong. A model of TensorFlow 2 is
copied; where it cannot be run, its copy is not compared with it. Nor is one that runs with the user's leave alone.
The exit code is 1 where another one is neither validated nor unverified. With `--write` the counts of these trees in
the file are made again, those of the pieces of a tree together, and docs/trust.md has a section made of them.
"""

from __future__ import annotations

import argparse
import collections
import dataclasses
import json
import os
import pathlib
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import migrate
from migrate.levels import FULL, NONE
from migrate.records import (
    Converted,
    Failed,
    Mismatched,
    ModelReport,
    Options,
    Unchanged,
    Unverified,
    Validated,
    outcome_name,
)

OPTIONS = Options(take_proposals=True, drop_signatures=True, all_tags=True)


def chosen(tree: str) -> tuple[str, Options]:
    """A tree's path, and the options that choose its models.

    Example:
      >>> chosen("models")[0], chosen("models")[1].include
      ('models', ())
    """
    path, _, steps = tree.partition(":")
    if not steps:
        return path, OPTIONS
    step, _, start = steps.partition(":")
    names = sorted(entry.name for entry in pathlib.Path(path).iterdir() if entry.is_dir())[int(start or 0) :: int(step)]
    return path, dataclasses.replace(OPTIONS, include=tuple(p for name in names for p in (name, f"{name}/*")))


def validated(tree: str, directory: str) -> Iterator[tuple[ModelReport, bool]]:
    """What `validate` says of the conversions of a tree, which are made in a directory; whether each is a copy."""
    path, options = chosen(tree)
    made = migrate.convert(path, directory, dataclasses.replace(options, verify=NONE)).models
    copies = {model.source for model in made if isinstance(model.outcome, Unchanged)}
    if any(isinstance(model.outcome, Converted | Unchanged) for model in made):
        report = migrate.validate(directory, against=path, options=dataclasses.replace(options, verify=FULL))
        yield from ((model, model.source in copies) for model in report.models)


def alarm(model: ModelReport) -> str:
    """Why an untouched conversion is said to be wrong, in a line; empty where it is not."""
    if isinstance(model.outcome, Validated | Unverified):
        return ""
    told = [str(model.outcome)]
    if isinstance(model.outcome, Mismatched) and model.verification is not None:
        told = [
            f"{m.code} {m.signature}/{m.output}, {m.path}, call {m.call}: {m.reason}"
            for m in model.verification.breaking[:3]
        ]
    return f"{outcome_name(model.outcome)}: {'; '.join(told)}"


def counted(models: Sequence[tuple[ModelReport, bool]]) -> dict[str, Any]:
    """How many there are of each outcome, the alarms, and the copies that cannot be run, with the reason.

    Args:
      models: each with whether it is a copy.
    """
    failed = [(m, m.outcome.reason, is_copy) for m, is_copy in models if isinstance(m.outcome, Failed)]
    lost = {m.source: reason for m, reason, is_copy in failed if is_copy or reason.startswith("not run: ")}
    alarms = {m.source: why for m, _ in models if m.source not in lost and (why := alarm(m))}
    rest = [m for m, _ in models if m.source not in lost]
    return {
        "models": len(models),
        "outcomes": dict(sorted(collections.Counter(outcome_name(m.outcome) for m in rest).items())),
        "alarms": _by_name(alarms),
        "not_run": _by_name(lost),
    }


def _by_name(reasons: Mapping[str, str]) -> dict[str, str]:
    """Reasons by the models' names, without the paths of this machine."""
    return {
        os.path.basename(source): reason.replace(os.path.join(os.path.dirname(source), ""), "")
        for source, reason in sorted(reasons.items())
    }


def together(first: Mapping[str, Any], second: Mapping[str, Any]) -> dict[str, Any]:
    """The counts of two pieces of a tree."""
    return {
        "models": first["models"] + second["models"],
        "outcomes": dict(
            sorted((collections.Counter(first["outcomes"]) + collections.Counter(second["outcomes"])).items())
        ),
        "alarms": {**first["alarms"], **second["alarms"]},
        "not_run": {**first["not_run"], **second["not_run"]},
    }


def section(counts: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """The counts as lines of a page."""
    lines = [
        "| models | conversions and copies | validated | unverified | false alarms | not run |",
        "|---|---|---|---|---|---|",
    ]
    for tree, found in counts.items():
        outcomes = found["outcomes"]
        cells = [tree, found["models"], outcomes.get("validated", 0), outcomes.get("unverified", 0)]
        lines.append(f"| {' | '.join(map(str, [*cells, len(found['alarms']), len(found['not_run'])]))} |")
    for name, part in (("False alarm", "alarms"), ("Not run", "not_run")):
        told = [(model, why) for found in counts.values() for model, why in found[part].items()]
        lines += [""] * bool(told) + [f"- {name}: `{model}`: {' '.join(why.split())[:300]}" for model, why in told]
    return lines


def main(arguments: Sequence[str]) -> int:
    """Prints what becomes of each tree, and each false alarm."""
    parser = argparse.ArgumentParser(prog="python -m tools.untouched", description=__doc__)
    parser.add_argument("trees", nargs="+")
    parser.add_argument("--write", type=pathlib.Path, help="a file for the counts")
    given = parser.parse_args(arguments)
    counts: dict[str, dict[str, Any]] = {}
    for tree in given.trees:
        with tempfile.TemporaryDirectory() as directory:
            found = counted(list(validated(tree, os.path.join(directory, "new"))))
        name = label(tree.partition(":")[0])
        counts[name] = together(counts[name], found) if name in counts else found
        outcomes = ", ".join(f"{n} {name}" for name, n in found["outcomes"].items())
        print(f"{tree}: {found['models']} conversions: {outcomes}, {len(found['not_run'])} copies that are not run")
        for model, why in [*found["alarms"].items(), *found["not_run"].items()]:
            print(f"  {model}: {why}", flush=True)
    alarms = sum(len(found["alarms"]) for found in counts.values())
    print(f"{alarms} false alarms")
    if given.write is not None:
        before = json.loads(given.write.read_text("utf-8")) if given.write.exists() else {}
        given.write.write_text(json.dumps({**before, **counts}, indent=1) + "\n", encoding="utf-8")
        from tools.mutate import page  # It takes `section` from here.

        trust = page.ROOT / "docs" / "trust.md"
        if given.write.resolve() == page.UNTOUCHED:
            trust.write_text(page.with_untouched(trust.read_text("utf-8")), encoding="utf-8")
    return int(alarms > 0)


def label(path: str) -> str:
    """What a tree is called in documents: a directory of the repository by its path, another one `corpus`."""
    return path if path.startswith("testdata/") else "corpus"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
