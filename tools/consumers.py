"""Gives models to what else takes a SavedModel: the source, and the new model with both forms of control flow.

    python -m tools.consumers [--onnx=SITE] [--found=FILE] PAGE PATH...

A PATH is a model, or a tree of models. The tables of the page are written after each model. SITE is a directory into
which tf2onnx was installed beside this environment (`pip install --no-deps --target=SITE tf2onnx onnx onnxruntime
ml_dtypes`); without it that column says that it was not asked. What is in FILE is not asked again: a run that was
stopped goes on. Each consumer runs in a process of its own, since some end theirs.
"""

from __future__ import annotations

import argparse
import base64
import contextlib
import hashlib
import json
import os
import pathlib
import pickle
import re
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

import migrate
from migrate.frozen import frozen
from migrate.graph.protos import SavedModel
from migrate.processes.nursery import Nursery
from migrate.records import Converted, Options, outcome_name
from migrate.sources.discover import find_models
from migrate.verify.golden import load_golden
from tools.consumer_jobs import CONSUMERS, Arrays, Job

BEGIN, END = "<!-- made by tools/consumers.py -->", "<!-- end -->"
FORMS = ("source", "v1", "functional")
SECONDS = 120.0
"""How long a consumer may take."""
_MEMORY = 8 << 30
_LONGEST = 160
_ROOT = pathlib.Path(__file__).resolve().parent.parent
_V1 = frozenset({"Switch", "RefSwitch", "Enter", "RefEnter"})
_V2 = frozenset({"Case", "If", "StatelessCase", "StatelessIf", "StatelessWhile", "While"})
_NUMBER = re.compile(r"(?<=_)([0-9a-f]{16}|[0-9]{8,})\b")
_GOOD = ("yes", "made", "flex")


@frozen
class Row:
    """What became of one model.

    Attributes:
      tree: the name of the tree that it is of.
      model: its name.
      flow: `v1`, `functional` or empty: the control flow of the source.
      said: what came of each consumer, by form and column; empty for a model that is not converted.
      ended: how its conversion ended.
    """

    tree: str
    model: str
    flow: str
    said: Mapping[str, Mapping[str, str]]
    ended: str


def ask_all(path: str, tree: str, name: str, site: str, nursery: Nursery) -> Row:
    """Converts a model in both forms, and has each consumer take them and the source."""
    with tempfile.TemporaryDirectory() as directory:
        new = {form: os.path.join(directory, form) for form in FORMS[1:]}
        for form, place in new.items():
            (report,) = migrate.convert(
                path, place, Options(control_flow=form, verify="none", take_proposals=True)
            ).models
            if not isinstance(report.outcome, Converted):
                return Row(tree, name, "", {}, outcome_name(report.outcome))
        file = os.path.join(directory, "calls")
        graphs = {form: _read(place) for form, place in new.items()}
        tags = tuple(graphs["v1"].meta_graphs[0].meta_info_def.tags)
        for key, calls in _made_up(path, directory):
            with open(file, "wb") as stream:
                pickle.dump([(call, {}) for call in calls], stream)
            if _ask(nursery, Job("answers", new["v1"], tags, key, file)) == "yes":
                break
        else:
            return Row(tree, name, "", {}, "converted, and no call that is made up has an answer")
        flow = _flow(graphs["v1"])
        said: dict[str, dict[str, str]] = {}
        for form, place in {"source": path, **new}.items():
            if form == "source" and not os.path.isfile(os.path.join(path, "saved_model.pb")):
                said[form] = dict.fromkeys(CONSUMERS, "not a SavedModel")
            elif form == "functional" and _same(*graphs.values()):
                said[form] = said["v1"]
            else:
                said[form] = {
                    consumer: _named(_ask(nursery, Job(consumer, place, tags, key, file, site)), directory, path)
                    for consumer in CONSUMERS
                }
    return Row(tree, name, flow, said, "converted")


def _ask(nursery: Nursery, job: Job) -> str:
    found = nursery.run(job.consumer, "tools.consumer_jobs", job, str, SECONDS)
    return found if isinstance(found, str) else f"the process {outcome_name(found)}".replace("_", " ")


def _read(path: str) -> SavedModel:
    with open(os.path.join(path, "saved_model.pb"), "rb") as file:
        return SavedModel.FromString(file.read())


def _same(one: SavedModel, other: SavedModel) -> bool:
    """Whether two graphs are the same but for the numbers in the names of functions and handles, which are drawn."""
    first, second = (_NUMBER.sub("", str(model.meta_graphs[0].graph_def)) for model in (one, other))
    return first == second


def _flow(model: SavedModel) -> str:
    """What control flow the new model has that keeps the source's."""
    graph = model.meta_graphs[0].graph_def
    ops = {node.op for part in (graph.node, *(f.node_def for f in graph.library.function)) for node in part}
    return "v1" if ops & _V1 else "functional" if ops & _V2 else ""


