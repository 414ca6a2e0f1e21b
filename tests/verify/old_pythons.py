"""Pythons with old releases of TensorFlow, where this machine has them; `testdata/make_old.sh` has been run on each."""

from __future__ import annotations

import dataclasses
import os
import pathlib
import subprocess

import pytest

from tests.conversions import ROOT

OLD = ROOT / "testdata" / "old"
RECORDER = ROOT / "migrate" / "verify" / "legacy_recorder.py"
PLACE = "MIGRATE_OLD_PYTHONS"
"""Environment variable: the directory that has the environments below."""


@dataclasses.dataclass(frozen=True)
class Old:
    """An environment: its name, the release that it has, and whether it is a directory of packages for Python 2.7."""

    name: str
    release: str
    packages: bool = False

    @property
    def root(self) -> pathlib.Path:
        return pathlib.Path(os.environ.get(PLACE, pathlib.Path.home()), f"venv-{self.name}")

    def run(self, *arguments, **environment) -> subprocess.CompletedProcess[str]:
        """Runs its Python; skips the test where it is not there."""
        python = _python27() if self.packages else self.root / "bin" / "python"
        if python is None or not python.exists() or not self.root.is_dir():
            pytest.skip(f"no TensorFlow {self.release} at {self.root}; {PLACE} says where there is one")
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "TF2_"))}
        quiet = {"CUDA_VISIBLE_DEVICES": "-1", "TF_CPP_MIN_LOG_LEVEL": "3"}
        path = {"PYTHONPATH": str(self.root)} if self.packages else {}
        return subprocess.run(
            [str(python), "-W", "ignore", *map(str, arguments)],
            env={**kept, **quiet, **path, **environment},
            capture_output=True,
            text=True,
            check=False,
        )


def _python27() -> pathlib.Path | None:
    found = sorted(
        pathlib.Path(os.environ.get("PYENV_ROOT", pathlib.Path.home() / ".pyenv"), "versions").glob("2.7*/bin/python")
    )
    return found[-1] if found else None


PYTHONS = (
    Old("tf14", "1.4.1"),
    Old("tf18", "1.8.0"),
    Old("tf112", "1.12.3"),
    Old("tf115", "1.15.5"),
    Old("tf14-py27", "1.4.1", packages=True),
)
