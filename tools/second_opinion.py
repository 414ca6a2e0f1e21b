"""Asks TensorFlow's own functionaliser how many loops and conds a model has, and how they are nested.

    python -m tools.second_opinion PATH...

A PATH is a model, or a tree of models. Each model is converted twice. TensorFlow makes MLIR of the new model with v1
control flow (`experimental_convert_saved_model_v1_to_mlir`, `upgrade_legacy`); what that has is compared with the If
and While of the new model with functional control flow.
"""

from __future__ import annotations

import collections
import json
import os
import pathlib
import re
import sys
import tempfile
from collections.abc import Iterable, Mapping, Sequence

import migrate
from migrate.frozen import frozen
from migrate.graph.protos import GraphDef, NodeDef, SavedModel
from migrate.processes.nursery import Nursery
from migrate.records import Converted, Options, outcome_name
from migrate.sources.discover import find_models

Counts = Mapping[str, int]
"""How many loops and conds there are, by the way to them from outside: `loop`, `loop/cond`."""

_ROOT = pathlib.Path(__file__).resolve().parent.parent
_SECONDS = 300.0
_KINDS = {"While": "loop", "If": "cond", "Case": "cond"}
_MLIR_FUNCTION = re.compile(r"^\s*func\.func (?:private )?@([\w.$-]+|\"[^\"]+\")\(")
_MLIR_OP = re.compile(r"\"tf\.(While|If|Case|PartitionedCall|StatefulPartitionedCall|LegacyCall)\"")
_MLIR_CALL = re.compile(r"\bcall @([\w.$-]+)\(")
_MLIR_CALLEE = re.compile(r"@([\w.$-]+|\"[^\"]+\")")
_EXPORTED = re.compile(r"tf_saved_model\.exported_names = \[([^\]]*)\]")


@frozen
class Opinions:
    """What both say of a model.

    Attributes:
      ours: by signature.
      theirs: by signature, where TensorFlow takes the model.
      refused: why TensorFlow does not, or the conversion ends otherwise; else empty.
      kept: whether something stays v1 control flow, with a finding.
    """

    ours: Mapping[str, Counts]
    theirs: Mapping[str, Counts]
    refused: str = ""
    kept: bool = False

    @property
    def differences(self) -> list[str]:
        """The signatures on which they disagree, with both counts."""
        return [
            f"{key}: ours {dict(self.ours[key])}, TensorFlow's {dict(self.theirs.get(key, {}))}"
            for key in sorted(self.ours)
            if not self.refused and self.ours[key] != self.theirs.get(key, {})
        ]


def ask(path: str, nursery: Nursery) -> Opinions:
    """Both opinions of a model on the disk."""
    with tempfile.TemporaryDirectory() as directory:
        places = {form: os.path.join(directory, form) for form in ("v1", "functional")}
        kept = False
        for form, place in places.items():
            options = Options(control_flow=form, verify="none", take_proposals=True)
            (report,) = migrate.convert(path, place, options).models
            if not isinstance(report.outcome, Converted):
                return Opinions({}, {}, outcome_name(report.outcome))
            kept = any(finding.code == "control-flow-kept" for finding in report.findings)
        with open(os.path.join(places["functional"], "saved_model.pb"), "rb") as file:
            (meta_graph, *_) = SavedModel.FromString(file.read()).meta_graphs
        keys = [key for key in meta_graph.signature_def if key != "__saved_model_init_op"]
        ours = _of_graph(meta_graph.graph_def, {k: meta_graph.signature_def[k].outputs for k in keys})
        if not any(ours.values()) and not kept:
            return Opinions({}, {}, "has neither loops nor conds")
        job = json.dumps({"path": places["v1"], "keys": keys, "tags": list(meta_graph.meta_info_def.tags)})
        said = nursery.run("functionaliser", "tools.second_opinion", job, str, _SECONDS)
        if not isinstance(said, str):
            return Opinions(ours, {}, f"TensorFlow's: {outcome_name(said)}", kept)
        found = json.loads(said)
        return Opinions(ours, found.get("counts", {}), found.get("error", ""), kept)


