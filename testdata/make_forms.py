"""Models that are no SavedModels: `.meta` with checkpoints, SessionBundles, GraphDefs, checkpoints alone (`forms/`)."""

from __future__ import annotations

import os
import pathlib
import shutil

import common
import numpy as np
import tensorflow as tf
from common import main, v1, variable
from google.protobuf import any_pb2, descriptor_pb2, descriptor_pool, message_factory

common.MODELS = common.MODELS.parent / "forms"


def _linear(device=None):
    """y = relu(x @ w + b) of two ref variables, of which one may be pinned to a device."""
    x = v1.placeholder(tf.float32, [None, 3], "x")
    w = variable("w", [3, 2])
    with tf.device(device):
        b = variable("b", [2])
    return x, tf.nn.relu(tf.matmul(x, w) + b, name="y")


def _files(directory, saver, session, prefix, **kwargs):
    """Saves in the working directory, so that the state file holds no path of this machine; then moves all there."""
    saver.save(session, prefix, **kwargs)
    _move(directory)


def _move(directory):
    target = pathlib.Path(directory)
    target.mkdir(parents=True, exist_ok=True)
    for file in pathlib.Path.cwd().iterdir():
        shutil.move(str(file), str(target / file.name))


def saver_steps(directory):
    """Steps 10 and 5 of one model; the state file says that 5, saved later, is the latest. Sharded, with training."""
    _, y = _linear("/cpu:1")
    labels = v1.placeholder(tf.float32, [None, 2], "labels")
    loss = tf.reduce_mean(tf.square(y - labels), name="loss")
    v1.train.GradientDescentOptimizer(0.1).minimize(loss)
    saver = v1.train.Saver(sharded=True)
    with common.session(cpus=2) as session:
        session.run(v1.global_variables_initializer())
        saver.save(session, "model.ckpt", global_step=10)
        common.fill(session)
        _files(directory, saver, session, "model.ckpt", global_step=5)


def saver_no_state(directory):
    """Steps 9 and 10 without a state file: 10 is the latest. Queue, file reader and summaries in the graph."""
    names = v1.train.string_input_producer(["records"], name="names")
    _, record = v1.TFRecordReader(name="reader").read(names)
    v1.train.batch([record], 2, name="batch")
    _, y = _linear()
    v1.summary.histogram("y_summary", y)
    saver = v1.train.Saver()
    with common.session() as session:
        session.run([v1.global_variables_initializer(), v1.local_variables_initializer()])
        saver.save(session, "model", global_step=9)
        common.fill(session)
        _files(directory, saver, session, "model", global_step=10)
    pathlib.Path(directory, "checkpoint").unlink()


def saver_empty_prefix(directory):
    """The prefix is the empty string: files `.meta`, `.index` and `.data-00000-of-00001`."""
    _linear()
    with common.session() as session:
        common.fill(session)
        _files(directory, v1.train.Saver(), session, "model")
    for file in list(pathlib.Path(directory).iterdir()):
        if file.name == "checkpoint":
            file.unlink()
        else:
            file.rename(file.with_name(file.name.removeprefix("model")))


def saver_tables(directory):
    """A HashTable of constants, which the collection of table initialisers fills; a partitioned variable."""
    tokens = v1.placeholder(tf.string, [None], "tokens")
    table = tf.lookup.StaticHashTable(
        tf.lookup.KeyValueTensorInitializer(["a", "b", "c"], np.array([0, 1, 2], np.int64)), 3
    )
    rows = v1.get_variable(
        "rows", [4, 2], partitioner=v1.fixed_size_partitioner(2), initializer=v1.zeros_initializer(), use_resource=False
    )
    tf.nn.embedding_lookup(rows, table.lookup(tokens), name="vectors")
    with common.session() as session:
        common.fill(session)
        _files(directory, v1.train.Saver(), session, "model")


def saver_signatures(directory):
    """A MetaGraphDef that carries signatures of its own, as `.meta` text."""
    x, y = _linear()
    with common.session() as session:
        common.fill(session)
        _files(directory, v1.train.Saver(), session, "model", write_meta_graph=False)
    meta_graph = v1.train.export_meta_graph(saver_def=v1.train.Saver().as_saver_def())
    meta_graph.signature_def["double"].CopyFrom(common.signature({"x": x}, {"y": y}))
    from google.protobuf import text_format

    pathlib.Path(directory, "model.meta").write_text(text_format.MessageToString(meta_graph), encoding="utf-8")


def saver_v1(directory):
    """A checkpoint of the V1 format: one file."""
    _linear()
    with common.session() as session:
        common.fill(session)
        _files(directory, v1.train.Saver(write_version=1), session, "model.ckpt")


