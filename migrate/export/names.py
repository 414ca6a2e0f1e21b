"""What the inputs and outputs of a signature are called in the functions that carry them.

A SignatureDef, which Session and model server clients read, carries any name. A Python function does not: TensorFlow
makes an identifier of every argument name, when a function is traced and when a loaded one is called, so that
`loaded.signatures[key](**{"image/encoded": value})` works although the argument is `image_encoded`.
"""

from __future__ import annotations

import keyword
from collections.abc import Mapping

from migrate.export.private_apis import sanitize_arg_name
from migrate.frozen import frozen
from migrate.records import Signature, TensorSpec

SPARSE_PARTS = ("indices", "values", "dense_shape")
"""A SparseTensor's dense parts, in the order of `tf.SparseTensor`."""


@frozen
class Names:
    """The names of one signature.

    Attributes:
      arguments: input name -> argument name of the function, or for a sparse input part -> argument name.
      results: the same for outputs.
    """

    arguments: Mapping[str, str | Mapping[str, str]]
    results: Mapping[str, str | Mapping[str, str]]


def name_all(signature: Signature) -> Names:
    """Chooses the names of a signature's function: the source's own wherever they can be had."""
    return Names(_spread(signature.inputs, True), _spread(signature.outputs, False))


def flat(names: Mapping[str, str | Mapping[str, str]]) -> list[str]:
    """Argument or result names in the order of a run's tensors."""
    return [n for name in names.values() for n in ([name] if isinstance(name, str) else name.values())]


def _spread(specs: Mapping[str, TensorSpec], are_arguments: bool) -> dict[str, str | Mapping[str, str]]:
    # A name that can stay as it is keeps itself from being taken by another one's stand-in. A function's arguments have
    # names in lower case (graph_to_functiondef.cc, Normalize), so of `x` and `X` one is renamed.
    kept: dict[str, str] = {}
    for name, spec in specs.items():
        if spec.encoding != "coo_sparse" and _stays(name, are_arguments):
            kept.setdefault(name.lower() if are_arguments else name, name)
    taken = set(kept)
    stay = set(kept.values())
    found: dict[str, str | Mapping[str, str]] = {}
    for name, spec in specs.items():
        if spec.encoding == "coo_sparse":
            found[name] = {part: _free(f"{name}_{part}", taken, are_arguments) for part in SPARSE_PARTS}
        else:
            found[name] = name if name in stay else _free(name, taken, are_arguments)
    return found


def _stays(name: str, is_argument: bool) -> bool:
    return not is_argument or (sanitize_arg_name(name or "input") == name and name.isascii() and not _is_reserved(name))


def _is_reserved(name: str) -> bool:
    """Python takes no keyword for an argument, and `self` is the concrete function itself."""
    return keyword.iskeyword(name) or name == "self"


def _free(name: str, taken: set[str], is_argument: bool) -> str:
    if is_argument:
        name = sanitize_arg_name(name or "input")
        # TensorFlow renames an argument that is not ASCII once more, when it makes a placeholder of it.
        if not name.isascii():
            name = sanitize_arg_name(name.encode("ascii", "replace").decode().replace("?", "_"))
        name = f"input_{name}" if _is_reserved(name) else name
    while (name.lower() if is_argument else name) in taken:
        name += "_"
    taken.add(name.lower() if is_argument else name)
    return name
