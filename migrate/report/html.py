"""A report as one HTML file that needs nothing beside it: no network, no other file, no server.

Everything in a model is hostile text. The page's own words go through Jinja2 with autoescape; what belongs to a model
is deflated JSON in base64, which no browser can take for markup, and the page's script puts it into text nodes alone.
A Content-Security-Policy lets no other script and no other style run, and nothing be fetched.
"""

from __future__ import annotations

import base64
import hashlib
import importlib.resources
import json
import math
import zlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import jinja2
import markupsafe

from migrate.escapes import visible
from migrate.finding_codes import explanations
from migrate.report.labels import (
    BAD,
    GOOD,
    JSON,
    count_words,
    cut,
    explanation,
    is_good,
    kind_words,
    needs_attention,
    outcome_words,
    short_names,
    size_words,
    verified,
)

_CHUNK = 16
"""Models whose details are unfolded together when one of them is opened."""

# What the page shows of a model at the most; report.json has all of it.
_TEXT_CHARACTERS = 2000
_TEMPLATE_CHARACTERS = 8000
_NAME_CHARACTERS = 300
_MOST_NODES = 30
_MOST_FINDINGS = 200
_MOST_VARIABLES = 2000
_MOST_SIGNATURES = 60
_MOST_TENSORS = 200
_MOST_ROWS = 200
_MOST_SKETCHES = 12

_TOP_FINDINGS = 8
_SEVERITIES = ("note", "warning", "refusal")


def to_html(document: Mapping[str, Any]) -> str:
    """Gives a report's JSON document as an HTML text."""
    models: list[JSON] = document["models"]
    names = [visible(cut(name, _NAME_CHARACTERS)) for name in short_names([model["source"] for model in models])]
    style, script = _asset("report.css"), _asset("report.js")
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True)
    template = environment.from_string(_asset("report.html"))
    codes = sorted({finding["code"] for model in models for finding in model["findings"]})
    outcomes = Counter(model["outcome"] for model in models)
    return template.render(
        style=_trusted(style),
        script=_trusted(script),
        policy=f"default-src 'none'; img-src data:; script-src {_hash(script)}; style-src {_hash(style)}; "
        "base-uri 'none'; form-action 'none'",
        headline=_headline(models, names),
        lede=_lede(models),
        made_by=_made_by(document["tool"]),
        tiles=_tiles(models),
        outcomes=_outcomes(outcomes, len(models)),
        findings=_findings(models, codes),
        number_of_codes=len(codes),
        number_of_models=len(models),
        index=_packed({"rows": [_row(m, n, codes) for m, n in zip(models, names, strict=True)], **_legend(codes)}),
        chunks=[
            _packed([_details(m) for m in models[start : start + _CHUNK]]) for start in range(0, len(models), _CHUNK)
        ],
    )


def _asset(name: str) -> str:
    return importlib.resources.files("migrate.report").joinpath("page").joinpath(name).read_text(encoding="utf-8")


def _trusted(text: str) -> Any:
    """Our own style and script go in as they are."""
    return markupsafe.Markup(text)


def _hash(text: str) -> str:
    digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
    return f"'sha256-{digest}'"


def _packed(value: Any) -> str:
    text = json.dumps(value, separators=(",", ":"), allow_nan=False)
    return base64.b64encode(zlib.compress(text.encode(), 9)).decode()


# What is part of the page itself.


def _headline(models: Sequence[JSON], names: Sequence[str]) -> str:
    if len(models) == 1:
        return names[0]
    outcomes = Counter(model["outcome"] for model in models)
    name = next((name for name in _DONE if outcomes[name]), "converted")
    return f"{outcomes[name]:,} of {len(models):,} models {_DONE[name]}"


_DONE = {"convertible": "can be converted", "validated": "validated", "converted": "converted"}


