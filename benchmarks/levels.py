"""What verifying costs: the processor time of `migrate convert` at each level of `--verify`, paired by model.

    python -m benchmarks.levels [--models=testdata/models] [--every=1]

Each model is converted at all levels in turn, so that what else the machine does meets all of them. Seconds are of the
whole command, with the import of TensorFlow; what verifying adds is what a level takes beyond `none`.
"""

from __future__ import annotations

import argparse
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence

_LEVELS = ("none", "replay", "full")
_ROOT = pathlib.Path(__file__).resolve().parent.parent


def processor_seconds(command: Sequence[str]) -> tuple[float, int]:
    """What a command and the processes that it has waited for took of the processor, and its exit code."""
    process = subprocess.Popen(command, cwd=_ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    return usage.ru_utime + usage.ru_stime, process.returncode


def measure(model: pathlib.Path, scratch: pathlib.Path) -> dict[str, float] | None:
    """Seconds by level; None for a model that is not converted and verified at each."""
    found = {}
    for level in _LEVELS:
        destination = scratch / f"{model.name}-{level}"
        convert = ["-m", "migrate", "convert", str(model), str(destination), f"--verify={level}", "--take_proposals"]
        seconds, code = processor_seconds([sys.executable, *convert])
        if code:
            return None
        found[level] = seconds
    return found


def section(models: pathlib.Path, every: int) -> Iterator[str]:
    """The lines of a page: a row for each model, and medians.

    Args:
      models: the directory that has them.
      every: take one of so many.
    """
    yield "## What verifying costs"
    yield ""
    yield f"`python -m benchmarks.levels --every={every}`. Seconds of processor time of the whole command"
    yield "`migrate convert`, with the import of TensorFlow, at each level of `--verify`, in turn for each model."
    yield ""
    yield f"| model | {' | '.join(_LEVELS)} |"
    yield f"|---|{'---|' * len(_LEVELS)}"
    rows: list[dict[str, float]] = []
    for model in sorted(path for path in models.iterdir() if path.is_dir())[::every]:
        with tempfile.TemporaryDirectory() as scratch:
            found = measure(model, pathlib.Path(scratch))
        if found is not None:
            rows.append(found)
            yield f"| {model.name} | {' | '.join(f'{found[level]:.2f}' for level in _LEVELS)} |"
    yield ""
    medians = ", ".join(f"`{level}` {statistics.median(row[level] for row in rows):.2f} s" for level in _LEVELS)
    yield f"Medians of {len(rows)} models: {medians}."
    for level in _LEVELS[1:]:
        added = statistics.median(row[level] - row["none"] for row in rows)
        ratio = statistics.median(row[level] / row["none"] for row in rows)
        yield f"`{level}` adds {added:.2f} s to `none`, and takes {ratio:.2f} times as much."
    more = statistics.median(row["full"] / row["replay"] for row in rows)
    beyond = statistics.median((row["full"] - row["none"]) / max(0.01, row["replay"] - row["none"]) for row in rows)
    yield f"`full` takes {more:.2f} times what `replay` takes, and {beyond:.2f} times without what `none` takes."
    yield ""


def main(arguments: Sequence[str]) -> int:
    """Prints the section."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.levels", description=__doc__)
    parser.add_argument("--models", type=pathlib.Path, default=_ROOT / "testdata" / "models")
    parser.add_argument("--every", type=int, default=1, help="take one model of so many")
    given = parser.parse_args(arguments)
    for line in section(given.models, given.every):
        print(line, flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
