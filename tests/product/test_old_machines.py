"""The recorder on the releases of TensorFlow that it is for: 1.4, 1.8, 1.12 and 1.15, and Python 2.7.

What `testdata/old` has was made on each; here it is made anew. Skipped where a release is not installed: see
`tests/verify/old_pythons.py`.
"""

from __future__ import annotations

import json
import pathlib
import shutil

import numpy as np
import pytest

from migrate.model.study import study
from migrate.records import Options
from migrate.verify.golden import load_golden
from testdata import prediction_logs as made
from tests.conversions import ROOT
from tests.verify.old_pythons import OLD, PYTHONS, RECORDER

pytestmark = [pytest.mark.tensorflow, pytest.mark.process, pytest.mark.slow]

_MAKER = ROOT / "testdata" / "make_old.py"


@pytest.fixture
def script(tmp_path):
    return shutil.copy(RECORDER, tmp_path / "record.py")


@pytest.fixture(params=PYTHONS, ids=lambda python: python.name)
def old(request):
    return request.param


def _recorded(old, script, *arguments):
    done = old.run(script, *arguments)
    assert done.returncode == 0, done.stderr
    (output,) = [str(a).partition("=")[2] for a in arguments if str(a).startswith("--output=")]
    return load_golden(output)


def test_it_records_what_is_in_testdata(old, script, tmp_path):
    """The calls of a file; the same answers, and the same digest of the model, as when the file was made."""
    name = old.name.partition("-")[0]
    found = _recorded(
        old, script, OLD / name / "scorer", f"--inputs={OLD / 'calls.json'}", f"--output={tmp_path / 'golden.npz'}"
    )
    there = load_golden(str(OLD / name / "golden.npz"))
    assert found.model == there.model and found.by == f"TensorFlow {old.release}"
    for a, b in zip(there.answers, found.answers, strict=True):
        assert a.error == b.error == "" and a.outputs.keys() == b.outputs.keys()
        for output, value in a.outputs.items():
            if value.dtype.kind == "f":  # Another processor may round differently.
                np.testing.assert_allclose(b.outputs[output], value, rtol=0, atol=1e-6)
            else:
                assert b.outputs[output].tolist() == value.tolist()


def test_calls_of_its_own_and_calls_of_a_log(old, script, tmp_path):
    log = tmp_path / "log"
    tokens = made.tensor(made.STRING, (1,), strings=(b"red",))
    examples = made.examples(made.example(token=(b"blue",), x=(1.0, 2.0, 3.0)))
    log.write_bytes(
        made.file(made.predict(tokens=tokens, x=made.floats((1, 2, 3))), made.classify(examples, "examples"))
    )
    name = old.name.partition("-")[0]
    own = _recorded(old, script, OLD / name / "scorer", f"--output={tmp_path / 'own.npz'}", "--times=1")
    assert {call.signature for call in own.calls} == {"serving_default", "examples", "count"} and not own.skipped
    logged = _recorded(old, script, OLD / name / "scorer", f"--inputs={log}", f"--output={tmp_path / 'log.npz'}")
    assert [call.signature for call in logged.calls] == ["serving_default"] * 2 + ["examples"] * 2
    assert not any(answer.error for answer in logged.answers) and set(logged.skipped) == {"count"}


@pytest.mark.parametrize(("form", "file"), [("frozen", "frozen.pb"), ("checkpoint", "model.ckpt.meta")])
def test_a_graph_without_signatures(form, file, old, script, tmp_path):
    done = old.run(_MAKER, form, tmp_path / "model")
    assert done.returncode == 0, done.stderr
    (tmp_path / "calls.json").write_text(json.dumps({"x": [[1.0, 2.0, 3.0]]}))
    found = _recorded(
        old,
        script,
        tmp_path / "model" / file,
        "--signature=serving_default:inputs=x=x:0;outputs=y=y:0",
        f"--inputs={tmp_path / 'calls.json'}",
        f"--output={tmp_path / 'golden.npz'}",
    )
    assert [answer.outputs["y"].tolist() for answer in found.answers] == [[[10.0]]] * 2


def test_an_op_of_contrib(old, script, tmp_path):
    done = old.run(_MAKER, "resampler", tmp_path / "model")
    assert done.returncode == 0, done.stderr
    bare = old.run(script, tmp_path / "model", f"--output={tmp_path / 'golden.npz'}")
    assert bare.returncode != 0 and "Resampler" in bare.stderr and not (tmp_path / "golden.npz").exists()
    module = "--import=tensorflow.contrib.resampler"
    found = _recorded(old, script, tmp_path / "model", module, f"--output={tmp_path / 'golden.npz'}")
    assert found.answers[0].outputs["y"].shape == (1, 2, 1)
    assert found.runtime["imports"] == ("tensorflow.contrib.resampler",)
    library = old.run("-c", "import tensorflow.contrib.resampler as r; print(r.__file__)").stdout.strip()
    (shared,) = pathlib.Path(library).parent.rglob("_resampler_ops.so")
    again = _recorded(
        old, script, tmp_path / "model", f"--load_op_library={shared}", f"--output={tmp_path / 'library.npz'}"
    )
    assert again.answers[0].outputs["y"].tolist() == found.answers[0].outputs["y"].tolist()


def test_a_session_bundle(old, script, tmp_path):
    """Its table is filled from its asset, its variables come from a checkpoint of the first format."""
    bundle = ROOT / "testdata" / "forms" / "session_bundle"
    found = _recorded(old, script, bundle, f"--output={tmp_path / 'golden.npz'}", "--times=1")
    assert not found.skipped and not any(answer.error for answer in found.answers)
    with study(str(bundle), Options()) as studied:
        assert {call.signature for call in found.calls} == {s.signature.key for s in studied.graph.plan.signatures}


def test_names_of_any_letters(old, script, tmp_path):
    """In paths, in calls, and in what is told; Python 2 has paths as bytes."""
    model, calls, output = tmp_path / "modèle", tmp_path / "é.json", tmp_path / "☃.npz"
    shutil.copytree(OLD / old.name.partition("-")[0] / "scorer", model)
    calls.write_text(json.dumps({"signature": "é☃", "inputs": {}}, ensure_ascii=False), encoding="utf-8")
    wrong = old.run(script, model, f"--inputs={calls}", f"--output={output}", LC_ALL="C.UTF-8")
    assert wrong.returncode == 2
    assert wrong.stderr.splitlines()[-1].startswith(f"record.py: {calls}: call 0: no signature 'é☃'; there are ")
    calls.write_text(json.dumps({"tokens": ["é☃"], "x": [[1.0, 2.0, 3.0]]}, ensure_ascii=False), encoding="utf-8")
    found = old.run(script, model, f"--inputs={calls}", f"--output={output}", LC_ALL="C.UTF-8")
    assert found.returncode == 0 and "no call of it is in é.json" in found.stderr
    assert load_golden(str(output)).calls[0].inputs["tokens"].tolist() == ["é☃".encode()]
