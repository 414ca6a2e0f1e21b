"""Writes migrate/checks/ops.json: what each release of TensorFlow can run, op by op; and op_outputs.json.

Run it once under each release that the table is to know, in any order; a run replaces its own column and
leaves the others as they are:

    python tools/make_op_table.py

Under a release, an op is what `TF_GetAllOpList` lists after `import tensorflow`, and a kernel what
`kernels.get_all_registered_kernels` lists (tensorflow/python/framework/kernels.py). Device type DEFAULT is
for every device, the CPU too (core/framework/op_kernel.cc, FindKernelRegistration).
"""

from __future__ import annotations

import collections
import json
import pathlib

import tensorflow as tf
from tensorflow.core.framework import op_def_pb2
from tensorflow.python.client import pywrap_tf_session
from tensorflow.python.framework import kernels

TABLE = pathlib.Path(__file__).parents[1] / "migrate" / "checks" / "ops.json"
OUTPUTS = TABLE.with_name("op_outputs.json")

# Letters of an op's facts; migrate/checks/op_table.py reads them.
REGISTERED, CPU, OTHER_DEVICE, STATEFUL, REF = "r", "c", "o", "s", "f"


def registered_ops() -> list[op_def_pb2.OpDef]:
    """All ops of the TensorFlow that runs this."""
    buffer = pywrap_tf_session.TF_GetAllOpList()
    return list(op_def_pb2.OpList.FromString(pywrap_tf_session.TF_GetBuffer(buffer)).op)


def kernel_devices() -> dict[str, set[str]]:
    """Device types that have a kernel, by op."""
    devices = collections.defaultdict(set)
    for kernel in kernels.get_all_registered_kernels().kernel:
        devices[kernel.op].add(kernel.device_type)
    return devices


def facts(op: op_def_pb2.OpDef, devices: set[str]) -> str:
    """What one release says of one op, as letters."""
    on_cpu = bool(devices & {"CPU", "DEFAULT"})
    return "".join(
        letter
        for letter, holds in (
            (REGISTERED, True),
            (CPU, on_cpu),
            (OTHER_DEVICE, bool(devices) and not on_cpu),
            (STATEFUL, op.is_stateful),
            (REF, any(arg.is_ref for arg in (*op.input_arg, *op.output_arg))),
        )
        if holds
    )


def dtypes(op: op_def_pb2.OpDef) -> str:
    """What an op gives, as `checks.tensors.output_dtypes` reads it: `N*@T|int32 @T=float32`."""
    written = []
    used = set()
    for arg in op.output_arg:
        kind = f"@@{arg.type_list_attr}" if arg.type_list_attr else f"@{arg.type_attr}" if arg.type_attr else ""
        used.update({arg.type_list_attr, arg.type_attr, arg.number_attr})
        number = f"{arg.number_attr}*" if arg.number_attr else ""
        written.append(number + (kind or tf.dtypes.as_dtype(arg.type).base_dtype.name))
    defaults = [
        f"@{attr.name}={tf.dtypes.as_dtype(attr.default_value.type).name}"
        for attr in op.attr
        if attr.name in used and attr.default_value.type
    ]
    return " ".join(["|".join(written), *defaults])


def column() -> dict[str, object]:
    """The column of the TensorFlow that runs this."""
    ops = registered_ops()
    devices = kernel_devices()
    by_facts: dict[str, list[str]] = collections.defaultdict(list)
    by_dtypes: dict[str, list[str]] = collections.defaultdict(list)
    for op in ops:
        by_facts[facts(op, devices[op.name])].append(op.name)
        by_dtypes[dtypes(op)].append(op.name)
    return {
        "producer": tf.version.GRAPH_DEF_VERSION,
        "deprecated": {
            op.name: f"{op.deprecation.version} {op.deprecation.explanation}" for op in ops if op.deprecation.version
        },
        "ops": {letters: " ".join(sorted(names)) for letters, names in sorted(by_facts.items())},
        "dtypes": {written: " ".join(sorted(names)) for written, names in sorted(by_dtypes.items())},
    }


def outputs(op: op_def_pb2.OpDef) -> str:
    """Names of an op's outputs; one that is several tensors with the attribute that says how many (`y*N`)."""
    lengths = (arg.number_attr or arg.type_list_attr for arg in op.output_arg)
    return " ".join(f"{arg.name}*{n}" if n else arg.name for arg, n in zip(op.output_arg, lengths, strict=True))


def main() -> None:
    """Replaces this release's column in the table, and adds its ops of several outputs to the other."""
    known = json.loads(OUTPUTS.read_text()) if OUTPUTS.exists() else {}
    known.update({op.name: outputs(op) for op in registered_ops() if len(op.output_arg) > 1})
    OUTPUTS.write_text(json.dumps(known, indent=0, sort_keys=True) + "\n")
    table = json.loads(TABLE.read_text()) if TABLE.exists() else {}
    table[".".join(tf.__version__.split(".")[:2])] = column()
    TABLE.write_text(json.dumps(table, indent=1, sort_keys=True) + "\n")


if __name__ == "__main__":
    main()
