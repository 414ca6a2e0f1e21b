"""A file with calls to begin with: names, dtypes, shapes and example values of a model's signatures."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from migrate.graph.protos import MetaGraphDef
from migrate.records import Shape, Signature, TensorSpec
from migrate.verify.calls import Array, Call, SparseValue, Value
from migrate.verify.requests import as_fed, synthesise

_MOST_VALUES = 64
"""Of an input that is written out; a larger one is given by its shape and one value."""


def template(
    signatures: Sequence[Signature], meta_graph: MetaGraphDef | None = None, assets_directory: str | None = None
) -> tuple[str, Mapping[str, str]]:
    """Makes a file for `--inputs` with one call of each signature.

    Args:
      signatures: of the model.
      meta_graph: its graph, which says what strings hold; None where there is none.
      assets_directory: with the model's vocabularies, or None.

    Returns:
      The text of a JSON file that `given.load_calls` takes as it is, empty where no signature can be called; and why
      a signature is not in it, by its key.
    """
    found, left_out = [], {}
    signatures = as_fed(signatures, meta_graph or MetaGraphDef())
    by_key = {signature.key: signature for signature in signatures}
    for candidates in synthesise(meta_graph or MetaGraphDef(), signatures, assets_directory):
        family = next(iter(candidates.families), ())
        if not family:
            left_out[candidates.signature] = candidates.reason or "no value is small enough to be written"
            continue
        call = min(family[:2], key=_size)
        found.append(_call(call, by_key[candidates.signature]))
    return "[\n" + ",\n".join(found) + "\n]\n" if found else "", left_out


def _size(call: Call) -> int:
    return sum(value.values.size if isinstance(value, SparseValue) else value.size for value in call.inputs.values())


def _call(call: Call, signature: Signature) -> str:
    specs = {name: {"dtype": spec.dtype, "shape": _shape(spec.shape)} for name, spec in signature.inputs.items()}
    inputs = ",\n".join(
        f"    {json.dumps(name)}: {json.dumps(_value(value, signature.inputs[name]))}"
        for name, value in call.inputs.items()
    )
    return (
        f' {{\n  "signature": {json.dumps(call.signature)},\n  "specs": {json.dumps(specs)},\n'
        f'  "inputs": {{\n{inputs}\n  }}\n }}'
    )


def _shape(shape: Shape) -> list[int | None] | None:
    return None if shape is None else list(shape)


def _value(value: Value, spec: TensorSpec) -> Any:
    if isinstance(value, SparseValue):
        return {name: _array(part) for name, part in value.parts.items()}
    if spec.shape and len(spec.shape) != value.ndim:  # The placeholder knows better than the signature.
        value = np.resize(value, [1 if size is None else size for size in spec.shape])
    if not value.size:
        return {"shape": list(value.shape), "fill": "" if spec.dtype == "string" else 0}
    if value.size > _MOST_VALUES:
        return {"shape": list(value.shape), "fill": _plain(value.reshape(-1)[0])}
    return _array(value)


def _array(array: Array) -> Any:
    return _nested(array.tolist(), array)


def _nested(value: Any, array: Array) -> Any:
    return [_nested(item, array) for item in value] if isinstance(value, list) else _plain(value)


def _plain(value: Any) -> Any:
    """A value as JSON has it: bytes that are text as text, a float with the digits that an example needs."""
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, bytes):
        try:
            text = value.decode()
        except UnicodeDecodeError:
            return {"b64": base64.b64encode(value).decode()}
        return text if text.isprintable() else {"b64": base64.b64encode(value).decode()}
    if isinstance(value, complex):
        value = value.real
    if isinstance(value, (bool, int, str)):
        return value
    return round(float(value), 4)