def _lede(models: Sequence[JSON]) -> str:
    if len(models) == 1:
        return f"{outcome_words(models[0]['outcome']).capitalize()}. {visible(cut(explanation(models[0]), 400))}"
    checked = [model["verification"] for model in models if verified(model)]
    said = []
    if checked:
        equal = sum(bool(v["bitwise_equal"]) for v in checked)
        said.append(
            f"{len(checked):,} of them were verified: {sum(v['calls'] for v in checked):,} calls were replayed on the "
            f"old and the new model and {sum(v['compared'] for v in checked):,} outputs compared; {equal:,} models "
            "answer bit for bit as before."
        )
    already = sum(model["outcome"] in ("unchanged", "already_tf2") for model in models)
    if already:
        said.append(
            "One was a TF2 SavedModel already." if already == 1 else f"{already:,} were TF2 SavedModels already."
        )
    trouble = sum(map(needs_attention, models))
    if trouble:
        said.append(f"{trouble:,} {'needs' if trouble == 1 else 'need'} attention.")
    return " ".join(said) or "Nothing needs attention."


def _made_by(tool: Mapping[str, Any]) -> str:
    parts = [f"migrate {tool.get('version')}"]
    parts += [
        f"{name} {tool[key]}" for key, name in (("tensorflow", "TensorFlow"), ("python", "Python")) if tool.get(key)
    ]
    return visible(" \u00b7 ".join(parts))


def _tiles(models: Sequence[JSON]) -> list[tuple[str, str, str]]:
    """(label, value, tone) of the figures at the top."""
    good, trouble = sum(map(is_good, models)), sum(map(needs_attention, models))
    checked = sum(map(verified, models))
    sizes = [model["bytes"] for model in models if isinstance(model.get("bytes"), int)]
    parameters = sum(_parameters(model) for model in models)
    return [
        ("models", f"{len(models):,}", ""),
        ("ended well", f"{good:,}", "good" if good else ""),
        ("verified", f"{checked:,}", "good" if checked else ""),
        ("need attention", f"{trouble:,}", "bad" if trouble else ""),
        ("parameters", _short(parameters), ""),
        ("stored", size_words(sum(sizes)) if sizes else "unknown", ""),
    ]


def _parameters(model: JSON) -> int:
    total = 0
    for variable in _variables(model):
        shape = variable["shape"]
        if shape is not None and None not in shape:
            size = math.prod(shape)
            total += size if 0 <= size < 1 << 53 else 0
    return total


def _outcomes(outcomes: Counter[str], total: int) -> list[JSON]:
    """The segments of the chart, good ones first."""
    known = [name for name in (*GOOD, *BAD) if outcomes[name]]
    names = known + sorted(set(outcomes) - set(known))
    shown, start = [], 0.0
    for name in names:
        width = 1000 * outcomes[name] / total
        shown.append(
            {
                "name": name,
                "words": outcome_words(name),
                "count": outcomes[name],
                "share": f"{100 * outcomes[name] / total:.1f} %",
                "tone": name if name in (*GOOD, *BAD) else "unknown",
                "x": round(start, 2),
                "width": round(max(width - 2, 1.0), 2),
            }
        )
        start += width
    return shown


def _findings(models: Sequence[JSON], codes: Sequence[str]) -> list[JSON]:
    """The codes that concern most models, what refuses first."""
    counts: dict[str, Counter[str]] = {severity: Counter() for severity in _SEVERITIES}
    for model in models:
        worst: dict[str, str] = {}
        for finding in model["findings"]:
            severity = finding["severity"] if finding["severity"] in _SEVERITIES else "note"
            known = worst.get(finding["code"], "note")
            worst[finding["code"]] = max(known, severity, key=_SEVERITIES.index)
        for code, severity in worst.items():
            counts[severity][code] += 1
    rows = [
        (severity, code, count)
        for severity in reversed(_SEVERITIES)
        for code, count in sorted(counts[severity].items(), key=lambda pair: (-pair[1], pair[0]))
    ][:_TOP_FINDINGS]
    most = max((count for _, _, count in rows), default=1)
    return [
        {
            "severity": severity,
            "code": visible(cut(code, 80)),
            "place": codes.index(code),
            "meaning": _meaning(code),
            "count": count,
            "width": round(100 * count / most, 2),
        }
        for severity, code, count in rows
    ]


