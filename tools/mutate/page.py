"""Writes docs/trust.md: what became of every planted fault, and which comparison noticed it."""

from __future__ import annotations

import collections
import json
import re
from collections.abc import Iterable, Mapping, Sequence

import migrate
from tools.mutate.bases import ROOT
from tools.mutate.catalogue import FAULTS
from tools.mutate.records import KINDS, Ended
from tools.mutate.run import Untouched
from tools.proved import section
from tools.untouched import section as untouched_section

PROVED = ROOT / "docs" / "proved.json"
"""What `tools.proved` has counted."""
UNTOUCHED = ROOT / "docs" / "untouched.json"
"""What `tools.untouched` has counted."""
UNTOUCHED_BEGIN, UNTOUCHED_END = "## Untouched conversions", "## Missed: what is not noticed"
"""Headings between which the page says what is said of them."""
BEGIN, END = "## What is not proved", "## Counts by kind"
"""Headings between which the page says what of the test models and of the corpus is not proved."""
_PROVED_HEAD = """\
Beside the comparison, the structure of a new model is proved to be the source's, without a run (docs/proof.md). Of the
models that are converted here, this is what is not proved, and the first reason. It is compared by value all the same,
except outputs that no edge of the graph orders with a write: of these TF1 itself leaves open what they are.

    python -m tools.proved docs/proved.json testdata/models testdata/forms MIGRATE_CORPUS
"""

_UNTOUCHED_HEAD = """\
All models of the test data and of a corpus of real ones are converted, or copied where they are models of
TensorFlow 2, without being compared, and `migrate validate` is asked of each with all that it compares. None may be
said to differ.

    python -m tools.untouched --write=docs/untouched.json testdata/models testdata/forms testdata/keras \\
        testdata/keras_tf1 MIGRATE_CORPUS

Where a source cannot be run, because files of it are missing, its ops are of a library that is not given, or it is run
with the user's leave alone, nothing is compared. A copy all of whose files are the source's byte for byte is the same
model, whatever it answers: TensorFlow may give other bits in a Session than in Python, and a fingerprint may be stale
in the source as well.
"""

_HEAD = """\
<!-- Written by `make mutate`; what it says by hand is in tools/mutate/page.py. -->
# What verified means, and what it has been shown to catch

`migrate validate` (and `migrate convert`, before it publishes) compares a new model with its source. This page counts
how well. Faults are planted in good conversions, one at a time: {proved} of them, by a catalogue of edits
(`tools/mutate/`); {blind} were written by somebody who had not read the checker. Each is first proved real, in a
process of its own, by TensorFlow alone: a client of the planted model sees something that a client of the untouched one
does not. The fingerprint and the digest in `migration.json` are computed anew, so that no stale checksum betrays the
edit. Then `migrate validate` is asked.

    make mutate                                          # all of it, and this page
    python -m tools.mutate --only='state/*'              # some of it
    python -m tools.mutate --only='state/*' docs/trust.md  # the same, and its lines of this page

- **caught**: the model is not called validated.
- **told**: it is called validated, with a finding that the untouched conversion does not have.
- **missed**: it is called validated, and nothing is said.
- **unverified**: it is called that, as the untouched conversion is: of some output no value can be compared.
"""


VERDICTS = ("caught", "told", "missed", "unverified")
"""Of faults that are real."""


