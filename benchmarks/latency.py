"""Latency of a source in a v1 Session and of its conversion, as one process: `... SOURCE CONVERTED NAME BATCH`.

Prints one JSON object: seconds per call, as medians over interleaved rounds.
"""

from __future__ import annotations

import json
import os
import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

import tensorflow as tf

from benchmarks.models import feeds

v1 = tf.compat.v1
_ROUNDS = 9
_SECONDS_A_ROUND = 0.2


def _session(path: str, values: dict[str, Any]) -> Callable[[], Any]:
    with tf.Graph().as_default() as graph:
        session = v1.Session(graph=graph)
        definition = v1.saved_model.load(session, ["serve"], path).signature_def["serving_default"]
    run = session.make_callable(definition.outputs["y"].name, [definition.inputs[name].name for name in sorted(values)])
    given = [values[name] for name in sorted(values)]
    return lambda: run(*given)


def main(source: str, converted: str, name: str, batch: int) -> None:
    """Measures four ways to call and prints what was found."""
    values = feeds(name, batch)
    loaded = tf.saved_model.load(converted)
    signature = loaded.signatures["serving_default"]
    tensors = {key: tf.constant(value) for key, value in values.items()}
    whole = tensors if len(tensors) > 1 else next(iter(tensors.values()))
    calls = {
        "source, v1 Session": _session(source, values),
        "new, v1 Session": _session(converted, values),
        "new, signature": lambda: signature(**tensors)["y"].numpy(),
        "new, __call__": lambda: loaded(whole).numpy(),
    }
    seconds: dict[str, list[float]] = {way: [] for way in calls}
    for call in calls.values():
        for _ in range(5):
            call()
    for _ in range(_ROUNDS):
        for way, call in calls.items():
            start, count = time.perf_counter(), 0
            while time.perf_counter() - start < _SECONDS_A_ROUND:
                call()
                count += 1
            seconds[way].append((time.perf_counter() - start) / count)
    base = seconds["source, v1 Session"]
    print(
        json.dumps(
            {
                way: {
                    "seconds": statistics.median(found),
                    "ratio": statistics.median(a / b for a, b in zip(found, base, strict=True)),
                }
                for way, found in seconds.items()
            }
        )
    )


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4]))