def _made_up(path: str, directory: str) -> Iterator[tuple[str, list[Arrays]]]:
    """Calls of one signature of a model: of `migrate inputs`, then those that `migrate record` finds answers to."""
    options = Options(take_proposals=True)
    template = json.loads(migrate.inputs(path, options))
    asked = min(template, key=lambda call: (call["signature"] != "serving_default", call["signature"]))
    call = dict(part for key, value in asked["inputs"].items() for part in _parts(key, value, asked["specs"][key]))
    other = {key: _turned(value) for key, value in call.items()}
    differs = any(not np.array_equal(other[key], value) for key, value in call.items())
    yield asked["signature"], [call, other] if differs else [call]
    file = os.path.join(directory, "golden.npz")
    with contextlib.suppress(migrate.InputError):
        migrate.record(path, file, options)
        found = [one.inputs for one in load_golden(file).calls if one.signature == asked["signature"]]
        # Each is there twice, and the first ones are the plainest.
        yield asked["signature"], found[:4:2]


def _parts(name: str, value: Any, spec: Mapping[str, Any]) -> Iterator[tuple[str, np.ndarray]]:
    """An input as arrays: a sparse one is three, named as TensorFlow names them."""
    if not (isinstance(value, dict) and "indices" in value):
        yield name, _array(value, spec["dtype"])
        return
    for end, dtype in (("indices", "int64"), ("values", spec["dtype"]), ("dense_shape", "int64")):
        yield f"{name}_{end}", _array(value[end], dtype)


def _array(value: Any, dtype: str) -> np.ndarray:
    if isinstance(value, dict) and "fill" in value:
        return np.broadcast_to(_array(value["fill"], dtype), value["shape"]).copy()
    return np.array(_plain(value), object if dtype == "string" else np.dtype(dtype))


def _plain(value: Any) -> Any:
    if isinstance(value, list):
        return [_plain(one) for one in value]
    if isinstance(value, dict):
        return base64.b64decode(value["b64"])
    return value.encode() if isinstance(value, str) else value


def _turned(value: np.ndarray) -> np.ndarray:
    if value.dtype == bool:
        return np.asarray(~value)
    return np.asarray(-value) if value.dtype.kind == "f" else value


def _named(said: str, *paths: str) -> str:
    for path in paths:
        said = said.replace(path, "...")
    return said


def _short(said: str) -> str:
    """A reason for the page: without what differs from run to run, so that equal reasons are equal."""
    for beginning, end in _NAMES.items():
        said = re.sub(beginning, end, said)
    said = " ".join(said.split())
    return said if len(said) <= _LONGEST else f"{said[: _LONGEST - 3].rstrip()}..."


_NAMES = {
    r" (The op is created at|tf2xla conversion failed|<unknown>:0: note:|see current operation|See https?:).*": "",
    r"Detected unsupported operations when trying to compile graph \S+ on XLA_CPU_JIT: ": "XLA has no ",
    r" \(No registered .*": "",
    r"Failed to convert SavedModel to StableHLO: ": "",
    r"Could not translate MLIR to FlatBuffer\.": "",
    r"<unknown>:0: error: loc\(.*?\)+: ": "",
    r"\{\{(function_)?node [^}]*\}\}": "",
    r"__inference_[\w<>]+": "...",
    r"/[\w./-]+/": "",
    r"\d{5,}": "N",
}
"""What is left out of an error, as patterns with what is put in their place, in this order."""


def page_part(rows: Sequence[Row]) -> str:
    """The part of the page that is made."""
    reasons: dict[str, int] = {}
    asked = [row for row in rows if row.said]
    parts = [BEGIN, "", "## How many", "", *_counts(asked)]
    for tree in dict.fromkeys(row.tree for row in asked):
        for title, flows in (("with loops or conds", ("v1", "functional")), ("without", ("",))):
            of_tree = sorted((r for r in asked if r.tree == tree and r.flow in flows), key=lambda row: row.model)
            if of_tree:
                parts += ["", f"## {tree}, {title}", "", *_table(of_tree, reasons)]
    parts += ["", "## Reasons", ""]
    parts += [f"{number}. {_safe(reason)}" for reason, number in reasons.items()]
    left = sorted((row.ended.replace("_", " "), f"{row.tree}/{row.model}") for row in rows if not row.said)
    if left:
        parts += ["", "## Not asked", ""]
        by_end: dict[str, list[str]] = {}
        for ended, name in left:
            by_end.setdefault(ended, []).append(name)
        parts += [f"- {ended}: {', '.join(names)}" for ended, names in by_end.items()]
    return "\n".join([*parts, END])


