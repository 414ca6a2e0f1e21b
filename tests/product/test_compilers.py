"""TensorFlow's compiler takes new models with variables: TFLite and StableHLO are made of them."""

from __future__ import annotations

import pathlib

import numpy as np
import pytest

import migrate
from migrate.graph.protos import SavedModel
from migrate.records import Converted, Options

pytestmark = pytest.mark.tensorflow

tf = pytest.importorskip("tensorflow")

TESTDATA = pathlib.Path(__file__).parents[2] / "testdata" / "models"


@pytest.fixture(scope="module")
def new(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = str(tmp_path_factory.mktemp("compilers") / "new")
    (model,) = migrate.convert(str(TESTDATA / "simple_save"), path, Options(verify="none")).models
    assert isinstance(model.outcome, Converted), model.outcome
    return path


def test_the_handle_of_a_variable_is_called_as_the_variable(new: str) -> None:
    graph = SavedModel.FromString(pathlib.Path(new, "saved_model.pb").read_bytes()).meta_graphs[0].graph_def
    handles = [node for node in graph.node if node.op == "VarHandleOp"]
    assert len(handles) == 2 and all(node.name == node.attr["shared_name"].s.decode() for node in handles)


def test_tflite(new: str) -> None:
    made = tf.lite.TFLiteConverter.from_saved_model(new).convert()
    runner = tf.lite.Interpreter(model_content=made).get_signature_runner("serving_default")
    signature = tf.saved_model.load(new).signatures["serving_default"]
    x = np.array([[1.0, 2.0, 3.0]], np.float32)
    np.testing.assert_allclose(runner(x=x)["y"], signature(x=tf.constant(x))["y"], rtol=1e-6)


def test_stablehlo(new: str) -> None:
    made = pytest.importorskip("tensorflow.compiler.mlir.tensorflow_to_stablehlo.python.pywrap_tensorflow_to_stablehlo")
    assert made.savedmodel_to_stablehlo(new, ["serving_default"], ["serve"], "1,3")


def test_stablehlo_of_folded_conds_reads_no_variables(tmp_path: pathlib.Path) -> None:
    """Keras reads the moving averages in conds, which go with `keras_learning_phase`; each read is a constant then."""
    made = pytest.importorskip("tensorflow.compiler.mlir.tensorflow_to_stablehlo.python.pywrap_tensorflow_to_stablehlo")
    path = str(tmp_path / "new")
    options = Options(control_flow="functional", verify="none")
    (model,) = migrate.convert(str(TESTDATA / "keras_v1"), path, options).models
    assert isinstance(model.outcome, Converted), model.outcome
    module = made.savedmodel_to_stablehlo(path, ["serving_default"], ["serve"], "3,4")
    assert b"\0stablehlo\0" in module
    assert b"\0tf\0" not in module, "an op of TensorFlow's is left: its dialect is named in the bytecode"
