"""Ops that TensorFlow 2 does not have: the new model, from the disk, against TensorFlow 1.15's own kernels.

testdata/make_dead_ops.py has made the models and the answers, make_old_beams.py those of TensorFlow 1.4.
Bit for bit, with the graph optimiser off.
"""

from __future__ import annotations

import json
import pathlib

import numpy as np
import pytest

import migrate
from migrate.graph.protos import SavedModel
from migrate.records import Converted, Options
from tests.conversions import ROOT, run_child, same

pytestmark = pytest.mark.tensorflow

MODELS = ROOT / "testdata" / "dead_ops"
ROUNDED = {"logistic": 1.2e-7, "probabilities": 1.2e-7}
"""Outputs behind Sigmoid and Softmax, ops that live and that TensorFlow 2 rounds in another way."""
SHARES = {
    "contrasts_float": 2e-7,
    "spectra_": 1e-6,
    "large_exponential_float32": 2e-6,
    "large_exponential_complex64": 5e-6,
    "large_exponential_complex128": 5e-15,
}
"""Beginnings of the names of outputs, and how far these are off, as a share of the largest.

AdjustContrast adds the numbers of a channel in another order than Mean does: 1.1e-7 were measured. TensorFlow 2 has
another library for the transforms of Fourier than TensorFlow 1.15: 4.1e-7. It multiplies matrices of float32 beyond
25 x 25 with another library than Eigen; and TensorFlow 2.21 has another Eigen, which adds products of complex64 from
5 x 5 and of complex128 from 8 x 8 in another order. Of norms up to 50, 1.1e-6, 2.9e-6 and 3.3e-15 were measured.
Where complex numbers overflow, the old kernel has an infinite real part beside NaN, and the new model NaN in both.
"""
UNSIGNED = ("quantized_",)
"""Beginnings of the names of outputs of which the sign of a zero is another: TensorFlow 1.15 rounds -0.3 to 0, a later
TensorFlow to -0. All else is the same."""
GRADIENT_BOUNDS = {"float16": 2e-3, "float32": 1e-6, "float64": 1e-15}
"""How far gradients are apart, as a share of the largest: TensorFlow 1's kernels add in another order than a tape."""
SINGLE = {"transforms": 1e-7}
"""The same of float64 in models whose gradients are of TensorFlow 1.8: its ImageProjectiveTransform, which is its own
gradient, interpolates in single precision. 3.7e-8 were measured; of float32 none."""
ROUNDED_MODELS = ROOT / "testdata" / "rounded_ops"
"""A model that nobody here answers: FusedConv2DBiasActivation of float32 runs on a GPU alone."""
ROUNDED_NAMES = sorted(path.parent.name for path in ROUNDED_MODELS.glob("*/golden.npz"))
NAMES = sorted(path.parent.name for path in MODELS.glob("*/golden.npz"))
DIFFERENTIATED = sorted(path.parent.name for path in MODELS.glob("*/gradients.npz"))

