"""Runs migrate on thousands of broken and hostile models of every form, and writes docs/hostile.md.

    make hostile MUTANTS=10000    or    python -m tools.hostile --mutants=10000 --converts=500 docs/hostile.md

Mutants are made by `tools.mutant_models` of the models in testdata/ and, where it is set, MIGRATE_CORPUS. Each is
audited in a fork of its own, which the kernel stops after 30 seconds of processor time or at 1 GB of memory, and its
reports are made; an audit hook notes what is written anywhere else, and what is opened of a directory beside the
mutant, to which it has links and paths. Some of the mutants that audit would convert are
then converted and verified. `--results=FILE` keeps what is known of each mutant, and the same command goes on there.
"""

from __future__ import annotations

import argparse
import collections
import concurrent.futures
import dataclasses
import json
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
import types
from collections.abc import Callable, Iterable, Sequence

import migrate
from migrate.errors import InputError
from migrate.graph.op_table import load_op_table
from migrate.model.jobs import convert_model
from migrate.model.messages import ConvertJob
from migrate.model.study import audit_model
from migrate.processes.nursery import Nursery
from migrate.records import Convertible, Crashed, Options, Outcome, Report, outcome_name
from migrate.report.files import write_files
from migrate.report.json import to_document, to_json
from migrate.report.text import render
from migrate.sources import discover, sniff
from migrate.sources.boundary import Boundary
from migrate.sources.discover import find_models
from tools.mutant_models import Model, choose, make_mutant, models, turns
from tools.outside import Outside, make_outside

ROOTS = tuple(str(pathlib.Path(__file__).parent.parent / "testdata" / name) for name in ("models", "forms", "keras"))
LARGEST_BYTES = 3_000_000
"""Larger seeds would spend the time on copying."""
_MUTANTS, _CONVERTS = 10_000, 300
"""Of a full run."""
SECONDS = 30
"""What an audit may take (migrate/sources/watch.py): mutants have some hundred nodes."""
MEMORY_BYTES = 1 << 30
_WALL_SECONDS = 300  # A busy machine may give a process little of its time; the limit that counts is SECONDS.
_CONVERT_MEMORY_BYTES = 12 << 30  # TensorFlow reserves far more addresses than it uses.
_CONVERT_SECONDS = 60.0
_CHUNK = 50
_WHOLE = 8
"""One of so many audits makes the files of a report, too, with all details."""

_WRITING = ("os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.link", "os.symlink", "os.chmod", "os.truncate")


@dataclasses.dataclass(frozen=True)
class Ended:
    """How the audit of one mutant ended.

    Attributes:
      seed: makes the mutant again, of the same models.
      source: the model that it is made of.
      form: of that model.
      group: what was done to it.
      outcome: the outcome's name; `no_model` or `several_models` where there is not one; `died`, `traceback`,
        `wrote`, `left` or `escaped` where migrate has failed.
      detail: the traceback, the signal or the paths.
      seconds: processor time.
      bytes: largest resident memory.
      searched: whether the search for models, which looks at what is in a tree whatever it is, went through a link.
    """

    seed: int
    source: str
    form: str
    group: str
    outcome: str
    detail: str
    seconds: float
    bytes: int
    searched: bool


def audit_mutant(model: Model, seed: int, scratch: str) -> Ended:
    """Makes a mutant below `scratch`, audits it in a fork of this process and tells how that ended."""
    place = os.path.join(scratch, f"mutant{seed}")
    answer = os.path.join(scratch, f"answer{seed}")
    temporary = os.path.join(scratch, f"temporary{seed}")
    os.mkdir(temporary)
    path, group, outside = _made(model, place, seed)
    reports = os.path.join(scratch, f"report{seed}")
    pid = os.fork()
    if not pid:
        os._exit(_audit(path, answer, reports, temporary, outside, whole=seed % _WHOLE == 0))
    usage = _wait(pid)
    try:
        with open(answer, "rb") as stream:
            outcome, detail, searched = pickle.load(stream)
        left = os.listdir(temporary)
        if left:
            outcome, detail = "left", ", ".join(left)
    except (OSError, EOFError, pickle.UnpicklingError):
        outcome, detail, searched = "died", usage[0], False
    touched = outside.touched(read=not searched)
    if touched:
        outcome, detail = "escaped", f"{', '.join(touched)} ({outcome} {detail})"
    outside.remove()
    for made in (place, temporary, reports):
        shutil.rmtree(made, ignore_errors=True)
    if os.path.exists(answer):
        os.unlink(answer)
    return Ended(seed, os.path.join(model.folder, model.path), model.form, group, outcome, detail, *usage[1:], searched)


