"""Loads every model in a v1 Session and makes the calls of calls.py; exits 1 where one does not as it should.

The `REPAIRABLE` models are loaded a second time, from a copy without what TensorFlow's loader refuses.
"""

from __future__ import annotations

import os
import pathlib
import shutil
import sys
import tempfile

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import tensorflow as tf
from calls import CALLS, EXPECTED_FAILURES, REPAIRABLE
from common import MODELS, edited

v1 = tf.compat.v1


def _feeds(signature, inputs):
    feeds = {}
    for key, value in inputs.items():
        info = signature.inputs[key]
        if info.WhichOneof("encoding") == "coo_sparse":
            sparse = info.coo_sparse
            names = (sparse.indices_tensor_name, sparse.values_tensor_name, sparse.dense_shape_tensor_name)
            feeds.update(zip(names, value, strict=True))
        else:
            feeds[info.name] = value
    return feeds


def _fetches(signature):
    fetches = {}
    for key, info in signature.outputs.items():
        if info.WhichOneof("encoding") == "coo_sparse":
            fetches[f"{key}.indices"] = info.coo_sparse.indices_tensor_name
            fetches[f"{key}.values"] = info.coo_sparse.values_tensor_name
            fetches[f"{key}.dense_shape"] = info.coo_sparse.dense_shape_tensor_name
        else:
            fetches[key] = info.name
    return fetches


def repaired(model, directory):
    """Copies a model without what the loader refuses; returns the copy and the init ops still to be run."""
    copy = pathlib.Path(directory, model)
    shutil.copytree(MODELS / model, copy)
    init_ops = []
    with edited(copy) as proto:
        for meta_graph in proto.meta_graphs:
            meta_graph.meta_info_def.tensorflow_version = "1.15.0"
            for node in meta_graph.graph_def.node:
                node.attr.pop("_output_shapes", None)
            init_ops += meta_graph.collection_def.pop("legacy_init_op").node_list.value
    return copy, init_ops


def answers(model, path, init_ops=()):
    """Yields `(tags, signature, outputs)`, in which an exception stands where TensorFlow raised one."""
    for tags in dict.fromkeys(tags for tags, _, _ in CALLS[model]):
        # `pinned` sits on a second CPU.
        config = v1.ConfigProto(device_count={"CPU": 2})
        with tf.Graph().as_default(), v1.Session(config=config) as session:
            try:
                meta_graph = v1.saved_model.load(session, list(tags), str(path))
                session.run(list(init_ops))
            except Exception as error:
                yield tags, None, error
                continue
            for _, name, inputs in (call for call in CALLS[model] if call[0] == tags):
                signature = meta_graph.signature_def[name]
                try:
                    yield tags, name, session.run(_fetches(signature), _feeds(signature, inputs))
                except Exception as error:
                    yield tags, name, error


def check(model, path, expected, init_ops=()):
    """Prints the answers; returns whether they fail as `expected`, an EXPECTED_FAILURES value or None."""
    failed = None
    for tags, name, outputs in answers(model, path, init_ops):
        what = f"{model} {','.join(tags)} {name}"
        if isinstance(outputs, Exception):
            failed = (name, str(outputs))
            print(f"{what}: {type(outputs).__name__}: {' '.join(str(outputs).split())[:150]}")
            continue
        for key, value in sorted(outputs.items()):
            text = np.array2string(np.asarray(value), precision=6, threshold=12)
            print(f"{what}: {key} = {' '.join(text.split())}")
    if expected is None or failed is None:
        good = failed is None and expected is None
    else:
        good = failed[0] == expected[0] and expected[1] in failed[1]
    if not good:
        print(f"WRONG {model}: expected {expected}, got {failed}")
    return good


def main():
    models = sys.argv[1:] or sorted(path.name for path in MODELS.iterdir())
    good = True
    if not sys.argv[1:] and set(models) != set(CALLS):
        print(f"WRONG: in one of calls.py and models/ only: {sorted(set(models) ^ set(CALLS))}")
        good = False
    for model in models:
        good &= check(model, MODELS / model, EXPECTED_FAILURES.get(model))
        if model in REPAIRABLE:
            with tempfile.TemporaryDirectory() as work:
                copy, init_ops = repaired(model, work)
                good &= check(model, copy, None, init_ops)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
