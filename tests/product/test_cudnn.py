"""Recurrent networks of cuDNN: the new model, from the disk, against the cells that compute the same on a CPU.

testdata/make_cudnn.py has made the models and the answers. No GPU was there: what cuDNN itself answers is not shown.
"""

from __future__ import annotations

import pathlib
import pickle
import shutil

import numpy as np
import pytest

import migrate
from migrate.graph.protos import SavedModel
from migrate.records import Converted, Options, Refused, Unverified
from tests.conversions import ROOT, run_child

pytestmark = [pytest.mark.tensorflow, pytest.mark.slow]

MODELS = ROOT / "testdata" / "cudnn"
NAMES = sorted(path.parent.name for path in MODELS.glob("*/golden.npz"))
BOUNDS = {"float32": 1e-6, "float64": 1e-15}
BOUND = BOUNDS["float32"]
"""How far an answer may be from that of the cells; outputs are below 1, but those of relu, to which it is a share.

The largest that was measured is 5.1e-7, of "tanh". The cells multiply input and state as one row with one matrix, and
the loop multiplies each with its own and adds the products, as cuDNN's guide has it: the terms are added in another
order, and what is off goes into the next step.
"""

_ASK = """
import pathlib, pickle, sys
import numpy as np
import tensorflow as tf

sources, new = map(pathlib.Path, sys.argv[1:3])
found = {}
for name in sys.argv[4:]:
    golden = np.load(sources / name / "golden.npz")
    loaded = tf.saved_model.load(str(new / name))
    signature = loaded.signatures["serving_default"]
    calls = []
    for number in sorted({key.split("/")[0] for key in golden.files if "/" in key}, key=int):
        given = {k.partition("/")[2]: tf.constant(golden[k]) for k in golden.files if k.startswith(f"{number}/")}
        calls.append({key: value.numpy() for key, value in signature(**given).items()})
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        definition = tf.compat.v1.saved_model.load(session, ["serve"], str(new / name)).signature_def["serving_default"]
        feeds = {definition.inputs[key].name: golden[f"0/{key}"] for key in definition.inputs}
        calls.append(session.run({key: info.name for key, info in definition.outputs.items()}, feeds))
    found[name] = calls
pathlib.Path(sys.argv[3]).write_bytes(pickle.dumps(found))
"""

_DIFFERENTIATE = """
import pathlib, pickle, sys
import numpy as np
import tensorflow as tf

sources, new = map(pathlib.Path, sys.argv[1:3])
found = {}
for name in sys.argv[4:]:
    golden = np.load(sources / name / "golden.npz")
    loaded = tf.saved_model.load(str(new / name))
    calls = []
    for number in sorted({key.split("/")[0] for key in golden.files if "/" in key}, key=int):
        given = {k.partition("/")[2]: tf.constant(golden[k]) for k in golden.files if k.startswith(f"{number}/")}
        with tf.GradientTape() as tape:
            tape.watch(given["x"])
            y = loaded.signatures["serving_default"](**given)["y"]
        sources_of = [given["x"], *loaded.trainable_variables]
        gradients = tape.gradient(y, sources_of, tf.constant(golden[f"{number}^y"]))
        assert all(gradient is not None for gradient in gradients)
        calls.append(gradients[0].numpy())
    found[name] = calls
pathlib.Path(sys.argv[3]).write_bytes(pickle.dumps(found))
"""


@pytest.fixture(scope="module")
def new(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """All of them, converted."""
    path = tmp_path_factory.mktemp("cudnn") / "new"
    report = migrate.convert(str(MODELS), str(path), Options(allow_unverified=True))
    assert {type(model.outcome) for model in report.models} <= {Converted, Unverified}, report
    return path


@pytest.fixture(scope="module")
def found(new: pathlib.Path) -> dict[str, list[dict[str, np.ndarray]]]:
    """What the new models answer; the last of each is the first call in a Session."""
    file = new.parent / "answers"
    run_child(["-c", _ASK, str(MODELS), str(new), str(file), *NAMES])
    return pickle.loads(file.read_bytes())


@pytest.mark.parametrize("name", NAMES)
def test_it_answers_as_the_cells_do(name, found):
    golden = np.load(MODELS / name / "golden.npz")
    numbers = sorted({int(key.split("/")[0]) for key in golden.files if "/" in key})
    assert len(found[name]) == len(numbers) + 1
    for number, answer in zip([*numbers, 0], found[name], strict=True):
        expected = {key.partition(":")[2]: golden[key] for key in golden.files if key.startswith(f"{number}:")}
        assert set(answer) == set(expected) and "y" in expected
        for key, value in expected.items():
            assert answer[key].shape == value.shape and answer[key].dtype == value.dtype
            assert np.abs(answer[key] - value).max() <= BOUNDS[value.dtype.name] * max(1.0, np.abs(value).max()), (
                number,
                key,
            )


def test_gradients_are_those_of_the_cells(tmp_path):
    """In functional control flow, as of any loop."""
    names = ["gru", "lstm_both_ways"]
    for name in names:
        options = Options(verify=False, control_flow="functional")
        (report,) = migrate.convert(str(MODELS / name), str(tmp_path / "new" / name), options).models
        assert isinstance(report.outcome, Converted), report.outcome
    run_child(["-c", _DIFFERENTIATE, str(MODELS), str(tmp_path / "new"), str(tmp_path / "gradients"), *names])
    for name, calls in pickle.loads((tmp_path / "gradients").read_bytes()).items():
        golden = np.load(MODELS / name / "golden.npz")
        for number, gradient in enumerate(calls):
            expected = golden[f"{number}'x"]
            assert np.abs(gradient - expected).max() <= BOUND * max(1.0, np.abs(expected).max()), (name, number)


def test_a_vector_in_an_order_of_its_own_is_refused(tmp_path):
    """A saver of the variable alone: the file has no canonical weights."""
    shutil.copytree(MODELS / "lstm_state", tmp_path / "model")
    path = tmp_path / "model" / "saved_model.pb"
    model = SavedModel.FromString(path.read_bytes())
    graph = model.meta_graphs[0].graph_def
    (made,) = (node for node in graph.node if node.op == "CudnnRNNCanonicalToParams" and node.name.startswith("save/"))
    (assign,) = (node for node in graph.node if made.name in node.input)
    (read,) = (node for node in graph.node if node.op == "RestoreV2")
    assign.input[:] = [assign.input[0], read.name]
    path.write_bytes(model.SerializeToString())
    (report,) = migrate.audit(str(tmp_path / "model")).models
    assert isinstance(report.outcome, Refused)
    assert [finding.code for finding in report.findings] == ["cudnn-weights-opaque"]
