"""Keras models whose eager calls take long: compiled where that changes no bit, else called less often."""

from __future__ import annotations

import json

import pytest

from tests.conversions import ROOT, run_child

pytestmark = [pytest.mark.tensorflow, pytest.mark.slow]

_PROGRAM = """
import json, sys
from migrate.keras_loader.request import Request
from migrate.sources.discover import place_of
from migrate.sources.read import files_of
from migrate.sources.keras_source import read_keras
from migrate.verify import keras_replay
from migrate.verify.messages import KerasGoldenJob

job = KerasGoldenJob(Request(read_keras(files_of(place_of(sys.argv[1]))), (), False), None, 300.0)
made = {"eager": 0, "compiled": 0}

def counted(kind, make):
    def making(loaded):
        asker = make(loaded)
        def ask(call):
            made[kind] += 1
            found = dict(asker(call))
            if kind == "compiled" and sys.argv[3] == "other bits":
                found = {name: value + 1 for name, value in found.items()}
            return found
        return ask
    return making

keras_replay._eager = counted("eager", keras_replay._eager)
keras_replay._compiled = counted("compiled", keras_replay._compiled)
keras_replay._EAGER_SECONDS = float(sys.argv[2])
golden = keras_replay.run(job)
ordinary = golden.answers[: golden.ordinary]
first = [{name: value.tobytes().hex() for name, value in answer.outputs.items()} for answer in ordinary]
print(json.dumps({"how": golden.how, "notes": golden.notes, "answers": first, **made}))
"""


def _golden(seconds, bits="the same bits"):
    model = str(ROOT / "testdata" / "keras" / "recurrent_3" / "model.keras")
    return json.loads(run_child(["-c", _PROGRAM, model, str(seconds), bits]).splitlines()[-1])


@pytest.fixture(scope="module")
def eager():
    return _golden(1e9)


def test_a_fast_model_is_called_eagerly(eager):
    assert (eager["how"], eager["notes"], eager["compiled"]) == ("", [], 0)


def test_a_slow_model_is_compiled_and_an_eager_call_stays(eager):
    found = _golden(0)
    assert found["how"].startswith("an eager call of the Keras model takes")
    assert found["notes"] == []
    # The first one while calls are looked for, twice to see how long it takes, and the first one of each of two runs.
    assert found["eager"] == 4
    assert found["compiled"] > 0
    assert len(found["answers"]) == len(eager["answers"])
    assert found["answers"][0] == eager["answers"][0]


def test_one_that_compiles_to_other_bits_is_called_less_often(eager):
    found = _golden(0, "other bits")
    assert found["how"] == ""
    assert found["answers"] == eager["answers"][:2]
    (note,) = found["notes"]
    assert note.startswith(
        f"{len(eager['answers']) // 2 - 1} of {len(eager['answers']) // 2} calls: an eager call takes"
    )
