"""What the page shows of the comparison of a new model with its source, as plain values."""

from __future__ import annotations

from collections.abc import Iterator

from migrate.errors import count_words
from migrate.levels import FULL
from migrate.report.labels import JSON, breaks, coverage_words, cut, judges_words

_TEXT_CHARACTERS = 2000
_NAME_CHARACTERS = 300
_MOST_NOT_PROVED = 5
_MOST_ROWS = 200
_MOST_GOLDEN = 20


def _facts(verification: JSON) -> Iterator[tuple[str, str]]:
    """(label, text) of what was done; only what is known."""
    level = verification.get("level", FULL)
    if level != FULL:
        yield "How much", f"--verify={level}"
    yield "Calls", f"{verification['calls']:,} made to both models"
    yield "Outputs", f"{verification['compared']:,} compared, with {verification['values']:,} values"
    yield "Variables", f"{verification['variables_compared']:,} compared"
    if gradients := verification.get("gradients_compared"):
        yield "Gradients", f"{gradients:,} compared"
    if seeded := verification.get("seeded"):
        yield "Random ops", f"{len(seeded):,} outputs compared under the same seeds"
    if subnormal := verification.get("subnormal"):
        yield "Subnormal", f"{subnormal:,} values below the smallest normal number, which count as zero"
    if coverage := verification.get("coverage"):
        words = coverage_words(coverage["nodes"], coverage["reached"], coverage["never"])
        yield "Coverage", cut(words, _TEXT_CHARACTERS)
    if structure := verification.get("structure"):
        proved = f"{len(structure['outputs_proved']):,} of {count_words(structure['outputs'], 'output')}, "
        if unordered := structure.get("outputs_unordered"):
            proved += f"{len(unordered):,} as one of the answers that TF1 leaves open, "
        yield "Proof", f"{proved}{structure['variables_proved']:,} of {count_words(structure['variables'], 'variable')}"
        for what, why in list(structure["not_proved"].items())[:_MOST_NOT_PROVED]:
            yield "Not proved", f"{cut(what, _NAME_CHARACTERS)}: {cut(why, _TEXT_CHARACTERS)}"
    if judges := judges_words(verification["judgement"]) if "judgement" in verification else "":
        yield "Judges", cut(judges, _TEXT_CHARACTERS)
    if golden := verification.get("golden"):
        by = cut(golden["by"], _NAME_CHARACTERS)
        yield "Golden file", f"{cut(golden['file'], _NAME_CHARACTERS)}, answered by {by}: {golden['calls']:,} calls"
        told = [
            f"{cut(o['signature'], _NAME_CHARACTERS)}, {cut(o['output'], _NAME_CHARACTERS)}: "
            + ("equal" if o["equal"] else f"{float(o['largest']):.3g}, {float(o['relative']):.1e} of the largest value")
            for o in golden["outputs"][:_MOST_GOLDEN]
        ]
        more = len(golden["outputs"]) - _MOST_GOLDEN
        rest = f"; and {more:,} more" if more > 0 else ""
        yield "Largest difference", f"{'; '.join(told) or 'nothing was compared'}{rest}"


def comparison(verification: JSON) -> JSON:
    """What was compared, how, and what differs."""
    worst: dict[tuple[str, str], JSON] = {}
    for output in verification.get("outputs") or ():
        key = (output["signature"], output["output"])
        if key not in worst or _distance(output) > _distance(worst[key]):
            worst[key] = output
    mismatches = verification["mismatches"]
    judged = verification.get("judgement", {}).get("outputs", ())
    return {
        "passed": verification["passed"],
        "facts": list(_facts(verification)),
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
        "judged": [
            [
                cut(o["signature"], _NAME_CHARACTERS),
                cut(o["output"], _NAME_CHARACTERS),
                *(o[key] for key in ("max_abs_difference", "max_relative_difference", "bitwise_equal")),
                cut(o["beyond"], _TEXT_CHARACTERS),
            ]
            for o in judged[:_MOST_ROWS]
        ],
        "more_judged": max(0, len(judged) - _MOST_ROWS),
        "mismatches": [
            [
                *(cut(str(m[key]), _TEXT_CHARACTERS) for key in ("signature", "output")),
                str(m["call"]) if m["call"] >= 0 else "",
                *(cut(str(m[key]), _TEXT_CHARACTERS) for key in ("path", "reason")),
                cut(m.get("code", ""), _NAME_CHARACTERS),
                cut(breaks(m), _NAME_CHARACTERS),
            ]
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
