"""How a loaded model is called: what `__call__` takes and refuses, and that a call pays for nothing of ours."""

from __future__ import annotations

import numpy as np
import pytest

pytestmark = [pytest.mark.tensorflow, pytest.mark.private_api]

tf = pytest.importorskip("tensorflow")
v1 = tf.compat.v1

import migrate  # noqa: E402 (after TensorFlow, whose classes it shares)
from migrate.records import Converted, Options  # noqa: E402

_IDS = np.array([[0, 3, 1], [4, 4, 2]], np.int32)
_X = np.array([[0.5, -1.0, 2.0, 0.25], [1.5, 0.0, -0.75, 3.0]], np.float32)
_BOTH = {"ids": _IDS, "x": _X}


def _save(path, build):
    """Saves a v1 model of one signature, and what it answers to the inputs that it takes of `_BOTH`."""
    with tf.Graph().as_default() as graph, v1.Session(graph=graph) as session:
        inputs, output = build()
        session.run(v1.global_variables_initializer())
        v1.saved_model.simple_save(session, path, inputs, {"y": output})
        return session.run(output, {tensor: _BOTH[name] for name, tensor in inputs.items()})


def _ids():
    return v1.placeholder(tf.int32, [None, 3], name="ids")


def _variable(name, shape):
    return v1.get_variable(name, shape, initializer=v1.random_uniform_initializer(seed=5), use_resource=False)


def _one():
    ids = _ids()
    table = _variable("table", [5, 2])
    # Read by several ops: one read must serve them.
    return {"ids": ids}, tf.reduce_sum(tf.gather(table, ids), 1) + tf.reduce_sum(tf.gather(table, ids[:, :1]), 1)


def _two():
    ids, x = _ids(), v1.placeholder(tf.float32, [None, 4], name="x")
    table, kernel = _variable("table", [5, 2]), _variable("kernel", [4, 2])
    return {"ids": ids, "x": x}, tf.nn.relu(tf.reduce_sum(tf.gather(table, ids), 1) + x @ kernel)


@pytest.fixture(scope="module", params=[_one, _two], ids=["one_input", "two_inputs"])
def model(request, tmp_path_factory):
    """A converted model's directory, its source's, the loaded object and what the source answers."""
    work = tmp_path_factory.mktemp("calls")
    source, new = str(work / "source"), str(work / "new")
    answer = _save(source, request.param)
    (report,) = migrate.convert(source, new, Options(verify=False)).models
    assert isinstance(report.outcome, Converted)
    loaded = tf.saved_model.load(new)
    return source, new, loaded, answer, "x" in loaded.signatures["serving_default"].structured_input_signature[1]


def _given(several, make=lambda value: value):
    return {name: make(value) for name, value in _BOTH.items()} if several else make(_IDS)


@pytest.mark.parametrize(
    "make", [np.asarray, tf.constant, np.ndarray.tolist, tf.Variable], ids=lambda make: make.__name__
)
def test_it_takes_arrays_tensors_lists_and_variables(make, model):
    _, _, loaded, answer, several = model
    given = _given(several, make)
    for found in (loaded(given), loaded(inputs=given)):
        np.testing.assert_allclose(found, answer, rtol=1e-6)
    if several:
        np.testing.assert_allclose(loaded(dict(reversed(given.items()))), answer, rtol=1e-6)


def test_it_is_called_within_functions_pipelines_and_tapes(model):
    _, _, loaded, answer, several = model
    given = _given(several, tf.constant)
    np.testing.assert_allclose(tf.function(loaded)(given), answer, rtol=1e-6)
    np.testing.assert_allclose(tf.function(lambda inputs: loaded(inputs))(given), answer, rtol=1e-6)
    (found,) = tf.data.Dataset.from_tensors(given).map(loaded)
    np.testing.assert_allclose(found, answer, rtol=1e-6)
    for call in (loaded, tf.function(loaded)):
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(call(given))
        gradients = tape.gradient(loss, list(loaded.trainable_variables))
        assert len(gradients) == (2 if several else 1)
        assert all(np.any(tf.convert_to_tensor(gradient) != 0) for gradient in gradients)


