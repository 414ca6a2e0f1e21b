"""Builds the sdist and the wheel, and checks that the wheel alone is the program.

    python -m tools.release DIRECTORY

The wheel is built from the sdist, so both hold all that is needed. It is installed, with its dependencies from the
registry, into an environment of its own, where it audits a model of testdata away from this checkout.
"""

from __future__ import annotations

import json
import os
import pathlib
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Mapping, Sequence

from migrate.versions import DISTRIBUTION, VERSION

ROOT = pathlib.Path(__file__).parents[1]
MODEL = ROOT / "testdata" / "models" / "vocabulary"
_STEM = f"{DISTRIBUTION.replace('-', '_')}-{VERSION}"


def main(argv: Sequence[str]) -> int:
    """Builds into a directory and checks what was built."""
    (directory,) = map(pathlib.Path, argv)
    sdist, wheel = build(directory)
    check_files(sdist, wheel)
    _run([sys.executable, "-m", "twine", "check", "--strict", str(sdist), str(wheel)])
    with tempfile.TemporaryDirectory() as scratch:
        print(check_installed(wheel, pathlib.Path(scratch)))
    print(f"{sdist} and {wheel} are good")
    return 0


def build(directory: pathlib.Path) -> tuple[pathlib.Path, pathlib.Path]:
    """Builds the sdist, and the wheel from it; gives their paths."""
    built = directory / f"{_STEM}.tar.gz", directory / f"{_STEM}-py3-none-any.whl"
    for file in built:
        file.unlink(missing_ok=True)
    _run([sys.executable, "-m", "build", "--outdir", str(directory), str(ROOT)])
    missing = [file.name for file in built if not file.exists()]
    if missing:
        raise SystemExit(f"build made no {' and no '.join(missing)}")
    return built


def check_files(sdist: pathlib.Path, wheel: pathlib.Path) -> None:
    """Compares the files of the package in this checkout with those of the sdist and of the wheel.

    Raises:
      SystemExit: a file is missing, or there is one that is not in the checkout.
    """
    wanted = {file.relative_to(ROOT).as_posix() for file in (ROOT / "migrate").rglob("*") if _is_part(file)}
    with tarfile.open(sdist) as archive:
        in_sdist = {name.partition("/")[2] for name in archive.getnames() if archive.getmember(name).isfile()}
    with zipfile.ZipFile(wheel) as archive:
        in_wheel = set(archive.namelist())
    for name, found in (("sdist", in_sdist), ("wheel", in_wheel)):
        packaged = {file for file in found if file.startswith("migrate/")}
        if packaged != wanted:
            raise SystemExit(f"{name}: {sorted(wanted - packaged)} missing, {sorted(packaged - wanted)} unknown")
    own = ("migrate/", "tf1_migrate.py", f"{_STEM}.dist-info/")
    strangers = sorted(file for file in in_wheel if not file.startswith(own))
    if strangers or "tf1_migrate.py" not in in_wheel:
        raise SystemExit(f"wheel: beside the package it has {strangers}; it must have tf1_migrate.py alone")


def _is_part(file: pathlib.Path) -> bool:
    return file.is_file() and "__pycache__" not in file.parts


def check_installed(wheel: pathlib.Path, scratch: pathlib.Path) -> str:
    """Installs the wheel into a new environment and audits a model there; gives what was seen.

    Raises:
      SystemExit: the program does not start, is not the wheel's, or audits wrongly.
    """
    environment = scratch / "environment"
    _run([sys.executable, "-m", "venv", str(environment)])
    bare = {"PATH": f"{environment / 'bin'}:{os.defpath}", "HOME": str(scratch)}
    python, program = str(environment / "bin" / "python"), str(environment / "bin" / "migrate")
    # The registry's settings are the machine's, so pip has its environment; but with a checkout in PYTHONPATH (-I
    # ignores it) pip would find the program installed already.
    _run([python, "-I", "-m", "pip", "install", "-qq", "--disable-pip-version-check", str(wheel.resolve())])
    place = _output([python, "-c", "import migrate; print(migrate.__file__)"], bare, scratch).strip()
    if not place.startswith(str(environment)):
        raise SystemExit(f"the environment imports migrate from {place}")
    version = _output([program, "--version"], bare, scratch).strip()
    if not version.startswith(f"migrate {VERSION} ("):
        raise SystemExit(f"migrate --version says {version!r}; this is {VERSION}")
    report = json.loads(_output([program, "audit", str(MODEL), "--format=json"], bare, scratch))
    seen = report["tool"]["version"], [model["outcome"] for model in report["models"]]
    if seen != (VERSION, ["convertible"]):
        raise SystemExit(f"migrate audit says {seen}")
    return f"{version}: audited {MODEL.name}"


def _run(command: Sequence[str]) -> None:
    done = subprocess.run(command, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)}: exit code {done.returncode}")


def _output(command: Sequence[str], environment: Mapping[str, str], directory: pathlib.Path) -> str:
    done = subprocess.run(command, env=environment, cwd=directory, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)}: exit code {done.returncode}\n{done.stderr}")
    return done.stdout


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
