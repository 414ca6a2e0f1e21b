"""Models with ops that TensorFlow 2 does not have, in dead_ops/, and what TensorFlow 1.15's own kernels answer.

    python3.7 -m venv venv-tf115
    venv-tf115/bin/pip install tensorflow==1.15.5 'protobuf<3.21'
    venv-tf115/bin/python testdata/make_dead_ops.py              # all
    venv-tf115/bin/python testdata/make_dead_ops.py buckets      # one

Each directory holds a SavedModel and `golden.npz`: the inputs of several calls (`0/x`) and their answers (`0:y`), or
the class of the error (`0!`); each string has a point at its end. The graph optimiser is off. Some have `gradients.npz`
beside it: inputs, what comes back to each output (`0^y`), and what tf.gradients makes of it for each input (`0'x`). The
program runs under Python 3.7.
"""

from __future__ import annotations

import os
import pathlib
import shutil
import sys

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

import numpy as np
import tensorflow as tf
from tensorflow.contrib.boosted_trees.python.ops import gen_quantile_ops, quantile_ops
from tensorflow.contrib.image.ops import gen_distort_image_ops, gen_image_ops
from tensorflow.contrib.image.python.ops import (
    distort_image_ops,  # noqa: F401  (it loads the library)
    image_ops,
)
from tensorflow.contrib.layers.python.ops import sparse_feature_cross_op
from tensorflow.contrib.periodic_resample.python.ops import periodic_resample_op
from tensorflow.contrib.resampler.python.ops import resampler_ops
from tensorflow.contrib.seq2seq.python.ops import beam_search_ops
from tensorflow.core.protobuf import config_pb2, rewriter_config_pb2, saved_model_pb2
from tensorflow.python.ops import gen_array_ops, gen_boosted_trees_ops, gen_nn_ops

v1 = tf.compat.v1
MODELS = pathlib.Path(__file__).resolve().parent / "dead_ops"
_EDGES = [-1.5, 0.0, -0.0, 0.25, 1.0, np.inf]
_AROUND = [-np.inf, -2.0, -1.5, -1.0, -0.0, 0.0, 1e-40, 0.25, 0.5, 1.0, 1.5, 3e38, np.inf, np.nan]


def upper_bounds():
    """BucketizeWithInputBoundaries of each dtype, with boundaries of one and two dimensions, and with none."""
    inputs, outputs, calls = {}, {}, [{}, {}]
    for dtype in (tf.float32, tf.float64, tf.int32, tf.int64):
        x = v1.placeholder(dtype, [None, 2], dtype.name)
        inputs[dtype.name] = x
        edges = [[-1.5, 0.0], [0.25, 7.0]] if dtype.is_integer else _EDGES
        outputs[dtype.name + "_buckets"] = quantile_ops.bucketize_with_input_boundaries(
            x, tf.constant(edges, tf.float32)
        )
        values = [-3, -1, 0, 1, 6, 7, 8, 2**31 - 1] if dtype.is_integer else _AROUND
        calls[0][dtype.name] = np.reshape(values, [-1, 2]).astype(dtype.as_numpy_dtype)
        calls[1][dtype.name] = np.zeros([0, 2], dtype.as_numpy_dtype)
    none = tf.zeros([0], tf.float32)
    outputs["without_boundaries"] = quantile_ops.bucketize_with_input_boundaries(inputs["float32"], none)
    return inputs, outputs, calls


def fed_boundaries():
    """BucketizeWithInputBoundaries whose boundaries are known when it runs: sorted, equal, NaN, none, or falling."""
    x = v1.placeholder(tf.float32, [None], "x")
    boundaries = v1.placeholder(tf.float32, [None], "boundaries")
    y = quantile_ops.bucketize_with_input_boundaries(x, boundaries)
    edges = (_EDGES, [1.0, 1.0, 1.0], [], [2.0], [1.0, 0.5], [0.0, np.nan, -1.0], [np.nan, np.nan])
    calls = [{"x": np.float32(_AROUND), "boundaries": np.float32(given)} for given in edges]
    return {"x": x, "boundaries": boundaries}, {"y": y}, calls