# What the script shows.


def _legend(codes: Sequence[str]) -> JSON:
    return {
        "codes": codes,
        "meanings": {code: _meaning(code) for code in codes if code in explanations()},
        "outcomes": {name: outcome_words(name) for name in (*GOOD, *BAD)},
        "good": list(GOOD),
        "chunk": _CHUNK,
    }


def _meaning(code: str) -> str:
    """What a code means, why it matters and what to do; empty for one that this version does not know."""
    found = explanations().get(code)
    return "" if found is None else f"{found.meaning} {found.why} What to do: {found.remedy}".replace("`", "")


def _row(model: JSON, name: str, codes: Sequence[str]) -> list[Any]:
    """A model in the table: name, outcome, kind, TF version, bytes, codes, worst severity, seconds, verified."""
    places = {code: place for place, code in enumerate(codes)} if model["findings"] else {}
    chosen = _chosen(model) or {}
    severities = [_SEVERITIES.index(f["severity"]) for f in model["findings"] if f["severity"] in _SEVERITIES]
    seconds = sum(s for s in model["seconds"].values() if isinstance(s, (int, float)))
    return [
        name,
        model["outcome"],
        kind_words(model["kind"]),
        visible(cut(chosen.get("tf_version") or "", 40)),
        model.get("bytes"),
        list(dict.fromkeys(places[f["code"]] for f in sorted(model["findings"], key=_weight))),
        max(severities, default=-1),
        round(seconds, 3),
        int(verified(model)),
    ]


def _weight(finding: JSON) -> int:
    return -_SEVERITIES.index(finding["severity"]) if finding["severity"] in _SEVERITIES else 0


def _chosen(model: JSON) -> JSON | None:
    """The meta graph that a client means when it names none."""
    graphs: list[JSON] = model["meta_graphs"]
    return next(iter([g for g in graphs if "serve" in g["tags"]] or graphs), None)


def _variables(model: JSON) -> list[JSON]:
    """Variables of the meta graph, weights of a Keras file or tensors of a checkpoint."""
    keras, checkpoint = model.get("keras") or {}, model.get("checkpoint") or {}
    found: list[JSON] = (
        (_chosen(model) or {}).get("variables") or keras.get("weights") or checkpoint.get("tensors") or []
    )
    return found


