"""Times TensorFlow 1.15.5 as judge against TensorFlow 2, in pairs; needs `migrate runtime install`.

    python -m benchmarks.judges PAIRS MODEL...

Each MODEL is converted once. Then `migrate validate NEW --against=MODEL --judge=tf1` and `--judge=tf2` are run in turn,
PAIRS times, in processes of their own. What is printed is the time until the source has answered (the step `golden`,
which includes the import of TensorFlow 2 where that is the judge) and that of the whole program, in seconds: medians.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time


def main(argv: list[str]) -> int:
    """Prints a row for each model."""
    pairs, *models = argv[1:]
    print("| model | golden, tf1 | golden, tf2 | program, tf1 | program, tf2 |")
    print("|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as scratch:
        for number, model in enumerate(models):
            new = os.path.join(scratch, str(number))
            _run("convert", model, new, "--judge=tf2", "--take_proposals")
            found: dict[str, list[tuple[float, float]]] = {"tf1": [], "tf2": []}
            for _ in range(int(pairs)):
                for judge, times in found.items():
                    start = time.monotonic()
                    report = _run("validate", new, f"--against={model}", f"--judge={judge}", "--take_proposals")
                    times.append((report["seconds"]["golden"], time.monotonic() - start))
            cells = [statistics.median(t[part] for t in found[judge]) for part in (0, 1) for judge in ("tf1", "tf2")]
            print(f"| {os.path.basename(model)} | {' | '.join(f'{cell:.2f}' for cell in cells)} |", flush=True)
    return 0


def _run(*arguments: str) -> dict[str, dict[str, float]]:
    done = subprocess.run(
        [sys.executable, "-m", "migrate", *arguments, "--format=json"], check=True, capture_output=True, text=True
    )
    found: dict[str, dict[str, float]] = json.loads(done.stdout)["models"][0]
    return found


if __name__ == "__main__":
    sys.exit(main(sys.argv))
