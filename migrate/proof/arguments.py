"""Which argument and result of a function is which input and output of a signature: told by their names."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

from migrate.graph.protos import SignatureDef


def call_key(keys: Sequence[str]) -> str | None:
    """The signature that a Reusable SavedModel's call is for (tensorflow.org/hub/reusable_saved_models)."""
    for key in ("serving_default", "default"):
        if key in keys:
            return key
    return keys[0] if len(keys) == 1 else None


def given_arguments(before: SignatureDef, arguments: Sequence[Any], count: int) -> list[Hashable] | None:
    """The input of a signature that each tensor argument of a call is: one as it is, several as a dict by name."""
    if arguments and arguments[0].WhichOneof("kind") == "dict_value":
        labels = sorted(arguments[0].dict_value.fields)
        return argument_keys(before, labels) if len(labels) == count else None
    if count == 0 and not before.inputs:
        return []
    infos = list(before.inputs.items())
    is_one = count == 1 == len(infos) and infos[0][1].WhichOneof("encoding") != "coo_sparse"
    return [("argument", infos[0][0], 0)] if is_one and arguments else None


def argument_keys(after: SignatureDef, keywords: Sequence[str]) -> list[Hashable] | None:
    """The input of a signature that each argument of its function is, told by its name."""
    wanted: dict[Hashable, set[str]] = {}
    for name, info in sorted(after.inputs.items()):
        if info.WhichOneof("encoding") == "coo_sparse":
            for part, text in enumerate(("values", "indices", "dense_shape")):
                wanted["argument", name, part] = _spellings(f"{name}_{text}")
        else:
            wanted["argument", name, 0] = _spellings(name)
    found: list[Hashable] = []
    for keyword in keywords:
        exact = [key for key, texts in wanted.items() if keyword in texts]
        near = [key for key, texts in wanted.items() if keyword.rstrip("_") in {text.rstrip("_") for text in texts}]
        keys = exact if len(exact) == 1 else [key for key in near if key not in found]
        if len(keys) != 1:
            return None
        found += keys
    return found if len(set(found)) == len(found) == len(wanted) else None


def _spellings(name: str) -> set[str]:
    """What a function's argument for an input may be called (function_type.py, sanitize_arg_name).

    A Python keyword and `self` cannot be one; a letter that is not ASCII becomes `_` when the placeholder is made.
    """
    swapped = "".join(c if c.isalnum() else "_" for c in name or "input")
    plain = swapped if swapped[0].isalpha() else f"arg_{swapped}"
    found = {name, plain, "".join(c if c.isascii() else "_" for c in plain)}
    return found | {f"input_{text}" for text in found}


def output_places(outputs: Mapping[str, Sequence[str]], fields: Sequence[str]) -> list[int] | None:
    """The place of each output of a signature among the results of its function, told by their names."""
    places = []
    for name, tensors in outputs.items():
        texts = [name] if len(tensors) == 1 else [f"{name}_{part}" for part in ("values", "indices", "dense_shape")]
        for text in texts:
            found = [k for k, field in enumerate(fields) if field == text] or [
                k for k, field in enumerate(fields) if field.rstrip("_") == text
            ]
            if len(found) != 1:
                return None
            places.append(found[0])
    return places if len(set(places)) == len(places) else None
