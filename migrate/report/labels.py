"""The words that the files of a report share. Everything here takes the JSON document, not the records."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from migrate.errors import count_words
from migrate.sources.forms import LABELS

JSON = dict[str, Any]

GOOD = ("converted", "unchanged", "validated", "convertible", "already_tf2")
"""Outcomes that need nobody's attention, in the order in which charts show them."""
BAD = ("refused", "mismatched", "unverified", "unreadable", "failed", "crashed", "timed_out")

READY, FLAGGED, BLOCKED, EXPECTED = "ready", "flagged", "blocked", "expected"
BUCKETS = {
    READY: "ready",
    FLAGGED: "ready with a flag",
    BLOCKED: "blocked",
    EXPECTED: "blocked as the config expects",
}
"""In which of these an audit puts each model, and how every form of its report calls it; see `report/buckets.py`."""

_KINDS = {kind.value: labels.page for kind, labels in LABELS.items()}


def is_good(model: Mapping[str, Any]) -> bool:
    """Whether a model ended well.

    Example:
      >>> is_good({"outcome": "converted"}), is_good({"outcome": "refused"})
      (True, False)
    """
    return model.get("outcome") in GOOD


def is_expected(model: Mapping[str, Any]) -> bool:
    """Whether it ended as its owner expects, refused or unreadable, which is no failure."""
    return bool(model.get("expected"))


def needs_attention(model: Mapping[str, Any]) -> bool:
    """Whether somebody should look at how it ended."""
    return not is_good(model) and not is_expected(model)


def bucket_of(model: Mapping[str, Any]) -> str:
    """Where an audit puts a model: a key of `BUCKETS`.

    Example:
      >>> bucket_of({"outcome": "refused", "proposed_options": {"feed": ["x:0=1"]}}), bucket_of({"outcome": "refused"})
      ('flagged', 'blocked')
    """
    if is_expected(model):
        return EXPECTED
    if is_good(model):
        return READY
    return BLOCKED if model.get("proposed_options") is None else FLAGGED


def outcome_words(outcome: str) -> str:
    """`already_tf2` as `already TF2`.

    Example:
      >>> outcome_words("already_tf2")
      'already TF2'
    """
    return outcome.replace("_", " ").replace("tf2", "TF2")


def kind_words(kind: str) -> str:
    """A kind as a reader knows it; one that this version does not know, with spaces.

    Example:
      >>> kind_words("frozen_graph"), kind_words("made_later")
      ('frozen graph', 'made later')
    """
    return _KINDS.get(kind, kind.replace("_", " "))


def verified(model: Mapping[str, Any]) -> bool:
    """Whether the new model's answers were compared and found good."""
    verification = model.get("verification")
    return bool(is_good(model) and verification and verification.get("passed"))


def refusals(model: Mapping[str, Any]) -> list[JSON]:
    """The findings that stop the conversion."""
    return [finding for finding in model.get("findings", ()) if finding.get("severity") == "refusal"]


def breaks(mismatch: Mapping[str, Any]) -> str:
    """The clients that a difference breaks, or `nobody`; empty where the report does not say.

    Example:
      >>> breaks({"clients": ["Serving REST", "gRPC"]}), breaks({"clients": []})
      ('Serving REST, gRPC', 'nobody')
    """
    if "clients" not in mismatch:
        return ""
    return ", ".join(mismatch["clients"]) or "nobody"


def explanation(model: Mapping[str, Any]) -> str:
    """One or a few lines on how a model ended.

    Example:
      >>> explanation({"outcome": "timed_out", "detail": {"step": "export", "seconds": 60}})
      'The step export passed its limit of 60 seconds.'
    """
    detail = model.get("detail") or {}
    match model.get("outcome"):
        case "convertible":
            return "It can be converted."
        case "already_tf2":
            return "It is a TF2 SavedModel already; convert copies it as it is."
        case "converted":
            if model.get("skipped") and not model.get("verification"):
                return "It was converted before, and nothing has changed since."
            return "The new model answers as the source does." if verified(model) else "Converted, and not verified."
        case "unchanged":
            return "It is a TF2 SavedModel already and was copied as it is."
        case "validated":
            return "The candidate answers as the source does."
        case "refused":
            count = len(refusals(model))
            known = f", as expected ({model['expected']})" if is_expected(model) else ""
            blocks = f"{count} finding{' blocks' if count == 1 else 's block'} the conversion{known}"
            return f"{blocks}; nothing was written." if model.get("destination") else f"{blocks}."
        case "crashed":
            code = detail.get("exit_code", 0)
            ended = f"killed by signal {-code}" if isinstance(code, int) and code < 0 else f"exit code {code}"
            return f"The step {detail.get('step')} died: {ended}."
        case "timed_out":
            return f"The step {detail.get('step')} passed its limit of {detail.get('seconds')} seconds."
        case _:
            return str(detail.get("reason") or "")