def page(untouched: Mapping[str, Untouched], ended: Sequence[Ended]) -> str:
    """The page's text.

    Args:
      untouched: what was said of the conversions without a fault, by base.
      ended: what became of each fault.
    """
    real = [one for one in ended if not one.proof]
    blind = sum(FAULTS[one.fault].blind for one in real)
    alarms = {base: found for base, found in untouched.items() if found.is_alarm}
    parts = [
        _HEAD.format(proved=len(real), blind=blind),
        f"Counted with migrate {migrate.VERSION} on {len(untouched)} conversions.",
        "",
        *not_proved(),
        END,
        "",
        *_counts(real),
        "",
        "## What notices them",
        "",
        "`migrate explain CODE` says what each compares. A fault that several codes name counts for each.",
        "",
        *_means(real),
        "",
        "## False alarms",
        "",
        *_alarms(untouched, alarms),
        "",
        *not_said_to_differ(),
        UNTOUCHED_END,
        "",
        *_list(one for one in real if one.verdict == "missed"),
        "",
        "## Unverified, with the fault and without it",
        "",
        *_list(one for one in real if one.verdict == "unverified"),
        "",
        "## Validated, with a finding",
        "",
        *_list(one for one in real if one.verdict == "told"),
        "",
        "## Caught",
        "",
        "The codes are those that the untouched conversion does not have.",
        "",
        *_caught([one for one in real if one.verdict == "caught"]),
    ]
    unproved = [one for one in ended if one.proof]
    if unproved:
        parts += [
            "",
            "## Not counted: no client sees a difference",
            "",
            *(f"- `{one.fault}`: {FAULTS[one.fault].says} ({_last(one.proof)})" for one in unproved),
        ]
    return "\n".join(parts) + "\n"


_SECTIONS = {"Missed: what is not noticed": "missed", "Validated, with a finding": "told", "Caught": "caught"}
_SECTIONS["Unverified, with the fault and without it"] = "unverified"
_ROW = re.compile(r"\| `(?P<name>[^`]+)` \| [^|]+ \| .+ \| (?P<outcome>\w+)(?:: (?P<codes>[^|]+))? \|")
_LINE = re.compile(r"- `(?P<name>[^`]+)` in `[^`]+`: .+?(?: \((?P<codes>[a-z0-9, -]+)\))?(?: Harmless: .+)?")


def known(text: str) -> dict[str, Ended]:
    """What a page says of the faults that are in the catalogue still, by full name; those that no client sees are not.

    Args:
      text: the page's, without false alarms.

    Raises:
      ValueError: it has a false alarm, of which it does not say enough.
    """
    if "\nNone: of " not in text:
        raise ValueError("the page has a false alarm: run the whole catalogue")
    found: dict[str, Ended] = {}
    verdict = kind = ""
    for line in text.splitlines():
        if line.startswith("## "):
            verdict, kind = _SECTIONS.get(line[3:], ""), ""
        elif line.startswith("### "):
            kind = line[4:].partition(":")[0]
        match = (_ROW if kind else _LINE).fullmatch(line) if verdict else None
        name = f"{kind}/{match['name']}" if match and kind else match["name"] if match else ""
        if match and name in FAULTS:
            outcome = match["outcome"] if kind else "unverified" if verdict == "unverified" else "validated"
            codes = tuple(match["codes"].split(", ")) if match["codes"] else ()
            found[name] = Ended(name, "", verdict, outcome, codes)
    return found


def updated(text: str, untouched: Mapping[str, Untouched], ended: Sequence[Ended]) -> str:
    """A page with what became of some faults made again, and of the others as it is.

    Args:
      text: the page's.
      untouched: what was said of the conversions of those faults.
      ended: what became of them.
    """
    before = known(text)
    by_name = {**before, **{one.fault: one for one in ended}}
    others = {FAULTS[name].base for name in before} - untouched.keys()
    every = {**{base: Untouched("validated", {}) for base in sorted(others)}, **untouched}
    return page(every, [by_name[name] for name in FAULTS if name in by_name])


def _last(words: str) -> str:
    """The last line of an error, which is the one that names it; the lines before hold paths of this machine."""
    return words.replace("\\n", "\n").strip().splitlines()[-1].partition(", call=")[0].rstrip("'\"")


def not_proved() -> list[str]:
    """The lines of the section that begins with `BEGIN`."""
    return [BEGIN, "", _PROVED_HEAD, *section(json.loads(PROVED.read_text(encoding="utf-8"))), ""]


