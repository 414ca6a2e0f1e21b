"""The variables of a model: as its checkpoint has them, and as its calls leave them.

TensorFlow starts here, and every import of it stands inside a function.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from migrate.graph.op_table import REF_VARIABLES, load_op_table, may_call
from migrate.verify.arrays import as_array, fingerprint
from migrate.verify.calls import Fingerprint

_VARIABLES = REF_VARIABLES | {"VarHandleOp"}


def stored(tf: Any, prefix: str, variables: Mapping[str, tuple[str, str]]) -> dict[str, Fingerprint]:
    """Values by variable name, from a checkpoint of either format (RestoreV2 reads both), without absent keys."""
    if not variables:
        return {}
    types = tf.compat.v1.train.NewCheckpointReader(prefix).get_variable_to_dtype_map()
    found: dict[str, Fingerprint] = {}
    for name, (key, slice_spec) in variables.items():
        if key in types:
            value = tf.raw_ops.RestoreV2(
                prefix=prefix, tensor_names=[key], shape_and_slices=[slice_spec], dtypes=[types[key]]
            )[0]
            found[name] = fingerprint(as_array(value.numpy()))
    return found


def states(tf: Any, session: Any, targets: Iterable[str]) -> Callable[[], dict[str, Fingerprint]]:
    """Prepares to read the variables that a graph's calls may write, and adds what it needs to the graph.

    Args:
      tf: the module.
      session: on the model's graph; it has run nothing since it was loaded.
      targets: names of the tensors that the calls fetch.

    Returns:
      Reads their values now, by the name of the variable's node; one that has no value is left out.
    """
    found = _reached(session.graph, targets)
    if not any(_may_write(operation.type) for operation in found):
        return dict
    tensors = {}
    for operation in found:
        if operation.type in _VARIABLES:
            tensor = operation.outputs[0]
            if operation.type == "VarHandleOp":
                tensor = tf.raw_ops.ReadVariableOp(resource=tensor, dtype=operation.get_attr("dtype"))
            tensors[operation.name] = tensor

    def read() -> dict[str, Fingerprint]:
        values = {}
        for name, tensor in tensors.items():
            try:
                values[name] = fingerprint(as_array(session.run(tensor)))
            except tf.errors.FailedPreconditionError:
                continue
        return values

    return read


def _reached(graph: Any, targets: Iterable[str]) -> list[Any]:
    """The operations behind some tensors."""
    stack = [graph.get_operation_by_name(name.partition(":")[0]) for name in targets]
    found = {}
    while stack:
        operation = stack.pop()
        if operation.name not in found:
            found[operation.name] = operation
            stack += [tensor.op for tensor in operation.inputs]
            stack += operation.control_inputs
    return list(found.values())


def _may_write(op: str) -> bool:
    """Whether an op changes a variable; one that calls functions may, and so may one that is not known."""
    known = load_op_table().get(op)
    return known is None or bool(known.writes) or may_call(op)


def loaded_states(loaded: Any, names: Iterable[str]) -> dict[str, Fingerprint]:
    """The same of a model that tf.saved_model.load gave, by TF1 name; without those that it does not have."""
    variables = getattr(loaded, "vars", {})
    return {name: fingerprint(as_array(variables[name].numpy())) for name in names if name in variables}
