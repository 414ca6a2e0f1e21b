"""Whether a model can do more than compute, for people who want to know that before they open it.

Takes the JSON document of a report. An op counts that something runs: a signature, loading, restoring, saving or an
object of a TF2 SavedModel. What the saver and the tables are made of does not count. Where a graph has no signatures,
nobody knows what will be run, and each op of it counts.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from migrate.escapes import visible
from migrate.finding_codes import about
from migrate.frozen import frozen
from migrate.report.labels import JSON, cut, explanation
from migrate.report.layout import Block, Indented, Table, Text, text
from migrate.report.layout import render as lay_out

_NAMES_SHOWN = 5
_NAME_CHARACTERS = 200

EFFECTS: Mapping[str, tuple[str, float]] = {
    "process": ("ends or changes the process, or loads code", 9.3),
    "writes-files": ("writes files", 9.1),
    "python": ("runs Python code", 9.0),
    "network": ("talks to other processes or machines", 8.6),
    "reads-files": ("reads files", 7.5),
    "unread": ("is an op whose code nobody has read", 7.0),
    "unknown": ("is no op of TensorFlow", 7.0),
    "device": ("configures accelerators", 5.3),
}
"""What an op may do, and how severe that is on the scale of CVSS (from 7 high, from 9 critical), the worst first."""

_FINDINGS: Mapping[str, tuple[str, str]] = {
    "keras-lambda": ("python", "Keras file"),
    "keras-calls": ("python", "Keras file"),
    "keras-foreign-layer": ("python", "Keras file"),
    "keras-file-name": ("reads-files", "Keras file"),
    "keras-external-link": ("reads-files", "Keras file"),
    "file-outside-model": ("reads-files", "graph (a file outside the model)"),
    "link-leads-out": ("reads-files", "directory of the model (a link that leads out)"),
}
"""Findings that say more than the op does: what loading such a model would do, and where."""


@frozen
class Danger:
    """What one op may do in one place.

    Attributes:
      what: name of the op; of a Keras file, of what it calls.
      effect: a key of `EFFECTS`, or another word of the table of ops.
      where: the place.
      nodes: names of the nodes, or files.
      counts: whether something runs it, or nobody can know.
      about: what `nodes` are.
    """

    what: str
    effect: str
    where: str
    nodes: tuple[str, ...]
    counts: bool
    about: str = "nodes"


def dangers(model: Mapping[str, Any]) -> tuple[Danger, ...]:
    """What a model can do beside computing, the worst first."""
    ops = tuple(_ops(model))
    found = [*ops, *_found(model, {name for op in ops if op.counts for name in op.nodes})]
    return tuple(sorted(found, key=lambda danger: (not danger.counts, -severity(danger.effect))))


def _ops(model: Mapping[str, Any]) -> Iterator[Danger]:
    silent = {tuple(sorted(graph["tags"])) for graph in model["meta_graphs"] if not graph["signatures"]}
    for op in model.get("dangerous_ops") or ():
        if op["standard"]:
            continue
        tags = tuple(sorted(op["tags"]))
        in_main = not op["where"].startswith("function ")
        counts = op["reached"] or (tags in silent and in_main and op["op"] not in _SAVERS)
        place = op["where"] if op["reached"] else f"{op['where']}, which nothing runs by itself"
        yield Danger(op["op"], op["effect"], place, tuple(op["nodes"]), counts)


_SAVERS = frozenset({"RestoreV2", "RestoreSlice", "Restore", "SaveV2", "SaveSlices", "Save", "MergeV2Checkpoints"})
"""Ops of a second saver, which a training graph without signatures may have; their file names are fed."""


def _found(model: Mapping[str, Any], known: Collection[str]) -> Iterator[Danger]:
    """What findings say, except of nodes whose op is dangerous anyway."""
    for finding in model["findings"]:
        if finding["code"] not in _FINDINGS:
            continue
        effect, where = _FINDINGS[finding["code"]]
        names = tuple(name for name in finding["nodes"] if name not in known and name.rpartition("/")[2] not in known)
        if names or not finding["nodes"]:
            yield Danger(", ".join(names[:3]) or finding["code"], effect, where, names, True, about(finding["code"]))


def severity(effect: str) -> float:
    """How severe an effect is, on the scale of CVSS."""
    return EFFECTS.get(effect, EFFECTS["unknown"])[1]


def words(effect: str) -> str:
    """What an op with this effect does."""
    return EFFECTS.get(effect, EFFECTS["unknown"])[0]


def is_safe(model: Mapping[str, Any]) -> bool:
    """Whether a model was read and nothing dangerous found that counts."""
    return model["outcome"] not in ("unreadable", "failed", "crashed", "timed_out") and not any(
        danger.counts for danger in dangers(model)
    )


def security_document(document: JSON) -> JSON:
    """A report's JSON document with what this module says of each model, under `security`."""
    models = [{**model, "security": _summary(model)} for model in document["models"]]
    return {**document, "models": models}


def _summary(model: JSON) -> JSON:
    found = [danger for danger in dangers(model) if danger.counts]
    return {
        "safe": is_safe(model),
        "effects": list(dict.fromkeys(danger.effect for danger in found)),
        "severity": max((severity(danger.effect) for danger in found), default=0.0),
    }


def render(document: Mapping[str, Any], width: int, color: bool) -> str:
    """The report as text: a verdict for each model, its ops by effect and place, and totals of a tree."""
    return lay_out(_blocks(document["models"]), max(width, 20), color)


def _blocks(models: Sequence[JSON]) -> Iterator[Block]:
    for model in models:
        found = dangers(model)
        # In one line, however long, so that it can be searched for.
        yield Text(((visible(model["source"]), "bold"), (": ", ""), _verdict(model, found)), wrapped=False)
        if found:
            yield Indented(Table(tuple(_rows(found)), fixed=frozenset({0})))
    if len(models) > 1:
        safe, unread = sum(map(is_safe, models)), sum(model["outcome"] == "unreadable" for model in models)
        dangerous = len(models) - safe - unread
        yield text("")
        yield text(
            f"{len(models):,} models: {safe:,} with nothing dangerous, {dangerous:,} dangerous, {unread:,} unreadable",
            "bold",
        )


def _verdict(model: JSON, found: Sequence[Danger]) -> tuple[str, str]:
    firsts = {danger.effect: danger for danger in reversed(found) if danger.counts}
    if firsts:
        told = [f"{visible(firsts[effect].what)} {words(effect)}" for effect in reversed(firsts)]
        return f"dangerous: {', '.join(told)}", "bold red"
    if not is_safe(model):
        return f"cannot be read: {visible(cut(explanation(model), 500))}", "bold red"
    return ("nothing dangerous is run" if found else "nothing dangerous"), "bold green"


def _rows(found: Sequence[Danger]) -> Iterator[tuple[Text, ...]]:
    for danger in found:
        style = "red" if danger.counts else "dim"
        yield text(visible(danger.effect), style), text(f"{visible(danger.what)} in {visible(danger.where)}")
        if danger.nodes:
            shown = ", ".join(visible(cut(name, _NAME_CHARACTERS)) for name in danger.nodes[:_NAMES_SHOWN])
            hidden = len(danger.nodes) - _NAMES_SHOWN
            yield text(""), text(f"{danger.about}: {shown}{f' and {hidden:,} more' if hidden > 0 else ''}", "dim")
