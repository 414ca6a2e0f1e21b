"""What the judge refuses to load, and what it keeps from being read while a graph is imported."""

from __future__ import annotations

import pytest

from migrate.graph.dtypes import dtype_value
from migrate.graph.protos import MetaGraphDef, SavedModel
from migrate.verify.loading import UnsafeError, check_candidate, make_safe
from tests import attacks
from tests.conversions import MODELS

_DT_STRING = dtype_value("string")


def test_a_model_that_loads_its_own_files_is_left_as_it_is():
    graph = attacks.vocabulary()
    before = graph.SerializeToString(deterministic=True)
    make_safe(graph)
    assert graph.SerializeToString(deterministic=True) == before


@pytest.mark.parametrize("file", sorted(MODELS.glob("*/saved_model.pb")), ids=lambda file: file.parent.name)
def test_every_model_of_testdata_is_safe(file):
    for graph in SavedModel.FromString(file.read_bytes()).meta_graphs:
        make_safe(graph)


@pytest.mark.parametrize("attack", attacks.LOADING + attacks.IMPORT, ids=lambda a: a.__name__)
def test_an_attack_is_not_loaded(attack):
    graph = attacks.vocabulary()
    label = attack(graph, "/outside/file")
    with pytest.raises(UnsafeError) as error:
        make_safe(graph)
    assert repr(label.rpartition("/")[2] if label in ("fill/read", "body/read") else label) in str(error.value)


@pytest.mark.parametrize("file", ["../../outside", "/outside", "a/../../b"])
def test_an_asset_outside_the_model_is_not_loaded(file):
    graph = attacks.vocabulary()
    graph.asset_file_def.add(filename=file).tensor_info.name = f"{attacks.ASSET}:0"
    with pytest.raises(UnsafeError, match="assets/"):
        make_safe(graph)


def _unneeded(attack: attacks.Attack) -> MetaGraphDef:
    graph = attacks.vocabulary()
    output = attacks.node(graph, attacks.OUTPUT)
    before = output.input[0]
    attack(graph, "/outside")
    output.input[0] = before
    return graph


@pytest.mark.parametrize(
    "attack",
    [attacks.import_reads, attacks.import_reads_a_joined_name, attacks.import_reads_by_a_rank, attacks.import_matches],
    ids=lambda a: a.__name__,
)
def test_what_nobody_needs_loses_the_name_of_its_file(attack):
    graph = _unneeded(attack)
    names = [node.name for node in graph.graph_def.node]
    make_safe(graph)
    assert [node.name for node in graph.graph_def.node][: len(names)] == names, "collections name nodes"
    nodes = {node.name: node for node in graph.graph_def.node}
    (reader,) = (node for node in nodes.values() if node.op in ("ReadFile", "MatchingFiles"))
    assert nodes[reader.input[0]].op == "Placeholder"


def test_what_the_init_op_reads_is_not_read_on_import():
    graph = attacks.vocabulary()
    attacks.add(graph.graph_def.node, "read", "ReadFile", attacks.ASSET)
    attacks._after(graph, attacks.INIT, "read")
    make_safe(graph)
    assert attacks.node(graph, "read").input[0] == attacks.ASSET
    assert attacks.node(graph, attacks.ASSET).op == "Placeholder", "a constant would be read on import"


# A TF2 SavedModel.


def _tf2() -> SavedModel:
    return SavedModel.FromString((MODELS / "tf2" / "saved_model.pb").read_bytes())


def _body(model: SavedModel, start: str):
    library = model.meta_graphs[0].graph_def.library
    return next(f for f in library.function if f.signature.name.startswith(start)).node_def


def _write(nodes) -> None:
    path, content = attacks.text(nodes, "path", "/outside"), attacks.text(nodes, "text", "x")
    attacks.add(nodes, "write", "WriteFile", f"{path}:output:0", f"{content}:output:0")


def _read(nodes) -> None:
    attacks.add(nodes, "read", "ReadFile", attacks.text(nodes, "path", "/outside") + ":output:0")


def test_a_tf2_model_is_safe():
    check_candidate(_tf2(), side_effects=False)


@pytest.mark.parametrize("side_effects", [False, True])
def test_a_candidate_whose_restore_function_writes_is_not_loaded(side_effects):
    model = _tf2()
    _write(_body(model, "__inference__traced_restore"))
    with pytest.raises(UnsafeError, match="write"):
        check_candidate(model, side_effects)


