"""What a plan costs grows as the model does."""

from __future__ import annotations

import functools
import gc

import pytest

from migrate.checks.proposals import propose
from migrate.export.weights import Part, _holes_of
from migrate.graph.dtypes import dtype_value
from migrate.graph.graph import Graph, ParsedNodes, index
from migrate.graph.op_table import load_ref_ops
from migrate.graph.protos import FunctionDef, GraphDef, MetaGraphDef, NodeDef, SavedModel
from migrate.model.study import audit_model
from migrate.plan.plan import make_plan
from migrate.plan.restore import FromCheckpoint
from migrate.records import Options
from migrate.rewrite.damaged_freeze import repair
from migrate.rewrite.engine import rewrite
from migrate.rewrite.ordering import unordered_outputs
from tests.rewrite.texts import run
from tests.waiting import steps

pytestmark = pytest.mark.slow

_FLOAT, _STRING = map(dtype_value, ("float32", "string"))


def _add(graph: GraphDef, name: str, op: str, inputs: list[str], **types: int) -> NodeDef:
    made = graph.node.add(name=name, op=op, input=inputs)
    for key, value in types.items():
        made.attr[key].type = value
    return made


def _model(count: int) -> MetaGraphDef:
    """So many ref variables, restored by one op and added by one."""
    meta_graph = MetaGraphDef()
    graph = meta_graph.graph_def

    node = functools.partial(_add, graph)

    def strings(name: str, values: list[str]) -> None:
        tensor = node(name, "Const", [], dtype=_STRING).attr["value"].tensor
        tensor.dtype = _STRING
        tensor.tensor_shape.dim.add(size=len(values))
        tensor.string_val.extend(value.encode() for value in values)

    names = [f"v{number}" for number in range(count)]
    strings("save/names", names)
    strings("save/slices", [""] * count)
    strings("save/Const", ["model"])
    restore = node("save/RestoreV2", "RestoreV2", ["save/Const", "save/names", "save/slices"])
    restore.attr["dtypes"].list.type.extend([_FLOAT] * count)
    for number, name in enumerate(names):
        node(name, "VariableV2", [], dtype=_FLOAT).attr["shape"].shape.dim.add(size=1)
        node(f"{name}/read", "Identity", [name], T=_FLOAT)
        node(f"save/Assign_{number}", "Assign", [name, f"save/RestoreV2:{number}"], T=_FLOAT)
    node("y", "AddN", [f"{name}/read" for name in names], T=_FLOAT).attr["N"].i = count
    node("save/restore_all", "NoOp", [f"^save/Assign_{number}" for number in range(count)])
    meta_graph.saver_def.filename_tensor_name = "save/Const:0"
    meta_graph.saver_def.restore_op_name = "save/restore_all"
    output = meta_graph.signature_def["serving_default"].outputs["y"]
    output.name, output.dtype = "y:0", _FLOAT
    return meta_graph


def _plan_of_many(count: int) -> int:
    model = _model(count)
    plans = []
    taken = steps(lambda: plans.append(make_plan(model)))
    (plan,) = plans
    assert not plan.refused
    assert [v.value for v in plan.variables] == [FromCheckpoint(f"v{number}", "") for number in range(count)]
    return taken


def test_the_plan_of_many_variables_takes_no_square_of_their_number():
    _plan_of_many(10)  # What is made once, is made.
    # Eight times as many; the square would be 64 times as much.
    assert _plan_of_many(800) < 10 * _plan_of_many(100)


def _chain(count: int) -> MetaGraphDef:
    """So many nodes in a row over a variable that is written at their end, under four signatures."""
    meta_graph = MetaGraphDef()
    graph = meta_graph.graph_def
    variable = graph.node.add(name="v", op="VariableV2")
    variable.attr["dtype"].type = _FLOAT
    variable.attr["shape"].shape.dim.add(size=1)
    for number in range(count):
        graph.node.add(name=f"n{number}", op="Identity", input=[f"n{number - 1}" if number else "v"])
        graph.node[-1].attr["T"].type = _FLOAT
    graph.node.add(name="write", op="AssignAdd", input=["v", f"n{count - 1}"]).attr["T"].type = _FLOAT
    graph.node.add(name="save/Const", op="Const").attr["dtype"].type = _STRING
    for number in range(4):
        # Each signature has a graph of its own, so that none is spared the work for being like another.
        graph.node.add(name=f"y{number}", op="Identity", input=["write"]).attr["T"].type = _FLOAT
        output = meta_graph.signature_def[f"s{number}"].outputs["y"]
        output.name, output.dtype = f"y{number}:0", _FLOAT
    return meta_graph