def run(job: str) -> str:
    """In a child: TensorFlow's opinion."""
    from tensorflow.python import pywrap_mlir

    asked = json.loads(job)
    try:
        text = pywrap_mlir.experimental_convert_saved_model_v1_to_mlir(
            asked["path"], ",".join(asked["keys"]), ",".join(asked["tags"]), False, False, True, False
        )
    except Exception as error:
        return json.dumps({"error": f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"})
    return json.dumps({"counts": of_mlir(text)})


def of_mlir(text: str) -> dict[str, dict[str, int]]:
    """The counts of the exported functions of a module, by name."""
    bodies: dict[str, list[tuple[str, list[str]]]] = {}
    exported: dict[str, str] = {}
    ops: list[tuple[str, list[str]]] = []
    for line in text.splitlines():
        begins = _MLIR_FUNCTION.match(line)
        if begins:
            name = begins[1].strip('"')
            ops = bodies.setdefault(name, [])
            names = _EXPORTED.search(line)
            exported.update((key, name) for key in re.findall(r'"([^"]*)"', names[1] if names else ""))
            continue
        known = _MLIR_OP.search(line)
        if known:
            called = [callee.strip('"') for callee in _MLIR_CALLEE.findall(line)]
            ops.append((_KINDS.get(known[1], ""), called))
        else:
            ops += [("", [callee]) for callee in _MLIR_CALL.findall(line)]
    return {key: dict(_counted(name, bodies)) for key, name in exported.items()}


def _of_graph(graph: GraphDef, signatures: Mapping[str, Mapping[str, object]]) -> dict[str, Counts]:
    """The counts of a SavedModel's graph, by signature."""
    bodies = {function.signature.name: _calls(function.node_def) for function in graph.library.function}
    nodes = {node.name: node for node in graph.node}
    found = {}
    for key, outputs in signatures.items():
        ends = [info.name.rpartition(":")[0] for info in outputs.values()]  # type: ignore[attr-defined]
        bodies[f"signature {key}"] = _calls(_needed(nodes, ends))
        found[key] = dict(_counted(f"signature {key}", bodies))
    return found


def _needed(nodes: Mapping[str, NodeDef], ends: Iterable[str]) -> Iterable[NodeDef]:
    seen = set(ends)
    pending = list(seen)
    while pending:
        node = nodes[pending.pop()]
        yield node
        behind = {name.lstrip("^").partition(":")[0] for name in node.input} - seen
        seen |= behind
        pending += behind


def _calls(nodes: Iterable[NodeDef]) -> list[tuple[str, list[str]]]:
    """What each node that calls functions is, and what it calls."""
    return [found for found in map(_op, nodes) if found[1]]


def _op(node: NodeDef) -> tuple[str, list[str]]:
    called = [attr.func.name for attr in node.attr.values() if attr.HasField("func")]
    called += [each.name for attr in node.attr.values() for each in attr.list.func]
    return _KINDS.get(node.op.removeprefix("Stateless"), ""), called


def _counted(name: str, bodies: Mapping[str, Sequence[tuple[str, Sequence[str]]]]) -> collections.Counter[str]:
    """The counts of a function. A call counts as what it calls."""
    counts: collections.Counter[str] = collections.Counter()
    for kind, called in bodies.get(name, ()):
        counts[kind] += bool(kind)
        for callee in called:
            for way, number in _counted(callee, bodies).items():
                counts[f"{kind}/{way}" if kind else way] += number
    return collections.Counter({way: number for way, number in counts.items() if number})


def main(arguments: Sequence[str] | None = None) -> int:
    """Prints a line per model; 1 where they disagree on one."""
    paths = [path for given in arguments or sys.argv[1:] for path in find_models(given)]
    agree = differ = 0
    with migrate.keep_warm(), Nursery(path=(_ROOT,)) as nursery:
        for path in paths:
            try:
                found = ask(path, nursery)
            except migrate.InputError as error:
                print(f"{path}: {error}")
                continue
            if found.refused:
                print(f"{path}: {found.refused}", flush=True)
            elif found.differences:
                differ += 1
                why = " (something stays v1 control flow)" * found.kept
                print(f"{path}: they differ{why}: {'; '.join(found.differences)}", flush=True)
            else:
                agree += 1
                print(f"{path}: agree: {dict(found.ours)}", flush=True)
    print(f"{agree} agree, {differ} do not")
    return int(differ > 0)


if __name__ == "__main__":
    sys.exit(main())
