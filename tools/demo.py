"""Shows the way of a few small TF1 models through migrate: audit, convert, and a call to a new model."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TESTDATA = ROOT / "testdata" / "models"
DEMO = Path("demo")
MODELS = ("simple_save", "estimator_dnn_classifier", "vocabulary", "counter", "while_loop")


def main() -> int:
    """Runs the demonstration in the repository's `demo/`, which is removed first."""
    os.chdir(ROOT)
    shutil.rmtree(DEMO, ignore_errors=True)
    for name in MODELS:
        shutil.copytree(TESTDATA / name, DEMO / "source" / name)
    for arguments in (
        ("audit", "demo/source/simple_save"),
        ("audit", "demo/source"),
        ("convert", "demo/source", "demo/converted"),
    ):
        code = _migrate(*arguments)
        if code:
            return code
    return _predict(DEMO / "converted" / "simple_save")


def _migrate(*arguments: str) -> int:
    print(f"\n$ migrate {' '.join(arguments)}\n", flush=True)
    return subprocess.run([sys.executable, "-m", "migrate", *arguments], check=False).returncode


def _predict(model: Path) -> int:
    """Calls the new model as any TF2 program does, in a process whose log lines of TensorFlow nobody needs to see."""
    print(flush=True)
    done = subprocess.run(
        [sys.executable, "-c", _PREDICT, str(model)], stderr=subprocess.PIPE, text=True, errors="replace", check=False
    )
    if done.returncode:
        sys.stderr.write(done.stderr)
    return done.returncode


_PREDICT = """
import sys
import tensorflow as tf

model = sys.argv[1]
print(f">>> model = tf.saved_model.load({model!r})", flush=True)
loaded = tf.saved_model.load(model)
predict = loaded.signatures["serving_default"]
_, inputs = predict.structured_input_signature
feeds = {name: tf.ones([size or 1 for size in spec.shape.as_list()], spec.dtype) for name, spec in inputs.items()}
shown = ", ".join(f"{name}=tf.constant({value.numpy().tolist()})" for name, value in feeds.items())
print(f">>> model.signatures['serving_default']({shown})")
for name, value in predict(**feeds).items():
    print(f"{name}: {value.numpy().tolist()}")
"""


if __name__ == "__main__":
    sys.exit(main())
