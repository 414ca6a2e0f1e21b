"""Values of the variables, read from the source's checkpoint by TensorFlow's own kernels."""

from __future__ import annotations

import tensorflow as tf

from migrate.errors import InputError, first_line
from migrate.graph.graph import canonical
from migrate.plan.records import Plan, VariablePlan
from migrate.plan.restore import Computed, FromCheckpoint, FromConstant, TableFill
from migrate.rewrite.engine import Rewritten
from migrate.rewrite.importable import importable


def value_of(plan: Plan, variable: VariablePlan, prefix: str) -> tf.Tensor:
    """Reads or computes the value that fills a variable.

    Args:
      plan: says what fills which variable.
      variable: one of its variables.
      prefix: of the source's checkpoint (`.../variables/variables`), of either format.

    Raises:
      InputError: the checkpoint does not have what the restore graph asks for.
    """
    dtype = tf.dtypes.as_dtype(variable.dtype)
    value = variable.value
    try:
        if isinstance(value, FromCheckpoint):
            return tf.raw_ops.RestoreV2(
                prefix=prefix, tensor_names=[value.key], shape_and_slices=[value.slice_spec], dtypes=[dtype]
            )[0]
        if isinstance(value, FromConstant):
            return tf.constant(tf.make_ndarray(value.tensor))
        if isinstance(value, Computed):
            return _compute(plan, value, prefix)
    except tf.errors.OpError as error:
        raise InputError(
            f"the checkpoint {prefix!r} does not give variable {variable.name!r} its value: {first_line(error)}"
        ) from error
    # An init op assigns it on loading; until then it holds zeros, where TF1 had nothing.
    known = not variable.shape.unknown_rank
    shape = [max(dim.size, 0) for dim in variable.shape.dim] if known else [0]
    return tf.zeros(shape, dtype)


def table_content(fill: TableFill, prefix: str) -> tuple[tf.Tensor, tf.Tensor]:
    """Reads the keys and values of a table from the checkpoint.

    Raises:
      InputError: the checkpoint does not have them.
    """
    reads = ((fill.keys, fill.key_dtype), (fill.values, fill.value_dtype))
    try:
        keys, values = (
            tf.raw_ops.RestoreV2(
                prefix=prefix,
                tensor_names=[read.key],
                shape_and_slices=[read.slice_spec],
                dtypes=[tf.dtypes.as_dtype(dtype)],
            )[0]
            for read, dtype in reads
        )
    except tf.errors.OpError as error:
        message = first_line(error)
        raise InputError(
            f"the checkpoint {prefix!r} does not hold the table of {fill.keys.key!r}: {message}"
        ) from error
    return keys, values


def _compute(plan: Plan, value: Computed, prefix: str) -> tf.Tensor:
    assert plan.restore is not None  # A Computed value comes from there.
    restore = plan.restore
    part = importable(Rewritten(restore.run, restore.run.graph, {}), (), plan.producer)
    wanted = tf.compat.v1.graph_util.extract_sub_graph(part.graph_def, [value.tensor.partition(":")[0]])

    def body() -> tf.Tensor:
        (result,) = tf.graph_util.import_graph_def(
            wanted, {restore.filename: tf.constant(prefix)}, [canonical(value.tensor)], name=""
        )
        return result

    return tf.compat.v1.wrap_function(body, [])()