def _made(model: Model, place: str, seed: int) -> tuple[str, str, Outside]:
    """A mutant's path, what was done to it, and what lies beside it."""
    outside = f"{place}.outside"
    make_outside(outside)
    path, group = make_mutant(model, place, seed, outside)
    return path, group, Outside(outside)


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


def _audit(path: str, answer: str, reports: str, temporary: str, outside: Outside, whole: bool) -> int:
    """In the fork."""
    resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS))
    # What the parent has mapped already is none of the audit's doing.
    with open("/proc/self/statm", encoding="ascii") as stream:
        limit = int(stream.read().split()[0]) * resource.getpagesize() + MEMORY_BYTES
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    tempfile.tempdir = temporary
    written: list[str] = []
    opened: list[str] = []
    searched: list[str] = []
    named: set[str] = set()
    sys.addaudithook(lambda event, arguments: _note(event, arguments, written))
    sys.addaudithook(lambda event, arguments: _note_opened(event, arguments, outside, opened, searched))
    try:
        report = _reported(path, reports, whole, named)
        elsewhere = [file for file in written if not file.startswith((reports, temporary))]
        outcome = outcome_name(report.models[0].outcome) if len(report.models) == 1 else "several_models"
        result = ("wrote", ", ".join(elsewhere)) if elsewhere else (outcome, "")
    except InputError:
        result = ("no_model", "")
    except BaseException:
        result = ("traceback", traceback.format_exc())
    # What a tree links to is named by the user, like the tree itself.
    escaped = [file for file in opened if not Boundary(tuple(named)).holds(os.path.realpath(file))]
    searched += opened
    if escaped:
        result = ("escaped", ", ".join(escaped))
    with open(answer, "wb") as stream:
        pickle.dump((*result, bool(searched)), stream)
    return 0


def _reported(path: str, reports: str, whole: bool, named: set[str]) -> Report:
    """What `migrate audit` does; with `whole` what it does with --report."""
    options = Options(details=whole)
    found = find_models(path)
    named.update(os.path.realpath(model) for model in found)
    report = Report(tuple(audit_model(model, options) for model in found))
    if whole:
        write_files(to_document(report), reports)
    to_json(report)
    render(report, 100)
    return report


def _note(event: str, arguments: Sequence[object], written: list[str]) -> None:
    if event == "open":
        path, _, flags = arguments
        if isinstance(flags, int) and flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC):
            # A descriptor, where a file that is open already becomes a stream.
            written.append(os.readlink(f"/proc/self/fd/{path}") if isinstance(path, int) else str(path))
    elif event in _WRITING:
        # The last arguments of these are directories that the paths may be relative to; -1 where there is none.
        path, folder = str(arguments[0]), arguments[-1]
        if isinstance(folder, int) and folder >= 0 and event not in ("os.truncate", "os.chmod"):
            path = os.path.join(os.readlink(f"/proc/self/fd/{folder}"), path)
        written.append(path)
    elif event in ("subprocess.Popen", "os.system", "os.exec", "socket.connect"):
        written.append(f"{event} {arguments[0]}")


def _note_opened(
    event: str, arguments: Sequence[object], outside: Outside, opened: list[str], searched: list[str]
) -> None:
    if event != "open" or not isinstance(arguments[0], (str, bytes)):
        return
    path = os.fsdecode(arguments[0])
    if outside.holds(path):
        (searched if _in_search() else opened).append(path)


def _in_search() -> bool:
    """Whether models are looked for, or what belongs to one: by the first bytes of whatever is in a tree."""
    frame: types.FrameType | None = sys._getframe()
    while frame is not None and frame.f_code.co_filename not in (discover.__file__, sniff.__file__):
        frame = frame.f_back
    return frame is not None


def _chunk(jobs: Sequence[tuple[Model, int]]) -> list[Ended]:
    with tempfile.TemporaryDirectory(prefix="hostile-") as scratch:
        return [audit_mutant(model, seed, scratch) for model, seed in jobs]


