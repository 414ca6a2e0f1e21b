"""What the scripts of this folder share: a fresh graph a model, a builder call, values for the variables."""

from __future__ import annotations

import contextlib
import os
import pathlib
import shutil
import sys
import tempfile

import numpy as np
import tensorflow as tf

v1 = tf.compat.v1

MODELS = pathlib.Path(__file__).resolve().parent / "models"
SEED = 20


def main(*makers, tf1=True, folder=MODELS):
    """Runs the makers, each in a fresh graph; arguments on the command line choose some by name.

    Each maker is called with the directory to write, in `folder`; its name is the model's name, the first line of its
    docstring is the model's row in README.md.
    """
    v1.logging.set_verbosity(v1.logging.ERROR)
    if tf1:
        # Eager execution, TensorShape, control flow and variables as they were in TF1.
        v1.disable_v2_behavior()
    chosen = sys.argv[1:]
    for maker in makers:
        if chosen and maker.__name__ not in chosen:
            continue
        directory = folder / maker.__name__
        shutil.rmtree(directory, ignore_errors=True)
        # Makers give relative paths (vocabularies, checkpoints): TF1 writes an asset's path into the
        # graph, and a path of the machine that ran this must not end up in a model.
        with tempfile.TemporaryDirectory() as work, _inside(work):
            if tf1:
                v1.reset_default_graph()
                with tf.Graph().as_default():
                    v1.set_random_seed(SEED)
                    maker(str(directory))
            else:
                tf.random.set_seed(SEED)
                maker(str(directory))
        print(f"{maker.__name__}: made by TF {tf.__version__}", flush=True)


@contextlib.contextmanager
def _inside(directory):
    before = pathlib.Path.cwd()
    os.chdir(directory)
    try:
        yield
    finally:
        os.chdir(before)


def session(cpus=1):
    return v1.Session(config=v1.ConfigProto(device_count={"CPU": cpus}))


def fill(session):
    """Initialises all variables, then gives each float variable that is trained a value that is in no Const.

    Without that, a converter that loses the weights and runs the initialisers again would answer right.
    """
    session.run([v1.global_variables_initializer(), v1.local_variables_initializer()])
    random = np.random.RandomState(SEED)
    for variable in v1.trainable_variables():
        if variable.dtype.base_dtype.is_floating:
            shape = variable.shape.as_list()
            value = random.uniform(-1, 1, shape).astype(variable.dtype.base_dtype.as_numpy_dtype)
            # Feeding the initial value adds no node, where an assign of our own would.
            session.run(variable.initializer, {variable.initializer.inputs[1]: value})


def set_value(session, variable, value):
    session.run(variable.initializer, {variable.initializer.inputs[1]: value})


def variable(name, shape, dtype=tf.float32, **kwargs):
    """A ref variable that starts as zeros; `fill` gives it its value."""
    kwargs.setdefault("use_resource", False)
    return v1.get_variable(name, shape, dtype, initializer=v1.zeros_initializer(), **kwargs)


def signature(inputs, outputs, method_name=v1.saved_model.signature_constants.PREDICT_METHOD_NAME):
    info = v1.saved_model.build_tensor_info
    return v1.saved_model.build_signature_def(
        {key: info(tensor) for key, tensor in inputs.items()},
        {key: info(tensor) for key, tensor in outputs.items()},
        method_name,
    )


def save(session, directory, signatures, tags=("serve",), as_text=False, **kwargs):
    builder = v1.saved_model.Builder(directory)
    builder.add_meta_graph_and_variables(session, list(tags), signatures, **kwargs)
    builder.save(as_text)


@contextlib.contextmanager
def edited(directory):
    """Gives the SavedModel proto of a model on disk to change, and writes it back."""
    from tensorflow.core.protobuf import saved_model_pb2

    path = pathlib.Path(directory, "saved_model.pb")
    proto = saved_model_pb2.SavedModel.FromString(path.read_bytes())
    yield proto
    path.write_bytes(proto.SerializeToString(deterministic=True))
    # A fingerprint of the bytes as they were would be wrong now; TF1 wrote none.
    pathlib.Path(directory, "fingerprint.pb").unlink(missing_ok=True)
