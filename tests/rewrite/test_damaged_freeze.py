"""Frozen graphs that TF1's freezer has damaged: the judge is the graph before it was frozen, with the same weights."""

from __future__ import annotations

import pathlib
import pickle

import pytest

import migrate
from migrate.graph.graph import ParsedNodes
from migrate.graph.protos import GraphDef, MetaGraphDef, NodeDef, SavedModel
from migrate.records import Converted, Convertible, Options, Refused
from migrate.rewrite.damaged_freeze import repair, with_values
from migrate.signature_flag import parse_signature
from tests.conversions import run_child

_BUILD = """
import os, pickle, sys
import numpy as np
import tensorflow as tf

v1, raw = tf.compat.v1, tf.raw_ops
v1.disable_v2_behavior()
work = sys.argv[1]
CALLS = [np.array([1.0, 2.0], np.float32) * k for k in (1, -2, 3)]
WRITES = ("AssignVariableOp",)


def variable(name, value, use_resource=False):
    return v1.get_variable(name, initializer=np.array(value, np.float32), use_resource=use_resource, trainable=False)


def assign_sub_is_fetched(x):
    return v1.assign_sub(variable("mean", [5.0, 7.0]), x * 0.5)


def a_read_after_the_write(x):
    mean = variable("mean", [5.0, 7.0])
    before = tf.identity(mean)
    with tf.control_dependencies([v1.assign_add(mean, x).op]):
        return before * 2 + tf.identity(mean) + mean


def moving_average_in_a_branch(x):
    mean = variable("mean", [5.0, 7.0])
    training = tf.reduce_sum(x) > 0

    def update():
        new = v1.assign_sub(mean, (mean - x) * 0.25, name="AssignMovingAvg")
        with tf.control_dependencies([new.op]):
            return tf.identity(x)

    normed = v1.cond(training, update, lambda: x - mean)
    return normed * 2


def a_ref_switch_that_nothing_writes(x):
    first, second = variable("first", [5.0, 7.0]), variable("second", [1.0, 3.0])
    return v1.cond(tf.reduce_sum(x) > 0, lambda: x + tf.identity(first._ref()), lambda: x * second._ref())


def assign_and_scatter(x):
    table = variable("table", [[1.0, 2.0], [3.0, 4.0]])
    first = v1.scatter_add(table, [1], tf.expand_dims(x, 0))
    with tf.control_dependencies([first.op]):
        second = v1.assign(table, table * 2)
    return tf.reduce_sum(second, 0)


def a_loop_over_a_ref(x):
    step = variable("step", [0.5, 0.25])
    return v1.while_loop(lambda n, _: n < 3, lambda n, s: (n + 1, s * step._ref() + step._ref()), (0, x))[1]


def an_optimizer_step(x):
    weights = variable("weights", [1.0, 2.0])
    done = raw.ApplyGradientDescent(var=weights._ref(), alpha=0.1, delta=x)
    return done + 1


def a_handle_in_a_branch(x):
    first, second = variable("first", [5.0, 7.0], True), variable("second", [1.0, 3.0], True)
    return v1.cond(tf.reduce_sum(x) > 0, lambda: x + first.read_value(), lambda: x * second.read_value())


def a_handle_in_a_loop(x):
    step = variable("step", [0.5, 0.25], True)
    return v1.while_loop(lambda n, _: n < 3, lambda n, s: (n + 1, s * step.read_value()), (0, x))[1]


def rows_of_a_handle_in_a_branch(x):
    table = variable("table", [[1.0, 2.0], [3.0, 4.0]], True)
    return v1.cond(tf.reduce_sum(x) > 0, lambda: tf.gather(table, 1) + x, lambda: x)


def a_handle_that_is_written(x):
    mean = variable("mean", [5.0, 7.0], True)
    with tf.control_dependencies([mean.assign_sub(x, read_value=False)]):
        return mean.read_value() + x


def a_handle_written_in_a_branch(x):
    mean = variable("mean", [5.0, 7.0], True)

    def update():
        before = tf.identity(mean.read_value())
        with tf.control_dependencies([before]):
            write = mean.assign_sub(x, read_value=False)
        with tf.control_dependencies([write]):
            return before * tf.identity(x)

    return v1.cond(tf.reduce_sum(x) > 0, update, lambda: mean.read_value() + x)


def a_handle_written_in_a_branch_of_a_newer_freezer(x):
    return a_handle_written_in_a_branch(x)


CASES = {
    name: value
    for name, value in globals().items()
    if getattr(value, "__module__", "") == "__main__" and value.__code__.co_varnames[:1] == ("x",)
}


def retype(graph_def):
    # From TF 1.14 on, what leads a variable to a read of it gets the variable's dtype.
    nodes = {node.name: node for node in graph_def.node}
    for node in [node for node in graph_def.node if node.op == "ReadVariableOp"]:
        passed = nodes[node.input[0].partition(":")[0]]
        while passed.op != "VarHandleOp":
            passed.attr["T"].CopyFrom(node.attr["dtype"])
            passed = nodes[passed.input[0].partition(":")[0]]


def freeze(graph_def, values):
    # What graph_util_impl.py of TF 1.15 makes of each node.
    for node in graph_def.node:
        if node.op in ("VariableV2", "VarHandleOp"):
            value = values[node.name]
            node.op = "Const"
            node.attr.clear()
            node.attr["dtype"].type = tf.as_dtype(value.dtype).as_datatype_enum
            node.attr["value"].tensor.CopyFrom(tf.make_tensor_proto(value))
        elif node.op == "ReadVariableOp":
            node.op = "Identity"
            node.attr["T"].CopyFrom(node.attr["dtype"])
            for key in [key for key in node.attr if key != "T"]:
                del node.attr[key]
        elif node.op == "ResourceGather":
            axis = graph_def.node.add(name=node.name + "/axis", op="Const")
            axis.attr["dtype"].type = 3
            axis.attr["value"].tensor.CopyFrom(tf.make_tensor_proto(0))
            node.op = "GatherV2"
            node.input.insert(2, axis.name)
            node.attr["Tparams"].CopyFrom(node.attr["dtype"])
            node.attr["Taxis"].type = 3
            for key in ("dtype", "validate_indices", "_class"):
                node.attr.pop(key, None)


expected = {}
for name, build in CASES.items():
    with tf.Graph().as_default() as graph, v1.Session() as session:
        x = v1.placeholder(tf.float32, [2], name="x")
        tf.identity(build(x), name="y")
        session.run(v1.global_variables_initializer())
        variables = {v.op.name: session.run(v) for v in v1.global_variables()}
        expected[name] = [session.run("y:0", {"x:0": given}) for given in CALLS]
        graph_def = v1.graph_util.extract_sub_graph(graph.as_graph_def(), ["y"])
        if name.endswith("newer_freezer"):
            retype(graph_def)
        freeze(graph_def, variables)
    refused = ""
    with tf.Graph().as_default():
        try:
            tf.import_graph_def(graph_def, name="")
        except ValueError as error:
            refused = str(error)
    assert "incompatible with expected" in refused or "expected resource" in refused, (name, refused)
    os.makedirs(os.path.join(work, "old", name))
    with open(os.path.join(work, "old", name, "frozen.pb"), "wb") as file:
        file.write(graph_def.SerializeToString())
with open(os.path.join(work, "expected"), "wb") as file:
    pickle.dump({"calls": CALLS, "answers": expected}, file)
"""

