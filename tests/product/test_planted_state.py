"""`migrate validate` finds what is wrong with a candidate's variables, attributes and gradients where no call shows it.

Each fault is planted in the files of a converted model whose answers stay as they are.
"""

from __future__ import annotations

import json
import pathlib
import re
import shutil

import numpy as np
import pytest

pytestmark = [pytest.mark.tensorflow, pytest.mark.slow]

tf = pytest.importorskip("tensorflow")

import migrate  # noqa: E402
from migrate.graph.protos import SavedModel, TrackableObjectGraph  # noqa: E402
from migrate.records import Converted, Mismatched, Options, Validated  # noqa: E402
from tests.conversions import MODELS  # noqa: E402

KERAS = MODELS.parent / "keras"
_OPTIONS = Options(timeout=200)
_DECOY = "decoy/.ATTRIBUTES/VARIABLE_VALUE"
_OBJECT_GRAPH = "_CHECKPOINTABLE_OBJECT_GRAPH"


@pytest.fixture(scope="module")
def tables(tmp_path_factory):
    """Two signatures alike over two weights and a table of which calls reach ten rows, and the conversion."""
    folder = tmp_path_factory.mktemp("tables")
    v1 = tf.compat.v1
    with tf.Graph().as_default(), v1.Session() as session:
        x = v1.placeholder(tf.float32, [None, 3], "x")
        ids = v1.placeholder(tf.int64, [None], "ids")

        def variable(name, shape, seed, trainable=True):
            normal = v1.random_normal_initializer(seed=seed)
            return v1.get_variable(name, shape, initializer=normal, use_resource=False, trainable=trainable)

        first, second = variable("first", [3, 2], 1), variable("second", [3, 2], 2)
        table = variable("table", [5000, 2], 3, False)
        rows = tf.gather(table, ids % 10)
        outputs = {"serving_default": tf.identity(x @ first + rows), "other": tf.identity(x @ second + rows)}
        session.run(v1.global_variables_initializer())
        signatures = {
            key: v1.saved_model.signature_def_utils.predict_signature_def({"x": x, "ids": ids}, {"y": y})
            for key, y in outputs.items()
        }
        builder = v1.saved_model.Builder(str(folder / "old"))
        builder.add_meta_graph_and_variables(session, ["serve"], signatures)
        builder.save()
    return _convert(folder / "old", folder)


@pytest.fixture(scope="module")
def module(tmp_path_factory):
    """A TF1 Hub module with a training graph, and its conversion."""
    return _convert(MODELS / "hub_module", tmp_path_factory.mktemp("module"))


def _convert(old, folder):
    (report,) = migrate.convert(str(old), str(folder / "new"), _OPTIONS).models
    assert isinstance(report.outcome, Converted), (report.outcome, report.verification)
    return old, folder / "new"


class _Damaged:
    """A copy of a conversion, to be damaged."""

    def __init__(self, model, path):
        self.old, new = model
        self.path = pathlib.Path(shutil.copytree(new, path / "damaged"))
        (self.path / "fingerprint.pb").unlink()
        self.proto = SavedModel.FromString((self.path / "saved_model.pb").read_bytes())
        (self.meta_graph,) = self.proto.meta_graphs
        self.objects = self.meta_graph.object_graph_def.nodes

    def child(self, node, *names):
        for name in names:
            (node,) = [c.node_id for c in self.objects[node].children if c.local_name == name]
        return node

    def drop(self, node, name):
        kept = [c for c in self.objects[node].children if c.local_name != name]
        assert len(kept) < len(self.objects[node].children)
        copies = [type(c).FromString(c.SerializeToString()) for c in kept]
        del self.objects[node].children[:]
        self.objects[node].children.extend(copies)

    def body(self, name):
        """The function that has a node of some name."""
        functions = self.meta_graph.graph_def.library.function
        return next(f for f in functions if any(node.name == name for node in f.node_def))

    def stop_gradient(self, function, tensor):
        """Puts a StopGradient between a tensor and what takes it."""
        takers = [node for node in function.node_def if tensor in node.input]
        node = function.node_def.add(name="planted", op="StopGradient", input=[tensor])
        node.attr["T"].type = tf.float32.as_datatype_enum
        self.replace(takers, tensor, "planted:output:0")

    def replace(self, takers, tensor, given):
        assert takers
        for node in takers:
            for position, name in enumerate(node.input):
                if name == tensor:
                    node.input[position] = given

    def rewrite_checkpoint(self, change):
        """Writes the checkpoint anew: `change` takes its tensors and its object graph and changes both."""
        prefix = str(self.path / "variables" / "variables")
        reader = tf.train.load_checkpoint(prefix)
        tensors = {key: reader.get_tensor(key) for key in reader.get_variable_to_shape_map() if key != _OBJECT_GRAPH}
        graph = TrackableObjectGraph.FromString(reader.get_tensor(_OBJECT_GRAPH))
        change(tensors, graph)
        shutil.rmtree(self.path / "variables")
        names = [*tensors, _OBJECT_GRAPH]
        tf.raw_ops.SaveV2(
            prefix=prefix,
            tensor_names=names,
            shape_and_slices=[""] * len(names),
            tensors=[*map(tf.constant, tensors.values()), tf.constant(graph.SerializeToString())],
        )

    def validate(self):
        (self.path / "saved_model.pb").write_bytes(self.proto.SerializeToString())
        (report,) = migrate.validate(str(self.path), against=str(self.old), options=_OPTIONS).models
        return report

    def differences(self):
        report = self.validate()
        assert isinstance(report.outcome, Mismatched), report.outcome
        return {(m.output, m.path) for m in report.verification.mismatches}


