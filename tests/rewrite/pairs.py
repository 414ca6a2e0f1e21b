"""Examples of what each rule does: graphs before and after, as text, in rules/NAME.txt.

    python -m tests.rewrite.pairs [FILE...]

writes what the rules give today after each graph; read it before you commit it. An example is a comment that says what
it shows, the graph before, a line `--`, and the graph after (or the refusals); a blank line is between two.
"""

from __future__ import annotations

import dataclasses
import pathlib
import sys
from collections.abc import Sequence

from migrate.graph.op_table import load_ref_ops
from migrate.rewrite.engine import rewrite
from migrate.rewrite.rule import Table
from migrate.rewrite.rules.table import TABLE
from tests.rewrite.texts import run, shown_result

FOLDER = pathlib.Path(__file__).parent / "rules"


@dataclasses.dataclass(frozen=True)
class Pair:
    """One example."""

    title: str
    before: str
    after: str

    def result(self, table: Table = TABLE) -> str:
        """What the rewrite makes of the graph before."""
        return shown_result(rewrite(run(self.before), load_ref_ops(), table))


def read(path: pathlib.Path) -> Sequence[Pair]:
    """The examples of a file."""
    found = []
    for block in path.read_text(encoding="utf-8").strip().split("\n\n"):
        titles, lines = _split(block)
        before, _, after = "\n".join(lines).partition("\n--")
        found.append(Pair("\n".join(titles), before, after.strip("\n")))
    return found


def _split(block: str) -> tuple[list[str], list[str]]:
    lines = block.splitlines()
    titles = [line for line in lines if line.startswith("#")]
    return titles, lines[len(titles) :]


def written(pairs: Sequence[Pair]) -> str:
    """A file with what the rules give today."""
    return "\n\n".join(f"{pair.title}\n{pair.before}\n--\n{pair.result()}" for pair in pairs) + "\n"


def main(paths: Sequence[str]) -> None:
    """Writes the files anew."""
    for path in map(pathlib.Path, paths) if paths else sorted(FOLDER.glob("*.txt")):
        path.write_text(written(read(path)), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
