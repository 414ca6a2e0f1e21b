from __future__ import annotations

from collections.abc import Sequence

import migrate
from migrate.checks import dangerous_ops
from migrate.graph.graph import ParsedNodes
from migrate.graph.protos import MetaGraphDef, NodeDef, SavedModel
from migrate.records import AlreadyTF2, DangerousOp


def _node(name: str, op: str, inputs: Sequence[str] = (), f: str = "") -> NodeDef:
    node = NodeDef(name=name, op=op, input=inputs)
    if f:
        node.attr["f"].func.name = f
    return node


def _model(*nodes: NodeDef, outputs: Sequence[str] = ("y:0",), **bodies: Sequence[NodeDef]) -> MetaGraphDef:
    made = MetaGraphDef()
    made.meta_info_def.tags.append("serve")
    made.graph_def.node.extend(nodes)
    for number, tensor in enumerate(outputs):
        made.signature_def["s"].outputs[str(number)].name = tensor
    for name, body in bodies.items():
        function = made.graph_def.library.function.add()
        function.signature.name = name
        function.node_def.extend(body)
    return made


def find_dangerous_ops(model: MetaGraphDef) -> tuple[DangerousOp, ...]:
    return dangerous_ops.find_dangerous_ops(model, ParsedNodes(model.graph_def.node))


def _found(model: MetaGraphDef) -> list[tuple[str, str, str, tuple[str, ...], bool, bool]]:
    found = find_dangerous_ops(model)
    assert all(dangerous.tags == ("serve",) for dangerous in found)
    return [(d.op, d.effect, d.where, d.nodes, d.reached, d.standard) for d in found]


def test_a_harmless_model():
    assert find_dangerous_ops(_model(_node("x", "Placeholder"), _node("y", "Relu", ["x"]))) == ()


def test_what_signatures_reach_and_what_nothing_reaches():
    model = _model(
        _node("x", "Placeholder"),
        _node("a", "WriteFile", ["x"]),
        _node("y", "Identity", ["x", "^a"]),
        _node("b", "WriteFile", ["x"]),
        _node("c", "ReadFile", ["x"]),
    )
    assert _found(model) == [
        ("WriteFile", "writes-files", "main graph", ("a",), True, False),
        ("ReadFile", "reads-files", "main graph", ("c",), False, False),
        ("WriteFile", "writes-files", "main graph", ("b",), False, False),
    ]


def test_what_is_behind_a_fed_tensor_is_not_reached():
    model = _model(_node("q", "QueueDequeueV2"), _node("r", "ReadFile", ["q"]), _node("y", "Identity", ["r"]))
    model.signature_def["s"].inputs["x"].name = "r:0"
    assert _found(model) == [("ReadFile", "reads-files", "main graph", ("r",), False, False)]
    # A control edge runs it all the same.
    model.graph_def.node.append(_node("z", "Identity", ["y", "^r"]))
    model.signature_def["s"].outputs["1"].name = "z:0"
    assert _found(model) == [("ReadFile", "reads-files", "main graph", ("r",), True, False)]


def _saved(*more: NodeDef, restore: Sequence[str] = ("^assign",)) -> MetaGraphDef:
    model = _model(
        _node("prefix", "Const"),
        _node("y", "VariableV2"),
        _node("read", "RestoreV2", ["prefix"]),
        _node("assign", "Assign", ["y", "read"]),
        _node("restore_all", "NoOp", restore),
        _node("write", "SaveV2", ["prefix", "y"]),
        _node("merge", "MergeV2Checkpoints", ["prefix", "^write"]),
        _node("saved", "Identity", ["prefix", "^merge"]),
        *more,
    )
    model.saver_def.restore_op_name = "restore_all"
    model.saver_def.save_tensor_name = "saved:0"
    return model


def test_the_savers_own_ops_are_named_as_such():
    assert _found(_saved()) == [
        ("RestoreV2", "reads-files", "restore graph", ("read",), True, True),
        ("MergeV2Checkpoints", "writes-files", "save graph", ("merge",), True, True),
        ("SaveV2", "writes-files", "save graph", ("write",), True, True),
    ]


def test_what_deletes_files_is_none_of_a_restore_graphs_own_ops():
    model = _saved(_node("evil", "MergeV2Checkpoints", ["prefix"]), restore=("^assign", "^evil"))
    assert ("MergeV2Checkpoints", "writes-files", "restore graph", ("evil",), True, False) in _found(model)


def test_an_init_op_reads_its_tables():
    nodes = [_node("fill", "InitializeTableFromTextFileV2"), _node("w", "WriteFile"), _node("y", "Const")]
    model = _model(*nodes, _node("init", "NoOp", ["^fill", "^w"]))
    model.collection_def["saved_model_main_op"].node_list.value.append("init")
    assert _found(model) == [
        ("InitializeTableFromTextFileV2", "reads-files", "init op", ("fill",), True, True),
        ("WriteFile", "writes-files", "init op", ("w",), True, False),
    ]


