"""Says whether two checkouts do the same: audits, plans, conversions, reports.

    python -m tools.same_behaviour [--noverify] OLD NEW TREE...

OLD and NEW are checkouts of this repository, TREE is a directory of models (`testdata/models`, say). Each checkout
audits and converts each TREE as a user would, with `python -m migrate`, into a new directory. Then everything that was
written is compared: the JSON of both commands, and every file of every new model byte for byte. A plan is compared
through the graph in `saved_model.pb` that it gives. What may differ: times, versions of the program, and the uuid of
`fingerprint.pb`. What differs between two runs of OLD is chance (Keras draws seeds, and numbers its functions in any
order); it is counted and not compared. The exit code is 1 where anything else differs.
"""

from __future__ import annotations

import hashlib
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from typing import Any

_TIMES = frozenset({"seconds", "tool", "version", "started", "finished", "pid", "command"})
"""Keys of JSON objects that two runs never share."""

_NOT_COMPARED = ("fingerprint.pb", "report.html", "report.csv")
"""`fingerprint.pb` holds a uuid; the page and the table show what report.json holds, with times."""

_JOURNAL = ".migrate"
_SHOWN = 20


def main(argv: list[str]) -> int:
    """Compares the checkouts `argv[1]` and `argv[2]` on the trees that follow."""
    flags = [text for text in argv[1:] if text.startswith("--")]
    old, new, *trees = (os.path.abspath(text) for text in argv[1:] if not text.startswith("--"))
    differences: list[str] = []
    for tree in trees:
        with tempfile.TemporaryDirectory() as scratch:
            was, now = (_behaviour(checkout, tree, scratch, flags) for checkout in (old, new))
            found = _differences(was, now)
            chance = _differences(was, _behaviour(old, tree, scratch, flags)) if found else {}
        found = {key: text for key, text in found.items() if key not in chance}
        print(f"{tree}: {len(now)} facts, {len(found)} differ, {len(chance)} differ by chance")
        differences += found.values()
    for line in differences[:_SHOWN]:
        print("  " + line)
    return int(bool(differences))


def _behaviour(checkout: str, tree: str, scratch: str, flags: list[str]) -> Mapping[str, str]:
    destination = os.path.join(scratch, "new")  # The same path for both: reports name it.
    audit = _run(checkout, ["audit", tree])
    convert = _run(checkout, ["convert", tree, destination, "--take_proposals", "--jobs=2", *flags])
    files = dict(_files(pathlib.Path(destination)))
    shutil.rmtree(destination, ignore_errors=True)
    return {**dict(_facts("audit", audit)), **dict(_facts("convert", convert)), **files}


def _run(checkout: str, arguments: list[str]) -> Any:
    environment = {**os.environ, "PYTHONPATH": checkout, "SOURCE_DATE_EPOCH": "1700000000"}
    done = subprocess.run(
        [sys.executable, "-m", "migrate", *arguments, "--format=json"],
        cwd=checkout,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode not in (0, 1):
        raise SystemExit(
            f"{checkout}: migrate {' '.join(arguments)} ended with {done.returncode}: {done.stderr[-2000:]}"
        )
    return json.loads(done.stdout)


def _facts(where: str, value: Any) -> Iterator[tuple[str, str]]:
    """Every leaf of a JSON value, by its path; models by their source."""
    if isinstance(value, dict):
        for key, inner in value.items():
            if key not in _TIMES:
                yield from _facts(f"{where}/{key}", inner)
    elif isinstance(value, list) and all(isinstance(inner, dict) and "source" in inner for inner in value):
        for inner in value:
            yield from _facts(f"{where}[{inner['source']}]", inner)
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from _facts(f"{where}[{index}]", inner)
    else:
        yield where, json.dumps(value)


def _files(root: pathlib.Path) -> Iterator[tuple[str, str]]:
    for path in sorted(root.rglob("*")):
        relative = path.relative_to(root)
        if not path.is_file() or _JOURNAL in relative.parts or path.name in _NOT_COMPARED:
            continue
        if path.suffix == ".json":
            yield from _facts(f"file {relative}", json.loads(path.read_bytes()))
        else:
            yield f"file {relative}", hashlib.sha256(path.read_bytes()).hexdigest()


def _differences(old: Mapping[str, str], new: Mapping[str, str]) -> dict[str, str]:
    """What to print of each fact that differs."""
    pairs = {key: (old.get(key, "absent"), new.get(key, "absent")) for key in sorted(old.keys() | new.keys())}
    return {key: f"{key}: {_short(was)} -> {_short(now)}" for key, (was, now) in pairs.items() if was != now}


def _short(text: str) -> str:
    return re.sub(r"\s+", " ", text)[:160]


if __name__ == "__main__":
    sys.exit(main(sys.argv))