def _counts(asked: Sequence[Row]) -> Iterable[str]:
    yield f"| models | form | {' | '.join(CONSUMERS)} |"
    yield "|---|---|" + "---|" * len(CONSUMERS)
    kinds = {
        "v1 loops or conds": lambda row: row.flow == "v1",
        "functional ones in the source": lambda row: row.flow == "functional",
        "neither": lambda row: not row.flow,
    }
    for kind, is_it in kinds.items():
        of_kind = [row for row in asked if is_it(row)]
        for form in FORMS if of_kind else ():
            counts = (sum(row.said[form][column] in _GOOD for row in of_kind) for column in CONSUMERS)
            yield f"| {len(of_kind)} with {kind} | {form} | {' | '.join(map(str, counts))} |"


def _table(rows: Sequence[Row], reasons: dict[str, int]) -> Iterable[str]:
    yield f"| model | {' | '.join(CONSUMERS)} |"
    yield "|---|" + "---|" * len(CONSUMERS)
    for row in rows:
        cells = (" / ".join(_mark(row.said[form][column], reasons) for form in FORMS) for column in CONSUMERS)
        yield f"| {row.model} | {' | '.join(cells)} |"


def _mark(said: str, reasons: dict[str, int]) -> str:
    if said in (*_GOOD, "mixed"):
        return said
    if said in _NOTHING:
        return "-"
    return f"no ({reasons.setdefault(_short(said), len(reasons) + 1)})"


_NOTHING = ("no trainable variable", "no float output", "not a SavedModel", "not asked")


def _safe(text: str) -> str:
    return text.replace("|", "/").replace("<", "(").replace(">", ")").replace("*", "\\*").replace("_", "\\_")


def _known(path: str, digest: str) -> list[Row]:
    if not path or not os.path.isfile(path):
        return []
    with open(path, encoding="utf-8") as file:
        found = [json.loads(line) for line in file]
    return [Row(**one["row"]) for one in found if one["digest"] == digest]


def _digest() -> str:
    """Of what asks: rows of another program are not taken over."""
    return hashlib.sha256((_ROOT / "tools" / "consumer_jobs.py").read_bytes()).hexdigest()[:16]


def _in_order(paths: Iterable[str]) -> list[tuple[str, str, str]]:
    """Each model with the names of its tree and of itself: those with loops first, then those with conds."""
    found = []
    for given in paths:
        for path in find_models(given):
            tree = os.path.abspath(given if path != given else os.path.dirname(given))
            inside = os.path.relpath(tree, _ROOT)
            named = os.path.basename(tree) if inside.startswith(os.pardir) else inside
            found.append((path, named, os.path.relpath(path, tree)))
    return sorted(found, key=lambda one: (_hint(one[0]), one[1:]))


def _hint(path: str) -> int:
    """0 if a model's graphs seem to have a loop, 1 for a cond, else 2: names of ops are looked for in the bytes."""
    files = pathlib.Path(path).glob("**/*") if os.path.isdir(path) else pathlib.Path(os.path.dirname(path)).glob("*")
    graphs = [file.read_bytes() for file in files if file.suffix in (".pb", ".pbtxt", ".meta") and file.is_file()]
    return next((n for n, ops in enumerate(_OPS) if any(op in graph for op in ops for graph in graphs)), len(_OPS))


_OPS = ((b"NextIteration", b"While"), (b"Switch", b"StatelessIf"))


def main(arguments: Sequence[str] | None = None) -> int:
    """Writes the part of the page between its marks anew."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--onnx", default="")
    parser.add_argument("--found", default="")
    parser.add_argument("page", type=pathlib.Path)
    parser.add_argument("paths", nargs="+")
    flags = parser.parse_args(arguments)
    digest = _digest()
    rows = {(row.tree, row.model): row for row in _known(flags.found, digest)}
    with migrate.keep_warm(), Nursery(path=(_ROOT,), memory_limit_bytes=_MEMORY) as nursery:
        for path, *at in _in_order(flags.paths):
            if tuple(at) in rows:
                continue
            start = time.perf_counter()
            try:
                row = ask_all(path, *at, flags.onnx, nursery)
            except migrate.InputError as error:
                row = Row(*at, "", {}, f"unreadable: {error}")
            rows[row.tree, row.model] = row
            print(f"{time.perf_counter() - start:6.1f} s", row, file=sys.stderr, flush=True)
            if flags.found:
                with open(flags.found, "a", encoding="utf-8") as file:
                    file.write(json.dumps({"digest": digest, "row": row.__dict__}) + "\n")
            text = flags.page.read_text(encoding="utf-8")
            before, after = text.index(BEGIN), text.index(END) + len(END)
            made = page_part(sorted(rows.values(), key=lambda row: (row.tree, row.model)))
            flags.page.write_text(text[:before] + made + text[after:], encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
