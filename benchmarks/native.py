"""A model of `benchmarks.models` as one writes it in TensorFlow 2, with the weights of a source: `... NAME SOURCE NEW`.

What such a model takes for a call, no conversion can save: it is what to compare a converted model with.
"""

from __future__ import annotations

import os
import sys
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import tensorflow as tf

from benchmarks.models import COMPUTE, INPUTS


class Native(tf.Module):
    """Variables, and `__call__` of one tensor, or of a dict of several."""

    def __init__(self, name: str, source: str) -> None:
        super().__init__()
        self._model = name
        reader = tf.train.load_checkpoint(os.path.join(source, "variables", "variables"))
        self.weights = {
            key: tf.Variable(reader.get_tensor(key), name=key) for key in sorted(reader.get_variable_to_shape_map())
        }
        specs = {key: tf.TensorSpec(shape, dtype, name=key) for key, (shape, dtype) in INPUTS[name].items()}
        several = len(specs) > 1
        self.__call__ = tf.function(
            lambda inputs: self._compute(inputs if several else dict.fromkeys(specs, inputs)),
            input_signature=[specs if several else next(iter(specs.values()))],
            autograph=False,
        )
        serve = tf.function(lambda **inputs: {"y": self._compute(inputs)}, autograph=False)
        self.serve = serve.get_concrete_function(**specs)

    def _compute(self, inputs: dict[str, Any]) -> Any:
        return COMPUTE[self._model](inputs, self.weights)


if __name__ == "__main__":
    model = Native(sys.argv[1], sys.argv[2])
    tf.saved_model.save(model, sys.argv[3], signatures={"serving_default": model.serve})
