"""What has become better, worse, new between two reports on the same models."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from migrate.escapes import visible
from migrate.frozen import frozen
from migrate.report.labels import JSON, is_good, outcome_words, short_names, verified
from migrate.report.layout import Block, Indented, Table, text, unbroken
from migrate.report.layout import render as lay_out

_KINDS = ("worse", "better", "changed", "new", "gone", "same")
_STYLES = {"worse": "bold red", "better": "bold green", "new": "bold cyan", "gone": "bold yellow"}
_READ = ("refused", "unverified", "mismatched")
"""Outcomes of models that were at least read; the others are worse."""


@frozen
class Change:
    """One model in both reports.

    Attributes:
      name: the model.
      kind: one of `worse`, `better`, `changed` (it ended alike, with other findings), `new`, `gone`, `same`.
      before: how it ended in the old report, or empty.
      after: how it ended in the new report, or empty.
      appeared: finding codes that are new.
      disappeared: finding codes that are gone.
    """

    name: str
    kind: str
    before: str
    after: str
    appeared: tuple[str, ...]
    disappeared: tuple[str, ...]


def compare(new: Mapping[str, Any], old: Mapping[str, Any]) -> tuple[Change, ...]:
    """Compares two documents (`report.json.to_document`), model by model, the worst changes first.

    Models belong together that have the same source; where no two have, those whose path in their tree is the same.
    """
    news, olds = _by_name(new["models"], old["models"])
    changes = [_change(name, news.get(name), olds.get(name)) for name in dict.fromkeys([*news, *olds])]
    return tuple(sorted(changes, key=lambda change: _KINDS.index(change.kind)))


def _by_name(new: Sequence[JSON], old: Sequence[JSON]) -> tuple[dict[str, JSON], dict[str, JSON]]:
    news, olds = {_key(model): model for model in new}, {_key(model): model for model in old}
    if not news.keys() & olds.keys():
        short = [dict(zip(_short(models), models, strict=True)) for models in (new, old)]
        if short[0].keys() & short[1].keys():
            return short[0], short[1]
    return news, olds


def _key(model: JSON) -> str:
    """The source and, where it is there for several tag sets, the tags."""
    tags = model["meta_graphs"][0]["tags"] if model["meta_graphs"] else []
    return model["source"] if tags in ([], ["serve"]) else f"{model['source']} {{{', '.join(sorted(tags))}}}"


def _short(models: Sequence[JSON]) -> list[str]:
    return short_names([_key(model) for model in models])


def _change(name: str, new: JSON | None, old: JSON | None) -> Change:
    if new is None or old is None:
        there = new or old
        assert there is not None
        words = _outcome(there)
        return Change(
            name, "gone" if new is None else "new", words if new is None else "", words if new else "", (), ()
        )
    now, then = _codes(new), _codes(old)
    appeared = tuple(code for code in now if code not in then)
    disappeared = tuple(code for code in then if code not in now)
    difference = _rank(new) - _rank(old)
    if difference:
        kind = "better" if difference > 0 else "worse"
    else:
        kind = "changed" if appeared or disappeared or _outcome(new) != _outcome(old) else "same"
    return Change(name, kind, _outcome(old), _outcome(new), appeared, disappeared)


def _rank(model: JSON) -> int:
    if is_good(model):
        unverified = model["outcome"] == "converted" and not verified(model)
        return 2 if unverified else 3
    return 1 if model["outcome"] in _READ else 0


def _codes(model: JSON) -> list[str]:
    return list(dict.fromkeys(finding["code"] for finding in model["findings"] if finding["severity"] != "note"))


def _outcome(model: JSON) -> str:
    words = visible(outcome_words(model["outcome"]))
    if model["outcome"] == "converted":
        return f"{words} and verified" if verified(model) else f"{words}, not verified"
    return words


def counts(changes: Sequence[Change]) -> dict[str, int]:
    """How many models changed in each way."""
    return {kind: sum(change.kind == kind for change in changes) for kind in _KINDS}


def dumps(changes: Sequence[Change]) -> str:
    """A comparison as JSON text."""
    models = [
        {name: list(value) if isinstance(value, tuple) else value for name, value in vars(change).items()}
        for change in changes
    ]
    return json.dumps({"schema_version": 1, "counts": counts(changes), "models": models}, indent=2) + "\n"


def render(changes: Sequence[Change], width: int, color: bool) -> str:
    """A comparison as lines; what is the same is only counted."""
    return lay_out(_blocks(changes), max(width, 20), color)


def _blocks(changes: Sequence[Change]) -> Iterator[Block]:
    for kind in _KINDS[:-1]:
        found = [change for change in changes if change.kind == kind]
        if not found:
            continue
        yield text(kind, _STYLES.get(kind, "bold"))
        yield Indented(Table(tuple((text(unbroken(visible(c.name))), text(_told(c))) for c in found)))
        yield text("")
    number = len(changes)
    tally = "; ".join(f"{count:,} {kind}" for kind, count in counts(changes).items() if count)
    yield text(f"{number:,} model{'' if number == 1 else 's'}: {tally}", "bold")


def _told(change: Change) -> str:
    both = change.before and change.after and change.before != change.after
    parts = [f"was {change.before}, is {change.after}" if both else change.after or change.before]
    parts += [f"new: {', '.join(map(visible, change.appeared))}"] if change.appeared else []
    parts += [f"gone: {', '.join(map(visible, change.disappeared))}"] if change.disappeared else []
    return "; ".join(parts)
