"""The models whose conversions faults are planted in. The tool itself converts each once; a cache keeps them."""

from __future__ import annotations

import concurrent.futures
import dataclasses
import functools
import hashlib
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable

import migrate
from migrate.fleet.worker import ask
from migrate.levels import NONE
from migrate.model.messages import ConvertJob
from migrate.processes.nursery import Nursery
from migrate.records import Converted, GivenFeed, ModelReport
from tools.mutate.records import Base

ROOT = pathlib.Path(__file__).resolve().parents[2]
_MADE = "planted/"
_VERIFYING = ("verify", "report", "cli")
"""Rooms that no byte of a conversion depends on."""

BASES = {
    **{name: Base(f"{_MADE}{name}") for name in ("lookups", "words", "branches", "examples", "pictures", "photos")},
    **{name: Base(f"{_MADE}{name}") for name in ("noise", "states", "network", "memory", "functional")},
    "unseeded": Base(f"{_MADE}unseeded", {"allow_unverified": True}),
    **{
        name: Base(f"models/{name}")
        for name in (
            "alias",
            "cond_counter",
            "counter",
            "estimator_custom",
            "estimator_linear_regressor",
            "estimator_vocabulary_column",
            "hub_module",
            "loop_counter",
            "moving_average",
            "odd_names",
            "partitioned",
            "renaming_saver",
            "simple_save",
            "sparse_signature",
            "subset_saver",
            "training",
            "training_adam",
            "uninitialized",
            "vocabulary",
            "warmup",
            "while_loop",
        )
    },
    "kept_names": Base(f"{_MADE}network", {"keep_tensor_names": True}),
    "constant_weights": Base("models/constant_weights", {"variables": True}),
    "unfed_training": Base(
        "models/unfed_training", {"feed": (GivenFeed("is_training:0", "false"), GivenFeed("keep_prob:0", "1.0"))}
    ),
    "keras_functional": Base("keras/functional"),
    "keras_adam": Base("keras/old_adam"),
    "keras_archive": Base("keras/archive_2"),
    "keras_3": Base("keras/archive_3"),
    "keras_dropout": Base("keras/json_hdf5"),
    "keras_3_dropout": Base("keras/hdf5_3"),
    "keras_recurrent": Base("keras/recurrent"),
    "keras_tf1": Base("keras_tf1/trained"),
}


def options_of(base: str) -> migrate.Options:
    """The options with which it is converted and validated."""
    return migrate.Options(**BASES[base].options)


def source_of(base: str, cache: pathlib.Path) -> str:
    """The TF1 model's directory."""
    source = BASES[base].source
    folder = _made(cache) / source.removeprefix(_MADE) if source.startswith(_MADE) else ROOT / "testdata" / source
    return str(folder)


def conversions(bases: Iterable[str], cache: pathlib.Path, jobs: int, nursery: Nursery) -> dict[str, str]:
    """Makes the conversions that the cache lacks; gives the directory of each base's.

    Raises:
      RuntimeError: one cannot be converted.
    """
    wanted = sorted(set(bases))
    _make_sources([base for base in wanted if BASES[base].source.startswith(_MADE)], cache)
    folder = cache / f"conversions-{_digest_of_maker()}"
    with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
        return dict(zip(wanted, pool.map(lambda base: _converted(base, cache, folder, nursery), wanted), strict=True))


def _converted(base: str, cache: pathlib.Path, folder: pathlib.Path, nursery: Nursery) -> str:
    source = pathlib.Path(source_of(base, cache))
    place = folder / source.parent.name / base
    place.parent.mkdir(parents=True, exist_ok=True)
    if not place.exists():
        # Each is validated untouched before faults are planted in it.
        options = dataclasses.replace(options_of(base), verify=NONE)
        job = ConvertJob(str(source), str(place), options)
        report = ask(nursery, "convert", job, lambda _: None)
        if not isinstance(report, ModelReport) or not isinstance(report.outcome, Converted):
            raise RuntimeError(f"{base} cannot be converted: {report}")
    return str(place)


def _make_sources(bases: list[str], cache: pathlib.Path) -> None:
    folder = _made(cache)
    names = sorted({BASES[base].source.removeprefix(_MADE) for base in bases})
    missing = [name for name in names if not (folder / name).exists()]
    if not missing:
        return
    folder.mkdir(parents=True, exist_ok=True)
    script = ROOT / "testdata" / "make_planted.py"
    with tempfile.TemporaryDirectory(dir=cache) as made:
        environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": "-1"}
        subprocess.run([sys.executable, str(script), made, *missing], check=True, env=environment, stdout=2)
        for name in missing:
            shutil.move(os.path.join(made, name), folder / name)


def _made(cache: pathlib.Path) -> pathlib.Path:
    """Where the models of the script are."""
    return cache / f"sources-{_digest_of_script()}"


@functools.cache  # Whoever edits the script meanwhile does not move what runs.
def _digest_of_script() -> str:
    return hashlib.sha256((ROOT / "testdata" / "make_planted.py").read_bytes()).hexdigest()[:16]


def _digest_of_maker() -> str:
    """Of the code and the models that conversions depend on."""
    digest = hashlib.sha256()
    package = ROOT / "migrate"
    for path in sorted([*package.rglob("*.py"), *package.rglob("*.tsv")]):
        if path.parent.name not in _VERIFYING:
            digest.update(path.read_bytes())
    return digest.hexdigest()[:16]
