"""Makes every model that the installed TensorFlow can make, and writes the table in README.md anew.

    python testdata/make_all.py

One process a script, one fresh graph a model. The Estimator models need TF 2.15; with a later one they stay
as they are.
"""

from __future__ import annotations

import ast
import os
import pathlib
import re
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
SCRIPTS = (
    "make_simple.py",
    "make_tables.py",
    "make_variables.py",
    "make_savers.py",
    "make_signatures.py",
    "make_conds.py",
    "make_strings.py",
    "make_frozen.py",
    "make_hub.py",
    "make_estimators.py",
    "make_tf2.py",
    "make_forms.py",
)
BEGIN, END = "<!-- table: written by make_all.py -->\n", "<!-- end of table -->\n"


def version(saved_model):
    """The first tensorflow_version in a SavedModel, text or binary, without the proto's classes."""
    if text := re.search(rb'tensorflow_version: "([^"]*)"', saved_model):
        return text[1].decode()
    # MetaInfoDef.tensorflow_version is field 5, of length-delimited type: its tag is 0x2a.
    binary = re.search(rb"\x2a([\x01-\x20])(\d+\.\d+\.\w+)", saved_model)
    return binary[2][: binary[1][0]].decode()


def rows():
    """Yields a table row for each model on disk, from its maker's docstring; reads no TensorFlow."""
    for script in SCRIPTS:
        for function in ast.parse((HERE / script).read_text(encoding="utf-8")).body:
            if not isinstance(function, ast.FunctionDef):
                continue
            folder = HERE / ("forms" if script == "make_forms.py" else "models") / function.name
            if not folder.is_dir():
                continue
            what = ast.get_docstring(function).splitlines()[0].replace("|", "\\|")
            files = [path for path in folder.rglob("*") if path.is_file()]
            size = sum(path.stat().st_size for path in files) / 1000
            graphs = [path for path in files if path.name.startswith("saved_model.pb") or path.name.endswith(".meta")]
            made_by = version(graphs[0].read_bytes()) if graphs else ""
            yield f"| `{function.name}` | {what} | {script} | {made_by} | {size:.1f} |\n"


def write_table():
    path = HERE / "README.md"
    before, rest = path.read_text(encoding="utf-8").split(BEGIN)
    _, after = rest.split(END)
    head = "| model | what is in it | script | `tensorflow_version` | kB |\n|---|---|---|---|---|\n"
    path.write_text(before + BEGIN + head + "".join(rows()) + END + after, encoding="utf-8")


def main():
    environment = {"TF_CPP_MIN_LOG_LEVEL": "3", **os.environ}
    failed = [
        script
        for script in SCRIPTS
        if subprocess.run([sys.executable, str(HERE / script)], env=environment, check=False).returncode
    ]
    write_table()
    if failed:
        print(f"failed: {', '.join(failed)}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