_ASK = """
import os, pickle, sys
import tensorflow as tf

v1 = tf.compat.v1
work = sys.argv[1]
with open(os.path.join(work, "expected"), "rb") as file:
    expected = pickle.load(file)
found = {}
for name in os.listdir(os.path.join(work, "new")):
    path = os.path.join(work, "new", name)
    if not os.path.isdir(path) or name.startswith("."):
        continue
    function = tf.saved_model.load(path).signatures["serving_default"]
    answers = {"function": [function(x=tf.constant(given))["y"].numpy() for given in expected["calls"]]}
    with tf.Graph().as_default(), v1.Session() as session:
        signature = v1.saved_model.load(session, ["serve"], path).signature_def["serving_default"]
        answers["session"] = [
            session.run(signature.outputs["y"].name, {signature.inputs["x"].name: given}) for given in expected["calls"]
        ]
    found[name] = answers
with open(os.path.join(work, "found"), "wb") as file:
    pickle.dump(found, file)
"""

_CASES = [line.split("(")[0][4:] for line in _BUILD.splitlines() if line.startswith("def ") and line.endswith("(x):")]


@pytest.fixture(scope="module")
def work(tmp_path_factory):
    """Every case: built, asked, frozen as TF1 did, converted, and asked again in a fresh process."""
    work = tmp_path_factory.mktemp("frozen")
    run_child(["-c", _BUILD, str(work)])
    options = Options(signature=(parse_signature("serving_default:inputs=x=x:0;outputs=y=y:0"),))
    report = migrate.convert(str(work / "old"), str(work / "new"), options)
    (work / "report").write_bytes(pickle.dumps(report))
    run_child(["-c", _ASK, str(work)])
    return work


