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
import hashlib
import json
import os
import pathlib
import pickle
import re
import sys
import tempfile
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

import migrate
from migrate.frozen import frozen
from migrate.graph.protos import SavedModel
from migrate.processes.nursery import Nursery
from migrate.records import Converted, Options, outcome_name
from migrate.sources.discover import find_models
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
        key, calls = _calls(path)
        if not calls:
            return Row(tree, name, "", {}, "converted, and no call is made up for it without sparse tensors")
        file = os.path.join(directory, "calls")
        with open(file, "wb") as stream:
            pickle.dump([(call, {}) for call in calls], stream)
        graphs = {form: _read(place) for form, place in new.items()}
        tags = tuple(graphs["v1"].meta_graphs[0].meta_info_def.tags)
        answered = nursery.run("answers", "tools.consumer_jobs", Job("answers", new["v1"], tags, key, file), str, 300.0)
        if answered != "yes":
            return Row(tree, name, "", {}, f"converted, and its signature {key!r} has no answer to the call made up")
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
    first, second = (model.meta_graphs[0].graph_def for model in (one, other))
    return bool(first == second)


def _flow(model: SavedModel) -> str:
    """What control flow the new model has that keeps the source's."""
    graph = model.meta_graphs[0].graph_def
    ops = {node.op for part in (graph.node, *(f.node_def for f in graph.library.function)) for node in part}
    return "v1" if ops & _V1 else "functional" if ops & _V2 else ""


def _calls(path: str) -> tuple[str, list[Arrays]]:
    """A signature of a model, and calls of it: the one of `migrate inputs`, and one with other signs."""
    options = Options(take_proposals=True)
    template = [c for c in json.loads(migrate.inputs(path, options)) if not any(map(_is_sparse, c["inputs"].values()))]
    if not template:
        return "", []
    asked = min(template, key=lambda call: (call["signature"] != "serving_default", call["signature"]))
    call = {key: _array(value, asked["specs"][key]["dtype"]) for key, value in asked["inputs"].items()}
    other = {key: _turned(value) for key, value in call.items()}
    differs = any(not np.array_equal(other[key], value) for key, value in call.items())
    return asked["signature"], [call, other] if differs else [call]


def _is_sparse(value: Any) -> bool:
    return isinstance(value, dict) and "indices" in value


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
    if said in _GOOD:
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
        for given in flags.paths:
            for path in sorted(find_models(given)):
                tree = os.path.abspath(given if path != given else os.path.dirname(given))
                at = (os.path.basename(tree), os.path.relpath(path, tree))
                if at in rows:
                    continue
                start = time.perf_counter()
                try:
                    row = ask_all(path, *at, flags.onnx, nursery)
                except migrate.InputError as error:
                    row = Row(at[0], at[1], "", {}, f"unreadable: {error}")
                rows[at] = row
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