def saver_v1_sharded(directory):
    """A sharded V1 checkpoint: a variable in two slices in one shard, another variable in the other."""
    x = v1.placeholder(tf.float32, [None, 4], "x")
    with tf.device("/cpu:1"):
        b = variable("b", [2])
    w = v1.get_variable(
        "w", [4, 2], partitioner=v1.fixed_size_partitioner(2), initializer=v1.zeros_initializer(), use_resource=False
    )
    tf.add(tf.matmul(x, tf.convert_to_tensor(w)), b, name="y")
    with common.session(cpus=2) as session:
        common.fill(session)
        _files(directory, v1.train.Saver(write_version=1, sharded=True), session, "model.ckpt")


def _session_bundle_protos():
    """The message classes of contrib/session_bundle/manifest.proto, which TensorFlow has dropped."""
    file = descriptor_pb2.FileDescriptorProto(name="manifest.proto", package="tensorflow.serving", syntax="proto3")
    kinds = descriptor_pb2.FieldDescriptorProto

    def message(name, *fields):
        added = file.message_type.add(name=name)
        for number, (field, kind) in enumerate(fields, 1):
            label, entry = kinds.LABEL_OPTIONAL, ""
            if kind.startswith("map:"):
                kind, label = kind[4:], kinds.LABEL_REPEATED
                entry = "".join(part.capitalize() for part in field.split("_")) + "Entry"
                nested = added.nested_type.add(name=entry)
                nested.options.map_entry = True
                nested.field.add(name="key", number=1, type=kinds.TYPE_STRING, label=kinds.LABEL_OPTIONAL)
                nested.field.add(
                    name="value",
                    number=2,
                    type=kinds.TYPE_MESSAGE,
                    label=kinds.LABEL_OPTIONAL,
                    type_name=f".tensorflow.serving.{kind}",
                )
                kind = f"{name}.{entry}"
            if kind == "string":
                added.field.add(name=field, number=number, type=kinds.TYPE_STRING, label=label)
            else:
                added.field.add(
                    name=field,
                    number=number,
                    type=kinds.TYPE_MESSAGE,
                    label=label,
                    type_name=f".tensorflow.serving.{kind}",
                )

    message("TensorBinding", ("tensor_name", "string"))
    message("AssetFile", ("tensor_binding", "TensorBinding"), ("filename", "string"))
    message("RegressionSignature", ("input", "TensorBinding"), ("output", "TensorBinding"))
    message(
        "ClassificationSignature", ("input", "TensorBinding"), ("classes", "TensorBinding"), ("scores", "TensorBinding")
    )
    message("GenericSignature", ("map", "map:TensorBinding"))
    message(
        "Signature",
        ("regression_signature", "RegressionSignature"),
        ("classification_signature", "ClassificationSignature"),
        ("generic_signature", "GenericSignature"),
    )
    message("Signatures", ("default_signature", "Signature"), ("named_signatures", "map:Signature"))
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)

    def cls(name):
        return message_factory.GetMessageClass(pool.FindMessageTypeByName(f"tensorflow.serving.{name}"))

    return cls("Signatures"), cls("AssetFile")


def _packed(proto):
    packed = any_pb2.Any()
    packed.Pack(proto)
    return packed


def session_bundle(directory):
    """TensorFlow 0.x's export: classify by default, named inputs and outputs, regress; a vocabulary, an init op."""
    Signatures, AssetFile = _session_bundle_protos()
    words = v1.placeholder(tf.string, [None], "words")
    pathlib.Path("words.txt").write_text("a\nb\nc\n", encoding="utf-8")
    # The exporter's trainers kept an asset's path in a constant, which the loader feeds.
    file_name = tf.constant("words.txt", name="vocabulary")
    table = tf.raw_ops.HashTable(key_dtype=tf.string, value_dtype=tf.int64, name="table")
    fill = tf.raw_ops.InitializeTableFromTextFile(
        table_handle=table, filename=file_name, key_index=-2, value_index=-1, name="fill"
    )
    ids = tf.raw_ops.LookupTableFind(table_handle=table, keys=words, default_value=np.int64(0), name="ids")
    weights = variable("weights", [3, 2])
    scores = tf.gather(weights, ids, name="scores")
    classes = tf.gather(tf.constant(["no", "yes"]), tf.argmax(scores, 1), name="classes")
    tf.reduce_sum(scores, 1, name="value")
    init = tf.group(fill, name="init_tables")
    saver = v1.train.Saver(write_version=1, sharded=True)
    with common.session() as session:
        common.fill(session)
        saver.save(session, "export", write_meta_graph=False)
    meta_graph = v1.train.export_meta_graph(saver_def=saver.as_saver_def())
    signatures = Signatures()
    default = signatures.default_signature.classification_signature
    default.input.tensor_name, default.classes.tensor_name = words.name, classes.name
    default.scores.tensor_name = scores.name
    signatures.named_signatures["inputs"].generic_signature.map["words"].tensor_name = words.name
    signatures.named_signatures["outputs"].generic_signature.map["value"].tensor_name = "value"
    regression = signatures.named_signatures["sum"].regression_signature
    regression.input.tensor_name, regression.output.tensor_name = words.name, "value:0"
    asset = AssetFile(filename="words.txt")
    asset.tensor_binding.tensor_name = file_name.name
    collections = meta_graph.collection_def
    collections["serving_signatures"].any_list.value.append(_packed(signatures))
    collections["serving_assets"].any_list.value.append(_packed(asset))
    collections["serving_init_op"].node_list.value.append(init.name)
    graph = type(meta_graph.graph_def)()
    graph.CopyFrom(meta_graph.graph_def)
    collections["serving_graph"].any_list.value.append(_packed(graph))
    # What the trainer knew beside the serving graph; the loader takes the latter.
    meta_graph.graph_def.node.add(name="trainer_only", op="NoOp")
    pathlib.Path("export.meta").write_bytes(meta_graph.SerializeToString(deterministic=True))
    pathlib.Path("checkpoint").unlink()
    pathlib.Path("assets").mkdir()
    pathlib.Path("words.txt").rename("assets/words.txt")
    _move(directory)