_ASK = """
import os, pathlib, pickle, sys
import numpy as np
import tensorflow as tf
from tensorflow.python.saved_model import loader_impl

tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": True})
v1 = tf.compat.v1
config = v1.ConfigProto()
config.graph_options.optimizer_options.opt_level = v1.OptimizerOptions.L0
config.graph_options.rewrite_options.disable_meta_optimizer = True
sources, new = map(pathlib.Path, sys.argv[1:3])
found = {}


def given(value):
    if value.dtype.kind != "S":
        return value
    return np.array([each[:-1] for each in value.ravel()], object).reshape(value.shape)


def answers(ask, calls):
    for inputs in calls:
        try:
            yield {name: np.asarray(value) for name, value in ask(inputs).items()}
        except tf.errors.OpError as error:
            yield type(error).__name__


for name in sys.argv[4:]:
    golden = np.load(sources / name / "golden.npz")
    numbers = sorted({key.split("/")[0] for key in golden.files if "/" in key}, key=int)
    keys = [[key for key in golden.files if key.startswith(f"{number}/")] for number in numbers]
    calls = [{key.partition("/")[2]: given(golden[key]) for key in each} for each in keys]
    signatures = tf.saved_model.load(str(new / name)).signatures
    loaded = signatures[min(signatures)]
    specs = loaded.structured_input_signature[1]
    asked = lambda given: loaded(**{key: tf.constant(value, specs[key].dtype) for key, value in given.items()})
    found[name, "tf2"] = list(answers(asked, calls))
    with tf.Graph().as_default(), v1.Session(config=config) as session:
        loader = loader_impl.SavedModelLoader(str(new / name))
        (meta_graph,) = loader._saved_model.meta_graphs
        for nodes in (meta_graph.graph_def.node, *(f.node_def for f in meta_graph.graph_def.library.function)):
            for node in nodes:
                if "config_proto" in node.attr:  # The settings of a call of a function win over the Session's.
                    node.attr["config_proto"].s = config.SerializeToString()
        definitions = loader.load(session, ["serve"]).signature_def
        signature = definitions[min(key for key in definitions if key[:2] != "__")]
        fetches = {key: info.name for key, info in signature.outputs.items()}
        ask = lambda given: session.run(fetches, {signature.inputs[k].name: v for k, v in given.items()})
        found[name, "session"] = list(answers(ask, calls))
pathlib.Path(sys.argv[3]).write_bytes(pickle.dumps(found))
"""

_DIFFERENTIATE = """
import pathlib, pickle, sys
import numpy as np
import tensorflow as tf

tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": True})
sources, new = map(pathlib.Path, sys.argv[1:3])
found = {}
for name in sys.argv[4:]:
    golden = np.load(sources / name / "gradients.npz")
    signatures = tf.saved_model.load(str(new / name)).signatures
    loaded = signatures[min(signatures)]
    calls = []
    for number in sorted({key.split("/")[0] for key in golden.files if "/" in key}, key=int):
        given = {k.partition("/")[2]: tf.constant(golden[k]) for k in golden.files if k.startswith(f"{number}/")}
        back = {k.partition("^")[2]: tf.constant(golden[k]) for k in golden.files if k.startswith(f"{number}^")}
        floats = [key.partition("'")[2] for key in golden.files if key.startswith(f"{number}'")]
        with tf.GradientTape() as tape:
            tape.watch([given[key] for key in floats])
            outputs = loaded(**given)
        keys = sorted(back)
        wanted = [given[key] for key in floats]
        gradients = tape.gradient([outputs[k] for k in keys], wanted, output_gradients=[back[k] for k in keys])
        calls.append({k: None if g is None else tf.convert_to_tensor(g).numpy() for k, g in zip(floats, gradients)})
    found[name] = calls
pathlib.Path(sys.argv[3]).write_bytes(pickle.dumps(found))
"""


@pytest.fixture(scope="module")
def new(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """All of them, converted."""
    path = tmp_path_factory.mktemp("dead_ops") / "new"
    report = migrate.convert(str(MODELS), str(path), Options(allow_unverified=True))
    assert {type(model.outcome) for model in report.models} == {Converted}, report
    unproved = {pathlib.Path(model.source).name for model in report.models if not model.verification.passed}
    assert unproved <= {"beams", "old_beams", "resampler"}  # The proof has no equation of their ops.
    return path


@pytest.fixture(scope="module")
def found(new: pathlib.Path) -> dict[tuple[str, str], list[dict[str, np.ndarray] | str]]:
    """What the new models answer, on both ways of loading."""
    import pickle

    file = new.parent / "answers"
    run_child(["-c", _ASK, str(MODELS), str(new), str(file), *NAMES])
    return pickle.loads(file.read_bytes())


@pytest.fixture(scope="module")
def rounded(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, str], list[dict[str, np.ndarray] | str]]:
    """What the new models answer that nobody here gives the bits of."""
    import pickle

    path = tmp_path_factory.mktemp("rounded_ops")
    found = migrate.convert(str(ROUNDED_MODELS), str(path / "new"), Options(allow_unverified=True)).models
    passed = {pathlib.Path(model.source).name: model.verification.passed for model in found}
    assert passed == {"fused_floats": False}, found
    run_child(["-c", _ASK, str(ROUNDED_MODELS), str(path / "new"), str(path / "answers"), *ROUNDED_NAMES])
    return pickle.loads((path / "answers").read_bytes())