def audit_all(
    by_form: Sequence[Sequence[Model]], seeds: Sequence[int], workers: int, seconds: float, results: str | None
) -> list[Ended]:
    """Audits mutants, until the time is up.

    Args:
      by_form: the models to make them of, which take turns (`mutant_models.choose`).
      seeds: of the mutants.
      workers: processes that make mutants and fork for each.
      seconds: after these no more are begun.
      results: file with a line of JSON a mutant; what is in it is not done again, what is done is added.
    """
    deadline = time.monotonic() + seconds
    known = {e.seed: e for e in _known(results)}
    todo = [seed for seed in seeds if seed not in known]
    jobs = [(choose(by_form, seed), seed) for seed in todo]
    chunks = [jobs[i : i + _CHUNK] for i in range(0, len(jobs), _CHUNK)]
    ended = [known[seed] for seed in seeds if seed in known]
    load_op_table()  # Once, for all forks.
    # Processes, each of which forks: a mutant's death must cost nothing but itself.
    with concurrent.futures.ProcessPoolExecutor(workers) as pool:
        for done in pool.map(_chunk, chunks):
            ended += done
            if results is not None:
                with open(results, "a", encoding="utf-8") as stream:
                    stream.writelines(json.dumps(dataclasses.asdict(e)) + "\n" for e in done)
            print(f"\r{len(ended)} of {len(seeds)} audited", end="", file=sys.stderr, flush=True)
            if time.monotonic() > deadline:
                pool.shutdown(cancel_futures=True)
                break
    print(file=sys.stderr)
    return ended


def _known(results: str | None) -> list[Ended]:
    if results is None or not os.path.exists(results):
        return []
    with open(results, encoding="utf-8") as stream:
        return [Ended(**json.loads(line)) for line in stream if line.endswith("\n")]