def test_functions_at_any_depth_and_gradients():
    call = _node("y", "StatefulPartitionedCall", f="outer")
    call.attr["f"].func.attr["g"].func.name = "inner"
    model = _model(
        call,
        outer=[_node("a", "direct")],
        inner=[_node("b", "WriteFile")],
        direct=[_node("c", "ReadFile")],
        gradient=[_node("d", "PyFunc")],
        unused=[_node("e", "Abort"), _node("f", "NotThere")],
    )
    model.graph_def.library.gradient.add(function_name="direct", gradient_func="gradient")
    assert _found(model) == [
        ("ReadFile", "reads-files", "function direct", ("c",), True, False),
        ("PyFunc", "python", "function gradient", ("d",), True, False),
        ("WriteFile", "writes-files", "function inner", ("b",), True, False),
        ("Abort", "process", "function unused", ("e",), False, False),
        ("NotThere", "unknown", "function unused", ("f",), False, False),
    ]


def test_a_functions_name_is_no_unknown_op():
    assert find_dangerous_ops(_model(_node("y", "mine"), mine=[_node("n", "Relu")])) == ()


def test_an_op_in_two_places_is_named_in_both():
    model = _saved(_node("z", "Identity", ["read"]))
    model.signature_def["s"].outputs["1"].name = "z:0"
    found = _found(model)
    assert ("RestoreV2", "reads-files", "main graph", ("read",), True, False) in found
    assert ("RestoreV2", "reads-files", "restore graph", ("read",), True, True) in found


def test_functions_of_a_tf2_saver_and_of_objects():
    model = _model(
        _node("y", "StatefulPartitionedCall", f="serve"),
        _node("restored", "StatefulPartitionedCall", f="restore"),
        _node("init", "StatefulPartitionedCall", f="fill_1"),
        serve=[_node("n", "Relu")],
        restore=[_node("n", "RestoreV2")],
        fill_1=[_node("n", "InitializeTableFromTextFileV2")],
        fill_2=[_node("n", "InitializeTableFromTextFileV2")],
        method=[_node("n", "InitializeTableFromTextFileV2"), _node("m", "WriteFile")],
    )
    model.saver_def.restore_op_name = "restored"
    model.signature_def["__saved_model_init_op"].outputs["__saved_model_init_op"].name = "init"
    objects = model.object_graph_def
    for name in ("serve", "fill_1", "fill_2", "method"):
        objects.concrete_functions[name].SetInParent()
    objects.nodes.add().children.add(node_id=1, local_name="_initializer")
    objects.nodes.add().function.concrete_functions.append("fill_2")
    assert _found(model) == [
        ("InitializeTableFromTextFileV2", "reads-files", "function fill_1", ("n",), True, True),
        ("InitializeTableFromTextFileV2", "reads-files", "function fill_2", ("n",), True, True),
        ("InitializeTableFromTextFileV2", "reads-files", "function method", ("n",), True, False),
        ("WriteFile", "writes-files", "function method", ("m",), True, False),
        ("RestoreV2", "reads-files", "function restore", ("n",), True, True),
    ]


def test_a_node_whose_attribute_makes_it_harmless_is_not_listed():
    quiet, loud = _node("y", "DebugIdentity"), _node("z", "DebugIdentity", ["y"])
    loud.attr["debug_urls"].list.s.append(b"FILE:///x")
    (found,) = find_dangerous_ops(_model(quiet, loud, outputs=("z:0",)))
    assert found == DangerousOp("DebugIdentity", "writes-files", "main graph", ("z",), True, False, ("serve",))


def _written(tmp_path, model: MetaGraphDef) -> str:
    (tmp_path / "saved_model.pb").write_bytes(
        SavedModel(saved_model_schema_version=1, meta_graphs=[model]).SerializeToString()
    )
    return str(tmp_path)


def test_audit_names_them_for_a_tf2_model_that_is_copied_as_it_is(tmp_path):
    model = _model(_node("y", "StatefulPartitionedCall", f="f"), f=[_node("w", "WriteFile")])
    model.object_graph_def.nodes.add()
    (report,) = migrate.audit(_written(tmp_path, model)).models
    assert isinstance(report.outcome, AlreadyTF2)
    assert report.dangerous_ops == (
        DangerousOp("WriteFile", "writes-files", "function f", ("w",), True, False, ("serve",)),
    )


def test_audit_names_them_for_every_meta_graph_of_a_tf1_model(tmp_path):
    model = _model(_node("y", "ReadFile", ["x"]), _node("x", "Placeholder"))
    model.signature_def["s"].inputs["x"].name = "x:0"
    other = _model(_node("y", "Abort"))
    other.meta_info_def.tags.append("tpu")
    path = _written(tmp_path, model)
    saved = SavedModel(saved_model_schema_version=1, meta_graphs=[model, other])
    (tmp_path / "saved_model.pb").write_bytes(saved.SerializeToString())
    (report,) = migrate.audit(path, options=migrate.Options(tags=frozenset({"serve"}))).models
    assert [(d.op, d.tags) for d in report.dangerous_ops] == [("ReadFile", ("serve",)), ("Abort", ("serve", "tpu"))]
    assert "touches-files" in {finding.code for finding in report.findings}