@pytest.fixture
def damaged(tables, tmp_path):
    return _Damaged(tables, tmp_path / "tables")


@pytest.fixture
def damaged_module(module, tmp_path):
    return _Damaged(module, tmp_path / "module")


def _key(name):
    return f"vars/{name}/.ATTRIBUTES/VARIABLE_VALUE"


def test_what_is_faithful_is_validated(damaged, damaged_module):
    report = damaged.validate()
    assert isinstance(report.outcome, Validated), (report.outcome, report.verification)
    assert (report.verification.variables_compared, report.verification.gradients_compared) == (3, 2)
    report = damaged_module.validate()
    assert isinstance(report.outcome, Validated), (report.outcome, report.verification)
    assert report.verification.gradients_compared > 4  # Of training, too.


def test_what_the_candidate_says_of_its_variables_is_not_read(damaged):
    file = damaged.path / "assets.extra" / "migration.json"
    content = json.loads(file.read_text())
    content["variables"] = {"table": _key("first"), "first": "nowhere"}
    file.write_text(json.dumps(content))
    assert isinstance(damaged.validate().outcome, Validated)


def test_another_entry_of_the_checkpoint_is_restored(damaged):
    """The entry of the old name is as it was, and nobody reads it."""

    def change(tensors, graph):
        decoy = tensors[_key("table")].copy()
        decoy[4321] += 1
        tensors[_DECOY] = decoy
        (entry,) = [a for node in graph.nodes for a in node.attributes if a.checkpoint_key == _key("table")]
        entry.checkpoint_key = _DECOY

    damaged.rewrite_checkpoint(change)
    assert damaged.differences() == {("table", way) for way in ("checkpoint", "tf2")}


def test_two_names_are_exchanged(damaged):
    def exchange(holder):
        children = {child.local_name: child for child in holder.children}
        first, second = children["first"], children["second"]
        first.node_id, second.node_id = second.node_id, first.node_id

    def change(tensors, graph):
        (holder,) = [child.node_id for child in graph.nodes[0].children if child.local_name == "vars"]
        exchange(graph.nodes[holder])

    exchange(damaged.objects[damaged.child(0, "vars")])
    damaged.rewrite_checkpoint(change)
    found = damaged.differences()
    assert {("first", "tf2"), ("second", "session"), ("vars['first'].name", "surface")} <= found
    assert not any(path in ("tf2", "session") and output == "y" for output, path in found)


def test_a_session_restores_another_entry(damaged):
    def change(tensors, graph):
        decoy = tensors[_key("table")].copy()
        decoy[4321] += 1
        tensors[_DECOY] = decoy

    damaged.rewrite_checkpoint(change)
    (names,) = [
        node.attr["value"].tensor
        for node in damaged.body("RestoreV2").node_def
        if node.name == "RestoreV2/tensor_names"
    ]
    names.string_val[:] = [_DECOY.encode() if name == _key("table").encode() else name for name in names.string_val]
    # The files show that a Session saves it under the old key, too.
    # In the files the variable is a node, which is called as its shared name.
    found = {(re.sub("_[0-9a-f]{16}$", "", name), way) for name, way in damaged.differences()}
    assert found == {("table", "session"), ("table", "contract")}


def test_a_call_writes_what_its_source_leaves(damaged):
    body = damaged.body("first/read")
    handle = next(node.input[0] for node in body.node_def if node.name == "table/read")
    for name, value in (("row", tf.make_tensor_proto([4321], tf.int64)), ("one", tf.make_tensor_proto([[1.0, 1.0]]))):
        node = body.node_def.add(name=name, op="Const")
        node.attr["value"].tensor.CopyFrom(value)
        node.attr["dtype"].type = value.dtype
    write = body.node_def.add(
        name="write", op="ResourceScatterAdd", input=[handle, "row:output:0", "one:output:0", "^table/read"]
    )
    write.attr["dtype"].type = tf.float32.as_datatype_enum
    write.attr["Tindices"].type = tf.int64.as_datatype_enum
    body.control_ret["write"] = "write"
    body.signature.control_output.append("write")
    body.signature.is_stateful = True
    assert {("table", "tf2"), ("table", "session")} <= damaged.differences()


