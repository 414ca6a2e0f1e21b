"""Every convertible model of testdata/, converted once: what is converted, and how a child process is asked about it.

No TensorFlow here; `answers.py` is the program that the children run.
"""

from __future__ import annotations

import dataclasses
import importlib.util
import os
import pathlib
import pickle
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

import migrate
from migrate.records import Options
from tests.waiting import PATIENCE_SECONDS

ROOT = pathlib.Path(__file__).resolve().parent.parent
MODELS = ROOT / "testdata" / "models"
# oneDNN adds in another order than Eigen does.
QUIET = {"TF_ENABLE_ONEDNN_OPTS": "0", "TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": "-1"}


def _load_calls() -> Any:
    spec = importlib.util.spec_from_file_location("testdata_calls", ROOT / "testdata" / "calls.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


calls = _load_calls()
_UNVERIFIED = Options(verify=False)


@dataclasses.dataclass(frozen=True)
class Case:
    """One conversion: a model, the options that it needs, and the calls that it must answer."""

    name: str
    model: str
    options: Options = _UNVERIFIED
    tags: tuple[str, ...] = calls.SERVE
    skip: tuple[str, ...] = ()

    @property
    def calls(self) -> list[tuple[str, Mapping[str, Any]]]:
        return [(s, i) for tags, s, i in calls.CALLS[self.model] if tags == self.tags and s not in self.skip]


def _options(**given: Any) -> Options:
    return Options(verify=False, **given)


_NOT_PLAIN = ("hub_module", "multi_tags", "refused_pyfunc", "unfed_placeholder", "unfed_training", "unknown_op", "tf2")
PLAIN = tuple(Case(model, model) for model in sorted(calls.CALLS) if model not in _NOT_PLAIN)
CASES = (
    *PLAIN,
    Case("estimator_all_modes@eval", "estimator_all_modes", _options(tags=frozenset({"eval"})), ("eval",)),
    Case("estimator_all_modes@train", "estimator_all_modes", _options(tags=frozenset({"train"})), ("train",)),
    Case("hub_module@", "hub_module", _options(), ()),
    Case("multi_tags@serve", "multi_tags", _options(tags=frozenset({"serve"}))),
    Case("multi_tags@serve,gpu", "multi_tags", _options(tags=frozenset({"serve", "gpu"})), ("serve", "gpu")),
    Case("multi_tags@train", "multi_tags", _options(tags=frozenset({"train"})), ("train",)),
    Case("unfed_placeholder@good", "unfed_placeholder", _options(drop_signatures=True), skip=("bad",)),
)
BY_NAME = {case.name: case for case in CASES}


@dataclasses.dataclass(frozen=True)
class Conversions:
    """What has become of `CASES`. The sources that were converted are gone; those of testdata/ are the same."""

    new: pathlib.Path
    work: pathlib.Path
    reports: Mapping[str, migrate.ModelReport]

    def path(self, name: str) -> pathlib.Path:
        return self.new / name


def convert_all(work: pathlib.Path) -> Conversions:
    """Converts all cases from a copy of the models, and deletes the copy."""
    source, new = work / "source", work / "new"
    reports = {}
    for case in PLAIN:
        shutil.copytree(MODELS / case.model, source / case.name)
    report = migrate.convert(str(source), str(new), PLAIN[0].options)
    for model in report.models:
        reports[os.path.relpath(model.source, source)] = model
    for case in CASES[len(PLAIN) :]:
        if not (source / case.model).exists():
            shutil.copytree(MODELS / case.model, source / case.model)
        (reports[case.name],) = migrate.convert(str(source / case.model), str(new / case.name), case.options).models
    shutil.rmtree(source)
    return Conversions(new, work, reports)


def ask(
    way: str,
    paths: Mapping[str, pathlib.Path],
    work: pathlib.Path,
    *,
    save: pathlib.Path | None = None,
    optimize: bool = False,
) -> Any:
    """Loads models in one child process and makes their calls.

    Args:
      way: `source`, `tf2` or `session`, see `answers.py`.
      paths: model directory by name of the case.
      work: directory for what passes between the processes.
      save: directory in which `tf2` saves each model again.
      optimize: TensorFlow as it is by default, with the graph optimiser and several threads.
    """
    job = {
        "way": way,
        "save": str(save) if save else None,
        "optimize": optimize,
        "models": [
            {
                "name": name,
                "path": str(path),
                "conversion": f"{path}.json",
                "tags": BY_NAME[name].tags,
                "calls": BY_NAME[name].calls,
                "repair": BY_NAME[name].model in calls.REPAIRABLE,
            }
            for name, path in paths.items()
        ],
    }
    file = pathlib.Path(tempfile.mkdtemp(dir=work)) / "job.pickle"
    file.write_bytes(pickle.dumps(job))
    run_child([str(ROOT / "tests" / "answers.py"), str(file)])
    return pickle.loads(file.with_suffix(".answers").read_bytes())


def of(answers, name):
    """What a child process says of a model; fails where it could not load it."""
    assert name in answers, "the model was not written; see test_outcome"
    assert "error" not in answers[name], answers[name]["error"]
    return answers[name]


def same(expected, found):
    """Whether two arrays have the same dtype, shape and bits."""
    if expected.dtype == object or found.dtype == object:
        return expected.shape == found.shape and expected.tolist() == found.tolist()
    return (expected.dtype, expected.shape, expected.tobytes()) == (found.dtype, found.shape, found.tobytes())


def close(expected, found):
    """Whether two arrays have the same dtype and shape, and values as near as another order of summation allows."""
    if expected.dtype.kind != "f":
        return same(expected, found)
    alike = (expected.dtype, expected.shape) == (found.dtype, found.shape)
    return alike and np.allclose(found, expected, rtol=1e-5, atol=1e-6, equal_nan=True)


def compare(name, golden, found, *, same=same):
    """Asserts that all answers are the same.

    Args:
      name: of the case.
      golden: what `ask` gave for the sources.
      found: what it gave for the new models.
      same: compares two arrays.
    """
    case = BY_NAME[name]
    unordered = calls.UNORDERED.get(case.model, ())
    compared = 0
    steps = zip(case.calls, of(golden, name)["answers"], of(found, name)["answers"], strict=True)
    for number, ((signature, inputs), expected, answer) in enumerate(steps):
        where = f"call {number}, {signature}"
        assert not isinstance(expected, str), f"{where}: the source fails: {expected}"
        if set(inputs) != set(golden[name]["signatures"][signature]["inputs"]):
            continue  # test_convert.py, test_an_input_with_a_default_may_be_left_out
        assert not isinstance(answer, str), f"{where}: {answer}"
        assert set(answer) == set(expected), where
        for output, value in expected.items():
            good = same(value, answer[output]) or output in unordered
            assert good, f"{where}, {output}: source {value!r}, new model {answer[output]!r}"
            compared += value.size
    assert compared


def run_child(arguments: Iterable[str], **environment: str) -> str:
    """Runs a Python program; gives what it printed.

    Raises:
      AssertionError: it failed.
    """
    done = subprocess.run(
        [sys.executable, *arguments],
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        env={**os.environ, **QUIET, **environment},
    )
    assert done.returncode == 0, f"exit code {done.returncode}: {done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    return done.stdout


def ask_client(client: str, model: str, config: str, fed: str, fetched: str, value: np.ndarray) -> np.ndarray:
    """Asks the C client for one tensor of a model, float32.

    Args:
      client: path of the program.
      model: directory.
      config: serialized ConfigProto in hexadecimal.
      fed: full name of the tensor that is fed.
      fetched: full name of the one that is wanted.
      value: what is fed.

    Raises:
      AssertionError: it failed.
    """
    floats = (float(v).hex() for v in value.ravel())
    done = subprocess.run(
        [client, model, config, fed, fetched, *map(str, value.shape), *floats],
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        env={**os.environ, **QUIET},
    )
    assert done.returncode == 0, done.stderr
    shape, *values = done.stdout.splitlines()
    return np.array([float.fromhex(v) for v in values], np.float32).reshape([int(size) for size in shape.split()])


def programs(folder: pathlib.Path, **started: str) -> dict[str, str]:
    """Writes programs that start this Python with arguments; gives the environment in which a shell finds them."""
    folder.mkdir()
    for name, arguments in started.items():
        (folder / name).write_text(f'#!/bin/sh\nexec "{sys.executable}" {arguments} "$@"\n')
        (folder / name).chmod(0o755)
    return {"PATH": f"{folder}{os.pathsep}{os.environ['PATH']}", "PYTHONPATH": str(ROOT)}


def migrate_command(*arguments: object, **environment: str) -> subprocess.CompletedProcess[str]:
    """Runs `python -m migrate`."""
    return subprocess.run(
        [sys.executable, "-m", "migrate", *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        env={**os.environ, **environment},
    )
