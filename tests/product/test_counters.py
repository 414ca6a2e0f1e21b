"""A branch for a counter that no call brings so far is compared: both models are asked near numbers of the graph."""

from __future__ import annotations

import shutil

import pytest

pytestmark = pytest.mark.tensorflow

tf = pytest.importorskip("tensorflow")
v1 = tf.compat.v1

import migrate  # noqa: E402 (after TensorFlow, whose classes it shares)
from migrate.graph.protos import SavedModel  # noqa: E402
from migrate.records import Converted, Mismatched, Options  # noqa: E402

_OPTIONS = Options(timeout=200)


@pytest.fixture(scope="module")
def late(tmp_path_factory):
    """A source that answers another way from its call 5,000 on, and its conversion."""
    folder = tmp_path_factory.mktemp("late")
    with tf.Graph().as_default(), v1.Session() as session:
        x = v1.placeholder(tf.float32, [None], "x")
        count = v1.get_variable("count", [], tf.int64, v1.zeros_initializer(), use_resource=False, trainable=False)
        now = v1.assign_add(count, tf.constant(1, tf.int64), name="now")
        is_late = tf.greater(now, tf.constant(5000, tf.int64), name="is_late")
        y = v1.cond(is_late, lambda: x * tf.constant(3.0, name="late_factor"), lambda: x * 2.0)
        session.run(v1.global_variables_initializer())
        v1.saved_model.simple_save(session, str(folder / "old"), {"x": x}, {"y": tf.identity(y, "y")})
    (report,) = migrate.convert(str(folder / "old"), str(folder / "new"), _OPTIONS).models
    assert isinstance(report.outcome, Converted), report.outcome
    return folder


@pytest.mark.parametrize(("what", "before", "after"), [("limit", 5000, 4999), ("factor", 3.0, 4.0)])
def test_what_is_behind_a_large_number_is_told(late, tmp_path, what, before, after):
    new = tmp_path / "new"
    shutil.copytree(late / "new", new)
    file = new / "saved_model.pb"
    model = SavedModel.FromString(file.read_bytes())
    planted = 0
    for function in model.meta_graphs[0].graph_def.library.function:
        for node in function.node_def:
            tensor = node.attr["value"].tensor if node.op == "Const" else None
            values = () if tensor is None else tensor.int64_val if what == "limit" else tensor.float_val
            if list(values) == [before]:
                values[0] = after
                planted += 1
    assert planted
    file.write_bytes(model.SerializeToString())
    (new / "fingerprint.pb").unlink()
    (report,) = migrate.validate(str(new), against=str(late / "old"), options=_OPTIONS).models
    assert isinstance(report.outcome, Mismatched), report.outcome
    paths = {m.path for m in report.verification.mismatches if m.code == "answer-differs"}
    assert paths == {"tf2, with counters at other numbers"}