def _saved_name(model):
    model.objects[model.child(0, "vars", "table")].variable.name = "first"


def _trainable_flag(model):
    model.objects[model.child(0, "vars", "first")].variable.trainable = False


def _trainable_list(model):
    model.drop(model.child(0, "trainable_variables"), "1")


def _not_trainable_list(model):
    holder, table = model.child(0, "trainable_variables"), model.child(0, "vars", "table")
    model.objects[holder].children.add(local_name="2", node_id=table)


def _variables_list(model):
    model.drop(model.child(0, "variables"), "2")


def _attribute(name):
    return lambda model: model.drop(0, name)


def _negative_call(model):
    """`__call__` gives the negative of what the signature gives."""
    function = model.objects[model.child(0, "__call__")].bare_concrete_function.concrete_function_name
    body = next(f for f in model.meta_graph.graph_def.library.function if f.signature.name == function)
    (result,) = [node for node in body.node_def if node.op == "Identity"]
    result.op = "Neg"
    (name,) = body.ret
    body.ret[name] = f"{result.name}:y:0"


def _doubled_gradient(model):
    """`2 * y - stop_gradient(y)` is `y`, and its gradient twice that of `y`."""
    body = model.body("first/read")
    result = next(iter(body.ret))
    tensor = body.ret[result]
    float32 = tf.float32.as_datatype_enum
    for name, op, given in (
        ("held", "StopGradient", [tensor]),
        ("twice", "AddV2", [tensor, tensor]),
        ("same", "Sub", ["twice:z:0", "held:output:0"]),
    ):
        node = body.node_def.add(name=name, op=op, input=given)
        node.attr["T"].type = float32
    body.ret[result] = "same:z:0"


def _baked_in(model):
    """A weight is a constant of its value."""
    body = model.body("first/read")
    (read,) = [node for node in body.node_def if node.name == "first/read"]
    value = tf.train.load_checkpoint(str(model.path / "variables" / "variables")).get_tensor(_key("first"))
    read.op = "Const"
    del read.input[:]
    read.attr.clear()
    read.attr["value"].tensor.CopyFrom(tf.make_tensor_proto(value))
    read.attr["dtype"].type = tf.float32.as_datatype_enum
    takers = [node for node in body.node_def if "first/read:value:0" in node.input]
    model.replace(takers, "first/read:value:0", "first/read:output:0")


