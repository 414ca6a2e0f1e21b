"""Gradients of a signature's float outputs to variables, on both sides.

What is differentiated is the sum of the outputs' elements, each weighted by a fixed random number: a gradient of
another output, of fewer outputs, or twice the gradient is another value. TensorFlow starts here, and every import of it
stands inside a function.
"""

from __future__ import annotations

import contextlib
import zlib
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from migrate.graph.graph import canonical
from migrate.verify.arrays import as_array
from migrate.verify.calls import Array
from migrate.verify.sessions import run_session

_MOST_VALUES = 1 << 14
"""A larger gradient is compared by this many of its values, its sum and its norm."""


def weights(output: str, value: Array, is_sum: bool = False) -> Array:
    """The weights of an output's elements: of the same dtype and shape as the output's value."""
    if is_sum:
        return np.ones_like(value)
    random = np.random.default_rng(zlib.crc32(output.encode()))
    return np.asarray(random.standard_normal(value.shape)).astype(value.dtype)


def is_float(value: Array) -> bool:
    """Whether TensorFlow has gradients of tensors of a value's dtype: real floats, bfloat16 included."""
    return value.dtype.kind == "f" or value.dtype.name in ("bfloat16", "float16")


def sample(gradient: Array) -> Array:
    """What is compared of a gradient: all of its values, or some of them, their sum and their norm; float64."""
    flat = np.ravel(gradient).astype(np.float64)
    if flat.size <= _MOST_VALUES:
        return flat
    step = -(-flat.size // _MOST_VALUES)
    return np.concatenate([flat[::step], [flat.sum(), np.sqrt(np.square(flat).sum())]])


def session_gradients(
    tf: Any,
    session: Any,
    fetches: Mapping[str, str],
    values: Mapping[str, Array],
    nodes: Mapping[str, Sequence[str]],
    feeds: Mapping[str, Array],
    is_sum: bool = False,
) -> dict[str, Array]:
    """Gradients in a v1 Session, by `tf.gradients`.

    Args:
      tf: the module.
      session: on the graph, to which nodes are added.
      fetches: see `gradient_tensors`.
      values: see there; for the same feeds.
      nodes: see there.
      feeds: values by tensor name.
      is_sum: see there.

    Returns:
      A sample of each gradient that there is.
    """
    return sampled(tf, session, gradient_tensors(tf, session.graph, fetches, values, nodes, is_sum), feeds)


def sampled(tf: Any, session: Any, wanted: Mapping[str, str], feeds: Mapping[str, Array]) -> dict[str, Array]:
    """Samples of gradients, by variable; `wanted` is what `gradient_tensors` gave."""
    return {name: sample(value) for name, value in run_session(tf, session, wanted, feeds).items()} if wanted else {}


def gradient_tensors(
    tf: Any,
    graph: Any,
    fetches: Mapping[str, str],
    values: Mapping[str, Array],
    nodes: Mapping[str, Sequence[str]],
    is_sum: bool = False,
) -> dict[str, str]:
    """Adds gradients to a v1 graph, which is the default one.

    Args:
      tf: the module.
      graph: the graph.
      fetches: tensor names by output name.
      values: the outputs' values.
      nodes: all nodes of each variable, by its name.
      is_sum: whether all weights are one: where outputs are told apart by no name.

    Returns:
      Names of the gradients that there are, by variable.
    """
    outputs = [name for name, value in values.items() if is_float(value) and value.size]
    if not outputs:
        return {}
    ys = [graph.get_tensor_by_name(canonical(fetches[name])) for name in outputs]
    given = [tf.constant(weights(name, values[name], is_sum)) for name in outputs]
    return add_gradients(tf, graph, ys, given, nodes)


def add_gradients(
    tf: Any, graph: Any, ys: Sequence[Any], given: Sequence[Any], nodes: Mapping[str, Sequence[str]]
) -> dict[str, str]:
    """Adds gradients of tensors, weighted by others, to a v1 graph; the rest as in `gradient_tensors`."""
    xs = [graph.get_operation_by_name(node).outputs[0] for group in nodes.values() for node in group]
    with _v1_control_flow(tf):
        found = iter(tf.gradients(ys, xs, grad_ys=given))
    wanted = {}
    for name, group in nodes.items():
        parts = [tf.convert_to_tensor(part) for part in (next(found) for _ in group) if part is not None]
        if parts:
            wanted[name] = tf.add_n(parts).name
    return wanted


@contextlib.contextmanager
def _v1_control_flow(tf: Any) -> Iterator[None]:
    """Has TensorFlow differentiate as TF1 does: with TF2's control flow it takes each TensorArray for a TensorList."""
    is_v2 = tf.compat.v1.control_flow_v2_enabled()
    tf.compat.v1.disable_control_flow_v2()
    try:
        yield
    finally:
        if is_v2:
            tf.compat.v1.enable_control_flow_v2()


def tape_gradients(
    tf: Any, function: Callable[[], Mapping[str, Any]], variables: Mapping[str, Any], is_sum: bool = False
) -> dict[str, Array]:
    """Gradients through a loaded function, by `tf.GradientTape`.

    Args:
      tf: the module.
      function: gives tensors by the outputs' names of the source.
      variables: by name.
      is_sum: see `session_gradients`.

    Returns:
      A sample of each gradient that there is.
    """
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        for variable in variables.values():
            tape.watch(variable)
        found = function()
    values = {name: as_array(tensor.numpy()) for name, tensor in found.items()}
    names = [name for name, value in values.items() if is_float(value) and value.size]
    if not names:
        return {}
    given = [tf.constant(weights(name, values[name], is_sum)) for name in names]
    gradients = tape.gradient([found[name] for name in names], list(variables.values()), output_gradients=given)
    return {
        name: sample(as_array(tf.convert_to_tensor(gradient).numpy()))
        for name, gradient in zip(variables, gradients, strict=True)
        if gradient is not None
    }


def training_gradients(
    tf: Any,
    function: Callable[[], Mapping[str, Any]],
    steady: Collection[str],
    variables: Mapping[str, Any],
) -> dict[str, Array]:
    """Gradients of some outputs of a call of a Keras model with `training=True`; none where it has none.

    Args:
      tf: the module.
      function: makes the call.
      steady: names of the outputs.
      variables: to which, by name.
    """
    if not steady or not variables:
        return {}
    try:
        chosen = {*steady}
        return tape_gradients(tf, lambda: {n: t for n, t in function().items() if n in chosen}, variables)
    except Exception:
        return {}
