"""Runs migrate on thousands of broken and hostile models, and writes docs/hostile.md.

    make hostile MUTANTS=10000    or    python -m tools.hostile --mutants=10000 --converts=500 docs/hostile.md

Mutants are made by `tools.mutants` of the models in testdata/ and, where it is set, MIGRATE_CORPUS. Each is audited in
a process of its own, which the kernel stops after 5 seconds of processor time or at 1 GB of memory, and its text and
JSON reports are written; an audit hook notes what is written anywhere else. Some of the mutants that audit would
convert are then converted and verified.
"""

from __future__ import annotations

import argparse
import collections
import concurrent.futures
import dataclasses
import os
import pathlib
import pickle
import resource
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Iterable, Sequence

import migrate
from migrate.children import Nursery
from migrate.fleet.jobs import convert_model
from migrate.fleet.study import audit_model
from migrate.records import Convertible, Crashed, Options, Outcome, Report, outcome_name
from migrate.report.json import to_json
from migrate.report.text import render
from tools.mutants import make_mutant, sources

MODELS = pathlib.Path(__file__).parent.parent / "testdata" / "models"
LARGEST_BYTES = 3_000_000
"""Larger seeds would spend the time on copying."""
SECONDS = 5
MEMORY_BYTES = 1 << 30
_WALL_SECONDS = 300  # A busy machine may give a process little of its time; the limit that counts is SECONDS.
_CONVERT_MEMORY_BYTES = 12 << 30  # TensorFlow reserves far more addresses than it uses.
_CONVERT_SECONDS = 60.0
_CHUNK = 50

_WRITING = ("os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.link", "os.symlink", "os.chmod", "os.truncate")


@dataclasses.dataclass(frozen=True)
class Ended:
    """How the audit of one mutant ended.

    Attributes:
      seed: makes the mutant again.
      source: the model that it is made of.
      group: what was done to it.
      outcome: the outcome's name; `died`, `traceback` or `wrote` where migrate has failed.
      detail: the traceback, the signal or the path.
      seconds: processor time.
      bytes: largest resident memory.
    """

    seed: int
    source: str
    group: str
    outcome: str
    detail: str
    seconds: float
    bytes: int


def audit_mutant(source: str, seed: int, scratch: str) -> Ended:
    """Makes a mutant below `scratch`, audits it in a fork of this process and tells how that ended."""
    model = os.path.join(scratch, f"mutant{seed}")
    answer = os.path.join(scratch, f"answer{seed}")
    group = make_mutant(source, model, seed)
    pid = os.fork()
    if not pid:
        os._exit(_audit(model, answer, os.path.join(scratch, f"report{seed}")))
    usage = _wait(pid)
    try:
        with open(answer, "rb") as stream:
            outcome, detail = pickle.load(stream)
    except (OSError, EOFError, pickle.UnpicklingError):
        outcome, detail = "died", usage[0]
    for path in (model, os.path.join(scratch, f"report{seed}")):
        shutil.rmtree(path, ignore_errors=True)
    if os.path.exists(answer):
        os.unlink(answer)
    return Ended(seed, source, group, outcome, detail, *usage[1:])


def _wait(pid: int) -> tuple[str, float, int]:
    """How a child ended in words, its processor seconds and its largest memory."""
    deadline = time.monotonic() + _WALL_SECONDS
    why = ""
    while True:
        done, status, usage = os.wait4(pid, os.WNOHANG)
        if done:
            break
        if time.monotonic() > deadline and not why:
            why = f"still there after {_WALL_SECONDS} s; "
            os.kill(pid, signal.SIGKILL)
        time.sleep(0.002)
    code = os.waitstatus_to_exitcode(status)
    ending = why + (signal.Signals(-code).name if code < 0 else f"exit code {code}")
    return ending, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024


