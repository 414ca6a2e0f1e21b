"""Compares `migrate audit --security` with two other scanners on the same models, and writes the tables of a page.

    MIGRATE_CORPUS=DIR python -m tools.compare_scanners --modelscan=SITE docs/security.md

SITE is a directory into which modelscan was installed, such as the `site-packages` of an environment of its own
(`pip install modelscan`); TensorFlow comes from the environment that this runs in. Each scanner runs its own code:
`scan_meta_graph_def` of `saved_model_cli`, `ModelScan.scan` of modelscan, and the program `migrate`.
"""

from __future__ import annotations

import argparse
import collections
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from migrate.frozen import frozen
from migrate.graph.protos import MetaGraphDef
from migrate.report.security import dangers
from tests import attacks

ROOT = pathlib.Path(__file__).resolve().parent.parent
TESTDATA = ROOT / "testdata"
VICTIM = TESTDATA / "models" / "vocabulary"
BEGIN, END = "<!-- made by tools/compare_scanners.py -->", "<!-- end -->"
SCANNERS = ("`saved_model_cli scan`", "modelscan", "`migrate audit --security`")
_OUTSIDE = "/elsewhere/file"
_COMMAND = "MIGRATE_CORPUS=DIR python -m tools.compare_scanners --modelscan=SITE docs/security.md"
_OUTPUT, _TOKENS = "embedding_lookup/Identity", "tokens"

_OTHERS = """
import contextlib, io, json, sys
sys.path.append(sys.argv[1])
from importlib.metadata import version
from tensorflow.python.tools import saved_model_cli, saved_model_utils
from modelscan.modelscan import ModelScan

def by_saved_model_cli(path):
    out = io.StringIO()
    try:
        with contextlib.redirect_stdout(out):
            for meta_graph in saved_model_utils.read_saved_model(path).meta_graphs:
                saved_model_cli.scan_meta_graph_def(meta_graph, saved_model_cli._OP_DENYLIST)
    except Exception:
        return None
    lines = [line for line in out.getvalue().splitlines() if "contains the following denylisted ops" in line]
    return sorted({op for line in lines for op in saved_model_cli._OP_DENYLIST if repr(op) in line})

def by_modelscan(path):
    with contextlib.redirect_stdout(sys.stderr):
        scan = ModelScan()
        scan.scan(path)
    if scan._init_errors:
        sys.exit(str(scan._init_errors[0]))
    if scan._errors or not scan._scanned:
        return None
    return sorted({issue.details.operator for issue in scan._issues.all_issues})

found = [[by_saved_model_cli(path), by_modelscan(path)] for path in json.load(sys.stdin)]
import tensorflow
print(json.dumps({"versions": [tensorflow.__version__, version("modelscan")], "found": found}))
"""


@frozen
class Scanned:
    """What one scanner says of one model.

    Attributes:
      read: whether it has read the model.
      ops: what it reports: ops, or what else is dangerous.
    """

    read: bool
    ops: tuple[str, ...] = ()


def saved_models(root: pathlib.Path) -> list[str]:
    """The directories of all SavedModels below one."""
    files = (file for name in ("saved_model.pb", "saved_model.pbtxt") for file in root.rglob(name))
    return sorted({str(file.parent) for file in files})


def by_migrate(paths: Sequence[str]) -> list[Scanned]:
    """What `migrate audit --security` says of models."""
    command = [sys.executable, "-m", "migrate", "audit", "--security", "--format=json", *paths]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
    models = json.loads(done.stdout)["models"]
    if len(models) != len(paths):
        raise ValueError(f"{len(models)} rows for {len(paths)} models: {done.stderr}")
    return [_scanned(model) for model in models]


def _scanned(model: Mapping[str, Any]) -> Scanned:
    told = tuple(dict.fromkeys(danger.what for danger in dangers(model) if danger.counts))
    return Scanned(model["outcome"] != "unreadable", told)