def _details(model: JSON) -> JSON:
    chosen = _chosen(model) or {}
    variables = _variables(model)
    verification = model.get("verification")
    return {
        "source": cut(model["source"], _TEXT_CHARACTERS),
        "destination": cut(model.get("destination") or "", _TEXT_CHARACTERS),
        "outcome": model["outcome"],
        "explanation": cut(explanation(model), _TEXT_CHARACTERS),
        "tail": cut((model.get("detail") or {}).get("stderr_tail") or "", _TEXT_CHARACTERS),
        "kind": kind_words(model["kind"]),
        "facts": list(_facts(model, chosen)),
        "findings": [
            {
                "code": finding["code"],
                "severity": finding["severity"],
                "message": cut(finding["message"], _TEXT_CHARACTERS),
                "hint": cut(finding["hint"], _TEXT_CHARACTERS),
                "template": cut(finding.get("template", ""), _TEMPLATE_CHARACTERS),
                "nodes": [cut(node, _NAME_CHARACTERS) for node in finding["nodes"][:_MOST_NODES]],
                "more": max(0, len(finding["nodes"]) - _MOST_NODES),
            }
            for finding in sorted(model["findings"], key=_weight)[:_MOST_FINDINGS]
        ],
        "signatures": _signatures(model.get("signatures") or {}, model.get("converted_signatures")),
        "variables": [
            [cut(v["name"], _NAME_CHARACTERS), v["dtype"], _shape(v["shape"]), _roles(v)]
            for v in variables[:_MOST_VARIABLES]
        ],
        "more_variables": max(0, len(variables) - _MOST_VARIABLES),
        "verification": _verification(verification) if verification else None,
        "sketches": [_sketch(s) for s in (model.get("sketches") or [])[:_MOST_SKETCHES]],
        "seconds": [[cut(step, 80), s] for step, s in model["seconds"].items() if isinstance(s, (int, float))],
    }


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
        parameters = _parameters(model)
        told = f"{len(variables):,} ({kinds}), {_short(parameters)} parameter{'' if parameters == 1 else 's'}"
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
        yield "Weights", f"{count_words(len(keras['weights']), 'tensor')}, {_short(_parameters(model))} parameters"
        if keras["optimizer"]["class_name"]:
            yield (
                "Optimizer",
                cut(f"{keras['optimizer']['class_name']}, {keras['optimizer']['variables']:,} variables", 80),
            )
    checkpoint = model.get("checkpoint")
    if checkpoint:
        based = "object-based" if checkpoint["object_based"] else "name-based"
        yield "Checkpoint", f"format {checkpoint['format']}, {based}, {count_words(checkpoint['shards'], 'shard')}"
        yield "Tensors", f"{count_words(len(checkpoint['tensors']), 'tensor')}, {_short(_parameters(model))} parameters"
    if isinstance(model.get("bytes"), int):
        yield "Stored", size_words(model["bytes"])
    if len(model["meta_graphs"]) > 1:
        yield "Meta graphs", f"{len(model['meta_graphs'])}; this page shows the one that is served"


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
    roles += [] if variable["needed"] else ["not needed"]
    return ", ".join(roles)


def _verification(verification: JSON) -> JSON:
    worst: dict[tuple[str, str], JSON] = {}
    for output in verification.get("outputs") or ():
        key = (output["signature"], output["output"])
        if key not in worst or _distance(output) > _distance(worst[key]):
            worst[key] = output
    mismatches = verification["mismatches"]
    return {
        "passed": verification["passed"],
        "told": f"Calls replayed: {verification['calls']:,}. Outputs compared: {verification['compared']:,}, with "
        f"{verification['values']:,} values. Variables compared with the source's checkpoint: "
        f"{verification['variables_compared']:,}.",
        "bitwise_equal": verification["bitwise_equal"],
        "outputs": [
            [
                cut(signature, _NAME_CHARACTERS),
                cut(output, _NAME_CHARACTERS),
                *(o[key] for key in ("max_abs_difference", "max_ulps", "bitwise_equal", "path")),
            ]
            for (signature, output), o in list(worst.items())[:_MOST_ROWS]
        ],
        "more_outputs": max(0, len(worst) - _MOST_ROWS),
        "mismatches": [
            [cut(str(m[key]), _TEXT_CHARACTERS) for key in ("signature", "output", "call", "path", "reason")]
            for m in mismatches[:_MOST_ROWS]
        ],
        "more_mismatches": max(0, len(mismatches) - _MOST_ROWS),
        "unverified": [
            [cut(what, _NAME_CHARACTERS), cut(why, _TEXT_CHARACTERS)]
            for what, why in list(verification.get("unverified", {}).items())[:_MOST_ROWS]
        ],
        "skipped": [
            [cut(key, _NAME_CHARACTERS), cut(why, _TEXT_CHARACTERS)]
            for key, why in list(verification["skipped"].items())[:_MOST_ROWS]
            if key not in verification.get("unverified", {})
        ],
    }


def _distance(output: JSON) -> tuple[float, int, bool]:
    return float(output["max_abs_difference"]), output["max_ulps"], not output["bitwise_equal"]


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


def _short(number: int) -> str:
    for unit, size in (("billion", 10**9), ("million", 10**6)):
        if number >= size:
            return f"{number / size:,.1f} {unit}"
    return f"{number:,}"
