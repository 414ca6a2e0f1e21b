"""Converts every model of a corpus and writes docs/corpus.md.

    python -m tools.corpus MIGRATE_CORPUS docs/corpus.md

The corpus is a directory of models with an INDEX.jsonl (name, kind, repo, path, licence). Each model goes through
`migrate.convert` with verification; a graph without signatures with the first one that audit proposes. For comparison
TF1 SavedModels go through `tf.saved_model.load` + `tf.saved_model.save` as well. The last column needs
`migrate runtime install`; where TensorFlow 1.15 alone can answer, the page says how the model ends without it, too.
"""

from __future__ import annotations

import collections
import dataclasses
import json
import os
import pathlib
import sys
import tempfile
from collections.abc import Iterable, Mapping
from typing import Any

import migrate
from migrate.errors import count_words
from migrate.model.jobs import convert_model
from migrate.model.messages import ConvertJob
from migrate.processes.nursery import Nursery
from migrate.records import Converted, ModelReport, Severity, Verification, outcome_name
from migrate.signature_flag import as_flag
from migrate.sources.checkpoint_files import OBJECT_GRAPH_KEY

_ROOT = pathlib.Path(__file__).resolve().parent.parent

FORMS = (
    "saved_model_tf1",
    "hub_module_tf1",
    "saved_model_tf1_no_weights",
    "saved_model_corrupt",
    "saved_model_tf2",
    "checkpoint_meta",
    "checkpoint_only",
    "frozen_graph",
    "graphdef_corrupt",
    "keras_h5_model",
    "keras_h5_weights",
)
_TF1_SAVED_MODELS = ("saved_model_tf1", "hub_module_tf1")
_EXCEPTIONS = (
    "For each of these reasons TensorFlow does not answer either: weights or a graph that are missing, placeholders",
    "that no call feeds, Python code or a library that is not there. With their library (tensorflow-text 2.21.1),",
    "the two modules of TensorFlow Text are converted and verified, 14 calls and 168 outputs each, bit for bit:",
    "",
    "    $ migrate convert tftext_segmenter_hub_module NEW --import_module=tensorflow_text    "
    "# not run by the test: it needs tensorflow-text",
    "",
    'Where the table says "beyond", [docs/judge.md](judge.md#the-bounds) says why TensorFlow 1.15 differs.',
)


def run(job: tuple[str, str, list[str]]) -> int | str:
    """In a child: loads and saves a model the TensorFlow way.

    Returns:
      How many tensors the new checkpoint holds beside the object graph, or the class of the error.
    """
    import tensorflow as tf

    source, destination, tags = job
    try:
        tf.saved_model.save(tf.saved_model.load(source, tags=tags), destination)
        keys = [key for key, _ in tf.train.list_variables(os.path.join(destination, "variables", "variables"))]
    except Exception as error:
        return type(error).__name__
    return sum(key != OBJECT_GRAPH_KEY for key in keys)


def main(argv: list[str]) -> int:
    """Converts the corpus `argv[1]` and writes the page `argv[2]`."""
    corpus, page = argv[1:]
    with open(os.path.join(corpus, "INDEX.jsonl"), encoding="utf-8") as file:
        index = [json.loads(line) for line in file]
    rows = []
    with tempfile.TemporaryDirectory() as scratch, Nursery(path=(_ROOT,)) as nursery:
        for number, entry in enumerate(e for e in index if e["kind"] in FORMS):
            source = os.path.join(corpus, entry["name"])
            print(f"{number + 1:4} {entry['name']}", file=sys.stderr)
            rows.append(_row(entry, source, os.path.join(scratch, str(number)), nursery))
    with open(page, "w", encoding="utf-8") as file:
        file.write("\n".join(_page(rows)) + "\n")
    return 0


def _row(entry: Mapping[str, Any], source: str, scratch: str, nursery: Nursery) -> dict[str, Any]:
    try:
        proposals = migrate.audit(source).models[0].proposals[:1]
        options = migrate.Options(signature=proposals)
        model = convert_model(ConvertJob(source, os.path.join(scratch, "new"), options), nursery, lambda _: None)
        alone = model
        if model.verification and "tf2" not in model.verification.judgement.judges:
            here = dataclasses.replace(options, judge="tf2")
            alone = convert_model(ConvertJob(source, os.path.join(scratch, "alone"), here), nursery, lambda _: None)
    except migrate.InputError as error:
        return {"entry": entry, "outcome": "unreadable", "reason": str(error), "model": None, "baseline": "", "refs": 0}
    first = (v for graph in model.meta_graphs[:1] for v in graph.variables)
    refs = sum(not v.is_resource and v.needed is not False for v in first)
    baseline: int | str = ""
    if entry["kind"] in _TF1_SAVED_MODELS:
        tags = list(model.meta_graphs[0].tags) if model.meta_graphs else []
        job = (source, os.path.join(scratch, "saved"), tags)
        answer = nursery.run("baseline", "tools.corpus", job, Any, 300)
        baseline = answer if isinstance(answer, (int, str)) else outcome_name(answer)
    return {
        "entry": entry,
        "outcome": outcome_name(model.outcome),
        "alone": outcome_name(alone.outcome),
        "reason": _reason(model),
        "model": model,
        "baseline": baseline,
        "refs": refs,
        "proposed": as_flag(proposals[0]) if proposals else "",
    }


