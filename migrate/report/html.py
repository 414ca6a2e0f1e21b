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
import zlib
from collections.abc import Mapping, Sequence
from typing import Any

import jinja2
import markupsafe

from migrate.escapes import quoted, visible
from migrate.finding_codes import explanations
from migrate.report import page_overview as overview
from migrate.report.facts import SEVERITIES, chosen_graph, gravest_first, is_audit, shared_flags_of
from migrate.report.labels import GOOD, JSON, cut, explanation, is_good, kind_words, refusals, short_names, verified
from migrate.report.page_model import details

_CHUNK = 16
"""Models whose details are unfolded together when one of them is opened."""

_NAME_CHARACTERS = 300
_REASON_CHARACTERS = 90
_LISTED = 1000
"""Models that the page lists where no script runs."""

_SCRIPTS = ("base.js", "table.js", "address.js", "export.js", "graph.js", "model.js", "start.js")
"""One script, in the order of its parts: each uses what those before it define."""


def to_html(document: Mapping[str, Any]) -> str:
    """Gives a report's JSON document as an HTML text."""
    models: list[JSON] = document["models"]
    audit = is_audit(models)
    short = short_names([model["source"] for model in models])
    names = [visible(cut(name, _NAME_CHARACTERS)) for name in short]
    style, script = _asset("report.css"), _script()
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True)
    template = environment.from_string(_asset("report.html"))
    codes = sorted({finding["code"] for model in models for finding in model["findings"]})
    proposals = overview.proposals(models)
    flags = [p["flags"] for p in proposals]
    code_places, flag_places = ({word: place for place, word in enumerate(words)} for words in (codes, flags))
    rows = [_row(m, n, code_places, audit, flag_places) for m, n in zip(models, names, strict=True)]
    pages = [details(model, row[1]) for model, row in zip(models, rows, strict=True)]
    return template.render(
        style=markupsafe.Markup(style),
        script=markupsafe.Markup(script),
        policy=f"default-src 'none'; img-src data:; script-src {_hash(script)}; style-src {_hash(style)}; "
        "base-uri 'none'; form-action 'none'",
        audit=audit,
        headline=overview.headline(models, names),
        lede=overview.lede(models),
        made_by=overview.made_by(document["tool"]),
        tiles=overview.tiles(models),
        outcomes=overview.outcomes(models),
        findings=overview.findings(models, codes),
        proposals=proposals[:_LISTED] if len(models) > 1 else [],
        number_of_codes=len(codes),
        number_of_models=len(models),
        listed=[
            [row[0], overview.page_words(row[1], audit), row[2], _first_code(row, codes)] for row in rows[:_LISTED]
        ],
        index=_packed(
            {
                "rows": rows,
                "flags": flags,
                "command": _command(models),
                "whole": bool(document.get("whole_tree")) and not document.get("not_started"),
                "taken": [code_places[code] for code in _TAKEN if code in code_places],
                **_legend(codes, audit),
                **_roots(models, short),
            }
        ),
        chunks=[_packed(pages[start : start + _CHUNK]) for start in range(0, len(models), _CHUNK)],
    )


def _asset(name: str) -> str:
    return importlib.resources.files("migrate.report").joinpath("page").joinpath(name).read_text(encoding="utf-8")


def _script() -> str:
    return "\n".join(['"use strict";', "(() => {", *map(_asset, _SCRIPTS), "})();"])


def _hash(text: str) -> str:
    digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
    return f"'sha256-{digest}'"


def _packed(value: Any) -> str:
    text = json.dumps(value, separators=(",", ":"), allow_nan=False)
    return base64.b64encode(zlib.compress(text.encode(), 9)).decode()


def _legend(codes: Sequence[str], audit: bool) -> JSON:
    return {
        "codes": codes,
        "meanings": {code: overview.meaning(code) for code in codes if code in explanations()},
        "outcomes": {name: overview.page_words(name, audit) for name in overview.OUTCOMES},
        "good": list(GOOD),
        "chunk": _CHUNK,
        "audit": audit,
    }


def _roots(models: Sequence[JSON], names: Sequence[str]) -> JSON:
    """The trees that the names of the table are in, as words of a shell; empty where there is no one tree."""
    root = {m["source"].rstrip("/").removesuffix(name).rstrip("/") for m, name in zip(models, names, strict=True)}
    new = {
        model["destination"].rstrip("/").removesuffix(name.removesuffix(ending)).rstrip("/")
        for model, name in zip(models, names, strict=True)
        if model.get("destination")
        for ending in [next((e for e in _ENDINGS if name.endswith(e) and not model["destination"].endswith(name)), "")]
    }
    return {"root": _word(root) if len(models) > 1 else "", "new_root": _word(new) if len(models) > 1 else ""}


def _command(models: Sequence[JSON]) -> str:
    """The command that does again what a report is about; after an audit, the one that follows."""
    validated = any(model["outcome"] == "validated" for model in models)
    compared = any(model.get("verification") for model in models)
    return "validate" if validated or (compared and not any("export" in m["seconds"] for m in models)) else "convert"


_TAKEN = ("signature-proposed", "feed-proposed")
"""Findings of a run that had --take_proposals."""

_UNREADABLE = "unreadable"

_ENDINGS = (".h5", ".hdf5", ".keras", ".json", ".yaml", ".pb", ".pbtxt", ".meta", ".zip", ".tar", ".tar.gz", ".tgz")
"""Of a file's name, which the directory of its new model does not have."""


def _word(paths: set[str]) -> str:
    path = paths.pop() if len(paths) == 1 else ""
    return quoted(path) if path and path.isprintable() else ""


def _row(model: JSON, name: str, codes: Mapping[str, int], audit: bool, proposals: Mapping[str, int]) -> list[Any]:
    """A model in the table.

    Its name, outcome, kind, TensorFlow version, bytes, codes, worst severity, seconds, whether it is verified, which
    proposal helps (-1: none), why it is not good where no finding says so, and whether it is unreadable, which the
    table says in place of that. `codes` and `proposals` give places.
    """
    chosen = chosen_graph(model) or {}
    severities = [SEVERITIES.index(f["severity"]) for f in model["findings"] if f["severity"] in SEVERITIES]
    seconds = sum(s for s in model["seconds"].values() if isinstance(s, (int, float)))
    flags = " ".join(shared_flags_of(model))
    return [
        name,
        overview.page_outcome(model, audit),
        kind_words(model["kind"]),
        visible(cut(chosen.get("tf_version") or "", 40)),
        model.get("bytes"),
        list(dict.fromkeys(codes[f["code"]] for f in sorted(model["findings"], key=gravest_first))),
        max(severities, default=-1),
        round(seconds, 3),
        int(verified(model)),
        proposals[flags] if flags else -1,
        "" if is_good(model) or refusals(model) else visible(cut(explanation(model), _REASON_CHARACTERS)),
        int(model["outcome"] == _UNREADABLE),
    ]


def _first_code(row: Sequence[Any], codes: Sequence[str]) -> str:
    return visible(cut(codes[row[5][0]], _NAME_CHARACTERS)) if row[5] else _UNREADABLE if row[11] else str(row[10])