def lower_bounds():
    """BoostedTreesBucketize of three features: many boundaries, one, and none."""
    names = ("many", "one", "none")
    inputs = {name: v1.placeholder(tf.float32, [None], name) for name in names}
    edges = [tf.constant(given, tf.float32) for given in (_EDGES, [0.25], [])]
    found = gen_boosted_trees_ops.boosted_trees_bucketize([inputs[name] for name in names], edges)
    calls = [
        {name: np.float32(_AROUND) for name in names},
        {name: np.zeros([0], np.float32) for name in names},
        {"many": np.float32([0.1]), "one": np.float32([0.25, np.nan]), "none": np.float32([np.nan])},
    ]
    return inputs, {"y_" + name: found[number] for number, name in enumerate(names)}, calls


def falling_lower_bounds():
    """BoostedTreesBucketize does not look whether its boundaries are sorted."""
    x, boundaries = v1.placeholder(tf.float32, [None], "x"), v1.placeholder(tf.float32, [None], "boundaries")
    (y,) = gen_boosted_trees_ops.boosted_trees_bucketize([x], [boundaries])
    edges = ([3.0, 1.0, 2.0, -1.0], [np.nan, 1.0, np.nan], [np.inf], [])
    calls = [{"x": np.float32(_AROUND), "boundaries": np.float32(given)} for given in edges]
    return {"x": x, "boundaries": boundaries}, {"y": y}, calls


def batch_norm():
    """BatchNormWithGlobalNormalization of a graph of TensorFlow 0.5, with gamma and without it."""
    empty = v1.GraphDef()
    empty.versions.producer = 8  # The op is gone since version 9.
    tf.import_graph_def(empty, name="")
    x = v1.placeholder(tf.float32, [None, None, None, 3], "x")
    given = (x, [0.5, -1.0, 1e20], [0.25, 0.0, 3.0], [1.0, -0.0, 0.5], [2.0, 0.1, -1.0])
    outputs = {
        name: gen_nn_ops._batch_norm_with_global_normalization(
            *given, variance_epsilon=0.001, scale_after_normalization=scale
        )
        for name, scale in (("scaled", True), ("plain", False))
    }
    random = np.random.RandomState(20)
    calls = [{"x": random.uniform(-2, 2, [2, 3, 5, 3]).astype("float32")}]
    calls.append({"x": np.float32([[[[np.nan, np.inf, -np.inf], [1e-40, 3e38, 0.0]]]])})
    calls.append({"x": np.zeros([0, 1, 1, 3], np.float32)})
    return {"x": x}, outputs, calls


def _sparse(name, dtype, inputs):
    parts = (("indices", tf.int64, [None, 2]), ("values", dtype, [None]), ("shape", tf.int64, [2]))
    made = [v1.placeholder(given, shape, name + "_" + part) for part, given, shape in parts]
    inputs.update((tensor.op.name, tensor) for tensor in made)
    return tf.SparseTensor(*made)


def crosses():
    """SparseFeatureCross and its V2, hashed and joined, of sparse and dense strings and numbers."""
    inputs, outputs = {}, {}
    words, numbers = _sparse("words", tf.string, inputs), _sparse("numbers", tf.int64, inputs)
    dense_words = inputs["dense_words"] = v1.placeholder(tf.string, [None, None], "dense_words")
    dense = inputs["dense"] = v1.placeholder(tf.int64, [None, None], "dense")
    columns = {
        "words": [words, dense_words],
        "numbers": [numbers, dense],
        "mixed": [dense, words, numbers, dense_words],
        "one": [words],
        "dense_one": [dense],
    }
    for name, given in columns.items():
        hashes = (("joined", False, 0), ("hashed", True, 0), ("few", True, 7), ("many", True, 2**62 + 1))
        for key, version in ((None, "v1"), (956888297470, "v2"), (-3, "negative")):
            for kind, hashed, buckets in hashes:
                found = sparse_feature_cross_op.sparse_feature_cross(given, hashed, buckets, hash_key=key)
                for part in ("indices", "values", "dense_shape") if kind in ("joined", "hashed") else ("values",):
                    outputs["_".join([name, version, kind, part])] = getattr(found, part)
    few = {
        "words_indices": [[0, 0], [0, 1], [2, 0]],
        "words_values": [b"", b"batch _X_ of one", "\u00e9\u00ff".encode() * 20],
        "words_shape": [3, 2],
        "numbers_indices": [[0, 0], [0, 2], [0, 5], [1, 0], [2, 1]],
        "numbers_values": [-1, 0, 2**63 - 1, 5, -(2**63)],
        "numbers_shape": [3, 6],
        "dense_words": [[b"a", b"b"], [b"", b"c"], [b"\x00", b"\xff"]],
        "dense": [[1, -2, 3], [4, 5, 6], [2**40, -(2**40), 0]],
    }
    unsorted = dict(
        few, words_indices=[[2, 0], [0, 1], [0, 0]], numbers_indices=[[0, 0], [1, 2], [0, 5], [1, 0], [9, 1]]
    )
    none = {name: np.zeros([0, 2]) if name.endswith("indices") else [] for name in few}
    none.update(words_shape=[2, 3], numbers_shape=[2, 3], dense=np.zeros([2, 0]), dense_words=np.zeros([2, 0]))
    other = dict(few, dense=[[1]])
    calls = []
    for given in (few, unsorted, none, other):
        dtypes = {name: inputs[name].dtype.as_numpy_dtype for name in given}
        calls.append({name: np.array(value, dtypes[name]) for name, value in given.items()})
    return inputs, outputs, calls


