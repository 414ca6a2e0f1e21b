"""Graphs as text, and what a failing test shows of them."""

from __future__ import annotations

import pathlib
import subprocess
import sys

import pytest

from tests.rewrite import conftest
from tests.rewrite.texts import node, run, shown

ROOT = pathlib.Path(__file__).parents[2]


@pytest.mark.parametrize(
    "line",
    [
        "y = Neg(x:1, ^w)",
        "y = Op() a=(?, 2) b=(...) c=() d=none",
        "y = Op() a=true b=false c=3 d=-1 e=0.5 f=-1e-07",
        "y = Op() a='it is' b='' c=@body d=[float32, int32] e=[1, 2]",
        "y = Const() value=int32:3",
        "y = Const() value=float32:[0.5, -1.0]",
        "y = Const() value=bool:[true, false]",
        "y = Const() value=string:'a b'",
    ],
)
def test_a_line_is_read_as_it_is_written(line):
    assert shown([node(line)]) == line


def test_a_long_graph_is_counted():
    nodes = "\n".join(f"n{number} = NoOp()" for number in range(100))
    targets = "\n".join(f"target n{number}" for number in range(100))
    assert conftest.text(run(f"{nodes}\n{targets}"), ()) == "100 nodes"


@pytest.mark.process
def test_a_failing_test_shows_its_graphs(tmp_path):
    (tmp_path / "test_fails.py").write_text(
        "from tests.rewrite.pairs import FOLDER, read\n"
        "def test_fails():\n    read(FOLDER / 'strict.txt')[0].result()\n    assert False\n"
        "def test_passes():\n    read(FOLDER / 'strict.txt')[0].result()\n"
    )
    command = [sys.executable, "-m", "pytest", "-q", "-p", "tests.rewrite.conftest", "-p", "no:cacheprovider", "."]
    done = subprocess.run(
        command, cwd=tmp_path, env={"PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=False
    )
    assert "1 failed, 1 passed" in done.stdout
    assert done.stdout.count("y = IsVariableInitialized(v) dtype=float32\n--\n") == 1
    assert done.stdout.count("y = VarIsInitializedOp(v)\n") == 1