@pytest.fixture(scope="module")
def gradients(new: pathlib.Path) -> dict[str, list[dict[str, np.ndarray | None]]]:
    """What a tape gives for the new models, from the disk."""
    import pickle

    file = new.parent / "gradients"
    run_child(["-c", _DIFFERENTIATE, str(MODELS), str(new), str(file), *DIFFERENTIATED])
    return pickle.loads(file.read_bytes())


@pytest.mark.parametrize("way", ["tf2", "session"])
@pytest.mark.parametrize("name", NAMES)
def test_it_answers_as_tensorflow_1_does(name, way, found):
    _compare(np.load(MODELS / name / "golden.npz"), found[name, way])


@pytest.mark.parametrize("way", ["tf2", "session"])
@pytest.mark.parametrize("name", ROUNDED_NAMES)
def test_it_has_the_bits_of_tensorflow_1_that_nobody_else_has(name, way, rounded):
    _compare(np.load(ROUNDED_MODELS / name / "golden.npz"), rounded[name, way])


def _compare(golden, answers):
    """All calls, with what TensorFlow 1 has answered."""
    numbers = sorted({int(key.split("/")[0]) for key in golden.files if "/" in key})
    assert len(answers) == len(numbers)
    compared = 0
    for number, answer in zip(numbers, answers, strict=True):
        if f"{number}!" in golden.files:
            assert answer == str(golden[f"{number}!"])
            continue
        expected = {key.partition(":")[2]: golden[key] for key in golden.files if key.startswith(f"{number}:")}
        assert isinstance(answer, dict) and set(answer) == set(expected), answer
        for output, value in expected.items():
            if value.dtype.kind == "S":
                value = np.array([each[:-1] for each in value.ravel()], object).reshape(value.shape)
            if output.startswith(tuple(SHARES)):
                share = next(share for start, share in SHARES.items() if output.startswith(start))
                _is_near(value, answer[output], share)
                continue
            if output.startswith(UNSIGNED):
                value, answer[output] = value + 0.0, answer[output] + 0.0
            if output in ROUNDED:
                assert (
                    np.array_equal(value, answer[output]) or np.nanmax(abs(value - answer[output])) <= ROUNDED[output]
                )
                continue
            assert same(value, answer[output]), (
                f"call {number}, {output}: TF 1.15 {value!r}, new model {answer[output]!r}"
            )
            compared += value.size
    assert compared


def _is_near(value: np.ndarray, found: np.ndarray, share: float) -> None:
    assert value.shape == found.shape and value.dtype == found.dtype
    finite = np.isfinite(value)
    assert np.array_equal(value[~finite], found[~finite], equal_nan=True)
    assert abs(value[finite] - found[finite]).max(initial=0.0) <= share * abs(value[finite]).max(initial=0.0)


@pytest.mark.parametrize("name", DIFFERENTIATED)
def test_a_gradient_is_that_of_tensorflow_1(name, gradients):
    golden = np.load(MODELS / name / "gradients.npz")
    numbers = sorted({int(key.split("/")[0]) for key in golden.files if "/" in key})
    assert len(gradients[name]) == len(numbers)
    for number, found in zip(numbers, gradients[name], strict=True):
        expected = {key.partition("'")[2]: golden[key] for key in golden.files if key.startswith(f"{number}'")}
        assert set(found) == set(expected) and expected
        for key, value in expected.items():
            bound = GRADIENT_BOUNDS[value.dtype.name]
            if value.dtype == np.float64:
                bound = SINGLE.get(name, bound)
            assert found[key].shape == value.shape and found[key].dtype == value.dtype
            finite = np.isfinite(value)
            assert np.array_equal(value[~finite], found[key][~finite], equal_nan=True), f"call {number}, {key}"
            most = abs(value[finite].astype(float)).max(initial=0.0)
            apart = abs(value[finite].astype(float) - found[key][finite].astype(float)).max(initial=0.0)
            assert apart <= bound * most, f"call {number}, {key}: {apart / most} of the largest apart"


