"""Graphs before and after, as text, in the files NAME.txt beside this one.

    python -m tests.functional.pairs [FILE...]

writes what becomes of each graph today; read it before you commit it. The form of a file is that of rewrite/pairs.py.
"""

from __future__ import annotations

import pathlib
import sys
from collections.abc import Iterable, Sequence

from migrate.functional.convert import convert
from migrate.functional.library import Library
from migrate.graph.dtypes import dtype_name
from migrate.graph.op_table import load_ref_ops
from migrate.graph.protos import FunctionDef
from migrate.rewrite.engine import Rewritten, rewrite
from tests.rewrite.pairs import Pair, read
from tests.rewrite.texts import run, shown, shown_result

FOLDER = pathlib.Path(__file__).parent
FILES = tuple(sorted(FOLDER.glob("*.txt")))


def shown_function(function: FunctionDef) -> str:
    """A function's name, arguments and results, and a line for each node."""
    arguments = ", ".join(f"{arg.name}: {dtype_name(arg.type)}" for arg in function.signature.input_arg)
    results = ", ".join(function.ret[arg.name] for arg in function.signature.output_arg)
    waits = "".join(f" ^{name}" for name in sorted(function.control_ret))
    body = shown(function.node_def).replace("\n", "\n  ")
    return f"{function.signature.name}({arguments}) -> {results}{waits}\n  {body}".rstrip()


def result(before: str) -> str:
    """What becomes of a graph: its nodes, the functions, and the finding."""
    rewritten = rewrite(run(before), load_ref_ops())
    assert isinstance(rewritten, Rewritten), rewritten
    library = Library(())
    converted = convert(rewritten, library)
    parts = [shown_result(converted.run), *map(shown_function, library.made.values())]
    for finding in (converted.finding, converted.arrays):
        if finding is not None:
            parts.append(f"{finding.code}: {', '.join(finding.nodes)}: {finding.message}")
    return "\n".join(parts)


def written(pairs: Iterable[Pair]) -> str:
    """A file with what becomes of the graphs today."""
    return "\n\n".join(f"{pair.title}\n{pair.before}\n--\n{result(pair.before)}" for pair in pairs) + "\n"


def main(paths: Sequence[str]) -> None:
    """Writes the files anew."""
    for path in map(pathlib.Path, paths) if paths else FILES:
        path.write_text(written(read(path)), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
