"""`make demo` shows what migrate says, and no log line of TensorFlow."""

from __future__ import annotations

import shutil
import subprocess
import sys

import pytest

from tests.conversions import ROOT
from tests.waiting import PATIENCE_SECONDS


@pytest.mark.slow
@pytest.mark.tensorflow
def test_the_demo_shows_no_log_line_of_tensorflow(tmp_path):
    for name in ("migrate", "tools", "testdata/models"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    done = subprocess.run(
        [sys.executable, "tools/demo.py"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        env={"PATH": "/usr/bin:/bin", "PYTHONPATH": str(tmp_path), "HOME": str(tmp_path)},
    )
    assert done.returncode == 0, done.stderr
    assert "5 models: 5 converted and verified" in done.stdout
    assert ">>> model.signatures['serving_default'](" in done.stdout
    assert all(line.startswith("[") and "] converted: " in line for line in done.stderr.splitlines()), done.stderr