def _reason(model: ModelReport) -> str:
    if model.verification and model.verification.skipped:
        return "not called: " + "; ".join(f"{k} ({v})" for k, v in sorted(model.verification.skipped.items()))
    refusals = [f"`{f.code}`: {f.message}" for f in model.findings if f.severity is Severity.REFUSAL]
    detail = getattr(model.outcome, "reason", "") or getattr(model.outcome, "stderr_tail", "")
    return ("; ".join(dict.fromkeys(refusals)) or detail).replace(os.path.dirname(model.source) + os.sep, "")


def _page(rows: list[dict[str, Any]]) -> Iterable[str]:
    yield "# The corpus"
    yield ""
    yield "What became of real models from public projects. Made by"
    yield ""
    yield "    python -m tools.corpus $MIGRATE_CORPUS docs/corpus.md"
    yield ""
    for kind in FORMS:
        counts = collections.Counter(row["outcome"] for row in rows if row["entry"]["kind"] == kind)
        if counts:
            told = ", ".join(f"{n} {name.replace('_', ' ')}" for name, n in counts.most_common())
            yield f"- {kind}: {count_words(sum(counts.values()), 'model')}: {told}"
    converted = [r for r in rows if r["outcome"] == "converted"]
    verified = [r["model"].verification for r in converted if r["model"].verification]
    yield ""
    yield (
        f"Of {len(converted)} converted models {len(verified)} were verified before they were published: "
        f"{sum(v.calls for v in verified)} calls, {sum(v.compared for v in verified)} outputs compared on two ways of "
        f"loading, {sum(v.bitwise_equal for v in verified)} models bit for bit, "
        f"{sum(v.variables_compared for v in verified)} variables equal to the source's checkpoint."
    )
    yield ""
    with_refs = [r for r in converted if r["refs"] and r["entry"]["kind"] in _TF1_SAVED_MODELS]
    silent = [r for r in with_refs if r["baseline"] == 0]
    yield (
        f"The same sources through `tf.saved_model.load` + `tf.saved_model.save`: of the {len(with_refs)} converted "
        f"models that need ref variables, {len(silent)} are saved without an error and without a variable's value."
    )
    yield ""
    told = [_judged(v) for v in verified]
    beyond = sum(word.endswith("beyond") for word in told)
    yield (
        f"TensorFlow 1.15.5 itself ([docs/judge.md](judge.md)) answered for {len(told) - told.count('')} of the "
        f"converted models: {told.count('none')} bit for bit, {beyond} beyond the bounds."
    )
    yield ""
    yield "A graph without signatures (`.meta`, frozen) was given the first signature that `audit` proposes for it."
    yield ""
    yield (
        "| model | project | ref variables | migrate | calls | compared | load + save: tensors written "
        "| TensorFlow 1.15: largest difference |"
    )
    yield "|---|---|---|---|---|---|---|---|"
    for row in rows:
        if row["entry"]["kind"] in ("saved_model_tf1_no_weights", "saved_model_corrupt", "saved_model_tf2"):
            continue
        v = row["model"].verification if row["model"] else None
        done = row["outcome"].replace("_", " ")
        if row["model"] and isinstance(row["model"].outcome, Converted):
            done += ", verified" if v else ", not verified"
        if row.get("alone", row["outcome"]) != row["outcome"]:
            done = f"{row['alone'].replace('_', ' ')}, with TensorFlow 1.15 {done}"
        yield (
            f"| {row['entry']['name']} | {row['entry']['repo']} | {row['refs']} | {done} "
            f"| {v.calls if v else ''} | {v.compared if v else ''} | {row['baseline']} | {_judged(v)} |"
        )
    yield ""
    yield "## Not converted, and signatures that were not called"
    yield ""
    yield from _EXCEPTIONS
    yield ""
    for row in rows:
        if row["reason"] and row["outcome"] != "unchanged":
            yield f"- {row['entry']['name']}: {row['outcome'].replace('_', ' ')}. {_one_line(row['reason'])}"
    yield ""
    yield "## Signatures that were given"
    yield ""
    for row in rows:
        if row.get("proposed"):
            yield f"- {row['entry']['name']}: `{_one_line(row['proposed'])}`"


def _judged(verification: Verification | None) -> str:
    """The largest difference from TensorFlow 1.15.5, as a share of the largest value beside it; empty where it was not
    asked or does not take the model."""
    if verification is None or "tf1" not in verification.judgement.judges:
        return ""
    judgement = verification.judgement
    if judgement.bitwise_equal:
        return "none"
    return f"{judgement.max_relative_difference:.1e}{', beyond' if judgement.beyond else ''}"


def _one_line(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= 400 else text[:400] + "..."


if __name__ == "__main__":
    sys.exit(main(sys.argv))