def _frozen():
    _linear()
    with common.session() as session:
        common.fill(session)
        return v1.graph_util.convert_variables_to_constants(session, v1.get_default_graph().as_graph_def(), ["y"])


def frozen(directory):
    """`convert_variables_to_constants` of y = relu(x @ w + b)."""
    os.makedirs(directory)
    pathlib.Path(directory, "frozen.pb").write_bytes(_frozen().SerializeToString(deterministic=True))


def frozen_text(directory):
    """The same as text, in a file of another name."""
    from google.protobuf import text_format

    os.makedirs(directory)
    pathlib.Path(directory, "a_graph").write_text(text_format.MessageToString(_frozen()), encoding="utf-8")


def frozen_table(directory):
    """A frozen graph with a table, whose initialiser no collection lists; two outputs."""
    tokens = v1.placeholder(tf.string, [None], "tokens")
    table = tf.raw_ops.HashTable(key_dtype=tf.string, value_dtype=tf.int64, shared_name="words", name="table")
    fill = tf.raw_ops.InitializeTable(
        table_handle=table, keys=["a", "b"], values=np.array([3, 4], np.int64), name="fill_table"
    )
    ids = tf.raw_ops.LookupTableFind(table_handle=table, keys=tokens, default_value=np.int64(-1), name="ids")
    tf.add(ids, np.int64(1), name="next")
    tf.strings.length(tokens, name="lengths")
    assert fill is not None
    os.makedirs(directory)
    graph = v1.get_default_graph().as_graph_def()
    pathlib.Path(directory, "graph.pb").write_bytes(graph.SerializeToString(deterministic=True))


def several_graphs(directory):
    """Two frozen graphs and a checkpoint of one model, with the graph that `tf.train.write_graph` leaves beside it."""
    os.makedirs(directory)
    _linear()
    with common.session() as session:
        common.fill(session)
        tf.io.write_graph(v1.get_default_graph(), ".", "graph.pbtxt")
        graph = v1.graph_util.convert_variables_to_constants(session, v1.get_default_graph().as_graph_def(), ["y"])
        _files(directory, v1.train.Saver(), session, "model")
    for name in ("one.pb", "two.pb"):
        pathlib.Path(directory, name).write_bytes(graph.SerializeToString(deterministic=True))


def checkpoint_alone(directory):
    """A V2 checkpoint without its graph: a partitioned variable, a string, a scalar."""
    v1.get_variable("rows", [5, 2], partitioner=v1.fixed_size_partitioner(2), use_resource=False)
    v1.get_variable("word", initializer=tf.constant("text"), use_resource=False)
    v1.get_variable("step", initializer=tf.constant(7, tf.int64), use_resource=False)
    with common.session() as session:
        session.run(v1.global_variables_initializer())
        _files(directory, v1.train.Saver(), session, "model.ckpt", global_step=7, write_meta_graph=False)


def checkpoint_alone_v1(directory):
    """A V1 checkpoint without its graph."""
    _linear()
    with common.session() as session:
        common.fill(session)
        _files(directory, v1.train.Saver(write_version=1), session, "model.ckpt", write_meta_graph=False)
    pathlib.Path(directory, "checkpoint").unlink()


if __name__ == "__main__":
    main(
        saver_steps,
        saver_no_state,
        saver_empty_prefix,
        saver_tables,
        saver_signatures,
        saver_v1,
        saver_v1_sharded,
        session_bundle,
        frozen,
        frozen_text,
        frozen_table,
        several_graphs,
        checkpoint_alone,
        checkpoint_alone_v1,
    )