def convert_all(by_form: Sequence[Sequence[Model]], jobs: Iterable[Ended]) -> list[tuple[Ended, Outcome | str, float]]:
    """Converts mutants with verification; a string in an outcome's place is a failure of migrate."""
    resource.setrlimit(resource.RLIMIT_AS, (_CONVERT_MEMORY_BYTES, _CONVERT_MEMORY_BYTES))
    results = []
    options = Options(timeout=_CONVERT_SECONDS)
    with Nursery() as nursery:
        for number, job in enumerate(jobs):
            with tempfile.TemporaryDirectory(prefix="hostile-") as scratch:
                model = choose(by_form, job.seed)
                results.append((job, *_convert(model, job, scratch, options, nursery)))
            print(f"\r{number + 1} converted", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    return results


def _convert(model: Model, job: Ended, scratch: str, options: Options, nursery: Nursery) -> tuple[Outcome | str, float]:
    place = os.path.join(scratch, "mutant")
    path, _, outside = _made(model, place, job.seed)
    before = _names(place)
    start = time.monotonic()
    outcome: Outcome | str
    try:
        (path,) = find_models(path)
        outcome = convert_model(
            ConvertJob(path, os.path.join(scratch, "new"), options), nursery, lambda _: None
        ).outcome
    except BaseException:
        return traceback.format_exc(), time.monotonic() - start
    left = sorted(set(os.listdir(scratch)) - {"mutant", "mutant.outside", "new"})
    touched = outside.touched(read=not job.searched)
    good = outcome_name(outcome) in ("converted", "unchanged")
    if left or good != os.path.exists(os.path.join(scratch, "new")) or _names(place) != before:
        outcome = f"{outcome}: left behind {left}, changed the source, or the destination is not as it says"
    if touched:
        outcome = f"{outcome}: escaped to {touched}"
    return outcome, time.monotonic() - start


def _names(directory: str) -> list[tuple[str, float]]:
    return sorted((str(path), path.lstat().st_mtime) for path in pathlib.Path(directory).rglob("*"))


BAD = frozenset({"died", "traceback", "wrote", "left", "escaped"})


def main(argv: Sequence[str] | None = None) -> int:
    """Runs all and writes the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mutants", type=int, default=_MUTANTS)
    parser.add_argument("--converts", type=int, default=_CONVERTS, help="how many of those that audit would convert")
    parser.add_argument("--first_seed", type=int, default=0)
    parser.add_argument("--seconds", type=float, default=7200, help="audit no more mutants after this time")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--results", help="file that keeps what is known of each mutant; a run goes on from it")
    parser.add_argument("--form", help="models of this form alone, as the page calls it")
    parser.add_argument("page", nargs="?", help="where the counts go; standard output without it")
    options = parser.parse_args(argv)
    roots = [*ROOTS, *filter(None, [os.environ.get("MIGRATE_CORPUS")])]
    every = models(*roots, largest_bytes=LARGEST_BYTES)
    by_form = turns(model for model in every if options.form in (None, model.form))
    if not by_form:
        parser.error(f"--form is one of {', '.join(sorted({model.form for model in every}))}")
    seeds = range(options.first_seed, options.first_seed + options.mutants)
    ended = audit_all(by_form, seeds, options.workers, options.seconds, options.results)
    convertible = [e for e in ended if e.outcome == outcome_name(Convertible())]
    step = max(1, len(convertible) // max(1, options.converts))
    converted = convert_all(by_form, convertible[::step][: options.converts])
    bad = [e for e in ended if e.outcome in BAD]
    crashed = [(job, outcome) for job, outcome, _ in converted if isinstance(outcome, str)]
    text = "\n".join(_page(ended, converted, options.mutants, options.first_seed, options.converts)) + "\n"
    if options.page:
        pathlib.Path(options.page).write_text(text, encoding="utf-8")
    else:
        print(text)
    for one in bad[:50]:
        print(f"\n{one.seed} {one.source} ({one.form}, {one.group}): {one.outcome}\n{one.detail}", file=sys.stderr)
    for job, outcome in crashed:
        print(f"\n{job.seed} {job.source} ({job.form}, {job.group}), converted: {outcome}", file=sys.stderr)
    return int(bool(bad or crashed))


def _page(
    ended: Sequence[Ended],
    converted: Sequence[tuple[Ended, Outcome | str, float]],
    mutants: int,
    first: int,
    converts: int,
) -> Iterable[str]:
    yield "# Hostile models"
    yield ""
    yield "What migrate does with models that were broken at random or made to hurt (`tools/mutant_models.py`). Made by"
    yield ""
    yield f"    python -m tools.hostile --mutants={mutants} --first_seed={first} --converts={converts} docs/hostile.md"
    yield ""
    if mutants < _MUTANTS or converts < _CONVERTS:
        yield f"which is less than the {_MUTANTS:,} mutants and {_CONVERTS} conversions of `make hostile`."
        yield ""
    counts = collections.Counter(e.outcome for e in ended)
    died = sum(counts[name] for name in BAD)
    slowest = max(ended, key=lambda e: e.seconds)
    largest = max(ended, key=lambda e: e.bytes)
    yield (
        f"{len(ended):,} mutants of {len({e.source for e in ended})} models were audited, each in a process that the "
        f"kernel ends after {SECONDS} s of processor time or at {MEMORY_BYTES >> 20} MB of address space: {died} "
        f"crashed, hung, ran out of memory, wrote anywhere but to their report, or opened or changed a file beside "
        f"the model, where their links and file names lead. (The search for models, which looks at the first bytes of "
        f"whatever is in a tree, looked through a link in {sum(e.searched for e in ended)} of them.) The slowest took "
        f"{slowest.seconds:.2f} s, the largest {largest.bytes >> 20} MB; all of them "
        f"{sum(e.seconds for e in ended):.0f} s of processor time. A mutant may be no model any more, or a directory "
        "with several; each form has its turn as often as the others, SavedModels three times as often."
    )
    yield ""
    names = sorted(counts, key=lambda name: (-counts[name], name))
    yield from _table("form", lambda e: e.form, ended, names)
    yield ""
    yield from _table("what was done", lambda e: e.group, ended, names)
    if not converted:
        return
    yield ""
    endings = collections.Counter("wrong" if isinstance(o, str) else outcome_name(o) for _, o, _ in converted)
    wrong = endings["wrong"]
    told = ", ".join(f"{n} {name.replace('_', ' ')}" for name, n in endings.most_common())
    yield (
        f"Of the mutants that audit calls convertible, {len(converted)} were converted and verified, with TensorFlow "
        f"in child processes: {told}. {'All' if not wrong else f'All but {wrong}'} ended in a typed outcome, with the "
        "source and what lies beside it untouched and the destination whole or absent."
    )
    crashes = collections.Counter(o.step for _, o, _ in converted if isinstance(o, Crashed))
    if crashes:
        yield ""
        steps = ", ".join(f"{n} in the step {step}" for step, n in sorted(crashes.items()))
        yield f"Crashed means that TensorFlow itself died on the graph, in its child process: {steps}."


def _table(head: str, key: Callable[[Ended], str], ended: Sequence[Ended], names: Sequence[str]) -> Iterable[str]:
    yield f"| {head} | mutants | " + " | ".join(name.replace("_", " ") for name in names) + " |"
    yield "|---|" + "---:|" * (len(names) + 1)
    for group in sorted({key(e) for e in ended}):
        of_group = collections.Counter(e.outcome for e in ended if key(e) == group)
        cells = " | ".join(str(of_group[name]) for name in names)
        yield f"| {group} | {sum(of_group.values())} | {cells} |"


if __name__ == "__main__":
    print(migrate.__file__, file=sys.stderr)
    sys.exit(main())