def band_part():
    """BatchMatrixBandPart of a graph of TensorFlow 0.5."""
    empty = v1.GraphDef()
    empty.versions.producer = 13
    tf.import_graph_def(empty, name="")
    x = v1.placeholder(tf.float32, [None, None, None], "x")
    y = {
        "y_{}_{}".format(*band).replace("-", "m"): gen_array_ops.batch_matrix_band_part(
            x, *(tf.constant(side, tf.int64) for side in band)
        )
        for band in ((0, 0), (1, -1), (-1, 2), (-1, -1))
    }
    calls = [{"x": np.arange(1, 25, dtype=np.float32).reshape(2, 3, 4)}]
    calls += [{"x": np.full([1, 3, 3], np.nan, np.float32)}, {"x": np.zeros([0, 2, 2], np.float32)}]
    return {"x": x}, y, calls


def transforms():
    """ImageProjectiveTransform of each dtype, one transform for all images or one for each."""
    inputs, outputs = {"by": v1.placeholder(tf.float32, [None, 8], "by")}, {}
    random = np.random.RandomState(22)
    calls = [{}, {}, {}, {}]
    one = [[1.1, 0.2, -0.5, -0.1, 0.9, 0.3, 0.01, -0.02]]
    calls[0]["by"] = np.float32(one)
    calls[1]["by"] = np.float32([[1, 0, 0.5, 0, 1, -0.5, 0, 0], [0.5, 0, -3, 0, 2, 1e6, -0.5, 0]])
    calls[2]["by"] = np.float32(one * 3)
    calls[3]["by"] = np.float32(one)
    for dtype in (tf.uint8, tf.int32, tf.int64, tf.half, tf.float32, tf.float64):
        images = inputs[dtype.name] = v1.placeholder(dtype, [None, None, None, 2], dtype.name)
        for kind in ("NEAREST", "BILINEAR"):
            outputs[f"{dtype.name}_{kind}"] = gen_image_ops.image_projective_transform(
                images, inputs["by"], interpolation=kind
            )
        for number in (0, 1, 2):
            calls[number][dtype.name] = random.uniform(0, 200, [2, 4, 5, 2]).astype(dtype.as_numpy_dtype)
        calls[3][dtype.name] = np.zeros([0, 3, 3, 2], dtype.as_numpy_dtype)
    return inputs, outputs, calls


def resampler():
    """Resampler of each dtype, at points inside, on and beside the image, and at no numbers."""
    inputs, outputs, calls = {}, {}, [{}, {}, {}, {}]
    random = np.random.RandomState(23)
    points = [
        [0, 0],
        [-0.5, 1.25],
        [4, 3],
        [3.5, 2.999],
        [-1, 0],
        [4.5, 3.5],
        [5, 1],
        [np.nan, 1],
        [1, np.inf],
        [-1e30, 2],
    ]
    for dtype in (tf.half, tf.float32, tf.float64):
        number = dtype.as_numpy_dtype
        data = inputs[dtype.name] = v1.placeholder(dtype, [None, None, None, None], dtype.name)
        warp = inputs[dtype.name + "_warp"] = v1.placeholder(dtype, None, dtype.name + "_warp")
        outputs[dtype.name + "_sampled"] = resampler_ops.resampler(data, warp)
        images = random.uniform(-2, 2, [2, 4, 5, 3]).astype(number)
        images[0, 1, 2] = [np.nan, np.inf, -0.0]
        for call, given in enumerate(
            (random.uniform(-1.5, 6, [2, 3, 7, 2]), [points, points[::-1]], np.zeros([2, 0, 2]))
        ):
            calls[call][dtype.name], calls[call][dtype.name + "_warp"] = images, np.array(given).astype(number)
        calls[3][dtype.name], calls[3][dtype.name + "_warp"] = images, np.zeros([1, 3, 2], number)
    return inputs, outputs, calls


