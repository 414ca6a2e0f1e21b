"""Models with lookup tables and assets."""

from __future__ import annotations

import pathlib

import tensorflow as tf
from common import fill, main, save, session, signature, v1, variable
from tensorflow.python.ops import gen_lookup_ops, lookup_ops


def _vocabularies():
    """Two files of one base name in two directories: the exporter must rename one of them."""
    words = pathlib.Path("words", "vocab.txt")
    labels = pathlib.Path("labels", "vocab.txt")
    for path, lines in ((words, ["the", "cat", "sat", "naïve"]), (labels, ["noun", "verb", "other"])):
        path.parent.mkdir()
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return str(words), str(labels)


def vocabulary(directory):
    """Tables from two asset files of one base name, out-of-vocabulary buckets, embedding; `main_op`."""
    words, labels = _vocabularies()
    tokens = v1.placeholder(tf.string, [None], name="tokens")
    ids = v1.placeholder(tf.int64, [None], name="ids")
    table = lookup_ops.index_table_from_file(words, num_oov_buckets=1)
    reverse = lookup_ops.index_to_string_table_from_file(labels, default_value="unknown")
    embedding = variable("embedding", [5, 3])
    token_ids = table.lookup(tokens)
    vectors = tf.nn.embedding_lookup(embedding, token_ids)
    init_op = v1.tables_initializer()
    with session() as sess:
        fill(sess)
        save(
            sess,
            directory,
            {
                "serving_default": signature({"tokens": tokens}, {"ids": token_ids, "vectors": vectors}),
                "labels": signature({"ids": ids}, {"labels": reverse.lookup(ids)}),
            },
            assets_collection=v1.get_collection(v1.GraphKeys.ASSET_FILEPATHS),
            main_op=init_op,
        )


def vocabulary_v1_ops(directory):
    """HashTable (string ref), InitializeTableFromTextFile, LookupTableFind; `legacy_init_op`."""
    words, _ = _vocabularies()
    asset = tf.constant(words, name="asset_path")
    v1.add_to_collection(v1.GraphKeys.ASSET_FILEPATHS, asset)
    tokens = v1.placeholder(tf.string, [None], name="tokens")
    # key_index -2 is the whole line, value_index -1 the line number (lookup_ops.TextFileIndex).
    from_file = gen_lookup_ops.hash_table(tf.string, tf.int64, name="from_file")
    init_file = gen_lookup_ops.initialize_table_from_text_file(
        from_file, asset, key_index=-2, value_index=-1, vocab_size=4, name="init_file"
    )
    from_keys = gen_lookup_ops.hash_table(tf.int64, tf.float32, shared_name="weights_table", name="from_keys")
    init_keys = gen_lookup_ops.initialize_table(
        from_keys, tf.constant([0, 1, 2, 3], tf.int64), tf.constant([0.5, 1.5, 2.5, 3.5]), name="init_keys"
    )
    ids = gen_lookup_ops.lookup_table_find(from_file, tokens, tf.constant(-1, tf.int64), name="ids")
    weights = gen_lookup_ops.lookup_table_find(from_keys, ids, tf.constant(9.0), name="weights")
    size = gen_lookup_ops.lookup_table_size(from_file, name="size")
    scale = variable("scale", [])
    v1.add_to_collection("legacy_init_op", tf.group(init_file, init_keys, name="legacy_init_op"))
    with session() as sess:
        fill(sess)
        save(
            sess,
            directory,
            {
                "serving_default": signature({"tokens": tokens}, {"ids": ids, "weights": weights * scale}),
                "size": signature({}, {"size": size}),
            },
            assets_collection=v1.get_collection(v1.GraphKeys.ASSET_FILEPATHS),
        )


if __name__ == "__main__":
    main(vocabulary, vocabulary_v1_ops)