def _plan_of_deep(count: int) -> int:
    meta_graph = _chain(count)
    plans = []
    taken = steps(lambda: plans.append(make_plan(meta_graph)))
    assert len(plans[0].signatures) == 4
    return taken


def test_the_plan_of_a_deep_graph_takes_no_square_of_its_depth():
    _plan_of_deep(10)
    assert _plan_of_deep(800) < 10 * _plan_of_deep(100)


def _unordered(count: int) -> Graph:
    """So many reads and as many writes of one variable, in no order."""
    variable = NodeDef(name="v", op="VarHandleOp")
    variable.attr["shared_name"].s = b"v"
    nodes = [variable, NodeDef(name="x", op="Placeholder")]
    nodes += [NodeDef(name=f"read{number}", op="ReadVariableOp", input=["v"]) for number in range(count)]
    nodes += [NodeDef(name=f"write{number}", op="AssignAddVariableOp", input=["v", "x"]) for number in range(count)]
    return index(nodes)


def _steps_of_unordered(count: int) -> int:
    graph = _unordered(count)
    found = []
    taken = steps(lambda: found.extend(unordered_outputs(graph, [f"read{number}:0" for number in range(count)])))
    assert len(found) == count
    return taken


def test_unordered_reads_and_writes_take_no_square_of_their_number():
    _steps_of_unordered(10)
    assert _steps_of_unordered(800) < 10 * _steps_of_unordered(100)


def _steps_of_nested_calls(depth: int) -> int:
    """So many functions, each of which calls the next one twice; the last one writes."""
    library = {}
    for number in range(depth):
        function = library[f"f{number}"] = FunctionDef()
        function.signature.name = f"f{number}"
        function.signature.input_arg.add(name="v", type=20)
        op = f"f{number + 1}" if number + 1 < depth else "AssignAddVariableOp"
        function.node_def.add(name="a", op=op, input=["v"])
        function.node_def.add(name="b", op=op, input=["v", "^a"])
    variable = NodeDef(name="v", op="VarHandleOp")
    variable.attr["shared_name"].s = b"v"
    graph = index(
        [variable, NodeDef(name="c", op="f0", input=["v"]), NodeDef(name="r", op="ReadVariableOp", input=["v"])]
    )
    found = []
    taken = steps(lambda: found.extend(unordered_outputs(graph, ["r:0"], library)))
    assert [u.tensor for u in found] == ["r:0"]
    return taken


def test_calls_within_calls_are_looked_at_once_each():
    _steps_of_nested_calls(2)
    assert _steps_of_nested_calls(14) < 4 * _steps_of_nested_calls(7)


def _steps_of_calls(calls: int, body: int) -> int:
    """So many calls of one function, which writes behind so many nodes that are listed from the last to the first."""
    function = FunctionDef()
    function.signature.name = "f"
    function.signature.input_arg.add(name="v", type=20)
    function.node_def.add(name="write", op="AssignAddVariableOp", input=[f"i{body - 1}:output:0"])
    for number in reversed(range(body)):
        function.node_def.add(name=f"i{number}", op="Identity", input=[f"i{number - 1}:output:0" if number else "v"])
    variable = NodeDef(name="v", op="VarHandleOp")
    variable.attr["shared_name"].s = b"v"
    nodes = [variable, NodeDef(name="r", op="ReadVariableOp", input=["v"])]
    nodes += [NodeDef(name=f"c{number}", op="f", input=["v"]) for number in range(calls)]
    graph = index(nodes)
    found = []
    taken = steps(lambda: found.extend(unordered_outputs(graph, ["r:0"], {"f": function})))
    assert [u.tensor for u in found] == ["r:0"]
    return taken