def by_others(paths: Sequence[str], site: str) -> tuple[list[str], list[tuple[Scanned, Scanned]]]:
    """The versions of TensorFlow and modelscan, and what their scanners say of models."""
    environment = {**os.environ, "CUDA_VISIBLE_DEVICES": "-1", "TF_CPP_MIN_LOG_LEVEL": "3"}
    command = [sys.executable, "-c", _OTHERS, site]
    done = subprocess.run(
        command, input=json.dumps(paths), stdout=subprocess.PIPE, text=True, env=environment, check=True
    )
    document = json.loads(done.stdout.splitlines()[-1])
    pairs = [tuple(Scanned(o is not None, tuple(o or ())) for o in found) for found in document["found"]]
    return document["versions"], pairs


# Attacks that are not in the tests' list: what a call runs.


def _called(graph: MetaGraphDef, op: str) -> None:
    graph.graph_def.node.add(name="evil", op=op)
    attacks.node(graph, _OUTPUT).input.append("^evil")


def call_writes(graph: MetaGraphDef, outside: str) -> str:
    """WriteFile in the main graph."""
    del outside
    _called(graph, "WriteFile")
    return "evil"


def call_writes_in_a_function(graph: MetaGraphDef, outside: str) -> str:
    """WriteFile in a function that a function attribute of a function attribute names."""
    del outside
    library = graph.graph_def.library
    inner = library.function.add()
    inner.signature.name = "inner"
    inner.node_def.add(name="write", op="WriteFile")
    library.function.add().signature.name = "outer"
    _called(graph, "StatefulPartitionedCall")
    function = attacks.node(graph, "evil").attr["f"].func
    function.name = "outer"
    function.attr["g"].func.name = "inner"
    return "inner/write"


def call_writes_through_a_debug_op(graph: MetaGraphDef, outside: str) -> str:
    """DebugIdentity with a file's address."""
    _called(graph, "DebugIdentity")
    evil = attacks.node(graph, "evil")
    evil.input.append(_TOKENS)
    evil.attr["debug_urls"].list.s.append(f"FILE://{outside}".encode())
    return "evil"


def call_connects_through_a_debug_op(graph: MetaGraphDef, outside: str) -> str:
    """DebugIdentity with another machine's address."""
    call_writes_through_a_debug_op(graph, outside)
    attacks.node(graph, "evil").attr["debug_urls"].list.s[0] = b"grpc://elsewhere:80"
    return "evil"


def call_prints_into_a_file(graph: MetaGraphDef, outside: str) -> str:
    """PrintV2 with a file's address."""
    _called(graph, "PrintV2")
    attacks.node(graph, "evil").attr["output_stream"].s = f"file://{outside}".encode()
    return "evil"


def call_runs_python(graph: MetaGraphDef, outside: str) -> str:
    """PyFunc."""
    del outside
    _called(graph, "PyFunc")
    return "evil"


def call_caches_a_dataset(graph: MetaGraphDef, outside: str) -> str:
    """CacheDataset, which writes its elements to a file."""
    del outside
    _called(graph, "CacheDataset")
    return "evil"


def nothing_runs_it(graph: MetaGraphDef, outside: str) -> str:
    """WriteFile in the main graph, which no signature needs."""
    del outside
    graph.graph_def.node.add(name="evil", op="WriteFile")
    return "evil"


HERE: tuple[attacks.Attack, ...] = (
    call_writes,
    call_writes_in_a_function,
    call_writes_through_a_debug_op,
    call_connects_through_a_debug_op,
    call_prints_into_a_file,
    call_runs_python,
    call_caches_a_dataset,
    nothing_runs_it,
)
ATTACKS: tuple[attacks.Attack, ...] = (*attacks.LOADING, *attacks.IMPORT, *attacks.CALLS, *HERE)


def make_attacks(root: pathlib.Path, chosen: Iterable[attacks.Attack] = ATTACKS) -> list[str]:
    """Makes a SavedModel for each attack; gives their directories."""
    made = []
    for attack in chosen:
        shutil.copytree(VICTIM, root / attack.__name__)
        attacks.attack_on_disk(attack, root / attack.__name__, _OUTSIDE)
        made.append(str(root / attack.__name__))
    return made


# Tables


def count_row(name: str, scanned: Sequence[Sequence[Scanned]]) -> str:
    """The row of a set of models: of how many each scanner reports something.

    Args:
      name: of the set.
      scanned: for each scanner what it says of each model.
    """
    return f"| {name} | {len(scanned[-1])} | {' | '.join(map(_counts, scanned))} |"


