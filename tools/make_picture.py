"""Makes README's picture of a report, docs/report.png, of a real run over testdata/models.

    python -m tools.make_picture [DIRECTORY]

DIRECTORY is a report that `migrate convert --report=DIRECTORY` has written; without it the models are converted first,
which takes some minutes. It needs Chromium.
"""

from __future__ import annotations

import pathlib
import subprocess
import sys
import tempfile
from collections.abc import Sequence

from tests.report.browser import Browser

ROOT = pathlib.Path(__file__).resolve().parents[1]
PICTURE = ROOT / "docs" / "report.png"
_SIZE = 1200, 900


def main(argv: Sequence[str]) -> int:
    """Writes the picture."""
    with tempfile.TemporaryDirectory() as scratch:
        report = pathlib.Path(argv[0]) if argv else pathlib.Path(scratch) / "report"
        if not argv:
            command = [sys.executable, "-m", "migrate", "convert", "testdata/models", f"{scratch}/new"]
            # Some of these models are refused: the exit code is 1.
            subprocess.run([*command, f"--report={report}"], cwd=ROOT, check=False)
        page = Browser(*_SIZE)
        try:
            page.open(str(report.resolve() / "report.html"))
            page.screenshot(str(PICTURE), _SIZE[1])
        finally:
            page.close()
    print(f"{PICTURE}: {PICTURE.stat().st_size:,} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
