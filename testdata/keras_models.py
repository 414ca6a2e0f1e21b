"""Subclassed models for tests, of the Keras that KERAS_MODELS_OF names."""

from __future__ import annotations

import importlib
import os

import tensorflow as tf

k = importlib.import_module(os.environ.get("KERAS_MODELS_OF", "tf_keras"))


def _register(kind):
    registered = k.saving.register_keras_serializable("mine")
    return registered(kind)


@_register
class Net(k.Model):
    """Two layers, one after the other; it takes no argument `training`."""

    def __init__(self, units=3, **settings):
        super().__init__(**settings)
        self.units = units
        self.first = k.layers.Dense(units, "relu")
        self.second = k.layers.Dense(2)

    def call(self, inputs):
        """Scores of the inputs."""
        return self.second(self.first(inputs))

    def get_config(self):
        """The settings, and those of Keras."""
        return {**super().get_config(), "units": self.units}


@_register
class Pair(Net):
    """A dict goes in, and another one comes out."""

    def call(self, inputs, training=False):
        """Scores of x, and y scaled."""
        factor = 3.0 if training else 2.0
        return {"scores": self.second(self.first(inputs["x"])), "scaled": inputs["y"] * factor}


@_register
class Words(Net):
    """Takes words alone."""

    def __init__(self, units=3, **settings):
        super().__init__(units, **settings)
        self.look_up = k.layers.StringLookup(vocabulary=["a", "b"])
        self.embed = k.layers.Embedding(4, 3)

    def call(self, inputs):
        """Scores of the words."""
        return super().call(self.embed(self.look_up(inputs)))


@_register
class Ids(Net):
    """Takes integers alone."""

    def call(self, inputs):
        """Scores of the numbers."""
        return super().call(tf.one_hot(inputs, 4))


@_register
class Mixed(Words):
    """Takes a dict of words, integers and floats."""

    def call(self, inputs):
        """Scores of all of them."""
        words = self.embed(self.look_up(inputs["words"]))
        return self.second(self.first(tf.concat([words, tf.one_hot(inputs["ids"], 4), inputs["x"]], -1)))


@_register
class Inside(k.Model):
    """Makes its inputs itself."""

    def __init__(self, units=3, **settings):
        x = k.Input([4], name="x")
        y = k.layers.Dense(2)(k.layers.Dense(units)(x))
        super().__init__(x, y, **settings)
        self.units = units

    def get_config(self):
        """The settings alone."""
        return {"units": self.units}


@_register
class Scores(k.Model):
    """One layer, and one output."""

    def __init__(self, **settings):
        super().__init__(**settings)
        self.dense = k.layers.Dense(3, "softmax")

    def call(self, inputs):
        """Scores of the inputs."""
        return self.dense(inputs)


@_register
class ScoresOfTwo(Scores):
    """Two outputs without names."""

    def __init__(self, **settings):
        super().__init__(**settings)
        self.single = k.layers.Dense(1, "sigmoid")

    def call(self, inputs):
        """Two kinds of scores."""
        return self.single(inputs), self.dense(inputs)


@_register
def own_loss(wanted, given):
    """A loss of the user's own."""
    return k.losses.mean_squared_error(wanted, given)