def _counts(models: Sequence[Scanned]) -> str:
    reported, unread = sum(bool(model.ops) for model in models), sum(not model.read for model in models)
    return f"{reported}{f' ({unread} not read)' if unread else ''}"


def attack_row(name: str, scanned: Sequence[Scanned]) -> str:
    """The row of an attack: what each scanner reports of it."""
    return f"| {name.replace('_', ' ')} | {' | '.join(map(told, scanned))} |"


def told(scanned: Scanned) -> str:
    """What a scanner reports, in a cell; of a node its last name, which in these models is its op's."""
    names = dict.fromkeys(what.rpartition("/")[2] for what in scanned.ops)
    return ", ".join(f"`{name}`" for name in names) or ("nothing" if scanned.read else "not read")


def _by_op(columns: Sequence[Sequence[Scanned]]) -> Iterator[str]:
    counts = [collections.Counter(op for model in column for op in model.ops) for column in columns]
    alike: dict[tuple[int, ...], list[str]] = {}
    for op in sorted({op for count in counts for op in count}):
        alike.setdefault(tuple(count[op] for count in counts), []).append(f"`{op}`")
    for numbers in sorted(alike, reverse=True):
        yield f"| {', '.join(alike[numbers])} | {' | '.join(map(str, numbers))} |"


def tables(
    sets: Mapping[str, Sequence[Sequence[Scanned]]], names: Sequence[str], versions: Sequence[str]
) -> Iterator[str]:
    """The lines of the page between its marks.

    Args:
      sets: for each set, for each scanner, what it says of each model; the last set is that of the attacks.
      names: of the attacks.
      versions: of TensorFlow and modelscan.
    """
    yield f"Made by `{_COMMAND}` with TensorFlow {versions[0]} and modelscan {versions[1]}."
    yield "Number of models in which a scanner reports something:"
    yield ""
    yield f"| models | number | {' | '.join(SCANNERS)} |"
    yield "|---|---|---|---|---|"
    yield from (count_row(name, columns) for name, columns in sets.items())
    yield ""
    yield "What is reported in the models that are not attacks, and in how many of them each:"
    yield ""
    yield f"| reported | {' | '.join(SCANNERS)} |"
    yield "|---|---|---|---|"
    *ordinary, hostile = sets.values()
    yield from _by_op([[model for columns in ordinary for model in columns[i]] for i in range(len(SCANNERS))])
    yield ""
    yield "What is reported of each attack:"
    yield ""
    yield f"| attack | {' | '.join(SCANNERS)} |"
    yield "|---|---|---|---|"
    yield from (attack_row(name, found) for name, *found in zip(names, *hostile, strict=True))


def compare(site: str, corpus: str | None) -> list[str]:
    """Scans everything with each scanner; gives the lines of the tables."""
    with tempfile.TemporaryDirectory() as folder:
        paths = {"SavedModels of `testdata/`": saved_models(TESTDATA)}
        if corpus:
            paths["SavedModels of public projects (`MIGRATE_CORPUS`)"] = saved_models(pathlib.Path(corpus))
        paths["attacks"] = make_attacks(pathlib.Path(folder))
        everything = [path for found in paths.values() for path in found]
        versions, others = by_others(everything, site)
        ours = by_migrate(everything)
    found = iter([(*theirs, own) for theirs, own in zip(others, ours, strict=True)])
    sets = {name: list(zip(*(next(found) for _ in own), strict=True)) for name, own in paths.items()}
    return list(tables(sets, [attack.__name__ for attack in ATTACKS], versions))


def between(text: str, lines: Iterable[str]) -> str:
    """A page's text with other lines between its marks."""
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError("the page has no marks for the tables")
    return "\n".join([before + BEGIN, *lines, END + after])


def main(arguments: Sequence[str] | None = None) -> None:
    """See the module."""
    parser = argparse.ArgumentParser(description="Compares scanners of SavedModels.")
    parser.add_argument("--modelscan", required=True, metavar="SITE", help="where modelscan is installed")
    parser.add_argument("page", type=pathlib.Path)
    given = parser.parse_args(arguments)
    lines = compare(given.modelscan, os.environ.get("MIGRATE_CORPUS"))
    given.page.write_text(between(given.page.read_text(encoding="utf-8"), lines), encoding="utf-8")


if __name__ == "__main__":
    main()