def test_a_function_that_is_called_often_is_looked_at_once():
    _steps_of_calls(1, 1)
    assert _steps_of_calls(80, 800) < 3 * _steps_of_calls(10, 800)


def test_a_body_in_the_opposite_order_takes_no_square_of_its_length():
    _steps_of_calls(1, 1)
    assert _steps_of_calls(1, 800) < 10 * _steps_of_calls(1, 100)


def _steps_of_a_damaged_freeze(op: str, count: int) -> int:
    """A constant behind so many nodes, listed from the last to the first, that is read as a variable."""
    typed = 1 if op == "Enter" else 20
    nodes = [NodeDef(name=f"pass{number}", op=op, input=[f"pass{number - 1}"]) for number in reversed(range(count))]
    nodes[-1].input[:] = ["c"]
    for node in nodes:
        node.attr["T"].type = typed
    constant = NodeDef(name="c", op="Const")
    constant.attr["dtype"].type = constant.attr["value"].tensor.dtype = _FLOAT
    constant.attr["value"].tensor.tensor_shape.SetInParent()
    users = [NodeDef(name=f"read{n}", op="ReadVariableOp", input=[f"pass{n}"]) for n in range(count)]
    total = NodeDef(name="y", op="AddN", input=[user.name for user in users])
    for node in users:
        node.attr["dtype"].type = _FLOAT
    meta_graph = MetaGraphDef()
    meta_graph.graph_def.node.extend([total, *users, *nodes, constant])
    meta_graph.signature_def["serving_default"].outputs["y"].name = "y:0"
    found = []
    taken = steps(lambda: found.append(repair(meta_graph, ParsedNodes(meta_graph.graph_def.node))))
    assert [f.code for f in found[0].findings] == ["frozen-variable"]
    assert list(found[0].values) == ["c"]
    return taken


@pytest.mark.parametrize("op", ["Enter", "Identity"])
def test_a_damaged_freeze_takes_no_square_of_what_passes_a_handle_on(op):
    _steps_of_a_damaged_freeze(op, 3)
    assert _steps_of_a_damaged_freeze(op, 800) < 10 * _steps_of_a_damaged_freeze(op, 100)


def _steps_of_holes(count: int) -> int:
    """So many tensors, each in a hole of its own."""
    size = 2 << 20
    parts = [Part(number * size, size, 0, "k", "v") for number in range(count)]
    holes = [(part.offset, part.offset + (1 << 20)) for part in parts]
    found = []
    taken = steps(lambda: found.extend(hole for part in parts for hole in _holes_of(part, holes)))
    assert found == holes
    return taken


def test_tensors_and_holes_take_no_product_of_their_numbers():
    _steps_of_holes(3)
    assert _steps_of_holes(800) < 10 * _steps_of_holes(100)


def _steps_of_proposals(outputs: int) -> int:
    """So many outputs over one trunk, each of which needs a weight of its own."""
    meta_graph = MetaGraphDef()
    graph = meta_graph.graph_def

    node = functools.partial(_add, graph)

    node("x", "Placeholder", [], dtype=_FLOAT)
    for number in range(3000):
        node(f"n{number}", "Relu", [f"n{number - 1}" if number else "x"], T=_FLOAT)
    for number in range(outputs):
        node(f"weight{number}", "VariableV2", [], dtype=_FLOAT)
        node(f"y{number}", "Add", ["n2999", f"weight{number}"], T=_FLOAT)
    found = []
    taken = steps(lambda: found.extend(propose(meta_graph)))
    assert len(found) == 1 and len(found[0].outputs) == min(outputs, 12)
    return taken


def test_outputs_over_one_trunk_walk_it_once():
    _steps_of_proposals(3)
    assert _steps_of_proposals(64) < 2 * _steps_of_proposals(8)


def test_a_plan_is_freed_when_it_is_dropped():
    # Its protos would else stay until Python looks for cycles, which it seldom does once thousands of reports are held.
    gc.collect()
    gc.disable()
    try:
        make_plan(_chain(20))
        assert gc.collect() == 0
    finally:
        gc.enable()


