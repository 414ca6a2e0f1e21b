"""Models that decode strings: images, base64, CSV."""

from __future__ import annotations

import tensorflow as tf
from common import fill, main, save, session, signature, v1, variable


def image_decode(directory):
    """Encoded images: a single one through `decode_image`, a batch through `map_fn` over `decode_png`."""
    image = v1.placeholder(tf.string, [], name="image")
    images = v1.placeholder(tf.string, [None], name="images")
    w = variable("w", [3])
    pixels = tf.image.convert_image_dtype(tf.image.decode_image(image, channels=3), tf.float32)

    def one(encoded):
        decoded = tf.image.convert_image_dtype(tf.image.decode_png(encoded, channels=3), tf.float32)
        return v1.image.resize_images(decoded, [4, 4])

    batch = v1.map_fn(one, images, dtype=tf.float32)
    signatures = {
        "serving_default": signature({"image": image}, {"mean": tf.reduce_mean(pixels, [0, 1]) * w}),
        "batch": signature({"images": images}, {"mean": tf.reduce_mean(batch, [1, 2]) * w}),
    }
    with session() as sess:
        fill(sess)
        save(sess, directory, signatures)


def base64_csv(directory):
    """Strings through `decode_base64` and `decode_csv`."""
    encoded = v1.placeholder(tf.string, [None], name="encoded")
    lines = v1.placeholder(tf.string, [None], name="lines")
    w = variable("w", [2])
    text = tf.io.decode_base64(encoded)
    age, height, name = v1.decode_csv(lines, [[0.0], [1.5], ["nobody"]])
    score = tf.reduce_sum(tf.stack([age, height], axis=1) * w, axis=1)
    signatures = {
        "base64": signature({"encoded": encoded}, {"text": text, "length": v1.strings.length(text)}),
        "csv": signature({"lines": lines}, {"score": score, "name": name}),
    }
    with session() as sess:
        fill(sess)
        save(sess, directory, signatures)


if __name__ == "__main__":
    main(image_decode, base64_csv)
