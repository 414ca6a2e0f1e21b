"""What lookup tables hold after calls is compared: a call may fill one of which no output tells more than the size."""

from __future__ import annotations

import shutil

import pytest

pytestmark = [pytest.mark.tensorflow, pytest.mark.slow]

tf = pytest.importorskip("tensorflow")
v1 = tf.compat.v1

import migrate  # noqa: E402 (after TensorFlow, whose classes it shares)
from migrate.graph.protos import SavedModel  # noqa: E402
from migrate.levels import REPLAY  # noqa: E402
from migrate.records import Converted, Mismatched, Options, Validated  # noqa: E402

_OPTIONS = Options(verify=REPLAY, timeout=200)


@pytest.fixture(scope="module")
def learner(tmp_path_factory):
    """A source with three mutable tables and one that is filled on loading, and its conversion."""
    folder = tmp_path_factory.mktemp("learner")
    with tf.Graph().as_default(), v1.Session() as session:
        words, x = v1.placeholder(tf.string, [None], "words"), v1.placeholder(tf.float32, [None, 2], "x")
        raw = tf.raw_ops
        seen = raw.MutableHashTable(key_dtype=tf.string, value_dtype=tf.int64, shared_name="seen")
        means = raw.MutableHashTableOfTensorsV2(
            key_dtype=tf.string, value_dtype=tf.float32, value_shape=[2], shared_name="means"
        )
        dense = tf.lookup.experimental.DenseHashTable(tf.string, tf.int64, -1, "", "*", name="dense")
        known = tf.lookup.StaticHashTable(
            tf.lookup.KeyValueTensorInitializer(tf.constant(["a", "b"]), tf.constant([7, 8], tf.int64)), 9, name="known"
        )
        number = tf.strings.length(words, name="number")
        number = tf.cast(number, tf.int64)
        key = tf.strings.join([words, "!"])
        inserts = [
            raw.LookupTableInsert(table_handle=seen, keys=words, values=number + known.lookup(words), name="learn"),
            raw.LookupTableInsertV2(table_handle=means, keys=words, values=x, name="learn_means"),
            dense.insert(key, number),
        ]
        with tf.control_dependencies(inserts):
            size = raw.LookupTableSize(table_handle=seen, name="size")
        v1.saved_model.simple_save(
            session, str(folder / "old"), {"words": words, "x": x}, {"size": size}, v1.tables_initializer()
        )
    (report,) = migrate.convert(str(folder / "old"), str(folder / "new"), _OPTIONS).models
    assert isinstance(report.outcome, Converted), report.outcome
    return folder


def _validated(learner, candidate):
    (report,) = migrate.validate(str(candidate), against=str(learner / "old"), options=_OPTIONS).models
    return report


def test_a_faithful_candidate_is_validated(learner):
    assert isinstance(_validated(learner, learner / "new").outcome, Validated)


@pytest.mark.parametrize("name", ["learn", "learn_means", "LookupTableInsert"])
def test_another_value_in_a_table_is_told(learner, tmp_path, name):
    new = tmp_path / "new"
    shutil.copytree(learner / "new", new)
    file = new / "saved_model.pb"
    model = SavedModel.FromString(file.read_bytes())
    for function in model.meta_graphs[0].graph_def.library.function:
        for node in [node for node in function.node_def if node.op == "LookupTableInsertV2"]:
            if node.name.rpartition("/")[2] in (name, name + "V2"):
                negated = function.node_def.add(name="spoil", op="Neg", input=[node.input[2]])
                negated.attr["T"].type = node.attr["Tout"].type
                node.input[2] = "spoil:y:0"
    file.write_bytes(model.SerializeToString())
    (new / "fingerprint.pb").unlink()
    report = _validated(learner, new)
    assert isinstance(report.outcome, Mismatched), report.outcome
    found = {(mismatch.code, mismatch.path) for mismatch in report.verification.mismatches}
    assert found >= {("table-differs", "tf2"), ("table-differs", "session")}
