"""Measures and writes docs/benchmarks.md: `python -m benchmarks [SECTION...]`, or `make bench` for all sections.

Every figure is a median of whole runs on the machine at hand, interleaved with what it is compared with. Sections:
convert, audit, latency, growth, fleet, verified, levels.
"""

from __future__ import annotations

import compileall
import json
import math
import os
import pathlib
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence

from benchmarks.levels import section

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
PAGE = os.path.join(ROOT, "docs", "benchmarks.md")
RUNS = 3
_MANY_RUNS = 9
PYTHON = sys.executable
_FLEET = 200
_NAIVE_MEGABYTES = 2000
"""The naive way holds the weights in memory twice and more."""
_SAMPLE = 10
_LOAD_SAVE = "import sys, tensorflow as tf; tf.saved_model.save(tf.saved_model.load(sys.argv[1]), sys.argv[2])"
IMPORT_SAVE = """
import os, sys, tensorflow as tf
graph_def = tf.compat.v1.GraphDef()
with open(os.path.join(sys.argv[1], "frozen.pb"), "rb") as file:
    graph_def.ParseFromString(file.read())
model = tf.Module()
model.f = tf.function(
    lambda x: {"y": tf.graph_util.import_graph_def(graph_def, {"x": x}, ["y:0"], name="")[0]},
    input_signature=[tf.TensorSpec([None, 1024], name="x")])
tf.saved_model.save(model, sys.argv[2], {"serving_default": model.f})
"""
IMPORT = [PYTHON, "-c", "import tensorflow"]


def run(command: Sequence[str], good: int = 0) -> tuple[float, float]:
    """Wall seconds and peak megabytes (the largest process of the family) of a command that must end with `good`."""
    # The peak of children is kept for ever, so each command is waited for by a process of its own.
    code = (
        "import json,resource,subprocess,sys,time;t=time.perf_counter();"
        "c=subprocess.run(sys.argv[2:],stdout=subprocess.DEVNULL,stderr=subprocess.PIPE);"
        "s=time.perf_counter()-t;"
        "sys.exit(c.stderr.decode()) if c.returncode!=int(sys.argv[1]) else "
        "print(json.dumps([s,resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss/1024]))"
    )
    done = subprocess.run([PYTHON, "-c", code, str(good), *command], cwd=ROOT, stdout=subprocess.PIPE, check=True)
    seconds, megabytes = json.loads(done.stdout)
    return seconds, megabytes


def migrate(*arguments: str) -> list[str]:
    """The program with arguments, as a command."""
    return [PYTHON, "-m", "migrate", *arguments]


def in_turn(
    commands: dict[str, tuple[Sequence[str], str | None]],
    runs: int = RUNS,
    before: Callable[[], None] = lambda: None,
    good: int = 0,
) -> dict[str, list[tuple[float, float]]]:
    """Seconds and megabytes of several commands, run in turn; each may name a directory to remove beforehand.

    `before` is called before each run, which must end with `good`.
    """
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in commands}
    for _ in range(runs):
        for name, (command, output) in commands.items():
            if output:
                shutil.rmtree(output, ignore_errors=True)
            before()
            found[name].append(run(command, good))
    return found


def median(rows: Sequence[tuple[float, float]]) -> tuple[float, float]:
    """Median seconds and megabytes."""
    return statistics.median(s for s, _ in rows), statistics.median(m for _, m in rows)


def beyond(rows: Sequence[tuple[float, float]], base: Sequence[tuple[float, float]]) -> tuple[float, float]:
    """Median of what each run took more than the run of `base` in the same round."""
    return median([(s - t, m - n) for (s, m), (t, n) in zip(rows, base, strict=True)])


def build(name: str, directory: str, size: int) -> str:
    """Makes a model of `benchmarks.models`, unless it is there; gives its directory."""
    path = os.path.join(directory, f"{name}_{size}")
    if os.path.exists(path):
        return path
    subprocess.run(
        [PYTHON, "-m", "benchmarks.models", name, path, str(size)], cwd=ROOT, check=True, stderr=subprocess.DEVNULL
    )
    return path


