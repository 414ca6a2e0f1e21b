"""Measures what one model costs and writes docs/scale.md, which computes what many need.

python -m benchmarks.scale
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence

from benchmarks.__main__ import ROOT, build, migrate

PAGE = os.path.join(ROOT, "docs", "scale.md")
_FEW, _MANY = 10, 50
_JOBS = 2
_SCALES = (10**3, 10**5, 10**7)
_CORES = 64
_GIGABYTES = 0.1
_HEAD = """# Scale

What 1e3, 1e5 and 1e7 models need, computed from what one costs. Made by `python -m benchmarks.scale`, which measured on
the machine at hand; run it on yours. A core-second is a second of one core, as the kernel counts it.

| what one model costs | measured | by |
|---|---|---|"""
_COMMANDS = """
1. `migrate convert TREE NEW --jobs={jobs} --noverify` for trees of {few} and {many} models, which
   `python -m benchmarks.models --many wide TREE COUNT` makes
2. `migrate convert MODEL NEW --noverify --checkpoint=copy` for 1 GB of weights, which
   `python -m benchmarks.models embedding MODEL 1000` makes

Computed for models of 100 MB, verified: cores x time = models x (core-seconds of a small model, verified + a tenth of
the core-seconds of a GB). A model whose own calls take long takes that longer. The new tree is counted as copied; where
blocks are shared (`--checkpoint=auto` on btrfs and XFS) or files linked (`--checkpoint=link`) it takes next to nothing.
"""
_ADVICE = """
- **1e3**: one machine, `migrate convert TREE NEW`.
- **1e5**: one large machine and one command, if its disks keep up. It holds the reports of all models until its
  end. Looking again at a finished tree takes {minutes:.0f} minutes. Several machines can take parts of the tree
  (`--include`), each into a new tree of its own: a new tree is one run's at a time.
- **1e7**: a pipeline: `migrate convert LIST.txt NEW --runner=DataflowRunner --beam_options='...'`, or in a pipeline of
  your own `migrate.fleet.beam.converted(tasks, tree, options)`, which keeps no report in memory: what became of a model
  is in its file in `NEW/.migrate/models/`. Each of a worker's processes imports TensorFlow once and needs the memory
  above, and scratch space for a model and its new one if they are on a remote file system."""
_MEMORY = """
import os, resource, sys
from migrate.fleet.journal import reports
def resident():
    return int(open("/proc/self/statm").read().split()[1]) * resource.getpagesize()
