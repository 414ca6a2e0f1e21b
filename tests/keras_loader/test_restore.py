"""A model of Keras 2 restored from a checkpoint: no weight is left out silently."""

from __future__ import annotations

import pytest

pytestmark = pytest.mark.tensorflow

tf = pytest.importorskip("tensorflow")

from migrate.errors import InputError  # noqa: E402 (starts TensorFlow)
from migrate.keras_loader.restore import restore_names, without_cell  # noqa: E402


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("dense/kernel", "dense/kernel"),
        ("lstm/kernel", "lstm/kernel"),
        ("lstm_cellar/kernel", "lstm_cellar/kernel"),
        ("lstm/lstm_cell/kernel", "lstm/kernel"),
        ("gru_1/gru_cell_3/bias", "gru_1/bias"),
        ("rnn/simple_rnn_cell2/bias", "rnn/bias"),
    ],
)
def test_the_name_of_a_cell_is_left_out(name, expected):
    assert without_cell(name) == expected


@pytest.fixture
def checkpoint(tmp_path):
    prefix = str(tmp_path / "model.ckpt")
    tf.raw_ops.SaveV2(
        prefix=prefix,
        tensor_names=["dense/bias", "lstm/kernel"],
        shape_and_slices=["", ""],
        tensors=[tf.constant([1.0, 2.0]), tf.constant([[3.0]])],
    )
    return prefix


def test_each_weight_has_the_tensor_of_its_name(checkpoint):
    bias, kernel = tf.Variable([0.0, 0.0]), tf.Variable([[0.0]])
    restore_names({"dense/bias": bias, "lstm/lstm_cell/kernel": kernel}, checkpoint)
    assert (bias.numpy().tolist(), kernel.numpy().tolist()) == ([1.0, 2.0], [[3.0]])


@pytest.mark.parametrize(
    ("name", "shape", "told"),
    [
        ("dense/kernel", [2], "has no tensor 'dense/kernel'; it has dense/bias, lstm/kernel"),
        ("lstm/kernel", [2], r"'lstm/kernel' has the shape \[1, 1\], expected \[2\]"),
    ],
)
def test_a_weight_without_a_tensor_is_told_and_none_is_assigned(checkpoint, name, shape, told):
    bias = tf.Variable([0.0, 0.0])
    with pytest.raises(InputError, match=told):
        restore_names({"dense/bias": bias, name: tf.Variable(tf.zeros(shape))}, checkpoint)
    assert bias.numpy().tolist() == [0.0, 0.0]