@pytest.mark.sampled(3)
@pytest.mark.parametrize(
    ("damage", "told"),
    [
        (_saved_name, ("vars['table'].name", "surface")),
        (_trainable_flag, ("first", "surface")),
        (_trainable_list, ("trainable_variables", "surface")),
        (_not_trainable_list, ("trainable_variables", "surface")),
        (_variables_list, ("variables", "surface")),
        (_attribute("vars"), ("vars", "surface")),
        (_attribute("trainable_variables"), ("trainable_variables", "surface")),
        (_attribute("regularization_losses"), ("regularization_losses", "surface")),
        (_attribute("__call__"), ("__call__", "surface")),
        (_negative_call, ("y", "tf2, __call__")),
        (_doubled_gradient, ("first", "gradient")),
        (_baked_in, ("y", "tf2, with other values in its variables")),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_what_only_clients_in_python_see(damaged, damage, told):
    damage(damaged)
    assert told in damaged.differences()


def test_a_lost_gradient_is_a_mismatch(damaged):
    damaged.stop_gradient(damaged.body("first/read"), "first/read:value:0")
    assert ("first", "gradient") in damaged.differences()


def test_a_lost_gradient_is_told_where_the_model_has_v1_control_flow(damaged):
    body = damaged.body("first/read")
    damaged.stop_gradient(body, "first/read:value:0")
    switch = body.node_def.add(name="unused", op="Switch", input=["first/read:value:0", "unused_predicate:output:0"])
    switch.attr["T"].type = 1
    predicate = body.node_def.add(name="unused_predicate", op="Const")
    predicate.attr["dtype"].type = predicate.attr["value"].tensor.dtype = 10
    predicate.attr["value"].tensor.tensor_shape.SetInParent()
    predicate.attr["value"].tensor.bool_val.append(True)
    report = damaged.validate()
    assert isinstance(report.outcome, Validated), (report.outcome, report.verification)
    (finding,) = [finding for finding in report.findings if finding.code == "gradient-lost"]
    assert finding.nodes == ("first",)


def _untrained(model):
    """`training=True` computes what inference does, and updates nothing."""
    traces = model.objects[model.child(0, "__call__")].function.concrete_functions
    library = {f.signature.name: f for f in model.meta_graph.graph_def.library.function}
    without, training = ([n for n in library[name].node_def if n.op.endswith("PartitionedCall")] for name in traces)
    training[0].attr["f"].func.name = without[0].attr["f"].func.name


def _update(model):
    """A moving mean that moves half as far."""
    body = model.body("norm/moving_mean/update")
    (factor,) = [node for node in body.node_def if node.name == "mul/y"]
    value = factor.attr["value"].tensor
    value.CopyFrom(tf.make_tensor_proto(tf.make_ndarray(value) / 2))


def _half_gradient(model):
    """The variance is no part of the gradient of training."""
    model.stop_gradient(model.body("norm/moving_mean/update"), "batchnorm/Rsqrt:y:0")


def _loss(model):
    body = model.body("dense/regularizer")
    (factor,) = [node for node in body.node_def if node.name == "dense/regularizer/x"]
    value = factor.attr["value"].tensor
    value.CopyFrom(tf.make_tensor_proto(tf.make_ndarray(value) / 2))


def _no_loss(model):
    model.drop(model.child(0, "regularization_losses"), "0")


@pytest.mark.sampled(2)
@pytest.mark.parametrize(
    ("damage", "told"),
    [
        (_untrained, ("y", "tf2, training")),
        (_update, ("norm/moving_mean", "tf2, training")),
        (_half_gradient, ("dense/kernel", "gradient")),
        (_loss, ("regularization_losses", "surface")),
        (_no_loss, ("regularization_losses", "surface")),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_what_training_shows(damaged_module, damage, told):
    damage(damaged_module)
    found = damaged_module.differences()
    assert told in {(output.replace("default", "y"), path) for output, path in found}, found


def test_a_gradient_that_training_loses_is_told(damaged_module):
    damaged_module.stop_gradient(damaged_module.body("norm/moving_mean/update"), "dense/kernel/read:value:0")
    assert "gradient-missing" in {m.code for m in damaged_module.validate().verification.mismatches}


@pytest.fixture(scope="module")
def keras(tmp_path_factory):
    """A Keras model, and its conversion."""
    return _convert(KERAS / "functional", tmp_path_factory.mktemp("keras"))


@pytest.fixture
def damaged_keras(keras, tmp_path):
    return _Damaged(keras, tmp_path / "keras")


def test_what_is_faithful_of_keras_is_validated(damaged_keras):
    report = damaged_keras.validate()
    assert isinstance(report.outcome, Validated), (report.outcome, report.verification)
    assert report.verification.variables_compared and report.verification.gradients_compared


def test_a_weight_of_keras_that_is_not_trained(damaged_keras):
    holder = damaged_keras.child(0, "trainable_variables")
    damaged_keras.drop(holder, damaged_keras.objects[holder].children[-1].local_name)
    assert ("trainable_variables", "surface") in damaged_keras.differences()


def test_what_keras_keeps_beside_the_signature(damaged_keras):
    """All at once: each is a difference of its own, and none hides another one."""

    def change(tensors, graph):
        keys = [key for key in tensors if "optimizer/" in key]
        (rate,) = [key for key in keys if tensors[key].dtype == np.float32 and not tensors[key].ndim]
        (steps,) = [key for key in keys if tensors[key].dtype == np.int64]
        tensors[rate], tensors[steps] = tensors[rate] * 2, tensors[steps] + 1

    damaged_keras.rewrite_checkpoint(change)
    for saved in damaged_keras.objects:
        if saved.WhichOneof("kind") == "variable" and saved.variable.name == "normal/moving_mean":
            saved.variable.trainable = True
    for function in damaged_keras.meta_graph.graph_def.library.function:
        for node in function.node_def:
            if "loss_fn" in function.signature.name and node.op == "Const" and node.attr["dtype"].type == 1:
                node.attr["value"].tensor.float_val[:] = [0.5]
            if node.op == "AssignSubVariableOp":
                node.op = "AssignVariableOp"
                node.attr["validate_shape"].b = False
    metadata = damaged_keras.path / "keras_metadata.pb"
    metadata.write_bytes(metadata.read_bytes().replace(b'"relu"', b'"tanh"'))
    found = damaged_keras.differences()
    expected = {
        ("optimizer/_learning_rate", "surface"),
        ("optimizer/_iterations", "surface"),
        ("normal/moving_mean", "surface"),
        ("regularization_losses", "tf2, with other values in its variables"),
        ("normal/moving_variance", "tf2, training"),
        ("keras_metadata.pb: layer_with_weights-1", "contract"),
    }
    assert found >= expected, expected - found