def convert(scratch: str) -> Iterator[str]:
    """Convert without verification, by size of the weights."""
    yield "## Converting, by size of the weights"
    yield ""
    yield "`python -m benchmarks convert`. Without verification; a model of embeddings. Seconds and peak megabytes"
    yield "are those beyond the bare `import tensorflow` of the same round; negative where the conversion, which"
    yield "imports what it needs and copies meanwhile, takes less. `cp -r` leaves its copy in the page cache, migrate"
    yield "flushes what it publishes: so does the second row, `cp -r` and then `sync` of each file. Before every run"
    yield "all is flushed, so that none pays for what another has left. The naive way: a v1 Session reads every"
    yield "weight, tf.Variables take them, `tf.saved_model.save` writes them. 8 GB are measured where the disk has"
    yield "room for them three times."
    yield ""
    yield "| weights | way | seconds | peak MB | seconds / cp -r | seconds / cp -r and sync |"
    yield "|---|---|---|---|---|---|"
    for size in (2, 200, 2000, 8000):
        if shutil.disk_usage(scratch).free < 3 * size << 20:
            continue
        source = build("embedding", scratch, size)
        new = os.path.join(scratch, "new")
        flushed = ["sh", "-c", 'cp -r "$0" "$1" && find "$1" -exec sync {} +', source, new]
        ways = {"import": (IMPORT, None), "cp -r": (["cp", "-r", source, new], new), "cp -r, sync": (flushed, new)}
        for mode in ("link", "auto", "copy"):
            ways[f"migrate --checkpoint={mode}"] = (
                migrate("convert", source, new, "--noverify", f"--checkpoint={mode}"),
                new,
            )
        # An import takes longer or shorter by more than a link takes; where runs are short there are more of them.
        found = in_turn(ways, _MANY_RUNS if size <= _NAIVE_MEGABYTES else RUNS, os.sync)
        base = found.pop("import")
        extra = {way: median(rows) if way.startswith("cp") else beyond(rows, base) for way, rows in found.items()}
        if size <= _NAIVE_MEGABYTES:
            naive = ([PYTHON, "-m", "benchmarks.naive", source, new], new)
            rows = in_turn({"import": (IMPORT, None), "naive": naive}, before=os.sync)
            extra["naive"] = beyond(rows["naive"], rows["import"])
        copied, durable = extra["cp -r"][0], extra["cp -r, sync"][0]
        for way, (seconds, megabytes) in extra.items():
            peak = "" if way.startswith("cp") else f"{megabytes:.0f}"
            yield f"| {size} MB | {way} | {seconds:.2f} | {peak} | {seconds / copied:.2f} | {seconds / durable:.2f} |"
        shutil.rmtree(source)
        shutil.rmtree(new, ignore_errors=True)
    yield ""