def _audit(model: str, answer: str, reports: str) -> int:
    """In the fork."""
    resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS))
    # What the parent has mapped already is none of the audit's doing.
    with open("/proc/self/statm", encoding="ascii") as stream:
        limit = int(stream.read().split()[0]) * resource.getpagesize() + MEMORY_BYTES
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    written: list[str] = []
    sys.addaudithook(lambda event, arguments: _note(event, arguments, written))
    try:
        report = Report((audit_model(model, Options()),))
        to_json(report)
        render(report, 100)
        elsewhere = [path for path in written if not path.startswith(reports)]
        result = ("wrote", ", ".join(elsewhere)) if elsewhere else (outcome_name(report.models[0].outcome), "")
    except BaseException:
        result = ("traceback", traceback.format_exc())
    with open(answer, "wb") as stream:
        pickle.dump(result, stream)
    return 0


def _note(event: str, arguments: Sequence[object], written: list[str]) -> None:
    if event == "open":
        path, _, flags = arguments
        if isinstance(flags, int) and flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC):
            written.append(str(path))
    elif event in _WRITING:
        written.append(str(arguments[0]))
    elif event in ("subprocess.Popen", "os.system", "os.exec", "socket.connect"):
        written.append(f"{event} {arguments[0]}")


def _chunk(jobs: Sequence[tuple[str, int]]) -> list[Ended]:
    with tempfile.TemporaryDirectory(prefix="hostile-") as scratch:
        return [audit_mutant(source, seed, scratch) for source, seed in jobs]


def audit_all(mutants: int, first_seed: int, workers: int, seconds: float, roots: Sequence[str]) -> list[Ended]:
    """Audits mutants of the models below `roots`, seed by seed, until the time is up; the sources take turns."""
    deadline = time.monotonic() + seconds
    models = list(sources(*roots, largest_bytes=LARGEST_BYTES))
    jobs = [(models[seed % len(models)], seed) for seed in range(first_seed, first_seed + mutants)]
    chunks = [jobs[i : i + _CHUNK] for i in range(0, len(jobs), _CHUNK)]
    ended: list[Ended] = []
    # Processes, each of which forks: a mutant's death must cost nothing but itself.
    with concurrent.futures.ProcessPoolExecutor(workers) as pool:
        for number, results in enumerate(pool.map(_chunk, chunks)):
            ended += results
            print(f"\r{(number + 1) * _CHUNK} of {mutants} audited", end="", file=sys.stderr, flush=True)
            if time.monotonic() > deadline:
                pool.shutdown(cancel_futures=True)
                break
    print(file=sys.stderr)
    return ended


