"""What cannot be taken over streams through TensorFlow: at most a data file's worth of tensors is in memory."""

from __future__ import annotations

import subprocess
import sys

import pytest

pytestmark = [pytest.mark.tensorflow, pytest.mark.slow]

tf = pytest.importorskip("tensorflow")

_TENSORS, _MEGABYTES = 8, 40
"""320 MB in all, in tensors of 40: one and a half of them are a data file's worth."""

_WRITE = """
import resource, sys
from types import SimpleNamespace
import tensorflow as tf
from migrate.export.checkpoint import write_checkpoint
from migrate.export.values import value_of
from migrate.plan.records import VariablePlan
from migrate.plan.restore import FromCheckpoint
from migrate.graph.protos import TensorShapeProto
kind, prefix, new, count, megabytes = *sys.argv[1:4], int(sys.argv[4]), int(sys.argv[5])
size = megabytes << 18
spec = f"{size} 0,{size - 1}" if kind == "slices" else ""  # A slice that no stored slice equals.
shape = TensorShapeProto(unknown_rank=True) if kind == "unknown" else TensorShapeProto()
if kind != "unknown":
    shape.dim.add(size=size)
variables = [VariablePlan(f"v{n}", f"v{n}", 1, shape, True, False, FromCheckpoint(f"t{n}", spec)) for n in range(count)]
plan = SimpleNamespace(variables=variables)
tf.constant(0)  # TensorFlow's own first call.
def peak(): return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10
before = peak()
keys = {v.identity: v.name for v in variables}
files = write_checkpoint(plan, keys, b"graph", new, {}, lambda variable: value_of(plan, variable, prefix))
print(peak() - before, files)
last = f"v{count - 1}"
written = tf.train.load_checkpoint(new).get_tensor(last)
assert (written == value_of(plan, variables[-1], prefix).numpy()).all() and written.any()
"""


@pytest.mark.sampled(2)
@pytest.mark.parametrize("kind", ["v1", "rewrite", "slices", "unknown"])
def test_the_memory_does_not_grow_with_the_weights(tmp_path, kind):
    prefix, names = str(tmp_path / "old"), [f"t{n}" for n in range(_TENSORS)]
    values = [tf.random.stateless_uniform([_MEGABYTES << 18], [1, 2])] * _TENSORS
    if kind == "v1":
        tf.raw_ops.Save(filename=prefix, tensor_names=names, data=values)
    else:
        tf.raw_ops.SaveV2(prefix=prefix, tensor_names=names, shape_and_slices=[""] * _TENSORS, tensors=values)
    arguments = [kind, prefix, str(tmp_path / "new"), str(_TENSORS), str(_MEGABYTES)]
    done = subprocess.run([sys.executable, "-c", _WRITE, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    peak, files = map(int, done.stdout.split())
    # Two tensors where a shape says nothing beforehand; a slice is cut from its tensor while that is in memory.
    assert peak < 2.6 * _MEGABYTES + 24, "megabytes"
    assert files >= _TENSORS // 2
