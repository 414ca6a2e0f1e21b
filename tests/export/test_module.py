"""The new model as a trackable object."""

from __future__ import annotations

import pytest

pytestmark = pytest.mark.tensorflow

tf = pytest.importorskip("tensorflow")

from migrate.export.module import add_signatures, build, feed_order, patiently  # noqa: E402 (starts TensorFlow)
from migrate.plan.plan import make_plan  # noqa: E402
from migrate.records import TensorSpec  # noqa: E402
from migrate.sources.saved_model import read_saved_model  # noqa: E402
from tests.conversions import MODELS  # noqa: E402


def _built(name):
    source = read_saved_model(str(MODELS / name))
    plan = make_plan(source.meta_graphs[0])
    return build(plan, source.assets_dir, {}), plan


def test_it_has_what_a_reusable_saved_model_has():
    built, plan = _built("simple_save")
    root = built.root
    assert sorted(root.vars) == ["b", "w"]
    assert built.variables.keys() == {variable.identity for variable in plan.variables}
    assert {id(v) for v in root.variables} == {id(v) for v in root.vars.values()}
    assert [v.name for v in root.trainable_variables] == [f"{v.name}:0" for v in plan.variables if v.trainable]
    assert list(built.bodies) == list(built.names) == ["serving_default"]
    assert list(add_signatures(built)) == ["serving_default"]


def test_its_function_computes_what_the_graph_says():
    built, _ = _built("simple_save")
    root = built.root
    root.vars["w"].assign(tf.ones(root.vars["w"].shape))
    root.vars["b"].assign(tf.ones(root.vars["b"].shape))
    x = tf.constant([[1.0, 2.0, 3.0]])
    found = add_signatures(built)["serving_default"](x=x)["y"]
    assert set(found.numpy().ravel().tolist()) == {7.0}
    assert (root.__call__(x).numpy() == found.numpy()).all()


def test_calls_in_one_function_take_effect_one_after_the_other():
    built, _ = _built("counter")
    (count,) = built.root.vars.values()
    count.assign(tf.zeros(count.shape, count.dtype))
    functions = add_signatures(built)
    incr, get = functions["incr"], functions["get"]
    found = tf.function(lambda: [(incr()["count"], get()["count"]) for _ in range(20)])()
    assert [(int(one), int(other)) for one, other in found] == [(n, n) for n in range(1, 21)]


def test_callers_wait_for_reads_alone_where_a_function_changes_nothing():
    built, _ = _built("simple_save")
    waited = built.root.functions[0].graph.control_outputs
    assert {operation.type for operation in waited} == {"ReadVariableOp"}
    assert len(waited) == 2


def test_the_tensors_of_a_sparse_input_are_in_the_order_of_its_parts():
    assert feed_order(TensorSpec("x", "float32", None)) == ["x:0"]
    sparse = TensorSpec("", "float32", None, "coo_sparse", ("values:0", "indices", "shape:1"))
    assert feed_order(sparse) == ["indices:0", "values:0", "shape:1"]


def _failing(message, times):
    tried = []

    def trace():
        tried.append(None)
        if len(tried) <= times:
            raise tf.errors.InternalError(None, None, message)
        return len(tried)

    return trace, tried


def test_only_what_another_order_may_help_is_tried_again():
    assert patiently(_failing("Missing src context", 3)[0]) == 4
    for message, tries in ("Missing src context", 20), ("anything else", 1):
        trace, tried = _failing(message, 100)
        with pytest.raises(tf.errors.InternalError, match=message):
            patiently(trace)
        assert len(tried) == tries