def judges_words(judgement: JSON) -> str:
    """Who has answered for a source, and how near the new model is; empty where that was TensorFlow 2, as ever.

    Example:
      >>> one = {"signature": "f", "output": "y", "values": 3, "beyond": ""}
      >>> found = {"judges": ["tf2", "tf1"], "version": "1.15.5", "confined": True, "reason": "", "outputs": [one]}
      >>> judges_words({**found, "bitwise_equal": True, "max_relative_difference": 0.0})
      'TensorFlow 2; TensorFlow 1.15.5, bit for bit'
      >>> judges_words({**found, "bitwise_equal": False, "max_relative_difference": 2.5e-08})
      'TensorFlow 2; TensorFlow 1.15.5, at most 2.5e-08 of the largest value apart'
    """
    told = ["TensorFlow 2"] if "tf2" in judgement["judges"] else []
    if "tf1" not in judgement["judges"]:
        return f"TensorFlow 2 alone: {judgement['reason']}" if judgement["reason"] else ""
    beyond = [output for output in judgement["outputs"] if output["beyond"]]
    if beyond:
        near = f"{count_words(len(beyond), 'output')} of {len(judgement['outputs']):,} beyond the bounds"
    elif not any(output["values"] for output in judgement["outputs"]):
        near = "no value was compared"
    elif judgement["bitwise_equal"]:
        near = "bit for bit"
    else:
        near = f"at most {float(judgement['max_relative_difference']):.2g} of the largest value apart"
    confined = "" if judgement["confined"] else " (not confined)"
    alone = f" alone ({judgement['reason']})" if judgement["reason"] else ""
    return "; ".join([*told, f"TensorFlow {judgement['version']}{alone}{confined}, {near}"])


def coverage_words(nodes: int, reached: int, never: Sequence[str]) -> str:
    """How much of a graph the calls have executed.

    Example:
      >>> coverage_words(230, 228, ["cond/Add", "cond/Add/y"])
      'calls reached 228 of 230 nodes; never: 2 in cond/'
      >>> coverage_words(3, 3, [])
      'calls reached 3 of 3 nodes'
    """
    words = f"calls reached {reached:,} of {nodes:,} nodes"
    places: dict[str, int] = {}
    for name in never:
        scope, slash, _ = name.partition("/")
        place = scope + slash
        places[place] = places.get(place, 0) + 1
    named = [f"{count} in {place}" if place.endswith("/") else place for place, count in places.items()]
    if len(named) > _PLACES_SHOWN:
        named = [*named[:_PLACES_SHOWN], "..."]
    return f"{words}; never: {', '.join(named)}" if named else words


_PLACES_SHOWN = 4


def tally(counts: Mapping[str, int], separator: str = ", ") -> str:
    """`2 converted, 1 refused`: what there is at least one of.

    Example:
      >>> tally({"converted": 2, "refused": 1, "failed": 0})
      '2 converted, 1 refused'
    """
    return separator.join(f"{number:,} {word}" for word, number in counts.items() if number)


def cut(text: str, characters: int) -> str:
    """A text's beginning where it is longer than `characters`.

    Example:
      >>> len(cut("a long text", 6))
      6
    """
    return text if len(text) <= characters else text[: characters - 1] + "\u2026"


def short_names(sources: Sequence[str]) -> list[str]:
    """Leaves out the directories that all sources share; a path may be `gs://...`, so no `os.path` here.

    Example:
      >>> short_names(["gs://bucket/a/ranker", "gs://bucket/a/reader"])
      ['ranker', 'reader']
    """
    parts = [source.rstrip("/").split("/") for source in sources]
    shared = 0
    for level in zip(*parts, strict=False):
        if len(set(level)) > 1:
            break
        shared += 1
    # A source that is the parent of another keeps its last name.
    shared = min(shared, *(len(part) - 1 for part in parts)) if parts else 0
    return ["/".join(part[shared:]) for part in parts]


def size_words(number: int) -> str:
    """A number of bytes as people read it: `7 bytes`, `1.3 MB`.

    Example:
      >>> size_words(7), size_words(1_300_000)
      ('7 bytes', '1.3 MB')
    """
    size = float(number)
    for unit in ("bytes", "kB", "MB", "GB"):
        if round(size, 1) < 1000:  # 999.96 kB would be shown as 1000.0 kB.
            return f"{size:.0f} {unit}" if unit == "bytes" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:,.1f} TB"
