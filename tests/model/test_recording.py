"""What `migrate record` says of a model. No TensorFlow, except where it is marked."""

from __future__ import annotations

import importlib.util
import json

import numpy as np
import pytest

import migrate
from migrate.errors import InputError, UsageError
from migrate.model.jobs import steps_of
from migrate.model.recording import described
from migrate.model.study import study
from migrate.records import Options
from migrate.verify.golden import load_golden
from tests.conversions import MODELS, ROOT
from tests.verify.old_pythons import OLD, RECORDER

_FORMS = ROOT / "testdata" / "forms"
_UNPLANNED = frozenset({"refused_pyfunc", "unknown_op", "unfed_placeholder", "unfed_training"})
_SAVED = sorted(path for path in MODELS.iterdir() if path.is_dir() and path.name not in _UNPLANNED)
_META = [
    "saver_tables/model.meta",
    "saver_steps/model.ckpt-10.meta",
    "saver_v1/model.ckpt.meta",
    "saver_v1_sharded/model.ckpt.meta",
    "session_bundle/export.meta",
]


@pytest.fixture(scope="module")
def recorder():
    spec = importlib.util.spec_from_file_location("recorder_for_digests", RECORDER)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _here(path):
    with study(str(path), Options()) as studied:
        steps = steps_of(studied, str(path), Options(), None)
        assert steps is not None, studied.report
        return described(studied, steps.digest()), steps.digest()


def _compare(recorder, path, folder, name, tags):
    here, digest = _here(path)
    there = recorder.described(recorder.Model(str(folder), name, tags, None, {}, None))
    assert there == {"file": here.file, "sha256": here.sha256, "tags": list(tags), "files": dict(here.files)}
    assert there["sha256"] == digest  # What a new model's provenance has.


@pytest.mark.parametrize(
    "path", [*_SAVED, *sorted(OLD.glob("tf*/scorer"))], ids=lambda path: path.parent.name + path.name
)
def test_the_recorder_has_the_digests_of_a_saved_model(path, recorder):
    name = next(file.name for file in path.iterdir() if file.name.startswith("saved_model.pb"))
    here, _ = _here(path)
    _compare(recorder, path, path, name, here.tags)


@pytest.mark.parametrize("name", _META)
def test_the_recorder_has_the_digests_of_a_checkpoint(name, recorder):
    file = _FORMS / name
    here, _ = _here(file)
    assert here.files, "no file holds its weights"
    _compare(recorder, file, file.parent, file.name, ())


def test_the_recorder_has_the_digest_of_a_frozen_graph(recorder):
    (file,) = (_FORMS / "frozen").glob("*.pb")
    with study(str(file), Options(take_proposals=True)) as studied:
        steps = steps_of(studied, str(file), Options(), None)
        here = described(studied, steps.digest())
    there = recorder.described(recorder.Model(str(file.parent), file.name, (), None, {}, None))
    assert (there["sha256"], there["files"]) == (here.sha256, {}) == (steps.digest(), dict(here.files))


@pytest.mark.parametrize(
    ("output", "said"), [("golden.txt", "are a .npz file"), (str(MODELS / "alias" / "golden.npz"), "is inside of")]
)
def test_an_output_that_is_none(output, said):
    with pytest.raises(UsageError, match=said):
        migrate.record(MODELS / "alias", output)


def test_a_model_that_cannot_be_asked(tmp_path):
    with pytest.raises(InputError, match=r"refused_pyfunc: not run: .*--allow_side_effects"):
        migrate.record(MODELS / "refused_pyfunc", tmp_path / "golden.npz")
    with pytest.raises(InputError, match="holds a tree of models"):
        migrate.record(MODELS, tmp_path / "golden.npz")
    assert not list(tmp_path.iterdir())


@pytest.mark.tensorflow
def test_the_answers_are_those_of_the_model(tmp_path):
    calls = tmp_path / "calls.json"
    calls.write_text(json.dumps([{"signature": "count", "inputs": {}}]))
    output = tmp_path / "golden.npz"
    said = migrate.record(OLD / "tf14" / "scorer", output, Options(inputs=str(calls)))
    assert len(said) == 1 and said[0].startswith(f"{output}: ")
    found = load_golden(str(output))
    assert [answer.outputs["calls"].item() for answer in found.answers] == list(range(8, 8 + len(found.calls)))
    assert found.model == load_golden(str(OLD / "tf14" / "golden.npz")).model
    assert found.runtime["recorder"] == f"migrate {migrate.__version__}" and np.__version__ == found.runtime["numpy"]
