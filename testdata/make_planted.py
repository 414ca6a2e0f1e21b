"""Models in which faults are planted (tools/mutate): what no call reaches by chance, and inputs that are rarely made.

They are built when the faults are planted, in the folder that the command line names first, and are not committed:
`python testdata/make_planted.py FOLDER [MODEL...]`.
"""

from __future__ import annotations

import itertools
import pathlib
import sys

import numpy as np
import tensorflow as tf
from common import fill, main, save, session, set_value, signature, v1, variable
from tensorflow.python.ops import gen_lookup_ops, lookup_ops

ROWS = 5000
WORDS = 4000


def lookups(directory):
    """A table of 5,000 constant keys, a constant matrix and an embedding of 5,000 rows, ids beyond int32."""
    random = np.random.RandomState(1)
    ids = v1.placeholder(tf.int64, [None], name="ids")
    keys = tf.constant(np.arange(ROWS, dtype=np.int64) * 3, name="keys")
    values = tf.constant(random.uniform(-1, 1, ROWS).astype(np.float32), name="values")
    table = tf.lookup.StaticHashTable(tf.lookup.KeyValueTensorInitializer(keys, values), -7.0, name="prices")
    matrix = tf.constant(random.uniform(-1, 1, [ROWS, 2]).astype(np.float32), name="matrix")
    embedding = variable("embedding", [ROWS, 4])
    rows = tf.math.floormod(ids, tf.constant(ROWS, tf.int64), name="rows")
    outputs = {
        "price": table.lookup(ids),
        "point": tf.gather(matrix, rows, name="point"),
        "vector": tf.nn.embedding_lookup(embedding, rows, name="vector"),
        "bucket": tf.math.floordiv(ids, tf.constant(1 << 31, tf.int64), name="bucket"),
    }
    init_op = v1.tables_initializer()
    with session() as sess:
        fill(sess)
        save(sess, directory, {"serving_default": signature({"ids": ids}, outputs)}, main_op=init_op)


def words(directory):
    """A vocabulary of 4,000 lines with three buckets beyond it, its reverse, and operations on UTF-8 strings."""
    path = pathlib.Path("tokens.txt")
    path.write_text("\n".join(f"word{n}" for n in range(WORDS)) + "\n", encoding="utf-8")
    tokens = v1.placeholder(tf.string, [None], name="tokens")
    ids = v1.placeholder(tf.int64, [None], name="ids")
    table = lookup_ops.index_table_from_file(str(path), num_oov_buckets=3)
    reverse = lookup_ops.index_to_string_table_from_file(str(path), default_value="<unknown>")
    weight = variable("weight", [WORDS + 3])
    token_ids = table.lookup(tokens)
    lower = tf.strings.lower(tokens, encoding="utf-8", name="lower")
    text = {
        "lower": lower,
        "length": tf.strings.length(tokens, unit="UTF8_CHAR", name="length"),
        "head": tf.strings.substr(tokens, 0, 12, name="head"),
        "clean": tf.strings.regex_replace(tokens, r"\s+$", "", name="clean"),
        "bucket": tf.strings.to_hash_bucket_fast(tokens, 1000, name="bucket"),
    }
    init_op = v1.tables_initializer()
    with session() as sess:
        fill(sess)
        save(
            sess,
            directory,
            {
                "serving_default": signature(
                    {"tokens": tokens}, {"ids": token_ids, "score": tf.gather(weight, token_ids)}
                ),
                "reverse": signature({"ids": ids}, {"tokens": reverse.lookup(ids)}),
                "text": signature({"tokens": tokens}, text),
            },
            assets_collection=v1.get_collection(v1.GraphKeys.ASSET_FILEPATHS),
            main_op=init_op,
        )


