"""The program: see `tools.mutate`."""

from __future__ import annotations

import argparse
import fnmatch
import os
import pathlib
import sys
import tempfile
from collections.abc import Sequence

# Before the runtime is imported: it says much while it loads.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from tools.mutate.catalogue import FAULTS
from tools.mutate.page import page, updated
from tools.mutate.records import Ended
from tools.mutate.run import run


def main(arguments: Sequence[str]) -> int:
    """Runs the catalogue, and writes the page where it is named."""
    parser = argparse.ArgumentParser(prog="python -m tools.mutate", description=__doc__)
    parser.add_argument(
        "page", nargs="?", type=pathlib.Path, help="docs/trust.md; of a part of the catalogue its lines alone"
    )
    parser.add_argument("--only", default="*", help="patterns of full names, joined by commas: state/*,files/warmup-*")
    parser.add_argument("--proofs_alone", action="store_true", help="validate nothing")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--cache", type=pathlib.Path, default=pathlib.Path(tempfile.gettempdir(), "migrate-mutate"))
    given = parser.parse_args(arguments)
    patterns = given.only.split(",")
    chosen = [f for name, f in FAULTS.items() if any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)]
    given.cache.mkdir(parents=True, exist_ok=True)
    untouched, ended = run(chosen, given.cache, given.jobs, _tell, _warn, given.proofs_alone)
    alarms = [base for base, found in untouched.items() if found.is_alarm]
    real = [one for one in ended if not one.proof]
    missed = [one for one in real if one.verdict == "missed"]
    print(f"{len(real)} faults proved, {len(ended) - len(real)} not; {len(missed)} missed")
    if given.page is not None:
        is_whole = len(chosen) == len(FAULTS) or not given.page.exists()
        text = page(untouched, ended) if is_whole else updated(given.page.read_text("utf-8"), untouched, ended)
        given.page.write_text(text, encoding="utf-8")
    return 1 if alarms or len(real) < len(ended) else 0


def _warn(line: str) -> None:
    print(f"false alarm: {line}", flush=True)


def _tell(one: Ended) -> None:
    codes = f" [{', '.join(one.codes)}]" if one.codes else ""
    print(f"{one.verdict:9s}{one.fault}: {one.proof or one.outcome}{codes} {one.reason[:150]}", flush=True)


sys.exit(main(sys.argv[1:]))
