"""Edits that faults of several kinds are made of."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from tools.mutate.candidate import Candidate, Function, Node, change

Edit = Callable[[Candidate], None]


def all_of(*edits: Edit) -> Edit:
    """One after the other."""

    def edit(candidate: Candidate) -> None:
        for one in edits:
            one(candidate)

    return edit


def const(name: str, new: Callable[[np.ndarray], Any]) -> Edit:
    """Gives the constants of that name in all functions what `new` makes of their values."""
    return lambda candidate: change(candidate.nodes(name), new)


def const_of(signature: str, name: str, new: Callable[[np.ndarray], Any]) -> Edit:
    """The same in a signature's function alone."""
    return lambda candidate: change([candidate.node(signature, name)], new)


def negate(function: Function) -> None:
    """Has a function answer the negative of its first result, a float."""
    key = min(function.ret)
    node = function.node_def.add(name="spoil", op="Neg", input=[function.ret[key]])
    node.attr["T"].type = 1
    function.ret[key] = "spoil:y:0"


def attr_type_kept(node: Node, **values: Any) -> None:
    """Sets attributes: of strings, booleans, integers and floats by what they are."""
    for key, value in values.items():
        if isinstance(value, bool):
            node.attr[key].b = value
        elif isinstance(value, int):
            node.attr[key].i = value
        elif isinstance(value, float):
            node.attr[key].f = value
        else:
            node.attr[key].s = value if isinstance(value, bytes) else str(value).encode()


def attributes(name: str, **values: Any) -> Edit:
    """Sets attributes of the nodes of that name in all functions."""

    def edit(candidate: Candidate) -> None:
        for node in candidate.nodes(name):
            attr_type_kept(node, **values)

    return edit


def op(name: str, new: str, **values: Any) -> Edit:
    """Puts another op in the place of the nodes of that name; what refers to their outputs must still be right."""

    def edit(candidate: Candidate) -> None:
        for node in candidate.nodes(name):
            node.op = new
            attr_type_kept(node, **values)

    return edit


def rewire(name: str, index: int, new: str) -> Edit:
    """Gives the nodes of that name another input."""

    def edit(candidate: Candidate) -> None:
        for node in candidate.nodes(name):
            node.input[index] = new

    return edit


def swap_inputs(name: str, first: int = 0, second: int = 1) -> Edit:
    """Swaps two inputs of the nodes of that name."""

    def edit(candidate: Candidate) -> None:
        for node in candidate.nodes(name):
            node.input[first], node.input[second] = node.input[second], node.input[first]

    return edit


def without_control(name: str, control: str) -> Edit:
    """Drops a control edge."""

    def edit(candidate: Candidate) -> None:
        for node in candidate.nodes(name):
            node.input.remove(f"^{control}")

    return edit


def weight(variable: str, new: Callable[[np.ndarray], Any]) -> Edit:
    """Gives a variable what `new` makes of its value in the checkpoint."""

    def edit(candidate: Candidate) -> None:
        key = candidate.key(variable)
        with candidate.checkpoint() as tensors:
            before = tensors[key]
            tensors[key] = np.asarray(new(before.copy()), before.dtype).reshape(before.shape)

    return edit


def at(*index: int, by: float = 0.25) -> Callable[[np.ndarray], np.ndarray]:
    """Adds to one element."""

    def new(value: np.ndarray) -> np.ndarray:
        value[index] += np.asarray(by, value.dtype)
        return value

    return new


def ulp(value: np.ndarray) -> np.ndarray:
    """The next larger number."""
    return np.nextafter(value, np.asarray(np.inf, value.dtype))


def result(function: Function, contains: str) -> str:
    """The key in `ret` of the output whose key starts so."""
    return next(key for key in sorted(function.ret) if key.startswith(contains))


def spoil(candidate: Candidate, signature: str, output: str, dtype: Any, condition: str) -> None:
    """Changes an output of a signature's function where a condition holds: a reference to a scalar."""
    body = candidate.body(signature)
    key = result(body, output)
    before = body.ret[key]
    if dtype is str:
        more = candidate.add_const(signature, "spoil/more", "!", tf.string)
        join = candidate.add(signature, "spoil/other", "StringJoin", [before, more])
        join.attr["N"].i = 2
        other = "spoil/other:output:0"
    else:
        more = candidate.add_const(signature, "spoil/more", 1, dtype)
        candidate.add(signature, "spoil/other", "AddV2", [before, more], T=dtype)
        other = "spoil/other:z:0"
    candidate.add(signature, "spoil", "SelectV2", [condition, other, before], T=tf.string if dtype is str else dtype)
    body.ret[key] = "spoil:output:0"


def any_of(candidate: Candidate, signature: str, flags: str) -> str:
    """Adds the reduction of a vector of booleans, and gives what refers to it."""
    axes = candidate.add_const(signature, "spoil/axes", [0], np.int32)
    node = candidate.add(signature, "spoil/any", "Any", [flags, axes], Tidx=np.int32)
    node.attr["keep_dims"].b = False
    return "spoil/any:output:0"
