"""The ops of TensorFlow 1.15.5 and of its contrib libraries, in tools/tf1_ops.tsv; it runs under Python 3.7.

    venv-tf115/bin/python tools/make_tf1_ops.py     # testdata/make_dead_ops.py says how the environment is made

A row is an op, the library that has it (`core`, or a path below contrib), and `c` where it has a kernel for a CPU.
"""

from __future__ import annotations

import os
import pathlib

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

import tensorflow as tf
import tensorflow_core
from tensorflow.core.framework import op_def_pb2
from tensorflow.python import pywrap_tensorflow
from tensorflow.python.framework import kernels, op_def_registry

FILE = pathlib.Path(__file__).resolve().parent / "tf1_ops.tsv"


def _libraries():
    yield "core", sorted(op_def_registry.get_registered_ops())
    contrib = pathlib.Path(tensorflow_core.__file__).parent / "contrib"
    for path in sorted(contrib.rglob("*.so")):
        try:
            library = pywrap_tensorflow.TF_LoadLibrary(str(path))
        except tf.errors.OpError as error:
            print(f"{path.name}: {error.message}")
            continue
        ops = op_def_pb2.OpList.FromString(bytes(pywrap_tensorflow.TF_GetOpList(library)))
        yield str(path.relative_to(contrib)), sorted(op.name for op in ops.op)


def _on_cpu(op):
    return any(kernel.device_type == "CPU" for kernel in kernels.get_registered_kernels_for_op(op).kernel)


def main():
    """Writes the table."""
    rows = {}
    for library, ops in _libraries():
        for op in ops:
            rows.setdefault(op, f"{op}\t{library}\t{'c' if _on_cpu(op) else ''}")
    FILE.write_text("\n".join(["op\tlibrary\tcpu", *sorted(rows.values())]) + "\n")
    print(f"{len(rows)} ops")


if __name__ == "__main__":
    main()
