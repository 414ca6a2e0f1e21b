"""A library of ops that a C compiler makes in a moment, and models that need it. No TensorFlow here."""

from __future__ import annotations

import pathlib
import shutil
import subprocess

import pytest

from migrate.graph.protos import SavedModel
from tests.conversions import ROOT
from tests.waiting import PATIENCE_SECONDS

HALVE = ROOT / "testdata" / "op_library" / "halve.c"


def compiled(directory: pathlib.Path, name: str, source: str | None = None) -> str:
    """Compiles a library; that of testdata/op_library, or other C."""
    if shutil.which("gcc") is None:
        pytest.skip("needs gcc")
    file, library = directory / f"{name}.c", directory / f"{name}.so"
    file.write_text(HALVE.read_text() if source is None else source)
    command = ["gcc", "-std=c99", "-Wall", "-Werror", "-shared", "-fPIC", str(file), "-o", str(library)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_SECONDS)
    assert done.returncode == 0, done.stderr
    return str(library)


def write_model(directory: pathlib.Path, op: str = "MigrateHalve", dtype: int = 1) -> str:
    """Writes a TF1 SavedModel with one node of an op, from `x` to `y`."""
    saved = SavedModel(saved_model_schema_version=1)
    graph = saved.meta_graphs.add()
    graph.meta_info_def.tags.append("serve")
    graph.meta_info_def.tensorflow_version = "1.15.0"
    nodes = graph.graph_def.node
    nodes.add(name="x", op="Placeholder").attr["dtype"].type = dtype
    node = nodes.add(name="y", op=op, input=["x"])
    if op == "Neg":
        node.attr["T"].type = dtype
    if op == "MigrateUnmade":
        node.attr["N"].i = 2
    signature = graph.signature_def["serving_default"]
    signature.method_name = "tensorflow/serving/predict"
    for infos, key, tensor in ((signature.inputs, "x", "x:0"), (signature.outputs, "y", "y:0")):
        infos[key].name, infos[key].dtype = tensor, dtype
        infos[key].tensor_shape.unknown_rank = True
    directory.mkdir(parents=True)
    (directory / "saved_model.pb").write_bytes(saved.SerializeToString())
    return str(directory)