@pytest.mark.parametrize("name", NAMES)
def test_no_op_is_left_that_tensorflow_2_does_not_have(name, new):
    (report,) = migrate.audit(str(new / name)).models
    assert not [finding for finding in report.findings if finding.code in ("unknown-op", "op-without-kernel")]
    provenance = json.loads((new / name / "assets.extra" / "migration.json").read_text())
    assert provenance


def _engine(directory: pathlib.Path) -> None:
    """A model with a TensorRT engine, which no CPU runs."""
    saved = SavedModel(saved_model_schema_version=1)
    graph = saved.meta_graphs.add()
    graph.meta_info_def.tags.append("serve")
    graph.meta_info_def.tensorflow_version = "1.12.0"
    nodes = graph.graph_def.node
    nodes.add(name="x", op="Placeholder").attr["dtype"].type = 1
    engine = nodes.add(name="engine", op="TRTEngineOp", input=["x"])
    engine.attr["InT"].list.type.append(1)
    engine.attr["OutT"].list.type.extend([1, 1])
    engine.attr["precision_mode"].s = b"FP32"
    engine.attr["segment_funcdef_name"].s = b"segment"
    engine.attr["serialized_segment"].s = b"a program of another machine"
    function = graph.graph_def.library.function.add()
    function.signature.name = "segment"
    function.signature.input_arg.add(name="given", type=1)
    for name, op in (("root", "Sqrt"), ("square", "Square")):
        function.signature.output_arg.add(name=name, type=1)
        function.node_def.add(name=op, op=op, input=["given"]).attr["T"].type = 1
        function.ret[name] = f"{op}:y:0"
    signature = graph.signature_def["serving_default"]
    signature.method_name = "tensorflow/serving/predict"
    for infos, key, tensor in ((signature.inputs, "x", "x:0"), (signature.outputs, "y", "engine:1")):
        infos[key].name, infos[key].dtype = tensor, 1
        infos[key].tensor_shape.unknown_rank = True
    directory.mkdir()
    (directory / "saved_model.pb").write_bytes(saved.SerializeToString())


def test_an_engine_is_proved_and_not_replayed(tmp_path):
    _engine(tmp_path / "engine")
    (report,) = migrate.convert(str(tmp_path / "engine"), str(tmp_path / "new")).models
    assert isinstance(report.outcome, Converted), report.outcome
    ask = (
        "import sys, tensorflow as tf\n"
        "loaded = tf.saved_model.load(sys.argv[1]).signatures['serving_default']\n"
        "assert loaded(x=tf.constant([3.0]))['y'].numpy().tolist() == [9.0]\n"
    )
    run_child(["-c", ask, str(tmp_path / "new")])


def test_a_range_that_begins_before_its_axis_is_an_error(new):
    # TensorFlow 1.15's kernel gives what is in the memory before the data.
    ask = (
        "import sys, numpy as np, tensorflow as tf\n"
        "golden = np.load(sys.argv[2])\n"
        "loaded = tf.saved_model.load(sys.argv[1]).signatures['serving_default']\n"
        "given = {key[2:]: tf.constant(golden[key]) for key in golden.files if key.startswith('0/')}\n"
        "loaded(**given)\n"
        "given['int64_indices'] = tf.constant([[-2, 2]], tf.int64)\n"
        "try:\n"
        "    loaded(**given)\n"
        "except tf.errors.InvalidArgumentError:\n"
        "    sys.exit()\n"
        "sys.exit('it answers')\n"
    )
    run_child(["-c", ask, str(new / "slices"), str(MODELS / "slices" / "golden.npz")])