def test_signatures_that_run_the_same_are_rewritten_once():
    meta_graph = _model(3)
    meta_graph.signature_def["again"].CopyFrom(meta_graph.signature_def["serving_default"])
    first, second = make_plan(meta_graph).signatures
    assert first.run.graph is second.run.graph
    assert (first.run.run.key, second.run.run.key) == ("signature 'again'", "signature 'serving_default'")


def _of_many_parts(shape: str, count: int) -> SavedModel:
    """A model of so many signatures, assets, placeholders or outputs; without signatures where they are proposed."""
    model = SavedModel(saved_model_schema_version=1)
    meta_graph = model.meta_graphs.add()
    meta_graph.meta_info_def.tags.append("serve")
    graph = meta_graph.graph_def

    node = functools.partial(_add, graph)

    def signature(key: str, tensor: str) -> None:
        definition = meta_graph.signature_def[key]
        definition.inputs["x"].name, definition.inputs["x"].dtype = "x:0", _FLOAT
        definition.outputs["y"].name, definition.outputs["y"].dtype = f"{tensor}:0", _FLOAT

    node("x", "Placeholder", [], dtype=_FLOAT).attr["shape"].shape.unknown_rank = True
    if shape in ("signatures", "assets"):
        node("y", "Relu", ["x"], T=_FLOAT)
        signature("serving_default", "y")
    for number in range(count):
        if shape == "signatures":
            node(f"y{number}", "Relu", ["x"], T=_FLOAT)
            signature(f"s{number}", f"y{number}")
        elif shape == "assets":
            node(f"name{number}", "Const", [], dtype=_STRING).attr["value"].tensor.string_val.append(b"a")
            meta_graph.asset_file_def.add(filename=f"file{number}").tensor_info.name = f"name{number}:0"
        elif shape == "placeholders":
            node(f"x{number}", "Placeholder", [], dtype=_FLOAT).attr["shape"].shape.unknown_rank = True
        elif shape == "outputs":
            node(f"weight{number}", "VariableV2", [], dtype=_FLOAT).attr["shape"].shape.dim.add(size=1)
            node(f"y{number}", "Add", ["x", f"weight{number}"], T=_FLOAT)
        elif shape == "functions":
            function = graph.library.function.add()
            function.signature.name = f"function{number}"
            function.signature.input_arg.add(name="a", type=_FLOAT)
            function.signature.output_arg.add(name="b", type=_FLOAT)
            function.node_def.add(name="c", op="Relu", input=["a"]).attr["T"].type = _FLOAT
            function.ret["b"] = "c:activations:0"
            node(f"y{number}", f"function{number}", ["x"])
    if shape == "placeholders":
        node("y", "AddN", [f"x{number}" for number in range(count)], T=_FLOAT)
    return model


@pytest.mark.parametrize("shape", ["signatures", "assets", "placeholders", "outputs", "functions"])
def test_an_audit_takes_no_square_of_what_there_are_many_of(shape, tmp_path):
    def audit(count: int) -> int:
        (tmp_path / "saved_model.pb").write_bytes(_of_many_parts(shape, count).SerializeToString())
        return steps(lambda: audit_model(str(tmp_path), Options()))

    audit(3)
    # Eight times as many; the square would be 64 times as much.
    few, many = (400, 3200) if shape == "outputs" else (100, 800)
    assert audit(many) < 11 * audit(few)


_TAKEN = {
    "handle": "t = HashTable() key_dtype=string value_dtype=int64\nk = Const() dtype=string value=string:'a'\n"
    "y = InitializeTable(t, k, k, {}) Tkey=string Tval=string\ntarget y",
    "alias": "v = VariableV2() dtype=float32 shape=(2)\nx = Placeholder() dtype=float32\nt = Transpose(v, x)\n"
    "w = AssignAdd(v, x) T=float32\ny = AddN({}, ^w) T=float32\nfetch y:0",
}


@pytest.mark.parametrize("graph", _TAKEN.values(), ids=_TAKEN)
def test_what_a_node_takes_very_many_times_costs_no_square_of_that(graph):
    def taken(count: int) -> int:
        of = run(graph.format(", ".join(["t"] * count)))
        return steps(lambda: rewrite(of, load_ref_ops()))

    taken(3)
    assert taken(800) < 11 * taken(100)