def test_a_candidate_that_restores_another_checkpoint_is_not_loaded():
    model = _tf2()
    body = _body(model, "__inference__traced_restore")
    path = attacks.text(body, "path", "/outside/variables")
    for node in body:
        if node.op == "RestoreV2":
            node.input[0] = f"{path}:output:0"
    with pytest.raises(UnsafeError, match="none of the model's"):
        check_candidate(model, True)


@pytest.mark.parametrize("side_effects", [False, True])
def test_a_candidate_that_reads_a_file_on_import_is_not_loaded(side_effects):
    model = _tf2()
    _read(_body(model, "__inference___call__"))
    with pytest.raises(UnsafeError, match="import"):
        check_candidate(model, side_effects)


def test_a_candidate_that_reads_a_file_in_a_function_nobody_calls_is_not_loaded():
    model = _tf2()
    function = model.meta_graphs[0].graph_def.library.function.add()
    function.signature.name = "never"
    _read(function.node_def)
    with pytest.raises(UnsafeError, match="never"):
        check_candidate(model, True)


def test_a_candidate_with_a_twin_of_a_called_function_that_writes_needs_leave():
    model = _tf2()
    library = model.meta_graphs[0].graph_def.library
    (called,) = [f for f in library.function if f.signature.name.startswith("__inference___call__")][:1]
    twin = library.function.add()
    twin.CopyFrom(called)
    twin.signature.name = "twin"
    _write(twin.node_def)
    check_candidate(model, False)  # Nothing leads to it.
    for function in (called, twin):
        function.attr["api_implements"].s = b"one of several"
    with pytest.raises(UnsafeError, match=r"'twin'.*allow_side_effects"):
        check_candidate(model, False)


def test_a_candidate_whose_call_writes_needs_leave():
    model = _tf2()
    _write(_body(model, "__inference___call__"))
    with pytest.raises(UnsafeError, match="allow_side_effects"):
        check_candidate(model, False)
    check_candidate(model, True)


@pytest.mark.parametrize("method", ["_create_resource", "_initialize", "_destroy_resource"])
def test_a_candidate_whose_resource_writes_is_not_loaded(method):
    model = _tf2()
    graph = model.meta_graphs[0]
    function = graph.graph_def.library.function.add()
    function.signature.name = "method"
    _write(function.node_def)
    objects = graph.object_graph_def
    objects.concrete_functions["method"].SetInParent()
    objects.nodes.add().function.concrete_functions.append("method")
    resource = objects.nodes.add()
    resource.resource.SetInParent()
    resource.children.add(local_name=method, node_id=len(objects.nodes) - 2)
    with pytest.raises(UnsafeError, match="write"):
        check_candidate(model, True)


@pytest.mark.parametrize("captured", ["asset", "constant"])
def test_a_candidate_fills_its_tables_from_captured_assets_only(captured):
    model = _tf2()
    graph = model.meta_graphs[0]
    function = attacks._filling(graph, "fill")
    function.signature.input_arg.add(name="file", type=_DT_STRING)
    attacks._fill(function, "file")
    objects = graph.object_graph_def
    objects.nodes.add().resource.SetInParent()
    getattr(objects.nodes.add(), captured).SetInParent()
    objects.concrete_functions["fill"].bound_inputs.extend([len(objects.nodes) - 2, len(objects.nodes) - 1])
    objects.nodes.add().function.concrete_functions.append("fill")
    # As TensorFlow exports it: the function and its trace are two objects.
    objects.nodes.add().bare_concrete_function.concrete_function_name = "fill"
    objects.nodes[len(objects.nodes) - 2].children.add(local_name="trace_0", node_id=len(objects.nodes) - 1)
    objects.nodes[len(objects.nodes) - 4].children.add(local_name="_initialize", node_id=len(objects.nodes) - 2)
    if captured == "asset":
        check_candidate(model, False)
        return
    with pytest.raises(UnsafeError, match="none of the model's"):
        check_candidate(model, True)


def test_a_candidate_whose_init_op_writes_is_not_loaded():
    model = _tf2()
    graph = model.meta_graphs[0]
    attacks._write(graph, "/outside")
    graph.signature_def["__saved_model_init_op"].outputs["__saved_model_init_op"].name = "init"
    attacks.add(graph.graph_def.node, "init", "NoOp", "^write")
    with pytest.raises(UnsafeError, match="the init op"):
        check_candidate(model, True)