def branches(directory):
    """A branch for large inputs, an Assert, a loop with a bound, roundings, comparisons, NaN, batch sizes."""
    x = v1.placeholder(tf.float32, [None], name="x")
    steps = v1.placeholder(tf.int32, [], name="steps")
    w = variable("w", [])
    refused = tf.reduce_any(tf.greater(x, 1e6, name="too_large"))
    guard = v1.Assert(tf.logical_not(refused), ["too large", x], name="guard")
    with tf.control_dependencies([guard]):
        guarded = tf.multiply(x, w, name="guarded")
    large = v1.cond(
        tf.greater(tf.reduce_max(tf.abs(x)), 20000.0, name="beyond"),
        lambda: tf.multiply(x, 0.5),
        lambda: tf.multiply(x, w),
    )
    _, grown = v1.while_loop(
        lambda step, _: tf.less(step, steps, name="more"),
        lambda step, state: (step + 1, state * 0.5 + w),
        [tf.constant(0, name="grow_start"), x],
        name="grow",
    )
    is_nan = tf.math.is_nan(x, name="is_nan")
    outputs = {
        "guarded": guarded,
        "large": tf.identity(large, name="large"),
        "grown": tf.identity(grown, name="grown"),
        "floor": tf.floor(x * 4.0, name="floor"),
        "above": tf.greater(x, 0.5, name="above"),
        "clean": v1.where(is_nan, tf.zeros_like(x), x, name="clean"),
        "clipped": tf.minimum(tf.maximum(x, -3.0, name="lowest"), 3.0, name="clipped"),
        "ratio": tf.divide(x, tf.cast(tf.size(x), tf.float32), name="ratio"),
        "difference": tf.subtract(x, tf.multiply(w, 2.0, name="twice"), name="difference"),
        "running": tf.cumsum(x, name="running"),
        "top": tf.argmax(tf.stack([x, x * w, -x]), 0, name="top"),
    }
    with session() as sess:
        fill(sess)
        save(sess, directory, {"serving_default": signature({"x": x, "steps": steps}, outputs)})


def examples(directory):
    """tf.Example: a feature with a default, one without, a sparse one of several values, one of integers."""
    serialized = v1.placeholder(tf.string, [None], name="serialized")
    features = v1.parse_example(
        serialized,
        {
            "age": v1.FixedLenFeature([], tf.float32, 42.0),
            "name": v1.FixedLenFeature([], tf.string, "nobody"),
            "sizes": v1.FixedLenFeature([2], tf.float32, [1.0, 2.0]),
            "clicks": v1.VarLenFeature(tf.int64),
            "weights": v1.VarLenFeature(tf.float32),
        },
        name="parse",
    )
    w = variable("w", [2])
    emb = variable("embedding", [64, 3])
    clicks = features["clicks"]
    dense = tf.sparse.to_dense(clicks, default_value=-1, name="dense")
    ids = tf.SparseTensor(clicks.indices, tf.math.floormod(clicks.values, 64), clicks.dense_shape)
    outputs = {
        "score": tf.add(features["age"] * 0.25, tf.reduce_sum(features["sizes"] * w, 1), name="score"),
        "name": tf.identity(features["name"], name="name"),
        "clicks": dense,
        "weight": v1.sparse_reduce_sum(features["weights"], 1),
        "taste": v1.nn.embedding_lookup_sparse(emb, ids, None, combiner="sum", name="taste"),
    }
    outputs["weight"].set_shape([None])
    with session() as sess:
        fill(sess)
        save(sess, directory, {"serving_default": signature({"examples": serialized}, outputs)})


def pictures(directory):
    """Encoded images of every format that `decode_image` reads, and PNGs of 16 bits in a batch."""
    image = v1.placeholder(tf.string, [], name="image")
    images = v1.placeholder(tf.string, [None], name="images")
    w = variable("w", [3])
    pixels = tf.cast(tf.image.decode_image(image, channels=3, expand_animations=False), tf.float32)

    def one(encoded):
        decoded = tf.cast(tf.image.decode_png(encoded, channels=3), tf.float32)
        return v1.image.resize_images(decoded, [4, 4])

    batch = v1.map_fn(one, images, dtype=tf.float32)
    signatures = {
        "serving_default": signature({"image": image}, {"mean": tf.reduce_mean(pixels, [0, 1]) * w}),
        "batch": signature({"images": images}, {"mean": tf.reduce_mean(batch, [1, 2]) * w}),
    }
    with session() as sess:
        fill(sess)
        save(sess, directory, signatures)