kept = [reports(sys.argv[1])]
before = resident()
kept += [reports(sys.argv[1]) for _ in range(20)]
print((resident() - before) / 20 / len(kept[0]))
"""


def _cost(command: Sequence[str]) -> tuple[float, float]:
    """Core-seconds of a command and of all that it started, and megabytes of the largest process among them.

    Core-seconds, and not seconds by the wall: a busy machine changes them least.
    """
    code = (
        "import json,resource,subprocess,sys;"
        "c=subprocess.run(sys.argv[1:],stdout=subprocess.DEVNULL,stderr=subprocess.PIPE);"
        "u=resource.getrusage(resource.RUSAGE_CHILDREN);"
        "sys.exit(c.stderr.decode()) if c.returncode else print(json.dumps([u.ru_utime+u.ru_stime,u.ru_maxrss/1024]))"
    )
    done = subprocess.run([sys.executable, "-c", code, *command], cwd=ROOT, stdout=subprocess.PIPE, check=True)
    seconds, megabytes = json.loads(done.stdout)
    return seconds, megabytes


def _slope(tree: str, new: str, *flags: str, again: bool = False) -> tuple[float, float]:
    """Core-seconds of start, and of a model, from a small and a large tree; `again` counts the second run."""
    seconds = {}
    for count in (_FEW, _MANY):
        shutil.rmtree(new, ignore_errors=True)
        command = migrate("convert", f"{tree}_{count}", new, f"--jobs={_JOBS}", *flags)
        seconds[count] = _cost(command)[0]
        if again:
            seconds[count] = min(_cost(command)[0] for _ in range(3))
    each = (seconds[_MANY] - seconds[_FEW]) / (_MANY - _FEW)
    return max(0.0, seconds[_FEW] - _FEW * each), each


def _lines(scratch: str) -> Iterator[str]:
    tree, new = os.path.join(scratch, "tree"), os.path.join(scratch, "new")
    for count in (_FEW, _MANY):
        command = [sys.executable, "-m", "benchmarks.models", "--many", "wide", f"{tree}_{count}", str(count)]
        subprocess.run(command, cwd=ROOT, check=True, stderr=subprocess.DEVNULL)
    start, core = _slope(tree, new, "--noverify")
    _, core_verified = _slope(tree, new, "--verify")
    _, skipped = _slope(tree, new, "--verify", again=True)
    line = os.path.getsize(os.path.join(new, ".migrate", "journal.jsonl")) / _MANY
    kept = float(
        subprocess.run([sys.executable, "-c", _MEMORY, new], cwd=ROOT, stdout=subprocess.PIPE, check=True).stdout
    )
    large = build("embedding", scratch, 1000)
    shutil.rmtree(new)
    with_weights, megabytes = _cost(migrate("convert", large, new, "--noverify", "--checkpoint=copy"))
    shutil.rmtree(new)
    one, _ = _cost(migrate("convert", os.path.join(f"{tree}_{_FEW}", "0"), new, "--noverify"))
    weights = with_weights - one
    size = sum(os.path.getsize(os.path.join(f, n)) for f, _, names in os.walk(f"{tree}_{_FEW}/0") for n in names) / 1e6

    yield _HEAD
    for what, value, how in (
        (f"core-seconds of a small model ({size:.1f} MB), not verified", f"{core:.2f}", "slope of [1]"),
        ("core-seconds of it, verified", f"{core_verified:.2f}", "slope of [1] with `--verify`"),
        ("core-seconds to start", f"{start:.1f}", "intercept of [1]"),
        ("core-seconds to see that a model is done already", f"{skipped:.4f}", "slope of [1], run again"),
        ("core-seconds of a GB of weights, copied and checked", f"{weights:.1f}", "[2], less a small model's"),
        ("MB of memory of the largest process", f"{megabytes:.0f}", "peak in [2]"),
        ("kB of journal", f"{line / 1e3:.1f}", "size of `NEW/.migrate/journal.jsonl` after [1]"),
        ("kB of memory in the command's own process", f"{kept / 1e3:.0f}", "of reading that journal"),
    ):
        yield f"| {what} | {value} | {how} |"
    yield _COMMANDS.format(jobs=_JOBS, few=_FEW, many=_MANY)
    yield f"| models | core-hours | {_CORES} cores take | cores for a day | new tree | journal | command's memory |"
    yield "|---|---|---|---|---|---|---|"
    for models in _SCALES:
        hours = models * (core_verified + _GIGABYTES * weights) / 3600
        yield (
            f"| {models:.0e} | {hours:,.1f} | {hours / _CORES:,.1f} h | {max(1, round(hours / 24)):,} "
            f"| {_bytes(models * _GIGABYTES * 1e9)} | {_bytes(models * line)} | {_bytes(models * kept)} |"
        )
    yield _ADVICE.format(minutes=10**5 * skipped / 60)


def _bytes(number: float) -> str:
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if number < 1000:
            return f"{number:.0f} {unit}"
        number /= 1000
    return f"{number:.0f} PB"


def main() -> int:
    """Measures and writes the page."""
    with tempfile.TemporaryDirectory(dir=os.environ.get("BENCH_TMP")) as scratch:
        text = "\n".join(_lines(scratch)) + "\n"
    with open(PAGE, "w", encoding="utf-8") as file:
        file.write(text)
    print(json.dumps({"written": PAGE}), file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
