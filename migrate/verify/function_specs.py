"""What the functions of a candidate say of their arguments and results, against their bodies. No TensorFlow.

Code in Python reads it (`structured_input_signature`, `structured_outputs`), and TensorFlow checks calls by it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from migrate.frozen import frozen
from migrate.graph.dtypes import base_name
from migrate.graph.protos import FunctionDef, MetaGraphDef, NodeDef
from migrate.records import Mismatch
from migrate.verify.differences import mismatch

_PYTHON = frozenset(
    {
        "none_value",
        "float64_value",
        "int64_value",
        "string_value",
        "bool_value",
        "tensor_shape_value",
        "tensor_dtype_value",
    }
)
"""What a structure has in the place of a tensor (struct.proto, StructuredValue)."""
_CODE = "function-spec-differs"

Shape = tuple[int, ...] | None
"""Sizes, -1 of one that is not known; None of a shape whose rank is not known."""


@frozen
class _Spec:
    """A tensor in a structure.

    Attributes:
      key: of the dict that it is in, or empty.
      name: that it has itself.
      dtype: its number.
      shape: see `Shape`.
    """

    key: str
    name: str
    dtype: int
    shape: Shape


def function_differences(new: MetaGraphDef, path: str) -> Iterator[Mismatch]:
    """Functions that say other dtypes, shapes or names of their arguments or results than their bodies have.

    Args:
      new: the candidate's.
      path: of the differences, see `records.Mismatch`.
    """
    bodies = {function.signature.name: function for function in new.graph_def.library.function}
    for name, saved in sorted(new.object_graph_def.concrete_functions.items()):
        if name not in bodies:
            continue  # Which is a difference of its own.
        for reason in (*_of_arguments(bodies[name], saved), *_of_results(bodies[name], saved)):
            yield mismatch(_CODE, path, reason, "", name)


def _of_arguments(function: FunctionDef, saved: Any) -> Iterator[str]:
    taken = function.signature.input_arg[:]
    own = taken[: max(0, len(taken) - len(saved.bound_inputs))]
    said = _specs(saved.canonicalized_input_signature)
    if said is None or len(said) != len(own):
        return
    # Arguments by keyword are in an order of their own.
    if sorted(spec.dtype for spec in said) != sorted(argument.type for argument in own):
        yield _of_dtypes("arguments", said, [argument.type for argument in own])
        return
    yield from _of_names("argument", said)
    shapes = function.attr["_input_shapes"].list.shape[:] if "_input_shapes" in function.attr else ()
    if len(shapes) != len(taken):
        return
    # What nodes and arguments are called in a function is in lower case (graph_to_functiondef.cc, Normalize).
    named = {
        _user_name(function, number) or argument.name: (argument.type, _shape(shapes[number]))
        for number, argument in enumerate(own)
    }
    for spec in said:
        known = named.get(spec.name, named.get(_normalised(spec.name)))
        if known is not None and known != (spec.dtype, spec.shape):
            yield f"it says that {spec.name!r} is {_told(spec.dtype, spec.shape)}, and it is {_told(*known)}"


def _user_name(function: FunctionDef, number: int) -> str:
    if number not in function.arg_attr or "_user_specified_name" not in function.arg_attr[number].attr:
        return ""
    return str(function.arg_attr[number].attr["_user_specified_name"].s, "utf-8", "replace")


def _of_results(function: FunctionDef, saved: Any) -> Iterator[str]:
    given = function.signature.output_arg[:]
    said = _specs(saved.output_signature)
    if said is None or len(said) != len(given):
        return
    # They are in the order of their sorted keys (nest.py).
    if [spec.dtype for spec in said] != [argument.type for argument in given]:
        yield _of_dtypes("results", said, [argument.type for argument in given])
        return
    yield from _of_names("result", said)
    nodes = {node.name: node for node in function.node_def}
    for spec, argument in zip(said, given, strict=True):
        node = nodes.get(function.ret[argument.name].partition(":")[0]) if argument.name in function.ret else None
        if node is None or not _has_one_shape(node):
            continue
        shape = _shape(node.attr["_output_shapes"].list.shape[0])
        if shape != spec.shape:
            called = spec.key or spec.name
            yield f"it says that {called!r} has the shape {_of_shape(spec.shape)}, and it has {_of_shape(shape)}"


def _has_one_shape(node: NodeDef) -> bool:
    return node.op == "Identity" and len(node.attr["_output_shapes"].list.shape) == 1


def _of_names(what: str, said: Sequence[_Spec]) -> Iterator[str]:
    """Tensors that have another one's name in one dict."""
    keys = {spec.key for spec in said if spec.key}
    for spec in said:
        mine = {spec.key, _normalised(spec.key)}
        others = {name for key in keys - {spec.key} for name in (key, _normalised(key))} - mine
        if spec.key and spec.name not in mine and spec.name in others:
            yield f"it calls its {what} {spec.key!r} {spec.name!r}, which is another one"


def _normalised(name: str) -> str:
    """What TensorFlow makes of a name in a function."""
    return "".join(letter if letter.isalnum() else "_" for letter in name.lower())


def _of_dtypes(what: str, said: Sequence[_Spec], types: Sequence[int]) -> str:
    found = ", ".join(base_name(spec.dtype) for spec in said)
    return f"it says that its {what} are {found}, and they are {', '.join(map(base_name, types))}"


def _specs(structure: Any, key: str = "") -> list[_Spec] | None:
    """The tensors in a structure; None where something in it may be any number of tensors."""
    kind = structure.WhichOneof("kind")
    if kind in ("tensor_spec_value", "bounded_tensor_spec_value"):
        spec = getattr(structure, kind)
        return [_Spec(key, spec.name, spec.dtype, _shape(spec.shape))]
    if kind is None or kind in _PYTHON:
        return []
    if kind in ("list_value", "tuple_value"):
        parts = [("", part) for part in getattr(structure, kind).values]
    elif kind == "dict_value":
        parts = sorted(structure.dict_value.fields.items(), key=lambda pair: pair[0])
    elif kind == "namedtuple_value":
        parts = [("", pair.value) for pair in structure.namedtuple_value.values]
    else:
        return None
    found: list[_Spec] = []
    for name, part in parts:
        specs = _specs(part, name)
        if specs is None:
            return None
        found += specs
    return found


def _shape(shape: Any) -> Shape:
    return None if shape.unknown_rank else tuple(dim.size for dim in shape.dim)


def _told(dtype: int, shape: Shape) -> str:
    return f"{base_name(dtype)} {_of_shape(shape)}"


def _of_shape(shape: Shape) -> str:
    if shape is None:
        return "of unknown rank"
    return f"[{', '.join('?' if size < 0 else str(size) for size in shape)}]"
