"""What migrate takes for granted of TensorFlow beyond its public API: run on the oldest and the newest release.

A failure here says which assumption a new release has broken, before a user's model does.
"""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

import migrate
from migrate.graph.op_table import load_op_table
from migrate.records import Converted, Options
from tests import conversions
from tests.waiting import PATIENCE_SECONDS

tf = pytest.importorskip("tensorflow")
pytestmark = [pytest.mark.tensorflow, pytest.mark.private_api]

RELEASE = ".".join(tf.__version__.split(".")[:2])


class _Doubling(tf.Module):
    def __init__(self):
        super().__init__()
        self.w = tf.Variable(2.0, name="w")

    @tf.function(input_signature=[tf.TensorSpec([None], tf.float32, name="x")])
    def __call__(self, x):
        return {"y": self.w * x}


@pytest.fixture
def saved(tmp_path):
    """A small TF2 SavedModel; its directory."""
    path = str(tmp_path / "model")
    module = _Doubling()
    tf.saved_model.save(module, path, {"serving_default": module.__call__.get_concrete_function()})
    return path


def _read(path):
    from tensorflow.core.protobuf import saved_model_pb2

    with open(f"{path}/saved_model.pb", "rb") as file:
        return saved_model_pb2.SavedModel.FromString(file.read())


def _write(path, proto):
    with open(f"{path}/saved_model.pb", "wb") as file:
        file.write(proto.SerializeToString(deterministic=True))


# The protos.


