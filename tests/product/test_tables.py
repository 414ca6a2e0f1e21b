"""Tables that the restore op fills: their content lies in the checkpoint."""

from __future__ import annotations

import pytest

pytestmark = [pytest.mark.tensorflow, pytest.mark.slow]

tf = pytest.importorskip("tensorflow")
v1 = tf.compat.v1

from tensorflow.python.training.saver import BaseSaverBuilder  # noqa: E402 (as tf.contrib.lookup's tables did)

import migrate  # noqa: E402 (after TensorFlow, whose classes it shares)
from migrate.graph.protos import SavedModel  # noqa: E402
from migrate.records import Converted, Mismatched  # noqa: E402


@pytest.fixture(params=["MutableHashTable", "MutableHashTableV2", "DenseHashTable"])
def source(request, tmp_path):
    """A model whose mutable table was filled while it was trained, saved through its saver."""
    raw = tf.raw_ops
    with tf.Graph().as_default() as graph, v1.Session(graph=graph) as session:
        words = v1.placeholder(tf.string, [None], name="words")
        if request.param == "DenseHashTable":
            table = tf.lookup.experimental.DenseHashTable(tf.string, tf.int64, -1, "", "*", name="counts")
            find, insert = table.lookup(words), table.insert(["a", "b"], tf.constant([3, 5], tf.int64))
        else:
            v2 = request.param.endswith("V2")
            name = "V2" if v2 else ""
            handle = getattr(raw, "MutableHashTable" + name)(
                key_dtype=tf.string, value_dtype=tf.int64, shared_name="counts"
            )

            def use(op, **arguments):
                return getattr(raw, op + name)(table_handle=handle, **arguments)

            find = use("LookupTableFind", keys=words, default_value=tf.constant(-1, tf.int64))
            insert = use("LookupTableInsert", keys=["a", "b"], values=tf.constant([3, 5], tf.int64))
            keys, values = use("LookupTableExport", Tkeys=tf.string, Tvalues=tf.int64)

            class TableSaveable(BaseSaverBuilder.SaveableObject):
                def __init__(self):
                    specs = [
                        BaseSaverBuilder.SaveSpec(keys, "", "counts-keys"),
                        BaseSaverBuilder.SaveSpec(values, "", "counts-values"),
                    ]
                    super().__init__(handle, specs, "counts")

                def restore(self, tensors, shapes):
                    return use("LookupTableImport", keys=tensors[0], values=tensors[1])

            v1.add_to_collection(v1.GraphKeys.SAVEABLE_OBJECTS, TableSaveable())
        scale = v1.Variable(2, dtype=tf.int64, name="scale", use_resource=False)
        session.run(v1.global_variables_initializer())
        session.run(insert)
        v1.saved_model.simple_save(session, str(tmp_path / "old"), {"words": words}, {"counts": find * scale})
    return str(tmp_path / "old")


def test_their_content_is_there_after_loading(source, tmp_path):
    model = migrate.convert(source, str(tmp_path / "new")).models[0]
    assert isinstance(model.outcome, Converted), model
    assert model.verification is not None and model.verification.bitwise_equal
    for path in (str(tmp_path / "new"), str(tmp_path / "again")):
        loaded = tf.saved_model.load(path)
        found = loaded.signatures["serving_default"](words=tf.constant(["a", "b", "c"]))["counts"]
        assert found.numpy().tolist() == [6, 10, -2]
        if path.endswith("new"):
            tf.saved_model.save(loaded, str(tmp_path / "again"), signatures=loaded.signatures)
    with tf.Graph().as_default(), v1.Session() as session:
        definition = v1.saved_model.load(session, ["serve"], str(tmp_path / "new")).signature_def["serving_default"]
        answer = session.run(definition.outputs["counts"].name, {definition.inputs["words"].name: ["b", "a"]})
    assert answer.tolist() == [10, 6]


@pytest.mark.sampled(2)
@pytest.mark.parametrize("value", [b"b", 5])
def test_a_key_or_a_value_that_no_call_looks_up_is_told(source, tmp_path, value):
    new = tmp_path / "new"
    assert isinstance(migrate.convert(source, str(new)).models[0].outcome, Converted)
    file = new / "saved_model.pb"
    model = SavedModel.FromString(file.read_bytes())
    graph = model.meta_graphs[0].graph_def
    changed = 0
    for node in (*graph.node, *(node for function in graph.library.function for node in function.node_def)):
        tensor = node.attr["value"].tensor if "value" in node.attr else None
        if node.op == "Const" and isinstance(value, bytes) and value in tensor.string_val:
            tensor.string_val[[*tensor.string_val].index(value)] = b"z"
            changed += 1
        elif node.op == "Const" and isinstance(value, int) and tensor.dtype == 9 and len(tensor.tensor_shape.dim):
            tensor.tensor_content = tensor.tensor_content.replace(b"\5", b"\6")
            changed += 1
    assert changed
    file.write_bytes(model.SerializeToString())
    (new / "fingerprint.pb").unlink()
    told = migrate.validate(str(new), against=source).models[0]
    assert isinstance(told.outcome, Mismatched), told
    assert "constant-differs" in {difference.code for difference in told.verification.mismatches}