def audit(scratch: str) -> Iterator[str]:
    """Audit against saved_model_cli, and of a large tree."""
    source = build("lstm", scratch, 0)
    # Both as users start them.
    program, cli = (os.path.join(os.path.dirname(PYTHON), name) for name in ("migrate", "saved_model_cli"))
    found = in_turn(
        {
            "migrate audit": ([program, "audit", source], None),
            "saved_model_cli show --all": ([cli, "show", "--dir", source, "--all"], None),
            "migrate --help": ([program, "--help"], None),
        },
        runs=15,
    )
    own = median(found["migrate audit"])[0]
    yield "## Audit"
    yield ""
    yield "`python -m benchmarks audit`. Whole processes, in turn."
    yield ""
    yield "| command | seconds | of `migrate audit` |"
    yield "|---|---|---|"
    for name, rows in found.items():
        seconds, _ = median(rows)
        yield f"| {name} | {seconds:.3f} | {seconds / own:.1f} |"
    yield ""
    yield "`migrate audit TREE` of 1,000 models: copies of those in `testdata/models`, and copies of the model above."
    yield "Models a second after the start of the process, on one core, and its peak memory beside that of an audit of"
    yield "100 of them. How fast the core is changes while it is measured: the median, and the slowest and the quickest"
    yield f"of {_MANY_RUNS} runs."
    yield ""
    yield "| tree | models a second | slowest, quickest | MB, 1,000 models | MB, 100 models |"
    yield "|---|---|---|---|---|"
    bundled = os.path.join(ROOT, "testdata", "models")
    mixed = [os.path.join(bundled, name) for name in sorted(os.listdir(bundled))]
    for name, models in (("testdata/models", mixed), ("lstm", [source])):
        trees = {}
        for count in (100, 1000):
            trees[count] = os.path.join(scratch, f"{name.replace('/', '_')}_{count}")
            for number in range(count):
                shutil.copytree(
                    models[number % len(models)], os.path.join(trees[count], str(number // 100), str(number))
                )
        # Of the models in testdata some are refused on purpose.
        audits = {tree: ([program, "audit", tree], None) for tree in trees.values()}
        few, many = in_turn(audits, _MANY_RUNS, good=1 if models is mixed else 0).values()
        rates = sorted(900 / (b - a) for (a, _), (b, _) in zip(few, many, strict=True))
        yield (
            f"| {name} | {statistics.median(rates):.0f} | {rates[0]:.0f}, {rates[-1]:.0f} "
            f"| {median(many)[1]:.0f} | {median(few)[1]:.0f} |"
        )
    yield ""


def latency(scratch: str) -> Iterator[str]:
    """A converted model against its source, and against the same model written in TensorFlow 2."""
    yield "## Latency"
    yield ""
    yield "`python -m benchmarks latency`. One process, ways in turn; ratios are medians of rounds against the source"
    yield "in a v1 Session; in brackets, what a call takes more or less. *Native* is the same model written in"
    yield "TensorFlow 2, saved and loaded (`benchmarks/native.py`): what it takes is TensorFlow's own. A Session is"
    yield "given arrays, TensorFlow 2 tensors that are there already."
    yield ""
    yield "| model | batch | source, v1 Session | way | new / source | native / source | new / native |"
    yield "|---|---|---|---|---|---|---|"
    for name in ("image", "lstm", "wide", "embedding"):
        source = build(name, scratch, 200 if name == "embedding" else 0)
        new, native = source + "_new", source + "_native"
        run(migrate("convert", source, new, "--noverify"))
        run([PYTHON, "-m", "benchmarks.native", name, source, native])
        for batch in (1, 64):
            command = [PYTHON, "-m", "benchmarks.latency", source, new, native, name, str(batch)]
            done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True)
            found = json.loads(done.stdout)
            (base,) = found["source"].values()
            for way, ours in found["new"].items():
                theirs = found["native"][way]
                yield (
                    f"| {name} | {batch} | {base['seconds'] * 1e3:.2f} ms | {way} "
                    f"| {ours['of_source']:.2f} ({(ours['seconds'] - base['seconds']) * 1e3:+.2f} ms) "
                    f"| {theirs['of_source']:.2f} ({(theirs['seconds'] - base['seconds']) * 1e3:+.2f} ms) "
                    f"| {ours['of_native']:.2f} |"
                )
    yield ""


def growth(scratch: str) -> Iterator[str]:
    """Convert by number of nodes, variables and signatures, written by migrate and by TensorFlow's exporter."""
    yield "## Converting, by number of nodes, variables and signatures"
    yield ""
    yield "`python -m benchmarks growth`. Processor seconds of the export step, TensorFlow's import aside, and those of"
    yield "the same step where `tf.saved_model.save` writes the model, right after it. The exponents are the slopes of"
    yield "the last two points on logarithmic axes. Signatures are outputs of one trunk of 20 nodes."
    yield ""
    for name, model, counts in (
        ("nodes", "nodes", (1000, 10000, 100000, 300000)),
        ("variables", "variables", (100, 1000, 10000)),
        ("signatures", "heads", (6, 60, 240)),
    ):
        yield f"| {name} | seconds | of it saving | with `tf.saved_model.save` | of it saving | whole, ratio |"
        yield "|---|---|---|---|---|---|"
        points = []
        for count in counts:
            source = build(model, scratch, count)
            ours, theirs = (_steps(source, os.path.join(scratch, "new"), *more) for more in ((), ("tensorflow",)))
            points.append((count, ours["whole"], theirs["whole"]))
            cells = (f"{part[step]:.2f}" for part in (ours, theirs) for step in ("whole", "save"))
            yield f"| {count:,} | {' | '.join(cells)} | {theirs['whole'] / ours['whole']:.1f} |"
        (a, *first), (b, *second) = points[-2:]
        own, other = (math.log(y / x) / math.log(b / a) for x, y in zip(first, second, strict=True))
        yield ""
        yield f"Exponent by {name}: {own:.2f}; with `tf.saved_model.save` {other:.2f}."
        yield ""


def _steps(*arguments: str) -> dict[str, float]:
    """What `benchmarks.steps` prints."""
    command = [PYTHON, "-m", "benchmarks.steps", *arguments]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True)
    found: dict[str, float] = json.loads(done.stdout)
    return found


