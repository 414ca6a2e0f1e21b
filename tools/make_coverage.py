"""Writes which lines of the package the tests run that start no TensorFlow, and why others are not run.

    python -m tools.make_coverage docs/coverage.md

It reads what `coverage combine` has left (`make coverage`). Branches count like lines.
"""

from __future__ import annotations

import json
import pathlib
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from typing import Any

_TENSORFLOW = "works in child processes that have TensorFlow: tests marked `tensorflow`"
_CONVERSION = "takes a model through conversion or validation, which start TensorFlow: tests marked `tensorflow`"
_CONVERTED = "works on converted models: tests marked `tensorflow`"
_RUNTIME = "works in child processes that have TensorFlow 1.15's library: tests marked `tensorflow`"

REASONS = {
    "migrate/export/": _TENSORFLOW,
    "migrate/keras_loader/": _TENSORFLOW,
    "migrate/verify/": _TENSORFLOW,
    "migrate/fleet/beam.py": "needs Apache Beam: `make beam`",
    "migrate/model/jobs.py": _CONVERSION,
    "migrate/model/golden_file.py": _CONVERSION,
    "migrate/model/keras_steps.py": _CONVERSION,
    "migrate/model/keras_study.py": _CONVERSION,
    "migrate/model/recording.py": _CONVERSION,
    "migrate/fleet/remote.py": "remote files are read by TensorFlow: tests marked `tensorflow`",
    "migrate/model/session_answers.py": _CONVERSION,
    "migrate/model/tf2_steps.py": _CONVERSION,
    "migrate/fleet/validation.py": _CONVERSION,
    "migrate/model/steps.py": _CONVERSION,
    "migrate/proof/arguments.py": _CONVERTED,
    "migrate/proof/calls.py": _CONVERTED,
    "migrate/proof/loaded.py": _CONVERTED,
    "migrate/proof/loading.py": _CONVERTED,
    "migrate/proof/losses.py": _CONVERTED,
    "migrate/proof/prove.py": _CONVERTED,
    "migrate/proof/restored_tables.py": _CONVERTED,
    "migrate/sources/sandbox.py": "works in a fork that may write no file, so not what it has run either",
    "migrate/tf1_runtime/c_api.py": _RUNTIME,
    "migrate/tf1_runtime/model.py": _RUNTIME,
    "migrate/tf1_runtime/trial.py": _RUNTIME,
}
"""Why lines of a module or of a folder are not run by these tests. The longest path that fits counts."""

_GOOD_PERCENT = 90


def main(argv: Sequence[str]) -> int:
    """Writes the page."""
    (page,) = argv
    with tempfile.TemporaryDirectory() as scratch:
        file = pathlib.Path(scratch) / "coverage.json"
        subprocess.run([sys.executable, "-m", "coverage", "json", "--quiet", "-o", str(file)], check=True)
        measured = json.loads(file.read_text(encoding="utf-8"))
    text = render(measured)
    pathlib.Path(page).write_text(text, encoding="utf-8")
    print(text)
    return 0


def render(measured: Mapping[str, Any]) -> str:
    """The page, out of coverage's JSON."""
    total = measured["totals"]["percent_covered"]
    files = {name: found["summary"] for name, found in measured["files"].items()}
    reasons = {name: _reason(name) for name in files}
    plain = {name: summary for name, summary in files.items() if reasons[name] is None}
    lines = [
        "# Coverage",
        "",
        "Lines and branches of `migrate/` that tests without TensorFlow run, child processes included. Made by",
        "",
        "    make coverage",
        "",
        f"All modules: {total:.1f} %. Modules that these tests are for: {_percent(plain.values()):.1f} %.",
        "",
        "## Not run by these tests, with a reason",
        "",
        "| module | covered | reason |",
        "|---|---:|---|",
        *(
            f"| `{name}` | {files[name]['percent_covered']:.0f} % | {reason} |"
            for name, reason in sorted(reasons.items())
            if reason is not None and files[name]["percent_covered"] < _GOOD_PERCENT
        ),
        "",
        f"## Below {_GOOD_PERCENT} % without a reason: tests are missing",
        "",
        "| module | covered | lines that no test runs |",
        "|---|---:|---|",
        *(
            f"| `{name}` | {summary['percent_covered']:.0f} % | {_ranges(measured['files'][name]['missing_lines'])} |"
            for name, summary in sorted(plain.items())
            if summary["percent_covered"] < _GOOD_PERCENT
        ),
        "",
    ]
    return "\n".join(lines)


def _reason(name: str) -> str | None:
    fitting = [path for path in REASONS if name.startswith(path)]
    return REASONS[max(fitting, key=len)] if fitting else None


def _percent(summaries: Any) -> float:
    every = list(summaries)
    covered = sum(s["covered_lines"] + s["covered_branches"] for s in every)
    return 100 * covered / max(1, sum(s["num_statements"] + s["num_branches"] for s in every))


def _ranges(numbers: Sequence[int]) -> str:
    """`1-3, 7`."""
    found: list[list[int]] = []
    for number in numbers:
        if found and number == found[-1][1] + 1:
            found[-1][1] = number
        else:
            found.append([number, number])
    return ", ".join(str(first) if first == last else f"{first}-{last}" for first, last in found)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