@pytest.mark.slow
@pytest.mark.tensorflow
@pytest.mark.parametrize("case", _CASES)
def test_it_answers_as_before_it_was_frozen(work, case):
    (model,) = [m for m in pickle.loads((work / "report").read_bytes()).models if pathlib.Path(m.source).name == case]
    assert isinstance(model.outcome, Converted), model
    assert model.verification is not None and model.verification.bitwise_equal
    assert "frozen-variable" in {finding.code for finding in model.findings}
    expected = pickle.loads((work / "expected").read_bytes())["answers"][case]
    found = pickle.loads((work / "found").read_bytes())[case]
    for way in ("function", "session"):
        assert [a.tolist() for a in found[way]] == [a.tolist() for a in expected], way


def _graph(text_nodes):
    meta_graph = MetaGraphDef()
    meta_graph.graph_def.CopyFrom(GraphDef(node=text_nodes))
    signature = meta_graph.signature_def["serving_default"]
    signature.outputs["y"].name = "y:0"
    return meta_graph


def _node(name, op, *inputs, **types):
    node = NodeDef(name=name, op=op, input=inputs)
    for key, value in types.items():
        node.attr[key].type = value
    return node


def _constant(name, dtype=1):
    node = _node(name, "Const", dtype=dtype)
    node.attr["value"].tensor.dtype = dtype
    node.attr["value"].tensor.tensor_shape.SetInParent()
    return node


@pytest.mark.parametrize(
    "nodes",
    [
        [_constant("c"), _node("y", "Identity", "c", T=1)],
        [_node("v", "VariableV2", dtype=1), _constant("c"), _node("y", "AssignSub", "v", "c", T=1)],
        [
            _node("v", "VarHandleOp", dtype=1),
            _constant("p", 10),
            _node("s", "Switch", "v", "p", T=20),
            _node("y", "ReadVariableOp", "s:1", dtype=1),
        ],
        # What no signature runs stays as it is.
        [_constant("c"), _constant("d"), _node("w", "Assign", "c", "d", T=1), _node("y", "Identity", "c", T=1)],
        [
            _constant("c", 3),
            _node("a", "TensorArrayV3", "c", dtype=1),
            _node("e", "Enter", "a", T=20),
            _node("y", "TensorArraySizeV3", "e", "a:1"),
        ],
    ],
    ids=["constants", "a variable", "a handle", "not needed", "an array"],
)
def test_what_is_not_damaged_stays_as_it_is(nodes):
    meta_graph = _graph(nodes)
    repaired = repair(meta_graph, ParsedNodes(meta_graph.graph_def.node))
    assert repaired.meta_graph is meta_graph
    assert not repaired.findings and not repaired.values


def test_what_no_longer_runs_is_left_out_and_told():
    nodes = [_constant("c"), _node("w", "AssignSub", "c", "c", T=1), _node("y", "Identity", "c", T=1)]
    meta_graph = _graph(nodes)
    repaired = repair(meta_graph, ParsedNodes(meta_graph.graph_def.node))
    assert repaired.meta_graph is meta_graph
    assert [(f.code, f.nodes) for f in repaired.findings] == [("frozen-write-left-out", ("w",))]


