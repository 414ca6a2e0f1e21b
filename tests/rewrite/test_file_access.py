"""What a model would do outside itself while it is loaded, imported or called is refused, with the node."""

from __future__ import annotations

import pytest

from migrate.checks.effects import HARMLESS, NAMED_FILES, NAMING_ATTRIBUTES
from migrate.graph.dtypes import dtype_value
from migrate.graph.op_table import load_op_table
from migrate.graph.protos import MetaGraphDef
from migrate.plan.plan import make_plan
from migrate.records import Severity
from tests import attacks

_DT_STRING, _DT_RESOURCE = dtype_value("string"), dtype_value("resource")


def _refusals(graph: MetaGraphDef) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for finding in make_plan(graph).findings:
        if finding.severity is Severity.REFUSAL:
            found.setdefault(finding.code, set()).update(finding.nodes)
    return found


_EFFECTS = {
    attacks.restore_deletes: "restore-op-effect",
    attacks.restore_writes: "restore-op-effect",
    attacks.init_writes: "init-op-effect",
    attacks.init_saves: "init-op-effect",
}


def test_the_model_itself_is_fine():
    assert not _refusals(attacks.vocabulary())


@pytest.mark.parametrize("attack", attacks.LOADING + attacks.IMPORT + attacks.CALLS, ids=lambda a: a.__name__)
def test_an_attack_is_refused_with_its_node(attack):
    graph = attacks.vocabulary()
    label = attack(graph, "/outside/file")
    assert label in _refusals(graph).get(_EFFECTS.get(attack, "file-outside-model"), ())


def test_an_op_that_no_list_of_file_readers_has_is_refused_where_it_is_a_constant():
    graph = attacks.vocabulary()
    nodes = graph.graph_def.node
    attacks.add(nodes, "register", "RegisterDatasetV2", attacks.text(nodes, "dataset", "x"), "dataset", "dataset")
    attacks.add(nodes, "number", "Size", "register", T=9, out_type=3)
    attacks.shaped_by(graph, "number")
    assert _refusals(graph)["effect-on-import"] == {"register"}


def test_what_no_signature_needs_is_not_refused():
    graph = attacks.vocabulary()
    nodes = graph.graph_def.node
    attacks.add(nodes, "read", "ReadFile", attacks.text(nodes, "path", "/outside"))
    attacks.add(nodes, "write", "WriteFile", "path", "read")
    assert not _refusals(graph)


def test_a_file_name_that_is_fed_is_no_constant():
    graph = attacks.vocabulary()
    nodes = graph.graph_def.node
    attacks.add(nodes, "path", "Placeholder", dtype=_DT_STRING)
    attacks.add(nodes, "read", "ReadFile", "path")
    graph.signature_def["file"].CopyFrom(graph.signature_def["serving_default"])
    signature = graph.signature_def["file"]
    signature.inputs.clear()
    signature.outputs.clear()
    for infos, tensor in ((signature.inputs, "path:0"), (signature.outputs, "read:0")):
        infos["value"].name, infos["value"].dtype = tensor, _DT_STRING
    assert not _refusals(graph)


def test_an_asset_may_pass_through_identities_and_functions():
    graph = attacks.vocabulary()
    nodes = graph.graph_def.node
    function = attacks._filling(graph)
    function.signature.input_arg.add(name="file", type=_DT_STRING)
    attacks.add(function.node_def, "same", "Identity", "file", T=_DT_STRING)
    attacks._fill(function, "same:output:0")
    attacks.add(nodes, "passed", "Identity", attacks.ASSET, T=_DT_STRING)
    attacks._call(graph, "fill", attacks.TABLE, "passed")
    assert not _refusals(graph)


def test_the_checkpoints_prefix_may_pass_through_identities():
    graph = attacks.vocabulary()
    attacks.add(graph.graph_def.node, "passed", "Identity", attacks.PREFIX, T=_DT_STRING)
    attacks.node(graph, attacks.RESTORE).input[0] = "passed"
    assert not _refusals(graph)


def test_a_random_initializer_may_run():
    graph = attacks.vocabulary()
    nodes = graph.graph_def.node
    shape = nodes.add(name="shape", op="Const")
    shape.attr["dtype"].type = tensor_type = 3
    tensor = shape.attr["value"].tensor
    tensor.dtype = tensor_type
    tensor.tensor_shape.dim.add(size=2)
    tensor.int_val.extend([8, 3])
    attacks.add(nodes, "random", "RandomUniform", "shape", T=3, dtype=1)
    attacks.add(nodes, "fill_again", "Assign", "embedding", "random", T=1)
    attacks._after(graph, attacks.INIT, "fill_again")
    assert not _refusals(graph)


def test_each_op_of_the_lists_is_known_for_what_it_does():
    table = load_op_table()
    assert {table[op].effect for op in NAMED_FILES} == {"reads-files"}
    assert all(table[op].effect not in HARMLESS for op in NAMING_ATTRIBUTES)


def test_a_descriptor_that_is_linked_in_is_no_file():
    graph = attacks.vocabulary()
    attacks.import_opens_a_descriptor(graph, "local://")
    assert not _refusals(graph)
