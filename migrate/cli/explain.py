"""`migrate explain CODE...`: what a finding or an outcome means, why it matters, an example, and what to do."""

from __future__ import annotations

import difflib
import textwrap
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from migrate.cli.outcomes import OUTCOMES
from migrate.cli.output import columns, put
from migrate.errors import UsageError
from migrate.finding_codes import Explanation, explanations

if TYPE_CHECKING:
    from absl.flags import FlagValues

_WIDEST = 100


def explain(operands: Sequence[str], values: FlagValues) -> int:
    """Prints the explanations of some codes and outcomes; without any, a line for each there is."""
    known = {**explanations(), **OUTCOMES}
    if not operands:
        width = max(map(len, known)) + 2
        return put("".join(f"{code:<{width}}{found.meaning}\n" for code, found in known.items()))
    found = [known[_code(operand)] for operand in operands]
    return put("\n".join("\n".join(_lines(explanation)) + "\n" for explanation in found))


def _code(given: str) -> str:
    """The code that is meant, in whatever case and with whatever dashes."""
    code = given.lower().replace("_", "-")
    known = {name.replace("_", "-"): name for name in (*explanations(), *OUTCOMES)}
    if code in known:
        return known[code]
    near = difflib.get_close_matches(code, known, n=1)
    advice = f"did you mean {known[near[0]]}?" if near else "migrate explain lists all"
    raise UsageError(f"there is no finding {given!r}; {advice}")


def _lines(found: Explanation) -> Iterator[str]:
    width = columns()
    yield found.code
    parts = ((None, found.meaning), ("why it matters", found.why), ("example", found.example))
    breaks = () if found.clients is None else (("breaks", f"{', '.join(found.clients) or 'nobody'}."),)
    for label, text in (*parts, ("what to do", found.remedy), *breaks):
        yield ""
        if label is not None:
            yield label
        yield from _wrapped(text, min(width, _WIDEST) if width < 1 << 20 else width)


def _wrapped(text: str, width: int) -> list[str]:
    return textwrap.wrap(
        text, width, initial_indent="  ", subsequent_indent="  ", break_long_words=False, break_on_hyphens=False
    )