def test_protos_load_without_the_runtime():
    code = (
        "import sys\n"
        "from migrate.graph import protos\n"
        "assert not [m for m in sys.modules if m.startswith('tensorflow.python')], sys.modules\n"
        "import tensorflow as tf\n"
        "assert type(tf.compat.v1.GraphDef()) is protos.GraphDef\n"
        "assert type(tf.compat.v1.MetaGraphDef()) is protos.MetaGraphDef\n"
        "assert protos.SavedModel().DESCRIPTOR.full_name == 'tensorflow.SavedModel'\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=PATIENCE_SECONDS)
    assert done.returncode == 0, done.stderr


# The fingerprint.


def test_a_fingerprint_can_be_written_anew(saved):
    from tensorflow.python.saved_model import fingerprinting_utils
    from tensorflow.python.saved_model.pywrap_saved_model import fingerprinting

    before = tf.saved_model.experimental.read_fingerprint(saved).saved_model_checksum
    proto = _read(saved)
    proto.meta_graphs[0].signature_def["serving_default"].method_name = "custom/method"
    _write(saved, proto)
    assert tf.saved_model.experimental.read_fingerprint(saved).saved_model_checksum == before
    fingerprinting_utils.write_fingerprint(saved)
    after = tf.saved_model.experimental.read_fingerprint(saved).saved_model_checksum
    assert after != before
    fresh = tf.saved_model.experimental.Fingerprint.from_proto(_fingerprint_def(fingerprinting, saved))
    assert fresh.saved_model_checksum == after


def _fingerprint_def(fingerprinting, path):
    from tensorflow.core.protobuf import fingerprint_pb2

    return fingerprint_pb2.FingerprintDef.FromString(fingerprinting.CreateFingerprintDef(path))


# Names of inputs that Python would not take.


@pytest.mark.parametrize("name", ["image/encoded", "1st", "with space", "out:0", "Upper-Case.dot", "plain"])
def test_a_loaded_function_is_called_by_any_text(name, tmp_path):
    from tensorflow.core.function.polymorphism.function_type import sanitize_arg_name

    argument = sanitize_arg_name(name)
    assert argument.isidentifier()
    # The first letter and case are kept where they can be: no two of the names above become one.
    assert argument.lower().replace("_", "").endswith(name.lower()[-3:].replace(":", "").replace("_", ""))
    path = str(tmp_path / "model")
    module = tf.train.Checkpoint(w=tf.Variable(2.0))
    function = tf.function(lambda **inputs: {"y": module.w * next(iter(inputs.values()))}, autograph=False)
    concrete = function.get_concrete_function(**{argument: tf.TensorSpec([None], tf.float32, name=argument)})
    tf.saved_model.save(module, path, {"serving_default": concrete})
    loaded = tf.saved_model.load(path)
    answer = loaded.signatures["serving_default"](**{name: tf.constant([1.5])})
    np.testing.assert_array_equal(answer["y"], [3.0])


def test_the_signature_of_a_model_on_the_disk_may_be_renamed(saved):
    proto = _read(saved)
    signature = proto.meta_graphs[0].signature_def["serving_default"]
    signature.inputs["class"].CopyFrom(signature.inputs["x"])
    del signature.inputs["x"]
    _write(saved, proto)
    assert tf.saved_model.load(saved).signatures["serving_default"](x=tf.constant([1.5]))["y"].numpy() == 3.0
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        loaded = tf.compat.v1.saved_model.load(session, ["serve"], saved)
        signature = loaded.signature_def["serving_default"]
        answer = session.run(signature.outputs["y"].name, {signature.inputs["class"].name: [1.5]})
    np.testing.assert_array_equal(answer, [3.0])


# What the exporter makes of what it is given.


def test_an_imported_graph_captures_a_variable_by_its_handle(tmp_path):
    """import_graph_def maps a placeholder to a handle that `FuncGraph.capture` has brought in, and saving follows."""
    graph = tf.Graph()
    with graph.as_default():
        handle = tf.compat.v1.placeholder(tf.resource, [], name="v")
        x = tf.compat.v1.placeholder(tf.float32, [None], name="x")
        tf.multiply(tf.raw_ops.ReadVariableOp(resource=handle, dtype=tf.float32), x, name="y")
    variable = tf.Variable(3.0, name="scope/v")

    def body(x):
        captured = tf.compat.v1.get_default_graph().capture(variable.handle)
        (y,) = tf.graph_util.import_graph_def(graph.as_graph_def(), {"v:0": captured, "x:0": x}, ["y:0"], name="")
        return y

    wrapped = tf.compat.v1.wrap_function(body, [tf.TensorSpec([None], tf.float32, name="argument")])
    assert len(wrapped.graph.captures) == 1
    root = tf.train.Checkpoint(variables=[variable], functions=[wrapped])
    served = tf.function(lambda x: {"y": wrapped(x)}, autograph=False)
    path = str(tmp_path / "model")
    tf.saved_model.save(
        root, path, {"serving_default": served.get_concrete_function(tf.TensorSpec([None], tf.float32))}
    )
    loaded = tf.saved_model.load(path)
    (restored,) = loaded.variables
    assert restored.name == "scope/v:0"
    restored.assign(5.0)
    with tf.GradientTape() as tape:
        answer = loaded.signatures["serving_default"](x=tf.constant([2.0]))["y"]
    np.testing.assert_array_equal(answer, [10.0])
    np.testing.assert_array_equal(tape.gradient(answer, restored), 2.0)


class _Filled(tf.saved_model.experimental.TrackableResource):
    """A table that `_initialize` fills."""

    def _create_resource(self):
        return tf.raw_ops.HashTableV2(key_dtype=tf.string, value_dtype=tf.int64, shared_name="table")

    def _initialize(self):
        tf.raw_ops.InitializeTableV2(
            table_handle=self.resource_handle, keys=tf.constant(["a"]), values=tf.constant([7], tf.int64)
        )


def test_a_resource_is_made_and_initialized_on_loading(tmp_path):
    root = tf.train.Checkpoint()
    root.table = _Filled()
    handle = root.table.resource_handle  # made here, not while `find` is traced

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="keys")], autograph=False)
    def find(keys):
        default = tf.constant(-1, tf.int64)
        return tf.raw_ops.LookupTableFindV2(table_handle=handle, keys=keys, default_value=default)

    root.find = find
    first, second = str(tmp_path / "first"), str(tmp_path / "second")
    tf.saved_model.save(root, first)
    loaded = tf.saved_model.load(first)
    np.testing.assert_array_equal(loaded.find(tf.constant(["a", "b"])), [7, -1])
    tf.saved_model.save(loaded, second)
    np.testing.assert_array_equal(loaded.find(tf.constant(["a", "b"])), [7, -1])
    again, other = tf.saved_model.load(second), tf.saved_model.load(second)
    del other
    np.testing.assert_array_equal(again.find(tf.constant(["a", "b"])), [7, -1])
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        signature = tf.compat.v1.saved_model.load(session, ["serve"], second).signature_def["serving_default"]
        answer = session.run(signature.outputs["output_0"].name, {signature.inputs["keys"].name: ["a", "b"]})
    np.testing.assert_array_equal(answer, [7, -1])


def test_the_checkpoint_of_a_list_of_variables_has_the_keys_that_its_object_graph_tells(tmp_path):
    from tensorflow.core.protobuf import trackable_object_graph_pb2

    root = tf.train.Checkpoint()
    root.variables = [tf.Variable(1.0), tf.Variable([2.0, 3.0])]
    path = str(tmp_path / "model")
    tf.saved_model.save(root, path)
    reader = tf.train.load_checkpoint(f"{path}/variables/variables")
    graph = trackable_object_graph_pb2.TrackableObjectGraph.FromString(
        reader.get_tensor("_CHECKPOINTABLE_OBJECT_GRAPH")
    )
    (variables,) = [c.node_id for c in graph.nodes[0].children if c.local_name == "variables"]
    children = sorted(graph.nodes[variables].children, key=lambda c: int(c.local_name))
    keys = [graph.nodes[c.node_id].attributes[0].checkpoint_key for c in children]
    assert keys == ["variables/0/.ATTRIBUTES/VARIABLE_VALUE", "variables/1/.ATTRIBUTES/VARIABLE_VALUE"]
    assert reader.get_tensor(keys[1]).tolist() == [2.0, 3.0]