def fleet(scratch: str) -> Iterator[str]:
    """Many small models, on two workers, against a process a model."""
    tree, new = os.path.join(scratch, "small"), os.path.join(scratch, "new")
    subprocess.run(
        [PYTHON, "-m", "benchmarks.models", "--many", "wide", tree, str(_FLEET)],
        cwd=ROOT,
        check=True,
        stderr=subprocess.DEVNULL,
    )
    sample = [os.path.join(tree, str(number)) for number in range(_SAMPLE)]
    loops = {
        "a shell loop of `migrate convert MODEL NEW --noverify`": lambda m: migrate("convert", m, new, "--noverify"),
        "a shell loop of `migrate convert MODEL NEW`": lambda m: migrate("convert", m, new),
        "a shell loop of load + save (which loses the weights)": lambda m: [PYTHON, "-c", _LOAD_SAVE, m, new],
    }
    found: dict[str, list[float]] = {way: [] for way in loops}
    for model in sample:
        for way, command in loops.items():
            shutil.rmtree(new, ignore_errors=True)
            found[way].append(run(command(model))[0])
    rates = {}
    for flag in ("--noverify", "--verify"):
        shutil.rmtree(new, ignore_errors=True)
        seconds, _ = run(migrate("convert", tree, new, flag, "--jobs=2"))
        rates[f"`migrate convert TREE NEW --jobs=2 {flag}`"] = _FLEET * 60 / seconds
    again, _ = run(migrate("convert", tree, new, "--verify", "--jobs=2"))
    rates |= {way: 60 / statistics.mean(seconds) for way, seconds in found.items()}
    first = next(iter(rates.values()))
    yield f"## A tree of {_FLEET} small models"
    yield ""
    yield "`python -m benchmarks fleet`. Wide-and-deep models of 0.8 MB, no two with the same weights. A loop is"
    yield f"measured on {_SAMPLE} of them, in turn with the others."
    yield ""
    yield "| command | models a minute | of the first |"
    yield "|---|---|---|"
    for way, rate in rates.items():
        yield f"| {way} | {rate:.0f} | 1 / {first / rate:.1f} |"
    yield ""
    yield f"The same command again, with nothing to do: {again:.1f} s for {_FLEET} models."
    yield ""


def whole(command: Sequence[str]) -> dict[str, float]:
    """What a command and all that it starts take, see `benchmarks.tree`."""
    told = subprocess.run([PYTHON, "-m", "benchmarks.tree", *command], cwd=ROOT, stdout=subprocess.PIPE, check=True)
    found: dict[str, float] = json.loads(told.stdout)
    return found


