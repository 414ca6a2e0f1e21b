"""Converts trees of models and validates each conversion as it is: none may be said to differ.

    python -m tools.untouched testdata/models testdata/forms testdata/keras MIGRATE_CORPUS:3

`TREE:3` takes each third model of a tree, by name. A conversion is not compared while it is made, so that nothing is
left out that `validate` would call wrong. The exit code is 1 where one is neither validated nor unverified.
"""

from __future__ import annotations

import collections
import dataclasses
import os
import pathlib
import sys
import tempfile
from collections.abc import Iterator, Sequence

import migrate
from migrate.levels import FULL, NONE
from migrate.records import Converted, Mismatched, ModelReport, Options, Unverified, Validated, outcome_name

OPTIONS = Options(take_proposals=True, drop_signatures=True, all_tags=True)


def chosen(tree: str) -> tuple[str, Options]:
    """A tree's path, and the options that choose its models.

    Example:
      >>> chosen("models")[0], chosen("models")[1].include
      ('models', ())
    """
    path, _, step = tree.partition(":")
    if not step:
        return path, OPTIONS
    names = sorted(entry.name for entry in pathlib.Path(path).iterdir() if entry.is_dir())[:: int(step)]
    return path, dataclasses.replace(OPTIONS, include=tuple(p for name in names for p in (name, f"{name}/*")))


def validated(tree: str, directory: str) -> Iterator[ModelReport]:
    """What `validate` says of the conversions of a tree, which are made in a directory."""
    path, options = chosen(tree)
    made = migrate.convert(path, directory, dataclasses.replace(options, verify=NONE)).models
    if any(isinstance(model.outcome, Converted) for model in made):
        yield from migrate.validate(directory, against=path, options=dataclasses.replace(options, verify=FULL)).models


def alarm(model: ModelReport) -> str:
    """Why an untouched conversion is said to be wrong, in a line; empty where it is not."""
    if isinstance(model.outcome, Validated | Unverified):
        return ""
    told = [str(model.outcome)]
    if isinstance(model.outcome, Mismatched) and model.verification is not None:
        told = [f"{m.code} {m.signature}/{m.output}: {m.reason}" for m in model.verification.breaking[:3]]
    return f"{outcome_name(model.outcome)}: {'; '.join(told)}"


def main(arguments: Sequence[str]) -> int:
    """Prints what becomes of each tree, and each false alarm."""
    alarms = 0
    for tree in arguments:
        with tempfile.TemporaryDirectory() as directory:
            models = list(validated(tree, os.path.join(directory, "new")))
        counts = collections.Counter(outcome_name(model.outcome) for model in models)
        print(f"{tree}: {len(models)} conversions: {', '.join(f'{n} {name}' for name, n in sorted(counts.items()))}")
        for model in models:
            if why := alarm(model):
                alarms += 1
                print(f"  {model.source}: {why}")
    print(f"{alarms} false alarms")
    return int(alarms > 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