def photos(directory):
    """JPEGs in base64 that a loop decodes: whole ones, halves, what there is of any, smaller ones, parts of them."""
    texts = v1.placeholder(tf.string, [None], name="texts")
    w = variable("w", [3])
    window = tf.constant([1, 2, 7, 5], name="window")
    ways = {
        "serving_default": lambda text: tf.image.decode_jpeg(text, channels=3),
        "half": lambda text: tf.image.decode_jpeg(text, channels=3, acceptable_fraction=0.5),
        "any": lambda text: tf.image.decode_jpeg(text, channels=3, try_recover_truncated=True),
        "small": lambda text: tf.image.decode_jpeg(text, ratio=2, fancy_upscaling=False, dct_method="INTEGER_FAST"),
        "window": lambda text: tf.io.decode_and_crop_jpeg(text, window, channels=3, dct_method="INTEGER_ACCURATE"),
        "format": lambda text: tf.image.decode_image(text, channels=3, expand_animations=False),
    }

    def means(key):
        def mean(text):
            pixels = tf.cast(ways[key](tf.io.decode_base64(text)), tf.float32)
            pixels.set_shape([None, None, None])
            return tf.reduce_mean(pixels, [0, 1]) * w

        return v1.map_fn(mean, texts, dtype=tf.float32, name=f"loop_{key}")

    signatures = {key: signature({"texts": texts}, {"mean": means(key)}) for key in ways}
    with session() as sess:
        fill(sess)
        save(sess, directory, signatures)


def noise(directory):
    """Dropout and sampling in the serving graph, with a variable beside them."""
    _random(directory, iter((3, 4, 5, 6, 7)))


def unseeded(directory):
    """The same without seeds: no two runs answer alike."""
    v1.set_random_seed(None)
    _random(directory, itertools.repeat(None))


def _random(directory, seeds):
    x = v1.placeholder(tf.float32, [None, 4], name="x")
    w = variable("w", [4])
    dropped = v1.nn.dropout(x * w, rate=0.5, seed=next(seeds), name="dropped")
    noisy = tf.add(x, 0.1 * v1.random_normal(tf.shape(x), seed=next(seeds)), name="noisy")
    uniform = v1.random_uniform([6], -1.0, 1.0, seed=next(seeds), name="uniform")
    draws = v1.multinomial(tf.zeros([2, 3]) + w[:3], 8, seed=next(seeds), name="draws")
    shuffled = v1.random_shuffle(tf.range(20), seed=next(seeds), name="shuffled")
    outputs = {
        "dropped": dropped,
        "noisy": noisy,
        "uniform": tf.identity(uniform),
        "draws": tf.identity(draws),
        "shuffled": tf.identity(shuffled),
        "plain": tf.multiply(x, w, name="plain"),
    }
    with session() as sess:
        fill(sess)
        save(sess, directory, {"serving_default": signature({"x": x}, outputs)})


def states(directory):
    """Twin variables, a counter, a moving mean with its update op, and writes that are ordered by control edges."""
    x = v1.placeholder(tf.float32, [None, 2], name="x")
    first, second = variable("first", [2]), variable("second", [2])
    count = variable("count", [], tf.int64, trainable=False)
    mean = variable("mean", [2], trainable=False)
    last = variable("last", [2], trainable=False)
    total = variable("total", [], trainable=False)
    counted = v1.assign_add(count, tf.constant(1, tf.int64, name="counted_by"), name="counted")
    moved = v1.assign_sub(mean, (mean - tf.reduce_mean(x, 0)) * tf.constant(0.25, name="rate"), name="moved")
    before = tf.identity(last.read_value(), name="before")
    with tf.control_dependencies([before]):
        remembered = v1.assign(last, tf.reduce_sum(x, 0), name="remembered")
    with tf.control_dependencies([remembered]):
        added = v1.assign_add(total, tf.reduce_sum(last.read_value()), name="added")
    with tf.control_dependencies([counted.op, moved.op, added.op]):
        y = tf.add(x * first, second, name="y")
        previous = tf.add(before, 0.0, name="previous")
    everything = [tf.identity(v.read_value(), name=f"now_{v.op.name}") for v in (count, mean, last, total)]
    with session() as sess:
        fill(sess)
        set_value(sess, count, 5)
        set_value(sess, mean, [0.5, -0.5])
        save(
            sess,
            directory,
            {
                "serving_default": signature({"x": x}, {"y": y, "previous": previous}),
                "look": signature({}, dict(zip(("count", "mean", "last", "total"), everything, strict=True))),
                "predict": signature({"x": x}, {"y": tf.multiply(x, first - second, name="plain")}),
            },
        )