def beams():
    """GatherTree: beams that end early, that are too long, of no length, and parents that are no beams."""
    shapes = {"steps": [None] * 3, "parents": [None] * 3, "lengths": [None], "end": []}
    inputs = {name: v1.placeholder(tf.int32, shape, name) for name, shape in shapes.items()}
    inputs["parents"] = v1.placeholder(tf.int32, None, "any_parents")
    found = beam_search_ops.gather_tree(inputs["steps"], inputs["parents"], inputs["lengths"], inputs["end"])
    random = np.random.RandomState(24)

    def call(time, batch, width, lengths, end=0, parents=None, most=4):
        steps = random.randint(0, most, [time, batch, width])
        parents = random.randint(0, width, [time, batch, width]) if parents is None else parents
        given = {"steps": steps, "parents": parents, "lengths": lengths, "end": end}
        return {name: np.int32(value) for name, value in given.items()}

    calls = [
        call(6, 4, 3, [6, 3, 0, 100]),
        call(6, 4, 3, [6, 3, -2, 1], end=2),
        call(6, 2, 3, [6, 5], end=9),
        call(1, 1, 1, [1]),
        call(0, 2, 3, [1, 0]),
        call(3, 0, 3, []),
        call(3, 2, 2, [3, 3], parents=np.full([3, 2, 2], -1)),
        call(3, 2, 2, [2, 3], parents=[[[-9] * 2] * 2, [[0, 1]] * 2, [[0, 0], [7, 1]]]),
        call(3, 2, 2, [1, 1], parents=np.full([3, 2, 2], -1)),
        call(3, 2, 2, [3, 3], parents=np.zeros([3, 2, 1])),
        call(3, 2, 2, [3]),
    ]
    return inputs, {"found": found}, calls


def yiq():
    """AdjustHsvInYiq of images of three and more dimensions, and at no numbers; what is no image is an error."""
    inputs = {name: v1.placeholder(tf.float32, None, name) for name in ("images", "hue", "saturation", "value")}
    found = gen_distort_image_ops.adjust_hsv_in_yiq(
        *(inputs[name] for name in ("images", "hue", "saturation", "value"))
    )
    random = np.random.RandomState(26)

    def call(images, hue=0.0, saturation=1.0, value=1.0):
        given = {"images": images, "hue": hue, "saturation": saturation, "value": value}
        return {name: np.float32(number) for name, number in given.items()}

    many = random.uniform(-1, 2, [7, 5, 3])
    edges = [[[np.nan, 1, -np.inf], [0.0, -0.0, 0.0], [-0.0, -0.0, -0.0], [1e-42, 3e38, -3e38]]]
    calls = [call(many, *given) for given in ((0.3, 0.7, 1.2), (-2.5, 1.9, 0.4), (1e4, 0.0, 1.0), (0.0, 1.0, 0.0))]
    calls += [call(edges, 0.1, 0.9, 1.1), call(edges, 0.0, -1.0, -1.0)]
    calls += [call(many, 1.0, np.inf), call(many, np.nan), call(many[:1], 0.5, 1e30, 1e30)]
    calls += [call(random.uniform(0, 1, [2, 2, 3, 4, 3]), 0.6, 1.5, 0.9), call(np.zeros([0, 4, 3]), 0.2)]
    calls += [call(np.zeros([2, 3])), call(np.zeros([2, 2, 4])), call(np.zeros([2, 2, 1])), call(many, [0.1])]
    return inputs, {"adjusted": found}, calls


