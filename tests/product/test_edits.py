"""What the proof lets pass of random edits computes the same: TensorFlow loads and runs the edited model."""

from __future__ import annotations

import pathlib
import random
import shutil

import numpy as np
import pytest

from migrate.graph.protos import MetaGraphDef, SavedModel
from tests import conversions
from tests.conversions import MODELS
from tests.proof.edits import Given, edited

pytestmark = [pytest.mark.tensorflow, pytest.mark.slow]

_NAMES = ("alias", "cond", "cond_counter", "counter", "folded_conds", "training", "training_adam", "while_loop")
_DRAWS = 150
_TIMES = 3


def _answers(path: pathlib.Path, name: str) -> list[object]:
    import tensorflow as tf

    v1 = tf.compat.v1
    found: list[object] = []
    with tf.Graph().as_default(), v1.Session() as session:
        loaded = v1.saved_model.load(session, ["serve"], str(path))
        for _, key, given in [call for call in conversions.calls.CALLS[name] if call[0] == ("serve",)] * _TIMES:
            definition = loaded.signature_def[key]
            feeds = {definition.inputs[k].name: v for k, v in given.items()}
            try:
                answers = session.run({k: info.name for k, info in definition.outputs.items()}, feeds)
                found.append({k: (np.asarray(v).dtype, np.asarray(v).tolist()) for k, v in answers.items()})
            except tf.errors.OpError as error:
                found.append(type(error))
    return found


def _edited(path: pathlib.Path, name: str, candidate: MetaGraphDef) -> pathlib.Path:
    shutil.copytree(MODELS / name, path)
    for file in path.glob("saved_model.pb*"):
        file.unlink()
    model = SavedModel(saved_model_schema_version=1)
    model.meta_graphs.add().CopyFrom(candidate)
    (path / "saved_model.pb").write_bytes(model.SerializeToString())
    return path


@pytest.mark.parametrize("name", _NAMES)
def test_an_edit_that_stays_proved_changes_no_answer(name: str, tmp_path: pathlib.Path) -> None:
    given = Given(MODELS / name)
    before = _answers(MODELS / name, name)
    met = set()
    for seed in range(_DRAWS):
        edit = edited(given, random.Random(seed))
        if edit is None or str(edit) in met or (edit.op, *edit.what) == ("Placeholder", "shape"):
            continue  # Verification compares the shapes of inputs.
        met.add(str(edit))
        if not given.left(edit.candidate):
            assert _answers(_edited(tmp_path / str(seed), name, edit.candidate), name) == before, str(edit)
    assert len(met) > 20