def network(directory):
    """A perceptron of several layers, with twin kernels and a batch normalisation, served by its classes and scores."""
    x = v1.placeholder(tf.float32, [None, 6], name="x")
    scale = v1.placeholder_with_default(tf.constant(1.5), [], name="scale")
    hidden = x
    for n in range(3):
        kernel, bias = variable(f"layer{n}/kernel", [6, 6]), variable(f"layer{n}/bias", [6])
        hidden = tf.nn.relu(tf.nn.bias_add(tf.matmul(hidden, kernel), bias), name=f"layer{n}/out")
    gamma, beta = variable("norm/gamma", [6]), variable("norm/beta", [6])
    mean = variable("norm/moving_mean", [6], trainable=False)
    variance = variable("norm/moving_variance", [6], trainable=False)
    normed = tf.nn.batch_normalization(hidden, mean, variance, beta, gamma, 1e-3, name="normed")
    stopped = tf.stop_gradient(normed, name="stopped")
    logits = tf.multiply(tf.matmul(normed + 0.5 * stopped, variable("head/kernel", [6, 3])), scale, name="logits")
    scores = tf.nn.softmax(logits, name="scores")
    names = tf.constant(["cat", "dog", "bird"], name="names")
    classes = tf.gather(names, tf.argmax(scores, 1), name="classes")
    top, where = tf.nn.top_k(logits, 2, name="top")
    signatures = {
        "serving_default": signature({"x": x, "scale": scale}, {"scores": scores, "classes": classes}),
        "top": signature({"x": x}, {"values": top, "indices": where}),
        "features": signature({"x": x}, {"normed": normed, "hidden": hidden}),
    }
    with session() as sess:
        fill(sess)
        set_value(sess, mean, np.linspace(0.1, 0.6, 6))
        set_value(sess, variance, np.linspace(0.5, 1.5, 6))
        save(sess, directory, signatures)


def memory(directory):
    """A mutable table that calls fill and of which they tell the size alone, and one that is filled on loading."""
    tokens = v1.placeholder(tf.string, [None], name="tokens")
    x = v1.placeholder(tf.float32, [None], name="x")
    seen = gen_lookup_ops.mutable_hash_table_v2(tf.string, tf.float32, shared_name="seen", name="seen")
    prices = tf.lookup.StaticHashTable(
        tf.lookup.KeyValueTensorInitializer(tf.constant(["a", "b"]), tf.constant([2.0, 3.0])), 1.0, name="prices"
    )
    value = tf.multiply(x, prices.lookup(tokens), name="value")
    with tf.control_dependencies([gen_lookup_ops.lookup_table_insert_v2(seen, tokens, value, name="learn")]):
        size = gen_lookup_ops.lookup_table_size_v2(seen, name="size")
    init_op = v1.tables_initializer()
    with session() as sess:
        fill(sess)
        inputs = {"tokens": tokens, "x": x}
        save(sess, directory, {"serving_default": signature(inputs, {"size": size})}, main_op=init_op)


def functional(directory):
    """An If, a Case and a While of functions, over variables of both kinds and a table."""
    v1.enable_control_flow_v2()
    x = v1.placeholder(tf.float32, [None, 3], name="x")
    w, b = variable("w", [3, 3]), variable("b", [3], use_resource=True)
    scales = tf.lookup.StaticHashTable(
        tf.lookup.KeyValueTensorInitializer(tf.constant(["a"]), tf.constant([2.0])), 1.0, name="scales"
    )
    scale = scales.lookup(tf.constant("a"))
    chosen = v1.cond(tf.greater(tf.reduce_sum(x), -1e6), lambda: tf.matmul(x, w), lambda: x * b)
    cased = tf.switch_case(tf.minimum(tf.size(x), 1), [lambda: x * b, lambda: tf.tanh(x * b * scale)])
    _, looped = v1.while_loop(lambda step, _: step < 3, lambda step, y: (step + 1, tf.matmul(y, w) * 0.5 + b), [0, x])
    outputs = {"chosen": chosen, "cased": cased, "looped": looped}
    init_op = v1.tables_initializer()
    with session() as sess:
        fill(sess)
        outputs = {name: tf.identity(output, name=name) for name, output in outputs.items()}
        save(sess, directory, {"serving_default": signature({"x": x}, outputs)}, main_op=init_op)
    v1.disable_control_flow_v2()


if __name__ == "__main__":
    folder = pathlib.Path(sys.argv.pop(1))
    made = (lookups, words, branches, examples, pictures, photos)
    made += (noise, unseeded, states, network, memory, functional)
    main(*made, folder=folder)