def not_said_to_differ() -> list[str]:
    """The lines of the section of the conversions of test data and corpus."""
    return [UNTOUCHED_BEGIN, "", _UNTOUCHED_HEAD, *untouched_section(json.loads(UNTOUCHED.read_text("utf-8"))), ""]


def with_untouched(text: str) -> str:
    """A page with that section made again, and the rest as it is."""
    before, _, after = text.partition(f"{UNTOUCHED_END}\n")
    kept = before.partition(f"{UNTOUCHED_BEGIN}\n")[0].rstrip("\n")
    return "\n".join([kept, "", *not_said_to_differ(), f"{UNTOUCHED_END}\n"]) + after


def with_proved(text: str) -> str:
    """A page with that section made again, and the rest as it is."""
    before, _, after = text.partition(f"{END}\n")
    return "\n".join([before.partition(f"{BEGIN}\n")[0].rstrip("\n"), "", *not_proved(), f"{END}\n"]) + after


def _counts(real: Sequence[Ended]) -> list[str]:
    rows = ["| kind | what | faults | caught | told | missed | unverified |", "|---|---|---|---|---|---|---|"]
    for kind, what in KINDS.items():
        rows.append(f"| {kind} | {what} | {_numbers([one for one in real if FAULTS[one.fault].kind == kind])} |")
    rows.append(f"| all | | {_numbers(real)} |")
    return rows


def _means(real: Sequence[Ended]) -> list[str]:
    """By which codes the faults of each kind are caught or told."""
    rows = ["| kind | by which codes, and how many of its faults |", "|---|---|"]
    for kind in KINDS:
        codes = collections.Counter(
            code for one in real if FAULTS[one.fault].kind == kind for code in one.codes if code != one.outcome
        )
        found = ", ".join(f"`{code}` {count}" for code, count in codes.most_common())
        rows.append(f"| {kind} | {found or 'none'} |")
    return rows


def _numbers(found: Sequence[Ended]) -> str:
    verdicts = collections.Counter(one.verdict for one in found)
    return " | ".join(str(number) for number in (len(found), *(verdicts[v] for v in VERDICTS)))


def _alarms(untouched: Mapping[str, Untouched], alarms: Mapping[str, Untouched]) -> list[str]:
    if not alarms:
        unverified = [base for base, found in untouched.items() if found.outcome == "unverified"]
        more = f"; of {len(unverified)} some output could not be compared by value: {', '.join(unverified)}"
        return [f"None: of {len(untouched)} untouched conversions none is said to differ{more if unverified else ''}."]
    return [f"- `{base}`: {found.outcome}: {found.reason}" for base, found in alarms.items()]


def _list(found: Iterable[Ended]) -> list[str]:
    lines = []
    for one in found:
        codes = f" ({', '.join(one.codes)})" if one.codes else ""
        fault = FAULTS[one.fault]
        harmless = f" Harmless: {fault.harmless}." if fault.harmless and one.verdict == "missed" else ""
        lines.append(f"- `{one.fault}` in `{fault.base}`: {fault.says}{codes}{harmless}")
    return lines or ["None."]


def _caught(found: Sequence[Ended]) -> list[str]:
    lines = []
    for kind, about in KINDS.items():
        chosen = [one for one in found if FAULTS[one.fault].kind == kind]
        if chosen:
            lines += [
                f"### {kind}: {about}",
                "",
                "| fault | model | what is wrong | outcome and codes |",
                "|---|---|---|---|",
            ]
            lines += [_row(one) for one in chosen]
            lines.append("")
    return lines[:-1] or ["None."]


def _row(one: Ended) -> str:
    fault = FAULTS[one.fault]
    codes = ", ".join(code for code in one.codes if code != one.outcome)
    return f"| `{fault.name}` | {fault.base} | {fault.says} | {one.outcome}{': ' if codes else ''}{codes} |"
