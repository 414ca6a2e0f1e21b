"""What the page shows of one model, as plain values: the page's script makes text nodes of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from migrate.errors import count_words
from migrate.escapes import flag, quoted
from migrate.finding_codes import about, explanations
from migrate.report.facts import (
    chosen_graph,
    flags_of_model,
    gravest_first,
    parameters_of,
    short_number,
    variables_of,
)
from migrate.report.flags_in_text import parts
from migrate.report.labels import JSON, cut, explanation, kind_words, size_words
from migrate.report.page_comparison import comparison

# What the page shows of a model at the most; report.json has all of it.
_TEXT_CHARACTERS = 2000
_TEMPLATE_CHARACTERS = 8000
_NAME_CHARACTERS = 300
_MOST_NODES = 30
_MOST_FINDINGS = 200
_MOST_VARIABLES = 2000
_MOST_SIGNATURES = 60
_MOST_TENSORS = 200
_MOST_SKETCHES = 12


def details(model: JSON, outcome: str) -> JSON:
    """All that is shown of one model; `outcome` is how the page counts it."""
    chosen = chosen_graph(model) or {}
    variables = variables_of(model)
    verification = model.get("verification")
    return {
        "source": cut(model["source"], _TEXT_CHARACTERS),
        "destination": cut(model.get("destination") or "", _TEXT_CHARACTERS),
        "outcome": outcome,
        "explanation": cut(explanation(model), _TEXT_CHARACTERS),
        "tail": cut((model.get("detail") or {}).get("stderr_tail") or "", _TEXT_CHARACTERS),
        "commands": list(_commands(model)),
        "kind": kind_words(model["kind"]),
        "facts": list(_facts(model, chosen)),
        "findings": [
            {
                "code": finding["code"],
                "severity": finding["severity"],
                "message": cut(finding["message"], _TEXT_CHARACTERS),
                "action": [list(part) for part in parts(cut(_action(finding), _TEXT_CHARACTERS))],
                "template": cut(finding.get("template", ""), _TEMPLATE_CHARACTERS),
                "about": about(finding["code"])[:-1],
                "nodes": [cut(node, _NAME_CHARACTERS) for node in finding["nodes"][:_MOST_NODES]],
                "more": max(0, len(finding["nodes"]) - _MOST_NODES),
            }
            for finding in sorted(model["findings"], key=gravest_first)[:_MOST_FINDINGS]
        ],
        "signatures": _signatures(model.get("signatures") or {}, model.get("converted_signatures")),
        "variables": [
            [cut(v["name"], _NAME_CHARACTERS), v["dtype"], _shape(v["shape"]), _roles(v)]
            for v in variables[:_MOST_VARIABLES]
        ],
        "more_variables": max(0, len(variables) - _MOST_VARIABLES),
        "verification": comparison(verification) if verification else None,
        "sketches": [_sketch(s) for s in (model.get("sketches") or [])[:_MOST_SKETCHES]],
        "seconds": [[cut(step, 80), s] for step, s in model["seconds"].items() if isinstance(s, (int, float))],
    }


def _parameters(model: JSON) -> str:
    number = parameters_of(model)
    return f"{short_number(number)} parameter{'' if number == 1 else 's'}"


def _action(finding: JSON) -> str:
    """What to do: the finding's own hint, else what its code says of the remedy."""
    found = explanations().get(finding["code"])
    remedy = found.remedy.replace("`", "") if found is not None and finding["severity"] != "note" else ""
    text: str = finding["hint"] or remedy
    return text[:1].upper() + text[1:] if text.partition(" ")[0].isalpha() else text


def _commands(model: JSON) -> Iterator[tuple[str, str]]:
    """(what for, command) for each command that the model's proposals give; each may be pasted into a shell."""
    source, new = model["source"], model.get("destination") or "NEW"
    if not (source.isprintable() and new.isprintable()):
        return
    convert = f"migrate convert {quoted(source)} {quoted(new)}"
    flags = flags_of_model(model)
    if flags:
        yield "It can be converted with these flags", f"{convert} {' '.join(flags)}"
    known = " ".join(flags)
    for proposal in model.get("proposed_signatures") or ():
        one = flag("signature", proposal)
        if one is not None and one not in known:
            yield "Another signature that audit proposes", f"{convert} {one}"


