"""Writes migrate/tf1_runtime/trial_model, the model by which an installed runtime is tried. Runs under TensorFlow 1.15:

    /path/to/python3.7 tools/make_trial_model.py

It has what a runtime must be able to do: a ref variable and a resource variable that are restored, a table that the
init op fills from an asset, and strings. `migrate.tf1_runtime.trial` says what it answers.
"""

import os
import shutil
import tempfile

import tensorflow as tf

HERE = os.path.dirname(os.path.abspath(__file__))
PLACE = os.path.join(os.path.dirname(HERE), "migrate", "tf1_runtime", "trial_model")


def main():
    """Writes it."""
    with tempfile.TemporaryDirectory() as folder, tf.Graph().as_default(), tf.compat.v1.Session() as session:
        words = os.path.join(folder, "words.txt")
        with open(words, "w") as file:
            file.write("a\nb\nc\n")
        x = tf.compat.v1.placeholder(tf.float32, [None], name="x")
        word = tf.compat.v1.placeholder(tf.string, [None], name="word")
        slope = tf.compat.v1.get_variable("slope", initializer=2.0, use_resource=False)
        offset = tf.compat.v1.get_variable("offset", initializer=1.0, use_resource=True)
        y = tf.add(x * slope, offset, name="y")
        asset = tf.constant(words)
        tf.compat.v1.add_to_collection(tf.compat.v1.GraphKeys.ASSET_FILEPATHS, asset)
        lines = tf.lookup.TextFileInitializer(
            asset, tf.string, tf.lookup.TextFileIndex.WHOLE_LINE, tf.int64, tf.lookup.TextFileIndex.LINE_NUMBER
        )
        table = tf.lookup.StaticHashTable(lines, -1)
        position = tf.identity(table.lookup(word), name="position")
        session.run([tf.compat.v1.global_variables_initializer(), tf.compat.v1.tables_initializer()])
        shutil.rmtree(PLACE, ignore_errors=True)
        builder = tf.compat.v1.saved_model.Builder(PLACE)
        definition = tf.compat.v1.saved_model.predict_signature_def(
            {"x": x, "word": word}, {"y": y, "position": position}
        )
        builder.add_meta_graph_and_variables(
            session,
            ["serve"],
            {"serving_default": definition},
            assets_collection=tf.compat.v1.get_collection(tf.compat.v1.GraphKeys.ASSET_FILEPATHS),
            main_op=tf.compat.v1.tables_initializer(),
            strip_default_attrs=True,
        )
        builder.save()


if __name__ == "__main__":
    main()