def test_of_two_ways_to_a_variable_the_first_that_was_set_gives_its_key_also_when_loaded(tmp_path):
    root = tf.Module()
    variable = tf.Variable(1.0)
    root.vars = {"scope/name": variable}
    root.variables_ = [variable]
    path = str(tmp_path / "model")
    tf.saved_model.save(root, path)
    keys = [name for name, _ in tf.train.list_variables(f"{path}/variables/variables")]
    assert "vars/scope.Sname/.ATTRIBUTES/VARIABLE_VALUE" in keys
    saved = tf.train.Checkpoint(model=tf.saved_model.load(path)).save(str(tmp_path / "checkpoint"))
    keys = [name for name, _ in tf.train.list_variables(saved)]
    assert "model/vars/scope.Sname/.ATTRIBUTES/VARIABLE_VALUE" in keys


# The registry of ops.


def test_the_op_table_has_exactly_the_ref_ops_of_this_release():
    from tensorflow.core.framework import op_def_pb2
    from tensorflow.python.client import pywrap_tf_session

    table = load_op_table()
    if not any(RELEASE in info.registered for info in table.values()):
        pytest.skip(f"the table has no column for {RELEASE}")
    buffer = pywrap_tf_session.TF_GetAllOpList()
    ops = op_def_pb2.OpList.FromString(pywrap_tf_session.TF_GetBuffer(buffer)).op
    taking = {op.name for op in ops if any(arg.is_ref for arg in (*op.input_arg, *op.output_arg))}
    assert taking == {name for name, info in table.items() if info.has_ref and RELEASE in info.registered}


# Loading what is in memory.


def test_a_saved_model_loader_loads_the_proto_that_it_gives_out():
    """What is judged before loading (verify/loading.py) is what is loaded."""
    from tensorflow.python.saved_model import loader_impl

    loader = loader_impl.SavedModelLoader(str(conversions.MODELS / "simple_save"))
    loader.get_meta_graph_def_from_tags(["serve"]).graph_def.node.add(name="added", op="NoOp")
    with tf.Graph().as_default() as graph, tf.compat.v1.Session() as session:
        loader.load(session, ["serve"])
    assert graph.get_operation_by_name("added").type == "NoOp"
    assert loader_impl.parse_saved_model(str(conversions.MODELS / "tf2")).meta_graphs


# And all of it together.

_MODELS = ("simple_save", "counter", "vocabulary", "odd_names")


@pytest.fixture(scope="module")
def answers(tmp_path_factory):
    """Reports by model; golden answers, and those of the new model through both ways of loading."""
    work = tmp_path_factory.mktemp("private")
    for model in _MODELS:
        (work / "source").mkdir(exist_ok=True)
        (work / "source" / model).symlink_to(conversions.MODELS / model)
    report = migrate.convert(str(work / "source"), str(work / "new"), Options(verify=False))
    old = {model: conversions.MODELS / model for model in _MODELS}
    new = {model: work / "new" / model for model in _MODELS if (work / "new" / model).exists()}
    found = {way: conversions.ask(way, old if way == "source" else new, work) for way in ("source", "tf2", "session")}
    return {model.source.rpartition("/")[2]: model.outcome for model in report.models}, found


@pytest.mark.parametrize("way", ["tf2", "session"])
@pytest.mark.parametrize("model", _MODELS)
def test_a_conversion_end_to_end(model, way, answers):
    outcomes, found = answers
    assert isinstance(outcomes[model], Converted), outcomes[model]
    conversions.compare(model, found["source"], found[way])


def test_a_fingerprint_is_worked_out_anew(saved):
    from migrate.verify.fingerprint_file import stale_fields

    proto = _read(saved)
    release = proto.meta_graphs[0].meta_info_def.tensorflow_version
    assert stale_fields(saved, "another") == stale_fields(saved, release) == ()
    proto.meta_graphs[0].graph_def.versions.bad_consumers.append(1)
    _write(saved, proto)
    assert stale_fields(saved, "another") == ("saved_model_checksum",)
    assert "saved_model_checksum" in stale_fields(saved, release)


def test_whether_tensorflow_has_started_its_runtime():
    program = (
        "import tensorflow as tf\n"
        "from migrate.export import op_libraries\n"
        "assert not op_libraries._has_started()\n"
        "assert {'Add', 'VarHandleOp'} <= set(op_libraries._registered())\n"
        "assert 'CPU' in op_libraries._devices()['VarHandleOp']\n"
        "tf.constant(1)\n"
        "assert op_libraries._has_started()\n"
    )
    conversions.run_child(["-c", program])
