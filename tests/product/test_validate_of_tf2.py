"""`validate` of TF2 against TF2: a model and itself, the same under other names, and with a fault."""

from __future__ import annotations

import pathlib
import re
import shutil
from collections.abc import Callable

import pytest

import migrate
from migrate.graph.protos import SavedModel
from migrate.records import Options, Structure, Validated
from tests.conversions import MODELS, run_child

SOURCE = MODELS / "tf2"
PROOF = Options(verify="proof")


_SAVE_AGAIN = """
import sys, tensorflow as tf
loaded = tf.saved_model.load(sys.argv[1])
tf.saved_model.save(loaded, sys.argv[2], signatures=loaded.signatures)
"""


def _changed(path: pathlib.Path, change: Callable[[SavedModel], None]) -> pathlib.Path:
    shutil.copytree(SOURCE, path)
    model = SavedModel.FromString((path / "saved_model.pb").read_bytes())
    change(model)
    (path / "saved_model.pb").write_bytes(model.SerializeToString())
    return path


def _validated(candidate: pathlib.Path) -> tuple[object, Structure]:
    (report,) = migrate.validate(str(candidate), against=str(SOURCE), options=PROOF).models
    assert report.verification is not None and report.verification.structure is not None
    return report.outcome, report.verification.structure


def _renamed(model: SavedModel) -> None:
    """Other names of functions and of what calls them, in another order, as a later release gives."""
    data = model.SerializePartialToString()
    graph = model.meta_graphs[0]
    names = [function.signature.name for function in graph.graph_def.library.function]
    new = {name: re.sub(r"\d+$", lambda found: found[0][::-1].rjust(len(found[0]), "7"), name) for name in names}
    assert len(set(new.values())) == len(names)
    for function in graph.graph_def.library.function:
        function.signature.name = new[function.signature.name]
    nodes = [node for function in graph.graph_def.library.function for node in function.node_def]
    for node in (*graph.graph_def.node, *nodes):
        if "f" in node.attr and node.attr["f"].func.name in new:
            node.attr["f"].func.name = new[node.attr["f"].func.name]
    objects = graph.object_graph_def
    for name, known in sorted(objects.concrete_functions.items()):
        objects.concrete_functions[new[name]].CopyFrom(known)
        if new[name] != name:
            del objects.concrete_functions[name]
    for node in objects.nodes:
        if node.HasField("bare_concrete_function"):
            bare = node.bare_concrete_function
            bare.concrete_function_name = new[bare.concrete_function_name]
        if node.HasField("function"):
            node.function.concrete_functions[:] = [new[name] for name in node.function.concrete_functions]
    turned = list(graph.graph_def.node)[::-1]
    del graph.graph_def.node[:]
    graph.graph_def.node.extend(turned)
    assert model.SerializePartialToString() != data


def test_a_model_is_itself():
    outcome, structure = _validated(SOURCE)
    assert isinstance(outcome, Validated)
    assert structure.not_proved == {}
    assert structure.outputs_proved == ("serving_default/y",)
    assert structure.variables_proved == structure.variables == 2


def test_other_names_are_no_difference(tmp_path):
    outcome, structure = _validated(_changed(tmp_path / "new", _renamed))
    assert isinstance(outcome, Validated)
    assert structure.not_proved == {}


def _other_op(model: SavedModel) -> None:
    for function in model.meta_graphs[0].graph_def.library.function:
        for node in function.node_def:
            if node.op in ("AddV2", "BiasAdd"):
                node.op = "Sub"
                return
    raise AssertionError("there is no addition")


def _other_captures(model: SavedModel) -> None:
    changed = 0
    for saved in model.meta_graphs[0].object_graph_def.concrete_functions.values():
        if len(saved.bound_inputs) == 2:
            saved.bound_inputs[:] = list(saved.bound_inputs)[::-1]
            changed += 1
    assert changed


def _other_restore(model: SavedModel) -> None:
    changed = 0
    for function in model.meta_graphs[0].graph_def.library.function:
        for node in function.node_def:
            names = node.attr["value"].tensor.string_val if "restore" in function.signature.name else []
            if node.name.endswith("tensor_names") and len(names) > 1:
                names[0], names[1] = names[1], names[0]
                changed += 1
    assert changed


@pytest.mark.parametrize("fault", [_other_op, _other_captures, _other_restore])
def test_a_fault_is_not_proved(tmp_path, fault):
    outcome, structure = _validated(_changed(tmp_path / "new", fault))
    assert not isinstance(outcome, Validated)
    assert structure.not_proved


@pytest.mark.slow
@pytest.mark.tensorflow
def test_what_tensorflow_saves_again_is_proved(tmp_path):
    # In a process of its own: calls carry the optimiser's settings of the process that saves them.
    run_child(["-c", _SAVE_AGAIN, str(SOURCE), str(tmp_path / "new")])
    outcome, structure = _validated(tmp_path / "new")
    assert isinstance(outcome, Validated)
    assert structure.not_proved == {}
