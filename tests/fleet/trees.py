"""Trees of models for the tests of this folder, and what has become of them."""

from __future__ import annotations

import hashlib
import pathlib
import shutil
from collections.abc import Iterable

import migrate
from migrate.events import Event
from migrate.records import Options, outcome_name
from tests.conversions import MODELS, ROOT

FAULTS = ROOT / "testdata" / "faults"
UNVERIFIED = Options(verify=False, jobs=2)


def make(tree: pathlib.Path, names: Iterable[str]) -> pathlib.Path:
    """Copies models of testdata/ into a tree; `a=b` is a copy of b under the name a."""
    for name in names:
        name, _, model = name.partition("=")
        model = model or name
        shutil.copytree(FAULTS / model if (FAULTS / model).is_dir() else MODELS / model, tree / name)
    return tree


def convert(tree: pathlib.Path, new: pathlib.Path, options: Options = UNVERIFIED, progress=None) -> dict[str, str]:
    """Converts a tree; gives the outcome of each model by its path in the tree, with what was skipped or copied."""
    report = migrate.convert(str(tree), str(new), options, progress=progress)
    return {str(pathlib.Path(m.source).relative_to(tree)): told(m) for m in report.models}


def told(model: migrate.ModelReport) -> str:
    words = [outcome_name(model.outcome), "skipped" if model.skipped else "", "copy" if model.duplicate_of else ""]
    return " ".join(filter(None, words))


def content(tree: pathlib.Path) -> dict[str, str]:
    """A digest by file, without what two conversions of one source differ in: the journal, and TensorFlow's uuid."""
    found = {}
    for path in sorted(tree.rglob("*")):
        name = path.relative_to(tree)
        if name.parts[0] == ".migrate":
            continue
        if path.is_dir():
            found[f"{name}/"] = ""
        elif name.name != "fingerprint.pb":
            data = b"\n".join(line for line in path.read_bytes().split(b"\n") if b'"copied_from"' not in line)
            found[str(name)] = hashlib.sha256(data).hexdigest()
    return found


class Listener(list):
    """Keeps what a command tells, and calls `react` with each event."""

    def __init__(self, react=lambda event: None):
        super().__init__()
        self._react = react

    def __call__(self, event: Event) -> None:
        self.append(event)
        self._react(event)