def test_it_refuses_tensors_of_another_shape_or_type(model):
    _, _, loaded, _, several = model
    for wrong in (_IDS[:, :2], _IDS[0], _IDS.astype(np.float32)):
        given = {**_BOTH, "ids": wrong} if several else wrong
        given = tf.nest.map_structure(tf.constant, given)
        with pytest.raises(TypeError, match="Can not cast"):
            loaded(given)


def test_saved_again_it_has_the_same_signature_and_call(model, tmp_path):
    _, _, loaded, answer, several = model
    path = str(tmp_path / "again")
    tf.saved_model.save(loaded, path)
    again = tf.saved_model.load(path)
    found = again.signatures["serving_default"](**_given(True, tf.constant) if several else {"ids": tf.constant(_IDS)})
    np.testing.assert_allclose(found["y"], answer, rtol=1e-6)
    np.testing.assert_allclose(again(_given(several)), answer, rtol=1e-6)
    with pytest.raises(TypeError, match="Can not cast"):
        again(tf.nest.map_structure(tf.constant, {**_BOTH, "ids": _IDS[0]} if several else _IDS[0]))


# What a call costs.


def test_what_is_called_is_the_concrete_function(model):
    _, new, _, _, several = model
    loaded = tf.saved_model.load(new)  # One that no tape has seen, which makes functions give more.
    for function in (loaded.__call__, loaded.signatures["serving_default"]):
        assert isinstance(function, tf.types.experimental.ConcreteFunction)
        # One capture a variable, and nothing else.
        assert len(function.captured_inputs) == len(loaded.variables) == (2 if several else 1)
        assert len(function.inputs) == len(function.captured_inputs) + (2 if several else 1)
        assert len(function.outputs) == 1


@pytest.fixture
def optimiser():
    """Turns the graph optimiser on, which other tests of this process have turned off."""
    before = tf.config.optimizer.get_experimental_options()
    tf.config.optimizer.set_experimental_options({**before, "disable_meta_optimizer": False})
    yield
    tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": False, **before})


def _optimized(call):
    # Private: nothing public gives the graph of an eager call.
    from tensorflow.python.eager import context

    with context.collect_graphs(optimized=True) as graphs:
        call()
    (graph,) = graphs
    return graph.node


def test_what_runs_is_the_source_graph_with_one_read_a_variable(model, optimiser):
    source, new, _, _, several = model
    names = ["ids", "x"] if several else ["ids"]
    with tf.Graph().as_default() as graph, v1.Session(graph=graph) as session:
        definition = v1.saved_model.load(session, ["serve"], source).signature_def["serving_default"]
        metadata = v1.RunMetadata()
        feeds = {definition.inputs[name].name: _BOTH[name] for name in names}
        options = v1.RunOptions(output_partition_graphs=True)
        session.run(definition.outputs["y"].name, feeds, options, metadata)
    (old,) = (partition.node for partition in metadata.partition_graphs)
    # Made beforehand: a constant is an op of its own, with a graph of its own.
    tensors, given = {name: tf.constant(_BOTH[name]) for name in names}, _given(several, tf.constant)
    calls = {
        "signature": lambda loaded: loaded.signatures["serving_default"](**tensors),
        "__call__": lambda loaded: loaded(given),
    }
    for call in calls.values():
        loaded = tf.saved_model.load(new)
        nodes = _optimized(lambda call=call, loaded=loaded: call(loaded))
        ops = sorted(node.op for node in nodes)
        assert ops.count("ReadVariableOp") == len(loaded.variables)
        # In the source, a variable is two nodes, itself and its read; so it is here, where it is an argument. What is
        # left of the calls around the function is a node that does nothing.
        expected = {"VariableV2": "_Arg", "Identity": "ReadVariableOp"}
        assert [op for op in ops if op != "NoOp"] == sorted(expected.get(node.op, node.op) for node in old)
        assert ops.count("NoOp") <= 1
