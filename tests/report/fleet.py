"""Synthetic reports: as many models as wanted, of every outcome, and models whose every word is hostile."""

from __future__ import annotations

import dataclasses
import random

from migrate.records import (
    AlreadyTF2,
    Converted,
    Crashed,
    Failed,
    Finding,
    Kind,
    MetaGraphFacts,
    Mismatch,
    Mismatched,
    ModelReport,
    OutputDifference,
    Refused,
    Severity,
    Signature,
    TensorSpec,
    TimedOut,
    Unchanged,
    Unreadable,
    VariableFacts,
    Verification,
    refusal,
)
from migrate.sketches import Sketch, SketchGraph, SketchNode

HOSTILE = (
    "</script><img src=x onerror=alert(1)>",
    "<!--<script>alert(2)</script>",
    "]]>\x00\x01\x1b[31m\ufffe",
    "\" onmouseover='alert(3)' x=\"",
    "{{ 7 * 7 }}{% raw %}&amp;&lt;",
    "\u202egnp.\u2066exe\u2028\udcff",
    "javascript:alert(4)",
    "__proto__",
    "constructor",
)

_OPS = ("VariableV2", "Identity", "Assign", "MatMul", "Add", "ApplyAdam", "Switch", "Merge")
_ENDINGS = (
    *(Converted(),) * 60,
    *(Refused(),) * 14,
    *(Unchanged(),) * 12,
    *(Unreadable("saved_model.pb: is a Git LFS pointer, not the file itself"),) * 5,
    *(Mismatched("3 outputs differ from the source's"),) * 3,
    Failed("No space left on device"),
    Crashed("golden", -11, "Fatal Python error: Segmentation fault"),
    TimedOut("candidate", 600.0),
)
_CODES = ("unknown-op", "python-op", "unfed-placeholder", "op-without-kernel", "variable-without-value")


def make_fleet(count: int, seed: int = 0) -> tuple[ModelReport, ...]:
    """Models that look like a company's: always the same for one seed."""
    rng = random.Random(seed)
    teams = ("search", "ads", "fraud", "vision", "ranking", "speech")
    return tuple(_model(f"/models/{rng.choice(teams)}/model_{i:05d}/{rng.randrange(1, 30)}", rng) for i in range(count))


def _model(path: str, rng: random.Random) -> ModelReport:
    outcome = rng.choice(_ENDINGS)
    if isinstance(outcome, Unreadable):
        return ModelReport(path, None, Kind.UNKNOWN, outcome, seconds={"audit": 0.01}, bytes=rng.choice((None, 132)))
    findings = []
    if isinstance(outcome, Refused):
        for code in rng.sample(_CODES, rng.choice((1, 1, 2))):
            nodes = tuple(f"scope_{i}/node" for i in range(rng.randrange(1, 60)))
            findings.append(refusal(code, f"{code} stands in the way", nodes, "leave out the signature"))
    if rng.random() < 0.2:
        findings.append(Finding("device-pin", Severity.NOTE, "nodes are pinned to /device:GPU:0"))
    verified = isinstance(outcome, (Converted, Mismatched))
    kind = Kind.TF2_SAVED_MODEL if isinstance(outcome, (Unchanged, AlreadyTF2)) else Kind.TF1_SAVED_MODEL
    signatures = tuple(_signature(key) for key in ("serving_default", "classify")[: rng.choice((1, 2))])
    return ModelReport(
        path,
        path.replace("/models", "/models_tf2"),
        kind,
        outcome,
        tuple(findings),
        (_facts(signatures, rng),),
        _verification(outcome, rng) if verified else None,
        {"audit": rng.random() / 10, "golden": rng.random() * 3, "export": rng.random(), "candidate": rng.random()},
        bytes=int(10 ** rng.uniform(3, 10)),
        converted_signatures=signatures if isinstance(outcome, Converted) else None,
        sketches=tuple(_sketch(f"signature {s.key!r}", rng) for s in signatures) if verified else (),
    )


def _signature(key: str) -> Signature:
    return Signature(
        key,
        "tensorflow/serving/predict",
        {"x": TensorSpec("x:0", "float32", (None, 224, 224, 3))},
        {name: TensorSpec(f"{name}:0", "float32", (None, 10)) for name in ("scores", "logits")},
    )


def _facts(signatures: tuple[Signature, ...], rng: random.Random) -> MetaGraphFacts:
    variables = tuple(
        VariableFacts(f"layer_{i}/kernel", "float32", (3, 3, 64, 64), False, True, True)
        for i in range(rng.randrange(40))
    )
    version = rng.choice(("1.4.0", "1.8.0", "1.12.0", "1.15.0", "1.15.2", "2.3.0", "0.12.head"))
    return MetaGraphFacts(
        ("serve",), version, 400, dict.fromkeys(_OPS, 50), signatures, variables, (), ("vocab.txt",), ("init",), 0, ()
    )


def _verification(outcome: object, rng: random.Random) -> Verification:
    differs = isinstance(outcome, Mismatched)
    largest = 10 ** rng.uniform(-4, 0) if differs else rng.choice((0.0, 0.0, 0.0, 1.2e-7))
    outputs = tuple(
        OutputDifference("serving_default", name, path, 20, 4000, d == 0, d, int(d * 1e7))
        for name, d in (("scores", largest), ("logits", 0.0))
        for path in ("tf2", "session")
    )
    mismatches = tuple(
        Mismatch("serving_default", call, "scores", "tf2", "12 of 200 values differ") for call in range(3) if differs
    )
    return Verification(20, 80, 16000, not largest, largest, int(largest * 1e7), 12, (), mismatches, {}, outputs)


def _sketch(run: str, rng: random.Random) -> Sketch:
    count = rng.randrange(3, 20)
    nodes = tuple(SketchNode(f"scope/node_{i}", rng.choice(_OPS), rng.random() < 0.6) for i in range(count))
    edges = tuple((rng.randrange(i), i, rng.random() < 0.2) for i in range(1, count) for _ in range(rng.choice((1, 2))))
    graph = SketchGraph(nodes, tuple(dict.fromkeys(edges)))
    return Sketch(run, 12, (("ReadVariableOp", 0, 6), ("VariableV2", 6, 0)), graph, graph)


def hostile_model(text: str) -> ModelReport:
    """A model in which every string that a model can bring is `text`."""
    spec = TensorSpec(text, text, (1,))
    signature = Signature(text, text, {text: spec}, {text: spec})
    facts = MetaGraphFacts(
        (text,), text, 1, {text: 1}, (signature,), (VariableFacts(text, text, None, False, True, True),),
        (text,), (text,), (text,), 0, (text,),
    )  # fmt: skip
    output = OutputDifference(text, text, text, 1, 1, False, float("inf"), 1)
    verification = Verification(
        1, 1, 1, False, float("nan"), 1, 1, (text,), (Mismatch(text, 0, text, text, text),), {text: text}, (output,)
    )
    graph = SketchGraph((SketchNode(text, text, True), SketchNode(text, text, False)), ((0, 1, True), (1, 0, False)))
    return ModelReport(
        f"/models/{text}", f"/new/{text}", Kind.TF1_SAVED_MODEL, Mismatched(text),
        (refusal(text, text, (text,), text), Finding("device-pin", Severity.NOTE, text, (text,), text)),
        (facts,), verification, {text: 1.0}, bytes=1, converted_signatures=(signature,),
        sketches=(Sketch(text, 1, ((text, 1, 0),), graph, graph),),
    )  # fmt: skip


def renamed(model: ModelReport, source: str) -> ModelReport:
    """The same model under another name."""
    return dataclasses.replace(model, source=source)
