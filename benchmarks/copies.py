"""How often TensorFlow holds the constants of a frozen graph: `python -m benchmarks.copies [MEGABYTES]`.

Each way is a process of its own; what is printed is its peak memory beyond that of a bare import, as a multiple of
the model's size. Decision 071 has the figures.
"""

from __future__ import annotations

import sys
import tempfile

from benchmarks.__main__ import IMPORT, IMPORT_SAVE, PYTHON, build, megabytes_of, whole

_LOAD = "import sys, tensorflow as tf; model = tf.saved_model.load(sys.argv[1]); "
_CALL = "model.signatures['serving_default'](tf.zeros([1, 1024]))"
_PLAIN = "tf.config.optimizer.set_experimental_options({'disable_meta_optimizer': True}); "
_SESSION = """
import sys, tensorflow as tf
v1 = tf.compat.v1
with tf.Graph().as_default(), v1.Session() as session:
    model = v1.saved_model.load(session, ["serve"], sys.argv[1])
    y = next(iter(model.signature_def["serving_default"].outputs.values())).name
    x = next(iter(model.signature_def["serving_default"].inputs.values())).name
    session.run(y, {x: [[0.0] * 1024]})
"""
WAYS = {
    "tf.saved_model.load": _LOAD,
    "and a call, the graph optimiser off": _LOAD + _PLAIN + _CALL,
    "and a call": _LOAD + _CALL,
    "a v1 Session and a call": _SESSION,
}


def main(argv: list[str]) -> int:
    """Prints a row for each way."""
    megabytes = int(argv[1]) if len(argv) > 1 else 164
    with tempfile.TemporaryDirectory() as scratch:
        source, model = build("frozen", scratch, megabytes), f"{scratch}/model"
        whole([PYTHON, "-c", IMPORT_SAVE, source, model])
        size = megabytes_of(model)
        base = whole(IMPORT)["megabytes"]
        print(f"| {size:.0f} MB | beyond the import / size |\n|---|---|")
        for way, program in WAYS.items():
            print(f"| {way} | {(whole([PYTHON, '-c', program, model])['megabytes'] - base) / size:.1f} |", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))
