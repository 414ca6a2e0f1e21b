"""Variables that nothing fills on loading, since each call that looks at them assigns them first."""

from __future__ import annotations

import pytest

import migrate
from migrate.records import Converted, Convertible

pytestmark = pytest.mark.tensorflow

tf = pytest.importorskip("tensorflow")
v1, raw = tf.compat.v1, tf.raw_ops


def _ref(x, w):
    """A variable of one node."""
    node = raw.VariableV2(shape=[2], dtype=tf.float32, name="single")
    with tf.control_dependencies([v1.assign(node, x)]):
        return tf.identity(node) * w


def _shared(x, w):
    """Two nodes of one variable, with a shape each."""
    first = raw.VariableV2(shape=[2], dtype=tf.float32, shared_name="one", name="first")
    second = raw.VariableV2(shape=[1, 2], dtype=tf.float32, shared_name="one", name="second")
    with tf.control_dependencies([v1.assign(first, x)]):
        return tf.reshape(tf.identity(second), [2]) + w


def _resource(x, w):
    """The same of a resource variable."""
    first, second = (
        raw.VarHandleOp(shape=[2], dtype=tf.float32, shared_name="other", name=name) for name in ("third", "fourth")
    )
    with tf.control_dependencies([raw.AssignVariableOp(resource=first, value=x)]):
        return raw.ReadVariableOp(resource=second, dtype=tf.float32) - w


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    path = tmp_path_factory.mktemp("scratch") / "old"
    with tf.Graph().as_default(), v1.Session() as session:
        x = v1.placeholder(tf.float32, [2], "x")
        w = v1.get_variable("w", [2], initializer=tf.constant_initializer([1.0, 2.0]), use_resource=False)
        signatures = {
            make.__name__: v1.saved_model.predict_signature_def({"x": x}, {"y": make(x, w)})
            for make in (_ref, _shared, _resource)
        }
        session.run(w.initializer)
        builder = v1.saved_model.Builder(str(path))
        builder.add_meta_graph_and_variables(session, ["serve"], signatures, saver=v1.train.Saver([w]))
        builder.save()
    return path


def test_what_audit_promises_convert_does(source, tmp_path):
    (audited,) = migrate.audit(source).models
    assert isinstance(audited.outcome, Convertible)
    (report,) = migrate.convert(source, tmp_path / "new").models
    assert isinstance(report.outcome, Converted), report.verification
    (told,) = (finding for finding in report.findings if finding.code == "variable-uninitialized")
    assert sorted(told.nodes) == ["first", "single", "third"]
    loaded = tf.saved_model.load(str(tmp_path / "new"))
    assert {name for name, v in loaded.vars.items() if not v.is_initialized()} == {*told.nodes}
    loaded.signatures["_shared"](x=tf.constant([3.0, 4.0]))
    assert loaded.vars["first"].numpy().tolist() == [3.0, 4.0]
    assert not loaded.vars["single"].is_initialized()