def _facts(model: JSON, chosen: JSON) -> Iterator[tuple[str, str]]:
    yield "Kind", kind_words(model["kind"])
    if chosen:
        yield "TensorFlow", cut(chosen["tf_version"] or "not said", 80)
        yield "Tags", cut(", ".join(chosen["tags"]) or "none", _NAME_CHARACTERS)
        also = f", {count_words(len(chosen['functions']), 'function')}" if chosen["functions"] else ""
        yield "Graph", f"{count_words(chosen['nodes'], 'node')}, {count_words(len(chosen['ops']), 'op')}{also}"
        variables = chosen["variables"]
        refs = sum(not v["is_resource"] for v in variables)
        kinds = f"{refs:,} ref, {len(variables) - refs:,} resource"
        told = f"{len(variables):,} ({kinds}), {_parameters(model)}"
        yield "Variables", told if variables else "none"
        for label, key in (("Tables", "tables"), ("Assets", "assets"), ("Init ops", "init_ops")):
            if chosen[key]:
                names = ", ".join(cut(name, 80) for name in chosen[key][:5])
                rest = len(chosen[key]) - 5
                yield label, f"{names} and {rest:,} more" if rest > 0 else names
    keras = model.get("keras")
    if keras:
        yield "Written by", cut(f"Keras {keras['keras_version'] or 'of an unknown version'}", 80)
        layers = ", ".join(f"{count:,} {name}" for name, count in list(keras["layers"].items())[:8])
        yield "Layers", cut(layers or "none", _NAME_CHARACTERS)
        yield (
            "Weights",
            f"{count_words(len(keras['weights']), 'tensor')}, {_parameters(model)}",
        )
        if keras["optimizer"]["class_name"]:
            yield (
                "Optimizer",
                cut(f"{keras['optimizer']['class_name']}, {keras['optimizer']['variables']:,} variables", 80),
            )
    checkpoint = model.get("checkpoint")
    if checkpoint:
        based = "object-based" if checkpoint["object_based"] else "name-based"
        yield "Checkpoint", f"format {checkpoint['format']}, {based}, {count_words(checkpoint['shards'], 'shard')}"
        yield (
            "Tensors",
            f"{count_words(len(checkpoint['tensors']), 'tensor')}, {_parameters(model)}",
        )
    if isinstance(model.get("bytes"), int):
        yield "On disk", size_words(model["bytes"])
    if len(model["meta_graphs"]) > 1:
        yield "MetaGraphDefs", f"{len(model['meta_graphs'])}; this page shows the one for serving"


def _signatures(before: Mapping[str, JSON], after: Mapping[str, JSON] | None) -> list[JSON]:
    keys = sorted({*before, *(after or {})})
    return [
        {
            "key": cut(key, _NAME_CHARACTERS),
            "method": [cut(side[key]["method_name"], 200) if key in side else None for side in (before, after or {})],
            "converted": after is not None,
            "tensors": list(_tensors(before.get(key), (after or {}).get(key)))[:_MOST_TENSORS],
        }
        for key in keys[:_MOST_SIGNATURES]
    ]


def _tensors(before: JSON | None, after: JSON | None) -> Iterator[list[Any]]:
    """(direction, name, tensor before, tensor after); None where there is no such tensor."""
    for direction in ("inputs", "outputs"):
        old, new = ((side or {}).get(direction, {}) for side in (before, after))
        for name in sorted({*old, *new}):
            shown = [_tensor(side[name]) if name in side else None for side in (old, new)]
            yield [direction[:-1], cut(name, _NAME_CHARACTERS), *shown]


def _tensor(spec: JSON) -> list[str]:
    names = spec["name"] or ", ".join(spec["components"])
    encoding = "" if spec["encoding"] == "dense" else f"{spec['encoding']} "
    return [cut(names, _NAME_CHARACTERS), f"{encoding}{spec['dtype']}", _shape(spec["shape"])]


def _shape(shape: Sequence[int | None] | None) -> str:
    if shape is None:
        return "unknown rank"
    return cut("(" + ", ".join("?" if size is None else str(size) for size in shape[:40]) + ")", 200)


def _roles(variable: JSON) -> str:
    if "is_resource" not in variable:
        return ""
    roles = ["resource" if variable["is_resource"] else "ref"]
    roles += ["trainable"] if variable["trainable"] else []
    roles += ["not needed"] if variable["needed"] is False else []
    return ", ".join(roles)


def _sketch(sketch: JSON) -> JSON:
    return {
        "run": cut(sketch["run"], _NAME_CHARACTERS),
        "changed": sketch["changed"],
        "ops": [[cut(o["op"], 80), o["before"], o["after"]] for o in sketch["ops"] if o["before"] != o["after"]][:40],
        **{
            side: {
                "nodes": [[cut(n["name"], 120), cut(n["op"], 60), int(n["changed"])] for n in sketch[side]["nodes"]],
                "edges": [[e["from"], e["to"], int(e["control"])] for e in sketch[side]["edges"]],
            }
            for side in ("before", "after")
        },
    }