def periods():
    """PeriodicResample to several shapes, of several dtypes; what does not fit is an error."""
    inputs, outputs, calls = {}, {}, [{} for _ in range(5)]
    random = np.random.RandomState(27)
    for dtype in (tf.float32, tf.float64, tf.int32, tf.int64):
        x = inputs[dtype.name] = v1.placeholder(dtype, None, dtype.name)
        for name, shape in (("wide", [6, 5, None]), ("tall", [None, 8, 4]), ("inner", [4, None, 4])):
            outputs[f"{dtype.name}_{name}"] = periodic_resample_op.periodic_resample(x, shape)
        for call, shape in enumerate(([4, 5, 4], [3, 4, 4], [2, 5, 4], [4, 4, 4], [2, 2, 3])):
            calls[call][dtype.name] = random.uniform(-99, 99, shape).astype(dtype.as_numpy_dtype)
    return inputs, outputs, calls


def period():
    """PeriodicResample to one shape, of what fits and of what does not; its kernel reads beyond the end of some."""
    x = v1.placeholder(tf.float32, None, "x")
    y = periodic_resample_op.periodic_resample(x, [None, 4])
    shapes = ([4, 2], [8, 4], [6, 2], [1, 1], [2, 5], [0, 2], [4, 2, 1], [7])
    calls = [{"x": np.arange(np.prod(shape), dtype=np.float32).reshape(shape)} for shape in shapes]
    return {"x": x}, {"y": y}, calls


def quantiles():
    """Quantiles of dense and sparse values, in buckets that rise, fall or are no numbers; one has two columns."""
    shapes = {"dense_0": [None, None], "dense_1": [None, 1], "sparse_0": [None], "sparse_1": [None]}
    inputs = {name: v1.placeholder(tf.float32, shape, name) for name, shape in shapes.items()}
    for name in shapes:
        inputs[name + "_buckets"] = v1.placeholder(tf.float32, None, name + "_buckets")
    for name in ("sparse_0", "sparse_1"):
        inputs[name + "_indices"] = v1.placeholder(tf.int64, [None, None], name + "_indices")
    dense, sparse = ([name + str(number) for number in (0, 1)] for name in ("dense_", "sparse_"))
    given = [[inputs[name + part] for name in kind] for part in ("", "_buckets") for kind in (dense, sparse)]
    found = gen_quantile_ops.quantiles(*given, [inputs[name + "_indices"] for name in sparse])
    every = found.dense_quantiles + found.sparse_quantiles
    outputs = {"of_" + name: every[number] for number, name in enumerate(dense + sparse)}

    def call(count, buckets, **changed):
        values = np.resize(np.float32(_AROUND), [count])
        made = {"dense_0": values[:, None], "dense_1": -values[:, None], "sparse_0": values, "sparse_1": values * 2}
        made.update((name + "_buckets", np.float32(buckets)) for name in shapes)
        for name, other in (("sparse_0", -(2**31)), ("sparse_1", 2**32 + 5)):
            rows = np.arange(count + 2)
            made[name + "_indices"] = np.stack([rows, rows * 3 + other], axis=1).astype(np.int64)
        made.update(changed)
        return made

    matrix = np.float32([[-1.5, 0.0], [0.25, 7.0]])
    calls = [
        call(14, _EDGES),
        call(14, [3.0, 1.0, 2.0, -1.0], dense_1_buckets=matrix, sparse_1_buckets=matrix),
        call(3, [np.nan, 0.0, np.nan], dense_0=np.float32([[0.1, 9.0], [0.2, 9.0], [7.0, 9.0]])),
        call(0, []),
        call(1, [0.25]),
        call(2, [0.25], dense_0_buckets=matrix),
        call(2, [0.25], sparse_0_buckets=matrix),
    ]
    return inputs, outputs, calls