def _write(directory, nodes):
    directory.mkdir()
    (directory / "frozen.pb").write_bytes(GraphDef(node=nodes).SerializeToString())
    options = Options(signature=(parse_signature("serving_default:inputs=x=x:0;outputs=y=y:0"),))
    return migrate.audit(str(directory), options).models[0]


def _placeholder(dtype=1):
    node = _node("x", "Placeholder", dtype=dtype)
    node.attr["shape"].shape.unknown_rank = True
    return node


@pytest.mark.parametrize(
    ("nodes", "code"),
    [
        ([_placeholder(), _node("y", "AssignSub", "x", "x", T=1)], "ref-is-fed"),
        ([_placeholder(), _constant("c"), _node("i", "Identity", "c", T=1), _node("y", "AssignSub", "i", "x", T=1)],
         "ref-is-fed"),
        ([_placeholder(), _constant("c"), _node("w", "AssignSub", "c", "x", T=1),
          _node("y", "ReadVariableOp", "c", "^w", dtype=1)], "frozen-variable-unclear"),
        ([_placeholder(10), _constant("c"), _node("i", "Identity", "c", T=1), _node("s", "Switch", "i", "x", T=20),
          _node("y", "Identity", "s:1", T=1)], "frozen-variable-unclear"),
        ([_placeholder(10), _constant("c"), _node("i", "Identity", "c", T=1), _node("s", "Switch", "i", "x", T=1),
          _node("w", "AssignSubVariableOp", "s:1", "c", dtype=1), _node("y", "Identity", "c", "^w", T=1)],
         "frozen-variable-unclear"),
    ],
)  # fmt: skip
def test_what_has_no_clear_meaning_is_refused_by_audit(tmp_path, nodes, code):
    model = _write(tmp_path / "model", nodes)
    assert isinstance(model.outcome, Refused), model
    assert code in {finding.code for finding in model.findings}


def _saved_with_init(directory, init):
    """A SavedModel of a frozen graph that writes a constant, whose main op has this name."""
    nodes = [_placeholder(), _constant("c"), _node("y", "AssignSub", "c", "x", T=1), _node("init", "NoOp")]
    model = SavedModel(saved_model_schema_version=1)
    meta_graph = model.meta_graphs.add()
    meta_graph.meta_info_def.tags.append("serve")
    meta_graph.graph_def.CopyFrom(GraphDef(node=nodes))
    meta_graph.collection_def["saved_model_main_op"].node_list.value.append(init)
    signature = meta_graph.signature_def["serving_default"]
    signature.inputs["x"].name, signature.inputs["x"].dtype = "x:0", 1
    signature.outputs["y"].name, signature.outputs["y"].dtype = "y:0", 1
    directory.mkdir()
    (directory / "saved_model.pb").write_bytes(model.SerializeToString())
    return meta_graph


def test_an_init_op_that_is_not_there_is_refused_as_in_any_other_model(tmp_path):
    _saved_with_init(tmp_path / "bad", "gone")
    _saved_with_init(tmp_path / "good", "init")
    bad, good = migrate.audit(str(tmp_path)).models
    assert isinstance(bad.outcome, Refused), bad
    assert {"init-op-missing", "frozen-variable"} <= {finding.code for finding in bad.findings}
    assert isinstance(good.outcome, Convertible), good


@pytest.mark.parametrize("init", ["init", "gone"])
def test_a_session_is_given_the_values_whatever_the_init_op_is(tmp_path, init):
    meta_graph = _saved_with_init(tmp_path / "model", init)
    asked = with_values(repair(meta_graph, ParsedNodes(meta_graph.graph_def.node)))
    nodes = {node.name: node for node in asked.graph_def.node}
    assert nodes["c/thaw"].op == "Assign"
    tables = asked.collection_def["table_initializer"].node_list.value
    assert ("^c/thaw" in nodes["init"].input, list(tables)) == ((True, []) if init == "init" else (False, ["c/thaw"]))
