"""A child program: asks models of every form through a TF1 Session, and new models through TensorFlow 2.

    python form_answers.py JOB       JOB.answers is written

A job is `{name: (load, calls)}` pickled. `load` is one of

    ("meta", file of the MetaGraphDef, checkpoint's prefix)
    ("bundle", directory)
    ("graph", file of the GraphDef)
    ("tf2", directory, signature key)

and a call is `(feeds, fetches)`: values by tensor name and tensor names; for "tf2" by argument and result name. Nothing
of the package is used here: these answers are the judge of what it does.
"""

from __future__ import annotations

import os
import pathlib
import pickle
import sys

import numpy as np
import tensorflow as tf
from google.protobuf import text_format

v1 = tf.compat.v1


def _read(file, proto):
    data = pathlib.Path(file).read_bytes()
    try:
        proto.ParseFromString(data)
    except Exception:
        text_format.Parse(data.decode(), proto)
    return proto


def _import_bundle(session, directory):
    """What session_bundle.cc did: the serving graph, restored and initialised, with the asset's path fed."""
    meta_graph = _read(os.path.join(directory, "export.meta"), v1.MetaGraphDef())
    graph = v1.GraphDef()
    meta_graph.collection_def["serving_graph"].any_list.value[0].Unpack(graph)
    tf.import_graph_def(graph, name="")
    saver = meta_graph.saver_def
    files = os.path.join(directory, "export-?????-of-?????")
    session.run(saver.restore_op_name, {saver.filename_tensor_name: files})
    vocabulary = os.path.join(directory, "assets", "words.txt")
    session.run(meta_graph.collection_def["serving_init_op"].node_list.value[0], {"vocabulary:0": vocabulary})


def _load_tf1(session, kind, file, *rest):
    if kind == "bundle":
        _import_bundle(session, file)
    elif kind == "graph":
        graph = _read(file, v1.GraphDef())
        tf.import_graph_def(graph, name="")
        tables = [node.name for node in graph.node if node.op.startswith("InitializeTable")]
        session.run(tables)
    else:
        saver = v1.train.import_meta_graph(_read(file, v1.MetaGraphDef()))
        saver.restore(session, rest[0])
        session.run(v1.tables_initializer())


def _tf1(load, calls):
    config = v1.ConfigProto(allow_soft_placement=True)
    config.graph_options.optimizer_options.opt_level = v1.OptimizerOptions.L0
    config.graph_options.rewrite_options.disable_meta_optimizer = True
    with tf.Graph().as_default(), v1.Session(config=config) as session:
        _load_tf1(session, *load)
        return [dict(zip(fetches, session.run(list(fetches), feeds), strict=True)) for feeds, fetches in calls]


def _tf2(load, calls):
    _, directory, key = load
    loaded = tf.saved_model.load(directory)
    function = loaded.signatures[key]
    answers = []
    for feeds, fetches in calls:
        found = function(**{name: tf.constant(value) for name, value in feeds.items()})
        answers.append({name: np.asarray(found[name].numpy()) for name in fetches})
    return answers


def main(file):
    tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": True})
    with open(file, "rb") as stream:
        job = pickle.load(stream)
    answers = {}
    for name, (load, calls) in job.items():
        try:
            answers[name] = (_tf2 if load[0] == "tf2" else _tf1)(load, calls)
        except Exception as error:
            answers[name] = f"{type(error).__name__}: {error}"
    with open(f"{file}.answers", "wb") as stream:
        pickle.dump(answers, stream)


if __name__ == "__main__":
    main(sys.argv[1])