def components():
    """ImageConnectedComponents of each dtype, and what its Python wrapper makes of the numbers."""
    inputs, outputs, calls = {}, {}, [{} for _ in range(9)]
    random = np.random.RandomState(28)
    spiral = np.zeros([9, 9])
    for ring in range(0, 5, 2):
        spiral[ring, ring : 9 - ring] = spiral[8 - ring, ring : 9 - ring] = 1
        spiral[ring : 9 - ring, 8 - ring] = spiral[ring + 2 : 9 - ring, ring] = 1
        spiral[ring + 2, ring + 1] = 1
    combs = np.arange(11)[:, None] % 2 + (np.arange(7)[None] == 0) * (np.arange(11)[:, None] % 4 == 0)
    shapes = ([2, 13, 17], [3, 1, 9], [2, 6, 1], [1, 1, 1], [0, 3, 4], [2, 0, 3], [5, 5])
    dtypes = (
        tf.float32,
        tf.float64,
        tf.half,
        tf.int64,
        tf.int32,
        tf.uint16,
        tf.int16,
        tf.uint8,
        tf.int8,
        tf.bool,
        tf.string,
    )
    for dtype in dtypes:
        x = inputs[dtype.name] = v1.placeholder(dtype, None, dtype.name)
        outputs[dtype.name + "_numbers"] = gen_image_ops.image_connected_components(x)
        for call, given in enumerate(
            [random.choice(3, shape, p=[0.2, 0.4, 0.4]) for shape in shapes] + [spiral[None], combs[None]]
        ):
            if dtype == tf.string:
                given = np.array([[b"", b"a", b"b"][int(value)] for value in given.ravel()], object).reshape(
                    given.shape
                )
            calls[call][dtype.name] = given.astype(dtype.as_numpy_dtype)
    # NaN is equal to nothing, and -0 is zero.
    calls[0]["float32"] = random.choice(
        np.float32([0, -0.0, 1, np.nan, np.inf]), [3, 8, 8], p=[0.1, 0.1, 0.4, 0.1, 0.3]
    )
    ranked = inputs["pages"] = v1.placeholder(tf.bool, [None, None, None], "pages")
    outputs["pages_renamed"] = image_ops.connected_components(ranked)
    for call in calls:
        call["pages"] = random.uniform(size=[2, 21, 30]) < 0.6
    return inputs, outputs, calls


def known_periods():
    """PeriodicResample of known shapes, whose gradient needs them: each element goes to one place."""
    inputs, outputs, calls = {}, {}, [{}, {}]
    random = np.random.RandomState(28)
    for name, given, wanted in (("first", [8, 2], [None, 4]), ("last", [2, 3, 8], [4, 6, None])):
        for dtype in (tf.float32, tf.float64):
            x = inputs[f"{name}_{dtype.name}"] = v1.placeholder(dtype, given, f"{name}_{dtype.name}")
            outputs[f"{name}_{dtype.name}_out"] = periodic_resample_op.periodic_resample(x, wanted)
            for call in calls:
                call[x.op.name] = random.uniform(-9, 9, given).astype(dtype.as_numpy_dtype)
    return inputs, outputs, calls


def norms():
    """BatchNormWithGlobalNormalization all of whose inputs are fed."""
    empty = v1.GraphDef()
    empty.versions.producer = 8
    tf.import_graph_def(empty, name="")
    inputs = {"x": v1.placeholder(tf.float32, [None, None, None, 3], "x")}
    for name in ("mean", "variance", "beta", "gamma"):
        inputs[name] = v1.placeholder(tf.float32, [3], name)
    outputs = {
        name: gen_nn_ops._batch_norm_with_global_normalization(
            *inputs.values(), variance_epsilon=0.001, scale_after_normalization=scale
        )
        for name, scale in (("scaled", True), ("plain", False))
    }
    random = np.random.RandomState(29)
    calls = []
    for shape in ([2, 3, 5, 3], [1, 1, 1, 3], [0, 1, 1, 3]):
        call = {name: random.uniform(-2, 2, [3]) for name in inputs}
        call.update(x=random.uniform(-2, 2, shape), variance=random.uniform(0, 2, [3]))
        calls.append({name: value.astype(np.float32) for name, value in call.items()})
    return inputs, outputs, calls


MAKERS = (
    quantiles,
    components,
    norms,
    known_periods,
    yiq,
    periods,
    period,
    beams,
    transforms,
    resampler,
    band_part,
    crosses,
    batch_norm,
    upper_bounds,
    fed_boundaries,
    lower_bounds,
    falling_lower_bounds,
)


RENAMED = {"Batch" + name: name for name in ("FFT", "FFT2D", "FFT3D", "IFFT", "IFFT2D", "IFFT3D")}
"""Ops that no CPU has under the first name."""
DIFFERENTIATED = (norms, known_periods, resampler)
"""Those of which gradients are kept."""


def _config():
    config = config_pb2.ConfigProto()
    config.graph_options.optimizer_options.opt_level = config_pb2.OptimizerOptions.L0
    config.graph_options.rewrite_options.disable_meta_optimizer = True
    config.graph_options.rewrite_options.constant_folding = rewriter_config_pb2.RewriterConfig.OFF
    config.graph_options.place_pruned_graph = True  # What is not run may have no kernel.
    return config