def megabytes_of(directory: str) -> float:
    """Size of all files below a directory, in units of 2**20 bytes."""
    return sum(file.stat().st_size for file in pathlib.Path(directory).rglob("*") if file.is_file()) / (1 << 20)


def verified(scratch: str) -> Iterator[str]:
    """Verified conversions against the peers: frozen graphs, many signatures, Adam; memory of the whole tree."""
    yield "## Verified, with all processes"
    yield ""
    yield "`python -m benchmarks verified`. Whole commands, in turn: medians of the ratio to an import of TensorFlow in"
    yield f"the same round, and the smallest and the largest of {RUNS}; processor time and memory are those of all"
    yield "processes, pages that several share counted once. Memory beyond the import is given as a multiple of the"
    yield "model's size. `load + save` is TensorFlow's own way, which for a frozen graph is: import it, save it."
    yield ""
    yield "| model | way | seconds / import | processor / import | MB beyond the import / MB of the model |"
    yield "|---|---|---|---|---|"
    signature = "--signature=serving_default:inputs=x=x:0;outputs=y=y:0"
    new = os.path.join(scratch, "new")
    for name, size in (("frozen", 20), ("frozen", 164), ("heads", 60), ("adam", 300)):
        source = build(name, scratch, size)
        flags = [signature] if name == "frozen" else []
        megabytes = megabytes_of(source)
        peer = IMPORT_SAVE if name == "frozen" else _LOAD_SAVE
        ways = {
            "cp -r": ["cp", "-r", source, new],
            "load + save": [PYTHON, "-c", peer, source, new],
            "migrate --verify=none": migrate("convert", source, new, "--noverify", *flags),
            "migrate": migrate("convert", source, new, *flags),
        }
        if name == "frozen":
            ways["migrate --variables=large"] = migrate("convert", source, new, "--variables=large", *flags)
        rows: dict[str, list[tuple[float, float, float]]] = {way: [] for way in ways}
        for _ in range(RUNS):
            base = whole(IMPORT)
            for way, command in ways.items():
                shutil.rmtree(new, ignore_errors=True)
                found = whole(command)
                more = max(0.0, found["megabytes"] - base["megabytes"]) / megabytes
                ratios = (found[kind] / base[kind] for kind in ("seconds", "processor"))
                rows[way].append((*ratios, more))
        for way, values in rows.items():
            cells = [f"{statistics.median(v):.1f} ({min(v):.1f} to {max(v):.1f})" for v in zip(*values, strict=True)]
            memory = cells[2] if name == "frozen" else ""
            yield f"| {name} {size} | {way} | {cells[0]} | {cells[1]} | {memory} |"
        shutil.rmtree(new, ignore_errors=True)
    yield ""


def levels(scratch: str) -> Iterator[str]:
    """What verifying costs."""
    del scratch  # Each model has one of its own.
    yield from section(pathlib.Path(ROOT, "testdata", "models"), 4)


SECTIONS: dict[str, Callable[[str], Iterator[str]]] = {
    s.__name__: s for s in (audit, latency, fleet, convert, growth, verified, levels)
}


def main(names: Sequence[str]) -> int:
    """Measures the sections and writes the page, or prints the sections that were named."""
    lines = [
        "# Benchmarks",
        "",
        f"`make bench` on {platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}. Machines",
        "like this one are shared and noisy: ratios count, seconds do not travel.",
        "",
    ]
    # As pip does for what it installs: without its bytecode a start would compile the package anew each time.
    compileall.compile_dir(os.path.join(ROOT, "migrate"), quiet=1)
    with tempfile.TemporaryDirectory(dir=os.environ.get("BENCH_TMP")) as scratch:
        for name in names or SECTIONS:
            print(f"measuring: {name}", file=sys.stderr)
            lines += SECTIONS[name](scratch)
            if not names:  # After each section: a run that is broken off leaves what it has measured.
                with open(PAGE, "w", encoding="utf-8") as file:
                    file.write("\n".join(lines))
    if names:
        print("\n".join(lines))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
