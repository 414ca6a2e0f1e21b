"""The GatherTree of TensorFlow 1.4, with a length for each beam, in dead_ops/old_beams, and what its kernel answers.

    python3.6 -m venv venv-tf14
    venv-tf14/bin/pip install tensorflow==1.4.1 'numpy<1.17' 'protobuf<3.18'
    venv-tf14/bin/python testdata/make_old_beams.py

Model and answers are as make_dead_ops.py has them. The program runs under Python 3.6.
"""

import os
import pathlib
import shutil

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

import numpy as np
import tensorflow as tf
from tensorflow.contrib.seq2seq.python.ops import beam_search_ops

MODEL = pathlib.Path(__file__).resolve().parent / "dead_ops" / "old_beams"


def _calls():
    random = np.random.RandomState(14)

    def call(time, batch, width, lengths, parents=None):
        steps = random.randint(0, 5, [time, batch, width])
        parents = random.randint(0, width, [time, batch, width]) if parents is None else parents
        given = {"steps": steps, "parents": parents, "lengths": lengths}
        return {name: np.array(value, np.int32) for name, value in given.items()}

    yield call(6, 2, 3, [[6, 3, 1], [2, 6, 4]])
    yield call(6, 2, 3, [[0, 3, -1], [6, 0, 5]])
    yield call(1, 1, 1, [[1]])
    yield call(0, 2, 3, np.zeros([2, 3]))
    yield call(3, 0, 3, np.zeros([0, 3]))
    yield call(3, 2, 2, [[1, 1], [1, 1]], np.full([3, 2, 2], -1))
    yield call(3, 2, 2, [[3, 3], [3, 2]], np.full([3, 2, 2], -1))
    yield call(3, 2, 2, [[2, 3], [3, 1]], [[[-9] * 2] * 2, [[0, 1]] * 2, [[0, 0], [1, 1]]])
    yield call(3, 2, 2, [[3, 3], [3, 3]], np.zeros([3, 2, 1]))
    yield call(3, 2, 2, [[3], [3]])


def main():
    """Writes the model and its answers."""
    shutil.rmtree(str(MODEL), ignore_errors=True)
    options = tf.GraphOptions(optimizer_options=tf.OptimizerOptions(opt_level=tf.OptimizerOptions.L0))
    answers = {}
    with tf.Graph().as_default(), tf.Session(config=tf.ConfigProto(graph_options=options)) as session:
        inputs = {name: tf.placeholder(tf.int32, None, name) for name in ("steps", "parents", "lengths")}
        found = beam_search_ops.gather_tree(inputs["steps"], inputs["parents"], inputs["lengths"])
        _save(session, inputs, {"found": found})
        for number, given in enumerate(_calls()):
            answers.update({f"{number}/{name}": value for name, value in given.items()})
            try:
                answers[f"{number}:found"] = session.run(found, {inputs[name]: v for name, v in given.items()})
            except tf.errors.OpError as error:
                answers[f"{number}!"] = np.array(type(error).__name__)
    np.savez_compressed(str(MODEL / "golden.npz"), **answers)
    print("old_beams: made by TF", tf.__version__, len(list(_calls())), "calls")


def _save(session, inputs, outputs):
    infos = tf.saved_model.utils.build_tensor_info
    signature = tf.saved_model.signature_def_utils.build_signature_def(
        {name: infos(tensor) for name, tensor in inputs.items()},
        {name: infos(tensor) for name, tensor in outputs.items()},
        "tensorflow/serving/predict",
    )
    builder = tf.saved_model.builder.SavedModelBuilder(str(MODEL))
    builder.add_meta_graph_and_variables(session, ["serve"], {"serving_default": signature})
    builder.save()


if __name__ == "__main__":
    main()
