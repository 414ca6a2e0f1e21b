"""The gradient of ImageProjectiveTransform of TensorFlow 1.8, in dead_ops/transforms/gradients.npz.

    python3.6 -m venv venv-tf18
    venv-tf18/bin/pip install tensorflow==1.8.0 'numpy<1.17' 'protobuf<3.18'
    venv-tf18/bin/python testdata/make_old_transforms.py

TensorFlow 1.15 has the op and no gradient of it. That of 1.8 interpolates in single precision. The answers are as
make_dead_ops.py has them. The program runs under Python 3.6.
"""

import os
import pathlib

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

import numpy as np
import tensorflow as tf
from tensorflow.contrib.image.ops import gen_image_ops
from tensorflow.contrib.image.python.ops import image_ops  # noqa: F401  (it registers the gradient)

MODEL = pathlib.Path(__file__).resolve().parent / "dead_ops" / "transforms"


def main():
    """Writes the gradients of the outputs of floats with regard to their images."""
    golden = np.load(str(MODEL / "golden.npz"))
    names = [key[2:] for key in golden.files if key.startswith("0/")]
    random = np.random.RandomState(33)
    found = {}
    with tf.Graph().as_default(), tf.Session() as session:
        by = tf.placeholder(tf.float32, [None, 8])
        images, outputs = {}, {}
        for name in names:
            if name not in ("by", "float16"):  # Which the op did not take then.
                images[name] = tf.placeholder(golden["0/" + name].dtype, [None, None, None, 2])
                for kind in ("NEAREST", "BILINEAR"):
                    given = images[name], by
                    outputs[name + "_" + kind] = gen_image_ops.image_projective_transform(*given, interpolation=kind)
        floats = [name for name in images if images[name].dtype.is_floating]
        ends = [key for key in sorted(outputs) if outputs[key].dtype.is_floating]
        back = {key: tf.placeholder(outputs[key].dtype, None) for key in ends}
        wanted = tf.gradients([outputs[key] for key in ends], [images[n] for n in floats], [back[key] for key in ends])
        gradients = {name: wanted[number] for number, name in enumerate(floats)}
        for call in range(2):
            feeds = {images[name]: golden[f"{call}/{name}"] for name in images}
            feeds[by] = golden[f"{call}/by"]
            found.update({f"{call}/{name}": golden[f"{call}/{name}"] for name in names})
            for key in ends:
                value = random.uniform(-1, 1, golden[f"{call}:{key}"].shape)
                found[f"{call}^{key}"] = value.astype(outputs[key].dtype.as_numpy_dtype)
                feeds[back[key]] = found[f"{call}^{key}"]
            found.update({f"{call}'{n}": value for n, value in session.run(gradients, feeds).items()})
    np.savez_compressed(str(MODEL / "gradients.npz"), **found)
    print("transforms: made by TF", tf.__version__)


if __name__ == "__main__":
    main()