def convert_all(jobs: Iterable[Ended]) -> list[tuple[Ended, Outcome | str, float]]:
    """Converts mutants with verification; a string in an outcome's place is a failure of migrate."""
    resource.setrlimit(resource.RLIMIT_AS, (_CONVERT_MEMORY_BYTES, _CONVERT_MEMORY_BYTES))
    results = []
    options = Options(timeout_seconds=_CONVERT_SECONDS)
    with Nursery() as nursery:
        for number, job in enumerate(jobs):
            with tempfile.TemporaryDirectory(prefix="hostile-") as scratch:
                results.append((job, *_convert(job, scratch, options, nursery)))
            print(f"\r{number + 1} converted", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    return results


def _convert(job: Ended, scratch: str, options: Options, nursery: Nursery) -> tuple[Outcome | str, float]:
    model = os.path.join(scratch, "mutant")
    make_mutant(job.source, model, job.seed)
    before = _names(model)
    start = time.monotonic()
    outcome: Outcome | str
    try:
        outcome = convert_model(model, os.path.join(scratch, "new"), options, nursery, lambda _: None).outcome
    except BaseException:
        return traceback.format_exc(), time.monotonic() - start
    left = sorted(set(os.listdir(scratch)) - {"mutant", "new"})
    good = outcome_name(outcome) in ("converted", "unchanged")
    if left or good != os.path.exists(os.path.join(scratch, "new")) or _names(model) != before:
        outcome = f"{outcome}: left behind {left}, changed the source, or the destination is not as it says"
    return outcome, time.monotonic() - start


def _names(directory: str) -> list[tuple[str, float]]:
    return sorted((str(path), path.lstat().st_mtime) for path in pathlib.Path(directory).rglob("*"))


BAD = frozenset({"died", "traceback", "wrote"})


def main(argv: Sequence[str] | None = None) -> int:
    """Runs all and writes the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mutants", type=int, default=10_000)
    parser.add_argument("--converts", type=int, default=300, help="how many of those that audit would convert")
    parser.add_argument("--first_seed", type=int, default=0)
    parser.add_argument("--seconds", type=float, default=7200, help="audit no more mutants after this time")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    parser.add_argument("page", nargs="?", help="where the counts go; standard output without it")
    options = parser.parse_args(argv)
    roots = [str(MODELS), *filter(None, [os.environ.get("MIGRATE_CORPUS")])]
    start = time.monotonic()
    ended = audit_all(options.mutants, options.first_seed, options.workers, options.seconds, roots)
    audited = time.monotonic() - start
    convertible = [e for e in ended if e.outcome == outcome_name(Convertible())]
    step = max(1, len(convertible) // max(1, options.converts))
    converted = convert_all(convertible[::step][: options.converts])
    bad = [e for e in ended if e.outcome in BAD]
    crashed = [(job, outcome) for job, outcome, _ in converted if isinstance(outcome, str)]
    text = "\n".join(_page(ended, converted, audited, options.mutants, options.converts)) + "\n"
    if options.page:
        pathlib.Path(options.page).write_text(text, encoding="utf-8")
    else:
        print(text)
    for one in bad[:50]:
        print(f"\n{one.seed} {one.source} ({one.group}): {one.outcome}\n{one.detail}", file=sys.stderr)
    for job, outcome in crashed:
        print(f"\n{job.seed} {job.source} ({job.group}), converted: {outcome}", file=sys.stderr)
    return int(bool(bad or crashed))


def _page(
    ended: Sequence[Ended],
    converted: Sequence[tuple[Ended, Outcome | str, float]],
    audited_seconds: float,
    mutants: int,
    converts: int,
) -> Iterable[str]:
    yield "# Hostile models"
    yield ""
    yield "What migrate does with models that were broken at random or made to hurt (`tools/mutants.py`). Made by"
    yield ""
    yield f"    make hostile MUTANTS={mutants} CONVERTS={converts}"
    yield ""
    counts = collections.Counter(e.outcome for e in ended)
    died = sum(counts[name] for name in BAD)
    slowest = max(ended, key=lambda e: e.seconds)
    largest = max(ended, key=lambda e: e.bytes)
    yield (
        f"{len(ended):,} mutants of {len({e.source for e in ended})} models were audited, each in a process that the "
        f"kernel ends after {SECONDS} s of processor time or at {MEMORY_BYTES >> 20} MB of address space: {died} "
        f"crashed, hung, ran out of memory or wrote anywhere but to their report. The slowest took "
        f"{slowest.seconds:.2f} s, the largest {largest.bytes >> 20} MB; all of them {audited_seconds:.0f} s."
    )
    yield ""
    names = sorted(counts, key=lambda name: (-counts[name], name))
    yield "| what was done | mutants | " + " | ".join(name.replace("_", " ") for name in names) + " |"
    yield "|---|" + "---:|" * (len(names) + 1)
    for group in sorted({e.group for e in ended}):
        of_group = collections.Counter(e.outcome for e in ended if e.group == group)
        cells = " | ".join(str(of_group[name]) for name in names)
        yield f"| {group} | {sum(of_group.values())} | {cells} |"
    if not converted:
        return
    yield ""
    endings = collections.Counter(o if isinstance(o, str) else outcome_name(o) for _, o, _ in converted)
    told = ", ".join(f"{n} {name.replace('_', ' ')}" for name, n in endings.most_common())
    yield (
        f"Of the mutants that audit calls convertible, {len(converted)} were converted and verified, with TensorFlow "
        f"in child processes: {told}. Every one ended in a typed outcome, with the source untouched and the "
        "destination whole or absent."
    )
    crashes = collections.Counter(o.step for _, o, _ in converted if isinstance(o, Crashed))
    if crashes:
        yield ""
        steps = ", ".join(f"{n} in the step {step}" for step, n in sorted(crashes.items()))
        yield f"Crashed means that TensorFlow itself died on the graph, in its child process: {steps}."


if __name__ == "__main__":
    print(migrate.__file__, file=sys.stderr)
    sys.exit(main())
