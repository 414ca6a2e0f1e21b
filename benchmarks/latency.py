"""Latency of a source, its conversion and its native twin, as one process: `... SOURCE NEW NATIVE NAME BATCH`.

Prints one JSON object: by model and way to call, seconds a call and ratios to the source in a v1 Session.

Each way gets what it takes: a Session arrays, TensorFlow 2 tensors. All give an array. A way is timed in short bursts,
in another order each round, after a call that is not timed: what runs after a longer call finds colder caches, and a
burst meets the same load of the machine as those beside it. A ratio is the median of the rounds' ratios.
"""

from __future__ import annotations

import json
import os
import random
import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

import numpy as np
import tensorflow as tf

from benchmarks.models import feeds

v1 = tf.compat.v1
SESSION, SIGNATURE, CALL = "v1 Session", "signature", "`__call__`"
_BURST_SECONDS = 0.01
_SECONDS = 60.0
_ROUNDS = (9, 300)


def in_session(path: str, values: dict[str, Any]) -> Callable[[], Any]:
    """A call in a v1 Session."""
    with tf.Graph().as_default() as graph:
        session = v1.Session(graph=graph)
        definition = v1.saved_model.load(session, ["serve"], path).signature_def["serving_default"]
    # Session.run takes as long, within the noise.
    run = session.make_callable(definition.outputs["y"].name, [definition.inputs[name].name for name in sorted(values)])
    given = [values[name] for name in sorted(values)]
    return lambda: run(*given)


def _loaded(path: str, values: dict[str, Any]) -> dict[str, Callable[[], Any]]:
    loaded = tf.saved_model.load(path)
    signature = loaded.signatures["serving_default"]
    tensors = {key: tf.constant(value) for key, value in values.items()}
    whole = tensors if len(tensors) > 1 else next(iter(tensors.values()))
    return {SIGNATURE: lambda: signature(**tensors)["y"].numpy(), CALL: lambda: loaded(whole).numpy()}


def burst(call: Callable[[], Any], count: int) -> float:
    """Seconds a call takes, of so many after one that is not timed."""
    call()
    start = time.perf_counter()
    for _ in range(count):
        call()
    return (time.perf_counter() - start) / count


def main(source: str, new: str, native: str, name: str, batch: int) -> None:
    """Measures all ways to call and prints what was found."""
    values = feeds(name, batch)
    calls = {("source", SESSION): in_session(source, values)}
    for model, path in (("new", new), ("native", native)):
        calls[model, SESSION] = in_session(path, values)
        calls |= {(model, way): call for way, call in _loaded(path, values).items()}
    answers = [call() for call in calls.values()]
    for answer in answers:
        np.testing.assert_allclose(answer, answers[0], rtol=1e-4, atol=1e-6)
    first = {way: min(burst(call, 1) for _ in range(5)) for way, call in calls.items()}
    counts = {way: max(1, round(_BURST_SECONDS / seconds)) for way, seconds in first.items()}
    spent = sum((counts[way] + 1) * seconds for way, seconds in first.items())
    rounds = min(max(round(_SECONDS / spent), _ROUNDS[0]), _ROUNDS[1])
    order, rng = list(calls), random.Random(7)
    seconds: dict[tuple[str, str], list[float]] = {way: [] for way in calls}
    for _ in range(rounds):
        rng.shuffle(order)
        for way in order:
            seconds[way].append(burst(calls[way], counts[way]))

    def ratio(one: tuple[str, str], other: tuple[str, str]) -> float:
        return statistics.median(a / b for a, b in zip(seconds[one], seconds[other], strict=True))

    found: dict[str, dict[str, Any]] = {}
    for model, way in calls:
        found.setdefault(model, {})[way] = {
            "seconds": statistics.median(seconds[model, way]),
            "of_source": ratio((model, way), ("source", SESSION)),
            **({"of_native": ratio((model, way), ("native", way))} if model == "new" else {}),
        }
    print(json.dumps(found))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3], sys.argv[4], int(sys.argv[5]))
