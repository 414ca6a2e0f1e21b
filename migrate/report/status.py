"""What `migrate status` says, as text."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from migrate.errors import count_words
from migrate.escapes import visible
from migrate.report.labels import outcome_words, tally
from migrate.report.layout import Block, Table, text, unbroken
from migrate.report.layout import render as lay_out

_STEPS = ((86400, "day"), (3600, "hour"), (60, "minute"), (1, "second"))


def render(document: Mapping[str, Any], width: int, color: bool, now: float | None = None) -> str:
    """Gives a status as lines.

    Args:
      document: of `fleet.status.to_document`.
      width: of the terminal.
      color: whether to color it.
      now: the time, in seconds since 1970.
    """
    return lay_out(_blocks(document, time.time() if now is None else now), max(width, 20), color)


def _blocks(document: Mapping[str, Any], now: float) -> Iterator[Block]:
    models = document["models"]
    last = max((model["time"] for model in models if model["time"] is not None), default=None)
    when = "" if last is None else f", the last one done {age(now - last)} ago"
    yield text(
        f"{unbroken(visible(document['tree']))}: {count_words(len(models), 'model')} in the journal{when}", "bold"
    )
    yield text("")
    rows = [tuple(text(head, "dim") for head in ("model", "outcome", "age", "since then"))]
    for model in models:
        style = "green" if model["good"] else "red"
        since = "; ".join(model["changes"])
        old = "" if model["time"] is None else age(now - model["time"])
        name = text(unbroken(visible(model["name"])))
        rows.append((name, text(_outcome(model), style), text(old), text(since, "yellow")))
    yield Table(tuple(rows), fixed=frozenset({2}))
    yield text("")
    yield text("\n".join(_totals(models)), "bold")


def _totals(models: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    yield f"{count_words(len(models), 'model')}: {tally(Counter(map(_outcome, models)), '; ')}"
    changes = Counter(change for model in models for change in model["changes"])
    if changes:
        yield f"changed since, by number of models: {tally(changes, '; ')}"
    else:
        yield "nothing has changed since"
    others = sum(model["other_version"] for model in models)
    if others:
        yield f"{others:,} written by another version of migrate or TensorFlow"


def _outcome(model: Mapping[str, Any]) -> str:
    words = outcome_words(model["outcome"])
    if model["outcome"] == "converted":
        words += " and verified" if model["verified"] else ", not verified"
    if model["expected"]:
        words += ", as expected"
    return words


def age(seconds: float) -> str:
    """A time that has passed, in its largest unit: `3 hours`."""
    for size, unit in _STEPS:
        if seconds >= size:
            return count_words(int(seconds // size), unit)
    return "0 seconds"