def _stored(value):
    """Strings have a point behind them: NumPy forgets zeros at the end of what it stores without pickling."""
    if value.dtype != object:
        return value
    return np.array([each + b"." for each in value.ravel()], np.bytes_).reshape(value.shape)


def answer(directory, calls):
    """Writes `golden.npz`: what TensorFlow 1.15 answers for some calls of the first signature.

    Of ops that have a kernel on a CPU under their new name alone, the new ones answer.
    """
    answers = {}
    for number, given in enumerate(calls):
        answers.update({f"{number}/{name}": value for name, value in given.items()})
    with tf.Graph().as_default(), v1.Session(config=_config()) as session:
        signature = _loaded(session, directory)
        for number, given in enumerate(calls):
            feeds = {info.name: given[name] for name, info in signature.inputs.items()}
            try:
                found = session.run({name: info.name for name, info in signature.outputs.items()}, feeds)
            except tf.errors.OpError as error:
                answers[f"{number}!"] = np.array(type(error).__name__)
            else:
                answers.update({f"{number}:{name}": value for name, value in found.items()})
    arrays = {key: np.asarray(v, object if isinstance(v, bytes) else None) for key, v in answers.items()}
    stored = {key: _stored(value) for key, value in arrays.items()}
    np.savez_compressed(str(directory / "golden.npz"), **stored)
    print(f"{directory.name}: made by TF {tf.__version__}, {len(calls)} calls")


def differentiate(directory, session, inputs, outputs, calls):
    """Writes `gradients.npz` for the calls that are answered.

    ResamplerGrad writes nothing where there is no point, and gives what the memory holds: such calls are left out.
    """
    back = {name: v1.placeholder(output.dtype, None) for name, output in outputs.items()}
    names = [name for name, tensor in inputs.items() if tensor.dtype.is_floating]
    wanted = tf.gradients(list(outputs.values()), [inputs[name] for name in names], grad_ys=list(back.values()))
    gradients = {name: wanted[number] for number, name in enumerate(names)}
    random = np.random.RandomState(30)
    found = {}
    for number, given in enumerate(calls):
        feeds = {tensor: given[name] for name, tensor in inputs.items()}
        try:
            answers = session.run(outputs, feeds)
        except tf.errors.OpError:
            continue
        if not all(value.size for value in answers.values()):
            continue
        for name, value in answers.items():
            found[f"{number}^{name}"] = random.uniform(-1, 1, value.shape).astype(value.dtype)
            feeds[back[name]] = found[f"{number}^{name}"]
        found.update({f"{number}/{name}": given[name] for name in inputs})
        found.update({f"{number}'{name}": value for name, value in session.run(gradients, feeds).items()})
    np.savez_compressed(str(directory / "gradients.npz"), **found)


def _loaded(session, directory):
    """The first signature of a model, which is loaded."""
    saved = saved_model_pb2.SavedModel.FromString((directory / "saved_model.pb").read_bytes())
    renamed = [node for node in saved.meta_graphs[0].graph_def.node if node.op in RENAMED]
    if renamed:
        for node in renamed:
            node.op = RENAMED[node.op]
        tf.import_graph_def(saved.meta_graphs[0].graph_def, name="")
        signatures = saved.meta_graphs[0].signature_def
    else:
        signatures = v1.saved_model.load(session, ["serve"], str(directory)).signature_def
    return signatures[min(signatures)]


def _make(maker, folder):
    directory = folder / maker.__name__
    shutil.rmtree(str(directory), ignore_errors=True)
    with tf.Graph().as_default(), v1.Session(config=_config()) as session:
        inputs, outputs, calls = maker()
        session.run([v1.global_variables_initializer(), v1.tables_initializer()])
        v1.saved_model.simple_save(session, str(directory), inputs, outputs)
        if maker in DIFFERENTIATED:
            differentiate(directory, session, inputs, outputs, calls)
    answer(directory, calls)


def main(makers, folder=MODELS):
    """Makes the models that the command line names, or all."""
    for each in makers:
        if not sys.argv[1:] or each.__name__ in sys.argv[1:]:
            _make(each, folder)


if __name__ == "__main__":
    main(MAKERS)
